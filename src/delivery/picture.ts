/** Originals as they are stored, and pictures that are made of them. */
import type { HttpRequest, HttpResponse } from "../lib/http.ts";
import { early, etagOf, MAX_AGE_SECONDS, send, type Answer } from "./answers.ts";
import { keyOf } from "./cache/entries.ts";
import { DeliveryError, ofLayer } from "./errors.ts";
import type { ClientHints } from "./image/job.ts";
import { prepare, type Making, type MakingContext } from "./making.ts";
import { acceptedFormats, kindOf, nameAs, typeOf } from "./mediatypes.ts";
import type { FormatChoice, Plan, Step } from "./plan/plan.ts";
import { DPR_RANGE } from "./plan/rowssize.ts";
import { pathsOf } from "./plan/text.ts";
import type { Reading } from "./reading.ts";
import { openSource, wantedAt, type Source, type SourceContext } from "./source.ts";

/** A source as it is stored. `headers`: flat, beside those of all originals. */
export function originalAnswer(
  request: HttpRequest,
  reading: Reading,
  source: Source,
  headers: readonly string[] = [],
): HttpResponse {
  const { asked, debugHeaders } = reading;
  const { info, path } = source;
  const { contentEncoding, contentLanguage } = info;
  const bodyHeaders = [
    ...(source.found === undefined ? [] : cacheHeaders(source.found.hit, [originTiming(source.found.ms)])),
    ...(contentLanguage === undefined ? [] : ["Content-Language", contentLanguage]),
    ...(asked.attachment ? saving(nameIn(path)) : stored(info.contentDisposition)),
  ];
  const answer: Answer = {
    validators: { etag: info.etag ?? etagOf(keyOf([source.identity])), lastModified: info.lastModified },
    type: typeOf(info.contentType, path),
    contentEncoding,
    size: info.size,
    cacheControl: cacheControlOf(source, reading),
    headers: [...sourceHeaders(source), ...headers, ...debugHeaders],
    bodyHeaders,
    log: { operation: "GetFile", origin: source.origin },
    read: (start, end) => source.read(start, end),
  };
  return early(request, answer) ?? send(request, answer);
}

export interface PictureWish extends Pick<Making, "kind" | "source" | "plan" | "from"> {
  readonly reading: Reading;
}

/** What the plan makes of the source: from the cache, or rendered now, once for all who ask at the same time. */
export async function pictureAnswer(
  context: MakingContext,
  request: HttpRequest,
  { reading, source, plan, kind, from }: PictureWish,
): Promise<HttpResponse> {
  const { rules } = reading.place;
  const variation = variationOf(request.headers, plan, rules.formats);
  const layers = await openLayers(context, reading, pathsOf(plan));
  const started = performance.now();
  const prospect = prepare(context, { kind, source, plan, layers, hints: variation.hints, from });
  const { key, text, makeshift } = prospect;
  const log = { operation: kind === "facts" ? "GetMetadata" : "GetImage", origin: source.origin, plan: text };
  const common = {
    validators: { etag: etagOf(key) },
    // Of an SVG, a result may be one.
    type: kind === "facts" ? "application/json" : kindOf(source.info.contentType, source.path),
    cacheControl: cacheControlOf(source, makeshift ? passing(reading) : reading),
    headers: [...sourceHeaders(source), ...variation.headers, ...reading.debugHeaders],
    log,
  };
  // The key tells the result, so a client that has it need not wait for the rendering. Who must have it waits: of what
  // can't be made the file itself may be meant.
  const settled = request.headers["if-match"] === undefined ? early(request, common) : undefined;
  if (settled !== undefined) return settled;
  const { entry, hit, read, key: made } = await prospect.make();
  const answer: Answer = {
    ...common,
    cacheControl: made === key ? common.cacheControl : cacheControlOf(source, passing(reading)),
    validators: { ...common.validators, etag: etagOf(made) },
    type: entry.facts.type,
    size: entry.size,
    bodyHeaders: [
      ...madeHeaders(reading, source, { type: entry.facts.type, hit, started, layers }),
      ...entry.facts.headers,
      ...densityOf(variation, entry.facts.width),
    ],
    log: { ...log, cache: hit ? "hit" : "miss" },
    read: (start, end) => entry.data?.subarray(start, end) ?? read(start, end),
  };
  return early(request, answer) ?? send(request, answer);
}

