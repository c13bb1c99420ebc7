/** The files of a result: which to offer for download, in which order, under which names. Pure. */
import type { Result, Variant } from "../client";
import { bytes, words } from "./format";
import { afterSlash } from "./mediatypes";

const NAMES: Record<string, string> = {
  full: "The result",
  original: "Before",
  compare: "Before and after, side by side",
  thumb: "Small picture",
  poster: "A still from it",
  svg: "Line art to scale",
  pdf: "To print",
  pdf_a4: "To print on A4",
  pdf_letter: "To print on Letter",
};
/** These go last, in this order: what was asked for comes before what comes with it. */
const LAST = ["compare", "original", "poster", "thumb"];

export interface Download {
  name: string;
  label: string;
  /** "PDF · 1.2 MB" */
  about: string;
}

export const isPicture = (mediaType: string): boolean => mediaType.startsWith("image/");

export const isVideo = (mediaType: string): boolean => mediaType.startsWith("video/");

/** Everything but the main file, which has its own button. */
export function otherDownloads(result: Result): Download[] {
  const variants = (result.variants ?? []).map(asVariant).filter((variant) => variant.name !== "full");
  const place = (variant: Variant): number => LAST.indexOf(variant.name);
  return variants
    .sort((a, b) => place(a) - place(b))
    .map((variant) => ({ name: variant.name, label: labelOf(variant), about: aboutOf(variant) }));
}

/** Early servers name variants only. */
const asVariant = (variant: Variant | string): Variant => (typeof variant === "string" ? { name: variant } : variant);

const labelOf = (variant: Variant): string =>
  NAMES[variant.name.toLowerCase().replace(/-/g, "_")] ?? words(variant.name);

function aboutOf({ media_type, bytes: size, width, height }: Variant): string {
  const kind = media_type ? afterSlash(media_type) : "";
  const pixels = width && height && kind !== "SVG" && kind !== "PDF" ? `${width} × ${height}` : "";
  return [kind, pixels, size ? bytes(size) : ""].filter(Boolean).join(" · ");
}

/** Sizes are rounded to whole pixels, so that equal shapes differ by a little. */
const SHAPE_TOLERANCE = 0.02;

/** The picture before, and whether it lies over the result well enough to be compared under a slider. */
export function beforeOf(result: Result): "overlaid" | "beside" | null {
  const before = (result.variants ?? []).map(asVariant).find((variant) => variant.name === "original");
  if (!before) return null;
  if (!before.width || !before.height || !result.width || !result.height) return "overlaid";
  const stretch = (before.width / before.height) * (result.height / result.width);
  return Math.abs(stretch - 1) <= SHAPE_TOLERANCE ? "overlaid" : "beside";
}
