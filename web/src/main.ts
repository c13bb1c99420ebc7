/** Starts the app: state first, so that the first paint already knows what it can, then the page. */
import "@fontsource-variable/fraunces/wght.css";
import "@fontsource-variable/instrument-sans/wght.css";
import "./app.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { watchConnection } from "./lib/connection.svelte";
import { registerWorker, watchInstallation } from "./lib/installation.svelte";
import { loadProduct, product } from "./lib/product.svelte";
import { startRouter } from "./lib/router.svelte";
import { refreshSession } from "./lib/session.svelte";

/** The session first: where visitors may be anonymous it makes their account, and only one. */
async function load(): Promise<void> {
  await Promise.all([loadProduct(), refreshSession()]);
}

startRouter();
watchInstallation();
watchConnection(() => void load());

const target = document.getElementById("app");
if (!target) throw new Error("The page has no #app to put the app into.");
mount(App, { target });

void load().then(() => registerWorker(product.value?.version ?? ""));
