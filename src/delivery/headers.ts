/** Headers that tell of a file and of what was made of it: how long it may be kept, where it is from, what it is called. */
import { nameAs } from "./mediatypes.ts";
import type { Reading } from "./reading.ts";
import type { Source } from "./source.ts";

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

/** How long clients and CDNs may keep what has no Cache-Control of its own. */
const MAX_AGE_SECONDS = 86_400;
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

/** Headers that come with a file as it is stored. */
export function storedHeaders({ asked }: Reading, { info, path, found }: Source): string[] {
  const { contentLanguage, contentDisposition } = info;
  return [
    ...(found === undefined ? [] : cacheHeaders(found.hit, [originTiming(found.ms)])),
    ...(contentLanguage === undefined ? [] : ["Content-Language", contentLanguage]),
    ...(asked.attachment ? saving(nameIn(path)) : stored(contentDisposition)),
  ];
}

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
  // RFC 8187, section 3.2.1, allows less than URLs do.
  const extended = encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return ["Content-Disposition", `attachment; filename="${ascii}"; filename*=UTF-8''${extended}`];
}
