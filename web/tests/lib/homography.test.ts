import { describe, expect, it } from "vitest";
import { homography, matrix3d, project, type Quad, straighten, straightenedSize } from "../../src/lib/homography";

const UPRIGHT: Quad = [
  [0, 0],
  [300, 0],
  [300, 200],
  [0, 200],
];
const TILTED: Quad = [
  [120, 40],
  [610, 95],
  [580, 470],
  [60, 390],
];

const near = (actual: readonly number[], wanted: readonly number[]): void => {
  actual.forEach((value, i) => expect(value).toBeCloseTo(wanted[i] as number, 6));
};

/** What a browser does with a CSS matrix: column by column, then divides by w. */
function applyCss(css: string, [x, y]: readonly [number, number]): [number, number] {
  const m = css.slice("matrix3d(".length, -1).split(",").map(Number) as number[];
  const row = (r: number): number => (m[r] as number) * x + (m[4 + r] as number) * y + (m[12 + r] as number);
  return [row(0) / row(3), row(1) / row(3)];
}

describe("homography", () => {
  it("takes each of the four points to its counterpart", () => {
    const map = homography(TILTED, UPRIGHT);
    expect(map).not.toBeNull();
    TILTED.forEach((point, i) => near(project(map!, point), UPRIGHT[i]!));
  });

  it("keeps what is straight straight: a point on a side stays on that side", () => {
    const map = homography(UPRIGHT, TILTED)!;
    const [[ax, ay], [bx, by]] = [TILTED[0], TILTED[1]];
    const [x, y] = project(map, [140, 0]);
    expect((bx - ax) * (y - ay) - (by - ay) * (x - ax)).toBeCloseTo(0, 6);
  });

  it("meets the crossing of the diagonals, which is where perspective differs from stretching", () => {
    const map = homography(UPRIGHT, TILTED)!;
    const [x, y] = project(map, [150, 100]);
    const [a, b, c, d] = TILTED;
    const onDiagonal = (p: readonly [number, number], q: readonly [number, number]): number =>
      (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]);
    expect(onDiagonal(a, c)).toBeCloseTo(0, 5);
    expect(onDiagonal(b, d)).toBeCloseTo(0, 5);
  });

  it("is the identity for equal quads", () => {
    near(homography(UPRIGHT, UPRIGHT)!, [1, 0, 0, 0, 1, 0, 0, 0]);
  });

  it("gives up on three points in a line instead of answering with infinities", () => {
    const flat: Quad = [
      [0, 0],
      [100, 0],
      [200, 0],
      [50, 80],
    ];
    expect(homography(flat, UPRIGHT)).toBeNull();
  });
});

describe("matrix3d", () => {
  it("means the same to a browser as the map does here", () => {
    const map = homography(TILTED, UPRIGHT)!;
    near(applyCss(matrix3d(map), [333, 222]), project(map, [333, 222]));
  });
});

describe("straighten", () => {
  it("puts the corners of the part onto the corners of the preview, the longer side at the limit", () => {
    const corners = TILTED.map(([x, y]) => [x / 800, y / 600] as const) as never;
    const view = straighten(corners, 800, 600, 200)!;
    expect(Math.max(view.width, view.height)).toBeCloseTo(200, 9);
    near(applyCss(view.transform, TILTED[0]), [0, 0]);
    near(applyCss(view.transform, TILTED[2]), [view.width, view.height]);
  });

  it("takes the longer of two opposite sides", () => {
    const size = straightenedSize([
      [0, 0],
      [100, 0],
      [140, 60],
      [0, 50],
    ]);
    expect(size.width).toBeCloseTo(Math.hypot(140, 10));
    expect(size.height).toBeCloseTo(Math.hypot(40, 60));
  });
});
