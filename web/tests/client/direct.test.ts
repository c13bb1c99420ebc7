import { beforeEach, describe, expect, it, vi } from "vitest";
import { Problem } from "../../src/client";
import { HAND_IN_ATTEMPTS, SEND_ATTEMPTS, sendDirect } from "../../src/client/direct";
import { parseProblem, unreachable } from "../../src/client/problem";
import { Transport } from "../../src/client/transport";
import type { sendForm } from "../../src/client/upload";

type Answer = Response | Error;

const PLACE = { id: "upl_1", url: "https://files.example.org/bucket", fields: { key: "incoming/upl_1", policy: "e30=" } };
const UPLOAD = { id: "upl_1", width: 600, height: 400, corners: null };
const FILE = new Blob(["a picture"], { type: "image/jpeg" });
const PRESIGN = "/api/v1/uploads/presign";
const COMPLETE = "/api/v1/uploads/upl_1/complete";

const json = (status: number, body: unknown = {}, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers });
const problem = (status: number, code: string, more: object = {}): Response => json(status, { status, code, ...more });

let asked: { path: string; body: unknown }[];
let pauses: number[];

/** A server that gives these answers in turn, and keeps giving the last one. */
function server(answers: Record<string, Answer[]>): Transport {
  const fetch = (url: string, init: RequestInit): Promise<Response> => {
    asked.push({ path: url, body: init.body ? JSON.parse(init.body as string) : undefined });
    const left = answers[url];
    if (!left) throw new Error(`the test foresees no ${url}`);
    const answer = (left.length > 1 ? left.shift() : left[0])!;
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer.clone());
  };
  return new Transport({
    fetch: fetch as typeof globalThis.fetch,
    sleep: (ms) => (pauses.push(ms), Promise.resolve()),
    random: () => 0.5,
  });
}

/** A storage that takes the picture after these refusals. */
const storage = (...refusals: Error[]): typeof sendForm & ReturnType<typeof vi.fn> => {
  const send = vi.fn(() => {
    const refusal = refusals.shift();
    return refusal ? Promise.reject(refusal) : Promise.resolve();
  });
  return send as unknown as typeof sendForm & ReturnType<typeof vi.fn>;
};

const paths = (): string[] => asked.map((call) => call.path);
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "nothing went wrong",
    (error: unknown) => (error instanceof Problem ? error.code : String(error)),
  );

beforeEach(() => {
  asked = [];
  pauses = [];
});

describe("sending a picture past the server", () => {
  it("announces it, sends it where it is told, and hands it in", async () => {
    const send = storage();
    const transport = server({ [PRESIGN]: [json(200, PLACE)], [COMPLETE]: [json(201, UPLOAD)] });
    expect(await sendDirect(transport, FILE, {}, send)).toEqual(UPLOAD);
    expect(asked).toEqual([
      { path: PRESIGN, body: { bytes: 9, media_type: "image/jpeg" } },
      { path: COMPLETE, body: undefined },
    ]);
    expect(send).toHaveBeenCalledExactlyOnceWith(PLACE.url, PLACE.fields, FILE, {});
  });

  it("sends it again when the connection or the storage gave way", async () => {
    const onProgress = vi.fn();
    const send = storage(unreachable(), parseProblem(503, null));
    const transport = server({ [PRESIGN]: [json(200, PLACE)], [COMPLETE]: [json(201, UPLOAD)] });
    expect(await sendDirect(transport, FILE, { onProgress }, send)).toEqual(UPLOAD);
    expect(send).toHaveBeenCalledTimes(3);
    expect(pauses).toHaveLength(2);
    expect(pauses[1]).toBeGreaterThan(pauses[0]!);
    expect(onProgress).toHaveBeenCalledWith(0);
  });

  it.each([
    ["can't be reached at all", Array.from({ length: SEND_ATTEMPTS }, () => unreachable()), SEND_ATTEMPTS],
    ["refuses it", [parseProblem(403, null)], 1],
  ])("leaves it to the server when the storage %s", async (_, refusals, times) => {
    const send = storage(...refusals);
    const transport = server({ [PRESIGN]: [json(200, PLACE)] });
    expect(await sendDirect(transport, FILE, {}, send)).toBeNull();
    expect(send).toHaveBeenCalledTimes(times);
    expect(paths()).toEqual([PRESIGN]);
  });

  it.each([404, 405, 503])("leaves it to the server when that offers no such thing (%d)", async (status) => {
    const send = storage();
    expect(await sendDirect(server({ [PRESIGN]: [problem(status, "unavailable")] }), FILE, {}, send)).toBeNull();
    expect(send).not.toHaveBeenCalled();
  });

  it.each(["too_large", "unsupported_media", "plan_limit"])("tells what is refused at once: %s", async (code) => {
    const transport = server({ [PRESIGN]: [problem(422, code)] });
    expect(await codeOf(sendDirect(transport, FILE, {}, storage()))).toBe(code);
  });

  it("hands it in again when no answer came or it is being looked at", async () => {
    const answers = [
      new TypeError("fetch failed"),
      problem(409, "wrong_state", { retry_after_s: 2 }),
      problem(503, "busy"),
      json(200, UPLOAD),
    ];
    const transport = server({ [PRESIGN]: [json(200, PLACE)], [COMPLETE]: answers });
    expect(await sendDirect(transport, FILE, {}, storage())).toEqual(UPLOAD);
    expect(pauses).toHaveLength(3);
    expect(pauses[1]).toBe(2000);
  });

  it("gives up handing in after a while", async () => {
    const transport = server({ [PRESIGN]: [json(200, PLACE)], [COMPLETE]: [problem(503, "unavailable")] });
    expect(await codeOf(sendDirect(transport, FILE, {}, storage()))).toBe("unavailable");
    expect(paths().filter((path) => path === COMPLETE)).toHaveLength(HAND_IN_ATTEMPTS);
  });

  it("leaves it to the server when it was sent and never arrived", async () => {
    const transport = server({ [PRESIGN]: [json(200, PLACE)], [COMPLETE]: [problem(409, "wrong_state")] });
    expect(await sendDirect(transport, FILE, {}, storage())).toBeNull();
  });

  it("tells what is wrong with the picture", async () => {
    const transport = server({ [PRESIGN]: [json(200, PLACE)], [COMPLETE]: [problem(422, "invalid_input")] });
    expect(await codeOf(sendDirect(transport, FILE, {}, storage()))).toBe("invalid_input");
    expect(pauses).toEqual([]);
  });

  it("stops when it is cancelled", async () => {
    const controller = new AbortController();
    const transport = server({ [PRESIGN]: [json(200, PLACE)], [COMPLETE]: [json(201, UPLOAD)] });
    const cancelled = vi.fn(() => Promise.reject(new DOMException("The upload was cancelled.", "AbortError")));
    const sending = sendDirect(transport, FILE, { signal: controller.signal }, cancelled as unknown as typeof sendForm);
    expect(await codeOf(sending)).toContain("AbortError");
    const send = storage(unreachable());
    send.mockImplementationOnce(() => {
      controller.abort();
      return Promise.reject(unreachable());
    });
    expect(await codeOf(sendDirect(transport, FILE, { signal: controller.signal }, send))).toContain("AbortError");
    expect(paths()).toEqual([PRESIGN, PRESIGN]);
  });
});
