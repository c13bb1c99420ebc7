/** Addresses that came from elsewhere: which of them may become a link, and where one goes after signing in. */

const SCHEMES: ReadonlySet<string> = new Set(["http:", "https:", "mailto:"]);

/** The address if following it can do no harm here, else null (`javascript:` and the like). */
export function safeHref(url: string | null | undefined, origin = location.origin): string | null {
  if (!url) return null;
  try {
    const address = new URL(url, origin);
    if (!SCHEMES.has(address.protocol)) return null;
    return address.origin === origin ? address.pathname + address.search + address.hash : address.href;
  } catch {
    return null;
  }
}

/** A path of this site from a `next` parameter; anything else leads home. */
export function nextPath(next: string | null | undefined, origin = location.origin): string {
  const href = next?.startsWith("/") ? safeHref(next, origin) : null;
  return href?.startsWith("/") ? href : "/";
}

export const withNext = (page: "/sign-in" | "/sign-up", next: string): string =>
  next === "/" ? page : `${page}?next=${encodeURIComponent(next)}`;

/** The token behind the # of this page's address, which is taken out of it: the address may be shared or kept. */
export function takeToken(): string {
  const token = location.hash.slice(1);
  if (token) history.replaceState(history.state, "", location.pathname + location.search);
  return token;
}
