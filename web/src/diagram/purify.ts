/** In DOMPurify's place where texts are only parsed: what is shown nowhere needs no cleaning, and there is no page. */
const same = (text: unknown): string => String(text);
const nothing = (): void => undefined;

export default { sanitize: same, addHook: nothing, removeHook: nothing, removeAllHooks: nothing, isSupported: true };
