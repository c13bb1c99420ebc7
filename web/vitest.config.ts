/** The unit tests run in plain Node: what they test has no page. */
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [svelte({ configFile: false })],
  test: { include: ["tests/**/*.test.ts"], environment: "node", restoreMocks: true },
});
