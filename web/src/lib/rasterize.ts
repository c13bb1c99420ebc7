/** Painting a drawing that names its own size, in `width` and `height`, as a picture. */

const SCALE = 2; // twice as fine as on screen, for paper
const MAX_PIXELS = 16_000_000; // what phones still paint

/** How much larger than it says a drawing is painted: `SCALE`, or less where that would be too many pixels. */
export function scaleFor(width: number, height: number): number {
  return Math.min(SCALE, Math.sqrt(MAX_PIXELS / (width * height)));
}

/**
 * Paints an SVG on a ground, as PNG. As a picture an SVG runs nothing and loads nothing.
 *
 * Rejects where the browser can't read the drawing or paint so large a picture.
 */
export async function rasterize(svg: string, ground: string): Promise<Blob> {
  const picture = new Image();
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await picture.decode();
  const scale = scaleFor(picture.naturalWidth, picture.naturalHeight);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.floor(picture.naturalWidth * scale));
  canvas.height = Math.max(1, Math.floor(picture.naturalHeight * scale));
  const context = canvas.getContext("2d");
  if (!context) throw new Error("This browser does not paint.");
  context.fillStyle = ground;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((png) => (png ? resolve(png) : reject(new Error("The picture is too large."))), "image/png");
  });
}
