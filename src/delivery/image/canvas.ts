/** Blocks of one colour, or of a gradient, as layers. */
import { BLACK, CLEAR } from "../plan/colours.ts";
import type { Step, StepOptions } from "../plan/plan.ts";
import { valuesOf, wantedSize, type Work } from "./resolve.ts";
import { blank, settle, type Environment, type Size, type Surface } from "./surface.ts";

/**
 * The block that the first step describes, and the steps that are still to be done to it. A side that isn't given is
 * as long as the parent's. @throws DeliveryError LimitExceeded
 */
export async function canvas(
  steps: readonly Step[],
  env: Environment & { parent: Size },
): Promise<{ surface: Surface; steps: readonly Step[] }> {
  const [first, ...rest] = steps;
  const options: StepOptions = first !== undefined && "options" in first ? first.options : {};
  const values = valuesOf(env.parent, env.parent, env);
  const work: Work = { options, values, env, pages: 1 };
  const { width = env.parent.width, height = env.parent.height } = wantedSize(env.parent, work);
  env.spend({ width, height });
  const { background } = options;
  const bare = options.gradient === undefined ? BLACK : CLEAR;
  const colour = background?.kind === "colour" ? background.colour : bare;
  const surface = await settle(blank({ width, height }, colour));
  if (first === undefined || "when" in first) return { surface, steps };
  const { width: _w, height: _h, aspectRatio: _r, dpr: _d, background: _b, opacity, ...others } = options;
  // A colour that brings its own transparency is not made more transparent.
  const more = opacity === undefined || colour.a < 1 ? {} : { opacity };
  return { surface, steps: [{ ...first, options: { ...others, ...more } }, ...rest] };
}
