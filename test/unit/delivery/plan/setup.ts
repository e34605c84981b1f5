/** What the tests of the grammars have in common. */
import { DeliveryError } from "../../../../src/delivery/errors.ts";
import { withoutIdle } from "../../../../src/delivery/plan/canonical.ts";
import { parseChain } from "../../../../src/delivery/plan/imagekit.ts";
import type { Layer, Options, Plan, Step } from "../../../../src/delivery/plan/plan.ts";
import { planText } from "../../../../src/delivery/plan/text.ts";

/** What was thrown, as `Code: message`. Anything but a DeliveryError is a defect. */
export function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof DeliveryError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error("was not refused");
}

/** `understood`, or the code of the refusal. */
export function outcome(work: () => unknown): string {
  try {
    work();
    return "understood";
  } catch (error) {
    if (error instanceof DeliveryError) return error.code;
    throw error;
  }
}

export const pictures = (steps: readonly Step[]): Plan => ({
  steps,
  defaults: { quality: 80, format: "auto" },
});

/** The canonical text of a chain. */
export const textOf = (chain: string): string => planText(pictures(withoutIdle(parseChain(chain))));

/** Options of a chain of one step. */
export function optionsOf(chain: string): Partial<Options> {
  const [step] = parseChain(chain);
  if (step === undefined || "when" in step) throw new Error("no plain step");
  return step.options;
}

/** The layer of a chain of one step that has one. */
export function layerOf<Kind extends Layer["kind"]>(chain: string, kind: Kind): Layer & { kind: Kind } {
  const [step] = parseChain(chain);
  if (step === undefined || "when" in step) throw new Error("no plain step");
  const layer = step.layers[0];
  if (layer?.kind !== kind) throw new Error(`the layer is ${layer?.kind}`);
  return layer as Layer & { kind: Kind };
}
