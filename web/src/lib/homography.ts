/**
 * The plane projective map that takes four points to four others, and CSS's notation for it. Used for the
 * straightened preview only; the server does the real warp at full resolution.
 */
import type { Corners } from "../client";

/** Row by row: [a b c; d e f; g h 1] without the last 1. */
export type Homography = readonly [number, number, number, number, number, number, number, number];
type Pixel = readonly [number, number];
export type Quad = readonly [Pixel, Pixel, Pixel, Pixel];

/**
 * Solves the eight equations of four point pairs by Gauss-Jordan elimination with partial pivoting (the direct
 * linear transform; Hartley and Zisserman, Multiple View Geometry, chapter 4). Null when three points are in line.
 */
export function homography(from: Quad, to: Quad): Homography | null {
  const rows: number[][] = [];
  for (let i = 0; i < 4; i += 1) {
    const [x, y] = from[i] as Pixel;
    const [u, v] = to[i] as Pixel;
    rows.push([x, y, 1, 0, 0, 0, -u * x, -u * y, u], [0, 0, 0, x, y, 1, -v * x, -v * y, v]);
  }
  return eliminate(rows) ? (rows.map((row, i) => at(row, 8) / at(row, i)) as unknown as Homography) : null;
}

const SINGULAR = 1e-9;
const at = (row: readonly number[], index: number): number => row[index] as number;

function eliminate(rows: number[][]): boolean {
  const row = (index: number): number[] => rows[index] as number[];
  for (let column = 0; column < 8; column += 1) {
    let pivot = column;
    for (let r = column + 1; r < 8; r += 1) {
      if (Math.abs(at(row(r), column)) > Math.abs(at(row(pivot), column))) pivot = r;
    }
    if (Math.abs(at(row(pivot), column)) < SINGULAR) return false;
    [rows[column], rows[pivot]] = [row(pivot), row(column)];
    for (let r = 0; r < 8; r += 1) {
      if (r === column) continue;
      const factor = at(row(r), column) / at(row(column), column);
      for (let k = column; k < 9; k += 1) row(r)[k] = at(row(r), k) - factor * at(row(column), k);
    }
  }
  return true;
}

/** Where the map takes a point; in pixels. */
export function project(map: Homography, [x, y]: Pixel): Pixel {
  const [a, b, c, d, e, f, g, h] = map;
  const w = g * x + h * y + 1;
  return [(a * x + b * y + c) / w, (d * x + e * y + f) / w];
}

/** The same map for CSS `transform`, whose matrix is written column by column. */
export function matrix3d([a, b, c, d, e, f, g, h]: Homography): string {
  const cells = [a, d, 0, g, b, e, 0, h, 0, 0, 1, 0, c, f, 0, 1];
  return `matrix3d(${cells.map((cell) => cell.toFixed(12)).join(",")})`;
}

/** Corners given as fractions, in pixels of a picture of this size. */
export const toPixels = (corners: Corners, width: number, height: number): Quad =>
  corners.map(([x, y]) => [x * width, y * height] as const) as unknown as Quad;

/** Width and height of the straightened picture: the longer of each pair of opposite sides, in pixels. */
export function straightenedSize(quad: Quad): { width: number; height: number } {
  const [tl, tr, br, bl] = quad;
  const apart = (a: Pixel, b: Pixel): number => Math.hypot(a[0] - b[0], a[1] - b[1]);
  return {
    width: Math.max(apart(tl, tr), apart(bl, br), 1),
    height: Math.max(apart(tl, bl), apart(tr, br), 1),
  };
}

/** The CSS that shows `corners` of a `width` x `height` picture as an upright one of at most `limit` pixels. */
export function straighten(
  corners: Corners,
  width: number,
  height: number,
  limit: number,
): { width: number; height: number; transform: string } | null {
  const quad = toPixels(corners, width, height);
  const size = straightenedSize(quad);
  const scale = limit / Math.max(size.width, size.height);
  const [w, h] = [size.width * scale, size.height * scale];
  const map = homography(quad, [
    [0, 0],
    [w, 0],
    [w, h],
    [0, h],
  ]);
  return map && { width: w, height: h, transform: matrix3d(map) };
}
