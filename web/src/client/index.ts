/** The client of the HTTP interface; nothing in this folder knows of the app around it. */
export { PenstockClient, type Credentials, type JobFilter } from "./client";
export { socketChannel, streamChannel, type Channel } from "./channels";
export { asProblem, isAbort, parseProblem, Problem, UNREACHABLE, type FieldError } from "./problem";
export type { TransportOptions } from "./transport";
export * from "./types";
export { JobWatch, type Via } from "./watch";
