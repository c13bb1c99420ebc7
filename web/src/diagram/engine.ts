/**
 * What Mermaid's parser expects of its surroundings and the embedded engine (QuickJS) does not bring. Imported first.
 * Nothing here reaches anything: there is no network, no file and no page in that engine.
 */
declare global {
  interface RegExp {
    /** The same expression, tried at one place only; null where it can't be. */
    atStart?: RegExp | null;
  }
}

const nothing = (): void => undefined;

/** Whether an expression is one group behind `^`, so that it matches at the start of a text or not at all. */
function isAnchored({ source, flags }: RegExp): boolean {
  if (flags.includes("m") || flags.includes("g") || flags.includes("y") || !source.startsWith("^(?:")) return false;
  let depth = 0;
  let inClass = false;
  for (let at = 1; at < source.length; at += 1) {
    const character = source[at];
    if (character === "\\") at += 1;
    else if (inClass) inClass = character !== "]";
    else if (character === "[") inClass = true;
    else if (character === "(") depth += 1;
    else if (character === ")" && (depth -= 1) === 0) return at === source.length - 1;
  }
  return false;
}

/**
 * The lexers try `^(?:…)` on the whole rest of a text, again and again. QuickJS would look for a match at every place
 * of it; sticky expressions look at one, and a diagram of 500 arrows takes a second instead of minutes.
 */
function stickyMatch(): void {
  const usual = String.prototype.match;
  const match = function (this: string, wanted: RegExp): RegExpMatchArray | null {
    if (!(wanted instanceof RegExp)) return usual.call(this, wanted);
    if (wanted.atStart === undefined) {
      wanted.atStart = isAnchored(wanted) ? new RegExp(wanted.source, `${wanted.flags}y`) : null;
    }
    if (wanted.atStart === null) return usual.call(this, wanted);
    wanted.atStart.lastIndex = 0;
    return wanted.atStart.exec(this);
  };
  Object.defineProperty(String.prototype, "match", { value: match, writable: true, configurable: true });
}

const copyOf = (value: unknown): unknown => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));

Object.assign(globalThis, {
  console: { log: nothing, info: nothing, debug: nothing, warn: nothing, error: nothing, trace: nothing },
  structuredClone: copyOf,
  setTimeout: nothing,
  clearTimeout: nothing,
});
stickyMatch();

export {};
