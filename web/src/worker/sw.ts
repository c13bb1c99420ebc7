/**
 * The service worker: keeps the shell and its assets so that the app opens without a server.
 *
 * It keeps only what is the same for everyone, never an answer of the API nor a page with someone's data, and
 * steps aside for everything else. The build fills in the list of assets; the product's version comes in the
 * worker's own address, so that a new theme is a new shell.
 */
declare const __ASSETS__: string[];
declare const __BUILD__: string;

const scope = self as unknown as ServiceWorkerGlobalScope;

const SHELL = "/shell";
const THEME = ["/theme.css", "/manifest.webmanifest", "/icon.svg"];
const PREFIX = "penstock-shell-";
const productVersion = new URL(scope.location.href).searchParams.get("product") ?? "";
const CACHE = `${PREFIX}${__BUILD__}-${productVersion}`;

scope.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll([SHELL, ...THEME, ...__ASSETS__])));
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(forgetOlder().then(() => scope.clients.claim()));
});

scope.addEventListener("message", (event) => {
  if (event.data === "take-over") void scope.skipWaiting();
});

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== scope.location.origin) return;
  if (pathname.startsWith("/assets/")) event.respondWith(cacheFirst(request));
  else if (THEME.includes(pathname)) event.respondWith(networkFirst(request, request));
  else if (request.mode === "navigate" && isPage(pathname)) {
    event.respondWith(networkFirst(request, SHELL));
  }
});

/** Paths that show the shell; what the server answers itself is left to it. */
const isPage = (pathname: string): boolean => !/^\/(api|admin|embed|docs)(\/|$)|\.\w+$/.test(pathname);

async function forgetOlder(): Promise<void> {
  const names = await caches.keys();
  const older = names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(older.map((name) => caches.delete(name)));
}

/** Hashed files never change under their name. */
const cacheFirst = async (request: Request): Promise<Response> => (await caches.match(request)) ?? fetch(request);

async function networkFirst(request: Request, fallback: RequestInfo): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const kept = await caches.match(fallback);
    if (kept) return kept;
    throw error;
  }
}
