/** What a step does to a picture, in which order. */
import { DeliveryError } from "../errors.ts";
import { CLEAR } from "../plan/colours.ts";
import { holds } from "../plan/expression.ts";
import type { Colour, Layer, ModelTask, Options, Step, StepOptions } from "../plan/plan.ts";
import { eachFrame, firstFrame } from "./animation.ts";
import { flattened, putUnder } from "./background.ts";
import { distort, distortedSize } from "./distort.ts";
import {
  adjustColours,
  adjustSharpness,
  colorize,
  gradientOver,
  replaceColour,
  shadow,
  shadowedSize,
  unsharp,
} from "./effects.ts";
import { backedFrame, resizedFrame, type Frame } from "./svgframe.ts";
import { applyLayers } from "./layers.ts";
import { applyModel, modelsOf } from "./models.ts";
import { valuesOf, type Work } from "./resolve.ts";
import { border, borderedSize, fade, flip, rotate, round, trim, turnedSize } from "./shape.ts";
import { resize, resizedSize, showsAll } from "./size.ts";
import { groundOf, settle, type Environment, type Size, type Surface } from "./surface.ts";

interface Operation {
  /** The options that call for it. */
  readonly on: readonly (keyof Options)[];
  /** Whether they do, where that isn't all. */
  readonly when?: (this: void, options: StepOptions) => boolean;
  /** What it makes of a size. Left out: the same. Undefined: only the picture can tell. */
  readonly size?: (this: void, from: Size, work: Work) => Size | undefined;
  /** Whether each place keeps its share of width and height. Left out: it does where no size is made. */
  readonly keeps?: (this: void, from: Size, work: Work) => boolean;
  /** What it makes of a drawing that needn't be drawn. Undefined, or left out: it must be. */
  readonly frame?: (this: void, frame: Frame, work: Work) => Frame | undefined;
  /** It takes lazy surfaces and animations as they are; the others get a settled still each time. */
  readonly whole?: true;
  readonly apply: (this: void, surface: Surface, work: Work) => Promise<Surface>;
}

/** Edges are looked for with this threshold where none is given. */
const TRIM_THRESHOLD = 10;
/** Models that leave things where they are; the others may paint another picture, or a larger one. */
const RETOUCHES: readonly ModelTask["task"][] = ["bgremove", "removedotbg", "upscale", "retouch", "changebg"];

/**
 * THE order of operations within a step: first what is shown of the picture and how large, then its colours, then its
 * outline, then what lies behind it. Layers come last.
 */
