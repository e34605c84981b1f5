/** What a plan makes of a source: made once for all who ask, kept, and made again where it had to make room. */
import { createHash } from "node:crypto";
import { Lru } from "../lib/lru.ts";
import { lasting, type DerivedCache, type Entry } from "./cache/cache.ts";
import type { Services } from "./delivery.ts";
import { DeliveryError, ERRORS } from "./errors.ts";
import type { Renderers } from "./image/image.ts";
import type { ClientHints, Input, Job } from "./image/job.ts";
import type { DeliveryLimits } from "./limits.ts";
import { typeOf } from "./mediatypes.ts";
import type { Options, Plan, Step } from "./plan/plan.ts";
import { pathsOf, planText, USUAL } from "./plan/text.ts";
import type { Source, SourceContext } from "./source.ts";

export interface MakingContext extends SourceContext {
  readonly limits: DeliveryLimits;
  readonly renderers: Renderers;
  readonly cache: DerivedCache;
  readonly services: Services;
  readonly failures: FailureMemory;
}

export interface Making {
  readonly kind: Job["kind"];
  readonly source: Source;
  readonly plan: Plan;
  /** What lies over the source, as `pathsOf(plan)` names it. */
  readonly layers: readonly Source[];
  readonly hints: ClientHints;
  /** In place of the source's own bytes: a frame of a film. */
  readonly from?: StandIn | undefined;
}
interface StandIn {
  readonly name: string;
  input(): Promise<Input>;
}

export interface Made {
  readonly entry: Entry;
  readonly hit: boolean;
  /** As the entry's own; what a purge or a sweep took since it was found is made again. */
  readonly read: (start: number, end: number) => AsyncIterable<Buffer>;
}

/** Part of every key: to be raised when the same plan makes other bytes, so that old results are not taken for new. */
const RENDERING_VERSION = 5;

/** Tells the result's key before anything is done: a client that has the result need not wait. */
export function prepare(
  context: MakingContext,
  making: Making,
): { readonly key: string; readonly text: string; readonly make: () => Promise<Made> } {
  const { kind, source, plan, layers, hints } = making;
  const from = making.from ?? mezzanine(context, making);
  const text = planText(plan);
  const key = hash([
    RENDERING_VERSION,
    kind,
    source.identity,
    from?.name ?? "",
    text,
    layers.map(({ identity }) => identity),
    hints,
  ]);
  const make = async (): Promise<Made> => {
    const { entry, hit } = await produce(context, { ...making, from, key, text });
    return { entry, hit, read: (start, end) => lasting(entry, again, start, end) };
  };
  const again = async (): Promise<Entry> => (await make()).entry;
  return { key, text, make };
}

/** What a job has from the operator. */
export const meansOf = ({
  limits,
  services: { models, detector },
}: Pick<MakingContext, "limits" | "services">): Pick<Job, "limits" | "models" | "detector"> => ({
  limits,
  ...(models === undefined ? {} : { models }),
  ...(detector === undefined ? {} : { detector }),
});

async function produce(
  context: MakingContext,
  {
    kind,
    key,
    source,
    plan,
    layers,
    hints,
    text,
    from,
  }: Making & { readonly key: string; readonly text: string },
): ReturnType<DerivedCache["produce"]> {
  const { cache, renderers, limits, failures } = context;
  failures.check(key);
  const { path, originId, info } = source;
  try {
    return await cache.produce(key, async (draft) => {
      const input = from === undefined ? inputOf(source, limits) : await from.input();
      const job: Job = {
        kind,
        plan,
        hints,
        inputs: pathsOf(plan),
        ...(info.customCoordinates === undefined ? {} : { customCoordinates: info.customCoordinates }),
        ...meansOf(context),
      };
      const inputs = [input, ...layers.map((layer) => inputOf(layer, limits))];
      const about = { origin: originId, path, variant: text };
      const made = await renderers.render(job, inputs, draft && { ...draft, about });
      const { type, width, height, headers, ...content } = made;
      return { facts: { type, width, height, headers, ...about }, ...content };
    });
  } catch (error) {
    failures.remember(key, error);
    throw error;
  }
}

/** @throws DeliveryError SourceTooLarge */
function inputOf(source: Source, { sourceBytes }: DeliveryLimits): Input {
  const { size } = source.info;
  if (size === undefined || size > sourceBytes) {
    throw new DeliveryError(
      "SourceTooLarge",
      `${source.path} has ${size ?? "an unknown number of"} bytes; the limit for pictures is ${sourceBytes}.`,
    );
  }
  return { size, read: () => source.read(0, size), files: () => source.files() };
}

/** What WebAssembly decodes: 12 megapixels take it a second, of which a JPEG of them takes a thirtieth. */
const DEAR: readonly string[] = ["image/heic", "image/heif", "image/jxl"];

/**
 * A source that is dear to decode is decoded once, to a JPEG from which all results are made, unless they are to keep
 * every pixel.
 */
function mezzanine(context: MakingContext, { kind, source, plan }: Making): StandIn | undefined {
  if (kind !== "picture" || !DEAR.includes(typeOf(source.info.contentType, source.path))) return undefined;
  if (keepsPixels(plan.defaults) || anyOf(plan.steps, keepsPixels)) return undefined;
  return {
    name: "mezzanine",
    async input() {
      const whole: Plan = { steps: [], defaults: USUAL };
      const { make } = prepare(context, {
        kind: "mezzanine",
        source,
        plan: whole,
        layers: [],
        hints: { accepts: [] },
      });
      const { entry, read } = await make();
      const { size, path } = entry;
      return {
        size,
        read: () => read(0, size),
        files: async () => (path === undefined ? undefined : [{ path, start: 0, end: size }]),
      };
    },
  };
}

const keepsPixels = ({ format, lossless }: Readonly<Partial<Options>>): boolean =>
  lossless === true || format === "png" || format === "gif" || format === "tiff";

const anyOf = (steps: readonly Step[], test: (options: Readonly<Partial<Options>>) => boolean): boolean =>
  steps.some((step) =>
    "when" in step ? anyOf(step.then, test) || anyOf(step.otherwise, test) : test(step.options),
  );

export const hash = (parts: readonly unknown[]): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex");

/** Failures that the same source and plan will meet again are remembered for a while, so that a bomb goes off once. */
export class FailureMemory {
  readonly #failures = new Lru<string, { error: DeliveryError; until: number }>({ maxEntries: FAILURES_MAX });

  /** @throws DeliveryError: what happened the last time */
  check(key: string): void {
    const found = this.#failures.get(key);
    if (found !== undefined && Date.now() < found.until) throw found.error;
  }

  remember(key: string, error: unknown): void {
    if (!(error instanceof DeliveryError) || !LASTING.includes(ERRORS[error.code])) return;
    this.#failures.set(key, { error, until: Date.now() + FAILURE_MS });
  }
}
const FAILURES_MAX = 2000;
const FAILURE_MS = 60_000;
/** Statuses that tell of source and plan and not of the moment. */
const LASTING: readonly number[] = [400, 413, 415, 422];
