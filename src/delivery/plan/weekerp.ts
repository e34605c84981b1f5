/** Options in the query of alias URLs: `?width=800&fit=contain`. https://docs.weekerp.com */
import { DeliveryError } from "../errors.ts";
import { putOption, quote, refuse, twice } from "./items.ts";
import type { Options } from "./plan.ts";
import { valueOf, type Pair } from "./query.ts";
import { transformationNamed, transformationNames, wordingOf } from "./transforms.ts";
import { BOOLEAN, IGNORED, named, PLAIN_PIXELS, words } from "./values.ts";

/** Read elsewhere, or of no meaning: `v` bursts caches, and no web server hears of it. No wishes about the picture. */
export const OTHERS: readonly string[] = ["v", "ai", "debug"];
/** Read here and not by the table, because each says part of a row. */
const SPECIAL: readonly string[] = ["size", "s", "flip", "flop"];

/** What films can have; of `rotate` quarters of a turn. */
const FILM_ROWS = ["width", "height", "crop", "focus", "format", "quality", "rotate"] as const;
const FILM_OPTIONS: readonly string[] = [
  ...FILM_ROWS.flatMap((row) => wordingOf(row, "weekerp")!.names),
  "size",
  "s",
];
const FILM_FORMATS = words(named("mp4", "webm", "auto"));

/** The other grammar's transformation: nobody means the original who writes it. */
const ELSEWHERE = "tr";

/** Whether a parameter is one that `parseOptions` reads or refuses; the others are no business of this grammar. */
export const isOption = (name: string): boolean =>
  [ELSEWHERE, ...OTHERS, ...SPECIAL].includes(name) || transformationNamed("weekerp", name) !== undefined;

/**
 * Of parameters that are options.
 * @throws DeliveryError InvalidParameter that names the option, the value and what is allowed; InvalidPath
 */
export function parseOptions(family: "image" | "video", pairs: readonly Pair[]): Partial<Options> {
  const options: Partial<Options> = {};
  const special = new Map<string, string>();
  const set = family === "video" ? setFilmOption : setOption;
  for (const pair of pairs) {
    const { name } = pair;
    if (OTHERS.includes(name)) continue;
    if (family === "video" && !FILM_OPTIONS.includes(name)) refuseOption(name, FILM_OPTIONS.join(", "));
    const value = valueOf(pair);
    if (!SPECIAL.includes(name)) set(options, name, value);
    else if (special.has(name)) throw twice(name);
    else special.set(name, value);
  }
  readSize(options, special);
  readFlips(options, special);
  return withoutIdlePosition(options);
}

function refuseOption(name: string, known: string): never {
  throw new DeliveryError("InvalidParameter", `${quote(name)} is no transformation. Known: ${known}.`);
}

/** Puts one option of a picture among the others. @throws DeliveryError InvalidParameter */
function setOption(options: Partial<Options>, name: string, text: string): void {
  const row =
    transformationNamed("weekerp", name) ??
    refuseOption(name, [transformationNames("weekerp"), ...SPECIAL, ...OTHERS].join(", "));
  const { parse, allowed } = wordingOf(row, "weekerp")!;
  // `contain` is the only fit that pads, and fits exclude each other.
  if (row === "crop" && (text === "contain" || options.cropMode !== undefined)) {
    if (options.crop !== undefined) throw twice(name);
    if (text === "contain" || parse(text, name) !== undefined)
      return putOption(options, "cropMode", name, "pad_resize");
  }
  const value = parse(text, name);
  if (value === undefined || value === IGNORED) return refuse(name, text, allowed);
  putOption(options, row, name, value);
}

/** The same for films, which have fewer. */
function setFilmOption(options: Partial<Options>, name: string, text: string): void {
  if (name === "format" || name === "f") {
    const format = FILM_FORMATS.parse(text) ?? refuse(name, text, FILM_FORMATS.allowed);
    return putOption(options, "format", name, format);
  }
  setOption(options, name, text);
  if (name === "rotate" && Number(options.rotate) % 90 !== 0) {
    refuse(name, text, "0, 90, 180, 270, 360, or the same with a dash in front");
  }
}

/** `800x600`; width and height win over it. */
function readSize(options: Partial<Options>, special: ReadonlyMap<string, string>): void {
  if (special.has("size") && special.has("s")) throw twice("size");
  const text = special.get("size") ?? special.get("s");
  if (text === undefined) return;
  const match = /^(\d{1,5})x(\d{1,5})$/.exec(text);
  const [width, height] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || width < 1 || height < 1) {
    refuse("size", text, `width and height, each ${PLAIN_PIXELS} pixels, such as 800x600`);
  }
  options.width ??= width;
  options.height ??= height;
}

/** sharp's words: `flip` swaps top and bottom, `flop` left and right. */
function readFlips(options: Partial<Options>, special: ReadonlyMap<string, string>): void {
  const vertical = readBoolean(special, "flip");
  const horizontal = readBoolean(special, "flop");
  if (vertical || horizontal) options.flip = { horizontal, vertical };
}

function readBoolean(special: ReadonlyMap<string, string>, name: string): boolean {
  const text = special.get(name);
  return text === undefined ? false : (BOOLEAN.parse(text) ?? refuse(name, text, BOOLEAN.allowed));
}

/** Weekerp: a position counts only where something is cut off, that is with `cover`. */
function withoutIdlePosition(options: Partial<Options>): Partial<Options> {
  const covers = options.cropMode === undefined && (options.crop ?? "maintain_ratio") === "maintain_ratio";
  if (covers) return options;
  const { focus: _, ...rest } = options;
  return rest;
}
