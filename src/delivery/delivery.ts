/** Delivery: files and pictures by URL. `answer` states the road of a request; read it first. */
import { createHash } from "node:crypto";
import type { FailureContext, HttpFailure, HttpHandler, HttpRequest, HttpResponse } from "../lib/http.ts";
import type { Logger } from "../lib/log.ts";
import { SingleFlight } from "../lib/singleflight.ts";
import { StoreError } from "../store/errors.ts";
import type { ObjectStore } from "../store/store.ts";
import type { ObjectVersion } from "../store/types.ts";
import { DerivedCache } from "./cache.ts";
import { judge, rangeOf, type Validators } from "./conditional.ts";
import { DeliveryError, ERRORS, type DeliveryErrorCode } from "./errors.ts";
import type { Picture } from "./image.ts";
import { DEFAULT_LIMITS, type DeliveryLimits } from "./limits.ts";
import { acceptedFormats, MEDIA_TYPES, typeOf } from "./mediatypes.ts";
import { Renderers } from "./renderer.ts";
import { locate, openSource, readSource, type Source } from "./source.ts";
import { planText, type Format, type Plan } from "./transforms.ts";
import { parseUrl } from "./url.ts";

export interface DeliveryOptions {
  readonly store: ObjectStore;
  /** Folder of the derived cache, made when needed; processes may share it. */
  readonly cacheDir: string;
  readonly log: Logger;
  readonly limits?: Partial<DeliveryLimits> | undefined;
}

export interface Delivery {
  readonly handle: HttpHandler;
  readonly onFailure: (failure: HttpFailure, context: FailureContext) => HttpResponse;
  /** Process ids of the renderers that run now. */
  rendererPids(): number[];
  /** Ends the renderers. Listeners are closed before. */
  close(): Promise<void>;
}

/** Part of every key: to be raised when the same plan makes other pictures, so that old results are not taken for new. */
const RENDERING_VERSION = 1;
/** How long clients and CDNs may keep what has no Cache-Control of its own. */
const MAX_AGE_SECONDS = 86_400;

/**
 * On everything that is served: whatever a stored file holds, it runs no script and knows no origin. Pictures and films
 * that are opened by themselves still show.
 */
const SAFETY: readonly string[] = [
  "Content-Security-Policy",
  "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'; sandbox",
  "X-Content-Type-Options",
  "nosniff",
];
/** Pictures are made to stand in other sites' pages; what is served here is public and takes no cookies. */
const SHARING: readonly string[] = [
  "Access-Control-Allow-Origin",
  "*",
  "Access-Control-Expose-Headers",
  "*",
  "Cross-Origin-Resource-Policy",
  "cross-origin",
  "Timing-Allow-Origin",
  "*",
];

export function createDelivery(options: DeliveryOptions): Delivery {
  const { store, log } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const renderers = new Renderers(limits, log);
  const { cacheBytes: maxBytes, memoryBytes } = limits;
  const cache = new DerivedCache({ folder: options.cacheDir, maxBytes, memoryBytes, log });
  const context: Context = { store, limits, renderers, cache, flights: new SingleFlight() };
  return {
    async handle(request) {
      try {
        return await answer(context, request);
      } catch (error) {
        return failure(asDeliveryError(error), request.id);
      }
    },
    onFailure: (reason, { id }) =>
      failure(new DeliveryError(...LOOP_FAILURES[reason]), id, LOOP_STATUS[reason]),
    rendererPids: () => renderers.pids,
    close: () => renderers.close(),
  };
}

interface Context {
  readonly store: ObjectStore;
  readonly limits: DeliveryLimits;
  readonly renderers: Renderers;
  readonly cache: DerivedCache;
  readonly flights: SingleFlight<{ picture: Picture; hit: boolean }>;
}

