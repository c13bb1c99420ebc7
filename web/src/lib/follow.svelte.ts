/** One job on screen: follows it live for as long as its page is open. */
import { hasEnded, type Job, JobWatch, type Problem, socketChannel, streamChannel, type Via } from "../client";
import { api } from "./api";
import { connection } from "./connection.svelte";
import { refreshSession } from "./session.svelte";

export class FollowedJob {
  value: Job | null = $state.raw(null);
  via: Via = $state("poll");
  problem: Problem | null = $state.raw(null);

  /** Follows `id`; returns what stops it. */
  follow(id: string): () => void {
    const { transport } = api;
    const watch = new JobWatch(id, {
      read: (signal) => api.job(id, signal),
      channels: [
        { via: "socket", open: socketChannel(transport) },
        { via: "stream", open: streamChannel(transport) },
      ],
      onJob: (job, via) => this.#show(job, via),
      onProblem: (problem) => (this.problem = problem),
      onReachable: (reachable) => connection.report(reachable),
    });
    const nudge = (): void => {
      if (document.visibilityState === "visible") watch.nudge();
    };
    addEventListener("online", nudge);
    document.addEventListener("visibilitychange", nudge);
    void watch.run();
    return () => {
      watch.stop();
      removeEventListener("online", nudge);
      document.removeEventListener("visibilitychange", nudge);
    };
  }

  #show(job: Job, via: Via): void {
    const endedNow = hasEnded(job) && this.value !== null && !hasEnded(this.value);
    this.value = job;
    this.via = via;
    if (endedNow) void refreshSession(); // What was held is captured or given back.
  }
}
