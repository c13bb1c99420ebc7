/** What the app and the frame that draws diagrams tell each other. */

/** From the app: draw this. */
export interface Draw {
  type: "draw";
  mermaid: string;
  dark: boolean;
}

/** From the frame. The drawing comes as text, and whoever gets it must not take it for harmless. */
export type Told =
  | { type: "ready" }
  | { type: "drawn"; svg: string; height: number }
  | { type: "failed"; complaint: string };
