/**
 * Signs that Mermaid takes as `#34;` or `#quot;`. Drawn as text rather than as markup it would show them as they are
 * written, and break lines inside them; so each is one sign of a private sort while it draws, and becomes itself after.
 */
const FIRST_PRIVATE = 0xe000;
const LAST_PRIVATE = 0xf8ff;
const ENTITY = /#(\d{1,7}|[a-zA-Z]{2,8});/g;
/** Statements in which `#123;` is a colour. */
const COLOURS = /^\s*(style|classDef|linkStyle)\b/;
const NAMED: Record<string, string> = { quot: '"', amp: "&", lt: "<", gt: ">", apos: "'", nbsp: "\u00a0" };
const LAST_POINT = 0x10ffff;

export interface Veiled {
  text: string;
  /** What each private sign stands for. */
  signs: ReadonlyMap<string, string>;
}

/** Puts private signs, which the text has none of, in the place of entities. */
export function veil(text: string): Veiled {
  const signs = new Map<string, string>();
  const known = new Map<string, string>();
  let next = FIRST_PRIVATE;
  const privateFor = (sign: string): string | null => {
    const found = known.get(sign);
    if (found !== undefined) return found;
    while (next <= LAST_PRIVATE && text.includes(String.fromCharCode(next))) next += 1;
    if (next > LAST_PRIVATE) return null;
    const made = String.fromCharCode(next++);
    known.set(sign, made);
    signs.set(made, sign);
    return made;
  };
  const lines = text.split("\n").map((line) => {
    if (COLOURS.test(line)) return line;
    return line.replace(ENTITY, (whole, name: string) => {
      const sign = signOf(name);
      return sign === undefined ? whole : (privateFor(sign) ?? whole);
    });
  });
  return { text: lines.join("\n"), signs };
}

export const unveil = (text: string, signs: ReadonlyMap<string, string>): string =>
  text.replace(/[\ue000-\uf8ff]/g, (each) => signs.get(each) ?? each);

function signOf(name: string): string | undefined {
  if (!/^\d/.test(name)) return NAMED[name];
  const point = Number(name);
  return point > 0 && point <= LAST_POINT ? String.fromCodePoint(point) : undefined;
}
