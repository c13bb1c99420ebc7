/**
 * Builds Mermaid's parser into one file for the server, which runs it without a page (`src/diagram/parser.ts`).
 * What only draws is left out: it is most of Mermaid, and would be loaded for nothing.
 */
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const DRAWS =
  /^(cytoscape.*|elkjs.*|katex.*|roughjs.*|dagre-d3-es.*|d3|d3-sankey|stylis|marked|@upsetjs\/venn\.js|@iconify\/utils)$/;
const LEFT_OUT = "\0left-out";
/** Takes any use that is made of it while modules load, and does nothing. */
const NOTHING = `const nothing = new Proxy(function () {}, {
  get: (_, name) => (name === "__esModule" ? false : name === Symbol.toPrimitive ? () => "" : nothing),
  apply: () => nothing,
  construct: () => nothing,
});
module.exports = nothing;`;

function leaveOut(): Plugin {
  return {
    name: "leave-out-what-draws",
    enforce: "pre",
    resolveId: (id, from) => (from !== undefined && DRAWS.test(id) ? `${LEFT_OUT}:${id}` : null),
    load: (id) => (id.startsWith(LEFT_OUT) ? NOTHING : null),
  };
}

export default defineConfig({
  plugins: [leaveOut()],
  resolve: { alias: { dompurify: fileURLToPath(new URL("src/diagram/purify.ts", import.meta.url)) } },
  define: { "process.env.NODE_ENV": '"production"' },
  build: {
    outDir: "../src/penstock/diagrams/built",
    emptyOutDir: true,
    target: "es2022",
    lib: { entry: "src/diagram/parser.ts", formats: ["iife"], name: "parser", fileName: () => "parser.js" },
    rolldownOptions: { output: { codeSplitting: false } },
  },
});
