import { describe, expect, it } from "vitest";
import { amountWithin } from "../../src/lib/amounts";

const bounds = { min_usd: "3.00", max_usd: "500.00" };

describe("an amount that somebody wrote", () => {
  it.each([["3", "3.00"], [" 12,5 ", "12.50"], ["500.00", "500.00"]])("%j is %j", (written, amount) => {
    expect(amountWithin(written, bounds)).toBe(amount);
  });

  it.each(["", "2.99", "500.01", "3.001", "1e2", "-5", "five", "5 5"])("%j is none", (written) => {
    expect(amountWithin(written, bounds)).toBeNull();
  });
});
