/** How one entry of the credits' book reads to their owner. Pure. */
import type { CreditEntry } from "../client";
import { words } from "./format";

export const reasonOf = (entry: CreditEntry): string => entry.reason || words(entry.kind ?? "change");

/** The id of the payment that the credits came from, if one did: `stripe/in_1/il_1` names `in_1`. */
export const paymentOf = ({ source }: CreditEntry): string | null =>
  /^(?:stripe|polar|test)\/([^/]+)/.exec(source ?? "")?.[1] ?? null;

/** "+3", "−2" with a true minus sign, or, where only held credits moved, "2 spent". */
export function changeOf({ amount, held = 0, kind }: CreditEntry): string {
  if (amount > 0) return `+${amount}`;
  if (amount < 0) return `\u2212${-amount}`;
  return `${Math.abs(held)} ${kind === "capture" ? "spent" : "held"}`;
}
