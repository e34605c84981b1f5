/** The picture of an image layer, as it is before its steps. */
import { DeliveryError, ofLayer } from "../errors.ts";
import type { Step, StepOptions } from "../plan/plan.ts";
import { said } from "../plan/steps.ts";
import { openPicture, uprightOf } from "./decode.ts";
import { valuesOf, wantedSize } from "./resolve.ts";
import { pipedTo, type Environment, type Surface } from "./surface.ts";

/**
 * The picture, upright, and the steps that are to be done to it: overlays lose their edges of one colour, unless a
 * step speaks of that. @throws DeliveryError NotFound, and as `openPicture`
 */
export async function pictureOf(
  path: string,
  steps: readonly Step[],
  env: Environment,
): Promise<{ surface: Surface; steps: readonly Step[] }> {
  const bytes = env.inputs.get(path);
  if (bytes === undefined) throw new DeliveryError("NotFound", `The layer's picture ${path} is missing.`);
  const pages = said(steps, "pages").at(-1);
  const opened = await openPicture(bytes, env.job, { pages, animated: false }).catch((error: unknown) => {
    throw ofLayer(path, error);
  });
  const surface = uprightOf(opened);
  const drawn = opened.metadata.format === "svg" ? drawnLarge(surface, steps, env) : { surface, steps };
  return { surface: drawn.surface, steps: trimmedByDefault(drawn.steps) };
}

function trimmedByDefault(steps: readonly Step[]): readonly Step[] {
  if (steps.some((step) => "when" in step || step.options.trim !== undefined)) return steps;
  const [first = { options: {}, layers: [] }, ...rest] = steps;
  return "when" in first ? steps : [{ ...first, options: { ...first.options, trim: true } }, ...rest];
}

/**
 * An SVG whose first step enlarges it, drawn as large as that at once. Its edges are looked for before it is resized,
 * and enlarging their pixels afterwards would blur it. @throws DeliveryError LimitExceeded
 */
function drawnLarge(
  surface: Surface,
  steps: readonly Step[],
  env: Environment,
): { surface: Surface; steps: readonly Step[] } {
  const [first, ...rest] = steps;
  if (first === undefined || "when" in first || cutsOut(first.options)) return { surface, steps };
  const { options: asked } = first;
  const wanted = wantedSize(surface, {
    options: asked,
    values: valuesOf(surface, surface, env),
    env,
    pages: 1,
  });
  const scale = Math.max((wanted.width ?? 0) / surface.width, (wanted.height ?? 0) / surface.height);
  if (scale <= 1) return { surface, steps };
  const width = Math.round(surface.width * scale);
  const height = Math.round(surface.height * scale);
  env.spend({ width, height });
  const { width: _w, height: _h, aspectRatio: _a, dpr: _d, ...others } = asked;
  const options = {
    ...others,
    ...(wanted.width === undefined ? {} : { width: wanted.width }),
    ...(wanted.height === undefined ? {} : { height: wanted.height }),
  };
  const image = surface.image.clone().resize({ width, height, fit: "fill" });
  return { surface: pipedTo(surface, { width, height }, image), steps: [{ ...first, options }, ...rest] };
}

/** Whether places in the picture are meant, which would be others in a larger one. */
const cutsOut = ({ cropMode, crop }: StepOptions): boolean =>
  cropMode?.includes("extract") === true ||
  cropMode?.includes("no_enlarge") === true ||
  crop === "at_max" ||
  crop === "maintain_ratio_no_enlarge";
