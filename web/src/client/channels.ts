/**
 * The two ways events arrive: the WebSocket and, where something on the way blocks that, Server-Sent Events.
 * A channel lives until its connection ends; what to do then is decided in `watch.ts`.
 */
import { parseEvent } from "./events";
import { StreamParser } from "./sse";
import type { Transport } from "./transport";
import type { LiveEvent } from "./types";

/** A connection that has not opened by then is taken for blocked. */
export const OPEN_LIMIT_MS = 6_000;

export interface ChannelHooks {
  /** Resume after this event; undefined on the first connection. */
  after: string | number | undefined;
  onOpen: () => void;
  onEvent: (event: LiveEvent) => void;
  signal: AbortSignal;
}

/** Resolves when the connection ends, for whatever reason; never rejects. */
export type Channel = (job: string, hooks: ChannelHooks) => Promise<void>;

export function socketChannel(transport: Transport, Socket: typeof WebSocket = WebSocket): Channel {
  return (job, hooks) =>
    new Promise((resolve) => {
      const socket = openSocket(transport, Socket);
      if (!socket) return resolve();
      const limit = setTimeout(() => socket.close(), OPEN_LIMIT_MS);
      hooks.signal.addEventListener("abort", () => socket.close(), { once: true });
      socket.onopen = () => {
        clearTimeout(limit);
        const { token } = transport;
        const { after } = hooks;
        socket.send(JSON.stringify({ type: "hello", ...(token && { token }), ...(after !== undefined && { after }) }));
        socket.send(JSON.stringify({ type: "subscribe", job }));
        hooks.onOpen();
      };
      socket.onmessage = (message) => {
        const event = parseEvent(String(message.data));
        if (event?.job === job) hooks.onEvent(event);
      };
      socket.onclose = () => {
        clearTimeout(limit);
        resolve();
      };
    });
}

function openSocket(transport: Transport, Socket: typeof WebSocket): WebSocket | null {
  const address = new URL(transport.url("/live"), globalThis.location?.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  try {
    return new Socket(address);
  } catch {
    return null; // Forbidden by a policy on the way.
  }
}

export function streamChannel(transport: Transport): Channel {
  return async (job, hooks) => {
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (hooks.after !== undefined) headers["last-event-id"] = String(hooks.after);
    if (transport.token !== undefined) headers["authorization"] = `Bearer ${transport.token}`;
    try {
      const response = await fetch(transport.url(`/jobs/${encodeURIComponent(job)}/events`), {
        headers,
        credentials: transport.token === undefined ? "same-origin" : "omit",
        signal: hooks.signal,
      });
      const type = response.headers.get("content-type") ?? "";
      if (!response.ok || !response.body || !type.startsWith("text/event-stream")) return;
      hooks.onOpen();
      await readStream(response.body, job, hooks.onEvent);
    } catch {
      // The connection broke or was closed: the caller starts the next one.
    }
  };
}

async function readStream(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  job: string,
  onEvent: (event: LiveEvent) => void,
): Promise<void> {
  const parser = new StreamParser();
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (const message of parser.push(value)) {
      const event = parseEvent(message.data);
      if (event?.job === job) onEvent(event);
    }
  }
}
