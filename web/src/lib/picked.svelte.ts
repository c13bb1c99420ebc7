/**
 * The picture the visitor is working on, from picking it to looking at its result. It lives in this page only:
 * nothing of it is written to the browser's storage.
 */
import type { Upload } from "../client";
import { makePreview, type Preview } from "./preview";

class Picked {
  file: File | null = $state.raw(null);
  upload: Upload | null = $state.raw(null);
  preview: Preview | null = $state.raw(null);
  /** True when this browser can't show the picture, as with HEIC in most. */
  unreadable = $state(false);
  /** True while the picture waits for its owner to sign up or in. */
  awaitsSignIn = false;

  async take(file: File): Promise<void> {
    this.clear();
    this.file = file;
    const preview = await makePreview(file);
    if (this.file !== file) return preview?.release();
    this.preview = preview;
    this.unreadable = preview === null;
  }

  /** The preview of this upload, where it is the one that was picked here. */
  previewOf(upload: unknown): Preview | null {
    return this.upload !== null && this.upload.id === upload ? this.preview : null;
  }

  clear(): void {
    this.preview?.release();
    this.file = null;
    this.upload = null;
    this.preview = null;
    this.unreadable = false;
    this.awaitsSignIn = false;
  }
}

export const picked = new Picked();
