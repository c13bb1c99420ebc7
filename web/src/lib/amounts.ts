/**
 * The amount in dollars that somebody wrote, as the interface takes it ("12.50"); null for none, one out of bounds, or
 * one that is no multiple of `step` cents.
 */
export function amountWithin(written: string, bounds: { min_usd: string; max_usd: string }, step = 1): string | null {
  const plain = written.trim();
  if (!/^\d{1,6}([.,]\d{1,2})?$/.test(plain)) return null;
  const amount = Number(plain.replace(",", "."));
  if (amount < Number(bounds.min_usd) || amount > Number(bounds.max_usd)) return null;
  return Math.round(amount * 100) % step === 0 ? amount.toFixed(2) : null;
}

/** The least amount in cents that brings whole credits: only its multiples do. */
export function wholeCreditsCents(creditsPerUsd: number): number {
  let [whole, rest] = [100, creditsPerUsd];
  while (rest > 0) [whole, rest] = [rest, whole % rest];
  return 100 / whole;
}
