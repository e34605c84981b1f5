/** Who asks: the one place where signatures of every kind are checked, before anything the request asks for is done. */
import type { HttpRequest } from "../lib/http.ts";
import type { Account, Credential } from "../store/types.ts";
import { decodeChunked, EMPTY_SHA256, verifySha256, type ChunkSignatures } from "./chunked.ts";
import { S3Error } from "./errors.ts";
import { isPresignedV2, isPresignedV4, type S3Request } from "./request.ts";
import type { SigningKeys } from "./signing.ts";
import { parseV2Header, parseV2Query, verifyV2, type V2Claim } from "./sigv2.ts";
import { checkPayloadHash, parseV4Header, parseV4Query, verifyV4, type V4Claim } from "./sigv4.ts";

/** Who asks, and the body to read instead of the raw one. */
export interface Identity {
  /** Undefined: anonymous. */
  readonly account: Account | undefined;
  readonly accessKeyId: string | undefined;
  readonly version: "v4" | "v2" | "anonymous";
  /** How the signature came, as access logs name it. */
  readonly type: "AuthHeader" | "QueryString" | undefined;
  /**
   * Decoded from aws-chunked and verified as it is read: an error at its end means that nothing of it may be used.
   * @throws S3Error SignatureDoesNotMatch, XAmzContentSHA256Mismatch, IncompleteBody, MalformedTrailerError, …; BodyError
   */
  readonly body: AsyncIterable<Buffer>;
  /** Length of `body` when the client said it. */
  readonly decodedLength: number | undefined;
  /** Trailing headers, lower-case names, complete and verified once `body` has ended; empty before. */
  trailers(): Readonly<Record<string, string>>;
}

export interface AuthDeps {
  /** `store.accounts`. */
  readonly accounts: { credential(accessKeyId: string): Promise<Credential | undefined> };
  /** Named to clients that signed for another region. */
  readonly region: string;
  /** Further regions that a V4 signature may name: buckets live in several locations of one server. */
  readonly locations: readonly string[];
  /** One per process. */
  readonly signingKeys: SigningKeys;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * Checks whatever signature there is; without any the requester is anonymous. Nothing of the body is read, but
 * Identity.body is wrapped so that it verifies itself.
 * @throws S3Error for every signature that is not valid here and now
 */
export async function authenticate(request: S3Request, deps: AuthDeps): Promise<Identity> {
  const claim = parseClaim(request, deps);
  if (claim === undefined) return identity(request, { version: "anonymous" });
  const credential = await deps.accounts.credential(claim.accessKeyId);
  if (credential === undefined || !credential.enabled) {
    throw new S3Error("InvalidAccessKeyId", { AWSAccessKeyId: claim.accessKeyId });
  }
  if (!("region" in claim)) {
    verifyV2(request, claim, deps.signingKeys.plain(credential));
    checkAccount(request, credential);
    return identity(request, { version: "v2", presigned: claim.presigned, credential });
  }
  const signing = deps.signingKeys.get(credential, claim.date, claim.region);
  verifyV4(request, claim, signing);
  checkAccount(request, credential);
  const chunks = { signing, stamp: claim.stamp, seed: claim.signature, accessKeyId: claim.accessKeyId };
  return identity(request, { version: "v4", presigned: claim.presigned, credential, chunks });
}

/** The one claim that the request makes. Half a claim is refused, never taken for none. */
function parseClaim(request: S3Request, deps: AuthDeps): V4Claim | V2Claim | undefined {
  const authorization = request.headers["authorization"];
  const queryV4 = isPresignedV4(request.query);
  const queryV2 = isPresignedV2(request.query);
  if (authorization === undefined) {
    if (queryV4 && queryV2) throw severalClaims(request);
    if (queryV4) return parseV4Query(request, deps);
    return queryV2 ? parseV2Query(request, deps.now) : undefined;
  }
  if (queryV4 || queryV2) throw severalClaims(request);
  const space = authorization.indexOf(" ");
  const scheme = space === -1 ? authorization : authorization.slice(0, space);
  if (scheme === "AWS4-HMAC-SHA256" && space !== -1) {
    return parseV4Header(request, authorization, deps);
  }
  if (scheme === "AWS" && space !== -1) return parseV2Header(request, authorization, deps.now);
  if (scheme === "") throw new S3Error("AccessDenied");
  if (scheme === "AWS4-ECDSA-P256-SHA256") throw new S3Error("UnsupportedSignature");
  const message =
    space === -1
      ? "Authorization header is invalid -- one and only one ' ' (space) required"
      : "Unsupported Authorization Type";
  throw new S3Error("InvalidArgument", argument("Authorization", authorization), { message });
}

const argument = (name: string, value: string) => ({ ArgumentName: name, ArgumentValue: value });

function severalClaims(request: S3Request): S3Error {
  const message =
    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified";
  return new S3Error("InvalidArgument", argument("Authorization", request.headers["authorization"] ?? ""), {
    message,
  });
}

/** After the signature, so that only the owner of a key learns what is wrong with its account or token. */
function checkAccount(request: S3Request, credential: Credential): void {
  if (credential.account.status !== "active") throw new S3Error("AccountProblem");
  // There are no temporary credentials here: all keys are permanent, and no token belongs to them.
  if (request.headers["x-amz-security-token"] !== undefined) throw new S3Error("InvalidToken");
}

interface Verified {
  readonly version: Identity["version"];
  readonly presigned?: boolean;
  readonly credential?: Credential;
  readonly chunks?: ChunkSignatures;
}

type Content = Pick<Identity, "body" | "decodedLength" | "trailers">;

const NO_TRAILERS: Readonly<Record<string, string>> = Object.freeze({});
const noTrailers = () => NO_TRAILERS;
const ENDED = Object.freeze({ done: true as const, value: undefined });
/** Most requests have no body: nothing is made for theirs. */
const NO_CONTENT: Content = Object.freeze({
  body: { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(ENDED) }) },
  decodedLength: undefined,
  trailers: noTrailers,
});

