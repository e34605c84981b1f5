/** Pictures, blocks of colour and text over a picture, and where on it they go. */
import { DeliveryError, ofLayer } from "../errors.ts";
import { evaluate } from "../plan/expression.ts";
import type { Expression, Layer, Options, Placement, Step } from "../plan/plan.ts";
import { asDeliveryError } from "./decode.ts";
import { cutOut, cutTo, displace, lay, multiply } from "./blend.ts";
import { canvas } from "./canvas.ts";
import { spotOf } from "./geometry.ts";
import { pictureOf } from "./layerspicture.ts";
import { valuesOf, type Values } from "./resolve.ts";
import { pixelsOf, surfaceOf, type Environment, type Pixels, type Size, type Surface } from "./surface.ts";
import { renderText } from "./text.ts";

/** A layer's picture before its own steps, what became of it after them. */
interface Made {
  readonly input: Size;
  readonly result: Pixels;
}

/** Bytes of layers that one render keeps for its further frames. Stops sixteen large ones from filling memory. */
const KEPT_BYTES_MAX = 64 * 1024 ** 2;

/** Layers that are made, by the size of what they lie on. */
interface Kept {
  bytes: number;
  readonly bySize: Map<string, Map<Layer, Made>>;
}

/**
 * Of the renders that are under way: the frames of an animation get the same layers. Belongs to a render, which its
 * inputs stand for: it goes when they do.
 */
const KEPT = new WeakMap<Environment["inputs"], Kept>();

/** `applySteps` of rendersteps.ts, which calls this. */
type ApplySteps = (surface: Surface, steps: readonly Step[], env: Environment) => Promise<Surface>;

/** What the making of a layer needs: its parent is known. */
interface Making extends Environment {
  readonly parent: Size;
  readonly applySteps: ApplySteps;
}

/**
 * Lays layers over a settled still, one on top of the other; gives a settled one back. What lies outside of it is cut
 * off.
 * @throws DeliveryError InvalidParameter for layers that only a video can have, for a missing amount; NotFound for a
 *   picture that isn't there; and as `openPicture`
 */
export async function applyLayers(
  base: Surface,
  layers: readonly Layer[],
  env: Environment,
  applySteps: ApplySteps,
): Promise<Surface> {
  let now = base;
  for (const layer of layers) {
    const parent = { width: now.width, height: now.height };
    const { input, result } = await made(layer, { ...env, parent, applySteps });
    now = await join(now, layer, surfaceOf(result), valuesOf(input, result, { parent }));
  }
  return now;
}

async function made(layer: Layer, env: Making): Promise<Made> {
  const kept = KEPT.get(env.inputs) ?? { bytes: 0, bySize: new Map<string, Map<Layer, Made>>() };
  KEPT.set(env.inputs, kept);
  const size = `${env.parent.width}x${env.parent.height}`;
  const before = kept.bySize.get(size)?.get(layer);
  if (before !== undefined) return before;
  const after = await make(layer, env);
  const { length } = after.result.data;
  if (kept.bytes + length <= KEPT_BYTES_MAX) {
    kept.bytes += length;
    const ofSize = kept.bySize.get(size) ?? new Map<Layer, Made>();
    kept.bySize.set(size, ofSize.set(layer, after));
  }
  return after;
}

async function make(layer: Layer, env: Making): Promise<Made> {
  if (layer.kind === "video" || layer.kind === "subtitles") {
    throw new DeliveryError("InvalidParameter", `l-${layer.kind}: Only a video can have such a layer.`);
  }
  const steps = withoutAmounts(layer);
  if (layer.kind === "text") return finish(await renderText(layer.text, layer.style, env), steps, env);
  if (layer.kind === "canvas") {
    const block = await canvas(steps, env);
    return finish(block.surface, block.steps, env);
  }
  const opened = await pictureOf(layer.path, steps, env);
  return finish(opened.surface, opened.steps, env).catch((error: unknown) => {
    throw error instanceof DeliveryError ? error : ofLayer(layer.path, asDeliveryError(error));
  });
}

async function finish(surface: Surface, steps: readonly Step[], env: Making): Promise<Made> {
  const input = { width: surface.width, height: surface.height };
  return { input, result: await pixelsOf(await env.applySteps(surface, steps, env)) };
}

/** For `displace` the layer's x and y are no places but how far pixels move. */
function withoutAmounts(layer: Exclude<Layer, { kind: "subtitles" }>): readonly Step[] {
  if (layer.placement.mode !== "displace") return layer.steps;
  return layer.steps.map((step) => {
    if ("when" in step) return step;
    const { x: _x, y: _y, ...options } = step.options;
    return { ...step, options };
  });
}

async function join(base: Surface, layer: Layer, top: Surface, values: Values): Promise<Surface> {
  const { placement } = layer;
  if (placement.mode === "displace") {
    const { amounts, rest } = amountsOf(layer, values);
    return displace(base, top, spotOf(rest, base, top, values), amounts);
  }
  const spot = spotOf(placement, base, top, values);
  if (placement.mode === "cutout") return cutOut(base, top, spot);
  if (placement.mode === "cutter") return cutTo(base, top, spot);
  return placement.mode === "multiply" ? multiply(base, top, spot) : lay(base, top, spot);
}

/** `x-` and `y-` of the layer say how far pixels move; without them `lx-` and `ly-` do. @throws InvalidParameter */
function amountsOf(
  layer: Layer,
  values: Values,
): { amounts: { across: number; down: number }; rest: Placement } {
  const { x: lx, y: ly, ...rest } = layer.placement;
  const steps = layer.kind === "subtitles" ? [] : layer.steps;
  const said = (name: "x" | "y"): Options["x"] | undefined =>
    steps
      .flatMap((step) => ("when" in step ? [] : [step.options[name]]))
      .findLast((one) => one !== undefined);
  const [x, y] = [said("x"), said("y")];
  const own = x !== undefined || y !== undefined;
  const across = own ? x : lx;
  const down = own ? y : ly;
  if (across === undefined && down === undefined) {
    throw new DeliveryError("InvalidParameter", "lm-displace needs x- or y-: by how many pixels to move.");
  }
  const pixels = (amount: Expression | undefined): number =>
    amount === undefined ? 0 : evaluate(amount, values);
  return {
    amounts: { across: pixels(across), down: pixels(down) },
    rest: own ? layer.placement : rest,
  };
}
