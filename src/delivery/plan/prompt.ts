/**
 * Prompts (`?ai=rotate the image to the right`) by rules: a closed set of intents in English and Korean, the same words
 * always with the same meaning. What isn't understood is never guessed.
 */
import type { Expression, Options, Position, StepOptions } from "./plan.ts";
import { PHRASES } from "./promptphrases.ts";

export type Resolution =
  /** A step for each part of the sentence that one step of a plan can't do in its order; mostly one. */
  | { readonly steps: readonly PromptStep[]; readonly understood: readonly string[] }
  /** `unresolved`: the first words that mean nothing here. */
  | { readonly unresolved: string; readonly understood: readonly string[] };

export type PromptStep = StepOptions;

/** Raised when rules change their meaning; prompts that were resolved before keep theirs where they were stored. */
export const RULES_VERSION = 3;

/** Words that say nothing of the picture. */
const FILLERS =
  /\b(please|kindly|could you|can you|would you|i want you to|i want to|i want|i'd like to|i would like to|i'd like|let's|i need to|i need|now|to be|just|also|so that|the|a|an|this|that|my|it|its|image|images|picture|photo|photograph|pic)\b/g;
const KOREAN_FILLERS = /(이미지|사진|그림)(를|을|은|는|의|이|가|로|으로)?(?![가-힣])|좀|제발/g;

/** "and" that joins no two wishes. */
const COMPOUNDS: readonly (readonly [RegExp, string])[] = [
  [/\bblack (and|&|n) white\b/g, "grayscale"],
  [/\bb&w\b/g, "grayscale"],
  // "width: 400", "quality=60"; ratios have digits on both sides.
  [/(\p{L}) ?[:=] ?/gu, "$1 "],
  [/\bhorizontally (?:and|&) vertically\b/g, "both ways"],
  // Who names width and height means pixels; 가로 and 세로 are also said of ratios.
  [/가로 ?(\d+) ?(px|픽셀)?,? ?세로 ?(\d+)/g, "$1$2 x $3"],
  [/(?:가로|너비|폭) ?(\d+) ?(?:px|픽셀)?,? ?(?:세로|높이) ?(\d+)/g, "$1px x $2"],
  [/\bwidth and height (of|to)\b/g, "size"],
  [/(\d+) ?(?:px|pixels) wide and (\d+) ?(?:px|pixels) (?:high|tall)/g, "$1px x $2px"],
  [/\bwidth (?:of |to )?(\d+) ?(?:px|pixels)? and height (?:of |to )?(\d+)/g, "$1px x $2"],
  [/\bsquare, ?(\d+ ?(?:px|pixels?))(?=\s*(?:$|[,;.!&]|and\b|then\b))/g, "square $1"],
];

/** Where one wish ends and the next begins. */
const JOINTS =
  /\s*(?:[,;.!]+(?!\d)|\band then\b|\bthen\b|\band\b|\bplus\b|\bafter that\b|[&+]|그리고|(?:(?<=\s)다음에?|(?<=[한꾼든린인른운킨은춘긴앤]) ?(?:다음|후|뒤)에?)(?=\s)|(?<=[가-힣](?:고|서|며))\s)\s*/;

const squeeze = (text: string): string => text.replaceAll(/\s+/g, " ").trim();

/** One form for what is the same text: composed characters, single spaces. */
export const normalisePrompt = (text: string): string => squeeze(text.normalize("NFC"));

function wishesOf(text: string): string[] {
  let plain = normalisePrompt(text)
    .toLowerCase()
    .replace(VERSION, "")
    .replaceAll(/[“”"‘’`?]/g, "'");
  for (const [from, to] of COMPOUNDS) plain = plain.replaceAll(from, to);
  return plain
    .split(JOINTS)
    .map((wish) => squeeze(wish.replaceAll(FILLERS, " ").replaceAll(KOREAN_FILLERS, " ").replaceAll("'", "")))
    .filter((wish) => wish !== "")
    .map((wish, n) => squeeze(wish.replace(n === 0 ? FIRST : LAST, "")));
}

/** Weekerp's way to have a prompt understood anew: it says nothing of the picture. */
const VERSION = /\s*-v\d{1,4}$/;

/** Said where they stand anyway; elsewhere they turn the order of the sentence round. */
const FIRST = /^first\b|\bfirst$/;
const LAST = /^(finally|lastly|at last)\b|\b(finally|lastly|at last)$/;

/** Deterministic and pure. */
export function resolvePrompt(text: string): Resolution {
  const steps: PromptStep[] = [{}];
  const understood: string[] = [];
  let unresolved: string | undefined;
  const wishes = wishesOf(text);
  for (const wish of wishes) {
    const options = meaningOf(wish);
    if (options === undefined) unresolved ??= wish;
    else if (add(steps, options)) understood.push(wish);
    else unresolved ??= `${wish} (it contradicts what was said before)`;
  }
  if (wishes.length === 0) unresolved = text;
  return unresolved === undefined ? { steps, understood } : { unresolved, understood };
}

/** Options of the result, whatever is done to the picture on the way. */
const ANYWHERE: readonly string[] = ["format", "quality"];

/** False: the picture can't be both. */
function add(steps: PromptStep[], options: PromptStep): boolean {
  const n = Object.keys(options).every((name) => ANYWHERE.includes(name)) ? 0 : steps.length - 1;
  const inOrder = following(steps[n]!, options);
  if (inOrder === undefined) steps.push(options);
  else if (contradicts(steps[n]!, inOrder)) return false;
  else steps[n] = merged(steps[n]!, inOrder);
  return true;
}

/**
 * What a prompt asks for with what else the URL says, done to what the prompt makes. Undefined: that takes a step of its
 * own.
 */
export function joined(step: PromptStep, options: PromptStep): PromptStep | undefined {
  const turned = step.rotate !== undefined || step.flip !== undefined;
  if (
    (turned && saysAny(options, OUTLINE)) ||
    following(step, options) !== options ||
    contradicts(step, options)
  ) {
    return undefined;
  }
  return merged(step, options);
}

const OUTLINE = ["width", "height", "aspectRatio", "crop", "cropMode", "focus", "trim"] as const;
const COLOURS = ["gamma", "brightness", "saturation", "hue", "grayscale", "contrast", "threshold"] as const;
const SHARPNESS = ["blur", "blurSigma", "sharpen", "sharpenSigma", "unsharp"] as const;
const QUARTERS: readonly Position[] = ["top", "right", "bottom", "left"];

/** What a step does late, each with what it would do before that, though it was said behind it, and to another end. */
const LATE: readonly (readonly [
  isDone: (step: PromptStep) => boolean,
  tooEarly: readonly (keyof Options)[],
])[] = [
  // The lightest and the darkest are those of what is there.
  [({ contrast }) => contrast !== undefined, [...OUTLINE, ...COLOURS]],
  // So many pixels are more of a smaller picture; and light that was cut off spreads no more.
  [(step) => saysAny(step, SHARPNESS), [...OUTLINE, ...COLOURS]],
  [({ radius }) => radius !== undefined && radius !== "max", [...OUTLINE, ...SHARPNESS]],
  [isSlanted, ["flip", "contrast", ...SHARPNESS, "radius", "border"]],
];

const saysAny = (options: PromptStep, names: readonly (keyof Options)[]): boolean =>
  names.some((name) => options[name] !== undefined);

function isSlanted({ rotate }: PromptStep): boolean {
  return typeof rotate === "number" && rotate % 90 !== 0;
}

/**
 * The operations of a step have an order of their own: outline, mirroring, colours, sharpness, corners, border, turn. So
 * what is said after one of the latter is put as it has to be said before. Undefined where no option of the same step
 * says the same.
 */
function following(step: PromptStep, options: PromptStep): PromptStep | undefined {
  // It would be shrunk, coloured or cut off with the picture.
  const onBorder = Object.keys(options).some((name) => name !== "rotate" && !ANYWHERE.includes(name));
  if (step.border !== undefined && onBorder) return undefined;
  if (LATE.some(([isDone, tooEarly]) => isDone(step) && saysAny(options, tooEarly))) return undefined;
  // A part of a square, or a square of a part: widths are parts of what the step begins with.
  if (isShape(step) ? isScale(options) : isScale(step) && isShape(options)) return undefined;
  const outline = saysAny(options, OUTLINE) && !isScale(options);
  // A length of the side that was there before the turn.
  if (outline && step.rotate !== undefined && [options.width, options.height].some(isRelative))
    return undefined;
  if (isSlanted(step)) return outline ? undefined : options;
  if (!outline && options.flip === undefined) return options;
  return beforeFlip(step.flip, beforeTurn(typeof step.rotate === "number" ? step.rotate / 90 : 0, options));
}

const isRelative = (length: Options["width"] | undefined): boolean => typeof length === "object";
const isScale = ({ width, height, cropMode, aspectRatio }: PromptStep): boolean =>
  factorOf(width) !== undefined &&
  height === undefined &&
  cropMode === undefined &&
  aspectRatio === undefined;
const isShape = ({ width, height, cropMode, aspectRatio }: PromptStep): boolean =>
  aspectRatio !== undefined && width === undefined && height === undefined && cropMode === undefined;

/** A width after a quarter turn is the height before it. */
function beforeTurn(turns: number, options: PromptStep): PromptStep {
  const quarters = ((turns % 4) + 4) % 4;
  if (quarters === 0) return options;
  const { width, height, aspectRatio, flip, focus, ...rest } = options;
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

/** The left of what was mirrored is the right of what it was. */
function beforeFlip(flip: Options["flip"] | undefined, options: PromptStep): PromptStep {
  const at = options.focus?.at;
  if (flip === undefined || at === undefined) return options;
  const n = QUARTERS.indexOf(at as Position);
  const mirrored = n !== -1 && (n % 2 === 1 ? flip.horizontal : flip.vertical);
  return mirrored ? { ...options, focus: { at: QUARTERS[(n + 2) % 4]! } } : options;
}

/** What said again would be done again. */
const ADDING: readonly (keyof Options)[] = ["rotate", "brightness", "saturation"];

/** Whether the picture can't be both. What is said twice is no contradiction, but for what adds up. */
function contradicts(before: PromptStep, added: PromptStep): boolean {
  const twice = (Object.keys(added) as (keyof Options)[]).filter((name) => before[name] !== undefined);
  if (twice.some((name) => ADDING.includes(name))) return true;
  if (twice.includes("width") && factorOf(added.width) !== undefined) return true;
  if (twice.includes("flip") && !opposite(before.flip, added.flip)) return true;
  if (twice.some((name) => name !== "flip" && JSON.stringify(before[name]) !== JSON.stringify(added[name]))) {
    return true;
  }
  const both = { ...before, ...added };
  if (both.blurSigma !== undefined && both.sharpenSigma !== undefined) return true;
  if (both.grayscale !== undefined && both.saturation !== undefined) return true;
  const { width, height, aspectRatio, cropMode, crop } = both;
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
const merged = (step: PromptStep, added: PromptStep): PromptStep => ({
  ...step,
  ...added,
  ...(step.flip !== undefined && added.flip !== undefined && { flip: BOTH }),
});
const BOTH: Options["flip"] = { horizontal: true, vertical: true };

function meaningOf(wish: string): PromptStep | undefined {
  for (const { pattern, meaning } of PHRASES) {
    const match = pattern.exec(wish);
    const options = match === null ? undefined : meaning(match.slice(1).map((part) => part ?? ""));
    if (options !== undefined) return options;
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

/** What Weekerp's header `x-weekerp-applied-options` says, in its own words; a list where it took several steps. */
export function appliedOptions(steps: readonly PromptStep[]): unknown {
  const [first, ...more] = steps.map(appliedIn);
  return more.length === 0 ? first : [first, ...more];
}

const FITS: Readonly<Record<string, object>> = {
  at_max: { fit: "inside", withoutEnlargement: true },
  at_max_enlarge: { fit: "inside" },
  at_least: { fit: "outside" },
  force: { fit: "fill" },
  pad_resize: { fit: "contain" },
};

function appliedIn(options: PromptStep): Record<string, unknown> {
  const { width, height, aspectRatio, crop, cropMode, focus, format, flip, ...rest } = options;
  const applied: Record<string, unknown> = {};
  if (cropMode === "extract") {
    // A part of the picture, which no option of Weekerp's names.
    applied["extract"] = { position: focus?.at, ...(width === undefined ? { height } : { width }) };
  } else {
    const fit = FITS[cropMode ?? crop ?? ""];
    if (fit !== undefined) Object.assign(applied, fit);
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
  }
  if (format !== undefined) applied["format"] = format;
  if (flip?.vertical === true) applied["flip"] = true;
  if (flip?.horizontal === true) applied["flop"] = true;
  const names: Readonly<Record<string, string>> = { blurSigma: "blur", sharpenSigma: "sharpen" };
  for (const [name, value] of Object.entries(rest)) applied[names[name] ?? name] = value;
  return applied;
}
