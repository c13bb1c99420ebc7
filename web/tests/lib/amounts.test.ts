import { describe, expect, it } from "vitest";
import { amountWithin, wholeCreditsCents } from "../../src/lib/amounts";

const bounds = { min_usd: "3.00", max_usd: "500.00" };

describe("an amount that somebody wrote", () => {
  it.each([["3", "3.00"], [" 12,5 ", "12.50"], ["500.00", "500.00"]])("%j is %j", (written, amount) => {
    expect(amountWithin(written, bounds)).toBe(amount);
  });

  it.each(["", "2.99", "500.01", "3.001", "1e2", "-5", "five", "5 5"])("%j is none", (written) => {
    expect(amountWithin(written, bounds)).toBeNull();
  });

  it("brings whole credits, or is none", () => {
    expect([1, 2, 3, 40, 100, 1_000].map(wholeCreditsCents)).toEqual([100, 50, 100, 5, 1, 1]);
    expect(amountWithin("12.50", bounds, 50)).toBe("12.50");
    expect(amountWithin("12.75", bounds, 50)).toBeNull();
    expect(amountWithin("4.35", bounds, 5)).toBe("4.35");
  });
});
