/** Tells the browser's own frame (address bar, title bar of the installed app) the product's background. */
export function followTheme(): void {
  const meta = document.createElement("meta");
  meta.name = "theme-color";
  document.head.append(meta);
  const update = (): void => {
    meta.content = getComputedStyle(document.documentElement).getPropertyValue("--bg").trim();
  };
  update();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", update);
}
