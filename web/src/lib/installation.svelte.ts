/**
 * The installed app: its service worker, the offer of a newer version, and the browser's offer to install.
 */
interface InstallPrompt extends Event {
  prompt(): Promise<unknown>;
}

class Installation {
  /** Set when a newer version waits: takes it over, which reloads the page. */
  update: (() => void) | null = $state.raw(null);
  /** Set when the browser would install the app: asks the visitor. */
  install: (() => Promise<void>) | null = $state.raw(null);
}

export const installation = new Installation();

export function watchInstallation(): void {
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    installation.install = async () => {
      installation.install = null;
      await (event as InstallPrompt).prompt();
    };
  });
  addEventListener("appinstalled", () => (installation.install = null));
}

/** `version` is the product file's: another theme is another shell to keep. */
export async function registerWorker(version: string): Promise<void> {
  if (!("serviceWorker" in navigator) || !import.meta.env.PROD) return;
  const address = trustedWorkerUrl(`/sw.js?product=${encodeURIComponent(version)}`);
  try {
    watchTakeOver();
    const registration = await navigator.serviceWorker.register(address, { scope: "/" });
    offerUpdate(registration.waiting);
    offerWhenInstalled(registration.installing);
    registration.addEventListener("updatefound", () => offerWhenInstalled(registration.installing));
  } catch {
    // Private windows forbid workers; the app works without, only not offline.
  }
}

function offerWhenInstalled(worker: ServiceWorker | null): void {
  worker?.addEventListener("statechange", () => {
    if (worker.state === "installed") offerUpdate(worker);
  });
}

function offerUpdate(worker: ServiceWorker | null): void {
  if (!worker || !navigator.serviceWorker.controller) return;
  installation.update = () => worker.postMessage("take-over");
}

/** Reloads once when a newer worker takes over, not when the very first one does. */
function watchTakeOver(): void {
  let controlled = navigator.serviceWorker.controller !== null;
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    if (controlled) location.reload();
    controlled = true;
  });
}

interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL: (url: string) => string },
  ): { createScriptURL(url: string): string };
}

/** Under `require-trusted-types-for 'script'` even the worker's address needs a policy. */
function trustedWorkerUrl(url: string): string {
  const { trustedTypes } = window as { trustedTypes?: TrustedTypes };
  const policy = trustedTypes?.createPolicy("app-worker", {
    createScriptURL: (candidate) => {
      if (!candidate.startsWith("/sw.js")) throw new TypeError(`not a worker of this app: ${candidate}`);
      return candidate;
    },
  });
  return policy ? policy.createScriptURL(url) : url;
}
