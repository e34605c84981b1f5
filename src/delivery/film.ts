/** Films: transformed, streamed, and single frames of them. Encoding takes long, so answers may be 202. */
import type { HttpRequest, HttpResponse } from "../lib/http.ts";
import { once } from "../lib/chunks.ts";
import { accepted, early, etagOf, send } from "./answers.ts";
import { lasting, type Entry } from "./cache/cache.ts";
import { keyOf } from "./cache/entries.ts";
import { DeliveryError } from "./errors.ts";
import { cacheControlOf, madeHeaders, passing, sourceHeaders } from "./headers.ts";
import type { Input } from "./image/job.ts";
import { rendererWith, type MakingContext } from "./making.ts";
import { MEDIA_TYPES } from "./mediatypes.ts";
import { openLayers, pictureAnswer } from "./picture.ts";
import type { Plan } from "./plan/plan.ts";
import { pathsOf, videoPathsOf } from "./plan/steps.ts";
import { planText, USUAL } from "./plan/text.ts";
import type { Reading } from "./reading.ts";
import type { Service } from "./service.ts";
import type { Source } from "./source.ts";
import type { Films, VideoRequest } from "./video/video.ts";

export interface FilmContext extends MakingContext {
  readonly video: Films;
}

/** Part of every key, as in making.ts. */
const ENCODING_VERSION = 7;
/** How long a request waits for its film unless it says so (`Prefer: wait=`), and the longest that it may say. */
const WAIT_SECONDS = 20;
const WAIT_SECONDS_MAX = 60;

/** A transformed film, what it is, a playlist or piece of a stream. @throws DeliveryError NotAvailable without ffmpeg */
export async function filmAnswer(
  context: FilmContext,
  request: HttpRequest,
  reading: Reading,
  source: Source,
): Promise<HttpResponse> {
  const film = await filmRequest(context, reading, source);
  // Made without the detector it will soon be another.
  const kept = context.detector.for(film.plan) === "away" ? passing(reading) : reading;
  return film.what === "hls" || film.what === "dash" || film.what === "stream"
    ? streamAnswer(context, request, kept, source, film)
    : encodedAnswer(context, request, kept, source, film);
}

async function filmRequest(context: FilmContext, reading: Reading, source: Source): Promise<VideoRequest> {
  const { asked } = reading;
  const plan = filmPlan(reading);
  const text = planText(plan);
  const paths = [...new Set([...pathsOf(plan), ...videoPathsOf(plan)])];
  const layers = await openLayers(context, reading, paths);
  const what = asked.what === "image" ? "video" : asked.what;
  const { originId: origin, path } = source;
  const found = context.detector.for(plan);
  const present = found === "away" ? undefined : found;
  const keyWith = (detector: Service | undefined): string =>
    keyOf([
      ENCODING_VERSION,
      // All files of a stream are one work, whatever is asked for first.
      what === "hls" || what === "dash" ? "stream" : what,
      source.identity,
      text,
      layers.map(({ identity }) => identity),
      detector !== undefined,
    ]);
  // A stream goes on as it began, whether the detector came or went since.
  const other = present === undefined ? context.detector.wantedBy(plan) : undefined;
  const detector = asked.stream?.id.endsWith(keyWith(other)) === true ? other : present;
  return {
    key: keyWith(detector),
    what: what as VideoRequest["what"],
    plan,
    source: inputOf(source),
    inputs: new Map(layers.map((layer, n) => [paths[n]!, inputOf(layer)])),
    facts: { origin, path, variant: text },
    renderer: rendererWith(context, detector),
  };
}

/** ImageKit's quality of films where the URL names none, which the URL of what looks like a picture can't know. */
const FILM_QUALITY = 50;

function filmPlan({ plan }: Reading): Plan {
  const { steps, defaults } = plan ?? { steps: [], defaults: USUAL };
  const { explicitQuality } = defaults;
  return { steps, defaults: explicitQuality === true ? defaults : { ...defaults, quality: FILM_QUALITY } };
}

function inputOf(source: Source): Input {
  const { size } = source.info;
  if (size === undefined)
    throw new DeliveryError("SourceTooLarge", `The origin doesn't say how large ${source.path} is.`);
  return { size, read: () => source.read(0, size) };
}

