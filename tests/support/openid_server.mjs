// A real OpenID provider (npm oidc-provider) for tests, on a free loopback port; see openid_server.py.
// Whoever types a name is that person: NAME@example.org, an address it vouches for unless NAME begins with "doubtful".
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [, , web, clientId, clientSecret] = process.argv;
const find = createRequire(`${web}/package.json`);
const { default: Provider } = await import(pathToFileURL(find.resolve("oidc-provider")).href);

const server = createServer((request, response) => void answer(request, response));
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const issuer = `http://127.0.0.1:${server.address().port}`;
const redirects = [`${issuer}/unused`]; // replaced by the rule below: the product's port is not known yet

const provider = new Provider(issuer, {
  clients: [
    { client_id: clientId, client_secret: clientSecret, redirect_uris: redirects },
    { client_id: `${clientId}-public`, token_endpoint_auth_method: "none", redirect_uris: redirects },
  ],
  pkce: { required: () => true },
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  cookies: { keys: ["for tests only"] },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.org`, email_verified: !id.startsWith("doubtful") }),
  }),
  async loadExistingGrant(context) {
    const { client, session } = context.oidc;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope("openid email");
    await grant.save();
    return grant;
  },
});
provider.Client.prototype.redirectUriAllowed = (uri) =>
  /^\/api\/v1\/auth\/openid\/[a-z]+\/callback$/.test(new URL(uri).pathname);
const protocol = provider.callback();

const PAGE = `<!doctype html><html lang="en"><title>A provider</title><h1>A provider</h1>
<form method="post"><label>Who are you? <input name="login" required></label><button>Sign in</button>
<button name="refuse" value="1" formnovalidate>Refuse</button></form>`;

async function answer(request, response) {
  if (request.url === "/favicon.ico") return response.writeHead(204).end();
  if (!request.url.startsWith("/interaction/")) return protocol(request, response);
  if (request.method === "GET") return response.setHeader("content-type", "text/html; charset=utf-8").end(PAGE);
  let body = "";
  for await (const chunk of request) body += chunk;
  const form = new URLSearchParams(body);
  const result = form.has("refuse")
    ? { error: "access_denied", error_description: "the person refused" }
    : { login: { accountId: form.get("login") } };
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

console.log(issuer);
