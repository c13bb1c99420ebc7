import { describe, expect, it } from "vitest";
import type { Operation, Result } from "../../src/client";
import { changeOf } from "../../src/lib/entries";
import { bytes, credits, creditsOf, dollars, duration, waitRange, words } from "../../src/lib/format";
import { pictureInput, startsFromWords } from "../../src/lib/inputs";
import { nextPath, safeHref, withNext } from "../../src/lib/links";
import { acceptList, kindNames } from "../../src/lib/mediatypes";
import { jobRequest, startingValues, textRequest } from "../../src/lib/options";
import { spokenStatus } from "../../src/lib/stages";
import { SubmissionKey } from "../../src/lib/submission";
import { textOf } from "../../src/lib/texts";
import { beforeOf, otherDownloads } from "../../src/lib/variants";

const ORIGIN = "https://example.org";

describe("figures as words", () => {
  it("grows coarser with length", () => {
    expect([8.4, 75, 3600, 3900].map(duration)).toEqual(["8 s", "1 min", "1 h", "1 h 5 min"]);
  });

  it("names a shared unit once", () => {
    expect(waitRange({ low_s: 8, high_s: 25 })).toBe("8 to 25 s");
    expect(waitRange({ low_s: 45, high_s: 150 })).toBe("45 s to 3 min");
    expect(waitRange({ low_s: 5, high_s: 5 })).toBe("5 s");
    expect(waitRange(null)).toBe("");
    expect(waitRange({ low_s: 0, high_s: 0.2 })).toBe("");
  });

  it("writes sizes, prices and counts", () => {
    expect([999, 1_540, 50_000_000].map(bytes)).toEqual(["999 B", "1.5 kB", "50 MB"]);
    expect(["9.99", "19.00"].map(dollars)).toEqual(["$9.99", "$19"]);
    expect([credits(1), credits(2), words("colouring_page")]).toEqual(["1 credit", "2 credits", "Colouring page"]);
  });

  it("reads a price in either form", () => {
    expect([creditsOf(2), creditsOf({ credits: 3 }), creditsOf(null)]).toEqual([2, 3, null]);
  });
});

describe("links from elsewhere", () => {
  it("lets only harmless schemes through", () => {
    expect(safeHref("javascript:alert(1)", ORIGIN)).toBeNull();
    expect(safeHref("data:text/html,x", ORIGIN)).toBeNull();
    expect(safeHref("https://pay.example/x", ORIGIN)).toBe("https://pay.example/x");
    expect(safeHref("/pricing?plan=a", ORIGIN)).toBe("/pricing?plan=a");
  });

  it("goes on only to paths of this site after signing in", () => {
    expect(nextPath("/jobs/job_1", ORIGIN)).toBe("/jobs/job_1");
    for (const bad of ["https://evil.example", "//evil.example/x", "/\\evil.example", null, "jobs"]) {
      expect(nextPath(bad, ORIGIN)).toBe("/");
    }
    expect(withNext("/sign-in", "/edit/upl_1?a=b")).toBe("/sign-in?next=%2Fedit%2Fupl_1%3Fa%3Db");
  });
});

describe("kinds of file", () => {
  it("lists extensions too, for systems that don't know the type", () => {
    expect(acceptList(["image/jpeg", "image/heic"])).toBe("image/jpeg,.jpg,.jpeg,image/heic,.heic");
  });

  it("names them as people do", () => {
    expect(kindNames(["image/jpeg", "image/png", "image/heic", "image/heif"])).toBe("JPEG, PNG or HEIC");
  });
});

const OPERATION: Operation = {
  id: "restore",
  options: [
    { id: "edges", kind: "corners" },
    { id: "strength", kind: "choice", choices: [{ value: "gentle" }, { value: "strong" }], default: "strong" },
    { id: "grain", kind: "toggle" },
    { id: "detail", kind: "range", min: 3 },
    { id: "later", kind: "hologram", default: 1 },
  ],
};

describe("an operation's options", () => {
  it("start at their defaults, or at the first that makes sense", () => {
    expect(startingValues(OPERATION)).toEqual({ strength: "strong", grain: false, detail: 3 });
  });

  it("go into the job under their own names, corners rounded, unknown kinds left to the server", () => {
    const corners = [
      [1 / 3, 0],
      [1, 0],
      [1, 1],
      [0, 1],
    ] as never;
    const request = jobRequest(OPERATION, "picture", "upl_1", { strength: "gentle", stray: 1 }, corners);
    expect(request).toEqual({
      operation: "restore",
      inputs: { picture: "upl_1" },
      options: {
        strength: "gentle",
        edges: [
          [0.333333, 0],
          [1, 0],
          [1, 1],
          [0, 1],
        ],
      },
    });
  });

  it("send no corners to an operation that takes none", () => {
    const request = jobRequest({ id: "plain" }, "picture", "upl_1", {}, [
      [0, 0],
      [1, 0],
      [1, 1],
      [0, 1],
    ]);
    expect(request?.options).toEqual({});
  });
});

