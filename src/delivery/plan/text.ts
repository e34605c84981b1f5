/** Plans as text: what caches go by, and what people read. */
import { colourText } from "./colours.ts";
import { conditionText, expressionText } from "./expression.ts";
import { isFontFile, PLACEMENT } from "./layers.ts";
import type {
  Background,
  Expression,
  Layer,
  ModelTask,
  Options,
  Pages,
  Placement,
  Plan,
  Radius,
  Step,
  StepOptions,
  TextStyle,
} from "./plan.ts";
import type { Transformation } from "./rows.ts";
import { TRANSFORMATIONS } from "./transforms.ts";

/** ImageKit's for pictures, which are not named. */
export const USUAL: Plan["defaults"] = { quality: 80, format: "auto" };

/**
 * One text per plan, in ImageKit's grammar where it has words and with the query's names where it has none. Equal plans
 * have equal texts, however their URLs were written, and different ones different texts.
 */
export function planText({ steps, defaults }: Plan): string {
  const { quality, format, explicitQuality, ground } = defaults;
  const chain = [chainText(steps), ...(ground === undefined ? [] : [`default-bg-${colourText(ground)}`])]
    .filter((text) => text !== "")
    .join(":");
  // Where nothing is changed the file itself may do, unless the URL names format or quality.
  const named = explicitQuality === true && (format === "auto" || format === "source");
  if (chain !== "" && !named && quality === USUAL.quality && format === USUAL.format) return chain;
  const ends = `${named ? "" : "default-"}q-${quality},f-${formatText(format)}`;
  return chain === "" ? ends : `${chain}:${ends}`;
}

const chainText = (steps: readonly Step[]): string =>
  steps
    .map(stepText)
    .filter((text) => text !== "")
    .join(":");

function stepText(step: Step): string {
  if ("when" in step) {
    const otherwise = chainText(step.otherwise);
    const parts = [`if-${conditionText(step.when)}`, chainText(step.then)];
    if (otherwise !== "") parts.push("if-else", otherwise);
    return [...parts, "if-end"].filter((part) => part !== "").join(",");
  }
  return [...optionTexts(step.options), ...step.layers.map(layerText)].join(",");
}

const ROWS = new Map(Object.keys(TRANSFORMATIONS).map((row, n) => [row as keyof Options, n]));

/** In the order of the table, so that the order in the URL doesn't matter. */
function optionTexts(options: StepOptions): string[] {
  return (Object.keys(options) as (keyof Options)[])
    .filter((row) => options[row] !== undefined)
    .toSorted((a, b) => ROWS.get(a)! - ROWS.get(b)!)
    .map((row) => optionText(row, options[row]));
}

function optionText(row: keyof Options, value: unknown): string {
  if (row === "model") return modelText(value as ModelTask);
  const { imagekit, weekerp } = TRANSFORMATIONS[row] as Transformation<unknown>;
  const name = (imagekit ?? weekerp)!.names[0]!;
  const text = (VALUE_TEXTS[row] as (value: unknown) => string)(value);
  return text === "" ? name : `${name}-${text}`;
}

