/** Text, pictures and blocks of colour on films are drawn where all pictures are, in renderers, and laid over the film. */
import { once } from "../../lib/chunks.ts";
import { DeliveryError } from "../errors.ts";
import type { Input, Job, Picture } from "../image/job.ts";
import type { Size } from "../image/surface.ts";
import type { Layer, Step } from "../plan/plan.ts";
import { pathsOf } from "../plan/steps.ts";

/** Adds to a job what is the operator's to say: limits and services. */
export interface StillRenderer {
  render(job: Omit<Job, "limits" | "models" | "detector">, inputs: readonly Input[]): Promise<Picture>;
}

/** One pixel of nothing, as PNG. */
const NOTHING = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAAC0lEQVR4nGNgAAIAAAUAAXpeqz8AAAAASUVORK5CYII=",
  "base64",
);
const nothing: Input = { size: NOTHING.length, read: () => once(NOTHING) };
/**
 * Layers on nothing, in the size of the film: PNG with transparency.
 * @throws DeliveryError as renderers do; NotFound for a picture or font that isn't among the inputs
 */
export async function drawStill(
  renderer: StillRenderer,
  { width, height }: Size,
  layers: readonly Layer[],
  inputs: ReadonlyMap<string, Input>,
): Promise<Buffer> {
  const steps: readonly Step[] = [{ options: { width, height, crop: "force" }, layers }];
  const plan = { steps, defaults: { quality: 100, format: "png" as const } };
  const paths = pathsOf(plan);
  const job = { kind: "picture", plan, hints: { accepts: [] }, inputs: paths } as const;
  const { data } = await renderer.render(job, [nothing, ...paths.map((path) => inputOf(inputs, path))]);
  return data;
}

/** @throws DeliveryError NotFound */
export function inputOf(inputs: ReadonlyMap<string, Input>, path: string): Input {
  const input = inputs.get(path);
  if (input === undefined) throw new DeliveryError("NotFound", `The layer ${path} of the film is missing.`);
  return input;
}
