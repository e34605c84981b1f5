/** Values as URLs write them: what is allowed, and one parser each. */
import { PATH_BYTES_MAX, TEXT_MAX } from "../limits.ts";
import { COLOUR_ALLOWED, parseColour } from "./colours.ts";
import { parseExpression, parseRatio } from "./expression.ts";
import type {
  Background,
  Colour,
  Distort,
  Expression,
  Gradient,
  ModelTask,
  Options,
  Pages,
  Position,
  Radius,
  Shadow,
} from "./plan.ts";

/** A value that the grammar's owner documents as being left out of account. */
export const IGNORED = Symbol("ignored");

/** One kind of value. */
export interface Value<T> {
  /** As messages and the reference page say it. */
  readonly allowed: string;
  /** Undefined: not allowed. */
  readonly parse: (this: void, text: string) => T | undefined;
  /** Of numbers alone. */
  readonly range?: readonly [min: number, max: number];
}

/** Above it ImageKit ignores a side. */
const SIDE_MAX = 65_535;

export const EXPRESSION: Value<Expression> = {
  allowed: "a number or an expression such as iw_mul_0.5",
  parse: parseExpression,
};
export const SECONDS: Value<Expression> = {
  allowed: "seconds, or an expression such as idu_mul_0.5",
  parse: parseExpression,
};
export const COLOUR: Value<Colour> = { allowed: COLOUR_ALLOWED, parse: parseColour };

export const orAuto = <T>({ allowed, parse }: Value<T>): Value<T | "auto"> => ({
  allowed: `${allowed}, or auto`,
  parse: (text) => (text === "auto" ? text : parse(text)),
});

export const LENGTH: Value<Expression | typeof IGNORED> = {
  allowed: `whole pixels from 1 to ${SIDE_MAX} (more is left out of account), a fraction of the input below 1, or an expression such as iw_mul_0.5`,
  parse: parseLength,
};
function parseLength(text: string): Expression | typeof IGNORED | undefined {
  const value = parseExpression(text);
  if (typeof value !== "number") return value;
  if (value > SIDE_MAX) return IGNORED;
  if (value <= 0) return undefined;
  // What is computed may come to a fraction of a pixel; what is written may not.
  if (value < 1 || Number.isInteger(value)) return value;
  return text.includes("_") ? Math.round(value) : undefined;
}

/** What sides in queries of aliases may be written as. */
export const PLAIN_PIXELS = "from 1 to 99999";
export const PLAIN_LENGTH: Value<number> = {
  allowed: `whole pixels ${PLAIN_PIXELS}, or a fraction of the original below 1`,
  parse: parsePlainLength,
};
/** Digits of a pixel count or of a fraction below 1, as queries of aliases write them. */
function parsePlainLength(text: string): number | undefined {
  const value = /^(\d{1,5}|0?\.\d{1,6})$/.test(text) ? Number(text) : 0;
  return value > 0 && (value < 1 || Number.isInteger(value)) ? value : undefined;
}

export const RATIO: Value<Expression> = {
  allowed: "4-3, 4_3, a number or an expression",
  parse: parseRatioValue,
};
function parseRatioValue(text: string): Expression | undefined {
  const ratio = /^\d+(\.\d+)?_\d+(\.\d+)?$/.test(text)
    ? parseRatio(text.replace("_", "-"))
    : parseRatio(text);
  return typeof ratio === "number" && ratio <= 0 ? undefined : ratio;
}

export const whole = (min: number, max: number): Value<number> => ({
  allowed: `a whole number from ${min} to ${max}`,
  parse: (text) => parseWhole(text, min, max),
  range: [min, max],
});
export function parseWhole(text: string, min: number, max: number): number | undefined {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
}

