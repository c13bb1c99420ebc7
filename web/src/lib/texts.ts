/**
 * The words that a product may change, with what stands there when it does not. `{name}` in a text is replaced.
 * Everything else the app says is about the app itself and stays.
 */
import type { Product } from "../client";

const DEFAULTS = {
  home_title: "Give a picture a new life",
  home_lead: "Add a picture, see the price before you start, and watch the work as it happens.",
  drop_hint: "Drop a picture here, paste it, or",
  choose: "Choose a picture",
  use_camera: "Use the camera",
  privacy_note: "Your original is deleted as soon as it has been prepared.",
  edit_title: "Check the corners",
  edit_lead: "Drag a corner if it is off. The preview shows the straightened picture.",
  submit: "Start",
  result_title: "Your picture is ready",
  start_another: "Start another",
  gallery_empty: "Nothing here yet. What you make is kept here.",
  pricing_title: "Plans and prices",
  pricing_lead: "Credits add up from month to month for as long as you keep a plan.",
  home_tab: "Start",
} as const;

export type TextKey = keyof typeof DEFAULTS;

export function textOf(product: Product | null, key: TextKey, values: Record<string, string> = {}): string {
  const tagline = key === "home_title" ? product?.brand?.tagline : undefined;
  const text = product?.texts?.[key] || tagline || DEFAULTS[key];
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}
