/** What an operation starts from: a picture, texts, or both. Pure. */
import type { Operation, OperationInput } from "../client";

/** What was written, by input. */
export type Texts = Readonly<Record<string, string>>;

const isText = (input: OperationInput): boolean => input.kind === "text";

/** The id of the one picture that the operation needs, with or without texts; null when it needs something else. */
export function pictureInput(operation: Operation): string | null {
  if (startsFromWords(operation)) return null;
  const inputs = operation.inputs ?? [];
  const [first] = inputs.filter((input) => input.kind === "picture");
  const others = inputs.filter((input) => input !== first && input.required !== false && !isText(input));
  return first && others.length === 0 ? first.id : null;
}

/** The texts that the operation takes. */
export const textInputs = (operation: Operation | null): OperationInput[] => (operation?.inputs ?? []).filter(isText);

/** Whether all that the operation needs is texts, one at least. */
export function startsFromWords(operation: Operation): boolean {
  const needed = (operation.inputs ?? []).filter((input) => input.required !== false);
  return needed.length > 0 && needed.every(isText);
}

/** Characters as the server counts them: a smiley is one, though JavaScript has it as two. */
export const lengthOf = (text: string): number => [...text].length;

export const tooLong = (input: OperationInput, text: string): boolean =>
  input.max_characters != null && lengthOf(text) > input.max_characters;

/** The texts of a job by input; null while one is missing or too long. What may be left out and is empty is. */
export function chosenTexts(operation: Operation, written: Texts): Record<string, string> | null {
  const texts: Record<string, string> = {};
  for (const input of textInputs(operation)) {
    const text = written[input.id] ?? "";
    if (text.trim() ? tooLong(input, text) : input.required !== false) return null;
    if (text.trim()) texts[input.id] = text;
  }
  return texts;
}
