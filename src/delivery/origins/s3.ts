/** Amazon S3 and what speaks its protocol, through Amazon's SDK. */
import type { GetObjectCommandOutput, S3Client } from "@aws-sdk/client-s3";
import type { Readable } from "node:stream";
import { judge, type AddressPolicy } from "./address.ts";
import { failureOf, LastingFailure } from "./attempts.ts";
import {
  answersAll,
  markedIn,
  originError,
  type Fetched,
  type FetchOptions,
  type FileInfo,
  type OriginClient,
  type OriginTest,
} from "./client.ts";
import {
  asOriginError,
  bodyOf,
  CONNECT_MS,
  discard,
  findingOf,
  guardedAgents,
  rangeOf,
  wordOf,
  type OriginPlace,
} from "./http.ts";

export interface S3OriginOptions {
  readonly bucket: string;
  /** Learned from the first answer when not given. */
  readonly region: string | undefined;
  /** Undefined: Amazon's. */
  readonly endpointUrl: string | undefined;
  readonly pathStyle: boolean;
  /** Undefined: requests are anonymous. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined;
  readonly policy: AddressPolicy;
  readonly headMs: number;
}

/** Where every bucket can be asked for its region. */
const FIRST_REGION = "us-east-1";

interface AwsError extends Error {
  readonly name: string;
  readonly Code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly clockSkewCorrected?: boolean };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
  readonly Region?: string;
}

/** Words of S3 that tell of our credentials and not of the file. */
const CREDENTIALS: Readonly<Record<string, string>> = {
  InvalidAccessKeyId: "the access key doesn't exist",
  SignatureDoesNotMatch: "the secret key is not that of the access key",
  ExpiredToken: "the session has expired",
  InvalidToken: "the session token is wrong",
  RequestTimeTooSkewed: "this server's clock is wrong",
  AccountProblem: "the account has a problem",
  AllAccessDisabled: "all access to the bucket is disabled",
  InvalidClientTokenId: "the access key doesn't exist",
  AuthorizationHeaderMalformed: "the region is wrong",
};

export function openS3Origin(options: S3OriginOptions): OriginClient {
  const clients = new Clients(options);
  const where = options.endpointUrl === undefined ? { host: "Amazon S3" } : new URL(options.endpointUrl);
  const get = async (key: string, asked: FetchOptions): Promise<Fetched> => {
    await clients.judge();
    for (let tries = 0; ; tries++) {
      const { region } = clients;
      try {
        return await getObject(await clients.current(), options, key, asked, where);
      } catch (error) {
        // Another region: once, or a bucket that points in circles would be followed for ever.
        if (tries === 0 && clients.learn(error as AwsError, region)) continue;
        // The SDK has set its clock by the answer's.
        if (tries === 0 && (error as AwsError).$metadata?.clockSkewCorrected === true) continue;
        return whatIsWrong(error, where);
      }
    }
  };
  return {
    fetch: get,
    test: () => testS3(clients, options, where),
    close: () => clients.close(),
  };
}

/** The SDK's client for the bucket's region. */
class Clients {
  readonly #options: S3OriginOptions;
  readonly #agents: ReturnType<typeof guardedAgents>;
  #region: string;
  #client: Promise<S3Client> | undefined;

  constructor(options: S3OriginOptions) {
    this.#options = options;
    this.#agents = guardedAgents(options.policy);
    this.#region = options.region ?? FIRST_REGION;
  }

  get region(): string {
    return this.#region;
  }

  /** Sockets to literal addresses do no lookup. @throws DeliveryError OriginRefused */
  async judge(): Promise<void> {
    const { endpointUrl, policy } = this.#options;
    if (endpointUrl !== undefined) await judge(new URL(endpointUrl), policy);
  }