/** URL → origins → object → the object itself, or a picture made of it. */
async function answer(context: Context, request: HttpRequest): Promise<HttpResponse> {
  const { method, path, rawQuery } = request;
  if (method === "OPTIONS") return preflight();
  if (method !== "GET" && method !== "HEAD") {
    throw new DeliveryError("MethodNotAllowed", "Files are read with GET and HEAD.", [
      "Allow",
      "GET, HEAD, OPTIONS",
    ]);
  }
  const url = parseUrl(path, rawQuery);
  await context.store.refresh();
  const target = await locate(context.store, url);
  const source = await openSource(context.store, target);
  if (target.plan === undefined) return original(context, request, source);
  return transformed(context, request, source, target.plan);
}

/** Any site may show and read what is public. */
const preflight = (): HttpResponse => ({
  status: 204,
  headers: [
    ...SHARING,
    "Access-Control-Allow-Methods",
    "GET, HEAD",
    "Access-Control-Allow-Headers",
    "*",
    "Access-Control-Max-Age",
    "86400",
  ],
  log: { operation: "Preflight" },
});

/** Headers that a file and a 304 about it have in common. */
function validating({ meta, lastModified }: ObjectVersion, { etag }: Validators): string[] {
  return [
    "ETag",
    `"${etag}"`,
    "Last-Modified",
    new Date(lastModified).toUTCString(),
    "Cache-Control",
    meta.cacheControl ?? `public, max-age=${MAX_AGE_SECONDS}`,
    ...SAFETY,
    ...SHARING,
  ];
}

/** The object as it was stored. */
function original({ store }: Context, request: HttpRequest, source: Source): HttpResponse {
  const { version, origin, body } = source;
  const { meta } = version;
  const validators = { etag: version.etag, lastModified: version.lastModified };
  const log = { operation: "GetFile", origin };
  const headers = validating(version, validators);
  const early = conditional(request, validators, headers, log);
  if (early !== undefined) return early;
  headers.push("Accept-Ranges", "bytes", "Content-Type", typeOf(meta.contentType, version.key));
  if (meta.contentEncoding !== undefined) headers.push("Content-Encoding", meta.contentEncoding);
  if (meta.contentLanguage !== undefined) headers.push("Content-Language", meta.contentLanguage);
  if (meta.contentDisposition !== undefined) headers.push("Content-Disposition", meta.contentDisposition);
  const { start, end, status } = spanOf(request, version.size, validators, headers);
  headers.push("Content-Length", String(end - start));
  const read = (): HttpResponse["body"] =>
    body?.subarray(start, end) ?? readSource(store, source, start, end);
  return { status, headers, body: request.method === "HEAD" ? undefined : read(), log };
}

/** What the plan makes of the object: from the cache, or rendered now, once for all who ask at the same time. */
async function transformed(
  context: Context,
  request: HttpRequest,
  source: Source,
  plan: Plan,
): Promise<HttpResponse> {
  const { version } = source;
  const accepts = plan.format === "auto" ? acceptedFormats(request.headers["accept"]) : [];
  const key = keyOf(version, plan, accepts);
  // The key tells the result, so a client that has it need not wait for the rendering.
  const validators = { etag: key.slice(0, 32), lastModified: version.lastModified };
  const log = { operation: "GetImage", origin: source.origin, plan: planText(plan) };
  const headers = validating(version, validators);
  if (plan.format === "auto") headers.push("Vary", "Accept");
  const early = conditional(request, validators, headers, log);
  if (early !== undefined) return early;
  const { picture, hit } = await context.flights.run(key, () =>
    produce(context, { key, source, plan, accepts }),
  );
  headers.push(
    "Accept-Ranges",
    "bytes",
    "Content-Type",
    MEDIA_TYPES[picture.format],
    "X-Cache",
    hit ? "HIT" : "MISS",
  );
  const { start, end, status } = spanOf(request, picture.data.length, validators, headers);
  return {
    status,
    headers,
    body: picture.data.subarray(start, end),
    log: { ...log, cache: hit ? "hit" : "miss" },
  };
}

