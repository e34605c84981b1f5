/** Delivery: files, pictures and films by URL. `answer` states the road of a request; read it first. */
import { join } from "node:path";
import { collect } from "../lib/chunks.ts";
import type { FailureContext, HttpFailure, HttpHandler, HttpRequest, HttpResponse } from "../lib/http.ts";
import type { Logger } from "../lib/log.ts";
import type { ObjectStore } from "../store/store.ts";
import { asDeliveryError, failure, loopFailure, now, preflight } from "./answers.ts";
import { DerivedCache } from "./cache/cache.ts";
import { Epochs } from "./cache/purge.ts";
import { DeliveryError, type DeliveryErrorCode } from "./errors.ts";
import { filmAnswer, thumbnailAnswer, thumbnailPlan, type FilmContext } from "./film.ts";
import { Findings } from "./findings.ts";
import { ForeignFiles, SourceChanged } from "./foreign.ts";
import { passing } from "./headers.ts";
import { Renderers, type RenderCounts } from "./image/image.ts";
import { DEFAULT_LIMITS, type DeliveryLimits } from "./limits.ts";
import { Detector, FailureMemory } from "./making.ts";
import { isFilm, kindOf, typeOf } from "./mediatypes.ts";
import { OriginHealth, type OriginCounts } from "./origins/health.ts";
import { OriginClients } from "./origins/origins.ts";
import { checkPrivate, originalAnswer, pictureAnswer } from "./picture.ts";
import type { Plan } from "./plan/plan.ts";
import { planText } from "./plan/text.ts";
import type { PromptService } from "./plan/promptmodel.ts";
import { Prompts } from "./plan/promptstore.ts";
import { readRequest, type Reading, type ReadingContext } from "./reading.ts";
import type { Service } from "./service.ts";
import { defaultPlace } from "./site.ts";
import { isMissing, openSource, wantedAt, type Source } from "./source.ts";
import type { JobCounts } from "./video/jobs.ts";
import { beginsAsFilm, filmTypeOf, HEAD_BYTES } from "./video/probe.ts";
import { Films } from "./video/video.ts";

export interface DeliveryOptions {
  readonly store: ObjectStore;
  /** Folder of the derived cache, made when needed; processes may share it. */
  readonly cacheDir: string;
  readonly log: Logger;
  readonly limits?: Partial<DeliveryLimits> | undefined;
  /** Work of trained models, detection of faces and objects, prompts that the rules don't understand. */
  readonly services?: Services | undefined;
  /** Paths of the programs; found in PATH when left out. */
  readonly ffmpeg?: string | undefined;
  readonly ffprobe?: string | undefined;
}
export interface Services {
  readonly models?: Service | undefined;
  readonly detector?: Service | undefined;
  readonly prompts?: PromptService | undefined;
}

/** Of this process. */
export interface DeliveryCounts {
  readonly renders: RenderCounts;
  readonly cache: DerivedCache["counts"];
  readonly films: JobCounts;
  readonly origins: readonly OriginCounts[];
}

export interface Delivery {
  readonly handle: HttpHandler;
  readonly onFailure: (failure: HttpFailure, context: FailureContext) => HttpResponse;
  /** Process ids of the renderers that run now. */
  rendererPids(): number[];
  /** From now on this process makes that many pictures at the same time, one or more; what is at work goes on. */
  share(picturesAtOnce: number): void;
  counts(): DeliveryCounts;
  /** Ends renderers and encoders. Listeners are closed before. */
  close(): Promise<void>;
}

