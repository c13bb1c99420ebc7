/** Figures as words. The app's own texts are English, so dates and numbers follow the reader's English. */
import type { Wait } from "../client";

const LOCALE = globalThis.navigator?.language?.startsWith("en") ? navigator.language : "en";

const dateFormat = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium" });
const timeFormat = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "short" });

const parsed = (iso: string | null | undefined): Date | null => {
  const date = iso ? new Date(iso) : null;
  return date && !Number.isNaN(date.getTime()) ? date : null;
};

/** "27 Nov 2026", or an empty text for no date. */
export const day = (iso: string | null | undefined): string => {
  const date = parsed(iso);
  return date ? dateFormat.format(date) : "";
};

export const dayAndTime = (iso: string | null | undefined): string => {
  const date = parsed(iso);
  return date ? timeFormat.format(date) : "";
};

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString(LOCALE)} ${count === 1 ? one : many}`;

/** Credits for a dollar where the product shows dollars in their place. */
let creditsPerDollar: number | null = null;

export function showDollars(rate: number | null): void {
  creditsPerDollar = rate;
}

/** "3 credits", or "$1.50" where the product shows dollars. */
export const credits = (count: number): string => (creditsPerDollar ? amountOf(count) : plural(count, "credit"));

/** The same where "credits" stands beside it: "3", or "$1.50". */
export function amountOf(count: number): string {
  if (!creditsPerDollar) return count.toLocaleString(LOCALE);
  const worth = Math.abs(count) / creditsPerDollar;
  const digits = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  return `${count < 0 ? "−" : ""}$${worth.toLocaleString(LOCALE, digits)}`;
}

/** What stands behind an amount that is not dollars. */
export const unitOf = (count: number): string => (creditsPerDollar ? "" : count === 1 ? "credit" : "credits");

/** What something costs. */
export const priceOf = (count: number): string => (count === 0 ? "Free" : credits(count));

/** What an operation costs before anything is set: "from 2 credits" where options change it. */
export const listPriceOf = (price: { credits: number; varies?: boolean }): string =>
  price.varies ? `from ${credits(price.credits)}` : priceOf(price.credits);

/** "8 s", "2 min", "1 h 5 min": coarser as it grows, since nobody counts seconds of an hour. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  const minutes = Math.round(s / 60);
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return `${Math.floor(minutes / 60)} h${rest ? ` ${rest} min` : ""}`;
}

/** "10 to 40 s": the unit is named once where both ends share it. Empty where there is no wait to speak of. */
export function waitRange(wait: Wait | null | undefined): string {
  if (!wait || wait.high_s < 0.5) return "";
  const [low, high] = [duration(wait.low_s), duration(Math.max(wait.low_s, wait.high_s))];
  if (low === high) return low;
  const unit = (text: string): string | undefined => text.match(/^\d+ (s|min)$/)?.[1];
  const shared = unit(low) !== undefined && unit(low) === unit(high);
  return shared ? `${low.split(" ")[0]} to ${high}` : `${low} to ${high}`;
}

const UNITS = ["B", "kB", "MB", "GB"] as const;

export function bytes(count: number): string {
  let [value, unit] = [count, 0];
  while (value >= 1000 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  const digits = value < 10 && unit > 0 ? 1 : 0;
  return `${value.toLocaleString(LOCALE, { maximumFractionDigits: digits })} ${UNITS[unit]}`;
}

/** Prices arrive as decimal text; whole amounts lose their zeros. */
export const dollars = (amount: string): string => `$${amount.replace(/\.00?$/, "")}`;

/** "colouring_page" to "Colouring page". */
export const words = (name: string): string => {
  const text = name.replace(/[_-]+/g, " ").trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
};

/** A price in an answer is a number or a record with one. */
export const creditsOf = (price: number | { credits: number } | null | undefined): number | null => {
  const count = typeof price === "object" ? price?.credits : price;
  return typeof count === "number" ? count : null;
};
