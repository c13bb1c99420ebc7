/**
 * The idempotency key of a click. The same order tried again (the answer was lost, the connection broke) keeps its
 * key, so that the server makes one job of it; once it is accepted, or changed, the next click gets a new one.
 */
import type { JobRequest } from "../client";

export class SubmissionKey {
  #order = "";
  #key = "";
  readonly #make: () => string;

  constructor(make: () => string = () => crypto.randomUUID()) {
    this.#make = make;
  }

  for(request: JobRequest): string {
    const order = JSON.stringify(request);
    if (order !== this.#order || !this.#key) this.#key = this.#make();
    this.#order = order;
    return this.#key;
  }

  accepted(): void {
    this.#key = "";
  }
}
