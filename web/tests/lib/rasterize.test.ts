import { describe, expect, it } from "vitest";
import { scaleFor } from "../../src/lib/rasterize";

describe("how large a drawing is painted", () => {
  it("is twice as large as it says", () => {
    expect(scaleFor(600, 400)).toBe(2);
  });

  it("is at most 16 million pixels", () => {
    const scale = scaleFor(5_000, 3_000);
    expect(scale).toBeLessThan(2);
    expect(5_000 * scale * (3_000 * scale)).toBeCloseTo(16_000_000, 0);
  });
});
