/** The items of a chain, and the options that they say. */
import { DeliveryError } from "../errors.ts";
import type { Options } from "./plan.ts";
import { CROP_MODES, CROPS } from "./rowssize.ts";
import { transformationNamed, transformationNames, wordingOf } from "./transforms.ts";
import { IGNORED, oneOf } from "./values.ts";

/** Characters of a wrong value that a message repeats. */
const ECHO_MAX = 60;

/** A value out of a URL as a message may show it: quoted, cut, control characters escaped. */
export const quote = (value: string): string =>
  JSON.stringify(value.length > ECHO_MAX ? `${value.slice(0, ECHO_MAX)}…` : value);

/** @throws always */
export function refuse(name: string, value: string, allowed: string): never {
  throw new DeliveryError("InvalidParameter", `${name} can't be ${quote(value)}. Allowed: ${allowed}.`);
}

export const twice = (name: string): DeliveryError =>
  new DeliveryError("InvalidParameter", `${name} stands twice.`);

/** No step begins with slashes: they go on an address, as in `di-https:@@@@…`. */
const STEP_END = /:(?!@@)/;
/** What SDKs write behind a name that is to stand alone. */
const NO_VALUE = /^-(?:true|-)?$/;

/** Whether no item of a chain says anything. */
export const isEmpty = (chain: string): boolean => /^[,:\s]*$/.test(chain);

/**
 * Items of a chain one after the other, and whether a new step begins with them. Templates leave empty ones, and people
 * write blanks behind commas: neither says anything.
 */
export class Items {
  readonly #items: readonly { readonly text: string; readonly newStep: boolean }[];
  #at = 0;
  /** Layers and steps read so far, wherever they stand. */
  layers = 0;
  steps = 0;

  constructor(chain: string) {
    this.#items = chain.split(STEP_END).flatMap((step) => {
      const texts = step.split(",").map((text) => text.trimStart());
      return texts.filter((text) => text !== "").map((text, n) => ({ text, newStep: n === 0 }));
    });
  }

  get text(): string | undefined {
    return this.#items[this.#at]?.text;
  }
  /** False at the very beginning. */
  get newStep(): boolean {
    return this.#at > 0 && (this.#items[this.#at]?.newStep ?? false);
  }
  next(): void {
    this.#at++;
  }
}

/** `oi-`, `ott-`, `ofo-` …: retired by ImageKit in 2023. What else begins with an o is known. */
const OLD_OVERLAYS = /^o[a-z]{1,5}-/;

/** Splits `name-value` at the longest name that is known; `e-sharpen-10` has two dashes. */
export function nameOf(text: string): string {
  if (!text.startsWith("e-")) return text.split("-", 1)[0]!;
  const second = text.indexOf("-", 2);
  return second < 0 ? text : text.slice(0, second);
}

/** What is read as a word of the other row where it is none of this one. */
const OTHER_CROPS: {
  readonly [Row in keyof Options]?: {
    readonly row: keyof Options;
    readonly words: (text: string) => string | undefined;
  };
} = {
  crop: { row: "cropMode", words: oneOf(CROP_MODES) },
  cropMode: { row: "crop", words: oneOf(CROPS) },
};

/** Puts one item among the options. @throws DeliveryError InvalidParameter */
export function readItem(options: Partial<Options>, text: string): void {
  const name = nameOf(text);
  const row = transformationNamed("imagekit", name) ?? refuseItem(text);
  const wording = wordingOf(row, "imagekit")!;
  const rest = text.slice(name.length);
  const isBare = wording.bare !== undefined && (rest === "" || NO_VALUE.test(rest));
  const value = isBare ? wording.bare : wording.parse(rest.slice(1), name);
  if (value === IGNORED) return;
  if (value !== undefined) return putOption(options, row, name, value);
  // ImageKit's guide to conditions writes `c-pad_resize`, and others take the two for one.
  const other = OTHER_CROPS[row];
  const word = other?.words(rest.slice(1));
  if (other === undefined || word === undefined) refuse(name, rest.slice(1), wording.allowed);
  putOption(options, other.row, name, word);
}

/** @throws DeliveryError InvalidParameter where the option is there already */
export function putOption(options: Partial<Options>, row: keyof Options, name: string, value: unknown): void {
  if (options[row] !== undefined) throw twice(name);
  Object.assign(options, { [row]: value });
}

function refuseItem(text: string): never {
  if (OLD_OVERLAYS.test(text)) {
    throw new DeliveryError(
      "InvalidParameter",
      `tr: ${quote(text)}: overlays are layers now: l-image,i-PATH,l-end or l-text,i-TEXT,l-end.`,
    );
  }
  if (text.startsWith("n-")) {
    throw new DeliveryError(
      "InvalidParameter",
      `tr: ${quote(text)}: a named transformation can't name another one.`,
    );
  }
  throw new DeliveryError(
    "InvalidParameter",
    `tr: ${quote(text)} is no transformation. Known: ${transformationNames("imagekit")}.`,
  );
}