  current(): Promise<S3Client> {
    return (this.#client ??= this.#open());
  }

  async #open(): Promise<S3Client> {
    // It tells operators of ours what their Node.js should be, once in each worker.
    process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] = "true";
    // Loaded by the first request: it is large, and most servers have no such origin.
    const { S3Client } = await import("@aws-sdk/client-s3");
    const { endpointUrl, pathStyle, credentials, headMs } = this.#options;
    return new S3Client({
      region: this.#region,
      ...(endpointUrl === undefined ? {} : { endpoint: endpointUrl }),
      forcePathStyle: pathStyle,
      ...(credentials === undefined ? { signer: ANONYMOUS, credentials: NOBODY } : { credentials }),
      ...UNCONFIGURED,
      // Attempts.run does that, for all kinds of origins alike.
      maxAttempts: 1,
      followRegionRedirects: false,
      responseChecksumValidation: "WHEN_REQUIRED",
      requestHandler: {
        httpAgent: this.#agents.http,
        httpsAgent: this.#agents.https,
        connectionTimeout: CONNECT_MS,
        requestTimeout: headMs,
        throwOnRequestTimeout: true,
      },
    });
  }

  /** Whether an error says that the bucket is in another region than the one that was asked. */
  learn(error: AwsError, asked: string): boolean {
    const region = error.Region ?? error.$response?.headers?.["x-amz-bucket-region"];
    if (region === undefined || region === asked || !/^[a-z0-9-]{3,32}$/.test(region)) return false;
    if (region === this.#region) return true;
    this.#region = region;
    // Not ended: others may be reading through it, and its sockets are those of the agents.
    this.#client = undefined;
    return true;
  }

  close(): void {
    void this.#client?.then(
      (client) => client.destroy(),
      () => undefined,
    );
    this.#agents.destroy();
  }
}

const NOBODY = { accessKeyId: "", secretAccessKey: "" };
/** What the SDK would take from the server's environment and ~/.aws. An origin is what its settings say. */
const UNCONFIGURED = {
  ignoreConfiguredEndpointUrls: true,
  useFipsEndpoint: false,
  useDualstackEndpoint: false,
  retryMode: "standard",
};
/** Signs nothing. */
const ANONYMOUS = { sign: async <T>(request: T): Promise<T> => request };

async function getObject(
  client: S3Client,
  { bucket, headMs }: S3OriginOptions,
  key: string,
  { range, known }: FetchOptions,
  where: OriginPlace,
): Promise<Fetched> {
  const { GetObjectCommand } = await import("@aws-sdk/client-s3");
  const input = {
    Bucket: bucket,
    Key: key,
    ...(range === undefined ? {} : { Range: `bytes=${range.start}-${range.end - 1}` }),
    ...(known?.etag === undefined ? {} : { IfNoneMatch: `"${known.etag}"` }),
    ...(known?.etag !== undefined || known?.lastModified === undefined
      ? {}
      : { IfModifiedSince: new Date(known.lastModified) }),
  };
  const found = await client.send(new GetObjectCommand(input));
  const part = rangeOf(found.ContentRange);
  if ((found.ContentRange ?? "") !== "" && (part === undefined || range === undefined)) {
    discard(found.Body as Readable);
    throw new LastingFailure("answers with a part of the file that it doesn't name.", where.host);
  }
  return {
    kind: "found",
    info: infoOf(found),
    range: part,
    body: bodyOf(found.Body as Readable, where, headMs),
  };
}

