/**
 * Draws a diagram in a frame of its own, which has no origin: the words in a diagram are strangers', and Mermaid writes
 * markup. The app sends the text and is told the height and the drawing.
 */
import mermaid from "mermaid";
import { unveil, veil } from "./entities";
import type { Draw, Told } from "./messages";

const SCROLLS_BELOW_PX = 560;
const place = document.getElementById("drawing") as HTMLElement;
let count = 0;

const tell = (told: Told): void => window.parent.postMessage(told, "*");

function configure(dark: boolean): void {
  mermaid.initialize({
    startOnLoad: false,
    suppressErrorRendering: true,
    securityLevel: "strict",
    htmlLabels: false,
    layout: "dagre",
    theme: dark ? "dark" : "neutral",
    fontFamily: "system-ui, sans-serif",
    // What a text may not change about how it is drawn.
    secure: [
      "secure",
      "securityLevel",
      "startOnLoad",
      "maxTextSize",
      "maxEdges",
      "suppressErrorRendering",
      "htmlLabels",
      "layout",
      "themeCSS",
      "fontFamily",
      "dompurifyConfig",
    ],
  });
}

/** Whether a style loads something from elsewhere, or is written so that nobody can tell. */
const loads = (style: string): boolean => /\\|\b(?:src|image|image-set|cross-fade)\(|url\((?!\s*["']?#)/i.test(style);

/** Takes out of a sheet what loads something; of the rest, it keeps the rules that Mermaid writes. */
function disarmSheet(sheet: Element): void {
  const read = new CSSStyleSheet();
  read.replaceSync(sheet.textContent ?? "");
  const kept = [...read.cssRules].filter((rule) => rule instanceof CSSStyleRule || rule instanceof CSSKeyframesRule);
  sheet.textContent = kept
    .map((rule) => rule.cssText)
    .filter((rule) => !loads(rule))
    .join("");
}

/** Leaves nothing in a drawing that does or loads something: saved, it will be opened where no policy protects. */
function disarm(svg: SVGElement): void {
  for (const element of svg.querySelectorAll("script, foreignObject, iframe, image, feImage, use")) element.remove();
  for (const link of svg.querySelectorAll("a")) link.replaceWith(...link.childNodes);
  for (const sheet of svg.querySelectorAll("style")) disarmSheet(sheet);
  for (const element of [svg, ...svg.querySelectorAll("*")]) {
    for (const { name, value } of [...element.attributes]) {
      const words = name === "id" || name === "class" || name.startsWith("aria-") || name.startsWith("data-");
      if (name.startsWith("on") || name.endsWith("href") || (!words && loads(value))) element.removeAttribute(name);
    }
  }
}

function textsIn(svg: SVGElement): Text[] {
  const walker = document.createTreeWalker(svg, NodeFilter.SHOW_TEXT);
  const found: Text[] = [];
  while (walker.nextNode()) found.push(walker.currentNode as Text);
  return found;
}

async function draw({ mermaid: text, dark }: Draw): Promise<void> {
  document.documentElement.style.setProperty("color-scheme", dark ? "dark" : "light");
  configure(dark);
  try {
    count += 1;
    const veiled = veil(text);
    const { svg } = await mermaid.render(`diagram-${count}`, veiled.text);
    const drawn = new DOMParser().parseFromString(svg, "text/html").querySelector("svg");
    if (!drawn) throw new Error("Nothing was drawn.");
    disarm(drawn);
    for (const words of textsIn(drawn)) words.data = unveil(words.data, veiled.signs);
    place.replaceChildren(drawn);
    show(drawn);
  } catch (error) {
    place.replaceChildren();
    tell({ type: "failed", complaint: error instanceof Error ? error.message : String(error) });
  }
}

/** As wide as it is drawn, or as there is room; on a narrow screen it scrolls rather than becoming unreadable. */
function show(svg: SVGElement): void {
  const [, , width = 0, height = 0] = (svg.getAttribute("viewBox") ?? "").split(/[\s,]+/).map(Number);
  const room = document.documentElement.clientWidth - 16;
  const shown = Math.min(width, Math.max(room, Math.min(width, SCROLLS_BELOW_PX)));
  svg.style.setProperty("max-width", "none");
  svg.style.setProperty("width", `${shown}px`);
  if (height > 0) svg.setAttribute("height", String(Math.ceil((height * shown) / width)));
  const saved = svg.cloneNode(true) as SVGElement;
  saved.setAttribute("width", String(Math.ceil(width)));
  saved.setAttribute("height", String(Math.ceil(height)));
  saved.removeAttribute("style");
  tell({
    type: "drawn",
    svg: new XMLSerializer().serializeToString(saved),
    height: Math.ceil(document.body.scrollHeight),
  });
}

window.addEventListener("message", (event: MessageEvent<Draw>) => {
  if (event.source === window.parent && event.data?.type === "draw") void draw(event.data);
});
tell({ type: "ready" });
