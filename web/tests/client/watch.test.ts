import { beforeEach, describe, expect, it } from "vitest";
import type { Channel, ChannelHooks } from "../../src/client/channels";
import { parseProblem, unreachable } from "../../src/client/problem";
import type { Job, LiveEvent } from "../../src/client";
import { hasEnded } from "../../src/client";
import { JobWatch, type Via } from "../../src/client/watch";

const QUEUED: Job = { id: "job_1", operation: "restore", status: "queued", position: 2, created_at: "" };
const RUNNING: Job = { ...QUEUED, status: "running", position: null, progress: 0 };
const DONE: Job = { ...RUNNING, status: "succeeded", progress: 1, result: { id: "res_1" } };

const event = (id: number, type: string, data: Record<string, unknown> = {}): LiveEvent => ({
  id,
  type,
  job: "job_1",
  data,
});

/** Lets everything run that is already under way. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

/** A server with one job, and what a page saw of it. */
class Scene {
  job: Job = QUEUED;
  shown: [Job, Via][] = [];
  after: (string | number | undefined)[] = [];
  opened: Via[] = [];
  problems: number[] = [];
  reachable: boolean[] = [];
  reads = 0;
  onRead: ((read: number) => Job | Promise<Job>) | null = null;

  watch(channels: Partial<Record<"socket" | "stream", Channel>>): JobWatch {
    const counted = (via: Via, channel: Channel) => ({
      via,
      open: (job: string, hooks: ChannelHooks) => {
        this.opened.push(via);
        this.after.push(hooks.after);
        return channel(job, hooks);
      },
    });
    return new JobWatch("job_1", {
      read: async () => {
        this.reads += 1;
        return this.onRead ? this.onRead(this.reads) : this.job;
      },
      channels: [counted("socket", channels.socket ?? blocked), counted("stream", channels.stream ?? blocked)],
      onJob: (job, via) => this.shown.push([job, via]),
      onProblem: (problem) => this.problems.push(problem.status),
      onReachable: (reachable) => this.reachable.push(reachable),
      // Pauses pass at once, but only after everything that is already under way.
      sleep: (_ms, signal) => (signal.aborted ? Promise.resolve() : turn()),
    });
  }

  get progress(): (number | null | undefined)[] {
    return this.shown.map(([job]) => job.progress);
  }
}

const blocked: Channel = () => Promise.resolve();

/** A connection that brings the given events, one after the other, and then breaks. */
const bringing =
  (events: readonly (LiveEvent | (() => void))[]): Channel =>
  async (_job, hooks) => {
    hooks.onOpen();
    for (const next of events) {
      await turn();
      if (typeof next === "function") next();
      else hooks.onEvent(next);
    }
  };

/** One connection after the other. */
function inTurn(...channels: Channel[]): Channel {
  let turn = 0;
  return (job, hooks) => (channels[turn++] ?? blocked)(job, hooks);
}

let scene: Scene;
beforeEach(() => {
  scene = new Scene();
});
const finish = (): void => void (scene.job = DONE);
const start = (): void => void (scene.job = RUNNING);