/** Seconds that the client waits (RFC 7240), within limits. */
function waitOf({ headers }: HttpRequest): number {
  const asked = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})/i.exec(headers["prefer"] ?? "")?.[1];
  return Math.min(asked === undefined ? WAIT_SECONDS : Number(asked), WAIT_SECONDS_MAX) * 1000;
}

async function encodedAnswer(
  context: FilmContext,
  request: HttpRequest,
  reading: Reading,
  source: Source,
  film: VideoRequest,
): Promise<HttpResponse> {
  const started = performance.now();
  const log = { operation: "GetVideo", origin: source.origin, plan: film.facts.variant };
  const common = {
    validators: { etag: etagOf(film.key) },
    type: film.what === "metadata" ? "application/json" : "video/mp4",
    cacheControl: cacheControlOf(source, reading),
    headers: [...sourceHeaders(source), ...reading.debugHeaders],
    log,
  };
  const settled = early(request, common);
  if (settled !== undefined) return settled;
  const made = await context.video.render(film, waitOf(request));
  if ("pending" in made) return accepted(made.pending, log);
  const { entry, hit } = made;
  const again = async (): Promise<Entry | undefined> => {
    const remade = await context.video.render(film, waitOf(request));
    return "pending" in remade ? undefined : remade.entry;
  };
  return send(request, {
    ...common,
    type: entry.facts.type,
    size: entry.size,
    bodyHeaders: madeHeaders(reading, source, { type: entry.facts.type, hit, started }),
    log: { ...log, cache: hit ? "hit" : "miss" },
    read: (start, end) => entry.data?.subarray(start, end) ?? lasting(entry, again, start, end),
  });
}

/** Signatures are of one URL; the pieces of a stream are opened by its right. */
const SIGNING = /^(ik-[st]|wl-(key|expires|sig))=/;
/** Playlists of a stream that is still being made change from second to second. */
const LIVE = "no-cache";

async function streamAnswer(
  context: FilmContext,
  request: HttpRequest,
  reading: Reading,
  source: Source,
  film: VideoRequest,
): Promise<HttpResponse> {
  const { stream } = reading.asked;
  const file = stream ?? { master: film.what === "dash" ? ("dash" as const) : ("hls" as const) };
  const log = { operation: "GetStream", origin: source.origin, plan: film.facts.variant };
  const query = reading.place.rawQuery
    .split("&")
    .filter((pair) => pair !== "" && !SIGNING.test(pair))
    .join("&");
  const right = reading.right();
  const made = await context.video.stream(film, file, { waitMs: waitOf(request), query, right });
  if ("pending" in made) return accepted(made.pending, log);
  const name = stream?.name ?? film.what;
  const answer = {
    validators: { etag: etagOf(keyOf([film.key, name, made.size, made.live, right])) },
    type: made.type,
    size: made.size,
    // What names the pieces must not outlive them: a film that changes has others.
    cacheControl: made.live ? LIVE : cacheControlOf(source, "master" in file ? passing(reading) : reading),
    headers: sourceHeaders(source),
    bodyHeaders: [],
    log,
    read: (start: number, end: number) => made.read(start, end),
  };
  return early(request, answer) ?? send(request, answer);
}

/** JPEG, as the URL's end says, unless the plan names another format of pictures. */
export function thumbnailPlan(plan: Plan | undefined): Plan {
  const { steps, defaults } = plan ?? { steps: [], defaults: USUAL };
  const { format } = defaults;
  return { steps, defaults: { ...defaults, format: Object.hasOwn(MEDIA_TYPES, format) ? format : "jpeg" } };
}

/** A frame of a film, with everything that can be done to pictures. */
export async function thumbnailAnswer(
  context: FilmContext,
  request: HttpRequest,
  reading: Reading,
  source: Source,
): Promise<HttpResponse> {
  const film = await filmRequest(context, reading, source);
  return pictureAnswer(context, request, {
    kind: "picture",
    reading,
    source,
    plan: thumbnailPlan(reading.plan),
    from: {
      name: `frame ${ENCODING_VERSION}`,
      input: async () => inputFrom(await context.video.frame(film)),
    },
  });
}

const inputFrom = (frame: Buffer): Input => ({ size: frame.length, read: () => once(frame) });
