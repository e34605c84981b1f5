/** What a plan says, wherever in its steps it says it. */
import type { Layer, Options, Plan, Step, StepOptions } from "./plan.ts";

/** The values of an option, conditions' branches included, in the order of the steps. */
export function said<Name extends keyof Options>(steps: readonly Step[], name: Name): Options[Name][] {
  return optionsOf(steps).flatMap(({ [name]: value }) => (value === undefined ? [] : [value]));
}

/** Options of all steps and branches, in order; not those of layers. */
export function optionsOf(steps: readonly Step[]): StepOptions[] {
  return steps.flatMap((step) =>
    "when" in step ? [...optionsOf(step.then), ...optionsOf(step.otherwise)] : [step.options],
  );
}

/** Every layer of all steps and branches, nested ones too, in order. */
export function layersOf(steps: readonly Step[]): Layer[] {
  return steps.flatMap((step): Layer[] => {
    if ("when" in step) return [...layersOf(step.then), ...layersOf(step.otherwise)];
    return step.layers.flatMap((layer) => [layer, ...("steps" in layer ? layersOf(layer.steps) : [])]);
  });
}

/** Paths of pictures and fonts that a plan lays over its source, each once, in order. */
export function pathsOf({ steps }: Plan): string[] {
  const paths = layersOf(steps).flatMap((layer) => {
    if (layer.kind === "image") return [layer.path];
    const font = "style" in layer ? layer.style.font : undefined;
    return font !== undefined && "path" in font ? [font.path] : [];
  });
  return [...new Set(paths)];
}

/** Paths of films and subtitles that a plan lays over its source, each once, in order. */
export function videoPathsOf({ steps }: Plan): string[] {
  const paths = layersOf(steps).flatMap((layer) =>
    layer.kind === "video" || layer.kind === "subtitles" ? [layer.path] : [],
  );
  return [...new Set(paths)];
}
