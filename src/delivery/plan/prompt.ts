/**
 * Prompts (`?ai=rotate the image to the right`) by rules: a closed set of intents in English and Korean, the same words
 * always with the same meaning. What isn't understood is never guessed.
 */
import type { Expression, Options, Position } from "./plan.ts";
import { PHRASES } from "./promptphrases.ts";

export type Resolution =
  | { readonly options: Partial<Options>; readonly understood: readonly string[] }
  /** `unresolved`: the words that mean nothing here. */
  | { readonly unresolved: string; readonly understood: readonly string[] };

/** Raised when rules change their meaning; prompts that were resolved before keep theirs where they were stored. */
export const RULES_VERSION = 1;

/** Words that say nothing of the picture. */
const FILLERS =
  /\b(please|kindly|could you|can you|would you|i want you to|i want to|i want|i'd like to|i would like to|i'd like|let's|i need to|i need|now|to be|just|also|first|finally|so that|the|a|an|this|that|my|it|its|image|images|picture|photo|photograph|pic)\b/g;
const KOREAN_FILLERS = /(이미지|사진|그림)(를|을|의|이|가|로)?(?![가-힣])|좀|제발/g;

/** "and" that joins no two wishes. */
const COMPOUNDS: readonly (readonly [RegExp, string])[] = [
  [/\bblack (and|&|n) white\b/g, "grayscale"],
  [/\bb&w\b/g, "grayscale"],
  // "width: 400", "quality=60"; ratios have digits on both sides.
  [/(\p{L}) ?[:=] ?/gu, "$1 "],
  [/\bhorizontally (?:and|&) vertically\b/g, "both ways"],
  [/(?:가로|너비|폭) ?(\d+) ?(?:px|픽셀)?,? ?(?:세로|높이) ?(\d+)/g, "$1x$2"],
  [/\bwidth and height (of|to)\b/g, "size"],
  [/(\d+) ?(?:px|pixels) wide and (\d+) ?(?:px|pixels) (?:high|tall)/g, "$1x$2"],
  [/\bwidth (?:of |to )?(\d+) ?(?:px|pixels)? and height (?:of |to )?(\d+)/g, "$1x$2"],
];

/** Where one wish ends and the next begins. */
const JOINTS =
  /\s*(?:[,;.!]+(?!\d)|\band then\b|\bthen\b|\band\b|\bplus\b|\bafter that\b|[&+]|그리고|(?:(?<=\s)다음에?|(?<=[한꾼든린인른운킨은]) ?(?:다음|후|뒤)에?)(?=\s)|(?<=[가-힣](?:고|서|며))\s)\s*/;

const squeeze = (text: string): string => text.replaceAll(/\s+/g, " ").trim();

/** One form for what means the same: composed characters, lower case, single spaces. */
export const normalisePrompt = (text: string): string => squeeze(text.normalize("NFC"));

function wishesOf(text: string): string[] {
  let plain = normalisePrompt(text)
    .toLowerCase()
    .replaceAll(/[“”"‘’`?]/g, "'")
    .replaceAll("'d", "'d");
  for (const [from, to] of COMPOUNDS) plain = plain.replaceAll(from, to);
  return plain
    .split(JOINTS)
    .map((wish) => squeeze(wish.replaceAll(FILLERS, " ").replaceAll(KOREAN_FILLERS, " ").replaceAll("'", "")))
    .filter((wish) => wish !== "");
}

/** Deterministic and pure. */
export function resolvePrompt(text: string): Resolution {
  const options: Partial<Options> = {};
  const understood: string[] = [];
  const wishes = wishesOf(text);
  if (wishes.length === 0) return { unresolved: text, understood };
  for (const wish of wishes) {
    const found = meaningOf(wish);
    if (found === undefined) return { unresolved: wish, understood };
    const added = afterTurn(options.rotate, found.options);
    if (added === undefined || contradicts(options, added)) {
      return { unresolved: `${wish} (it contradicts what was said before)`, understood };
    }
    merge(options, added);
    understood.push(found.label);
  }
  return { options, understood };
}

const QUARTERS: readonly Position[] = ["top", "right", "bottom", "left"];

/**
 * A turn comes after all else that a step does to the outline, so what is said after it is said of the picture as it
 * lies then: a width after a quarter turn is the height before it. Undefined where no option says the same.
 */
function afterTurn(
  rotate: Options["rotate"] | undefined,
  options: Partial<Options>,
): Partial<Options> | undefined {
  const { width, height, aspectRatio, flip, focus, ...rest } = options;
  const lies = height === undefined && factorOf(width) !== undefined && options.cropMode === undefined;
  const outline = [width, height, aspectRatio, flip, focus].some((one) => one !== undefined);
  if (typeof rotate !== "number" || !outline || lies) return options;
  if (rotate % 90 !== 0) return undefined;
  const quarters = (((rotate / 90) % 4) + 4) % 4;
  const odd = quarters % 2 === 1;
  const [across, down] = odd ? [height, width] : [width, height];
  const at = QUARTERS.indexOf((focus?.at ?? "center") as Position);
  return {
    ...rest,
    ...(across === undefined ? {} : { width: across }),
    ...(down === undefined ? {} : { height: down }),
    ...(typeof aspectRatio === "number"
      ? { aspectRatio: odd ? Number((1 / aspectRatio).toFixed(6)) : aspectRatio }
      : {}),
    ...(flip !== undefined && odd ? { flip: { horizontal: flip.vertical, vertical: flip.horizontal } } : {}),
    ...(flip !== undefined && !odd ? { flip } : {}),
    ...(at === -1 ? {} : { focus: { at: QUARTERS[(at - quarters + 4) % 4]! } }),
  };
}

/** Whether the picture can't be both. What is said twice is no contradiction, but for what adds up. */
function contradicts(before: Readonly<Partial<Options>>, added: Readonly<Partial<Options>>): boolean {
  const twice = (Object.keys(added) as (keyof Options)[]).filter((name) => before[name] !== undefined);
  if (twice.includes("rotate")) return true;
  if (twice.includes("flip") && !opposite(before.flip, added.flip)) return true;
  if (twice.some((name) => name !== "flip" && JSON.stringify(before[name]) !== JSON.stringify(added[name]))) {
    return true;
  }
  const { width, height, aspectRatio, cropMode, crop } = { ...before, ...added };
  const said = [width, height, aspectRatio].filter((one) => one !== undefined).length;
  // Half of it, and a size or a ratio: of the whole or of the half?
  if (cropMode !== undefined && said > 1) return true;
  if (twice.includes("cropMode")) return false;
  if (cropMode === undefined && said > 1 && factorOf(width) !== undefined) return true;
  if (crop !== undefined && aspectRatio !== undefined) return true;
  return said === 3 && Math.abs(Number(width) / Number(height) - Number(aspectRatio)) > 0.01;
}

const opposite = (one: Options["flip"] | undefined, other: Options["flip"] | undefined): boolean =>
  one?.horizontal === other?.vertical &&
  one?.vertical === other?.horizontal &&
  one?.horizontal !== one?.vertical;

/** Mirrored one way and then the other is mirrored both ways. */
function merge(options: Partial<Options>, added: Readonly<Partial<Options>>): void {
  const { flip } = options;
  Object.assign(options, added, flip !== undefined && added.flip !== undefined ? { flip: BOTH } : {});
}
const BOTH: Options["flip"] = { horizontal: true, vertical: true };

function meaningOf(wish: string): { options: Partial<Options>; label: string } | undefined {
  for (const { pattern, meaning } of PHRASES) {
    const match = pattern.exec(wish);
    const options = match === null ? undefined : meaning(match.slice(1).map((part) => part ?? ""));
    if (options !== undefined) return { options, label: wish };
  }
  return undefined;
}

/** A length as a factor of the picture's own; undefined for pixels. */
function factorOf(length: Expression | "auto" | undefined): number | undefined {
  if (typeof length === "number") return length < 1 ? length : undefined;
  const scaled =
    typeof length === "object" && "op" in length && length.op === "mul" && typeof length.right === "number";
  return scaled ? length.right : undefined;
}

/** What Weekerp's header `x-weekerp-applied-options` says, in its own words. */
export function appliedOptions(options: Readonly<Partial<Options>>): Record<string, unknown> {
  const { width, height, aspectRatio, crop, focus, format, flip, ...rest } = options;
  const applied: Record<string, unknown> = {};
  if (crop === "at_max") Object.assign(applied, { fit: "inside", withoutEnlargement: true });
  else if (aspectRatio !== undefined || (width !== undefined && height !== undefined)) {
    Object.assign(applied, { fit: "cover", position: focus?.at === undefined ? "centre" : focus.at });
  }
  const factor = factorOf(width) ?? factorOf(height);
  if (aspectRatio === 1 && width === undefined) applied["relativeResize"] = 1;
  if (factor !== undefined) applied["relativeResize"] = factor;
  else {
    if (width !== undefined) applied["width"] = width;
    if (height !== undefined) applied["height"] = height;
  }
  if (aspectRatio !== undefined && aspectRatio !== 1) applied["aspectRatio"] = aspectRatio;
  if (format !== undefined) applied["format"] = format;
  if (flip?.vertical === true) applied["flip"] = true;
  if (flip?.horizontal === true) applied["flop"] = true;
  const names: Readonly<Record<string, string>> = { blurSigma: "blur", sharpenSigma: "sharpen" };
  for (const [name, value] of Object.entries(rest)) applied[names[name] ?? name] = value;
  return applied;
}
