/** The kinds of file that a product takes, as the file chooser wants them and as people call them. */

interface Kind {
  name: string;
  extensions: string[];
}

const KINDS: Record<string, Kind> = {
  "image/jpeg": { name: "JPEG", extensions: [".jpg", ".jpeg"] },
  "image/png": { name: "PNG", extensions: [".png"] },
  "image/webp": { name: "WebP", extensions: [".webp"] },
  "image/heic": { name: "HEIC", extensions: [".heic"] },
  "image/heif": { name: "HEIC", extensions: [".heif"] },
};

/**
 * For the `accept` attribute. The extensions are there because systems that don't know a type (HEIC, mostly) would
 * otherwise grey its files out. Where HEIC is not in the list, iOS turns its photos into JPEG by itself.
 */
export const acceptList = (mediaTypes: readonly string[]): string =>
  mediaTypes.flatMap((type) => [type, ...(KINDS[type]?.extensions ?? [])]).join(",");

/** "JPEG, PNG or WebP" */
export function kindNames(mediaTypes: readonly string[]): string {
  const names = [...new Set(mediaTypes.map((type) => KINDS[type]?.name ?? afterSlash(type)))];
  const last = names.pop() ?? "";
  return names.length > 0 ? `${names.join(", ")} or ${last}` : last;
}

/** "image/svg+xml" to "SVG", "application/pdf" to "PDF" */
export const afterSlash = (mediaType: string): string =>
  (mediaType.split("/")[1] ?? mediaType).replace(/\+.*$/, "").toUpperCase();
