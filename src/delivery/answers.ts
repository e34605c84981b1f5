/** What goes back to the client: headers that everything carries, conditions, ranges, errors. */
import type { HttpFailure, HttpRequest, HttpResponse } from "../lib/http.ts";
import { StoreError } from "../store/errors.ts";
import { coded, codingOf, isCodable, type Coding } from "./coding.ts";
import { isConditional, judge, rangeOf, type Validators } from "./conditional.ts";
import { DeliveryError, ERRORS, notNow, type DeliveryErrorCode } from "./errors.ts";
import type { Pending } from "./video/video.ts";

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
/** What a browser may tell us of its screen, where a page asks for it. */
const HINTS: readonly string[] = ["Accept-CH", "Sec-CH-Width, Sec-CH-DPR, Save-Data"];

/** Any site may show and read what is public. */
export const preflight = (): HttpResponse => ({
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

/** Of what has a key of the cache: as much of that as tells versions apart. */
export const etagOf = (key: string): string => key.slice(0, 32);

/** A file, a picture, a piece of a film: anything whose bytes can be conditional and partial. */
export interface Answer {
  readonly validators: Validators;
  readonly type: string;
  /** The coding that the bytes have of themselves. */
  readonly contentEncoding?: string | undefined;
  /** Undefined: not known before the end; then there are no ranges. */
  readonly size: number | undefined;
  readonly cacheControl: string;
  /** Flat: name, value. In 304s too. */
  readonly headers: readonly string[];
  /** Flat; only with a body. */
  readonly bodyHeaders: readonly string[];
  readonly log: Readonly<Record<string, unknown>>;
  read(start: number, end: number): NonNullable<HttpResponse["body"]>;
}

const ALWAYS: readonly string[] = [...SAFETY, ...SHARING, ...HINTS];

/** What must be known of an answer before it is made. */
type Foreseen = Omit<Answer, "read" | "size" | "bodyHeaders"> & Partial<Pick<Answer, "size">>;

/** A coding is another version of the same (RFC 9110, section 8.8.3.3), with an ETag of its own. */
const versionIn = ({ validators }: Foreseen, coding: Coding | undefined): Validators =>
  coding === undefined ? validators : { ...validators, etag: `${validators.etag}-${coding}` };

function headersOf(answer: Foreseen, coding: Coding | undefined): string[] {
  const { etag, lastModified } = versionIn(answer, coding);
  return [
    "ETag",
    `"${etag}"`,
    ...(lastModified === undefined ? [] : ["Last-Modified", new Date(lastModified).toUTCString()]),
    "Cache-Control",
    answer.cacheControl,
    ...answer.headers,
    ...(isCodable(answer) ? ["Vary", "Accept-Encoding"] : []),
    ...ALWAYS,
  ];
}

/**
 * The answer to a request that its conditions already settle, before anything is rendered. `type`: the one that it may
 * have.
 * @throws DeliveryError PreconditionFailed
 */
export function early(request: HttpRequest, answer: Foreseen): HttpResponse | undefined {
  if (!isConditional(request.headers)) return undefined;
  const coding = codingOf(request.headers, answer);
  // All clients can read what has no coding.
  const forms = coding === undefined ? [undefined] : [coding, undefined];
  const verdicts = forms.map((form) => judge(request.headers, versionIn(answer, form)));
  if (verdicts.every((verdict) => verdict === "failed")) {
    throw new DeliveryError("PreconditionFailed", "The file is another version than the request names.");
  }
  const had = verdicts.indexOf("notModified");
  return had < 0 ? undefined : { status: 304, headers: headersOf(answer, forms[had]), log: answer.log };
}

/** The whole, or the range that the request asks for. @throws DeliveryError InvalidRange */
export function send(request: HttpRequest, answer: Answer): HttpResponse {
  const { size, type, contentEncoding } = answer;
  const coding = size === undefined ? undefined : codingOf(request.headers, answer);
  const headers = headersOf(answer, coding);
  headers.push("Content-Type", type, ...answer.bodyHeaders);
  const told = coding ?? contentEncoding;
  if (told !== undefined) headers.push("Content-Encoding", told);
  const head = request.method === "HEAD";
  const { log } = answer;
  if (size === undefined) {
    return { status: 200, headers, body: head ? undefined : answer.read(0, Infinity), log };
  }
  if (coding !== undefined) {
    return { status: 200, headers, body: head ? undefined : coded(answer.read(0, size), size, coding), log };
  }
  // A range is of a GET alone (RFC 9110, section 14.2).
  const span = head ? undefined : rangeOf(request.headers, size, answer.validators);
  if (span === "unsatisfiable") {
    throw new DeliveryError("InvalidRange", `The file has ${size} bytes.`, [
      "Content-Range",
      `bytes */${size}`,
    ]);
  }
  const { start, end } = span ?? { start: 0, end: size };
  headers.push("Accept-Ranges", "bytes");
  if (span !== undefined) headers.push("Content-Range", `bytes ${start}-${end - 1}/${size}`);
  headers.push("Content-Length", String(end - start));
  return {
    status: span === undefined ? 200 : 206,
    headers,
    body: head ? undefined : answer.read(start, end),
    log,
  };
}

/** Work that takes longer than the client waits. Not an error and not a picture: nothing that a cache may keep. */
export function accepted(
  { id, state, retryAfterSeconds, progress }: Pending,
  log: Readonly<Record<string, unknown>>,
): HttpResponse {
  const status = `/-/jobs/${id}`;
  return {
    status: 202,
    headers: [
      "Content-Type",
      "application/json",
      "Retry-After",
      String(retryAfterSeconds),
      "Location",
      status,
      "Cache-Control",
      "no-store",
      ...SAFETY,
      ...SHARING,
    ],
    body: `${JSON.stringify({ status, state, progress, retryAfterSeconds })}\n`,
    log: { ...log, pending: true },
  };
}

/** A small JSON document that is true only now. */
export const now = (value: unknown): HttpResponse => ({
  status: 200,
  headers: ["Content-Type", "application/json", "Cache-Control", "no-store", ...SAFETY, ...SHARING],
  body: `${JSON.stringify(value)}\n`,
  log: { operation: "GetJob" },
});

/** @throws what is neither a DeliveryError nor the store's refusal: the loop logs it */
export function asDeliveryError(error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error;
  if (error instanceof StoreError && (error.code === "SlowDown" || error.code === "ServiceUnavailable")) {
    return notNow("The store is busy.");
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

/** What the HTTP loop has to answer itself. */
export const loopFailure = (reason: HttpFailure, requestId: string): HttpResponse =>
  failure(new DeliveryError(...LOOP_FAILURES[reason]), requestId, { status: LOOP_STATUS[reason] });

/** What ImageKit's clients look for in `ik-error`. */
const IMAGEKIT_CODES: Readonly<Partial<Record<DeliveryErrorCode, string>>> = {
  NotFound: "ENOENT",
  AccessDenied: "EACCES",
  OriginDenied: "EACCES",
  OriginRefused: "ECONNREFUSED",
  OriginFailed: "ECONNREFUSED",
  OriginTimeout: "ECONNREFUSED",
  LimitExceeded: "ELIMIT",
  SourceTooLarge: "ELIMIT",
  TooManyRenders: "ELIMIT",
  TooManyPrompts: "ELIMIT",
};

/** No Cache-Control: an error must not outlive its cause. `about`: what the log says of the request. */
export function failure(
  { code, message, headers, detail, origin }: DeliveryError,
  requestId: string,
  { status = ERRORS[code], about = {} }: { status?: number | undefined; about?: object } = {},
): HttpResponse {
  // Clients read headers as Latin-1; the body has the words as they are.
  const plain = message.replaceAll(
    /[^\x20-\x7e]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return {
    status,
    headers: [
      "Content-Type",
      "application/json",
      "x-windlass-error",
      `${code} - ${plain}`,
      "ik-error",
      `${IMAGEKIT_CODES[code] ?? "UNIDENTIFIED"} - ${plain}`,
      ...headers,
      ...SAFETY,
      ...SHARING,
    ],
    body: `${JSON.stringify({ code, message, requestId })}\n`,
    log: {
      operation: "DeliveryError",
      code,
      message,
      ...about,
      ...(detail === undefined ? {} : { detail }),
      ...(origin === undefined ? {} : { origin }),
    },
  };
}
