/** The one client of the app, wired to its session and its idea of whether the server can be reached. */
import { PenstockClient } from "../client";
import { connection } from "./connection.svelte";

let signedOut = (): void => {};

/** Says what happens when a call needed a session and there is none any more. */
export function onSignedOut(callback: () => void): void {
  signedOut = callback;
}

const RENEWED_AT = "penstock.renewed-at";

/** One renewal at a time over all tabs: the second of two with one refresh token would end the session. */
const exclusively = <T>(run: () => Promise<T>): Promise<T> =>
  "locks" in navigator ? (navigator.locks.request("penstock-renewal", run) as Promise<T>) : run();

export const api = new PenstockClient({
  exclusively,
  renewedAt: {
    read: () => Number(localStorage.getItem(RENEWED_AT) ?? 0),
    write: (ms) => localStorage.setItem(RENEWED_AT, String(ms)),
  },
  onReachable: (reachable) => connection.report(reachable),
  onSignedOut: () => signedOut(),
});
