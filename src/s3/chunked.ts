/** Bodies that prove themselves as they are read: a hash named in advance, or aws-chunked with signatures and trailers. */
import { createHash, createHmac, hash } from "node:crypto";
import { S3Error } from "./errors.ts";
import { sameSignature, signatureDoesNotMatch, type SigningKey } from "./signing.ts";

/** Bytes of a chunk's head line; a signed one has up to 101. Stops a line without end from being kept in memory. */
const MAX_HEAD_BYTES = 1024;
/** Bytes of all trailers. Stops a trailer without end from being kept in memory. */
const MAX_TRAILER_BYTES = 8192;
/** Smallest chunk but the last, in bytes: S3's own limit. Stops bodies that are mostly chunk heads and signatures. */
const MIN_CHUNK_BYTES = 8192;

export const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** Passes a body on and, at its end, throws S3Error XAmzContentSHA256Mismatch if its SHA-256 is not `expected`. */
export async function* verifySha256(
  source: AsyncIterable<Buffer>,
  expected: string,
  contentLength: number | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  let hasher: ReturnType<typeof createHash> | undefined;
  let actual = EMPTY_SHA256;
  for await (const chunk of source) {
    if (hasher === undefined && chunk.length === contentLength) {
      // The whole body at once, as small ones come: known to be wrong before anybody gets it.
      actual = hash("sha256", chunk, "hex");
      checkSha256(expected, actual);
    } else {
      hasher ??= createHash("sha256");
      hasher.update(chunk);
    }
    yield chunk;
  }
  checkSha256(expected, hasher === undefined ? actual : hasher.digest("hex"));
}

function checkSha256(expected: string, actual: string): void {
  if (expected.toLowerCase() === actual) return;
  throw new S3Error("XAmzContentSHA256Mismatch", {
    ClientComputedContentSHA256: expected,
    S3ComputedContentSHA256: actual,
  });
}

/** How the chunks of a body are signed: each signature covers the one before it, the first the request's own. */
export interface ChunkSignatures {
  readonly signing: SigningKey;
  readonly stamp: string;
  /** The request's signature. */
  readonly seed: string;
  readonly accessKeyId: string;
}

export interface ChunkedOptions {
  /** x-amz-decoded-content-length. */
  readonly decodedLength: number;
  /** Undefined: chunks are not signed. */
  readonly signatures: ChunkSignatures | undefined;
  /** Names announced in x-amz-trailer, lower case. Undefined: this kind of body has no trailers. */
  readonly trailers: readonly string[] | undefined;
  /** Called with all trailers, verified, before the body ends. */
  readonly onTrailers: (trailers: Record<string, string>) => void;
}

/**
 * The content of an aws-chunked body, as slices of what arrives: nothing is gathered, so what is handed out is
 * proven only when the end is reached.
 * @throws S3Error IncompleteBody, InvalidChunkSizeError, MalformedTrailerError, SignatureDoesNotMatch
 */
export async function* decodeChunked(
  source: AsyncIterable<Buffer>,
  options: ChunkedOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const decoder = new ChunkedDecoder(options);
  for await (const piece of source) {
    decoder.push(piece);
    for (let slice = decoder.next(); slice !== undefined; slice = decoder.next()) yield slice;
  }
  decoder.end();
}

/** `head` → `data` → `gap` (the line end after data) → `head` … → `trailer` → `done`. */
type State = "head" | "data" | "gap" | "trailer" | "done";

class ChunkedDecoder {
  readonly #options: ChunkedOptions;
  readonly #verifier: ChunkVerifier | undefined;
  readonly #trailers: Record<string, string> = Object.create(null) as Record<string, string>;
  #state: State = "head";
  #input: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Bytes of the current chunk still to come. */
  #left = 0;
  #size = 0;
  #chunks = 0;
  #decoded = 0;
  #trailerBytes = 0;
  #trailerSignature: string | undefined;

  constructor(options: ChunkedOptions) {
    this.#options = options;
    this.#verifier = options.signatures === undefined ? undefined : new ChunkVerifier(options.signatures);
  }

  /** Takes the next piece. Only the part of a line can be left of the one before: then, rarely, the piece is copied. */
  push(piece: Buffer): void {
    const rest = this.#at < this.#input.length ? this.#input.subarray(this.#at) : undefined;
    this.#input = rest === undefined ? piece : Buffer.concat([rest, piece]);
    this.#at = 0;
  }

