/** Layers in ImageKit's chains: `l-image,i-logo.png,w-100,lx-10,l-end`. */
import { DeliveryError } from "../errors.ts";
import { LAYERS_MAX, NESTING_MAX, TEXT_BASE64_MAX, TEXT_MAX } from "../limits.ts";
import { isColourName, parseColour } from "./colours.ts";
import { nameOf, quote, refuse, twice, type Items } from "./items.ts";
import type { Expression, Layer, Options, Placement, Step, TextStyle } from "./plan.ts";
import { transformationNamed } from "./transforms.ts";
import {
  COLOUR,
  EXPRESSION,
  FLIP,
  hasControls,
  named,
  number,
  PADDING,
  parseBase64,
  parseCoordinate,
  parseNumber,
  parsePath,
  POSITIONS,
  RADIUS,
  SECONDS,
  whole,
  words,
  type Value,
} from "./values.ts";

type Writable<T> = { -readonly [Name in keyof T]: T[Name] };

const COORDINATE: Value<Expression> = {
  allowed: `${EXPRESSION.allowed}, N in front for negative ones`,
  parse: parseCoordinate,
};
const POSITION = words(POSITIONS);

/** What layers say of their place, by name. */
export const PLACEMENT: Readonly<Record<string, readonly [keyof Placement, Value<unknown>]>> = {
  lx: ["x", COORDINATE],
  ly: ["y", COORDINATE],
  lxc: ["centreX", COORDINATE],
  lyc: ["centreY", COORDINATE],
  lap: ["anchor", POSITION],
  lfo: ["focus", POSITION],
  lm: ["mode", words(named("multiply", "displace", "cutout", "cutter"))],
  lso: ["start", SECONDS],
  leo: ["end", SECONDS],
  ldu: ["duration", SECONDS],
};

type Styles = Readonly<Record<string, readonly [keyof TextStyle, Value<unknown>]>>;

const FONT_STYLES: Styles = {
  fs: ["fontSize", EXPRESSION],
  ff: ["font", { allowed: "a family, or the path of a font file with @@ for slashes", parse: parseFont }],
  co: ["colour", COLOUR],
  bg: ["background", COLOUR],
};
const TENTHS = whole(1, 9);
const TEXT_STYLES: Styles = {
  ...FONT_STYLES,
  w: ["width", EXPRESSION],
  ia: ["align", words(named("left", "center", "right"))],
  pa: ["padding", PADDING],
  r: ["radius", RADIUS],
  rt: ["rotate", { ...number(-360, 360), allowed: "degrees from 0 to 360, or N1 to N360" }],
  fl: ["flip", FLIP],
  lh: ["lineHeight", EXPRESSION],
  al: ["opacity", TENTHS],
};
const SUBTITLE_STYLES: Styles = {
  ...FONT_STYLES,
  // As ImageKit's SDK for browsers writes it.
  color: ["colour", COLOUR],
  fol: ["outline", { allowed: "a width from 0 to 100, _ and a colour, such as 2_blue", parse: parseOutline }],
  fsh: [
    "shadow",
    { allowed: "a colour, _ and an indent from 0 to 100 pixels, such as blue_2", parse: parseTextShadow },
  ],
};
const STYLES: Readonly<Record<string, Styles>> = { "l-text": TEXT_STYLES, "l-subtitles": SUBTITLE_STYLES };

/** Characters of a font's name. */
const FAMILY_MAX = 100;

export const isFontFile = (name: string): boolean => /\.(ttf|otf|ttc|woff2?)$/i.test(name);

function parseFont(text: string): TextStyle["font"] | undefined {
  if (text.includes("/") || text.includes("@@") || isFontFile(text)) {
    const path = parsePath(text);
    return path === undefined ? undefined : { path };
  }
  return text === "" || text.length > FAMILY_MAX || hasControls(text) ? undefined : { family: text };
}

