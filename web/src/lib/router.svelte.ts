/**
 * Where in the app we are: the History API behind one piece of state. Plain links work, with a modifier key
 * or without; `navigate` is for code.
 */
import { untrack } from "svelte";

interface Place {
  path: string;
  search: string;
  /** Counts navigations inside the app; 0 is the page as it was loaded. */
  visit: number;
  /** Set by a page whose title changes while it is open; empty otherwise. */
  title: string;
}

export const place: Place = $state({ path: location.pathname, search: location.search, visit: 0, title: "" });

function sync(): void {
  place.path = location.pathname;
  place.search = location.search;
  place.visit = untrack(() => place.visit) + 1; // An effect that navigates must not depend on its own doing.
  place.title = "";
}

export function navigate(href: string, { replace = false }: { replace?: boolean } = {}): void {
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  sync();
  scrollTo(0, 0);
}

/** The address to come back to after signing in. */
export const here = (): string => place.path + place.search;

/** Paths that the server answers itself. */
const SERVER_SIDE = /^\/(api|assets|docs|metrics)(\/|$)|^\/(openapi\.json|theme\.css|manifest\.webmanifest)$/;

function followInside(event: MouseEvent): void {
  const modified = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0;
  if (event.defaultPrevented || modified || !(event.target instanceof Element)) return;
  const link = event.target.closest<HTMLAnchorElement>("a[href]");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  const sameSpot = link.hash && link.pathname === location.pathname && link.search === location.search;
  if (sameSpot || SERVER_SIDE.test(link.pathname)) return;
  event.preventDefault();
  navigate(link.pathname + link.search + link.hash);
}

export function startRouter(): void {
  addEventListener("popstate", sync);
  document.addEventListener("click", followInside);
}
