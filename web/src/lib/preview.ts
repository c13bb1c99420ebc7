/**
 * A picture to look at while it is being worked on: upright and small enough that dragging a corner stays smooth
 * on a phone. What is uploaded is always the untouched file.
 */
export interface Preview {
  url: string;
  width: number;
  height: number;
  release: () => void;
}

/** Enough for the loupe, little enough for a phone's graphics memory (16 MB as pixels). */
const MAX_EDGE_PX = 2048;
const JPEG_QUALITY = 0.85;

/** Null when this browser can't read the file; the server may well be able to. */
export async function makePreview(file: Blob): Promise<Preview | null> {
  try {
    const bitmap = await createImageBitmap(file); // Turned upright as its EXIF data says.
    const scale = Math.min(1, MAX_EDGE_PX / Math.max(bitmap.width, bitmap.height));
    const [width, height] = [Math.round(bitmap.width * scale), Math.round(bitmap.height * scale)];
    const blob = await shrink(bitmap, width, height);
    if (!blob) return null;
    const url = URL.createObjectURL(blob);
    return { url, width, height, release: () => URL.revokeObjectURL(url) };
  } catch {
    return null;
  }
}

function shrink(bitmap: ImageBitmap, width: number, height: number): Promise<Blob | null> {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context) return Promise.resolve(null);
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff"; // JPEG has no transparency.
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
}