export function createDelivery(options: DeliveryOptions): Delivery {
  const { store, log, services = {} } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const { cacheBytes: maxBytes, memoryBytes } = limits;
  const cache = new DerivedCache({ folder: options.cacheDir, maxBytes, memoryBytes, log });
  const renderers = new Renderers(limits, log);
  const health = new OriginHealth(log);
  const clients = new OriginClients(health);
  const video = new Films({
    cache,
    folder: join(options.cacheDir, "video"),
    log,
    ffmpeg: options.ffmpeg,
    ffprobe: options.ffprobe,
    limits: { streamBytes: limits.cacheBytes },
  });
  const context: Context = {
    store,
    clients,
    foreign: new ForeignFiles(cache, log),
    epochs: new Epochs(store, [cache, video]),
    limits,
    renderers,
    cache,
    video,
    models: services.models,
    detector: new Detector(services.detector),
    prompts: new Prompts(store, services.prompts),
    findings: new Findings(),
    failures: new FailureMemory(),
  };
  return {
    async handle(request) {
      const trail: Trail = {};
      const failed = (error: unknown): HttpResponse =>
        failure(asDeliveryError(error), request.id, { about: aboutOf(trail) });
      const attempt = async (onError: NonNullable<HttpResponse["failed"]>): Promise<HttpResponse> => {
        try {
          const response = await answer(context, request, trail);
          response.failed = onError;
          return response;
        } catch (error) {
          return onError(error);
        }
      };
      // The client has heard nothing yet.
      return attempt((error) => (error instanceof SourceChanged ? attempt(failed) : failed(error)));
    },
    onFailure: (reason, { id }) => loopFailure(reason, id),
    rendererPids: () => renderers.pids,
    share: (picturesAtOnce) => void (renderers.atOnce = picturesAtOnce),
    counts: () => ({
      renders: renderers.counts,
      cache: cache.counts,
      films: video.counts,
      origins: health.counts(),
    }),
    async close() {
      clients.close();
      await Promise.all([renderers.close(), video.close()]);
    },
  };
}

type Context = FilmContext & ReadingContext;

const JOBS = "/-/jobs/";

/** Of what is known so far of a request, what the log says when it fails. */
const aboutOf = ({ reading, source }: Trail): object => ({
  ...(source === undefined ? {} : { origin: source.origin }),
  ...(reading?.plan === undefined ? {} : { plan: planText(reading.plan) }),
});

/** URL → place → what is asked for → the file → the file itself, or what is made of it. `trail`: how far it came. */
async function answer(context: Context, request: HttpRequest, trail: Trail): Promise<HttpResponse> {
  const { method, path, rawQuery, headers } = request;
  if (method === "OPTIONS") return preflight();
  if (method !== "GET" && method !== "HEAD") {
    throw new DeliveryError("MethodNotAllowed", "Files are read with GET and HEAD.", [
      "Allow",
      "GET, HEAD, OPTIONS",
    ]);
  }
  const epoch = await context.store.refresh();
  await context.epochs.refresh();
  if (path.startsWith(JOBS)) return jobStatus(context, path.slice(JOBS.length));
  const address = { host: headers["host"], path, rawQuery, loop: headers["cdn-loop"] };
  const reading = await readRequest(context, address, epoch);
  trail.reading = reading;
  const found = await find(context, reading);
  trail.source = found.source;
  checkPrivate(found.source, reading);
  return dispatch(context, request, found);
}

interface Found {
  readonly source: Source;
  readonly reading: Reading;
}
type Trail = { -readonly [Name in keyof Found]?: Found[Name] };

/** The file, or the picture that stands in for one that no origin has. */
async function find(context: Context, reading: Reading): Promise<Found> {
  const { place, asked, plan } = reading;
  try {
    return { source: await openSource(context, place, asked), reading };
  } catch (error) {
    const instead = defaultImageOf(plan) ?? place.rules.defaultImage;
    if (!isMissing(error) || instead === undefined) throw error;
    const picture = asked.what === "image" || asked.what === "thumbnail";
    if (!picture || instead === asked.path) throw error;
    return { source: { ...(await openDefaultImage(context, reading, instead)), standsIn: true }, reading };
  }
}

/** The URL's own endpoint has it, or the account's default one, if that gives it to such requests. */
async function openDefaultImage(
  context: Context,
  { place, permitted }: Reading,
  path: string,
): Promise<Source> {
  const wanted = wantedAt(path);
  try {
    return await openSource(context, place, wanted);
  } catch (error) {
    const elsewhere = await defaultPlace(context.store, place);
    const { signedOnly, namedOnly, privateFiles } = elsewhere.rules;
    const open = permitted || !(signedOnly || namedOnly || privateFiles);
    if (!isMissing(error) || !open) throw error;
    return openSource(context, elsewhere, wanted);
  }
}

const defaultImageOf = (plan: Plan | undefined): string | undefined =>
  plan?.steps.flatMap((step) => ("options" in step ? (step.options.defaultImage ?? []) : [])).at(-1);

const isOriginal = (plan: Plan | undefined): boolean =>
  plan?.steps.some((step) => "options" in step && step.options.original === true) === true;

