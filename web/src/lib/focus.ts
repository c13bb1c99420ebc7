/** Where the focus goes when the page changes under it. */
import { tick } from "svelte";

/** Reading goes on at the page's heading, not at the link that led here. */
export function focusHeading(): void {
  const target = document.querySelector<HTMLElement>("main h1") ?? document.querySelector("main");
  if (!target) return;
  target.tabIndex = -1;
  target.focus({ preventScroll: true });
}

/**
 * To call before the page redraws: if that takes away what has the focus, the heading gets it. Otherwise the
 * keyboard would start again at the top of the document.
 */
export async function keepFocus(): Promise<void> {
  const inside = document.querySelector("main")?.contains(document.activeElement) ?? false;
  await tick();
  if (inside && document.activeElement === document.body) focusHeading();
}
