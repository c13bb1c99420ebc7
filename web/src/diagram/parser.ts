/**
 * Mermaid's own parser, for the server: one file without a page, made by `vite.parser.config.ts` and run by
 * `penstock/diagrams/parser.py`, which calls `check` and then reads `verdict`.
 */
import "./engine";
import mermaid from "mermaid";

declare global {
  /** What the last `check` found, as JSON: the kind of diagram, or what is wrong with it. Empty until it has ended. */
  var verdict: string;
  var check: (text: string) => void;
}

// No `secure` beyond Mermaid's own: nothing is drawn here, and a text's wish for other limits is refused with them.
mermaid.initialize({ startOnLoad: false, suppressErrorRendering: true, logLevel: 5 });

globalThis.verdict = "";
globalThis.check = (text) => {
  globalThis.verdict = "";
  mermaid.parse(text).then(
    ({ diagramType }) => (globalThis.verdict = JSON.stringify({ kind: diagramType, complaint: null })),
    (error: unknown) => (globalThis.verdict = JSON.stringify({ kind: null, complaint: said(error) })),
  );
};

const said = (error: unknown): string => (error instanceof Error && error.message) || String(error);
