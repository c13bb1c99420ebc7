import { beforeEach, describe, expect, it, vi } from "vitest";
import { PenstockClient, Problem } from "../../src/client";
import { MAX_ATTEMPTS, type TransportOptions } from "../../src/client/transport";

type Answer = () => Response | Promise<Response>;

interface Seen {
  method: string;
  path: string;
  body: unknown;
  headers: Record<string, string>;
}

const json =
  (status: number, body: unknown = {}, headers: Record<string, string> = {}): Answer =>
  () =>
    new Response(JSON.stringify(body), { status, headers });
const away: Answer = () => Promise.reject(new TypeError("fetch failed"));

/** The head of an answer came, and half of its body. */
const brokenOff: Answer = () => {
  const half = new ReadableStream({
    start: (body) => {
      body.enqueue(new TextEncoder().encode('{"name": "'));
      body.error(new TypeError("network error"));
    },
  });
  return new Response(half, { status: 200 });
};

let seen: Seen[];
let pauses: number[];

/** A client whose server answers each path with the given answers in turn; the last one stays. */
function clientWith(answers: Record<string, Answer[]>, options: TransportOptions = {}): PenstockClient {
  const fetch = (url: string, init: RequestInit): Promise<Response> => {
    const path = String(url).replace("/api/v1", "");
    const body: unknown = init.body ? JSON.parse(init.body as string) : undefined;
    seen.push({ method: init.method ?? "GET", path, body, headers: init.headers as Record<string, string> });
    const left = answers[path];
    if (!left) throw new Error(`the test foresees no ${path}`);
    return Promise.resolve((left.length > 1 ? left.shift() : left[0])!());
  };
  return new PenstockClient({
    fetch: fetch as typeof globalThis.fetch,
    sleep: (ms) => (pauses.push(ms), Promise.resolve()),
    random: () => 0.5,
    ...options,
  });
}

const problemOf = async (promise: Promise<unknown>): Promise<Problem> => {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Problem);
  return error as Problem;
};

const paths = (): string[] => seen.map((call) => call.path);
const ORDER = { operation: "restore", inputs: { picture: "upl_1" }, options: {} };

beforeEach(() => {
  seen = [];
  pauses = [];
});

describe("repeating", () => {
  it("repeats a read that got no answer, waiting longer each time", async () => {
    const client = clientWith({ "/product": [away, away, json(200, { name: "p" })] });
    expect((await client.product()).name).toBe("p");
    expect(pauses).toHaveLength(2);
    expect(pauses[1]).toBeGreaterThan(pauses[0]!);
  });

  it("gives up after the last attempt and says that the server is away", async () => {
    const reachable: boolean[] = [];
    const client = clientWith({ "/product": [away] }, { onReachable: (is) => reachable.push(is) });
    expect((await problemOf(client.product())).code).toBe("unreachable");
    expect(seen).toHaveLength(MAX_ATTEMPTS);
    expect(reachable).toEqual([false]);
  });

  it("takes an answer that breaks off for none", async () => {
    const reachable: boolean[] = [];
    const client = clientWith({ "/product": [brokenOff] }, { onReachable: (is) => reachable.push(is) });
    expect((await problemOf(client.product())).code).toBe("unreachable");
    expect(seen).toHaveLength(MAX_ATTEMPTS);
    expect(reachable).toEqual([false]);
  });

  it("repeats a read whose answer broke off", async () => {
    const client = clientWith({ "/product": [brokenOff, json(200, { name: "p" })] });
    expect((await client.product()).name).toBe("p");
  });

  it("never repeats a write without a key: it could act twice", async () => {
    const client = clientWith({ "/jobs/job_1/retry": [away] });
    await problemOf(client.retry("job_1"));
    expect(seen).toHaveLength(1);
  });

  it("repeats a submit under the very same key", async () => {
    const client = clientWith({ "/jobs": [away, json(503, { code: "busy" }), json(202, { id: "job_1" })] });
    expect((await client.submit(ORDER, "key-1")).id).toBe("job_1");
    expect(seen.map((call) => call.headers["idempotency-key"])).toEqual(["key-1", "key-1", "key-1"]);
    expect(seen.every((call) => JSON.stringify(call.body) === JSON.stringify(ORDER))).toBe(true);
  });

  it("waits as long as the server asks", async () => {
    const busy = json(503, { code: "busy", retry_after_s: 5 });
    const client = clientWith({ "/product": [busy, json(200, {})] });
    await client.product();
    expect(pauses).toEqual([5000]);
  });

  it("answers with the problem when the server asks for more patience than a page has", async () => {
    const client = clientWith({ "/product": [json(503, { code: "busy" }, { "retry-after": "120" })] });
    expect((await problemOf(client.product())).retryAfterS).toBe(120);
    expect(seen).toHaveLength(1);
  });

  it.each([429, 402, 404, 500])("takes %i as the final answer", async (status) => {
    const client = clientWith({ "/product": [json(status)] });
    expect((await problemOf(client.product())).status).toBe(status);
    expect(seen).toHaveLength(1);
  });

  it("takes a switched-off operation (503 unavailable) as final", async () => {
    const client = clientWith({ "/jobs": [json(503, { code: "unavailable" })] });
    expect((await problemOf(client.submit(ORDER, "key-1"))).code).toBe("unavailable");
    expect(seen).toHaveLength(1);
  });

  it("stops at once when it is called off", async () => {
    const controller = new AbortController();
    const client = clientWith({
      "/jobs/job_1": [
        () => {
          controller.abort();
          return Promise.reject(new DOMException("off", "AbortError"));
        },
      ],
    });
    await expect(client.job("job_1", controller.signal)).rejects.toMatchObject({ name: "AbortError" });
    expect([seen.length, pauses.length]).toEqual([1, 0]);
  });
});

