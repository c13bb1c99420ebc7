/** What was written for operations that take texts, by input: it stays in this tab, across a sign-in for instance. */
import type { Texts } from "./inputs";

const KEPT = "penstock.texts";

class Written {
  texts: Texts = $state.raw(kept());

  set(input: string, text: string): void {
    this.texts = { ...this.texts, [input]: text };
    sessionStorage.setItem(KEPT, JSON.stringify(this.texts));
  }

  forget(): void {
    this.texts = {};
    sessionStorage.removeItem(KEPT);
  }
}

export const written = new Written();

function kept(): Texts {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") as Texts;
  } catch {
    return {};
  }
}
