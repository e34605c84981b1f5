/**
 * ImageKit's chains: `w-300,h-200:rt-90`, with layers and conditions. Names of named transformations are gone already.
 * https://imagekit.io/docs/transformations
 */
import { DeliveryError } from "../errors.ts";
import { CHAIN_MAX, NESTING_MAX } from "../limits.ts";
import { CONDITION_ALLOWED, parseCondition } from "./expression.ts";
import { Items, quote, readItem, refuse } from "./items.ts";
import { isLayerStart, readLayer, type Within } from "./layers.ts";
import type { Layer, Options, Step } from "./plan.ts";
import { wordingOf } from "./transforms.ts";
import { parsePath } from "./values.ts";

/** Characters of a chain, named transformations written out. Stops one short name after another that stands for a long chain. */
const CHAIN_LENGTH_MAX = 20_000;
/** Steps of a URL, those of layers and conditions included. Stops conditions that hold chains that hold conditions. */
const STEPS_MAX = CHAIN_MAX * 4;
/** SDKs let people write `ar-16:9`, and a step is never a bare number. */
const COLON_RATIO = /((?:^|[,:]) *ar-\d{1,5}(?:\.\d{1,4})?):(\d{1,5}(?:\.\d{1,4})?)(?=$|[,:])/g;

/** @throws DeliveryError InvalidParameter, LimitExceeded */
export function parseChain(chain: string): Step[] {
  if (chain.length > CHAIN_LENGTH_MAX) {
    throw new DeliveryError("LimitExceeded", `A chain has at most ${CHAIN_LENGTH_MAX} characters.`);
  }
  const items = new Items(chain.replaceAll(COLON_RATIO, "$1-$2"));
  return originalSteps(chain) ?? readSteps(items, [], { layers: 0, conditions: 0 });
}

const ORIGINAL = "orig-true";

/** What a chain with `orig-true` says: ImageKit leaves all else out of account, even what it doesn't know. */
export function originalSteps(chain: string): Step[] | undefined {
  // Most URLs don't say it, and need not be taken apart for it.
  if (!chain.includes(ORIGINAL)) return undefined;
  const options: Partial<Options> = {};
  let depth = 0;
  for (const items = new Items(chain); items.text !== undefined; items.next()) {
    const { text } = items;
    if (text === "l-end" || text === "if-end") depth--;
    else if (isLayerStart(text) || (text.startsWith("if-") && !isEnd(text))) depth++;
    else if (depth !== 0) continue;
    else if (text === ORIGINAL) options.original = true;
    else if (text.startsWith("di-")) {
      const path = parsePath(text.slice("di-".length));
      if (path !== undefined) options.defaultImage = path;
    }
  }
  return options.original === true ? [{ options, layers: [] }] : undefined;
}

/** Steps up to one of `ends`, which is left to the caller, or up to the end of the chain. */
function readSteps(items: Items, ends: readonly string[], within: Within): Step[] {
  const steps: Step[] = [];
  while (items.text !== undefined && !isEnd(items.text)) {
    if (++items.steps > STEPS_MAX || steps.length >= CHAIN_MAX) {
      throw new DeliveryError(
        "LimitExceeded",
        `A chain has at most ${CHAIN_MAX} steps, and a URL at most ${STEPS_MAX}.`,
      );
    }
    const first = steps.length === 0;
    steps.push(items.text.startsWith("if-") ? readCondition(items, within) : readStep(items, within, first));
  }
  if (items.text !== undefined && !ends.includes(items.text)) {
    throw new DeliveryError("InvalidParameter", `tr: ${quote(items.text)} closes nothing.`);
  }
  if (items.text === undefined && ends.length > 0) {
    throw new DeliveryError("InvalidParameter", `tr: ${ends.join(" or ")} is missing.`);
  }
  return steps;
}

const isEnd = (text: string): boolean => text === "l-end" || text === "if-else" || text === "if-end";
const NOT_ALONE = "tr: a condition stands alone in its step.";

/** `if-COND,…,if-else,…,if-end`, alone in its step. */
function readCondition(items: Items, within: Within): Step {
  if (within.conditions >= NESTING_MAX) {
    throw new DeliveryError("LimitExceeded", `Conditions nest ${NESTING_MAX} deep.`);
  }
  const text = items.text!.slice("if-".length);
  const when = parseCondition(text) ?? refuse("if", text, CONDITION_ALLOWED);
  // What is said of the layer itself doesn't depend on conditions.
  const inside: Within = { layers: within.layers, conditions: within.conditions + 1 };
  items.next();
  const then = readSteps(items, ["if-else", "if-end"], inside);
  let otherwise: Step[] = [];
  if (items.text === "if-else") {
    items.next();
    otherwise = readSteps(items, ["if-end"], inside);
  }
  items.next();
  if (items.text !== undefined && !items.newStep && !isEnd(items.text)) {
    throw new DeliveryError("InvalidParameter", NOT_ALONE);
  }
  // oxlint-disable-next-line unicorn/no-thenable -- steps are no functions, so nothing takes a condition for a promise
  return { when, then, otherwise };
}

/** Options and layers up to the next colon. `first`: of its chain. */
function readStep(items: Items, within: Within, first: boolean): Step {
  const options: Partial<Options> = {};
  const layers: Layer[] = [];
  let begun = false;
  while (items.text !== undefined && !isEnd(items.text) && !(begun && items.newStep)) {
    begun = true;
    if (items.text.startsWith("if-")) throw new DeliveryError("InvalidParameter", NOT_ALONE);
    if (isLayerStart(items.text)) {
      layers.push(readLayer(items, within, readSteps));
    } else {
      if (within.layer?.(items.text, first, options) !== true) readItem(options, items.text);
      items.next();
    }
  }
  return { options: checked(options, within), layers };
}

/** What is said of the whole answer, and can't depend on anything that is known only when the source is. */
const OF_THE_WHOLE: readonly (keyof Options)[] = [
  "original",
  "defaultImage",
  "density",
  "streamingResolutions",
];
const NOT_CONDITIONAL: readonly (keyof Options)[] = [...OF_THE_WHOLE, "pages"];

/** @throws DeliveryError InvalidParameter for what can't stand there */
function checked(options: Partial<Options>, within: Within): Partial<Options> {
  refuseAll(options, within.layers > 0 ? OF_THE_WHOLE : [], "a layer");
  refuseAll(options, within.conditions > 0 ? NOT_CONDITIONAL : [], "a condition");
  // ImageKit leaves `ar` out of account where both sides are given.
  if (options.width === undefined || options.height === undefined) return options;
  const { aspectRatio: _, ...rest } = options;
  return rest;
}

function refuseAll(options: Partial<Options>, rows: readonly (keyof Options)[], place: string): void {
  const row = rows.find((one) => options[one] !== undefined);
  if (row === undefined) return;
  const { names } = wordingOf(row, "imagekit")!;
  throw new DeliveryError("InvalidParameter", `tr: ${names[0]} can't stand in ${place}.`);
}
