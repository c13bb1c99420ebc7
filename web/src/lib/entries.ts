/** How one entry of the credits' book reads to their owner. Pure. */
import type { CreditEntry } from "../client";
import { amountOf, words } from "./format";

export const reasonOf = (entry: CreditEntry): string => entry.reason || words(entry.kind ?? "change");

/** The id of the payment that took the credits back or brought them, if one did: `stripe/in_1/il_1` names `in_1`. */
export const paymentOf = ({ cause, source }: CreditEntry): string | null =>
  /^(?:stripe|polar|test)\/([^/]+)/.exec(cause ?? source ?? "")?.[1] ?? null;

/** "+3", "−2" with a true minus sign, or, where no credits at hand moved, "2 spent" or "2 owed". */
export function changeOf({ amount, held = 0, debt = 0, kind }: CreditEntry): string {
  if (amount > 0) return `+${amountOf(amount)}`;
  if (amount < 0) return `\u2212${amountOf(-amount)}`;
  if (debt !== 0) return `${amountOf(Math.abs(debt))} ${debt > 0 ? "owed" : "paid off"}`;
  if (held === 0) return amountOf(0);
  return `${amountOf(Math.abs(held))} ${kind === "capture" ? "spent" : "held"}`;
}