describe("a job that is watched", () => {
  it("is shown from the first read to the result, and the result comes from the job itself", async () => {
    const socket = bringing([start, event(1, "job.started"), finish, event(2, "job.succeeded")]);
    await scene.watch({ socket }).run();
    expect(scene.shown.at(-1)?.[0]).toEqual(DONE);
    expect(scene.shown[0]?.[0]).toEqual(QUEUED);
    expect(scene.opened).toEqual(["socket"]);
  });

  it("is read once and no connection opened when it has ended already", async () => {
    scene.job = DONE;
    await scene.watch({}).run();
    expect([scene.reads, scene.opened]).toEqual([1, []]);
  });

  it("resumes after the last event it saw when the connection breaks", async () => {
    const socket = inTurn(
      bringing([start, event(11, "job.started"), event(12, "job.progress", { progress: 0.3 })]),
      bringing([event(13, "job.progress", { progress: 0.6 }), finish, event(14, "job.succeeded")]),
    );
    await scene.watch({ socket }).run();
    expect(scene.after).toEqual([undefined, 12]);
    expect(scene.shown.at(-1)?.[0].status).toBe("succeeded");
  });

  it("drops events that come a second time after resuming", async () => {
    scene.onRead = (read) => (read === 1 ? RUNNING : new Promise<Job>(() => undefined));
    const again = [event(1, "job.progress", { progress: 0.2 }), event(2, "job.progress", { progress: 0.4 })];
    const watch = scene.watch({
      socket: inTurn(
        bringing(again),
        bringing([...again, event(3, "job.progress", { progress: 0.6 }), () => watch.stop()]),
      ),
    });
    await watch.run();
    expect(scene.progress).toEqual([0, 0.2, 0.4, 0.6]);
  });

  it("ignores an answer that an event has overtaken", async () => {
    let answerLate: (job: Job) => void = () => undefined;
    scene.onRead = (read) => (read === 2 ? new Promise<Job>((resolve) => (answerLate = resolve)) : scene.job);
    scene.job = RUNNING;
    const watch = scene.watch({
      socket: bringing([
        event(1, "job.progress", { progress: 0.7 }),
        () => answerLate({ ...RUNNING, progress: 0.1 }),
        () => watch.stop(),
      ]),
    });
    await watch.run();
    expect(scene.progress).toEqual([0, 0.7]);
  });

  it("does not hang on a connection that opens and stays silent", async () => {
    scene.onRead = (read) => (read < 4 ? RUNNING : DONE);
    const silent: Channel = (_job, hooks) =>
      new Promise((resolve) => {
        hooks.onOpen();
        hooks.signal.addEventListener("abort", () => resolve());
      });
    await scene.watch({ socket: silent }).run();
    expect(scene.shown.at(-1)?.[0].status).toBe("succeeded");
  });

  it("falls back to the stream, and then to asking", async () => {
    scene.onRead = (read) => (read < 4 ? RUNNING : DONE);
    await scene.watch({}).run();
    expect(scene.opened).toEqual(["socket", "socket", "stream", "stream"]);
    expect(scene.shown.at(-1)?.[1]).toBe("poll");
  });

  it("uses the stream where only the socket is blocked", async () => {
    const stream = bringing([start, event(1, "job.started"), finish, event(2, "job.succeeded")]);
    await scene.watch({ stream }).run();
    expect(scene.opened).toEqual(["socket", "socket", "stream"]);
    expect(scene.shown.at(-1)?.[1]).toBe("stream");
  });

  it("treats a connection that is closed as soon as it opens as blocked, and does not hammer the server", async () => {
    scene.onRead = (read) => (read < 8 ? RUNNING : DONE);
    const slammed: Channel = (_job, hooks) => (hooks.onOpen(), Promise.resolve());
    await scene.watch({ socket: slammed, stream: slammed }).run();
    expect(scene.opened.filter((via) => via === "socket").length).toBeLessThanOrEqual(2);
  });

  it("goes on when the server is away for a while, and says so", async () => {
    scene.onRead = (read) => {
      if (read === 2 || read === 3) throw unreachable();
      return read < 5 ? RUNNING : DONE;
    };
    await scene.watch({}).run();
    expect(scene.reachable).toContain(false);
    expect(scene.reachable.at(-1)).toBe(true);
    expect(scene.shown.at(-1)?.[0].status).toBe("succeeded");
  });

  it.each([200, 404])("goes on when something in between answers with %i and a page of its own", async (status) => {
    scene.onRead = (read) => {
      if (read === 2) throw parseProblem(status, null);
      return read < 4 ? RUNNING : DONE;
    };
    await scene.watch({}).run();
    expect([scene.problems, scene.reachable.includes(false)]).toEqual([[], true]);
    expect(scene.shown.at(-1)?.[0].status).toBe("succeeded");
  });

  it("ends with the problem when there is no such job", async () => {
    scene.onRead = () => {
      throw parseProblem(404, { code: "not_found" });
    };
    await scene.watch({}).run();
    expect([scene.problems, scene.opened]).toEqual([[404], []]);
  });

  it("reads the end again when the first try fails: an event alone does not tell how it ended", async () => {
    scene.onRead = (read) => {
      if (read === 1) return RUNNING;
      if (read < 4) throw unreachable();
      return DONE;
    };
    await scene.watch({ socket: bringing([event(1, "job.succeeded")]) }).run();
    const last = scene.shown.at(-1)?.[0];
    expect(last && hasEnded(last) && last.result?.id).toBe("res_1");
  });

  it("stops for good when it is told to", async () => {
    scene.job = RUNNING;
    const watch = scene.watch({
      socket: bringing([() => watch.stop(), event(1, "job.progress", { progress: 0.9 })]),
    });
    await watch.run();
    expect(scene.progress).not.toContain(0.9);
  });
});