/** What the plan lays over the source: private files only for whom they may be. Errors name the layer. */
export const openLayers = (
  context: SourceContext,
  reading: Reading,
  paths: readonly string[],
): Promise<Source[]> =>
  Promise.all(
    paths.map(async (path) => {
      try {
        const source = await openSource(context, reading.place, wantedAt(path));
        checkPrivate(source, reading);
        return source;
      } catch (error) {
        throw ofLayer(path, error);
      }
    }),
  );

/** @throws DeliveryError SignatureRequired */
export function checkPrivate({ info }: Source, { permitted }: Reading): void {
  if (!info.private || permitted) return;
  throw new DeliveryError("SignatureRequired", "The file is private: only signed URLs may have it.");
}

/** What the browser says of the width, rounded up, so that not every window makes a picture of its own. */
const WIDTH_STEP = 100;
/** The most pixels that a window is believed to be wide. Stops headers from making pictures that are refused. */
const WIDTH_MAX = 5000;

interface Variation {
  readonly hints: ClientHints;
  /** Say what the result depends on. */
  readonly headers: readonly string[];
  /** Width in the page's layout, of a picture that is made for it. */
  readonly layoutWidth: number | undefined;
}

/** What of the client the result depends on. */
function variationOf(
  headers: HttpRequest["headers"],
  plan: Plan,
  formats: readonly string[] | undefined,
): Variation {
  const says = optionsSaid(plan.steps, [plan.defaults.format]);
  const vary: string[] = [];
  let hints: ClientHints = { accepts: [] };
  for (const format of says.formats) {
    if (formats === undefined || format === "auto" || format === "source" || formats.includes(format))
      continue;
    throw new DeliveryError("InvalidParameter", `f can't be ${format} here. Allowed: ${formats.join(", ")}.`);
  }
  if (says.formats.includes("auto")) {
    vary.push("Accept");
    const accepts = acceptedFormats(headers["accept"]);
    hints = { accepts: accepts.filter((one) => formats?.includes(one) ?? true) };
  }
  const dpr = numberOf(headers["sec-ch-dpr"] ?? headers["dpr"]);
  let layoutWidth: number | undefined;
  if (says.width === "auto" || says.height === "auto") {
    vary.push("Sec-CH-Width", "Width");
    const width = numberOf(headers["sec-ch-width"] ?? headers["width"]);
    if (width !== undefined) {
      hints = { ...hints, width: Math.min(WIDTH_MAX, Math.ceil(width / WIDTH_STEP) * WIDTH_STEP) };
      layoutWidth = width / (dpr ?? 1);
    }
  }
  if (says.dpr === "auto" || says.width === "auto" || says.height === "auto") {
    vary.push("Sec-CH-DPR", "DPR");
    if (says.dpr === "auto" && dpr !== undefined) {
      const [min, max] = DPR_RANGE;
      hints = { ...hints, dpr: Math.max(min, Math.min(max, dpr)) };
    }
    // Whose URL leaves the size to the browser and names no quality leaves that too.
    if (plan.defaults.explicitQuality !== true) {
      vary.push("Save-Data");
      if (/^\s*on\b/i.test(headers["save-data"] ?? "")) hints = { ...hints, saveData: true };
    }
  }
  return { hints, headers: vary.length === 0 ? [] : ["Vary", vary.join(", ")], layoutWidth };
}

/** What a hint says, to the hundredth. */
function numberOf(text: string | undefined): number | undefined {
  const number =
    text !== undefined && /^\d{1,5}(\.\d+)?$/.test(text) ? Math.round(Number(text) * 100) / 100 : 0;
  return number > 0 ? number : undefined;
}

/** ImageKit's answer to client hints: how many pixels of the picture lie on one of the layout. */
const densityOf = ({ layoutWidth }: Variation, width: number): string[] =>
  layoutWidth === undefined ? [] : ["Content-DPR", String(Number((width / layoutWidth).toFixed(2)))];

/**
 * What the steps leave to the client, and the formats that the result may have: the last word of all, or any of a
 * condition's branches behind it. `before`: the formats that it may have without these steps.
 */
function optionsSaid(
  steps: readonly Step[],
  before: readonly FormatChoice[],
): {
  formats: readonly FormatChoice[];
  width?: unknown;
  height?: unknown;
  dpr?: unknown;
} {
  let said: ReturnType<typeof optionsSaid> = { formats: before };
  for (const step of steps) {
    if ("when" in step) {
      const then = optionsSaid(step.then, said.formats);
      const otherwise = optionsSaid(step.otherwise, said.formats);
      const formats = [...new Set([...then.formats, ...otherwise.formats])];
      said = { ...said, ...then, ...otherwise, formats };
    } else {
      const { format, width, height, dpr } = step.options;
      said = {
        ...said,
        ...(format === undefined ? {} : { formats: [format] }),
        ...(width === "auto" ? { width } : {}),
        ...(height === "auto" ? { height } : {}),
        ...(dpr === "auto" ? { dpr } : {}),
      };
    }
  }
  return said;
}

