/** What four corners may be, and moving one of them. Fractions of the picture, clockwise from top left. */
import type { Corners, Point } from "../client";

export const WHOLE_PICTURE: Corners = [
  [0, 0],
  [1, 0],
  [1, 1],
  [0, 1],
];

/** Each side has to span at least this fraction of the picture. */
export const MIN_SIDE = 0.04;
/** Twice the least area of the triangle at a corner: keeps three corners from standing in a line. */
const MIN_TURN = 0.0008;

export type Fault = "crossed" | "too_small";

/** Why these corners can't be a picture, or null when they can. */
export function faultOf(corners: Corners): Fault | null {
  for (let i = 0; i < 4; i += 1) {
    const [a, b, c] = [pick(corners, i), pick(corners, i + 1), pick(corners, i + 2)];
    const turn = (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]);
    if (turn < MIN_TURN) return "crossed";
    if (Math.hypot(b[0] - a[0], b[1] - a[1]) < MIN_SIDE) return "too_small";
  }
  return null;
}

const pick = (corners: Corners, index: number): Point => corners[index % 4] as Point;
const inside = (value: number): number => Math.min(1, Math.max(0, value));

/** `corners` with one of them moved, kept inside the picture; or why that can't be. */
export function moveCorner(corners: Corners, index: number, [x, y]: Point): Corners | Fault {
  const moved = corners.map((corner, i) => (i === index ? ([inside(x), inside(y)] as const) : corner));
  const next = moved as unknown as Corners;
  return faultOf(next) ?? next;
}

/** The server's suggestion where it can be used, else the whole picture. */
export function startingCorners(suggested: unknown): Corners {
  return isCorners(suggested) && faultOf(suggested) === null ? suggested : WHOLE_PICTURE;
}

export const isWhole = (corners: Corners): boolean =>
  corners.every(([x, y], i) => x === WHOLE_PICTURE[i]?.[0] && y === WHOLE_PICTURE[i]?.[1]);

function isCorners(value: unknown): value is Corners {
  const fraction = (n: unknown): boolean => typeof n === "number" && n >= 0 && n <= 1;
  const isPoint = (p: unknown): boolean => Array.isArray(p) && p.length === 2 && p.every(fraction);
  return Array.isArray(value) && value.length === 4 && value.every(isPoint);
}
