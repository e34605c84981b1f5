/**
 * Subtitles on films. Files of strangers are read here, as SubRip or WebVTT, and written anew as what libass draws, so
 * that nothing in them is an instruction to ffmpeg.
 */
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { breaths } from "../../lib/breaths.ts";
import { collectAtMost } from "../../lib/chunks.ts";
import { keyOf } from "../cache/entries.ts";
import { DeliveryError } from "../errors.ts";
import { BLACK, WHITE } from "../plan/colours.ts";
import { bundledFace, FONT_BYTES_MAX, standIns, type Face } from "../image/fonts.ts";
import { coverageOf, FontError, renamed } from "../image/fontsfile.ts";
import type { Input } from "../image/job.ts";
import type { Size } from "../image/surface.ts";
import { evaluate } from "../plan/expression.ts";
import type { Colour, Layer, TextStyle } from "../plan/plan.ts";
import { filmValues } from "./filters.ts";
import { CUES_MAX, LETTERS_AT_ONCE_MAX, SIGNS_MAX, SUBTITLES_BYTES_MAX } from "./limits.ts";
import type { Cut, Times } from "./placement.ts";
import { inputOf } from "./stills.ts";
import type { Workplace } from "./workplace.ts";

/** How long a file may hold this thread at a time, in milliseconds: large ones take a second. */
const PIECE_MS = 5;

type Subtitles = Extract<Layer, { kind: "subtitles" }>;