export const number = (min: number, max: number): Value<number> => ({
  allowed: `a number from ${min} to ${max}`,
  parse: (text) => parseNumber(text, min, max),
  range: [min, max],
});
/** An expression is held to the bounds once it is computed. */
export const within = ([min, max]: readonly [number, number]): Value<Expression> => ({
  allowed: `a number from ${min} to ${max}, or an expression`,
  parse: (text) => {
    const value = parseExpression(text);
    return typeof value === "number" && (value < min || value > max) ? undefined : value;
  },
});
/** `N` in front of ImageKit's numbers, and a dash in queries, make them negative. */
export function parseNumber(text: string, min: number, max: number): number | undefined {
  const match = /^([N-]?)(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})$/.exec(text);
  if (match === null) return undefined;
  const value = match[1] === "" ? Number(match[2]) : -Number(match[2]);
  return value >= min && value <= max ? value + 0 : undefined;
}

/** A number that may be negative, or an expression. */
export function parseCoordinate(text: string): Expression | undefined {
  const match = /^[N-](\d{1,6}(?:\.\d{1,6})?)$/.exec(text);
  if (match !== null) return -Number(match[1]) + 0;
  if (!/^[N-]/.test(text)) return parseExpression(text);
  const rest = parseExpression(text.slice(1));
  return rest === undefined ? undefined : { op: "sub", left: 0, right: rest };
}

export const BOOLEAN: Value<boolean> = { allowed: "true or false", parse: (text) => parseBoolean(text) };
export const parseBoolean = (text: string): boolean | undefined =>
  text === "true" ? true : text === "false" ? false : undefined;

/** Words come from URLs: `constructor` must not find what every object has. */
export const oneOf =
  <T>(words: Readonly<Record<string, T>>) =>
  (text: string): T | undefined =>
    Object.hasOwn(words, text) ? words[text] : undefined;

export const words = <T>(meanings: Readonly<Record<string, T>>): Value<T> => ({
  allowed: `one of ${Object.keys(meanings).join(", ")}`,
  parse: oneOf(meanings),
});

/** Words that mean what the Plan calls so too. */
export const named = <Word extends string>(...some: readonly Word[]): Readonly<Record<Word, Word>> =>
  Object.fromEntries(some.map((one) => [one, one])) as Record<Word, Word>;

export const POSITIONS: Readonly<Record<string, Position>> = named(
  "center",
  "top",
  "left",
  "bottom",
  "right",
  "top_left",
  "top_right",
  "bottom_left",
  "bottom_right",
);

const BOTH = { horizontal: true, vertical: true };
export const FLIP: Value<Options["flip"]> = {
  allowed: "h, v, h_v or v_h",
  parse: oneOf({
    h: { horizontal: true, vertical: false },
    v: { horizontal: false, vertical: true },
    h_v: BOTH,
    v_h: BOTH,
  }),
};

export const RADIUS: Value<Radius> = {
  allowed: `pixels, four numbers of them from 0 to ${SIDE_MAX} joined by _ clockwise from top left, an expression, or max`,
  parse: parseRadius,
};
/** A quarter of the corners is a shape of its own; `10_20_30_40` is four of them, clockwise from top left. */
function parseRadius(text: string): Radius | undefined {
  if (text === "max") return text;
  const corners = text.split("_").map((part) => parseWhole(part, 0, SIDE_MAX));
  if (corners.length === 4 && corners.every((corner) => corner !== undefined)) {
    return corners as [number, number, number, number];
  }
  const all = parseExpression(text);
  return all === undefined ? undefined : [all, all, all, all];
}

export const PADDING: Value<Corners> = {
  allowed: `one to four numbers of pixels from 0 to ${SIDE_MAX} joined by _, or an expression`,
  parse: parsePadding,
};
type Corners = [Expression, Expression, Expression, Expression];

/** One to four lengths, as CSS has them. */
function parsePadding(text: string): Corners | undefined {
  const sides = text.split("_").map((part) => parseWhole(part, 0, SIDE_MAX));
  if (sides.length <= 4 && sides.every((side) => side !== undefined)) {
    const [top = 0, right = top, bottom = top, left = right] = sides;
    return [top, right, bottom, left];
  }
  const all = parseExpression(text);
  return all === undefined ? undefined : [all, all, all, all];
}

