/** What the stages and states of a job are called on screen. */
import type { Job } from "../client";
import { words } from "./format";

const STAGES: Record<string, string> = {
  preparing: "Preparing",
  working: "Working on it",
  writing: "Writing it down",
  drawing: "Drawing",
  mending: "Mending what could not be read",
  finishing: "Putting on the finishing touches",
  storing: "Saving the result",
};

/** Providers name stages of their own; those are shown as they are. */
export const stageName = (stage: string | null | undefined): string =>
  stage ? (STAGES[stage] ?? words(stage)) : "Working on it";

/** Progress is told aloud in quarters: every percent would be a torrent. */
const TOLD_STEPS = 4;

/** One line for the status of a job; changes only when it is worth saying aloud. */
export function spokenStatus(job: Job): string {
  switch (job.status) {
    case "queued":
      return job.position ? `Number ${job.position} in line` : "In line";
    case "running": {
      const told = Math.floor((job.progress ?? 0) * TOLD_STEPS) / TOLD_STEPS;
      return stageName(job.stage) + (told > 0 ? `, ${told * 100} %` : "");
    }
    case "cancelling":
      return "Cancelling";
    case "succeeded":
      return job.result || job.output ? "Ready" : "Deleted";
    case "failed":
      return "That did not work";
    case "cancelled":
      return "Cancelled";
    case "expired":
      return "Waited too long";
  }
}