const ORDER: readonly Operation[] = [
  {
    on: ["model"],
    whole: true,
    size: () => undefined,
    keeps: (_, { options }) => RETOUCHES.includes(options.model!.task),
    apply: async (surface, { options, env }) => applyModel(await firstFrame(surface), options.model!, env),
  },
  {
    on: ["trim"],
    when: ({ trim: how }) => how !== false,
    whole: true,
    size: () => undefined,
    apply: (surface, { options: { trim: how } }) =>
      trim(surface, typeof how === "number" ? how : TRIM_THRESHOLD),
  },
  {
    on: ["width", "height", "aspectRatio", "focus"],
    whole: true,
    size: resizedSize,
    keeps: showsAll,
    frame: resizedFrame,
    apply: resize,
  },
  { on: ["flip"], keeps: () => false, apply: (surface, { options }) => flip(surface, options.flip!) },
  {
    on: ["gamma", "brightness", "saturation", "hue", "grayscale", "contrast", "threshold"],
    apply: (surface, { options }) => adjustColours(surface, options),
  },
  { on: ["colourReplace"], apply: (surface, { options }) => replaceColour(surface, options.colourReplace!) },
  { on: ["colorize"], apply: (surface, { options }) => colorize(surface, options.colorize!) },
  {
    on: ["blur", "blurSigma", "sharpen", "sharpenSigma"],
    apply: (surface, { options }) => adjustSharpness(surface, options),
  },
  { on: ["unsharp"], apply: (surface, { options }) => unsharp(surface, options.unsharp!) },
  {
    on: ["gradient"],
    apply: (surface, { options, values }) => gradientOver(surface, options.gradient!, values),
  },
  {
    on: ["distort"],
    size: (from, { options, values }) => distortedSize(from, options.distort!, values),
    apply: (surface, { options, values, env }) => distort(surface, options.distort!, values, env),
  },
  {
    on: ["background"],
    when: isFilled,
    whole: true,
    size: () => undefined,
    apply: async (surface, { options: { background }, env }) => {
      const prompt = background?.kind === "generated" ? background.prompt : undefined;
      return applyModel(await firstFrame(surface), { task: "genfill", prompt }, env);
    },
  },
  // A canvas that the picture was set on is part of it, and is rounded with it.
  {
    on: ["background"],
    when: (options) => isPadded(options) && !isLaidLast(options) && !isFilled(options),
    frame: (from, { options }) => backedFrame(from, options.background!),
    apply: (surface, { options }) => under(surface, options.background!),
  },
  { on: ["radius"], apply: (surface, { options, values }) => round(surface, options.radius!, values) },
  {
    on: ["border"],
    size: (from, { options, values }) => borderedSize(from, options.border!.width, values),
    apply: (surface, { options, values, env }) =>
      border(surface, options.border!, options.radius, values, env),
  },
  { on: ["opacity"], apply: (surface, { options }) => fade(surface, options.opacity!) },
  {
    on: ["rotate"],
    when: ({ rotate: degrees }) => typeof degrees === "number",
    size: (from, { options }) => turnedSize(from, Number(options.rotate)),
    apply: (surface, { options, env }) =>
      rotate(surface, Number(options.rotate), behind(surface, options, env), env),
  },
  {
    on: ["shadow"],
    size: (from, { options }) => shadowedSize(from, options.shadow!),
    apply: (surface, { options, env }) => shadow(surface, options.shadow!, env),
  },
  {
    on: ["background"],
    when: isLaidLast,
    frame: (from, { options }) => backedFrame(from, options.background!),
    apply: (surface, { options }) => under(surface, options.background!),
  },
];

function isPadded({ cropMode, width, height }: StepOptions): boolean {
  return (cropMode?.startsWith("pad_") ?? false) && (width !== undefined || height !== undefined);
}

function isFilled({ background }: StepOptions): boolean {
  return background?.kind === "generated";
}

/** @throws DeliveryError InvalidParameter, NotAvailable */
function checkFilling(options: StepOptions, env: Environment): void {
  if (isPadded(options)) modelsOf(env, "bg-genfill");
  else {
    throw new DeliveryError(
      "InvalidParameter",
      "bg-genfill paints what padding adds: it needs w, h and cm-pad_resize or cm-pad_extract.",
    );
  }
}

/** Whether the background is seen behind the outline, and through a picture that fades; else it is part of the picture. */
function isLaidLast(options: StepOptions): boolean {
  if (isFilled(options)) return false;
  return isPadded(options) ? options.opacity !== undefined : options.background?.kind !== "blurred";
}

function under(surface: Surface, background: Options["background"]): Promise<Surface> {
  if (background.kind === "colour") return flattened(surface, background.colour);
  return background.kind === "generated" ? Promise.resolve(surface) : putUnder(surface, background);
}

/** What fills the corners that turning leaves free. What lies below a layer is seen there. */
function behind({ alpha }: Surface, options: StepOptions, env: Environment): Colour {
  const { background } = options;
  // What is seen through would be seen twice.
  if (background?.kind === "colour") {
    return background.colour.a < 1 && isLaidLast(options) ? CLEAR : background.colour;
  }
  return alpha || background !== undefined || env.parent !== undefined ? CLEAR : groundOf(env);
}

/** Hears the options of each step that is done. */
type Listener = (options: StepOptions) => void;

/**
 * Applies steps to a picture, or to the picture of a layer. What can be refused by the sizes is refused before any work.
 * @throws DeliveryError
 */
