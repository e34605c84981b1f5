/** What the numbers and names in prompts come down to. Undefined: none that can be meant. */
import { DEFAULT_LIMITS } from "../limits.ts";
import { parseColour } from "./colours.ts";
import type { Expression, Format, Options } from "./plan.ts";
import { wordingOf } from "./transforms.ts";

const side = (text: string | undefined): number | undefined => {
  const value = Number(text);
  return Number.isInteger(value) && value >= 1 && value <= DEFAULT_LIMITS.resultSide ? value : undefined;
};

/** A factor of the width that the picture has by then: a fraction below 1, else an expression. */
export function scaled(factor: number): Partial<Options> | undefined {
  if (!(factor > 0) || factor > 10) return undefined;
  if (factor === 1) return {};
  const width: Expression = factor < 1 ? factor : { op: "mul", left: { variable: "cw" }, right: factor };
  return { width };
}
export const percent = (text: string | undefined): number => Number(text) / 100;
/** With a verb that says which way: nobody enlarges to a half. */
export function towards(
  factor: number,
  smaller: string | undefined,
  larger: string | undefined,
): Partial<Options> | undefined {
  const contrary = (smaller !== "" && factor >= 1) || (larger !== "" && factor <= 1);
  return contrary ? undefined : scaled(factor);
}
export const FRACTIONS: Readonly<Record<string, number>> = {
  half: 0.5,
  third: 0.333333,
  quarter: 0.25,
  fourth: 0.25,
  절반: 0.5,
  반: 0.5,
  "1/2": 0.5,
  "2분의 1": 0.5,
  "2분의1": 0.5,
  "1/3": 0.333333,
  "3분의 1": 0.333333,
  "3분의1": 0.333333,
  "삼분의 일": 0.333333,
  삼분의일: 0.333333,
  "1/4": 0.25,
  "4분의 1": 0.25,
  "4분의1": 0.25,
  "사분의 일": 0.25,
  사분의일: 0.25,
};

/** Of lengths with or without their unit; `more`: what else is said of them. */
export function pixelBox(
  width: string | undefined,
  height: string | undefined,
  more: Partial<Options> = {},
): Partial<Options> | undefined {
  const [w, h] = [width, height].map((text) => side(/^\d*/.exec(text ?? "")![0]));
  return w === undefined || h === undefined ? undefined : { width: w, height: h, ...more };
}
/** Pixels from which nobody means a ratio. */
const PIXELS_MIN = 30;
/** Both below it may be a ratio, so that the unit must be said. */
export function box(width: string | undefined, height: string | undefined): Partial<Options> | undefined {
  const small = [width, height].every((text) => Number(text) < PIXELS_MIN);
  return small ? undefined : pixelBox(width, height);
}
/** The word for a side, or for the middle, which is where crops are taken from anyway. */
export function placed(
  options: Partial<Options> | undefined,
  from: string | undefined,
): Partial<Options> | undefined {
  const at = SIDES[from ?? ""];
  return options === undefined || at === undefined ? options : { ...options, focus: { at } };
}
export const atMost = (options: Partial<Options> | undefined): Partial<Options> | undefined =>
  options && { ...options, crop: "at_max" };
export const both = (
  one: Partial<Options> | undefined,
  other: Partial<Options> | undefined,
): Partial<Options> | undefined => one && other && { ...one, ...other };
export function ratio(across: string | undefined, down: string | undefined): Partial<Options> | undefined {
  const value = Number(across) / Number(down);
  return value >= 0.05 && value <= 20 ? { aspectRatio: Number(value.toFixed(6)) } : undefined;
}
/** Said as "16 by 9" or "4x3" these are ratios. */
const RATIOS: readonly string[] =
  "1:1 16:9 9:16 16:10 10:16 4:3 3:4 3:2 2:3 21:9 9:21 5:4 4:5 5:7 7:5 8:10 10:8 2:1 1:2 3:1 1:3".split(" ");
export const knownRatio = (
  across: string | undefined,
  down: string | undefined,
): Partial<Options> | undefined => (RATIOS.includes(`${across}:${down}`) ? ratio(across, down) : undefined);
/** What alias URLs may say by a number. */
type Numbered =
  | "rotate"
  | "brightness"
  | "saturation"
  | "gamma"
  | "hue"
  | "blurSigma"
  | "sharpenSigma"
  | "quality";
