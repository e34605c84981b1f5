/**
 * THE table of transformations, and the Plan that every URL grammar comes down to. The parsers of url.ts, the error
 * messages and docs/reference/transformations.md are derived from the rows; image.ts does what the stages say.
 */
import { CHAIN_MAX, DEFAULT_LIMITS } from "./limits.ts";

export type Grammar = "imagekit" | "weekerp";
/** Where in the order of image.ts a transformation does its work. */
export type Stage = "resize" | "encode";

/** 1 and above: pixels. Below 1: a fraction of what comes in. */
type Length = number;
type Crop = "maintain_ratio" | "at_max" | "force";
export type Format = "jpeg" | "png" | "webp" | "avif";
/** `auto`: by what the client accepts; `source`: as the source, or the nearest format that can be written. */
type FormatChoice = Format | "auto" | "source";

/** What one step of a URL may say. */
export interface Options {
  width: Length;
  height: Length;
  crop: Crop;
  quality: number;
  format: FormatChoice;
}

export interface Transformation<T> {
  /** Names per grammar; the first is the canonical one. */
  readonly names: Readonly<Record<Grammar, readonly string[]>>;
  readonly stage: Stage;
  /** What is allowed, as messages and the reference page say it. */
  readonly allowed: Readonly<Record<Grammar, string>>;
  /** What holds when a URL doesn't say. */
  readonly fallback: Readonly<Record<Grammar, string>>;
  readonly doc: string;
  /** Undefined: not allowed. */
  readonly parse: (this: void, text: string, grammar: Grammar) => T | undefined;
}

const QUALITY = 80;
const SIDE_MAX = DEFAULT_LIMITS.resultSide;
const both = (text: string): Record<Grammar, string> => ({ imagekit: text, weekerp: text });

function parseLength(text: string): Length | undefined {
  if (/^0{0,4}\.\d{1,6}$/.test(text)) return Number(text) > 0 ? Number(text) : undefined;
  return parseWhole(text, SIDE_MAX);
}

function parseWhole(text: string, max: number): number | undefined {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= max ? value : undefined;
}

/** Words per grammar with their meaning. */
type Words<T> = Readonly<Record<Grammar, Readonly<Record<string, T>>>>;

const list = (words: Readonly<Record<string, unknown>>): string => `one of ${Object.keys(words).join(", ")}`;
const allowedWords = (words: Words<unknown>): Record<Grammar, string> => ({
  imagekit: list(words.imagekit),
  weekerp: list(words.weekerp),
});
/** Words come from URLs: `constructor` must not find what every object has. */
const oneOf =
  <T>(words: Words<T>) =>
  (text: string, grammar: Grammar): T | undefined =>
    Object.hasOwn(words[grammar], text) ? words[grammar][text] : undefined;

const CROPS: Words<Crop> = {
  imagekit: { maintain_ratio: "maintain_ratio", at_max: "at_max", force: "force" },
  weekerp: {
    cover: "maintain_ratio",
    fill: "force",
    maintain_ratio: "maintain_ratio",
    at_max: "at_max",
    force: "force",
  },
};
const WRITABLE: Readonly<Record<string, Format>> = {
  jpg: "jpeg",
  jpeg: "jpeg",
  webp: "webp",
  avif: "avif",
  png: "png",
};
const FORMATS: Words<FormatChoice> = {
  imagekit: { auto: "auto", ...WRITABLE, orig: "source" },
  weekerp: { auto: "auto", ...WRITABLE },
};

const LENGTH_ALLOWED = `pixels from 1 to ${SIDE_MAX}, or a fraction of the original between 0 and 1`;

/** THE table. */
export const TRANSFORMATIONS: { readonly [Name in keyof Options]: Transformation<Options[Name]> } = {
  width: {
    names: { imagekit: ["w"], weekerp: ["width", "w"] },
    stage: "resize",
    allowed: both(LENGTH_ALLOWED),
    fallback: both("follows the height"),
    doc: "Width. With the height left out, the ratio is kept and nothing is cropped.",
    parse: parseLength,
  },
  height: {
    names: { imagekit: ["h"], weekerp: ["height", "h"] },
    stage: "resize",
    allowed: both(LENGTH_ALLOWED),
    fallback: both("follows the width"),
    doc: "Height. With the width left out, the ratio is kept and nothing is cropped.",
    parse: parseLength,
  },
  crop: {
    names: { imagekit: ["c"], weekerp: ["fit", "c"] },
    stage: "resize",
    allowed: allowedWords(CROPS),
    fallback: { imagekit: "maintain_ratio", weekerp: "cover" },
    doc:
      "What happens when width and height don't have the picture's ratio. `maintain_ratio` (`cover`): filled, and " +
      "cropped from the centre. `at_max`: fits inside, never larger than the original. `force` (`fill`): stretched.",
    parse: oneOf(CROPS),
  },
  quality: {
    names: { imagekit: ["q"], weekerp: ["quality", "q"] },
    stage: "encode",
    allowed: both("a whole number from 1 to 100"),
    fallback: both(String(QUALITY)),
    doc: "Of JPEG, WebP and AVIF, on JPEG's scale: AVIF is encoded with the number that looks alike. PNG has none.",
    parse: (text) => parseWhole(text, 100),
  },
  format: {
    names: { imagekit: ["f"], weekerp: ["format", "f"] },
    stage: "encode",
    allowed: allowedWords(FORMATS),
    fallback: { imagekit: "auto", weekerp: "as the source" },
    doc: "`auto`: AVIF or WebP where the client's Accept header names them, else as the source (`orig`).",
    parse: oneOf(FORMATS),
  },
};