/** Names the source's version, what is done to it, and what the client accepts: all that a result depends on. */
function keyOf(
  { bucketId, key, versionId, etag, size, lastModified }: ObjectVersion,
  plan: Plan,
  accepts: readonly Format[],
): string {
  const parts = [
    RENDERING_VERSION,
    bucketId,
    key,
    versionId,
    etag,
    size,
    lastModified,
    planText(plan),
    accepts,
  ];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

interface Production {
  readonly key: string;
  readonly source: Source;
  readonly plan: Plan;
  readonly accepts: readonly Format[];
}

async function produce(
  context: Context,
  { key, source, plan, accepts }: Production,
): Promise<{ picture: Picture; hit: boolean }> {
  const { store, limits, cache, renderers } = context;
  const cached = await cache.get(key);
  if (cached !== undefined) return { picture: cached, hit: true };
  const { size } = source.version;
  if (size > limits.sourceBytes) {
    throw new DeliveryError(
      "SourceTooLarge",
      `The source has ${size} bytes; the limit for pictures is ${limits.sourceBytes}.`,
    );
  }
  const { sourcePixels, resultPixels, resultSide, resultBytes } = limits;
  const job = { plan, accepts, limits: { sourcePixels, resultPixels, resultSide, resultBytes } };
  const picture = await renderers.render(job, () => readSource(store, source, 0, size));
  await cache.put(key, picture);
  return { picture, hit: false };
}

/** The answer to a request that its conditions already settle. @throws DeliveryError PreconditionFailed */
function conditional(
  request: HttpRequest,
  validators: Validators,
  headers: readonly string[],
  log: Record<string, unknown>,
): HttpResponse | undefined {
  const verdict = judge(request.headers, validators);
  if (verdict === "failed")
    throw new DeliveryError("PreconditionFailed", "The file is another version than the request names.");
  return verdict === "notModified" ? { status: 304, headers: [...headers], log } : undefined;
}

/** Which bytes are sent; adds Content-Range to `headers` where it is not all. @throws DeliveryError InvalidRange */
function spanOf(
  { headers: asked }: HttpRequest,
  size: number,
  validators: Validators,
  headers: string[],
): { start: number; end: number; status: number } {
  const span = rangeOf(asked, size, validators);
  if (span === "unsatisfiable") {
    throw new DeliveryError("InvalidRange", `The file has ${size} bytes.`, [
      "Content-Range",
      `bytes */${size}`,
    ]);
  }
  if (span === undefined) return { start: 0, end: size, status: 200 };
  headers.push("Content-Range", `bytes ${span.start}-${span.end - 1}/${size}`);
  return { ...span, status: 206 };
}

/** @throws what is neither a DeliveryError nor the store's refusal: the loop logs it */
function asDeliveryError(error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error;
  if (error instanceof StoreError && (error.code === "SlowDown" || error.code === "ServiceUnavailable")) {
    return new DeliveryError("ServiceUnavailable", "The store is busy.", ["Retry-After", "1"]);
  }
  throw error;
}

const LOOP_FAILURES: Readonly<Record<HttpFailure, [DeliveryErrorCode, string]>> = {
  BadRequest: ["InvalidPath", "This is not HTTP."],
  HeadersTooLarge: ["InvalidParameter", "The headers are too large."],
  TargetTooLong: ["InvalidPath", "The URL is too long."],
  ExpectationFailed: ["InvalidParameter", "This Expect header can't be met."],
  RequestTimeout: ["InvalidParameter", "The request took too long to arrive."],
  Overloaded: ["ServiceUnavailable", "The server is busy."],
  InternalError: ["InternalError", "Something went wrong; the log says what."],
};
/** Where HTTP has a status of its own for it. */
const LOOP_STATUS: Readonly<Partial<Record<HttpFailure, number>>> = {
  HeadersTooLarge: 431,
  TargetTooLong: 414,
  ExpectationFailed: 417,
  RequestTimeout: 408,
};

/** No Cache-Control: an error must not outlive its cause. */
function failure(
  { code, message, headers }: DeliveryError,
  requestId: string,
  status: number = ERRORS[code],
): HttpResponse {
  return {
    status,
    headers: [
      "Content-Type",
      "application/json",
      "x-windlass-error",
      `${code} - ${message}`,
      ...headers,
      ...SAFETY,
      ...SHARING,
    ],
    body: `${JSON.stringify({ code, message, requestId })}\n`,
    log: { operation: "DeliveryError", code },
  };
}