export async function applySteps(
  surface: Surface,
  steps: readonly Step[],
  env: Environment,
  hear: Listener = () => undefined,
): Promise<Surface> {
  const input: Size = { width: surface.width, height: surface.height };
  const how: Run = { input, env, hear, intact: env.parent === undefined };
  foresee(input, surface.pages, steps, how);
  return run(surface, steps, how);
}

/**
 * What steps make of a drawing that stays one. Undefined: it must be drawn.
 * @throws DeliveryError InvalidParameter, LimitExceeded
 */
export function applyToFrame(
  frame: Frame,
  steps: readonly Step[],
  env: Environment,
  hear: Listener,
  input: Size = frame,
): Frame | undefined {
  let now: Frame | undefined = frame;
  for (const step of steps) {
    if (now === undefined) return undefined;
    if ("when" in step) {
      const branch = holds(step.when, valuesOf(input, now, env)) ? step.then : step.otherwise;
      now = applyToFrame(now, branch, env, hear, input);
      continue;
    }
    const { options, layers } = step;
    if (layers.length > 0) return undefined;
    hear(options);
    for (const operation of ORDER.filter((one) => isDue(one, options))) {
      const values = valuesOf(input, now, env);
      now = operation.frame?.(now, { options, values, env, pages: 1 });
      if (now === undefined) return undefined;
    }
  }
  return now;
}

interface Run {
  /** What `iw` and `ih` are. */
  readonly input: Size;
  readonly env: Environment;
  readonly hear: Listener;
  /** All of the source is shown, as far as the run has come. */
  intact: boolean;
}

const isDue = ({ on, when }: Operation, options: StepOptions): boolean =>
  on.some((name) => options[name] !== undefined) && (when?.(options) ?? true);

/**
 * Goes through the sizes of all steps as far as they can be told without the picture.
 * @throws DeliveryError LimitExceeded, InvalidParameter, NotAvailable
 */
function foresee(from: Size, pages: number, steps: readonly Step[], how: Run): Size | undefined {
  const { input, env } = how;
  let size: Size | undefined = from;
  for (const step of steps) {
    if (size === undefined) return undefined;
    const values = valuesOf(input, size, env);
    if ("when" in step) {
      size = foresee(size, pages, holds(step.when, values) ? step.then : step.otherwise, how);
      continue;
    }
    const { options } = step;
    if (options.background?.kind === "generated") checkFilling(options, env);
    for (const operation of ORDER) {
      if (size === undefined || operation.size === undefined || !isDue(operation, options)) continue;
      size = operation.size(size, { options, values: valuesOf(input, size, env), env, pages });
      if (size !== undefined) env.spend(size, pages);
    }
  }
  return size;
}

async function run(surface: Surface, steps: readonly Step[], how: Run): Promise<Surface> {
  let now = surface;
  for (const step of steps) {
    if ("when" in step) {
      const holding = holds(step.when, valuesOf(how.input, now, how.env));
      now = await run(now, holding ? step.then : step.otherwise, how);
      continue;
    }
    how.hear(step.options);
    now = await applyStep(now, step.options, step.layers, how);
  }
  return now;
}

async function applyStep(
  surface: Surface,
  options: StepOptions,
  layers: readonly Layer[],
  how: Run,
): Promise<Surface> {
  const { input, env } = how;
  let now = surface;
  for (const operation of ORDER.filter((one) => isDue(one, options))) {
    const { apply, whole, size, keeps } = operation;
    const { pages } = now;
    const source = how.intact ? input : undefined;
    const work: Work = { options, values: valuesOf(input, now, env), env: { ...env, source }, pages };
    how.intact &&= keeps === undefined ? size === undefined : keeps(now, work);
    now =
      whole === true
        ? await apply(now, work)
        : await eachFrame(now, work.env, async (frame, within) =>
            apply(await settle(frame), { ...work, env: within }),
          );
  }
  if (layers.length === 0) return now;
  return eachFrame(now, env, async (frame, within) =>
    applyLayers(await settle(frame), layers, within, (...these) => applySteps(...these)),
  );
}
