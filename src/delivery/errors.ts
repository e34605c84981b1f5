/** What delivery answers instead of a picture. */

/** THE catalogue: code → status. 404 is said only of what is missing, so that caches may believe it. */
export const ERRORS = {
  InvalidPath: 400,
  InvalidParameter: 400,
  /** The endpoint takes named transformations only. */
  UnnamedTransformation: 400,
  InvalidSignature: 401,
  ExpiredUrl: 401,
  /** The endpoint, or the file, is for signed URLs only. */
  SignatureRequired: 401,
  AccessDenied: 403,
  /** The origin refuses the credentials that it was set up with. */
  OriginDenied: 403,
  /** The origin's address is not one that the operator allowed. */
  OriginRefused: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  PreconditionFailed: 412,
  SourceTooLarge: 413,
  UnsupportedSource: 415,
  InvalidRange: 416,
  DamagedSource: 422,
  LimitExceeded: 422,
  /** The message says what of the prompt was understood. */
  PromptNotUnderstood: 422,
  TooManyRenders: 429,
  /** Of those that a model is asked for. */
  TooManyPrompts: 429,
  InternalError: 500,
  RendererFailed: 500,
  /** Needs something that this server doesn't have: ffmpeg, a model. The message says what. */
  NotAvailable: 501,
  OriginFailed: 502,
  ServiceUnavailable: 503,
  OriginTimeout: 504,
} as const satisfies Record<string, number>;

export type DeliveryErrorCode = keyof typeof ERRORS;

/** The only error that delivery throws on purpose. The message is for the user of the URL and ASCII where it can be. */
export class DeliveryError extends Error {
  override readonly name: string = "DeliveryError";
  readonly code: DeliveryErrorCode;
  readonly headers: readonly string[];
  /** What of it is the operator's to know: for the log and for tests of origins. */
  readonly detail: string | undefined;
  /** `account/origin` that it came from, for the log. */
  origin: string | undefined;
  constructor(code: DeliveryErrorCode, message: string, headers: readonly string[] = [], detail?: string) {
    super(message);
    this.code = code;
    this.headers = headers;
    this.detail = detail;
  }
}

/** What can't be had now; clients may ask again in so many seconds. */
export const notNow = (
  message: string,
  seconds = 1,
  code: DeliveryErrorCode = "ServiceUnavailable",
): DeliveryError => new DeliveryError(code, message, ["Retry-After", String(seconds)]);

export const closing = (): DeliveryError => notNow("The server is closing.");

/** What is wrong with a layer's file, told so that it isn't taken for what it lies on. Other errors are as they were. */
export function ofLayer(path: string, error: unknown): unknown {
  if (!(error instanceof DeliveryError)) return error;
  const { code, message, headers, detail, origin } = error;
  const told = new DeliveryError(code, `Layer ${path}: ${message}`, headers, detail);
  told.origin = origin;
  return told;
}