/** Headers that tell of the source rather than of the answer. */
export function sourceHeaders(source: Source): string[] {
  const { link, stale, standsIn } = source;
  const age = ageOf(source);
  return [
    ...(link === undefined ? [] : ["Link", link]),
    ...(age === undefined ? [] : ["Age", String(age)]),
    ...(stale ? ["Warning", '110 - "Response is Stale"'] : []),
    ...(standsIn === undefined ? [] : ["x-windlass-default-image", "true"]),
  ];
}

/** Seconds since the origin said so; undefined for own buckets, whose word is always new. */
const ageOf = ({ checkedAt }: Source): number | undefined =>
  checkedAt === undefined ? undefined : Math.max(0, Math.floor((Date.now() - checkedAt) / 1000));

/** How long a picture may be kept in place of another one, which may come at any moment. */
const PASSING_SECONDS = 5;

/** For what is as good as it can be just now. */
export const passing = (reading: Reading, now = Date.now()): Reading => ({
  ...reading,
  until: Math.min(reading.until, now + PASSING_SECONDS * 1000),
});

/** What the file or the endpoint says; but nobody keeps what a URL gives for longer than the URL is good. */
export function cacheControlOf(source: Source, reading: Reading): string {
  const { info, standsIn } = source;
  const now = Date.now();
  const {
    place: { rules },
    until,
  } = standsIn === undefined ? reading : passing(reading, now);
  const seconds = rules.cacheSeconds;
  const said =
    seconds === undefined
      ? (info.cacheControl ?? `public, max-age=${MAX_AGE_SECONDS}`)
      : `public, max-age=${seconds}`;
  // Caches count from the age that we tell.
  return until === Infinity ? said : ending(said, Math.floor((until - now) / 1000), ageOf(source) ?? 0);
}

/** Cache-Control (RFC 9111, section 5.2; RFC 5861) with no more than these seconds from now on. */
function ending(said: string, seconds: number, age: number): string {
  const rest = said
    .split(",")
    .filter((one) => !/^\s*(s-maxage|max-age|immutable|stale-[a-z-]+)\b/i.test(one));
  const ages = Array.from(said.matchAll(/max-?age\s*=\s*"?(\d{1,9})/gi), ([, one]) => Number(one));
  return [...rest.map((one) => one.trim()), `max-age=${Math.max(0, Math.min(seconds + age, ...ages))}`].join(
    ", ",
  );
}

const cacheHeaders = (hit: boolean, timings: readonly string[]): string[] => [
  "X-Cache",
  hit ? "HIT" : "MISS",
  "Server-Timing",
  timings.join(", "),
];
const originTiming = (ms: number): string => `origin;dur=${ms.toFixed(1)}`;

interface Manner {
  readonly type: string;
  readonly hit: boolean;
  /** When all sources were open, by `performance.now()`. */
  readonly started: number;
  /** Opened at the same time as each other. */
  readonly layers?: readonly Source[];
}

/** Headers that come with what was made of a source, or kept. */
export function madeHeaders(
  { asked }: Reading,
  { path, found }: Source,
  { type, hit, started, layers = [] }: Manner,
): string[] {
  const milliseconds = (performance.now() - started).toFixed(1);
  const times = layers.flatMap((layer) => layer.found?.ms ?? []);
  const foreign = found !== undefined || times.length > 0;
  const timings = [
    ...(foreign ? [originTiming((found?.ms ?? 0) + Math.max(0, ...times))] : []),
    hit ? `cache;desc=hit;dur=${milliseconds}` : `render;dur=${milliseconds}`,
  ];
  return [...cacheHeaders(hit, timings), ...(asked.attachment ? saving(nameAs(type, nameIn(path))) : [])];
}

const nameIn = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

const stored = (disposition: string | undefined): string[] =>
  disposition === undefined ? [] : ["Content-Disposition", disposition];

function saving(name: string): string[] {
  const ascii = name.replace(/[^\x20-\x7e]|["\\]/g, "_");
  return [
    "Content-Disposition",
    `attachment; filename="${ascii}"; filename*=UTF-8''${encodeURIComponent(name)}`,
  ];
}
