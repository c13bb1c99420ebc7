import { describe, expect, it } from "vitest";
import { unveil, veil } from "../../src/diagram/entities";

describe("entities in a diagram", () => {
  it("become what they stand for, and one sign each while Mermaid draws", () => {
    const { text, signs } = veil('a["say #34;hi#34; &amp; #lt;b#gt;"]');
    expect(text).toHaveLength('a["say "hi" &amp; <b>"]'.length);
    expect(text).not.toContain("#");
    expect(unveil(text, signs)).toBe('a["say "hi" &amp; <b>"]');
  });

  it("leave colours and unknown names alone", () => {
    const text = "style a fill:#123;\n  classDef x fill:#456;\n#f00; #nope;";
    expect(veil(text).text).toBe(text);
  });

  it("take private signs that the text does not have itself", () => {
    const { text, signs } = veil("\ue000#34;");
    expect(unveil(text, signs)).toBe('\ue000"');
  });

  it("name no sign beyond the last one", () => {
    expect(veil("#9999999; #0;").text).toBe("#9999999; #0;");
  });
});
