/** Which bytes of an object an answer holds: `Range`, `partNumber`, and the range of UploadPartCopy. */
import type { ObjectVersion } from "../store/types.ts";
import { S3Error } from "./errors.ts";

/** Bytes start (inclusive) to end (exclusive). */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Highest part number; also the most parts that an object has. */
export const PART_NUMBER_MAX = 10_000;

const RANGE = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i;

/** Digits as a number that compares rightly with any size; what exceeds 2^53 is beyond every object. */
function count(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
}

/**
 * The span of a `Range` header. Undefined: there is none to honour (no header, another unit, several ranges, nonsense),
 * so the whole object is the answer (RFC 9110, R197). @throws InvalidRange when nothing of it lies in the object
 */
export function parseRange(header: string | undefined, size: number): Span | undefined {
  const parts = header === undefined ? null : RANGE.exec(header.trim());
  if (parts === null) return undefined;
  const [, first = "", last = ""] = parts;
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const length = count(last);
    if (length === 0 || size === 0) throw unsatisfiable(header!, size);
    return { start: Math.max(size - length, 0), end: size };
  }
  const start = count(first);
  const end = last === "" ? size : Math.min(count(last) + 1, size);
  if (last !== "" && count(last) < start) return undefined;
  if (start >= size) throw unsatisfiable(header!, size);
  return { start, end };
}

function unsatisfiable(header: string, size: number): S3Error {
  return new S3Error(
    "InvalidRange",
    { RangeRequested: header.trim(), ActualObjectSize: String(size) },
    { headers: ["Content-Range", `bytes */${size}`] },
  );
}

/** `Content-Range` of an answer with this span. */
export const contentRange = (span: Span, size: number): string =>
  `bytes ${span.start}-${span.end - 1}/${size}`;

/** The `partNumber` of a query. @throws InvalidArgument unless it is an integer from 1 to 10,000 */
export function parsePartNumber(text: string): number {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= PART_NUMBER_MAX) return number;
  throw new S3Error(
    "InvalidArgument",
    { ArgumentName: "partNumber", ArgumentValue: text },
    { message: `Part number must be an integer between 1 and ${PART_NUMBER_MAX}, inclusive` },
  );
}

/**
 * The span of one part, counted as the client numbered it. An object that was uploaded whole has a part 1.
 * @throws InvalidPartNumber
 */
export function spanOfPart(version: ObjectVersion, partNumber: number): Span {
  if (version.parts === undefined) {
    if (partNumber === 1) return { start: 0, end: version.size };
    throw noSuchPart(partNumber, 1);
  }
  let start = 0;
  for (const part of version.parts) {
    if (part.partNumber === partNumber) return { start, end: start + part.size };
    start += part.size;
  }
  throw noSuchPart(partNumber, version.parts.length);
}

const noSuchPart = (requested: number, actual: number): S3Error =>
  new S3Error("InvalidPartNumber", {
    ActualPartCount: String(actual),
    PartNumberRequested: String(requested),
  });

/**
 * The span of `x-amz-copy-source-range`: `bytes=first-last` and nothing else, wholly inside the source; the whole source
 * without it. @throws InvalidArgument
 */
export function parseCopyRange(header: string | undefined, size: number): Span {
  if (header === undefined) return { start: 0, end: size };
  const parts = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(header);
  const start = Number(parts?.[1]);
  const last = Number(parts?.[2]);
  if (parts === null || last < start) {
    throw badCopyRange(
      header,
      "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
    );
  }
  if (last >= size)
    throw badCopyRange(header, `Range specified is not valid for source object of size: ${size}`);
  return { start, end: last + 1 };
}

const badCopyRange = (value: string, message: string): S3Error =>
  new S3Error(
    "InvalidArgument",
    { ArgumentName: "x-amz-copy-source-range", ArgumentValue: value },
    { message },
  );
