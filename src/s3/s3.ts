/** The S3 protocol: `handle` is the road that every request takes, stated once. Rows and handlers never repeat it. */
import { decide } from "../access/access.ts";
import type { HttpFailure, HttpHandler, HttpRequest, HttpResponse } from "../lib/http.ts";
import type { Logger } from "../lib/log.ts";
import { StoreError } from "../store/errors.ts";
import type { ObjectStore } from "../store/store.ts";
import type { Account, Acl, Bucket, Permission } from "../store/types.ts";
import { authenticate, type AuthDeps, type Identity } from "./auth.ts";
import { readRequestBody } from "./body.ts";
import { isLegacyName } from "./bucketname.ts";
import { renderError, renderFailure, S3Error, toS3Error, type ErrorContext } from "./errors.ts";
import { regionOf } from "./location.ts";
import {
  compatibilityOf,
  type Answer,
  type BucketContext,
  type Context,
  type ObjectContext,
  type Operation,
  type S3Settings,
} from "./operation.ts";
import { OPERATIONS } from "./operations.ts";
import { invalidArgument } from "./parameters.ts";
import {
  parseTarget,
  prepareTarget,
  type S3Request,
  type TargetOptions,
  type TargetSettings,
} from "./request.ts";
import { buildRouter, type Route } from "./router.ts";
import { SigningKeys } from "./signing.ts";

export interface S3Options {
  readonly store: ObjectStore;
  readonly settings: S3Settings;
  readonly target: TargetSettings;
  readonly log: Logger;
}
export interface S3 {
  readonly handle: HttpHandler;
  /** What the HTTP loop answers on its own, in S3's words. */
  readonly onFailure: (failure: HttpFailure, context: ErrorContext) => HttpResponse;
}

/** What is known of a request so far: for its log line, and for the headers of an answer that is an error. */
interface Trace {
  request: S3Request | undefined;
  route: Route | undefined;
  identity: Identity | undefined;
  bucket: Bucket | undefined;
}

interface Protocol extends S3Options {
  readonly targetOptions: TargetOptions;
  readonly auth: Omit<AuthDeps, "now">;
}

export function createS3(options: S3Options): S3 {
  const { store, settings, target } = options;
  const router = buildRouter(OPERATIONS);
  const protocol: Protocol = {
    ...options,
    targetOptions: prepareTarget(target, async (name) => (await store.bucket(name)) !== undefined),
    auth: {
      accounts: store.accounts,
      region: settings.region,
      locations: settings.locations,
      signingKeys: new SigningKeys(),
    },
  };

  async function serve(http: HttpRequest, trace: Trace): Promise<Answer> {
    // Before any cached record is read: what was acknowledged on another worker is in force with this request.
    await store.refresh();
    const request = (trace.request = await parseTarget(http, protocol.targetOptions));
    const { name, operation } = (trace.route = router.route(request));
    const now = Date.now();
    // A preflight has the query of the presigned URL that it asks about, signed for another method.
    const claimed = operation.method === "OPTIONS" ? { ...request, headers: {}, query: NO_QUERY } : request;
    const identity = (trace.identity = await authenticate(claimed, { ...protocol.auth, now }));
    if (operation.run === "NotImplemented") {
      throw new S3Error("NotImplemented", { Operation: name }, { message: `${name} is not implemented.` });
    }
    const context = { request, identity, store, settings, log: options.log, now, document: NO_DOCUMENT };
    return await runOperation(protocol, operation, context, trace);
  }

  return {
    async handle(http) {
      const trace: Trace = { request: undefined, route: undefined, identity: undefined, bucket: undefined };
      try {
        return answered(protocol, http, trace, await serve(http, trace));
      } catch (error) {
        return await failed(protocol, http, trace, error);
      }
    },
    onFailure: (failure, context) => renderFailure(failure, context, settings.compatibility),
  };
}

const NO_DOCUMENT = Buffer.alloc(0);
const NO_QUERY: ReadonlyMap<string, string> = new Map();

/** From the bucket on: load, authorize, read the body as the row says, run. */
async function runOperation(
  protocol: Protocol,
  operation: Operation,
  context: Context,
  trace: Trace,
): Promise<Answer> {
  if (operation.run === "NotImplemented") throw new S3Error("NotImplemented");
  if (operation.on === "service" || operation.on === "bucketName") {
    if (operation.who !== "anybody" && context.identity.account === undefined)
      throw new S3Error("AccessDenied");
    return await operation.run({ ...context, document: await readRequestBody(operation, context) });
  }
  const bucket = (trace.bucket = await loadBucket(protocol, context));
  const inBucket: BucketContext = { ...context, bucket };
  authorizeOnBucket(operation, inBucket);
  if (operation.on === "bucket") {
    return await operation.run({ ...inBucket, document: await readRequestBody(operation, context) });
  }
  const key = context.request.key ?? "";
  const object = await loadObject(operation, inBucket, key);
  return await operation.run({
    ...inBucket,
    key,
    object,
    document: await readRequestBody(operation, context),
  });
}

