/** Options with their expressions evaluated, now that the sizes are known. */
import { DeliveryError } from "../errors.ts";
import { evaluate, evaluateWithin } from "../plan/expression.ts";
import type { Expression, Options, StepOptions, Variable } from "../plan/plan.ts";
import { DPR_RANGE } from "../plan/rowssize.ts";
import type { Environment, Size } from "./surface.ts";

export type Values = Readonly<Partial<Record<Variable, number>>>;

/** The sizes that expressions and conditions may name: of the render's input, of what it is now, of a layer's parent. */
export function valuesOf(input: Size, current: Size, { parent }: Pick<Environment, "parent">): Values {
  return {
    iw: input.width,
    ih: input.height,
    iar: input.width / input.height,
    cw: current.width,
    ch: current.height,
    car: current.width / current.height,
    ...(parent === undefined
      ? {}
      : { bw: parent.width, bh: parent.height, bar: parent.width / parent.height }),
  };
}

/**
 * Pixels, at least 1: a value below 1 is a fraction of `of`.
 * @throws DeliveryError InvalidParameter for expressions that come to nothing or less
 */
export function lengthOf(length: Expression, of: number, values: Values, name: string): number {
  const value = evaluate(length, values);
  if (value <= 0) {
    throw new DeliveryError("InvalidParameter", `${name} comes to ${value} here. Allowed: what is above 0.`);
  }
  return Math.max(1, Math.round(value < 1 ? value * of : value));
}

/** What an operation is told beside its picture. */
export interface Work {
  readonly options: StepOptions;
  readonly values: Values;
  readonly env: Environment;
  /** Frames of the whole, while one of them is worked on. */
  readonly pages: number;
}

export interface Wanted {
  readonly width: number | undefined;
  readonly height: number | undefined;
  /** Of the input where only a ratio is wanted. */
  readonly ratio: number | undefined;
  /** By which width and height were multiplied. */
  readonly dpr: number;
}

/** Beyond these a `dpr` is left out of account, and what the browser says of its screen enlarges nothing. */
const DPR_PIXELS_MAX = 5000;

/**
 * Width and height that a step asks for, in pixels.
 * @throws DeliveryError InvalidParameter for expressions that come to nothing or less
 */
export function wantedSize(from: Size, { options, values, env, pages }: Work): Wanted {
  const { hints } = env.job;
  const given = {
    width: side(options.width, from.width, "w"),
    height: side(options.height, from.height, "h"),
  };
  // What the browser says of the width is in device pixels already.
  const hinted = options.width === "auto" ? hints.width : undefined;
  const ratio = ratioOf(options, values);
  const asked =
    options.dpr === "auto" ? (hints.dpr ?? 1) : evaluateWithin(options.dpr ?? 1, values, "dpr", DPR_RANGE);
  const sized = (dpr: number, window: number | undefined): Wanted => ({
    ...bothSides(window ?? times(given.width, dpr), times(given.height, dpr), ratio),
    ratio,
    dpr,
  });
  const wanted = sized(asked, hinted);
  const result = resultingSize(wanted, from);
  const { width, height } = result;
  const believed = hinted !== undefined || (options.dpr === "auto" && asked !== 1);
  const usable =
    Math.min(width, height) >= 1 &&
    Math.max(width, height) <= DPR_PIXELS_MAX &&
    (!believed || mayBeMade(result, pages, env));
  return usable ? wanted : sized(1, hinted && Math.min(hinted, from.width));

  function side(length: Options["width"] | undefined, of: number, name: string): number | undefined {
    return length === undefined || length === "auto" ? undefined : lengthOf(length, of, values, name);
  }
}

/** Whether the limits allow so many frames of a size. */
function mayBeMade(size: Size, pages: number, env: Environment): boolean {
  try {
    env.spend(size, pages);
    return true;
  } catch (error) {
    if (error instanceof DeliveryError && error.code === "LimitExceeded") return false;
    throw error;
  }
}

const times = (side: number | undefined, dpr: number): number | undefined =>
  side === undefined ? undefined : Math.round(side * dpr);

function ratioOf({ aspectRatio }: StepOptions, values: Values): number | undefined {
  if (aspectRatio === undefined) return undefined;
  const ratio = evaluate(aspectRatio, values);
  if (ratio > 0) return ratio;
  throw new DeliveryError("InvalidParameter", `ar comes to ${ratio} here. Allowed: what is above 0.`);
}

/** One side and a ratio are two sides. */
function bothSides(
  width: number | undefined,
  height: number | undefined,
  ratio: number | undefined,
): Pick<Wanted, "width" | "height"> {
  if (ratio === undefined) return { width, height };
  if (width !== undefined) return { width, height: height ?? Math.max(1, Math.round(width / ratio)) };
  return { width: height === undefined ? undefined : Math.max(1, Math.round(height * ratio)), height };
}

/** With a side that follows from the picture's own ratio. */
function resultingSize({ width, height }: Pick<Wanted, "width" | "height">, from: Size): Size {
  if (width === undefined && height === undefined) return from;
  return {
    width: width ?? (height! * from.width) / from.height,
    height: height ?? (width! * from.height) / from.width,
  };
}
