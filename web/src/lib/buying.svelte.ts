/** Going to a checkout page: one click, one page, however often it is tried. */
import { asProblem, type Problem, type Purchase } from "../client";
import { api } from "./api";
import { withNext } from "./links";
import { here, navigate } from "./router.svelte";
import { identified, session } from "./session.svelte";

/** Leaves for an address: a page of our own or the payment provider's. */
export function leaveFor(url: string): void {
  if (url.startsWith("/")) navigate(url);
  else location.assign(url);
}

export class Buying {
  /** What is on its way, by a name of the page's choice. */
  busy = $state<string | null>(null);
  problem = $state.raw<Problem | null>(null);
  #keys = new Map<string, string>();

  async buy(name: string, purchase: Purchase): Promise<void> {
    if (this.busy) return;
    this.busy = name;
    this.problem = null;
    const key = this.#keys.get(name) ?? crypto.randomUUID();
    this.#keys.set(name, key);
    try {
      await identified();
      if (session.known && !session.signedIn) return navigate(withNext("/sign-up", here()));
      leaveFor(await api.checkout(purchase, key));
      this.#keys.delete(name);
    } catch (error) {
      this.problem = asProblem(error);
    } finally {
      this.busy = null;
    }
  }
}