export const BORDER: Value<Options["border"]> = {
  allowed: `a width, _ and a colour such as 5_red; the colour is ${COLOUR_ALLOWED}`,
  parse: parseBorder,
};
function parseBorder(text: string): Options["border"] | undefined {
  const at = Math.max(text.lastIndexOf("_"), text.lastIndexOf("-"));
  const width = parseExpression(text.slice(0, Math.max(at, 0)));
  const colour = parseColour(text.slice(at + 1));
  return width === undefined || colour === undefined ? undefined : { width, colour };
}

export const BACKGROUND: Value<Background> = {
  allowed: `${COLOUR_ALLOWED}; blurred, blurred_25, blurred_auto_N50 (auto or an intensity from 0 to 100, a brightness from N255 to 255); dominant; gradient_dominant, gradient_dominant_2 or _4; genfill, genfill-prompt-TEXT`,
  parse: parseBackground,
};
function parseBackground(text: string): Background | undefined {
  const blurred = /^blurred(?:_(auto|\d{1,3}))?(?:_(N?\d{1,3}))?$/.exec(text);
  if (blurred !== null) {
    const intensity =
      blurred[1] === undefined || blurred[1] === "auto" ? "auto" : parseWhole(blurred[1], 0, 100);
    const brightness = parseNumber(blurred[2] ?? "0", -255, 255);
    return intensity === undefined || brightness === undefined
      ? undefined
      : { kind: "blurred", intensity, brightness };
  }
  if (text === "dominant") return { kind: "dominant" };
  const gradient = /^gradient_dominant(?:_([24]))?$/.exec(text);
  if (gradient !== null) return { kind: "gradient", colours: gradient[1] === "4" ? 4 : 2 };
  if (text === "genfill") return { kind: "generated", prompt: undefined };
  if (text.startsWith("genfill-")) {
    const prompt = parsePrompt(text.slice("genfill-".length));
    return prompt === undefined ? undefined : { kind: "generated", prompt };
  }
  const colour = parseColour(text);
  return colour === undefined ? undefined : { kind: "colour", colour };
}

/** `prompt-TEXT`, `prompte-BASE64`. */
export function parsePrompt(text: string): string | undefined {
  const match = /^(prompte?)-(.+)$/s.exec(text);
  if (match === null) return undefined;
  const prompt = match[1] === "prompt" ? match[2] : parseBase64(match[2]!);
  return prompt === undefined || prompt.length > TEXT_MAX || hasControls(prompt) ? undefined : prompt;
}

/** Characters that no text has: all controls but tabulators and ends of lines. */
export const hasControls = (text: string): boolean => /[^\P{Cc}\t\n\r]/u.test(text);

/** Without those at both ends. By hand: an expression would look at long rows of slashes again and again. */
function withoutSlashes(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && text[start] === "/") start++;
  while (end > start && text[end - 1] === "/") end--;
  return text.slice(start, end);
}

/** `@@` stands for a slash; slashes at both ends mean nothing. Undefined: longer than any key. */
export function parsePath(text: string): string | undefined {
  const path = withoutSlashes(text.replaceAll("@@", "/"));
  return path === "" || Buffer.byteLength(path) > PATH_BYTES_MAX ? undefined : path;
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/**
 * Base64 that may be percent-encoded once more, lack its padding, and have blanks for its plus signs, which queries take
 * for such. Undefined for what is not UTF-8 below it.
 */
export function parseBase64(text: string): string | undefined {
  try {
    const encoded = (text.includes("%") ? decodeURIComponent(text) : text).replaceAll(" ", "+");
    if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(encoded)) return undefined;
    return UTF8.decode(Buffer.from(encoded, "base64"));
  } catch {
    return undefined;
  }
}

