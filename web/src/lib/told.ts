/**
 * What went wrong on the way back from an OpenID provider: the browser came here by itself, so the server left its
 * words in a cookie of a minute.
 */
import { parseProblem, type Problem } from "../client";

const COOKIE = "penstock_told";

/** What the server had to say, once; null where it left nothing. */
export function takeTold(page: Document = document): Problem | null {
  const pair = page.cookie.split("; ").find((each) => each.startsWith(`${COOKIE}=`));
  if (!pair) return null;
  page.cookie = `${COOKIE}=; path=/sign-in; max-age=0`;
  try {
    const body: unknown = JSON.parse(decodeURIComponent(pair.slice(COOKIE.length + 1)));
    return parseProblem(0, body);
  } catch {
    return null;
  }
}
