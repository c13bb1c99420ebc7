/**
 * Reads a Server-Sent Events stream, as the WHATWG HTML standard ("Parsing an event stream") has it.
 * `EventSource` is not used: it can't be told where to resume from, nor carry a token.
 */
export interface StreamMessage {
  id: string;
  event: string;
  data: string;
}

/** A single event longer than this is no event of ours. */
export const MAX_MESSAGE_CHARS = 1_000_000;

export class StreamParser {
  #rest = "";
  #id = "";
  #event = "";
  #lines: string[] = [];

  /** Takes the next piece of text and returns the messages that it completed. */
  push(chunk: string): StreamMessage[] {
    const text = this.#rest + chunk;
    if (text.length > MAX_MESSAGE_CHARS) throw new RangeError("The event stream sent no line end.");
    // A carriage return at the very end may be the first half of a line end: it waits for what follows.
    const usable = text.endsWith("\r") ? text.length - 1 : text.length;
    const lines = text.slice(0, usable).split(/\r\n|\n|\r/);
    this.#rest = (lines.pop() ?? "") + text.slice(usable);
    return lines.flatMap((line) => this.#take(line));
  }

  #take(line: string): StreamMessage[] {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return [];
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.#lines.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    return [];
  }

  #dispatch(): StreamMessage[] {
    const lines = this.#lines;
    const event = this.#event || "message";
    this.#lines = [];
    this.#event = "";
    return lines.length === 0 ? [] : [{ id: this.#id, event, data: lines.join("\n") }];
  }
}