/** What the URL asks for, of a file of that kind. */
async function dispatch(
  context: Context,
  request: HttpRequest,
  { reading, source }: Found,
): Promise<HttpResponse> {
  const { asked, plan } = reading;
  const type = kindOf(source.info.contentType, source.path);
  switch (asked.what) {
    case "file":
      return originalAnswer(request, reading, source);
    case "metadata":
      if (await isAskedAsFilm(reading, source)) return filmAnswer(context, request, reading, source);
      return pictureAnswer(context, request, { kind: "facts", reading, source, plan: FACTS });
    case "thumbnail":
      if (await isAskedAsFilm(reading, source)) return thumbnailAnswer(context, request, reading, source);
      return pictureAnswer(context, request, { kind: "picture", reading, source, plan: thumbnailPlan(plan) });
    case "hls":
    case "dash":
    case "stream":
    case "gif-video":
      return filmAnswer(context, request, reading, source);
    case "image":
    case "video":
      break;
  }
  const film = await isAskedAsFilm(reading, source);
  if (isOriginal(plan) || (film && plan === undefined)) {
    return originalAnswer(request, reading, asked.what === "video" ? await typedAsFilm(source) : source);
  }
  if (film) return filmAnswer(context, request, reading, source);
  if (plan === undefined) return plain(context, request, { reading, source }, type);
  return pictureAnswer(context, request, { kind: "picture", reading, source, plan });
}

/**
 * By its type and its name; where these say nothing, by how it begins. Films without extensions are called such in the
 * URL.
 */
async function isAskedAsFilm(
  { asked: { what }, place: { grammar } }: Reading,
  source: Source,
): Promise<boolean> {
  if (what === "video" && grammar === "imagekit") return true;
  const known = isFilm(source.info.contentType, source.path);
  if (typeof known === "boolean") return known;
  // Whoever asks for a picture of a file of no kind gets it without another look at the file.
  if (known === undefined && what === "image") return false;
  return beginsAsFilm(await headOf(source));
}

/** Whoever asks for a film gets what browsers play as one. */
async function typedAsFilm(source: Source): Promise<Source> {
  const { info, path } = source;
  if (/^(video|image|audio)\//i.test(typeOf(info.contentType, path))) return source;
  const contentType = filmTypeOf(await headOf(source));
  return contentType === undefined ? source : { ...source, info: { ...info, contentType } };
}

const headOf = (source: Source): Promise<Buffer> =>
  collect(source.read(0, Math.min(source.info.size ?? 0, HEAD_BYTES)));

/** What a picture is, is the same for all clients. */
const FACTS: Plan = { steps: [], defaults: { quality: 80, format: "source" } };
/** A plan that only chooses the format. */
const NOTHING: Plan = { steps: [], defaults: { quality: 80, format: "auto" } };

/**
 * Without a transformation: what `f-auto` makes of a picture, for every client, so that none learns where it was taken;
 * alias URLs have it only where they ask.
 */
async function plain(
  context: Context,
  request: HttpRequest,
  { reading, source }: Found,
  type: string,
): Promise<HttpResponse> {
  const pixels = type.startsWith("image/") && !FILES.includes(type);
  if (reading.place.grammar !== "imagekit" || !pixels) return originalAnswer(request, reading, source);
  try {
    return await pictureAnswer(context, request, { kind: "picture", reading, source, plan: NOTHING });
  } catch (error) {
    const original = (kept: Reading): HttpResponse =>
      originalAnswer(request, kept, source, ["Vary", "Accept"]);
    // What can't be improved is still a file.
    const code = error instanceof DeliveryError ? error.code : undefined;
    if (code !== undefined && HOPELESS.includes(code)) return original(reading);
    if (code !== undefined && BUSY.includes(code)) return original(passing(reading));
    throw error;
  }
}

/** Drawings, and what is to be worked on. */
const FILES: readonly string[] = ["image/svg+xml", "image/vnd.adobe.photoshop"];

const HOPELESS: readonly DeliveryErrorCode[] = [
  "SourceTooLarge",
  "UnsupportedSource",
  "DamagedSource",
  "LimitExceeded",
];
/** Of this moment: the next request may get better. */
const BUSY: readonly DeliveryErrorCode[] = ["TooManyRenders", "RendererFailed", "ServiceUnavailable"];

async function jobStatus({ video }: Context, id: string): Promise<HttpResponse> {
  const status = await video.status(id);
  if (status === undefined) throw new DeliveryError("NotFound", "There is no such job.");
  return now(status);
}
