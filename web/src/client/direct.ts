/**
 * Sends a picture past the server, straight to where files lie: announced, sent, handed in.
 *
 * Whatever is in the way of that (an older server, a storage that this network or this page may not reach) is no
 * reason to fail: the caller then sends it through the server. What is wrong with the picture itself is.
 */
import { Problem, UNREACHABLE } from "./problem";
import type { Transport } from "./transport";
import type { Presigned, Upload } from "./types";
import { sendForm, type UploadOptions } from "./upload";

export const SEND_ATTEMPTS = 3;
export const HAND_IN_ATTEMPTS = 6;
/** The server fetches the picture and looks at it meanwhile. */
export const HAND_IN_LIMIT_MS = 150_000;

/** Null where it has to go through the server. @throws Problem, or AbortError when the options' signal fires. */
export async function sendDirect(
  transport: Transport,
  file: Blob,
  options: UploadOptions,
  send: typeof sendForm = sendForm,
): Promise<Upload | null> {
  const place = await announce(transport, file, options);
  if (place === null || !(await sent(transport, place, file, options, send))) return null;
  return handIn(transport, place, options);
}

async function announce(transport: Transport, file: Blob, { signal }: UploadOptions): Promise<Presigned | null> {
  const json = { bytes: file.size, media_type: file.type };
  try {
    return await transport.json<Presigned>("/uploads/presign", { method: "POST", json, signal });
  } catch (error) {
    if (error instanceof Problem && (error.status === 404 || error.status === 405 || error.status === 503)) return null;
    throw error;
  }
}

/** False where it can't be sent there. */
async function sent(
  transport: Transport,
  place: Presigned,
  file: Blob,
  options: UploadOptions,
  send: typeof sendForm,
): Promise<boolean> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await send(place.url, place.fields, file, options);
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const passing = error.code === UNREACHABLE || error.status >= 500;
      options.onProgress?.(0);
      if (!passing || attempt === SEND_ATTEMPTS) return false;
      await transport.pause(attempt);
      options.signal?.throwIfAborted();
    }
  }
}

async function handIn(transport: Transport, place: Presigned, { signal }: UploadOptions): Promise<Upload | null> {
  const path = `/uploads/${encodeURIComponent(place.id)}/complete`;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await transport.json<Upload>(path, { method: "POST", signal, limitMs: HAND_IN_LIMIT_MS });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const underWay = error.status === 409 && error.retryAfterS !== undefined;
      const passing = underWay || error.code === UNREACHABLE || error.status >= 500;
      if (!passing && error.status === 409) return null; // It never arrived.
      if (!passing || attempt === HAND_IN_ATTEMPTS) throw error;
      await transport.pause(attempt, error.retryAfterS);
      signal?.throwIfAborted();
    }
  }
}