  /** The next slice of content; undefined when more input is needed. */
  next(): Buffer | undefined {
    while (this.#at < this.#input.length) {
      if (this.#state === "data") return this.#takeData();
      if (this.#state === "done") throw incomplete(this.#options.decodedLength, this.#decoded);
      const line = this.#takeLine();
      if (line === undefined) return undefined;
      if (this.#state === "head") this.#startChunk(line);
      else if (this.#state === "gap") this.#endGap(line);
      else this.#takeTrailer(line);
    }
    return undefined;
  }

  end(): void {
    // Clients have left out the very last, empty line; everything it could end has been verified by then.
    const bare =
      this.#state === "trailer" && this.#options.trailers === undefined && this.#at >= this.#input.length;
    if (bare) this.#finish();
    if (this.#state !== "done") throw incomplete(this.#options.decodedLength, this.#decoded);
  }

  #takeData(): Buffer {
    const end = Math.min(this.#input.length, this.#at + this.#left);
    const slice = this.#input.subarray(this.#at, end);
    this.#at = end;
    this.#left -= slice.length;
    this.#decoded += slice.length;
    this.#verifier?.update(slice, this.#left === 0);
    if (this.#left === 0) this.#state = "gap";
    return slice;
  }

  /** Up to the next line end, which is skipped; undefined when it has not arrived. */
  #takeLine(): string | undefined {
    const limit = this.#state === "trailer" ? MAX_TRAILER_BYTES : this.#state === "gap" ? 0 : MAX_HEAD_BYTES;
    const window = this.#input.subarray(this.#at, this.#at + limit + 2);
    const end = window.indexOf("\r\n");
    if (end === -1) {
      if (window.length < limit + 2) return undefined;
      throw this.#state === "trailer"
        ? malformedTrailer()
        : incomplete(this.#options.decodedLength, this.#decoded);
    }
    this.#at += end + 2;
    return window.toString("latin1", 0, end);
  }

  #startChunk(line: string): void {
    const parts = /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-fA-F]{64}))?$/.exec(line);
    const signature = parts?.[2];
    if (parts === null || (signature === undefined) !== (this.#verifier === undefined)) {
      throw incomplete(this.#options.decodedLength, this.#decoded);
    }
    const size = Number.parseInt(parts[1]!, 16);
    this.#chunks++;
    if (size > 0 && this.#chunks > 1 && this.#size < MIN_CHUNK_BYTES) {
      throw new S3Error("InvalidChunkSizeError", {
        Chunk: String(this.#chunks),
        BadChunkSize: String(this.#size),
      });
    }
    if (this.#decoded + size > this.#options.decodedLength) {
      throw incomplete(this.#options.decodedLength, this.#decoded + size);
    }
    this.#size = size;
    this.#left = size;
    this.#verifier?.start(signature!, size);
    this.#state = size === 0 ? "trailer" : "data";
  }

  #endGap(line: string): void {
    if (line !== "") throw incomplete(this.#options.decodedLength, this.#decoded);
    this.#state = "head";
  }

  #takeTrailer(line: string): void {
    this.#trailerBytes += line.length + 2;
    if (this.#trailerBytes > MAX_TRAILER_BYTES) throw malformedTrailer();
    if (line === "") this.#finish();
    // S3's own example, and minio-go, end each trailer with a bare line feed and all of them with CRLF.
    else for (const trailer of line.split("\n")) if (trailer !== "") this.#addTrailer(trailer);
  }

  #addTrailer(trailer: string): void {
    const announced = this.#options.trailers;
    const colon = trailer.indexOf(":");
    if (announced === undefined || colon === -1 || this.#trailerSignature !== undefined)
      throw malformedTrailer();
    const name = trailer.slice(0, colon).trim().toLowerCase();
    const value = trailer.slice(colon + 1).trim();
    if (name === "x-amz-trailer-signature" && this.#verifier !== undefined) {
      this.#trailerSignature = value;
      return;
    }
    if (name in this.#trailers || !announced.includes(name)) throw malformedTrailer();
    this.#trailers[name] = value;
  }

  #finish(): void {
    this.#state = "done";
    if (this.#decoded !== this.#options.decodedLength) {
      throw incomplete(this.#options.decodedLength, this.#decoded);
    }
    const announced = this.#options.trailers;
    if (announced === undefined) return;
    if (announced.some((name) => !(name in this.#trailers))) throw malformedTrailer();
    if (this.#verifier !== undefined) {
      if (this.#trailerSignature === undefined) throw malformedTrailer();
      this.#verifier.checkTrailers(this.#trailers, this.#trailerSignature);
    }
    this.#options.onTrailers(this.#trailers);
  }
}

/** Checks the chain of signatures, hashing as the bytes pass. */
class ChunkVerifier {
  readonly #signatures: ChunkSignatures;
  #previous: string;
  #expected = "";
  #size = 0;
  #hasher: ReturnType<typeof createHash> | undefined;

  constructor(signatures: ChunkSignatures) {
    this.#signatures = signatures;
    this.#previous = signatures.seed;
  }

  start(signature: string, size: number): void {
    this.#expected = signature;
    this.#size = size;
    this.#hasher = undefined;
    if (size === 0) this.#checkChunk(EMPTY_SHA256);
  }

  update(slice: Buffer, last: boolean): void {
    if (slice.length === this.#size) {
      this.#checkChunk(hash("sha256", slice, "hex"));
      return;
    }
    this.#hasher ??= createHash("sha256");
    this.#hasher.update(slice);
    if (last) this.#checkChunk(this.#hasher.digest("hex"));
  }

  #checkChunk(digest: string): void {
    const text = `${this.#previous}\n${EMPTY_SHA256}\n${digest}`;
    this.#previous = this.#check("AWS4-HMAC-SHA256-PAYLOAD", text, this.#expected);
  }

  checkTrailers(trailers: Readonly<Record<string, string>>, signature: string): void {
    let text = "";
    for (const name of Object.keys(trailers).toSorted()) text += `${name}:${trailers[name]}\n`;
    this.#check("AWS4-HMAC-SHA256-TRAILER", `${this.#previous}\n${hash("sha256", text, "hex")}`, signature);
  }

  #check(algorithm: string, text: string, provided: string): string {
    const { signing, stamp, accessKeyId } = this.#signatures;
    const stringToSign = `${algorithm}\n${stamp}\n${signing.scope}\n${text}`;
    const signature = createHmac("sha256", signing.key).update(stringToSign).digest("hex");
    if (sameSignature(signature, provided)) return signature;
    throw signatureDoesNotMatch({ accessKeyId, provided, stringToSign });
  }
}

function incomplete(expected: number, provided: number): S3Error {
  const detail = { NumberBytesExpected: String(expected), NumberBytesProvided: String(provided) };
  return new S3Error("IncompleteBody", detail);
}

function malformedTrailer(): S3Error {
  return new S3Error("MalformedTrailerError");
}
