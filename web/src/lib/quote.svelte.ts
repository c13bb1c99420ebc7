/** The price of what is chosen at the moment, asked of the server again after each change. */
import { asProblem, isAbort, type JobRequest, type Problem, type Quote } from "../client";
import { api } from "./api";

/** Changes that follow each other this quickly are asked about once. */
const SETTLE_MS = 200;

export class LiveQuote {
  value: Quote | null = $state.raw(null);
  problem: Problem | null = $state.raw(null);

  /** Asks for `request`; returns what forgets about the question, for an effect to call. */
  ask(request: JobRequest): () => void {
    const controller = new AbortController();
    const timer = setTimeout(() => void this.#fetch(request, controller.signal), SETTLE_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }

  async #fetch(request: JobRequest, signal: AbortSignal): Promise<void> {
    try {
      this.value = await api.quote(request, signal);
      this.problem = null;
    } catch (error) {
      if (isAbort(error)) return;
      this.value = null;
      this.problem = asProblem(error);
    }
  }
}
