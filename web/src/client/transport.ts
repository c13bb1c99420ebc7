/**
 * One request: credentials, time limit, repeats where repeating is safe, and one renewal of the session.
 *
 * A request is repeated only when it cannot act twice: reads, and writes that carry an `Idempotency-Key`.
 * A 401 renews the session once, shared by every request that met it at the same moment.
 */
import { parseProblem, Problem, UNEXPECTED, unreachable } from "./problem";

export const REQUEST_LIMIT_MS = 20_000;
export const MAX_ATTEMPTS = 3;
export const FIRST_PAUSE_MS = 400;
/** A server that asks for a longer pause than this is answered with the problem, not with waiting. */
export const MAX_PAUSE_MS = 8_000;

const GONE_FOR_A_MOMENT: ReadonlySet<number> = new Set([502, 503, 504]);
/** Codes of a 503 that another try a moment later may change. */
const WORTH_REPEATING: ReadonlySet<string> = new Set(["busy", UNEXPECTED]);

export interface Call {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  json?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** Sign-in itself must not try to renew a session, nor report that one has ended. */
  renew?: boolean;
  /** Longer than usual for what takes longer, in milliseconds. */
  limitMs?: number;
}

export interface TransportOptions {
  /** Origin of the server; empty for the one that served this page. */
  base?: string;
  /** For programs; the web app has its cookie instead. */
  token?: string;
  fetch?: typeof fetch;
  sleep?: (ms: number) => Promise<void>;
  random?: () => number;
  /** Lets one renewal at a time through, across tabs: a refresh token used twice ends the session. */
  exclusively?: <T>(run: () => Promise<T>) => Promise<T>;
  /** The clock of the last renewal in any tab, in milliseconds; see `exclusively`. */
  renewedAt?: { read: () => number; write: (ms: number) => void };
  onReachable?: (reachable: boolean) => void;
  onSignedOut?: () => void;
}

export const PREFIX = "/api/v1";

/** What came back, whole: an answer that breaks off on its way is no answer. */
interface Answer {
  ok: boolean;
  status: number;
  retryAfter: string | null;
  /** What the JSON says; undefined where it is none. */
  body: unknown;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Transport {
  readonly base: string;
  readonly token: string | undefined;
  readonly #options: TransportOptions;
  readonly #fetch: typeof fetch;
  #renewal: Promise<boolean> | null = null;
  #renewedAtMs = 0;

  constructor(options: TransportOptions = {}) {
    this.base = (options.base ?? "").replace(/\/$/, "");
    this.token = options.token;
    this.#options = options;
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  }

  url(path: string): string {
    return this.base + PREFIX + path;
  }

  /** @throws Problem for every answer that is not 2xx and for no answer; AbortError when `signal` fires. */
  async json<T>(path: string, call: Call = {}): Promise<T> {
    const answer = await this.#renewing(path, call);
    if (answer.status === 204) return undefined as T;
    if (!answer.ok || answer.body === undefined) throw problemIn(answer);
    return answer.body as T;
  }

  async #renewing(path: string, call: Call): Promise<Answer> {
    const sentAt = Date.now();
    const answer = await this.#repeated(path, call);
    if (answer.status !== 401 || call.renew === false) return answer;
    if (await this.renew(sentAt)) {
      const again = await this.#repeated(path, call);
      if (again.status !== 401) return again;
    }
    this.#options.onSignedOut?.();
    return answer;
  }

  /** Renews the session once for all who ask; true when there is a session again. */
  renew(sinceMs: number): Promise<boolean> {
    if (this.token !== undefined) return Promise.resolve(false);
    this.#renewal ??= this.#renewExclusively(sinceMs).finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  async #renewExclusively(sinceMs: number): Promise<boolean> {
    const exclusively = this.#options.exclusively ?? ((run) => run());
    return exclusively(async () => {
      const renewed = Math.max(this.#renewedAtMs, this.#options.renewedAt?.read() ?? 0);
      if (renewed > sinceMs) return true;
      const answer = await this.#once("/auth/refresh", { method: "POST", json: {} }).catch(() => null);
      if (!answer?.ok) return false;
      this.#renewedAtMs = Date.now();
      this.#options.renewedAt?.write(this.#renewedAtMs);
      return true;
    });
  }

  async #repeated(path: string, call: Call): Promise<Answer> {
    const repeatable = (call.method ?? "GET") === "GET" || "idempotency-key" in (call.headers ?? {});
    for (let attempt = 1; ; attempt += 1) {
      const last = !repeatable || attempt === MAX_ATTEMPTS;
      try {
        const answer = await this.#once(path, call);
        this.#options.onReachable?.(true);
        const wait = last ? null : pauseAskedFor(answer, this.#backoff(attempt));
        if (wait === null) return answer;
        await this.#sleep(wait);
      } catch (error) {
        if (call.signal?.aborted) throw error;
        if (last) {
          this.#options.onReachable?.(false);
          throw unreachable();
        }
        await this.#sleep(this.#backoff(attempt));
      }
      call.signal?.throwIfAborted();
    }
  }

  async #once(path: string, call: Call): Promise<Answer> {
    const headers: Record<string, string> = { accept: "application/json", ...call.headers };
    if (call.json !== undefined) headers["content-type"] = "application/json";
    if (this.token !== undefined) headers["authorization"] = `Bearer ${this.token}`;
    const limit = AbortSignal.timeout(call.limitMs ?? REQUEST_LIMIT_MS);
    const response = await this.#fetch(this.url(path), {
      method: call.method ?? "GET",
      headers,
      body: call.json === undefined ? null : JSON.stringify(call.json),
      credentials: this.token === undefined ? "same-origin" : "omit",
      signal: call.signal ? AbortSignal.any([call.signal, limit]) : limit,
    });
    const { ok, status } = response;
    return { ok, status, retryAfter: response.headers.get("retry-after"), body: parsed(await response.text()) };
  }

  /** Waits before a caller's next try: as long as the server asked for, or longer each time. */
  pause(attempt: number, askedS = 0): Promise<void> {
    return this.#sleep(Math.min(MAX_PAUSE_MS, Math.max(askedS * 1000, this.#backoff(attempt))));
  }

  /** Full jitter: many clients that lost the server together do not come back together. */
  #backoff(attempt: number): number {
    const random = this.#options.random ?? Math.random;
    return FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + random() / 2);
  }

  #sleep(ms: number): Promise<void> {
    return (this.#options.sleep ?? pause)(ms);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const problemIn = (answer: Answer): Problem => parseProblem(answer.status, answer.body, answer.retryAfter);

/** Milliseconds to wait before asking again, or null when this answer is final. */
function pauseAskedFor(answer: Answer, backoffMs: number): number | null {
  if (!GONE_FOR_A_MOMENT.has(answer.status)) return null;
  const problem = problemIn(answer);
  if (!WORTH_REPEATING.has(problem.code)) return null;
  const asked = (problem.retryAfterS ?? 0) * 1000;
  return asked > MAX_PAUSE_MS ? null : Math.max(asked, backoffMs);
}