/** Words such as `ld-45` joined by `_`, in any order; values may hold `_` themselves. Undefined for unknown ones. */
function parseParts(text: string, names: readonly string[]): Map<string, string> | undefined {
  const parts = new Map<string, string>();
  if (text === "") return parts;
  const starts = new RegExp(`(?:^|_)(${names.join("|")})-`, "g");
  const found = [...text.matchAll(starts)];
  if (found[0]?.index !== 0) return undefined;
  for (const [n, match] of found.entries()) {
    const value = text.slice(match.index + match[0].length, found[n + 1]?.index ?? text.length);
    if (parts.has(match[1]!) || value === "") return undefined;
    parts.set(match[1]!, value);
  }
  return parts;
}

const DIRECTIONS: Readonly<Record<string, number>> = {
  top: 0,
  top_right: 45,
  right: 90,
  bottom_right: 135,
  bottom: 180,
  bottom_left: 225,
  left: 270,
  top_left: 315,
};
export const GRADIENT: Value<Gradient> = {
  allowed:
    "ld- degrees from 0 to 359 or a side such as top_right, from- and to- colours, sp- a fraction, pixels or an expression, joined by _",
  parse: parseGradient,
};
function parseGradient(text: string): Gradient | undefined {
  const parts = parseParts(text, ["ld", "from", "to", "sp"]);
  if (parts === undefined) return undefined;
  const direction =
    oneOf(DIRECTIONS)(parts.get("ld") ?? "") ?? parseNumber(parts.get("ld") ?? "180", 0, 359.999);
  const from = parseColour(parts.get("from") ?? "FFFFFF");
  const to = parseColour(parts.get("to") ?? "00000000");
  const stop = parseExpression(parts.get("sp") ?? "1");
  if (direction === undefined || from === undefined || to === undefined || stop === undefined)
    return undefined;
  // 1 alone is the whole side, where below it fractions are meant and above it pixels.
  return { direction, from, to, stop };
}

export const SHADOW: Value<Shadow> = {
  allowed:
    "bl- blur from 0 to 15, st- strength from 0 to 100, x- and y- offsets in per cent up to 100 (N for negative), joined by _",
  parse: parseShadow,
};
function parseShadow(text: string): Shadow | undefined {
  const parts = parseParts(text, ["bl", "st", "x", "y"]);
  if (parts === undefined) return undefined;
  const blur = parseNumber(parts.get("bl") ?? "10", 0, 15);
  const saturation = parseNumber(parts.get("st") ?? "30", 0, 100);
  const x = parseNumber(parts.get("x") ?? "2", -100, 100);
  const y = parseNumber(parts.get("y") ?? "2", -100, 100);
  if (blur === undefined || saturation === undefined || x === undefined || y === undefined) return undefined;
  return { blur, saturation, x, y };
}

export const COLORIZE: Value<Options["colorize"]> = {
  allowed: "co- a colour, in- an intensity from 0 to 100, joined by _",
  parse: parseColorize,
};
function parseColorize(text: string): Options["colorize"] | undefined {
  const parts = parseParts(text, ["co", "in"]);
  const colour = parseColour(parts?.get("co") ?? "gray");
  const intensity = parseNumber(parts?.get("in") ?? "100", 0, 100);
  return parts === undefined || colour === undefined || intensity === undefined
    ? undefined
    : { colour, intensity };
}

export const DISTORT: Value<Distort> = {
  allowed: "p-x1_y1_x2_y2_x3_y3_x4_y4 (corners clockwise from top left) or a-DEGREES from N360 to 360 but 0",
  parse: parseDistort,
};
function parseDistort(text: string): Distort | undefined {
  const arc = /^a-(.+)$/.exec(text);
  if (arc !== null) {
    const degrees = parseCoordinate(arc[1]!);
    const outside = typeof degrees === "number" && (Math.abs(degrees) > 360 || degrees === 0);
    return degrees === undefined || outside ? undefined : { kind: "arc", degrees };
  }
  const corners = /^p-(.+)$/.exec(text)?.[1]?.split("_").map(parseCoordinate) ?? [];
  if (corners.length !== 8 || !corners.every((corner) => corner !== undefined)) return undefined;
  return { kind: "perspective", corners };
}