function parseOutline(text: string): TextStyle["outline"] | undefined {
  const [width = "", colourText = ""] = text.split("_");
  const colour = parseColour(colourText);
  const pixels = parseNumber(width, 0, 100);
  return colour === undefined || pixels === undefined ? undefined : { width: pixels, colour };
}

function parseTextShadow(text: string): TextStyle["shadow"] | undefined {
  const [colourText = "", indentText = ""] = text.split("_");
  const colour = parseColour(colourText);
  const indent = parseNumber(indentText, 0, 100);
  return colour === undefined || indent === undefined ? undefined : { colour, indent };
}

const KINDS: readonly string[] = ["l-image", "l-text", "l-video", "l-subtitles"];
export const isLayerStart = (text: string): boolean => text.startsWith("l-") && text !== "l-end";

/** Path of what a block of colour is made of. */
const CANVAS = "ik_canvas";

/** Where a chain stands. */
export interface Within {
  /** Layers and conditions around it. */
  readonly layers: number;
  readonly conditions: number;
  /**
   * Takes what an item says of the layer itself; false: it is a transformation of the layer's picture. `first`: it
   * stands in the first step of the layer's chain. `options`: of the step so far.
   */
  readonly layer?: (item: string, first: boolean, options: Partial<Options>) => boolean;
}

/** What a layer says of itself besides the transformations of its picture. */
interface Reading {
  readonly kind: string;
  readonly placement: Writable<Placement>;
  readonly style: Writable<TextStyle>;
  /** `i-` as it stands, `ie-` decoded; the latter wins. */
  plain?: string;
  encoded?: string;
  /** Per cent. */
  alpha?: number;
  /** As it stands; only what is in the first step. */
  background?: string;
}

/** Reads steps up to one of `ends`: the chains of layers are those of the whole. */
type ReadSteps = (items: Items, ends: readonly string[], within: Within) => Step[];

/** From `l-KIND` to its `l-end`. @throws DeliveryError InvalidParameter, LimitExceeded */
export function readLayer(items: Items, within: Within, readSteps: ReadSteps): Layer {
  const kind = items.text!;
  if (!KINDS.includes(kind)) refuse("l", kind.slice(2), "image, text, video or subtitles");
  if (within.layers >= NESTING_MAX) {
    throw new DeliveryError("LimitExceeded", `Layers nest ${NESTING_MAX} deep.`);
  }
  if (++items.layers > LAYERS_MAX) {
    throw new DeliveryError("LimitExceeded", `A URL has at most ${LAYERS_MAX} layers.`);
  }
  items.next();
  const reading: Reading = { kind, placement: {}, style: {} };
  const steps = readSteps(items, ["l-end"], {
    layers: within.layers + 1,
    conditions: within.conditions,
    layer: (item, first, options) => readLayerItem(reading, item, first, options),
  });
  items.next();
  return layerOf(
    reading,
    steps.filter((step) => !isIdle(step)),
  );
}

const isIdle = (step: Step): boolean =>
  "options" in step && Object.keys(step.options).length === 0 && step.layers.length === 0;

function readLayerItem(reading: Reading, item: string, first: boolean, options: Partial<Options>): boolean {
  const at = item.indexOf("-");
  const name = at < 0 ? item : item.slice(0, at);
  const value = at < 0 ? "" : item.slice(at + 1);
  // Places may stand anywhere in the chain, and count at its end.
  if (Object.hasOwn(PLACEMENT, name)) return put(reading.placement, name, value, PLACEMENT[name]!);
  const styles = STYLES[reading.kind];
  // Further steps are those of pictures, which have names in common with text.
  const known = styles === undefined ? undefined : transformationNamed("imagekit", nameOf(item));
  if (styles !== undefined && (first || known === undefined))
    return readStyle(reading, styles, item, name, value);
  if (!first) return false;
  if (name === "i" || name === "ie") return readContent(reading, name, value);
  if (name === "bg") {
    // ImageKit's SDK says a block's colour, and behind it what else the block's transformation says of it.
    if ((reading.encoded ?? reading.plain) === CANVAS) delete options.background;
    reading.background = value;
  }
  if (name !== "al") return false;
  reading.alpha = 10 * (TENTHS.parse(value) ?? refuse(name, value, TENTHS.allowed));
  return true;
}

