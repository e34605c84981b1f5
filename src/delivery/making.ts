/** What a plan makes of a source: made once for all who ask, kept, and made again where it had to make room. */
import { isRecent } from "../lib/clock.ts";
import { Lru } from "../lib/lru.ts";
import { lasting, type DerivedCache, type Entry } from "./cache/cache.ts";
import { keyOf } from "./cache/entries.ts";
import { DeliveryError, ERRORS } from "./errors.ts";
import { UNANSWERED } from "./image/detector.ts";
import type { Renderers } from "./image/image.ts";
import type { ClientHints, Input, Job, Picture } from "./image/job.ts";
import type { DeliveryLimits } from "./limits.ts";
import { kindOf } from "./mediatypes.ts";
import type { Plan, StepOptions } from "./plan/plan.ts";
import { optionsOf } from "./plan/steps.ts";
import { summaryOf } from "./plan/summary.ts";
import { USUAL } from "./plan/text.ts";
import type { Service } from "./service.ts";
import type { Source, SourceContext } from "./source.ts";
import type { StillRenderer } from "./video/stills.ts";

export interface MakingContext extends SourceContext {
  readonly limits: DeliveryLimits;
  readonly renderers: Renderers;
  readonly cache: DerivedCache;
  readonly models: Service | undefined;
  readonly detector: Detector;
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

/** What a plan would make of a source. */
export interface Prospect {
  /** Of the result: a client that has it need not wait. */
  readonly key: string;
  readonly text: string;
  /** The detector gives no answer now, so that the result will soon be another. */
  readonly makeshift: boolean;
  readonly make: () => Promise<Made>;
}

export interface Made {
  /** Of the result. Another than was told before where the detector gave no answer. */
  readonly key: string;
  readonly entry: Entry;
  readonly hit: boolean;
  /** As the entry's own; what a purge or a sweep took since it was found is made again. */
  readonly read: (start: number, end: number) => AsyncIterable<Buffer>;
}

/** Part of every key: to be raised when the same plan makes other bytes, so that old results are not taken for new. */
const RENDERING_VERSION = 8;

/** Says what the result will be, before anything is done. */
export function prepare(context: MakingContext, making: Making): Prospect {
  const { kind, source, plan, layers, hints } = making;
  const from = making.from ?? mezzanine(context, making);
  const { text } = summaryOf(plan);
  const found = context.detector.for(plan);
  const makeshift = found === "away";
  const detector = makeshift ? undefined : found;
  const key = keyOf([
    RENDERING_VERSION,
    kind,
    source.identity,
    from?.name ?? "",
    text,
    layers.map(({ identity }) => identity),
    hints,
    detector !== undefined,
  ]);
  const make = async (): Promise<Made> => {
    try {
      const ready = context.cache.ready(key);
      const { entry, hit } =
        ready === undefined
          ? await produce(context, { ...making, from, key, text, detector })
          : { entry: ready, hit: true };
      return { key, entry, hit, read: (start, end) => lasting(entry, again, start, end) };
    } catch (error) {
      // From now on it is left alone, so this picture is another.
      if (error instanceof DetectorFailed) return prepare(context, making).make();
      throw error;
    }
  };
  const again = async (): Promise<Entry> => (await make()).entry;
  return { key, text, makeshift, make };
}

/** What a job has from the operator. */
const meansOf = (
  { limits, models }: Pick<MakingContext, "limits" | "models">,
  detector: Service | undefined,
): Pick<Job, "limits" | "models" | "detector"> => ({
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
    detector,
  }: Making & { readonly key: string; readonly text: string; readonly detector: Service | undefined },
): ReturnType<DerivedCache["produce"]> {
  const { cache, renderers, limits, failures } = context;
  const failure = failures.of(key);
  // Another process may have made it meanwhile.
  if (failure !== undefined && (await cache.get(key)) === undefined) throw failure;
  const { path, originId, info } = source;
  try {
    return await cache.produce(key, async (draft) => {
      const input = from === undefined ? inputOf(source, limits) : await from.input();
      const job: Job = {
        kind,
        plan,
        hints,
        inputs: summaryOf(plan).paths,
        ...(info.customCoordinates === undefined ? {} : { customCoordinates: info.customCoordinates }),
        ...meansOf(context, detector),
      };
      const inputs = [input, ...layers.map((layer) => inputOf(layer, limits))];
      const about = { origin: originId, path, variant: text };
      // A renderer would keep what the detector had no part in, too.
      const own = detector === undefined ? draft && { ...draft, about } : undefined;
      const made = await renderers.render(job, inputs, own);
      context.detector.check(made);
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
  if (kind !== "picture" || !DEAR.includes(kindOf(source.info.contentType, source.path))) return undefined;
  if (keepsPixels(plan.defaults) || optionsOf(plan.steps).some(keepsPixels)) return undefined;
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

const keepsPixels = ({ format, lossless }: StepOptions): boolean =>
  lossless === true || format === "png" || format === "gif" || format === "tiff";

/** Draws with the detector that a key was made for, whether or not it is left alone meanwhile. */
export const rendererWith = (context: MakingContext, detector: Service | undefined): StillRenderer => ({
  async render(job, inputs) {
    const picture = await context.renderers.render({ ...job, ...meansOf(context, detector) }, inputs);
    context.detector.check(picture);
    return picture;
  },
});

class DetectorFailed extends DeliveryError {
  constructor() {
    super("ServiceUnavailable", "The detector gives no answer.", ["Retry-After", "1"]);
  }
}

/**
 * The operator's detector. When it gives no answer it is left alone for a while: pictures are then made as without one,
 * under the key that they have without one, and right as soon as it is back.
 */
export class Detector {
  readonly #service: Service | undefined;
  #leftAt = 0;

  constructor(service: Service | undefined) {
    this.#service = service;
  }

  /** Undefined: the plan has nothing to find, or there is nobody to find it. "away": left alone now. */
  for(plan: Plan): Service | "away" | undefined {
    const service = this.wantedBy(plan);
    return service !== undefined && isRecent(this.#leftAt, AWAY_MS) ? "away" : service;
  }

  /** As `for`, whether or not it is left alone. */
  wantedBy(plan: Plan): Service | undefined {
    return this.#service !== undefined && summaryOf(plan).finds ? this.#service : undefined;
  }

  /** @throws DetectorFailed for a picture for which it gave no answer: not to be kept */
  check({ headers }: Pick<Picture, "headers">): void {
    if (!headers.includes(UNANSWERED[1])) return;
    this.#leftAt = Date.now();
    throw new DetectorFailed();
  }
}
const AWAY_MS = 15_000;

/** Failures that the same source and plan will meet again are remembered for a while, so that a bomb goes off once. */
export class FailureMemory {
  readonly #failures = new Lru<string, { error: DeliveryError; at: number }>({ maxEntries: FAILURES_MAX });

  /** What happened the last time, if that is not long ago. */
  of(key: string): DeliveryError | undefined {
    const { error, at } = this.#failures.get(key) ?? {};
    const ms = error?.code === "LimitExceeded" ? LIMIT_MS : FAILURE_MS;
    return at !== undefined && isRecent(at, ms) ? error : undefined;
  }

  remember(key: string, error: unknown): void {
    if (!(error instanceof DeliveryError) || !LASTING.includes(ERRORS[error.code])) return;
    this.#failures.set(key, { error, at: Date.now() });
  }
}
const FAILURES_MAX = 2000;
const FAILURE_MS = 60_000;
/** Which limits are met may tell of the machine's load: of time, above all. */
const LIMIT_MS = 10_000;
/** Statuses that tell of source and plan and not of the moment. */
const LASTING: readonly number[] = [400, 413, 415, 422];
