/** Integrity of what is uploaded: what a client claims about a body, and whether it was true. */
import {
  canCombine,
  checksumHeader,
  checksumOfHeader,
  CHECKSUM_ALGORITHMS,
  isChecksumAlgorithm,
  isChecksumValue,
  type ChecksumAlgorithm,
} from "../lib/hashes.ts";
import type { Checksum, Staged } from "../store/types.ts";
import { S3Error } from "./errors.ts";

type Headers = Readonly<Record<string, string>>;

const HEADERS = CHECKSUM_ALGORITHMS.map((algorithm) => [algorithm, checksumHeader(algorithm)] as const);

/** Computed where the client names no algorithm, as AWS does. */
export const DEFAULT_ALGORITHM: ChecksumAlgorithm = "CRC64NVME";

export interface Claims {
  /** Of Content-MD5, in lower-case hex. */
  readonly md5: string | undefined;
  /** The algorithm that the client chose; its value is undefined when it comes as a trailer. */
  readonly checksum:
    | { readonly algorithm: ChecksumAlgorithm; readonly value: string | undefined }
    | undefined;
}

export const invalidRequest = (message: string): S3Error => new S3Error("InvalidRequest", {}, { message });

/**
 * What a request claims about its body. `headers` are those that really came as headers: AWS ignores checksums in the
 * query of presigned URLs, where the SDK for JavaScript puts that of an empty body.
 * @throws InvalidDigest, InvalidRequest
 */
export function readClaims(headers: Headers): Claims {
  return { md5: readContentMd5(headers["content-md5"]), checksum: readChecksum(headers) };
}

function readContentMd5(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (!isChecksumValue("MD5", value.trim())) throw new S3Error("InvalidDigest", { "Content-MD5": value });
  return Buffer.from(value, "base64").toString("hex");
}

function readChecksum(headers: Headers): Claims["checksum"] {
  let found: { algorithm: ChecksumAlgorithm; value: string | undefined } | undefined;
  const add = (algorithm: ChecksumAlgorithm, value: string | undefined): void => {
    if (found !== undefined) {
      throw invalidRequest(
        "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
      );
    }
    found = { algorithm, value };
  };
  for (const [algorithm, header] of HEADERS) {
    const value = headers[header];
    if (value !== undefined) add(algorithm, checkedValue(algorithm, value));
  }
  for (const name of (headers["x-amz-trailer"] ?? "").split(",")) {
    const trailer = name.trim().toLowerCase();
    if (trailer === "") continue;
    const algorithm = checksumOfHeader(trailer);
    if (algorithm === undefined) {
      throw invalidRequest("The value specified in the x-amz-trailer header is not supported");
    }
    add(algorithm, undefined);
  }
  checkSdkAlgorithm(headers["x-amz-sdk-checksum-algorithm"], found?.algorithm);
  return found;
}

/** @throws InvalidRequest when the value is not base64 of a digest of that algorithm */
function checkedValue(algorithm: ChecksumAlgorithm, value: string): string {
  const clean = value.trim();
  if (isChecksumValue(algorithm, clean)) return clean;
  throw invalidRequest(`Value for ${checksumHeader(algorithm)} header is invalid.`);
}

function checkSdkAlgorithm(named: string | undefined, found: ChecksumAlgorithm | undefined): void {
  if (named === undefined) return;
  const algorithm = named.trim().toUpperCase();
  if (!isChecksumAlgorithm(algorithm) || (found !== undefined && found !== algorithm)) {
    throw invalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.");
  }
  if (found === undefined) {
    throw invalidRequest(
      "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
    );
  }
}

const hexToBase64 = (hex: string): string => Buffer.from(hex, "hex").toString("base64");

/**
 * Holds received bytes against the claims; `trailers` are complete once the body has ended.
 * @throws BadDigest, MalformedTrailerError, InvalidRequest; the caller then discards the bytes
 */
export function checkClaims(
  claims: Claims,
  staged: Pick<Staged, "md5" | "checksums">,
  trailers: () => Headers,
): void {
  if (claims.md5 !== undefined && claims.md5 !== staged.md5) {
    throw new S3Error("BadDigest", {
      ExpectedDigest: hexToBase64(claims.md5),
      CalculatedDigest: hexToBase64(staged.md5),
    });
  }
  if (claims.checksum === undefined) return;
  const { algorithm } = claims.checksum;
  let { value } = claims.checksum;
  if (value === undefined) {
    const trailer = trailers()[checksumHeader(algorithm)];
    if (trailer === undefined) throw new S3Error("MalformedTrailerError");
    value = checkedValue(algorithm, trailer);
  }
  if (staged.checksums[algorithm] !== value) throw badChecksum(algorithm);
}

const badChecksum = (algorithm: ChecksumAlgorithm): S3Error =>
  new S3Error(
    "BadDigest",
    {},
    { message: `The ${algorithm} you specified did not match the calculated checksum.` },
  );

/** Appends the headers of a stored checksum. */
export function pushChecksum(out: string[], checksum: Checksum | undefined): void {
  if (checksum === undefined) return;
  out.push(checksumHeader(checksum.algorithm), checksum.value, "x-amz-checksum-type", checksum.type);
}

/** The element that holds a checksum in a document: `{ ChecksumCRC32: "…" }`. */
export function checksumElement(
  algorithm: ChecksumAlgorithm | undefined,
  value: string | undefined,
): { [K in `Checksum${ChecksumAlgorithm}`]?: string } {
  return algorithm === undefined || value === undefined ? {} : { [`Checksum${algorithm}`]: value };
}

/**
 * Algorithm and type of a new multipart upload. CRC64NVME covers the whole object only, CRC32 and CRC32C either, the
 * others the list of parts only. @throws InvalidRequest
 */
export function readUploadChecksum(headers: Headers): {
  algorithm: ChecksumAlgorithm;
  type: Checksum["type"];
  /** False: nothing was asked for, and the default is taken. */
  explicit: boolean;
} {
  const named = headers["x-amz-checksum-algorithm"];
  const type = headers["x-amz-checksum-type"]?.trim().toUpperCase();
  if (type !== undefined && type !== "COMPOSITE" && type !== "FULL_OBJECT") {
    throw invalidRequest("Value for x-amz-checksum-type header is invalid.");
  }
  if (named === undefined) {
    if (type !== undefined) {
      throw invalidRequest(
        "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
      );
    }
    return { algorithm: DEFAULT_ALGORITHM, type: "FULL_OBJECT", explicit: false };
  }
  const algorithm = readAlgorithm(named);
  const fallback = algorithm === "CRC64NVME" ? "FULL_OBJECT" : "COMPOSITE";
  const chosen = type ?? fallback;
  const possible = chosen === "FULL_OBJECT" ? canCombine(algorithm) : algorithm !== "CRC64NVME";
  if (!possible) {
    throw invalidRequest(
      `The ${chosen} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
    );
  }
  return { algorithm, type: chosen, explicit: true };
}

/** The value of `x-amz-checksum-algorithm`. @throws InvalidRequest */
export function readAlgorithm(value: string): ChecksumAlgorithm {
  const algorithm = value.trim().toUpperCase();
  if (isChecksumAlgorithm(algorithm)) return algorithm;
  throw invalidRequest(
    `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${CHECKSUM_ALGORITHMS.join(", ")}]`,
  );
}