/** Exact: two numbers never have the same text. */
const number = (value: number): string => (value < 0 ? "N" : "") + String(Math.abs(value));
/** Numbers may be negative, and `N` stands in front of expressions too. */
function coordinate(value: Expression): string {
  if (typeof value === "number") return number(value);
  const negated = "op" in value && value.op === "sub" && value.left === 0 && typeof value.right !== "number";
  return negated ? `N${expressionText(value.right)}` : expressionText(value);
}
const length = (value: Expression | "auto"): string => (value === "auto" ? value : coordinate(value));
const turn = (degrees: number): string => String(((degrees % 360) + 360) % 360);
/** Characters that mean something in a chain, percent-encoded. */
const escaped = (text: string): string => text.replace(/[^\w. @/-]/gu, percent);
const percent = (character: string): string =>
  [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
const pathText = (path: string): string => escaped(path).replaceAll("@", "%40").replaceAll("/", "@@");
/** Of texts that may hold what separates items. */
const base64 = (value: string): string => encodeURIComponent(Buffer.from(value).toString("base64"));

const VALUE_TEXTS: { readonly [Name in Exclude<keyof Options, "model">]: (value: Options[Name]) => string } =
  {
    width: length,
    height: length,
    aspectRatio: coordinate,
    crop: String,
    cropMode: String,
    focus: (focus) => (focus.at === "object" ? escaped(focus.name) : focus.at),
    zoom: number,
    x: coordinate,
    y: coordinate,
    centreX: coordinate,
    centreY: coordinate,
    dpr: length,
    trim: String,
    border: ({ width, colour }) => `${coordinate(width)}_${colourText(colour)}`,
    rotate: (value) => (value === "auto" ? value : turn(value)),
    flip: flipText,
    radius: (value) => radiusText(value),
    background: backgroundText,
    opacity: String,
    blur: String,
    blurSigma: String,
    grayscale: () => "",
    contrast: () => "",
    sharpen: (value) => (value === 0 ? "" : String(value)),
    sharpenSigma: String,
    unsharp: ({ radius, sigma, amount, threshold }) => [radius, sigma, amount, threshold].join("-"),
    shadow: ({ blur, saturation, x, y }) => `bl-${blur}_st-${saturation}_x-${number(x)}_y-${number(y)}`,
    gradient: ({ direction, from, to, stop }) =>
      `ld-${direction}_from-${colourText(from)}_to-${colourText(to)}_sp-${coordinate(stop)}`,
    colorize: ({ colour, intensity }) => `co-${colourText(colour)}_in-${intensity}`,
    distort: (value) =>
      value.kind === "arc"
        ? `a-${coordinate(value.degrees)}`
        : `p-${value.corners.map(coordinate).join("_")}`,
    colourReplace: ({ to, tolerance, from }) =>
      [colourText(to), String(tolerance), ...(from === undefined ? [] : [colourText(from)])].join("_"),
    gamma: String,
    brightness: String,
    saturation: String,
    hue: turn,
    threshold: String,
    pages: pagesText,
    format: formatText,
    quality: String,
    progressive: String,
    lossless: String,
    colourProfile: String,
    metadata: String,
    density: coordinate,
    original: String,
    defaultImage: pathText,
    videoCodec: String,
    audioCodec: String,
    startOffset: coordinate,
    endOffset: coordinate,
    duration: coordinate,
    streamingResolutions: (heights) => heights.join("_"),
  };

function flipText({ horizontal, vertical }: Options["flip"]): string {
  return [horizontal ? "h" : "", vertical ? "v" : ""].filter((one) => one !== "").join("_");
}

function formatText(format: Options["format"]): string {
  return format === "source" ? "orig" : format === "jpeg" ? "jpg" : format;
}

function modelText(task: ModelTask): string {
  if (task.task === "dropshadow") {
    return `e-dropshadow-az-${task.azimuth}_el-${task.elevation}_st-${task.saturation}`;
  }
  return "prompt" in task ? `e-${task.task}-prompte-${base64(task.prompt)}` : `e-${task.task}`;
}

const radiusText = (radius: Radius): string => (radius === "max" ? radius : cornersText(radius));

/** Four are written as one where they are the same. */
function cornersText(lengths: readonly Expression[]): string {
  const corners = lengths.map(coordinate);
  return corners.every((corner) => corner === corners[0]) ? corners[0]! : corners.join("_");
}

function backgroundText(background: Background): string {
  if (background.kind === "colour") return colourText(background.colour);
  if (background.kind === "blurred")
    return `blurred_${background.intensity}_${number(background.brightness)}`;
  if (background.kind === "dominant") return "dominant";
  if (background.kind === "gradient") return `gradient_dominant_${background.colours}`;
  return background.prompt === undefined ? "genfill" : `genfill-prompte-${base64(background.prompt)}`;
}

function pagesText(pages: Pages): string {
  if (pages.kind === "list") return pages.pages.join("_");
  if (pages.kind === "names") return `name-${pages.names.map((name) => `"${escaped(name)}"`).join("_")}`;
  if (pages.to === undefined) return `${pages.from}-`;
  return pages.from === pages.to ? String(pages.from) : `${pages.from}-${pages.to}`;
}

/** Characters. Longer plain text would be cut when it is read again. */
const READABLE_MAX = 200;
/** Short and harmless texts can be read; all others are in Base64. */
const contentText = (text: string, slash: string): string =>
  text.length <= READABLE_MAX &&
  text !== "ik_canvas" &&
  /^[\w.-](?:[\w. /-]*[\w.-])?$/.test(text) &&
  (slash !== "/" || !text.includes("/"))
    ? `i-${text.replaceAll("/", slash)}`
    : `ie-${base64(text)}`;

function layerText(layer: Layer): string {
  const kind = layer.kind === "canvas" ? "image" : layer.kind;
  const content =
    layer.kind === "canvas"
      ? "i-ik_canvas"
      : layer.kind === "text"
        ? contentText(layer.text, "/")
        : contentText(layer.path, "@@");
  const style = "style" in layer ? styleTexts(layer.style) : [];
  const head = [`l-${kind}`, content, ...style, ...placementTexts(layer.placement)].join(",");
  const steps = layer.kind === "subtitles" ? "" : chainText(layer.steps);
  // Steps stand behind colons, the first too: style and size of text have the same names.
  return `${steps === "" ? head : `${head}:${steps}`},l-end`;
}

const placementTexts = (placement: Placement): string[] =>
  Object.entries(PLACEMENT).flatMap(([name, [field]]) => {
    const value = placement[field];
    if (value === undefined) return [];
    return [`${name}-${typeof value === "string" ? value : coordinate(value)}`];
  });

function styleTexts(style: TextStyle): string[] {
  const { bold, italic, strikethrough } = style;
  const typography = [
    bold === true && "b",
    italic === true && "i",
    strikethrough === true && "strikethrough",
  ];
  const items = {
    w: say(style.width, coordinate),
    fs: say(style.fontSize, coordinate),
    ff: say(style.font, fontText),
    co: say(style.colour, colourText),
    ia: style.align,
    pa: say(style.padding, cornersText),
    al: say(style.opacity, String),
    tg: typography.filter((word) => word !== false).join("_"),
    bg: say(style.background, colourText),
    r: say(style.radius, radiusText),
    rt: say(style.rotate, (degrees) => (degrees % 360 === 0 ? "" : turn(degrees))),
    fl: say(style.flip, flipText),
    lh: say(style.lineHeight, coordinate),
    fol: say(style.outline, ({ width, colour }) => `${width}_${colourText(colour)}`),
    fsh: say(style.shadow, ({ colour, indent }) => `${colourText(colour)}_${indent}`),
  };
  return Object.entries(items).flatMap(([name, text = ""]) => (text === "" ? [] : [`${name}-${text}`]));
}

const say = <T>(value: T | undefined, text: (value: T) => string): string | undefined =>
  value === undefined ? undefined : text(value);

function fontText(font: NonNullable<TextStyle["font"]>): string {
  if ("family" in font) return escaped(font.family).replaceAll("@", "%40").replaceAll("/", "%2F");
  // A path that looks like a family says by its slash that it is none.
  const text = pathText(font.path);
  return text.includes("@@") || isFontFile(text) ? text : `@@${text}`;
}
