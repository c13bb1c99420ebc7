/**
 * Follows one job to its end: WebSocket first, Server-Sent Events if that will not open, asking every few
 * seconds if neither will.
 *
 * Two sources tell of the job. Events are quick but say only what changed; the job itself, read whenever a
 * connection opens and every `CHECK_MS` besides, is complete but may be older than an event that overtook it.
 * So an answer that was overtaken by an event is dropped, and the end is always read from the job itself.
 */
import type { Channel } from "./channels";
import { applyEvent, Cursor } from "./events";
import { asProblem, isAbort, type Problem, UNEXPECTED } from "./problem";
import type { Job, LiveEvent } from "./types";
import { hasEnded } from "./types";

export type Via = "socket" | "stream" | "poll";

/** While a connection is open, the job is still read this often: a silent connection must not hang a page. */
export const CHECK_MS = 15_000;
export const POLL_MS = 2_000;
/** How long to ask before trying to connect again. */
export const POLLING_MS = 30_000;
const FIRST_RECONNECT_MS = 500;
const MAX_RECONNECT_MS = 10_000;
const RETRIES_PER_CHANNEL = 2;
/** A connection that brought no event and ended sooner than this was refused, whatever it looked like. */
const SETTLED_MS = 5_000;

export interface WatchOptions {
  read: (signal: AbortSignal) => Promise<Job>;
  /** In the order to try them. */
  channels: readonly { via: Via; open: Channel }[];
  onJob: (job: Job, via: Via) => void;
  /** The job can't be read: it is not there, or nobody is signed in. Ends the watch. */
  onProblem: (problem: Problem) => void;
  /** False while neither a connection nor the job can be had. */
  onReachable?: (reachable: boolean) => void;
  sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Sleeps, and wakes early without complaint when `signal` fires. */
export function nap(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

export class JobWatch {
  readonly #id: string;
  readonly #options: WatchOptions;
  readonly #stop = new AbortController();
  readonly #cursor = new Cursor();
  readonly #sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  #job: Job | null = null;
  #via: Via = "poll";
  #eventsSeen = 0;
  #hurry = new AbortController();

  constructor(id: string, options: WatchOptions) {
    this.#id = id;
    this.#options = options;
    this.#sleep = options.sleep ?? nap;
  }

  /** Runs until the job has ended, `stop` is called or the job can't be read. */
  async run(): Promise<void> {
    await this.#refresh();
    let rung = 0;
    let failures = 0;
    while (!this.#over()) {
      const channel = this.#options.channels[rung];
      if (!channel) {
        await this.#poll();
        rung = 0;
        failures = 0;
        continue;
      }
      const useful = await this.#follow(channel);
      failures = useful ? 0 : failures + 1;
      if (failures === RETRIES_PER_CHANNEL) {
        rung += 1;
        failures = 0;
      }
      if (!this.#over()) await this.#rest(reconnectPause(failures));
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  /** The page came back to the front or the network did: don't wait out a pause. */
  nudge(): void {
    this.#hurry.abort();
    this.#hurry = new AbortController();
  }

  #over(): boolean {
    return this.#stop.signal.aborted || (this.#job !== null && hasEnded(this.#job));
  }

  #rest(ms: number): Promise<void> {
    return this.#sleep(ms, AbortSignal.any([this.#stop.signal, this.#hurry.signal]));
  }

  /** One connection, from opening to its end; true when it was of use. */
  async #follow(channel: { via: Via; open: Channel }): Promise<boolean> {
    const closing = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, closing.signal]);
    let openedAt = Infinity;
    let useful = false;
    await channel.open(this.#id, {
      after: this.#cursor.last,
      signal,
      onOpen: () => {
        openedAt = Date.now();
        this.#via = channel.via;
        void this.#check(signal, closing);
      },
      onEvent: (event) => {
        useful = true;
        void this.#take(event).then(() => this.#over() && closing.abort());
      },
    });
    closing.abort();
    return useful || Date.now() - openedAt >= SETTLED_MS;
  }

  /** Reads the job now and every `CHECK_MS` while the connection lives. */
  async #check(signal: AbortSignal, closing: AbortController): Promise<void> {
    while (!signal.aborted) {
      await this.#refresh();
      if (this.#over()) return closing.abort();
      await this.#sleep(CHECK_MS, AbortSignal.any([signal, this.#hurry.signal]));
    }
  }

  async #poll(): Promise<void> {
    this.#via = "poll";
    for (let spent = 0; spent < POLLING_MS && !this.#over(); spent += POLL_MS) {
      await this.#refresh();
      if (!this.#over()) await this.#rest(POLL_MS);
    }
  }

  async #take(event: LiveEvent): Promise<void> {
    if (!this.#cursor.accept(event) || this.#over()) return;
    this.#eventsSeen += 1;
    this.#options.onReachable?.(true);
    if (!this.#job) return;
    const next = applyEvent(this.#job, event);
    if (hasEnded(next)) await this.#readEnd();
    else this.#tell(next);
  }

  /** The last event tells that it is over; the job itself tells how. */
  async #readEnd(): Promise<void> {
    for (let attempt = 1; !this.#over(); attempt += 1) {
      await this.#refresh();
      if (!this.#over()) await this.#rest(reconnectPause(attempt));
    }
  }

  async #refresh(): Promise<void> {
    const seen = this.#eventsSeen;
    try {
      const job = await this.#options.read(this.#stop.signal);
      this.#options.onReachable?.(true);
      const overtaken = this.#job !== null && this.#eventsSeen !== seen && !hasEnded(job);
      if (!overtaken && !this.#over()) this.#tell(job);
    } catch (error) {
      if (isAbort(error) || this.#stop.signal.aborted) return;
      this.#failed(asProblem(error));
    }
  }

  #failed(problem: Problem): void {
    // What is not in the shape of the interface was answered by something in between.
    const between = problem.code === UNEXPECTED;
    const away = between || problem.status === 0 || problem.status === 429 || problem.status >= 500;
    if (away) return this.#options.onReachable?.(false);
    this.stop();
    this.#options.onProblem(problem);
  }

  #tell(job: Job): void {
    this.#job = job;
    this.#options.onJob(job, this.#via);
  }
}

const reconnectPause = (failures: number): number => Math.min(MAX_RECONNECT_MS, FIRST_RECONNECT_MS * 2 ** failures);