function readStyle(reading: Reading, styles: Styles, item: string, name: string, value: string): true {
  if (name === "i" || name === "ie") return readContent(reading, name, value);
  if (name === "tg") return readTypography(reading, value);
  const styled = Object.hasOwn(styles, name) ? styles[name] : undefined;
  if (styled !== undefined) return put(reading.style, name, value, styled);
  throw new DeliveryError(
    "InvalidParameter",
    `tr: ${quote(item)} is nothing that ${reading.kind} has. Known: ` +
      `${["i", "ie", "tg", ...Object.keys(styles), ...Object.keys(PLACEMENT)].join(", ")}.`,
  );
}

/** `b_i_strikethrough`. */
function readTypography({ kind, style }: Reading, text: string): true {
  for (const word of text.split("_")) {
    if (word === "b") style.bold = true;
    else if (word === "i") style.italic = true;
    else if (word === "strikethrough" && kind === "l-text") style.strikethrough = true;
    else refuse("tg", text, `b, i${kind === "l-text" ? ", strikethrough" : ""}, joined by _`);
  }
  return true;
}

function put<T>(
  into: T,
  name: string,
  value: string,
  [field, { parse, allowed }]: readonly [keyof T, Value<unknown>],
): true {
  if (into[field] !== undefined) throw twice(name);
  Object.assign(into as object, { [field]: parse(value) ?? refuse(name, value, allowed) });
  return true;
}

function readContent(reading: Reading, name: "i" | "ie", value: string): true {
  const field = name === "i" ? "plain" : "encoded";
  if (reading[field] !== undefined) throw twice(name);
  const content = name === "i" ? value : parseBase64(value);
  if (content === undefined || hasControls(content)) {
    refuse(name, value, name === "i" ? "text" : "UTF-8 in Base64, percent-encoded");
  }
  reading[field] = content;
  return true;
}

/** Cut where ImageKit cuts it, and never in the middle of a character. */
const cut = (text: string, length: number): string => text.slice(0, length).replace(/[\uD800-\uDBFF]$/, "");

function layerOf(reading: Reading, steps: readonly Step[]): Layer {
  const { kind, placement, style, plain, encoded } = reading;
  const content = encoded ?? plain;
  if (content === undefined || content === "") {
    throw new DeliveryError("InvalidParameter", `tr: ${kind} needs i- or ie-.`);
  }
  if (kind === "l-text") {
    const text = cut(content, encoded === undefined ? TEXT_MAX : TEXT_BASE64_MAX);
    return { kind: "text", text, style, placement, steps };
  }
  const path = parsePath(content) ?? refuse(encoded === undefined ? "i" : "ie", content, "a path");
  if (kind === "l-subtitles") {
    if (steps.length === 0) return { kind: "subtitles", path, style, placement };
    throw new DeliveryError("InvalidParameter", "tr: l-subtitles has a style, and no transformations.");
  }
  if (kind === "l-video") return { kind: "video", path, placement, steps: faded(steps, reading.alpha) };
  if (path !== CANVAS) return { kind: "image", path, placement, steps: faded(steps, reading.alpha) };
  // ImageKit: `al` counts where the colour says no opacity itself, and not beside a name.
  const { background = "" } = reading;
  const own = isColourName(background) || (parseColour(background)?.a ?? 1) !== 1;
  return { kind: "canvas", placement, steps: faded(steps, own ? undefined : reading.alpha) };
}

/** With the opacity that `al` says, unless there is an `o`. */
function faded(steps: readonly Step[], opacity: number | undefined): readonly Step[] {
  if (opacity === undefined) return steps;
  const [first, ...rest] = steps;
  if (first === undefined || "when" in first) return [{ options: { opacity }, layers: [] }, ...steps];
  return [{ ...first, options: { opacity, ...first.options } }, ...rest];
}
