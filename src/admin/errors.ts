/** What the admin API answers when it can't do what it was asked. Bodies are `{ code, message }`. */
import { DeliveryError } from "../delivery/errors.ts";
import { StoreError } from "../store/errors.ts";

/** THE catalogue: code → status. */
export const API_ERRORS = {
  /** Not HTTP, not JSON, not a path. */
  BadRequest: 400,
  /** No credentials, or wrong ones. */
  Unauthenticated: 401,
  /** Right credentials that may not do this. */
  AccessDenied: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  RequestTimeout: 408,
  /** A name that is taken, a thing that something else needs. */
  Conflict: 409,
  BodyTooLarge: 413,
  TargetTooLong: 414,
  UnsupportedMediaType: 415,
  ExpectationFailed: 417,
  /** The message names the field and what is allowed. */
  InvalidInput: 422,
  TooManyAttempts: 429,
  HeadersTooLarge: 431,
  InternalError: 500,
  ServiceUnavailable: 503,
} as const satisfies Record<string, number>;

export type ApiErrorCode = keyof typeof API_ERRORS;

/** The only error that the admin API throws on purpose. */
export class ApiError extends Error {
  override readonly name: string = "ApiError";
  readonly code: ApiErrorCode;
  readonly headers: Readonly<Record<string, string>>;
  constructor(code: ApiErrorCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.headers = headers;
  }
}

/** Statuses of Fastify's own refusals, which happen before an operation runs. */
const BY_STATUS: Readonly<Record<number, ApiErrorCode>> = {
  400: "BadRequest",
  404: "NotFound",
  413: "BodyTooLarge",
  415: "UnsupportedMediaType",
};
const BUSY: readonly string[] = ["SlowDown", "InsufficientStorage", "ServiceUnavailable"];

/** Options of the command line, in which the store's messages speak, whose fields are called something else. */
const FIELDS: Readonly<Record<string, string>> = {
  "--credentials-file": "credentials",
  "--allow-host": "allowHosts",
};
/** What somebody sent stands between quotes, and stays what it is. */
const inFields = (message: string): string =>
  message.replaceAll(/"[^"]*"|--[a-z]+(?:-[a-z]+)*/g, (found) =>
    found.startsWith('"')
      ? found
      : (FIELDS[found] ?? found.slice(2).replaceAll(/-[a-z]/g, (next) => next[1]!.toUpperCase())),
  );

/** Undefined: a defect, or the machine's; its message is not the client's business. */
export function asApiError(error: unknown): ApiError | undefined {
  if (error instanceof ApiError) return error;
  if (error instanceof StoreError) {
    if (BUSY.includes(error.code)) return new ApiError("ServiceUnavailable", error.message);
    if (error.code === "ConditionalRequestConflict") return new ApiError("Conflict", error.message);
    return error.code === "InternalError" ? undefined : new ApiError("InvalidInput", inFields(error.message));
  }
  if (error instanceof DeliveryError) {
    if (error.code === "NotFound" || error.code === "AccessDenied") {
      return new ApiError(error.code, error.message);
    }
    return error.code === "InternalError" ? undefined : new ApiError("InvalidInput", error.message);
  }
  const { statusCode, message } = error as { statusCode?: unknown; message?: unknown };
  const code = typeof statusCode === "number" ? BY_STATUS[statusCode] : undefined;
  return code === undefined ? undefined : new ApiError(code, String(message));
}

/** Of Fastify's answers: name of the operation, for logs and metrics. Taken off before anybody sees it. */
export const OPERATION_HEADER = "x-windlass-operation";