async function loadBucket(protocol: Protocol, { request, store, settings }: Context): Promise<Bucket> {
  const name = request.bucket ?? "";
  const bucket = await store.bucket(name);
  if (bucket === undefined) {
    throw new S3Error(isLegacyName(name) ? "NoSuchBucket" : "InvalidBucketName", { BucketName: name });
  }
  const expected = request.headers["x-amz-expected-bucket-owner"];
  if (expected !== undefined && expected !== bucket.ownerId) throw new S3Error("AccessDenied");
  // The guide serves buckets with a location by virtual host alone.
  if (
    bucket.location !== "" &&
    !request.hostStyle &&
    compatibilityOf({ settings, bucket }) === "2006-03-01"
  ) {
    const Endpoint = `${name}.${protocol.target.domains[0] ?? "localhost"}`;
    throw new S3Error("PermanentRedirect", { Endpoint, Bucket: name });
  }
  return bucket;
}

/** Of a bucket or a version. */
function allows(
  { ownerId, acl }: { readonly ownerId: string; readonly acl: Acl },
  account: Account | undefined,
  permission: Permission,
): boolean {
  return decide({ account, ownerId, acl, permission });
}

/** @throws S3Error AccessDenied, unless the permission is on the object */
function authorizeOnBucket({ who }: Operation, { identity, bucket }: BucketContext): void {
  if (who === "anybody") return;
  if (who === "account") {
    if (identity.account === undefined) throw new S3Error("AccessDenied");
    return;
  }
  if (!("bucket" in who)) return;
  const allowed =
    who.bucket === "OWNER"
      ? identity.account?.id === bucket.ownerId
      : allows(bucket, identity.account, who.bucket);
  if (!allowed) throw new S3Error("AccessDenied");
}

/**
 * The version of rows whose permission is on the object, authorized. That a key, or a version of it, does not exist
 * is told only to those who may list.
 * @throws S3Error AccessDenied, NoSuchVersion, InvalidArgument
 */
async function loadObject(
  { who, withBody }: Operation,
  { store, identity, bucket, request }: BucketContext,
  key: string,
): Promise<ObjectContext["object"]> {
  if (typeof who === "string" || !("object" in who)) return undefined;
  const versionId = request.query.get("versionId");
  if (versionId === "") throw invalidArgument("versionId", "", "Version id cannot be the empty string");
  const mayList = () => allows(bucket, identity.account, "READ");
  const options =
    versionId === undefined ? { withBody: withBody === true } : { versionId, withBody: withBody === true };
  let object: ObjectContext["object"];
  try {
    object = await store.getObject(bucket, key, options);
  } catch (error) {
    if (error instanceof StoreError && error.code === "NoSuchVersion" && !mayList()) {
      throw new S3Error("AccessDenied", {}, { cause: error });
    }
    throw error;
  }
  const allowed =
    object === undefined || object.version.deleteMarker
      ? mayList()
      : allows(object.version, identity.account, who.object);
  if (!allowed) throw new S3Error("AccessDenied");
  return object;
}

/** Of the access log: who asked what of what, and how it was signed. */
function logFields(
  { request, route, identity }: Trace,
  errorCode: string | undefined,
): Record<string, unknown> {
  return {
    operation: route?.name,
    bucket: request?.bucket,
    key: request?.key,
    requester: identity?.account?.id,
    accessKeyId: identity?.accessKeyId,
    signatureVersion: identity?.version,
    authType: identity?.type,
    errorCode,
  };
}

function serverName(protocol: Protocol, bucket: Bucket | undefined): string {
  return compatibilityOf({ settings: protocol.settings, bucket }) === "modern" ? "Windlass" : "AmazonS3";
}

function answered(protocol: Protocol, http: HttpRequest, trace: Trace, answer: Answer): HttpResponse {
  const { bucket, route } = trace;
  const headers = [
    "x-amz-request-id",
    http.id,
    "x-amz-id-2",
    http.hostId,
    "Server",
    serverName(protocol, bucket),
  ];
  if (bucket !== undefined && route?.operation.on === "bucket") {
    headers.push("x-amz-bucket-region", regionOf(bucket, protocol.settings));
  }
  if (answer.headers !== undefined) headers.push(...answer.headers);
  return { status: answer.status ?? 200, headers, body: answer.body, log: logFields(trace, undefined) };
}

/** The bucket of a failed request, even where the failure came before it was needed. */
async function bucketOf({ store }: Protocol, { bucket, request }: Trace): Promise<Bucket | undefined> {
  if (bucket !== undefined || request?.bucket === undefined) return bucket;
  try {
    return await store.bucket(request.bucket);
  } catch {
    // The error at hand is the one to tell; this is only for its headers.
    return undefined;
  }
}

async function failed(
  protocol: Protocol,
  http: HttpRequest,
  trace: Trace,
  thrown: unknown,
): Promise<HttpResponse> {
  let error = toS3Error(thrown);
  if (error.code === "InternalError") {
    const fields = { err: error.cause ?? error, requestId: http.id, operation: trace.route?.name };
    protocol.log.error(fields, "a request failed");
  }
  const bucket = await bucketOf(protocol, trace);
  if (
    error.code === "KeyTooLongError" &&
    compatibilityOf({ settings: protocol.settings, bucket }) !== "modern"
  ) {
    error = new S3Error("KeyTooLong", { ...error.detail });
  }
  const response = renderError(error, http);
  response.headers.push("Server", serverName(protocol, bucket));
  if (bucket !== undefined) response.headers.push("x-amz-bucket-region", regionOf(bucket, protocol.settings));
  response.log = logFields(trace, error.code);
  return response;
}
