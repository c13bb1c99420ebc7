/**
 * What goes wrong, as one class: the server's `application/problem+json`, or the same shape made here when
 * there was no answer at all. Everything above shows a `Problem`; nothing above reads a status text.
 */
import type { Action } from "./types";

export interface FieldError {
  field: string;
  message: string;
}

interface ProblemShape {
  status: number;
  code: string;
  title: string;
  detail: string;
  retryAfterS?: number | undefined;
  actions?: Action[] | undefined;
  errors?: FieldError[] | undefined;
}

/** No answer came: the network or the server is away. */
export const UNREACHABLE = "unreachable";
/** An answer came that is not in the shape of the interface, such as a proxy's error page. */
export const UNEXPECTED = "unexpected";

export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  /** For the customer; may be empty. */
  readonly detail: string;
  readonly retryAfterS: number | undefined;
  readonly actions: readonly Action[];
  readonly errors: readonly FieldError[];

  constructor(shape: ProblemShape) {
    super(shape.detail || shape.title);
    this.name = "Problem";
    this.status = shape.status;
    this.code = shape.code;
    this.title = shape.title;
    this.detail = shape.detail;
    this.retryAfterS = shape.retryAfterS;
    this.actions = shape.actions ?? [];
    this.errors = shape.errors ?? [];
  }
}

const TITLES: Record<number, string> = {
  401: "Please sign in",
  403: "That is not allowed",
  404: "That is not here",
  413: "That file is too large",
  415: "That kind of file does not work here",
  429: "That was a lot at once",
  503: "We are busy right now",
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const text = (value: unknown): string => (typeof value === "string" ? value : "");

const seconds = (value: unknown): number | undefined => {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) && number >= 0 ? number : undefined;
};

function actionsOf(value: unknown): Action[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isRecord).flatMap((raw) => {
    const kind = text(raw["kind"]);
    const label = text(raw["label"]);
    return kind && label ? [{ kind, label, url: text(raw["url"]) || null }] : [];
  });
}

function fieldErrorsOf(value: unknown): FieldError[] {
  if (!Array.isArray(value)) return [];
  return value
    .filter(isRecord)
    .map((raw) => ({ field: text(raw["field"]), message: text(raw["message"]) }))
    .filter((error) => error.message !== "");
}

/** Reads an answer's body into a `Problem`, whatever the body turns out to be. */
export function parseProblem(status: number, body: unknown, retryAfter: string | null = null): Problem {
  const raw = isRecord(body) ? body : {};
  const code = text(raw["code"]) || UNEXPECTED;
  return new Problem({
    status,
    code,
    title: text(raw["title"]) || TITLES[status] || "Something went wrong",
    detail: text(raw["detail"]) || (code === UNEXPECTED ? "Please try again in a moment." : ""),
    retryAfterS: seconds(raw["retry_after_s"]) ?? seconds(retryAfter),
    actions: actionsOf(raw["actions"]),
    errors: fieldErrorsOf(raw["errors"]),
  });
}

/** The problem for a request that got no answer. */
export function unreachable(detail = "Check your connection. Nothing was lost; try again."): Problem {
  return new Problem({ status: 0, code: UNREACHABLE, title: "We can't reach the server", detail });
}

/** Turns anything caught into something that can be shown. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem({
    status: 0,
    code: UNEXPECTED,
    title: "Something went wrong here",
    detail: "Reload the page and try again.",
  });
}

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === "AbortError";
