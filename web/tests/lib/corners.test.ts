import { describe, expect, it } from "vitest";
import type { Corners } from "../../src/client";
import { faultOf, isWhole, moveCorner, startingCorners, WHOLE_PICTURE } from "../../src/lib/corners";

const GOOD: Corners = [
  [0.1, 0.1],
  [0.9, 0.15],
  [0.85, 0.9],
  [0.12, 0.8],
];

describe("faultOf", () => {
  it("accepts a convex quad, clockwise from top left, and the whole picture", () => {
    expect(faultOf(GOOD)).toBeNull();
    expect(faultOf(WHOLE_PICTURE)).toBeNull();
  });

  it("refuses a bow tie: two corners swapped", () => {
    expect(faultOf([GOOD[1], GOOD[0], GOOD[2], GOOD[3]])).toBe("crossed");
  });

  it("refuses corners that run the other way round: the picture would be mirrored", () => {
    expect(faultOf([GOOD[0], GOOD[3], GOOD[2], GOOD[1]])).toBe("crossed");
  });

  it("refuses a dent, where one corner lies inside the triangle of the others", () => {
    expect(faultOf([GOOD[0], GOOD[1], [0.3, 0.3], GOOD[3]])).toBe("crossed");
  });

  it("refuses two corners that almost meet", () => {
    expect(
      faultOf([
        [0.1, 0.1],
        [0.13, 0.1],
        [0.9, 0.9],
        [0.1, 0.9],
      ]),
    ).toBe("too_small");
  });
});

describe("moveCorner", () => {
  it("moves one corner and leaves the others", () => {
    const moved = moveCorner(GOOD, 2, [0.95, 0.92]);
    expect(moved).toEqual([GOOD[0], GOOD[1], [0.95, 0.92], GOOD[3]]);
  });

  it("keeps the corner inside the picture", () => {
    expect((moveCorner(GOOD, 0, [-0.5, -2]) as Corners)[0]).toEqual([0, 0]);
  });

  it("says why a move can't be made", () => {
    expect(moveCorner(GOOD, 0, [0.95, 0.95])).toBe("crossed");
  });
});

describe("startingCorners", () => {
  it("takes the server's suggestion", () => {
    expect(startingCorners(GOOD)).toBe(GOOD);
  });

  it.each([
    ["no suggestion", null],
    ["three corners", GOOD.slice(0, 3)],
    ["something else", "corners"],
    [
      "corners outside the picture",
      [
        [-0.1, 0],
        [1, 0],
        [1, 1],
        [0, 1],
      ],
    ],
    ["crossed corners", [GOOD[1], GOOD[0], GOOD[2], GOOD[3]]],
  ])("takes the whole picture for %s", (_case, suggested) => {
    expect(isWhole(startingCorners(suggested))).toBe(true);
  });
});
