/** The amount in dollars that somebody wrote, as the interface takes it ("12.50"); null for none, or one out of bounds. */
export function amountWithin(written: string, bounds: { min_usd: string; max_usd: string }): string | null {
  const plain = written.trim();
  if (!/^\d{1,6}([.,]\d{1,2})?$/.test(plain)) return null;
  const amount = Number(plain.replace(",", "."));
  return amount >= Number(bounds.min_usd) && amount <= Number(bounds.max_usd) ? amount.toFixed(2) : null;
}
