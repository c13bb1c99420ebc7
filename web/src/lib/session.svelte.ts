/**
 * Who is using the app. The session itself is an HttpOnly cookie that this code can't read; here is only what
 * the server says of the account behind it.
 */
import { type Account, type Credentials, Problem, UNREACHABLE } from "../client";
import { api, onSignedOut } from "./api";
import { withNext } from "./links";
import { picked } from "./picked.svelte";
import { product } from "./product.svelte";
import { here, navigate } from "./router.svelte";
import { written } from "./written.svelte";

class Session {
  account: Account | null = $state(null);
  /** False until the server has answered who this is. */
  known = $state(false);

  get signedIn(): boolean {
    return this.account !== null && this.account.visitor !== true;
  }

  /** Whether work can be submitted without signing in first. */
  get mayWork(): boolean {
    return this.account !== null || product.allowsAnonymous;
  }
}

export const session = new Session();

let asked: Promise<void> = Promise.resolve();

/** Reads the account again, for instance after its credits changed. Failing to is no reason to complain. */
export function refreshSession(): Promise<void> {
  asked = readAccount();
  return asked;
}

/** Waits for the answer that is on its way, if one is: until then somebody signed in looks like a stranger. */
export const identified = (): Promise<void> => asked;

async function readAccount(): Promise<void> {
  try {
    session.account = await api.me();
    session.known = true;
  } catch (error) {
    // If the server is away, the banner says so, and coming back asks again.
    session.known ||= error instanceof Problem && error.code !== UNREACHABLE;
  }
}

export async function signIn(credentials: Credentials): Promise<void> {
  await api.login(credentials);
  await refreshSession();
}

export async function signUp(credentials: Credentials): Promise<void> {
  await api.register(credentials);
  await refreshSession();
}

export async function signOut(everywhere = false): Promise<void> {
  await (everywhere ? api.logoutEverywhere() : api.logout());
  picked.clear();
  written.forget();
  session.account = null;
  session.known = false; // Until the server has said who this is now.
  navigate("/");
  await refreshSession();
}

onSignedOut(() => {
  session.account = null;
  session.known = true;
  if (!/^\/sign-(in|up)$/.test(location.pathname)) navigate(withNext("/sign-in", here()));
});