describe("the session", () => {
  const expired = json(401, { code: "unauthenticated", title: "Please sign in" });

  it("is renewed once and the call made again", async () => {
    const client = clientWith({ "/jobs/job_1": [expired, json(200, { id: "job_1" })], "/auth/refresh": [json(200)] });
    expect((await client.job("job_1")).id).toBe("job_1");
    expect(paths()).toEqual(["/jobs/job_1", "/auth/refresh", "/jobs/job_1"]);
    expect(seen[1]).toMatchObject({ method: "POST", body: {} });
  });

  it("is renewed once for all calls that found it expired at the same time", async () => {
    const client = clientWith({
      "/jobs/job_1": [expired, json(200)],
      "/credits": [expired, json(200)],
      "/auth/refresh": [json(200)],
    });
    await Promise.all([client.job("job_1"), client.credits()]);
    expect(paths().filter((path) => path === "/auth/refresh")).toHaveLength(1);
  });

  it("is not renewed again when another tab has just done it", async () => {
    const client = clientWith(
      { "/credits": [expired, json(200)] },
      { renewedAt: { read: () => Date.now() + 1000, write: () => undefined } },
    );
    await client.credits();
    expect(paths()).toEqual(["/credits", "/credits"]);
  });

  it("is over when it can't be renewed: said once, and the problem shown", async () => {
    const onSignedOut = vi.fn();
    const client = clientWith({ "/credits": [expired], "/auth/refresh": [expired] }, { onSignedOut });
    expect((await problemOf(client.credits())).code).toBe("unauthenticated");
    expect(paths()).toEqual(["/credits", "/auth/refresh"]);
    expect(onSignedOut).toHaveBeenCalledOnce();
  });

  it("does not loop when a renewed session is refused as well", async () => {
    const onSignedOut = vi.fn();
    const client = clientWith({ "/credits": [expired], "/auth/refresh": [json(200)] }, { onSignedOut });
    await problemOf(client.credits());
    expect(onSignedOut).toHaveBeenCalledOnce();
    expect(paths()).toEqual(["/credits", "/auth/refresh", "/credits"]);
  });

  it("has nothing to do with a wrong password", async () => {
    const onSignedOut = vi.fn();
    const client = clientWith({ "/auth/login": [expired] }, { onSignedOut });
    await problemOf(client.login({ email: "a@b.c", password: "x" }));
    expect(paths()).toEqual(["/auth/login"]);
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("may be none: asking who this is then answers null and sends nobody to sign in", async () => {
    const onSignedOut = vi.fn();
    const client = clientWith({ "/me": [expired], "/auth/refresh": [expired] }, { onSignedOut });
    expect(await client.me()).toBeNull();
    expect(onSignedOut).not.toHaveBeenCalled();
  });

  it("is left alone by a client with its own token", async () => {
    const client = clientWith({ "/credits": [expired] }, { token: "secret" });
    await problemOf(client.credits());
    expect(seen).toHaveLength(1);
    expect(seen[0]?.headers["authorization"]).toBe("Bearer secret");
  });
});

describe("calls", () => {
  it("tell of an answer that is not of the interface, such as a page that somebody put in between", async () => {
    const client = clientWith({ "/product": [() => new Response("<p>Sign in to this hotel</p>", { status: 200 })] });
    expect((await problemOf(client.product())).code).toBe("unexpected");
  });

  it("may be answered with nothing", async () => {
    const client = clientWith({ "/results/res_1": [() => new Response(null, { status: 204 })] });
    expect(await client.deleteResult("res_1")).toBeUndefined();
  });

  it("leave empty filters out of the address", async () => {
    const client = clientWith({ "/jobs?limit=24&status=succeeded": [json(200, { items: [] })] });
    await client.jobs({ status: "succeeded", cursor: null });
    expect(seen).toHaveLength(1);
  });

  it("make addresses that can't be broken out of", () => {
    const client = clientWith({});
    expect(client.fileUrl("res_1", "full", true)).toBe("/api/v1/results/res_1/file?variant=full&download=1");
    expect(client.fileUrl("../x", "a&b")).toBe("/api/v1/results/..%2Fx/file?variant=a%26b");
  });
});
