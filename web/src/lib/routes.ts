/** Which page stands at which path. Home is in the first bundle, the others come when they are asked for. */
import type { Component } from "svelte";
import Home from "../pages/Home.svelte";

type Page = Component<Record<string, string>>;

interface Route {
  pattern: RegExp;
  title: string;
  load: () => Promise<Page>;
}

export interface Match {
  route: Route;
  params: Record<string, string>;
}

/** Pages take their path's named groups as properties; that the names agree is for the tests to see. */
const lazy = (load: () => Promise<{ default: unknown }>) => (): Promise<Page> =>
  load().then((module) => module.default as Page);

const ROUTES: readonly Route[] = [
  { pattern: /^\/$/, title: "", load: () => Promise.resolve(Home as unknown as Page) },
  { pattern: /^\/edit\/(?<id>[\w-]+)$/, title: "Your picture", load: lazy(() => import("../pages/Edit.svelte")) },
  { pattern: /^\/jobs\/(?<id>[\w-]+)$/, title: "Your picture", load: lazy(() => import("../pages/Job.svelte")) },
  { pattern: /^\/gallery$/, title: "Gallery", load: lazy(() => import("../pages/Gallery.svelte")) },
  { pattern: /^\/pricing$/, title: "Pricing", load: lazy(() => import("../pages/Pricing.svelte")) },
  { pattern: /^\/donate$/, title: "Donate", load: lazy(() => import("../pages/Donate.svelte")) },
  {
    pattern: /^\/test-checkout\/(?<id>[\w-]+)$/,
    title: "Test checkout",
    load: lazy(() => import("../pages/TestCheckout.svelte")),
  },
  { pattern: /^\/account$/, title: "Account", load: lazy(() => import("../pages/Account.svelte")) },
  { pattern: /^\/sign-in$/, title: "Sign in", load: lazy(() => import("../pages/SignIn.svelte")) },
  { pattern: /^\/forgot$/, title: "A new password", load: lazy(() => import("../pages/Forgot.svelte")) },
  { pattern: /^\/reset$/, title: "A new password", load: lazy(() => import("../pages/Reset.svelte")) },
  { pattern: /^\/verify$/, title: "Your address", load: lazy(() => import("../pages/Verify.svelte")) },
  { pattern: /^\/outbox$/, title: "Outbox", load: lazy(() => import("../pages/Outbox.svelte")) },
  { pattern: /^\/sign-up$/, title: "Sign up", load: lazy(() => import("../pages/SignUp.svelte")) },
];

const NOT_FOUND: Route = {
  pattern: /^/,
  title: "Page not found",
  load: lazy(() => import("../pages/NotFound.svelte")),
};

export function matchRoute(path: string): Match {
  const trimmed = path.length > 1 ? path.replace(/\/+$/, "") : path;
  for (const route of ROUTES) {
    const found = route.pattern.exec(trimmed);
    if (found) return { route, params: { ...found.groups } };
  }
  return { route: NOT_FOUND, params: {} };
}