function infoOf(said: GetObjectCommandOutput): FileInfo {
  const whole = /\/(\d{1,15})$/.exec(said.ContentRange ?? "")?.[1];
  return {
    etag: said.ETag?.replace(/^W\//, "").replaceAll('"', ""),
    lastModified: said.LastModified?.getTime(),
    size: whole === undefined ? said.ContentLength : Number(whole),
    contentType: said.ContentType,
    contentEncoding: said.ContentEncoding,
    contentLanguage: said.ContentLanguage,
    contentDisposition: said.ContentDisposition,
    cacheControl: said.CacheControl,
    ...markedIn(said.Metadata),
  };
}

/** Of a 304, which the SDK takes for an error. */
function saidWith({ $response }: AwsError): Pick<FileInfo, "lastModified" | "cacheControl" | "private"> {
  const { "last-modified": modified = "", "cache-control": cacheControl } = $response?.headers ?? {};
  const lastModified = Date.parse(modified);
  return {
    lastModified: Number.isNaN(lastModified) ? undefined : lastModified,
    cacheControl,
    private: false,
  };
}

const codeOf = (error: AwsError): string => wordOf(error.Code ?? error.name);
const statusOf = (error: AwsError): number => error.$metadata?.httpStatusCode ?? 0;

/**
 * Sorts what S3 says. Who may read objects but not list the bucket is told AccessDenied of keys that don't exist: that
 * is a missing file, as is a 403 without a code. All other codes are of files that may well be there.
 */
function whatIsWrong(error: unknown, where: OriginPlace): Fetched {
  const said = error as AwsError;
  const [code, status] = [codeOf(said), statusOf(said)];
  if (status === 304) return { kind: "unchanged", said: saidWith(said) };
  if (code === "NoSuchKey" || code === "KeyTooLongError") return { kind: "missing" };
  if (status === 404 && code !== "NoSuchBucket") return { kind: "missing" };
  if (code === "AccessDenied" || (status === 403 && (said.Code ?? "") === "")) return { kind: "missing" };
  if (code === "InvalidObjectState") {
    throw new LastingFailure(`has archived the file (${code}): it must be restored first.`, where.host);
  }
  const denied = CREDENTIALS[code];
  if (denied !== undefined) {
    throw originError("OriginDenied", where.host, `refuses its credentials (${code}): ${denied}.`);
  }
  if (code === "NoSuchBucket") throw new LastingFailure("has no such bucket.", where.host);
  if (status > 0) throw failureOf(status, where.host, `answers ${status} ${code}.`);
  throw asOriginError(error, where);
}

/** A name that nobody gives to an object. */
const PROBE_KEY = "windlass-origin-test-of-a-key-that-does-not-exist";

/** How far the clocks are apart, by the answer's Date. */
function clocks(said: AwsError, { host }: OriginPlace): string {
  const theirs = Date.parse(said.$response?.headers?.["date"] ?? "");
  if (Number.isNaN(theirs)) return `this server's clock differs from that of ${host}`;
  const seconds = Math.round((Date.now() - theirs) / 1000);
  const [apart, unit] =
    Math.abs(seconds) < 120
      ? [Math.abs(seconds), "seconds"]
      : [Math.round(Math.abs(seconds) / 60), "minutes"];
  return `this server's clock is ${apart} ${unit} ${seconds < 0 ? "behind" : "ahead of"} that of ${host}`;
}

async function testS3(clients: Clients, options: S3OriginOptions, where: OriginPlace): Promise<OriginTest> {
  const { bucket, region } = options;
  const moved: string[] = [];
  const { GetObjectCommand } = await import("@aws-sdk/client-s3");
  for (let tries = 0; ; tries++) {
    const asked = clients.region;
    try {
      await clients.judge();
      const client = await clients.current();
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: PROBE_KEY }));
      discard(Body as Readable);
      return { ok: false, findings: [...moved, answersAll(where.host, "S3 service")] };
    } catch (error) {
      const said = error as AwsError;
      if (tries === 0 && clients.learn(said, asked)) {
        moved.push(
          `The bucket is in the region ${clients.region}${region === undefined ? "" : `, not ${region}`}.`,
        );
        continue;
      }
      const { ok, findings } = verdictOf(said, options, where);
      return { ok, findings: [...moved, ...findings] };
    }
  }
}

const not = (finding: string): OriginTest => ({ ok: false, findings: [finding] });

function verdictOf(
  said: AwsError,
  { bucket, credentials }: Pick<S3OriginOptions, "bucket" | "credentials">,
  where: OriginPlace,
): OriginTest {
  const [code, status] = [codeOf(said), statusOf(said)];
  if (code === "NoSuchKey") return { ok: true, findings: [`Bucket ${bucket} can be read and listed.`] };
  if (code === "AccessDenied" && credentials === undefined) {
    // A bucket whose objects are public and whose list isn't says the same.
    return not(`${code}: bucket ${bucket} wants an access key, unless all of its files are public.`);
  }
  if (code === "AccessDenied") {
    const findings = [
      "The credentials are accepted. Keys that don't exist are answered AccessDenied, as for users with s3:GetObject alone: they count as not found.",
      "If files that do exist are 404 too, the user lacks s3:GetObject on them.",
    ];
    return { ok: true, findings };
  }
  if (code === "NoSuchBucket") return not(`There is no bucket ${bucket} at ${where.host}.`);
  if (code === "RequestTimeTooSkewed") return not(`${code}: ${clocks(said, where)}.`);
  const denied = CREDENTIALS[code];
  if (denied !== undefined) return not(`${code}: ${denied}.`);
  return not(status > 0 ? `${where.host} answers ${status} ${code}.` : findingOf(said, where));
}