describe("an operation's texts", () => {
  const operation: Operation = {
    id: "repaint",
    inputs: [
      { id: "picture", kind: "picture" },
      { id: "wish", kind: "text", max_characters: 3 },
      { id: "avoid", kind: "text", required: false },
    ],
  };
  const asked = (texts: Record<string, string>) => jobRequest(operation, "picture", "upl_1", {}, null, texts)?.inputs;

  it("go into the job beside the picture; the empty one that may be left out does not, nor any other", () => {
    expect(asked({ wish: "fox", avoid: " ", stray: "x" })).toEqual({ picture: "upl_1", wish: "fox" });
    expect(asked({ wish: "🦊🦊🦊", avoid: "rain" })).toEqual({ picture: "upl_1", wish: "🦊🦊🦊", avoid: "rain" });
  });

  it("hold the job back while one is missing or too long", () => {
    expect([asked({}), asked({ wish: "  " }), asked({ wish: "foxy" })]).toEqual([undefined, undefined, undefined]);
  });

  it("make a job on their own where no picture is needed", () => {
    const words = { id: "draw", inputs: [{ id: "wish", kind: "text" }] };
    expect(textRequest(words, { wish: "fox" }, {})).toEqual({ operation: "draw", inputs: { wish: "fox" }, options: {} });
    expect(textRequest(words, {}, {})).toBeNull();
    expect([startsFromWords(words), startsFromWords(operation), startsFromWords({ id: "x" })]).toEqual([
      true,
      false,
      false,
    ]);
    expect([pictureInput(words), pictureInput(operation)]).toEqual([null, "picture"]);
  });
});

describe("the key of a submission", () => {
  const order = (operation: string) => ({ operation, inputs: {}, options: {} });
  const counting = (): SubmissionKey => {
    let count = 0;
    return new SubmissionKey(() => `key-${(count += 1)}`);
  };

  it("stays while the same order is tried again", () => {
    const key = counting();
    expect(key.for(order("restore"))).toBe(key.for(order("restore")));
  });

  it("changes with the order, and after the order was accepted", () => {
    const key = counting();
    expect(key.for(order("restore"))).toBe("key-1");
    expect(key.for(order("colourise"))).toBe("key-2");
    key.accepted();
    expect(key.for(order("colourise"))).toBe("key-3");
  });
});

describe("downloads", () => {
  it("put what was asked for before what comes with it, and leave out the main file", () => {
    const variants = ["full", "thumb", "original", "compare", "svg", "pdf_a4"].map((name) => ({ name }));
    const result = { id: "res_1", job: "job_1", media_type: "image/png", variants } as Result;
    expect(otherDownloads(result).map((file) => file.name)).toEqual(["svg", "pdf_a4", "compare", "original", "thumb"]);
  });

  it("tell kind, size in pixels and size in bytes", () => {
    const variants = [{ name: "original", media_type: "image/jpeg", bytes: 15_000, width: 640, height: 480 }];
    const result = { id: "res_1", job: "job_1", media_type: "image/png", variants } as Result;
    expect(otherDownloads(result)[0]?.about).toBe("JPEG · 640 × 480 · 15 kB");
  });
});

describe("before and after", () => {
  const result = (width: number, height: number): Result => ({
    id: "res_1",
    job: "job_1",
    media_type: "image/png",
    width: 480,
    height: 360,
    variants: [{ name: "original", width, height }],
  });

  it("lie over each other where they have the same shape, rounding aside", () => {
    expect(beforeOf(result(1600, 1200))).toBe("overlaid");
    expect(beforeOf(result(1601, 1199))).toBe("overlaid");
  });

  it("stand beside each other where the work changed the shape", () => {
    expect(beforeOf(result(1200, 1600))).toBe("beside");
    expect(beforeOf(result(1600, 1120))).toBe("beside");
  });

  it("need a picture before", () => {
    expect(beforeOf({ ...result(1, 1), variants: [] })).toBeNull();
  });
});

describe("entries of the book", () => {
  it("tell what they did to the credits at hand, or to those held", () => {
    const entry = { id: 1, amount: 0, held: 0 };
    expect(changeOf({ ...entry, amount: -2, held: 2, kind: "hold" })).toBe("\u22122");
    expect(changeOf({ ...entry, amount: 2, held: -2, kind: "release" })).toBe("+2");
    expect(changeOf({ ...entry, held: -2, kind: "capture" })).toBe("2 spent");
  });
});

describe("texts", () => {
  const product = { name: "p", brand: { title: "Shop", tagline: "We do it." }, texts: { choose: "Pick {what}" } };

  it("prefer the product's words, then its tagline, then the app's", () => {
    expect(textOf(product, "choose", { what: "one" })).toBe("Pick one");
    expect(textOf(product, "home_title")).toBe("We do it.");
    expect(textOf(null, "submit")).toBe("Start");
  });
});

describe("the spoken status", () => {
  const job = { id: "job_1", operation: "restore", created_at: "" } as const;

  it("changes in quarters only, so that it is not read out at every percent", () => {
    const at = (progress: number): string => spokenStatus({ ...job, status: "running", stage: "finishing", progress });
    expect(at(0.51)).toBe(at(0.74));
    expect(at(0.51)).not.toBe(at(0.76));
  });

  it("tells the place in line, and a deleted result from a finished one", () => {
    expect(spokenStatus({ ...job, status: "queued", position: 3 })).toBe("Number 3 in line");
    expect(spokenStatus({ ...job, status: "succeeded", result: null })).toBe("Deleted");
    expect(spokenStatus({ ...job, status: "succeeded", result: { id: "res_1" } })).toBe("Ready");
  });
});
