/** Hands something to the browser as a file to keep. */
export function download(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

export const asFile = (text: string, mediaType: string): Blob => new Blob([text], { type: `${mediaType};charset=utf-8` });
