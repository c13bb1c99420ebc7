/** An operation's options: their starting values, and what of them goes into a job. Pure. */
import type { Corners, JobRequest, Operation, OperationOption } from "../client";
import { chosenTexts, type Texts } from "./inputs";

export type OptionValues = Record<string, unknown>;

const KNOWN_KINDS: ReadonlySet<string> = new Set(["choice", "toggle", "range"]);

/** The options that are shown as fields. One of an unknown kind keeps the server's default. */
export const fieldsOf = (operation: Operation | null): OperationOption[] =>
  (operation?.options ?? []).filter((option) => KNOWN_KINDS.has(option.kind));

/** The option that takes the corners, if the operation has one. */
export const cornersOf = (operation: Operation | null): OperationOption | null =>
  operation?.options?.find((option) => option.kind === "corners") ?? null;

export function startingValues(operation: Operation | null): OptionValues {
  return Object.fromEntries(fieldsOf(operation).map((option) => [option.id, startingValue(option)]));
}

function startingValue(option: OperationOption): unknown {
  if (option.default !== undefined && option.default !== null) return option.default;
  if (option.kind === "toggle") return false;
  return option.kind === "range" ? (option.min ?? 0) : option.choices?.[0]?.value;
}

/** Digits of a corner's fraction that go over the wire: finer than a pixel of any picture that is taken. */
const CORNER_DIGITS = 6;

const rounded = (corners: Corners): number[][] =>
  corners.map((corner) => corner.map((value) => Number(value.toFixed(CORNER_DIGITS))));

function chosenOptions(operation: Operation, values: OptionValues): OptionValues {
  const options: OptionValues = {};
  for (const option of fieldsOf(operation)) {
    if (values[option.id] !== undefined) options[option.id] = values[option.id];
  }
  return options;
}

/** The order for a job from texts alone; null while they are not complete. */
export function textRequest(
  operation: Operation,
  written: Texts,
  values: OptionValues,
): JobRequest | null {
  const inputs = chosenTexts(operation, written);
  return inputs && { operation: operation.id, inputs, options: chosenOptions(operation, values) };
}

/** The order for a job from a picture, and from texts where the operation takes some; null while those are missing. */
export function jobRequest(
  operation: Operation,
  input: string,
  upload: string,
  values: OptionValues,
  corners: Corners | null,
  written: Texts = {},
): JobRequest | null {
  const texts = chosenTexts(operation, written);
  if (!texts) return null;
  const options = chosenOptions(operation, values);
  const cornerOption = cornersOf(operation);
  if (cornerOption && corners) options[cornerOption.id] = rounded(corners);
  return { operation: operation.id, inputs: { [input]: upload, ...texts }, options };
}
