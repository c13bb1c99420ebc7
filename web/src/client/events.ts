/**
 * Live events: which of them are new, and what they make of a job. Pure, so that resuming can be tested
 * without a connection.
 */
import type { Job, JobStatus, LiveEvent } from "./types";
import { hasEnded } from "./types";

/** Whether event id `a` comes after `b`. Ids are numbers, perhaps written as text. */
export function isAfter(a: string | number, b: string | number): boolean {
  const [x, y] = [Number(a), Number(b)];
  if (Number.isFinite(x) && Number.isFinite(y)) return x > y;
  return String(a) > String(b);
}

/** Remembers the last event seen: what to resume after, and which repeats to drop. */
export class Cursor {
  #last: string | number | undefined;

  get last(): string | number | undefined {
    return this.#last;
  }

  /** True the first time an event comes by; false for a repeat or one that is older than the last. */
  accept(event: Pick<LiveEvent, "id">): boolean {
    if (this.#last !== undefined && !isAfter(event.id, this.#last)) return false;
    this.#last = event.id;
    return true;
  }
}

const STATUS_OF: Readonly<Record<string, JobStatus>> = {
  "job.queued": "queued",
  "job.position": "queued",
  "job.started": "running",
  "job.progress": "running",
  "job.retrying": "queued",
  "job.succeeded": "succeeded",
  "job.failed": "failed",
  "job.cancelled": "cancelled",
  "job.expired": "expired",
};

const CARRIED = [
  "status",
  "stage",
  "progress",
  "position",
  "wait",
  "price",
  "result",
  "output",
  "error",
  "attempts",
  "started_at",
  "finished_at",
] as const satisfies readonly (keyof Job)[];

/** The job after `event`. The event's own words win over what its type implies. */
export function applyEvent(job: Job, event: LiveEvent): Job {
  if (hasEnded(job)) return job;
  const next: Job = { ...job };
  const implied = STATUS_OF[event.type];
  // A running job that was asked to stop still reports progress; it stays "cancelling".
  const stopping = job.status === "cancelling" && (implied === "running" || implied === "queued");
  if (implied && !stopping) next.status = implied;
  if (next.status !== "queued") next.position = null;
  const told = event.data ?? {};
  const fields = isRecord(told["job"]) ? { ...told, ...told["job"] } : told;
  for (const name of CARRIED) {
    // An event may name its result by id only; the job itself has the rest.
    if (name === "result" && !isRecord(fields[name])) continue;
    if (fields[name] !== undefined) Object.assign(next, { [name]: fields[name] });
  }
  return next;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Reads an event off the wire; null for greetings, pings and anything else that is none. */
export function parseEvent(text: string): LiveEvent | null {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(raw)) return null;
  const { id, type, job } = raw;
  const numbered = typeof id === "string" || typeof id === "number";
  if (!numbered || typeof type !== "string" || typeof job !== "string") return null;
  return { id, type, job, data: isRecord(raw["data"]) ? raw["data"] : null };
}