/** Of one cue, in seconds. */
export interface Cue {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/**
 * Writes the subtitles into the workplace; gives the filter that draws them. Undefined: none are shown. They belong to
 * the whole film, so they stay with what is said where the film is cut.
 * @throws DeliveryError InvalidParameter for files that hold no subtitles, for unknown fonts; NotFound, LimitExceeded,
 * NotAvailable
 */
export async function layOutSubtitles(
  { place, inputs }: { readonly place: Workplace; readonly inputs: ReadonlyMap<string, Input> },
  { path, style }: Subtitles,
  { size, cut, times }: { readonly size: Size; readonly cut: Cut; readonly times: Times },
): Promise<string | undefined> {
  if (!place.shop.abilities.filters.has("ass")) {
    throw new DeliveryError("NotAvailable", "This server's ffmpeg draws no subtitles: it lacks libass.");
  }
  const bytes = await readAll(inputOf(inputs, path), SUBTITLES_BYTES_MAX, "Subtitles");
  const cues = await parseCues(decoded(bytes));
  if (cues.length === 0) {
    throw new DeliveryError(
      "InvalidParameter",
      `l-subtitles: ${path} holds no subtitles. Known: SRT and WebVTT.`,
    );
  }
  const until = Math.min(times.to ?? cut.seconds, cut.seconds);
  const shown = cues.flatMap((cue) => {
    const from = Math.max(cue.from - cut.start, times.from, 0);
    const to = Math.min(cue.to - cut.start, until);
    return from < to ? [{ ...cue, from, to }] : [];
  });
  if (shown.length === 0) return undefined;
  checkCrowd(shown);
  const face = await layOutFont(place, inputs, style);
  const families = await layOutStandIns(place, shown, face);
  const name = `subtitles-${keyOf([path, style, times, size.width, size.height])}.ass`;
  await writeFile(join(place.folder, name), assOf(shown, style, { size, families, seconds: cut.seconds }));
  return `ass=f=${name}:fontsdir=${FONTS}`;
}

/** @throws DeliveryError LimitExceeded where too much is seen at once */
function checkCrowd(cues: readonly Cue[]): void {
  const changes = cues
    .flatMap(({ from, to, text }): [at: number, letters: number][] => [
      [from, text.length],
      [to, -text.length],
    ])
    // What ends makes room for what begins.
    .toSorted(([at, letters], [other, others]) => at - other || letters - others);
  let now = 0;
  for (const [, letters] of changes) {
    now += letters;
    if (now <= LETTERS_AT_ONCE_MAX) continue;
    throw new DeliveryError(
      "LimitExceeded",
      `Subtitles show at most ${LETTERS_AT_ONCE_MAX} letters at once.`,
    );
  }
}

/** Tells files of one film apart. */
function fileNumber(path: string): number {
  let number = 0;
  for (const byte of Buffer.from(path)) number = (Math.imul(number, 31) + byte) >>> 0;
  return number;
}

async function readAll(input: Input, maxBytes: number, what: string): Promise<Buffer> {
  const bytes = input.size > maxBytes ? undefined : await collectAtMost(input.read(), maxBytes);
  if (bytes !== undefined) return bytes;
  throw new DeliveryError("LimitExceeded", `${what} have at most ${maxBytes} bytes.`);
}

/** UTF-8, else UTF-16 with its mark, else what Windows wrote in the west. */
function decoded(bytes: Buffer): string {
  const mark = bytes.toString("hex", 0, 2);
  if (mark === "fffe" || mark === "feff") {
    return new TextDecoder(mark === "fffe" ? "utf-16le" : "utf-16be").decode(bytes);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

const TIME = String.raw`(?:(\d{1,3}):)?(\d{1,2}):(\d{2})[.,](\d{1,3})`;
const TIMES = new RegExp(String.raw`^\s*${TIME}\s*-->\s*${TIME}(?:\s|$)`);

/**
 * The cues of SubRip and WebVTT, which differ in what may be left out. What is none is passed over.
 * @throws DeliveryError LimitExceeded
 */
export async function parseCues(text: string): Promise<Cue[]> {
  const cues: Cue[] = [];
  let open: { readonly from: number; readonly to: number; readonly said: string[] } | undefined;
  const close = (): void => {
    if (open !== undefined && open.to > open.from && open.said.length > 0) {
      cues.push({ from: open.from, to: open.to, text: open.said.join("\n") });
    }
    open = undefined;
    if (cues.length <= CUES_MAX) return;
    throw new DeliveryError("LimitExceeded", `Subtitles have at most ${CUES_MAX} entries.`);
  };
  const breath = breaths(PIECE_MS);
  for (const line of linesOf(text)) {
    const pause = breath();
    if (pause !== undefined) await pause;
    const times = TIMES.exec(line);
    if (times !== null) {
      // The number of the next cue stands in front of its times, where the line between is missing.
      if (/^\d+$/.test(open?.said.at(-1) ?? "")) open?.said.pop();
      close();
      open = { from: secondsOf(times.slice(1, 5)), to: secondsOf(times.slice(5, 9)), said: [] };
    } else if (line.trim() === "") close();
    else open?.said.push(line);
  }
  close();
  return cues;
}

/** One by one: to split a file of empty lines takes long. */
function* linesOf(text: string): Generator<string> {
  let from = 0;
  for (const { 0: end, index } of text.matchAll(/\r\n|\r|\n/g)) {
    yield text.slice(from, index);
    from = index + end.length;
  }
  yield text.slice(from);
}

function secondsOf([hours = "0", minutes = "0", seconds = "0", part = "0"]: readonly (
  | string
  | undefined
)[]): number {
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds) + Number(part.padEnd(3, "0")) / 1000;
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\u00a0",
  lrm: "\u200e",
  rlm: "\u200f",
};
const STYLES: readonly string[] = ["b", "i", "u"];

/**
 * A cue's text in libass's words: bold, italic and underlined stay, other tags go, and whatever would be an instruction
 * there is what it looks like.
 */
export function assText(text: string, families: Families): string {
  return parts(text)
    .map((part, n) => (n % 2 === 1 ? tagText(part) : plainText(part, families)))
    .join("");
}

/** What is shown and tags, in turn. */
const parts = (text: string): string[] =>
  text
    // Instructions to libass that SubRip files carry: places and the like.
    .replaceAll(/\{\\[^{}\n]*\}/g, "")
    .split(/(<\/?[a-z\d][^<>\n]{0,200}>)/i)
    .map((part, n) => (n % 2 === 1 ? part : shownText(part)));

const shownText = (text: string): string =>
  text
    .replaceAll(/&([a-z]{2,5});/g, (whole, name: string) => ENTITIES[name] ?? whole)
    .replaceAll(/[^\P{Cc}\n]/gu, " ");

function tagText(tag: string): string {
  const [, end = "", name = ""] = /^<(\/?)([a-z]+)[\s.>]/i.exec(tag) ?? [];
  return STYLES.includes(name.toLowerCase()) ? `{\\${name.toLowerCase()}${end === "" ? 1 : 0}}` : "";
}

function plainText(text: string, { family, others }: Families): string {
  if (others.size === 0) return escaped(text);
  let [written, run, now] = ["", "", family];
  const use = (wanted: string): void => {
    if (wanted === now) return;
    written += escaped(run) + fontTag(wanted);
    run = "";
    now = wanted;
  };
  for (const sign of text) {
    const other = others.get(sign);
    if (other !== undefined) use(other);
    else if (now !== family && !STAYING.test(sign)) use(family);
    run += sign;
  }
  use(family);
  return written + escaped(run);
}

/** What goes with the sign before it, or has no ink. */
const STAYING = /[\p{Default_Ignorable_Code_Point}\p{M}\s]/u;

const fontTag = (family: string): string => `{\\fn${family}}`;

const escaped = (text: string): string =>
  text
    // A word joiner, which nobody sees, parts a backslash from what would make it an instruction.
    .replaceAll("\\", "\\\u2060")
    .replaceAll("{", "\\{")
    .replaceAll("}", "\\}")
    .replaceAll("\n", "\\N");

const two = (value: number): string => String(value).padStart(2, "0");

/** `H:MM:SS.cc`. */
function assTime(seconds: number): string {
  const hundredths = Math.round(seconds * 100);
  const [h, m, s] = [360_000, 6000, 100].map((unit) => Math.floor(hundredths / unit));
  return `${h}:${two(m! % 60)}:${two(s! % 60)}.${two(hundredths % 100)}`;
}

/** `&HAABBGGRR`, where AA is how transparent it is. */
const assColour = ({ r, g, b, a }: Colour): string =>
  `&H${[Math.round((1 - a) * 255), b, g, r]
    .map((one) => one.toString(16).padStart(2, "0").toUpperCase())
    .join("")}`;

/** Parts of the film's height. */
const SIZE_USUAL = 0.075;
const MARGIN = 0.05;

/** The script that libass draws, in pieces of any length. Sizes in it are pixels of the film. */
export async function* assOf(
  cues: readonly Cue[],
  style: TextStyle,
  { size, families, seconds }: { readonly size: Size; readonly families: Families; readonly seconds: number },
): AsyncGenerator<string> {
  const { width, height } = size;
  const asked =
    style.fontSize === undefined
      ? height * SIZE_USUAL
      : evaluate(style.fontSize, filmValues(size, size, { parent: { ...size, seconds }, seconds }));
  const fontSize = Math.round(Math.min(height, Math.max(1, asked)));
  const boxed = style.background !== undefined;
  const outline = style.outline ?? { width: boxed ? 0 : Math.max(1, fontSize / 14), colour: BLACK };
  const shadow = style.shadow ?? { colour: BLACK, indent: 0 };
  const fields = [
    "Default",
    families.family,
    fontSize,
    assColour(style.colour ?? WHITE),
    assColour(WHITE),
    assColour(outline.colour),
    assColour(style.background ?? shadow.colour),
    style.bold === true ? -1 : 0,
    style.italic === true ? -1 : 0,
    0,
    0,
    100,
    100,
    0,
    0,
    // 4 is libass's own: a box as large as the text, and around it as wide as the shadow is far.
    boxed ? 4 : 1,
    outline.width.toFixed(1),
    boxed ? Math.max(2, fontSize / 8) : shadow.indent,
    2,
    ...[width, width, height].map((side) => Math.round(side * MARGIN)),
    1,
  ];
  let script = [
    "[Script Info]",
    "ScriptType: v4.00+",
    `PlayResX: ${width}`,
    `PlayResY: ${height}`,
    "ScaledBorderAndShadow: yes",
    "[V4+ Styles]",
    "Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, " +
      "Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, " +
      "MarginR, MarginV, Encoding",
    `Style: ${fields.join(",")}`,
    "[Events]",
    "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text",
    "",
  ].join("\n");
  const breath = breaths(PIECE_MS);
  for (const { from, to, text } of cues) {
    script += `Dialogue: 0,${assTime(from)},${assTime(to)},Default,,0,0,0,,${assText(text, families)}\n`;
    const pause = breath();
    if (pause === undefined) continue;
    await pause;
    yield script;
    script = "";
  }
  yield script;
}

/** Folder of fonts in a workplace. */
const FONTS = "fonts";
const USUAL_FAMILY = "Open Sans";

type Lettering = Pick<Face, "family" | "covers" | "bold" | "italic">;

/** Who draws what: the style's own family, and others what it has no sign for. */
export interface Families {
  readonly family: string;
  /** By sign. */
  readonly others: ReadonlyMap<string, string>;
}

/**
 * Puts what draws the signs that a face lacks beside it. What nobody has is left to libass.
 * @throws DeliveryError LimitExceeded
 */
async function layOutStandIns(
  { folder }: Workplace,
  cues: readonly Cue[],
  face: Lettering,
): Promise<Families> {
  const known = await standIns(face);
  const used = new Set<Face>();
  const others = new Map<string, string>();
  for (const sign of await signsOf(cues)) {
    if (STAYING.test(sign) || face.covers(sign.codePointAt(0)!)) continue;
    const standIn = known.find(({ covers }) => covers(sign.codePointAt(0)!));
    if (standIn === undefined) continue;
    others.set(sign, standIn.family);
    used.add(standIn);
  }
  for (const { file } of used) await lay(folder, file);
  return { family: face.family, others };
}

/** @throws DeliveryError LimitExceeded */
async function signsOf(cues: readonly Cue[]): Promise<Set<string>> {
  const signs = new Set<string>();
  const breath = breaths(PIECE_MS);
  for (const { text } of cues) {
    for (const [n, part] of parts(text).entries()) if (n % 2 === 0) for (const sign of part) signs.add(sign);
    if (signs.size > SIGNS_MAX) {
      throw new DeliveryError("LimitExceeded", `Subtitles have at most ${SIGNS_MAX} different signs.`);
    }
    await breath();
  }
  return signs;
}

async function lay(folder: string, file: string): Promise<void> {
  await symlink(file, join(folder, FONTS, `${fileNumber(file)}.ttf`)).catch((error: unknown) => {
    // Two layers may have one font.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  });
}

/** Puts the font where libass looks. @throws DeliveryError InvalidParameter, NotFound, LimitExceeded */
async function layOutFont(
  { folder }: Workplace,
  inputs: ReadonlyMap<string, Input>,
  { font, bold = false, italic = false }: TextStyle,
): Promise<Lettering> {
  await mkdir(join(folder, FONTS), { recursive: true });
  if (font !== undefined && "path" in font) {
    const bytes = await readAll(inputOf(inputs, font.path), FONT_BYTES_MAX, "Fonts");
    const family = `own${fileNumber(font.path)}`;
    try {
      const covers = coverageOf(bytes);
      await writeFile(join(folder, FONTS, `${family}.ttf`), renamed(bytes, family));
      return { family, covers, bold, italic };
    } catch (error) {
      if (!(error instanceof FontError)) throw error;
      throw new DeliveryError(
        "InvalidParameter",
        `ff: ${font.path} can't be used as a font: ${error.message}.`,
      );
    }
  }
  const name = font?.family ?? USUAL_FAMILY;
  const cuts = await Promise.all([
    bundledFace(name, bold, italic),
    bundledFace(name, true, italic),
    bundledFace(name, bold, true),
  ]);
  for (const file of new Set(cuts.map((face) => face.file))) await lay(folder, file);
  return cuts[0];
}
