/**
 * Builds the app into the Python package, which serves it: hashed files under `assets/`, the shell in
 * `index.html`, the service worker in `sw.js`, and `manifest.json` that says which file is which.
 */
import { createHash } from "node:crypto";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin, type Rolldown } from "vite";

type OutputBundle = Rolldown.OutputBundle;

const OUT_DIR = "../src/penstock/web/static/app";
const WORKER = "sw";
/** The server that `npm run dev` passes everything but the app itself on to. */
const SERVER = process.env["PENSTOCK_SERVER"] ?? "http://127.0.0.1:8000";
const SERVED_BY_PYTHON = ["/theme.css", "/manifest.webmanifest", "/icon.svg", "/openapi.json"];

/** Tells the service worker which files make up the app; they have their names only after the bundling. */
function listAssetsInWorker(): Plugin {
  return {
    name: "list-assets-in-worker",
    apply: "build",
    generateBundle(_options, bundle) {
      const frame = reachable(bundle, "diagram.html");
      const app = reachable(bundle, "index.html");
      const drawsOnly = (name: string): boolean => frame.has(name) && !app.has(name);
      const names = Object.keys(bundle).filter(
        (name) => name.startsWith("assets/") && isShell(name) && !drawsOnly(name),
      );
      const assets = names.sort().map((name) => `/${name}`);
      const build = createHash("sha256").update(assets.join("\n")).digest("hex").slice(0, 12);
      const worker = bundle[`${WORKER}.js`];
      if (worker?.type !== "chunk") throw new Error("The build made no service worker.");
      worker.code = worker.code
        .replaceAll("__ASSETS__", JSON.stringify(assets))
        .replaceAll("__BUILD__", JSON.stringify(build));
    },
  };
}

/** The scripts that a page may come to load, by way of whatever imports them. */
function reachable(bundle: OutputBundle, page: string): ReadonlySet<string> {
  const found = new Set<string>();
  const left = Object.values(bundle)
    .filter((each) => each.type === "chunk" && each.isEntry && each.facadeModuleId?.endsWith(`/${page}`))
    .map((each) => each.fileName);
  for (let name = left.pop(); name !== undefined; name = left.pop()) {
    const chunk = bundle[name];
    if (found.has(name) || chunk?.type !== "chunk") continue;
    found.add(name);
    left.push(...chunk.imports, ...chunk.dynamicImports);
  }
  return found;
}

/** Fonts for other scripts than Latin are fetched when a text needs them, not kept in advance. */
const isShell = (name: string): boolean => !name.endsWith(".woff2") || /-latin-wght-normal/.test(name);

export default defineConfig({
  plugins: [svelte({ configFile: false }), listAssetsInWorker()],
  build: {
    outDir: OUT_DIR,
    emptyOutDir: true,
    target: "es2022",
    manifest: "manifest.json",
    // Nothing inline: neither scripts nor data addresses would pass the content security policy.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: { app: "index.html", diagram: "diagram.html", [WORKER]: "src/worker/sw.ts" },
      output: {
        entryFileNames: ({ name }) => (name === WORKER ? `${WORKER}.js` : "assets/[name]-[hash].js"),
      },
    },
  },
  server: {
    proxy: {
      "/api": { target: SERVER, ws: true },
      ...Object.fromEntries(SERVED_BY_PYTHON.map((path) => [path, SERVER])),
    },
  },
});