function identity(request: S3Request, verified: Verified): Identity {
  const { headers } = request;
  const { credential, version } = verified;
  const payload = headers["x-amz-content-sha256"];
  const content = payload?.startsWith("STREAMING-")
    ? streamed(request, payload, verified.chunks)
    : plain(request, payload);
  return {
    account: credential?.account,
    accessKeyId: credential?.accessKeyId,
    version,
    type: credential === undefined ? undefined : verified.presigned ? "QueryString" : "AuthHeader",
    body: content.body,
    decodedLength: content.decodedLength,
    trailers: content.trailers,
  };
}

/** A body as it came, compared with its hash where that was named. */
function plain(request: S3Request, payload: string | undefined): Content {
  const { http, headers } = request;
  refuseTrailers(headers);
  if (payload === "UNSIGNED-PAYLOAD" && /\baws-chunked\b/i.test(headers["content-encoding"] ?? "")) {
    const message =
      "aws-chunked encoding is not supported when x-amz-content-sha256 UNSIGNED-PAYLOAD is supplied.";
    throw new S3Error("InvalidArgument", argument("Content-Encoding", headers["content-encoding"]!), {
      message,
    });
  }
  const literal = payload !== undefined && payload !== "UNSIGNED-PAYLOAD" ? payload : undefined;
  if (literal !== undefined) checkPayloadHash(literal);
  if (isEmpty(http) && (literal === undefined || literal === EMPTY_SHA256)) return NO_CONTENT;
  const raw = http.body();
  return {
    body: literal === undefined ? raw : verifySha256(raw, literal, http.contentLength),
    decodedLength: http.contentLength,
    trailers: noTrailers,
  };
}

/** By its framing: what is not announced cannot come. */
function isEmpty(http: HttpRequest): boolean {
  return http.contentLength === undefined && http.headers["transfer-encoding"] === undefined;
}

/** @throws S3Error InvalidRequest: trailers come with aws-chunked alone, and unread ones would go unverified */
function refuseTrailers(headers: Readonly<Record<string, string>>): void {
  if (headers["x-amz-trailer"] === undefined) return;
  const message = "The x-amz-trailer header needs an x-amz-content-sha256 that ends in -TRAILER.";
  throw new S3Error("InvalidRequest", {}, { message });
}

function streamed(request: S3Request, payload: string, chunks: ChunkSignatures | undefined): Content {
  const { http, headers } = request;
  const signed = payload.startsWith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
  const trailing = payload.endsWith("-TRAILER");
  switch (payload) {
    case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD":
    case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER":
    case "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
      break;
    case "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD":
    case "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER":
      throw new S3Error("NotImplemented", { Header: "x-amz-content-sha256" });
    default:
      checkPayloadHash("");
  }
  if (signed && chunks === undefined) {
    const message = `${payload} needs a signature of version 4.`;
    throw new S3Error("InvalidRequest", {}, { message });
  }
  if (!trailing) refuseTrailers(headers);
  const length = headers["x-amz-decoded-content-length"];
  if (length === undefined) throw new S3Error("MissingContentLength");
  if (!/^\d{1,15}$/.test(length)) {
    throw new S3Error("InvalidArgument", argument("x-amz-decoded-content-length", length));
  }
  let trailers = NO_TRAILERS;
  const body = decodeChunked(http.body(), {
    decodedLength: Number(length),
    signatures: signed ? chunks : undefined,
    trailers: trailing ? announcedTrailers(headers["x-amz-trailer"]) : undefined,
    onTrailers: (verified) => {
      trailers = verified;
    },
  });
  return { body, decodedLength: Number(length), trailers: () => trailers };
}

/** @throws S3Error InvalidRequest for anything but checksums: nothing else would be read */
function announcedTrailers(header: string | undefined): string[] {
  if (header === undefined) return [];
  const names = header.split(",").map((name) => name.trim().toLowerCase());
  if (names.every((name) => /^x-amz-checksum-[a-z0-9]+$/.test(name))) return names;
  const message = "The value specified in the x-amz-trailer header is not supported";
  throw new S3Error("InvalidRequest", {}, { message });
}