export const UNSHARP: Value<Options["unsharp"]> = {
  allowed:
    "no value, or radius-sigma-amount-threshold such as 2-2-0.8-0.024, each up to 1000 and sigma above 0",
  parse: parseUnsharp,
};
function parseUnsharp(text: string): Options["unsharp"] | undefined {
  const numbers = text.split("-").map((part) => parseNumber(part, 0, 1000));
  const [radius, sigma, amount, threshold] = numbers;
  if (numbers.length !== 4 || radius === undefined || sigma === undefined) return undefined;
  if (amount === undefined || threshold === undefined || sigma === 0) return undefined;
  return { radius, sigma, amount, threshold };
}

export const COLOUR_REPLACE: Value<Options["colourReplace"]> = {
  allowed:
    "the new colour, then _ and a tolerance from 0 to 100, then _ and the old colour, such as red_30_FFFFFF",
  parse: parseColourReplace,
};
function parseColourReplace(text: string): Options["colourReplace"] | undefined {
  const [toText = "", toleranceText = "35", fromText, ...rest] = text.split("_");
  const to = parseColour(toText);
  const tolerance = parseNumber(toleranceText, 0, 100);
  const from = fromText === undefined ? undefined : parseColour(fromText);
  const wrong = rest.length > 0 || (fromText !== undefined && from === undefined);
  return to === undefined || tolerance === undefined || wrong ? undefined : { to, tolerance, from };
}

export const PAGES: Value<Pages> = {
  allowed: 'pages from 1 to 9999 such as 1, 2-4, 4-, 1_3_5, or name-"layer"_"layer"',
  parse: parsePages,
};
function parsePages(text: string): Pages | undefined {
  const range = /^(\d{1,4})(-(\d{1,4})?)?$/.exec(text);
  if (range !== null) {
    const from = Number(range[1]);
    const to = range[2] === undefined ? from : range[3] === undefined ? undefined : Number(range[3]);
    return from < 1 || (to !== undefined && to < from) ? undefined : { kind: "range", from, to };
  }
  if (/^\d{1,4}(_\d{1,4})+$/.test(text)) {
    const pages = text.split("_").map(Number);
    return pages.every((page) => page >= 1) ? { kind: "list", pages } : undefined;
  }
  const names = /^name-"([^"]{1,100}("_"[^"]{1,100})*)"$/.exec(text)?.[1]?.split('"_"');
  const bare = /^name-([^"]{1,100})$/.exec(text)?.[1];
  if (names !== undefined) return { kind: "names", names };
  return bare === undefined ? undefined : { kind: "names", names: [bare] };
}

export function parseDropShadow(text: string): ModelTask | undefined {
  const parts = parseParts(text, ["az", "el", "st"]);
  if (parts === undefined) return undefined;
  const azimuth = parseNumber(parts.get("az") ?? "215", 0, 360);
  const elevation = parseNumber(parts.get("el") ?? "45", 0, 90);
  const saturation = parseNumber(parts.get("st") ?? "60", 0, 100);
  if (azimuth === undefined || elevation === undefined || saturation === undefined) return undefined;
  return { task: "dropshadow", azimuth, elevation, saturation };
}

function parseResolutions(text: string): number[] | undefined {
  const heights = text.split("_").map(Number);
  const known = heights.every((height) => HEIGHTS.includes(height));
  return known && new Set(heights).size === heights.length ? heights.toSorted((a, b) => a - b) : undefined;
}
const HEIGHTS: readonly number[] = [240, 360, 480, 720, 1080, 1440, 2160];
export const RESOLUTIONS: Value<readonly number[]> = {
  allowed: `some of ${HEIGHTS.join(", ")}, joined by _`,
  parse: parseResolutions,
};