/** As far as they may say it. */
export function number(name: Numbered, text: string | undefined): Partial<Options> | undefined {
  const value = wordingOf(name, "weekerp")!.parse(text ?? "", name);
  return value === undefined ? undefined : { [name]: value };
}
export const turn = (degrees: number): Partial<Options> | undefined => number("rotate", String(degrees));
export const brightness = (value: number): Partial<Options> | undefined =>
  number("brightness", value.toFixed(4));
export const saturation = (value: number): Partial<Options> | undefined =>
  number("saturation", value.toFixed(4));

const FORMATS: Readonly<Record<string, Format>> = {
  webp: "webp",
  웹피: "webp",
  png: "png",
  피엔지: "png",
  jpg: "jpeg",
  jpeg: "jpeg",
  제이피지: "jpeg",
  avif: "avif",
  gif: "gif",
  tiff: "tiff",
};
export const format = (text: string | undefined): Partial<Options> | undefined => {
  const found = FORMATS[text ?? ""];
  return found === undefined ? undefined : { format: found };
};
type Side = "left" | "right" | "top" | "bottom";
export const KOREAN_SIDES: Readonly<Record<string, Side>> = {
  왼쪽: "left",
  오른쪽: "right",
  위쪽: "top",
  아래쪽: "bottom",
  위: "top",
  아래: "bottom",
};
const SIDES: Readonly<Record<string, Side>> = {
  left: "left",
  right: "right",
  top: "top",
  bottom: "bottom",
  upper: "top",
  lower: "bottom",
  ...KOREAN_SIDES,
};
const OPPOSITE: Readonly<Record<Side, Side>> = { left: "right", right: "left", top: "bottom", bottom: "top" };

/** A part of a side of the picture: a factor of it, or pixels of which there is one at least. */
function partOf(
  text: string | undefined,
): { readonly factor: number } | { readonly pixels: number } | undefined {
  const known = FRACTIONS[text ?? ""];
  if (known !== undefined) return { factor: known };
  const value = parseInt(text ?? "", 10);
  if (!(value >= 1)) return undefined;
  return /%|percent|퍼센트|프로/.test(text!) ? { factor: value / 100 } : { pixels: value };
}

const extract = (at: Side, length: Expression): Partial<Options> => ({
  cropMode: "extract",
  focus: { at },
  ...(at === "left" || at === "right" ? { width: length } : { height: length }),
});

/** That part of that side, and nothing else. */
export function kept(name: string | undefined, text: string | undefined): Partial<Options> | undefined {
  const [at, part] = [SIDES[name ?? ""], partOf(text)];
  if (at === undefined || part === undefined) return undefined;
  return extract(at, "factor" in part ? part.factor : part.pixels);
}
/** All but that part of that side. */
export function cutOff(name: string | undefined, text: string | undefined): Partial<Options> | undefined {
  const [from, part] = [SIDES[name ?? ""], partOf(text)];
  if (from === undefined || part === undefined) return undefined;
  const variable = from === "left" || from === "right" ? "cw" : "ch";
  const rest: Expression =
    "factor" in part
      ? Number((1 - part.factor).toFixed(6))
      : { op: "sub", left: { variable }, right: part.pixels };
  return extract(OPPOSITE[from], rest);
}

export const TIMES: Readonly<Record<string, number>> = {
  double: 2,
  twice: 2,
  triple: 3,
  two: 2,
  three: 3,
  four: 4,
  five: 5,
  두: 2,
  세: 3,
  네: 4,
};

export function sized(name: "width" | "height", text: string | undefined): Partial<Options> | undefined {
  const value = side(text);
  return value === undefined ? undefined : { [name]: value };
}

/** By the first syllable. */
export const KOREAN_COLOURS: Readonly<Record<string, string>> = {
  검: "black",
  흰: "white",
  하: "white",
  빨: "red",
  파: "blue",
  초: "green",
  노: "yellow",
  회: "gray",
};
export function rounded(text: string | undefined): Partial<Options> | undefined {
  const value = side(text);
  return value === undefined ? undefined : { radius: [value, value, value, value] };
}
export function bordered(width: string | undefined, name: string | undefined): Partial<Options> | undefined {
  const [pixels, colour] = [side(width), parseColour(name ?? "")];
  return pixels === undefined || colour === undefined ? undefined : { border: { width: pixels, colour } };
}
