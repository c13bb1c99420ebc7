import { describe, expect, it } from "vitest";
import { asProblem, Problem } from "../../src/client";
import { parseProblem } from "../../src/client/problem";

describe("parseProblem", () => {
  it("reads everything that the interface promises", () => {
    const problem = parseProblem(402, {
      type: "about:blank",
      title: "Not enough credits",
      status: 402,
      code: "insufficient_credits",
      detail: "This costs 2 credits and you have 1.",
      retry_after_s: 30,
      actions: [{ kind: "top_up", label: "Buy credits", url: "/pricing" }],
      errors: [{ field: "options.strength", message: "Choose one of these." }],
    });
    expect(problem).toMatchObject({
      status: 402,
      code: "insufficient_credits",
      title: "Not enough credits",
      detail: "This costs 2 credits and you have 1.",
      retryAfterS: 30,
      actions: [{ kind: "top_up", label: "Buy credits", url: "/pricing" }],
      errors: [{ field: "options.strength", message: "Choose one of these." }],
    });
  });

  it.each([null, "<html>Bad gateway</html>", 7, [], {}])("makes something to show of %j", (body) => {
    const problem = parseProblem(502, body);
    expect(problem.title).toBe("Something went wrong");
    expect(problem.code).toBe("unexpected");
    expect(problem.actions).toEqual([]);
  });

  it("drops actions and errors that say nothing", () => {
    const problem = parseProblem(422, { actions: [{ kind: "wait" }, "x", null], errors: [{ field: "a" }, 3] });
    expect(problem.actions).toEqual([]);
    expect(problem.errors).toEqual([]);
  });

  it("takes the header's pause when the body has none, and no nonsense", () => {
    expect(parseProblem(429, {}, "12").retryAfterS).toBe(12);
    expect(parseProblem(429, {}, "Wed, 21 Oct 2026 07:28:00 GMT").retryAfterS).toBeUndefined();
    expect(parseProblem(429, {}, "").retryAfterS).toBeUndefined();
    expect(parseProblem(429, { retry_after_s: 0.5 }, "12").retryAfterS).toBe(0.5);
  });
});

describe("asProblem", () => {
  it("keeps a problem and never shows the text of a fault of our own", () => {
    const problem = parseProblem(404, { title: "Not found" });
    expect(asProblem(problem)).toBe(problem);
    const made = asProblem(new TypeError("x is undefined"));
    expect(made).toBeInstanceOf(Problem);
    expect(`${made.title} ${made.detail}`).not.toContain("undefined");
  });
});
