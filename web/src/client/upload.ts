/**
 * Sends one file and tells how far it is. XMLHttpRequest, because `fetch` reports no progress of what it sends.
 */
import { parseProblem, unreachable } from "./problem";
import type { Upload } from "./types";

export interface UploadOptions {
  /** Try to send it past the server; the product says whether that is offered. */
  direct?: boolean;
  /** Called with 0..1; 1 means all is sent and the server is looking at the picture. */
  onProgress?: (fraction: number) => void;
  signal?: AbortSignal;
  token?: string | undefined;
}

/** One try. @throws Problem, or AbortError when `signal` fires. */
export async function sendFile(url: string, file: Blob, name: string, options: UploadOptions): Promise<Upload> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (options.token !== undefined) headers["authorization"] = `Bearer ${options.token}`;
  const form = new FormData();
  form.append("file", file, name);
  return readUpload(await post(url, form, headers, options));
}

/** Sends a form to where the server said, without credentials: one try. @throws as `sendFile` */
export async function sendForm(
  url: string,
  fields: Record<string, string>,
  file: Blob,
  options: UploadOptions,
): Promise<void> {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", file, "picture"); // After the fields: a storage reads no further.
  const { status } = await post(url, form, {}, options);
  if (status < 200 || status >= 300) throw parseProblem(status, null);
}

/** Resolves with whatever is answered. */
function post(
  url: string,
  form: FormData,
  headers: Record<string, string>,
  options: UploadOptions,
): Promise<XMLHttpRequest> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.responseType = "text";
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable && event.total > 0) options.onProgress?.(event.loaded / event.total);
    };
    request.onload = () => resolve(request);
    request.onerror = () => reject(unreachable("The connection was lost while the picture was on its way. Try again."));
    request.onabort = () => reject(new DOMException("The upload was cancelled.", "AbortError"));
    const { signal } = options;
    if (signal?.aborted) return reject(new DOMException("The upload was cancelled.", "AbortError"));
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

function readUpload(request: XMLHttpRequest): Upload {
  let body: unknown = null;
  try {
    body = JSON.parse(request.responseText);
  } catch {
    // A proxy's error page: the status alone has to do.
  }
  const made = request.status >= 200 && request.status < 300;
  if (made && body !== null) return body as Upload;
  throw parseProblem(request.status, body, request.getResponseHeader("retry-after"));
}
