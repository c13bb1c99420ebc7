import { describe, expect, it } from "vitest";
import { takeTold } from "../../src/lib/told";

const page = (cookie: string): Document => ({ cookie }) as Document;

describe("what the server left on the way back", () => {
  it("is a problem, once", () => {
    const left = { code: "blocked", title: "Blocked", detail: "Until June", actions: [{ kind: "wait", label: "Wait" }] };
    const document = page(`other=1; penstock_told=${encodeURIComponent(JSON.stringify(left))}`);
    expect(takeTold(document)).toMatchObject(left);
    expect(document.cookie).toBe("penstock_told=; path=/sign-in; max-age=0");
  });

  it("is nothing without it, or with what can't be read", () => {
    expect(takeTold(page(""))).toBeNull();
    expect(takeTold(page("penstock_told=%"))).toBeNull();
    expect(takeTold(page("penstock_told=%7B"))).toBeNull();
  });
});
