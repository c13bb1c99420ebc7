import { describe, expect, it } from "vitest";
import type { Job, LiveEvent } from "../../src/client";
import { applyEvent, Cursor, parseEvent } from "../../src/client/events";
import { StreamParser } from "../../src/client/sse";

const JOB: Job = { id: "job_1", operation: "restore", status: "queued", position: 3, created_at: "" };
const event = (type: string, data: Record<string, unknown> = {}, id = 1): LiveEvent => ({
  id,
  type,
  job: "job_1",
  data,
});

describe("Cursor", () => {
  it("lets each event through once and drops repeats and older ones", () => {
    const cursor = new Cursor();
    const accepted = [1, 2, 2, 1, 5, 4, 6].filter((id) => cursor.accept({ id }));
    expect(accepted).toEqual([1, 2, 5, 6]);
    expect(cursor.last).toBe(6);
  });

  it("compares ids as numbers even where they are text: 10 comes after 9", () => {
    const cursor = new Cursor();
    expect(cursor.accept({ id: "9" })).toBe(true);
    expect(cursor.accept({ id: "10" })).toBe(true);
    expect(cursor.accept({ id: "9" })).toBe(false);
  });
});

describe("applyEvent", () => {
  it("moves a job through its life", () => {
    let job = applyEvent(JOB, event("job.position", { position: 1, wait: { low_s: 2, high_s: 5 } }));
    expect(job).toMatchObject({ status: "queued", position: 1, wait: { low_s: 2, high_s: 5 } });
    job = applyEvent(job, event("job.started", { attempts: 1 }));
    expect(job).toMatchObject({ status: "running", position: null, attempts: 1 });
    job = applyEvent(job, event("job.progress", { stage: "finishing", progress: 0.9 }));
    expect(job).toMatchObject({ status: "running", stage: "finishing", progress: 0.9 });
    job = applyEvent(job, event("job.succeeded", { result: { id: "res_1" } }));
    expect(job).toMatchObject({ status: "succeeded", result: { id: "res_1" } });
  });

  it("takes no bare id for a result", () => {
    expect(applyEvent(JOB, event("job.succeeded", { result: "res_1" })).result).toBeUndefined();
  });

  it("leaves the job it was given alone", () => {
    applyEvent(JOB, event("job.started"));
    expect(JOB.status).toBe("queued");
  });

  it("keeps a job that is being cancelled in that state while it still reports progress", () => {
    const job = applyEvent({ ...JOB, status: "cancelling" }, event("job.progress", { progress: 0.5 }));
    expect(job).toMatchObject({ status: "cancelling", progress: 0.5 });
    expect(applyEvent(job, event("job.cancelled")).status).toBe("cancelled");
  });

  it("changes nothing about a job that has ended", () => {
    const ended: Job = { ...JOB, status: "succeeded" };
    expect(applyEvent(ended, event("job.progress", { progress: 0.1 }))).toBe(ended);
  });

  it("reads a whole job where the event brings one", () => {
    expect(applyEvent(JOB, event("job.progress", { job: { progress: 0.25, status: "running" } })).progress).toBe(0.25);
  });
});

describe("parseEvent", () => {
  it("takes events and nothing else", () => {
    expect(parseEvent('{"id":7,"type":"job.started","job":"job_1","data":{"attempts":1}}')).toMatchObject({ id: 7 });
    for (const text of ["", "not json", "[]", "null", '{"type":"ping"}', '{"id":1,"type":"hello"}']) {
      expect(parseEvent(text)).toBeNull();
    }
  });
});

describe("StreamParser", () => {
  it("puts messages together from pieces cut anywhere", () => {
    const text = ': hello\r\nid: 7\r\nevent: job.progress\r\ndata: {"a":\r\ndata: 1}\r\n\r\nid: 8\ndata: x\n\n';
    for (const size of [1, 2, 3, 7, text.length]) {
      const parser = new StreamParser();
      const messages = [];
      for (let at = 0; at < text.length; at += size) messages.push(...parser.push(text.slice(at, at + size)));
      expect(messages).toEqual([
        { id: "7", event: "job.progress", data: '{"a":\n1}' },
        { id: "8", event: "message", data: "x" },
      ]);
    }
  });

  it("ignores comments and keeps the last id for messages without one", () => {
    const parser = new StreamParser();
    expect(parser.push("id: 3\n\n: ping\n\ndata: x\n\n")).toEqual([{ id: "3", event: "message", data: "x" }]);
  });

  it("does not swallow memory without end", () => {
    expect(() => new StreamParser().push("x".repeat(1_000_001))).toThrow(RangeError);
  });
});