/** One step: its result is the input of the next. */
export interface Step {
  readonly width?: Length;
  readonly height?: Length;
  readonly crop: Crop;
}
/** What is to be done with a source, whatever the grammar of the URL: equal plans have equal texts. */
export interface Plan {
  readonly steps: readonly Step[];
  readonly quality: number;
  readonly format: FormatChoice;
}

const NAMES: Readonly<Record<Grammar, ReadonlyMap<string, keyof Options>>> = {
  imagekit: namesOf("imagekit"),
  weekerp: namesOf("weekerp"),
};
function namesOf(grammar: Grammar): Map<string, keyof Options> {
  const rows = Object.entries(TRANSFORMATIONS) as [keyof Options, Transformation<unknown>][];
  return new Map(rows.flatMap(([row, { names }]) => names[grammar].map((name) => [name, row] as const)));
}

export const transformationNamed = (grammar: Grammar, name: string): keyof Options | undefined =>
  NAMES[grammar].get(name);
export const transformationNames = (grammar: Grammar): string => [...NAMES[grammar].keys()].join(", ");

/** The canonical plan of parsed steps. */
export function planOf(grammar: Grammar, steps: readonly Partial<Options>[]): Plan {
  const resizes: Step[] = [];
  let quality = QUALITY;
  let format: FormatChoice = grammar === "imagekit" ? "auto" : "source";
  for (const { width, height, crop = "maintain_ratio", ...output } of steps) {
    quality = output.quality ?? quality;
    format = output.format ?? format;
    if (width === undefined && height === undefined) continue;
    // One side alone keeps the ratio, so there is nothing to crop or to stretch.
    const oneSide = width === undefined || height === undefined;
    resizes.push({
      ...(width === undefined ? {} : { width }),
      ...(height === undefined ? {} : { height }),
      crop: oneSide && crop === "force" ? "maintain_ratio" : crop,
    });
  }
  return { steps: resizes, quality: format === "png" ? QUALITY : quality, format };
}

/** One text per plan, in the grammar of `tr:`. */
export function planText({ steps, quality, format }: Plan): string {
  const texts = steps.map(({ width, height, crop }) =>
    [
      ...(width === undefined ? [] : [`w-${width}`]),
      ...(height === undefined ? [] : [`h-${height}`]),
      ...(crop === "maintain_ratio" ? [] : [`c-${crop}`]),
    ].join(","),
  );
  return [...texts, `q-${quality},f-${format === "source" ? "orig" : format}`].join(":");
}

const code = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(", ");

/** docs/reference/transformations.md. */
export function transformationsMarkdown(): string {
  const rows = Object.values(TRANSFORMATIONS).map(
    ({ names, allowed, fallback, doc }: Transformation<unknown>) => {
      const values =
        allowed.imagekit === allowed.weekerp
          ? allowed.imagekit
          : `${allowed.imagekit}; as a parameter ${allowed.weekerp}`;
      const missing =
        fallback.imagekit === fallback.weekerp
          ? fallback.imagekit
          : `${fallback.imagekit}; as a parameter ${fallback.weekerp}`;
      return `| ${code(names.imagekit.map((name) => `${name}-`))} | ${code(names.weekerp.map((name) => `${name}=`))} | ${values} | ${missing} | ${doc} |`;
    },
  );
  return `# Image transformations

In paths and in \`?tr=\` as \`tr:w-300,h-300:q-70\`: items are separated by commas, steps by colons, at most ${CHAIN_MAX} steps,
each working on the result of the one before. In queries of alias URLs (\`/image/{alias}/photo.jpg?w=300\`) as parameters.
What is not in the table is an error 400 that names it.

| \`tr:\` | query | values | when left out | what it does |
| --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
}
