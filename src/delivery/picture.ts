/** Originals as they are stored, and pictures that are made of them. */
import type { HttpRequest, HttpResponse } from "../lib/http.ts";
import { early, etagOf, send, type Answer } from "./answers.ts";
import { keyOf } from "./cache/entries.ts";
import { DeliveryError, ofLayer } from "./errors.ts";
import { cacheControlOf, madeHeaders, passing, sourceHeaders, storedHeaders } from "./headers.ts";
import type { ClientHints } from "./image/job.ts";
import { prepare, type Making, type MakingContext } from "./making.ts";
import { acceptedFormats, kindOf, typeOf } from "./mediatypes.ts";
import type { Plan } from "./plan/plan.ts";
import { DPR_RANGE } from "./plan/rowssize.ts";
import { summaryOf } from "./plan/summary.ts";
import type { Reading } from "./reading.ts";
import { openSource, wantedAt, type Source, type SourceContext } from "./source.ts";

/** A source as it is stored. `headers`: flat, beside those of all originals. */
export function originalAnswer(
  request: HttpRequest,
  reading: Reading,
  source: Source,
  headers: readonly string[] = [],
): HttpResponse {
  const { info, path } = source;
  const answer: Answer = {
    validators: { etag: info.etag ?? etagOf(keyOf([source.identity])), lastModified: info.lastModified },
    type: typeOf(info.contentType, path),
    contentEncoding: info.contentEncoding,
    size: info.size,
    cacheControl: cacheControlOf(source, reading),
    headers: [...sourceHeaders(source), ...headers, ...reading.debugHeaders],
    bodyHeaders: storedHeaders(reading, source),
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
  const { paths } = summaryOf(plan);
  const layers = paths.length === 0 ? [] : await openLayers(context, reading, paths);
  const started = performance.now();
  const prospect = prepare(context, { kind, source, plan, layers, hints: variation.hints, from });
  const { key, text, makeshift } = prospect;
  const log = { operation: kind === "facts" ? "GetMetadata" : "GetImage", origin: source.origin, plan: text };
  const foreseen = {
    validators: { etag: etagOf(key) },
    // Of an SVG, a result may be one.
    type: kind === "facts" ? "application/json" : kindOf(source.info.contentType, source.path),
    cacheControl: cacheControlOf(source, makeshift ? passing(reading) : reading),
    headers: [...sourceHeaders(source), ...variation.headers, ...reading.debugHeaders],
    log,
  };
  // The key tells the result, so a client that has it need not wait for the rendering. Who must have it waits: of what
  // can't be made the file itself may be meant.
  const settled = request.headers["if-match"] === undefined ? early(request, foreseen) : undefined;
  if (settled !== undefined) return settled;
  const { entry, hit, read, key: made } = await prospect.make();
  const answer: Answer = {
    validators: made === key ? foreseen.validators : { etag: etagOf(made) },
    type: entry.facts.type,
    size: entry.size,
    cacheControl: made === key ? foreseen.cacheControl : cacheControlOf(source, passing(reading)),
    headers: foreseen.headers,
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
  const says = summaryOf(plan).said;
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
