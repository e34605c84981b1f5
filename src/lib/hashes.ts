/**
 * Checksums of S3: streaming over any set of algorithms, and the arithmetic of multipart objects.
 * MD5, SHA and CRC32(C) run in native code, CRC64NVME and XXH in WebAssembly.
 */
import { createHash } from "node:crypto";
import { crc32, crc32c } from "@node-rs/crc32";
import { createCRC64, createXXHash128, createXXHash3, createXXHash64, type IHasher } from "hash-wasm";

/** AWS's names. CRC64NVME, CRC32, CRC32C can be FULL_OBJECT over parts; the others only COMPOSITE. */
export type ChecksumAlgorithm =
  | "CRC32"
  | "CRC32C"
  | "CRC64NVME"
  | "SHA1"
  | "SHA256"
  | "SHA512"
  | "MD5"
  | "XXHASH3"
  | "XXHASH64"
  | "XXHASH128";

/** Bytes of the digest, by which a client's base64 value is judged. */
const DIGEST_BYTES: Readonly<Record<ChecksumAlgorithm, number>> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
  SHA512: 64,
  MD5: 16,
  XXHASH3: 8,
  XXHASH64: 8,
  XXHASH128: 16,
};

export const CHECKSUM_ALGORITHMS = Object.keys(DIGEST_BYTES) as readonly ChecksumAlgorithm[];

const HEADER_PREFIX = "x-amz-checksum-";
const BY_HEADER: ReadonlyMap<string, ChecksumAlgorithm> = new Map(
  CHECKSUM_ALGORITHMS.map((algorithm) => [HEADER_PREFIX + algorithm.toLowerCase(), algorithm]),
);

export function isChecksumAlgorithm(text: string): text is ChecksumAlgorithm {
  return Object.hasOwn(DIGEST_BYTES, text);
}

/** The header or trailer that carries the value, in lower case: `x-amz-checksum-crc64nvme`. */
export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return HEADER_PREFIX + algorithm.toLowerCase();
}

/** The algorithm of a lower-case header name; undefined for all others, `x-amz-checksum-type` included. */
export function checksumOfHeader(name: string): ChecksumAlgorithm | undefined {
  return BY_HEADER.get(name);
}

/** Whether `base64` is the canonical encoding of a digest of the algorithm's length. */
export function isChecksumValue(algorithm: ChecksumAlgorithm, base64: string): boolean {
  const bytes = DIGEST_BYTES[algorithm];
  // The length is judged first, so that a huge header value is never decoded.
  if (base64.length !== Math.ceil(bytes / 3) * 4) return false;
  const decoded = Buffer.from(base64, "base64");
  return decoded.length === bytes && decoded.toString("base64") === base64;
}

export interface HashOptions {
  /** The ETag. */
  md5?: boolean;
  checksums: readonly ChecksumAlgorithm[];
}
export interface HashResult {
  /** Lower-case hex, when asked for. */
  md5?: string;
  /** Base64 by algorithm, of those asked for. */
  checksums: Partial<Record<ChecksumAlgorithm, string>>;
}
export interface Hasher {
  /** Reads `chunk` before it returns. */
  update(chunk: Uint8Array): void;
  /** Once, after the last update. */
  finish(): HashResult;
}

/** Starting one costs about a microsecond per algorithm; an abandoned one needs no clean-up. */
export function createHasher(options: HashOptions): Hasher {
  const algorithms = new Set(options.checksums);
  if (options.md5 === true) algorithms.add("MD5");
  const streams = [...algorithms].map((algorithm) => ({ algorithm, stream: DIGESTS[algorithm]() }));
  return {
    update(chunk) {
      for (const { stream } of streams) stream.update(chunk);
    },
    finish() {
      const result: HashResult = { checksums: {} };
      for (const { algorithm, stream } of streams) {
        const digest = stream.digest();
        if (algorithm === "MD5" && options.md5 === true) result.md5 = digest.toString("hex");
        if (options.checksums.includes(algorithm)) result.checksums[algorithm] = digest.toString("base64");
      }
      return result;
    },
  };
}

interface DigestStream {
  update(chunk: Uint8Array): void;
  digest(): Buffer;
}

function nodeDigest(name: string): DigestStream {
  const hash = createHash(name);
  return { update: (chunk) => void hash.update(chunk), digest: () => hash.digest() };
}

class CrcStream implements DigestStream {
  readonly #next: (input: Uint8Array, initialState?: number) => number;
  #value = 0;

  constructor(next: (input: Uint8Array, initialState?: number) => number) {
    this.#next = next;
  }

  update(chunk: Uint8Array): void {
    this.#value = this.#next(chunk, this.#value);
  }

  digest(): Buffer {
    const digest = Buffer.allocUnsafe(4);
    digest.writeUInt32BE(this.#value >>> 0);
    return digest;
  }
}

/**
 * One WebAssembly instance serves all streams of an algorithm: whoever updates next has the state of the one before
 * saved (about 1 µs and 8–600 bytes), so memory doesn't grow with uploads and starting a stream needs no await.
 */
class WasmEngine {
  readonly #instance: IHasher;
  #current: WasmStream | undefined;

  constructor(instance: IHasher) {
    this.#instance = instance;
  }

  /** The instance, with the stream's state in it. */
  enter(stream: WasmStream): IHasher {
    if (this.#current === stream) return this.#instance;
    if (this.#current !== undefined) this.#current.state = this.#instance.save();
    if (stream.state === undefined) this.#instance.init();
    else this.#instance.load(stream.state);
    this.#current = stream;
    return this.#instance;
  }

  leave(): void {
    this.#current = undefined;
  }
}

class WasmStream implements DigestStream {
  state: Uint8Array | undefined;
  readonly #engine: WasmEngine;

  constructor(engine: WasmEngine) {
    this.#engine = engine;
  }

  update(chunk: Uint8Array): void {
    this.#engine.enter(this).update(chunk);
  }

  digest(): Buffer {
    const digest = this.#engine.enter(this).digest("binary");
    this.#engine.leave();
    return Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength);
  }
}

/** Compiled once as the module loads (about 10 ms together), so that `createHasher` needs no await. */
const [CRC64NVME, XXHASH3, XXHASH64, XXHASH128] = await Promise.all([
  createCRC64("9a6c9329ac4bc9b5").then((instance) => new WasmEngine(instance)),
  createXXHash3().then((instance) => new WasmEngine(instance)),
  createXXHash64().then((instance) => new WasmEngine(instance)),
  createXXHash128().then((instance) => new WasmEngine(instance)),
]);

const DIGESTS: Readonly<Record<ChecksumAlgorithm, () => DigestStream>> = {
  CRC32: () => new CrcStream(crc32),
  CRC32C: () => new CrcStream(crc32c),
  CRC64NVME: () => new WasmStream(CRC64NVME),
  SHA1: () => nodeDigest("sha1"),
  SHA256: () => nodeDigest("sha256"),
  SHA512: () => nodeDigest("sha512"),
  MD5: () => nodeDigest("md5"),
  XXHASH3: () => new WasmStream(XXHASH3),
  XXHASH64: () => new WasmStream(XXHASH64),
  XXHASH128: () => new WasmStream(XXHASH128),
};

/** `hex-N` over the hex MD5s of the parts in order. */
export function multipartEtag(md5s: readonly string[]): string {
  const hash = createHash("md5");
  for (const md5 of md5s) hash.update(md5, "hex");
  return `${hash.digest("hex")}-${md5s.length}`;
}

/** COMPOSITE: the checksum of the parts' decoded checksums in order, base64. The caller appends `-N`. */
export function composite(algorithm: ChecksumAlgorithm, values: readonly string[]): string {
  const stream = DIGESTS[algorithm]();
  stream.update(Buffer.concat(values.map((value) => Buffer.from(value, "base64"))));
  return stream.digest().toString("base64");
}

/** A value of up to 64 bits as two unsigned words; a CRC32 lies in `low`. */
interface Words {
  high: number;
  low: number;
}

/** Reflected polynomials: the highest bit of the width stands for x^0. */
const POLYNOMIALS: Partial<Record<ChecksumAlgorithm, Words>> = {
  CRC32: { high: 0, low: 0xedb88320 },
  CRC32C: { high: 0, low: 0x82f63b78 },
  CRC64NVME: { high: 0x9a6c9329, low: 0xac4bc9b5 },
};

function oneBit(bit: number): Words {
  return bit >= 32 ? { high: (1 << (bit - 32)) >>> 0, low: 0 } : { high: 0, low: (1 << bit) >>> 0 };
}

/** Whether checksums of parts can be combined to that of the whole: CRC32, CRC32C, CRC64NVME. */
export function canCombine(algorithm: ChecksumAlgorithm): boolean {
  return POLYNOMIALS[algorithm] !== undefined;
}

/**
 * FULL_OBJECT: the checksum of the concatenation of parts of which only checksums (base64) and sizes (bytes) are known.
 * 10,000 parts take 3 ms, 30 when no two are of one size. @throws RangeError for an algorithm that `canCombine` denies
 */
export function combineFullObject(
  algorithm: ChecksumAlgorithm,
  parts: readonly { value: string; size: number }[],
): string {
  const polynomial = POLYNOMIALS[algorithm];
  if (polynomial === undefined) throw new RangeError(`${algorithm} can't be combined`);
  const bytes = DIGEST_BYTES[algorithm];
  const field = new CrcField(polynomial, bytes * 8);
  let total: Words = { high: 0, low: 0 };
  for (const { value, size } of parts) {
    const part = toWords(Buffer.from(value, "base64"), bytes);
    // crc(A ++ B) = crc(A) · x^(8·|B|) + crc(B): the initial and final inversions of these CRCs cancel out.
    const shifted = field.multiply(total, field.shift(size));
    total = { high: (shifted.high ^ part.high) >>> 0, low: (shifted.low ^ part.low) >>> 0 };
  }
  const digest = Buffer.allocUnsafe(bytes);
  digest.writeUInt32BE(total.low, bytes - 4);
  if (bytes === 8) digest.writeUInt32BE(total.high, 0);
  return digest.toString("base64");
}

function toWords(digest: Buffer, bytes: number): Words {
  if (digest.length !== bytes)
    throw new RangeError(`A digest of ${bytes} bytes was expected, not ${digest.length}`);
  return { high: bytes === 8 ? digest.readUInt32BE(0) : 0, low: digest.readUInt32BE(bytes - 4) };
}

/** Arithmetic of polynomials over GF(2) modulo a CRC's polynomial, in reflected bit order. */
class CrcField {
  readonly #polynomial: Words;
  readonly #width: number;
  readonly #one: Words;
  /** x^(8·2^k) by k, grown as sizes ask for it. */
  readonly #powers: Words[];
  /** Parts mostly have one size, and the last one another. */
  readonly #shifts = new Map<number, Words>();

  constructor(polynomial: Words, width: number) {
    this.#polynomial = polynomial;
    this.#width = width;
    this.#one = oneBit(width - 1);
    this.#powers = [oneBit(width - 1 - 8)];
  }

  /** x^(8·bytes). */
  shift(bytes: number): Words {
    const known = this.#shifts.get(bytes);
    if (known !== undefined) return known;
    let result = this.#one;
    // Sizes pass 2^32, so bits are taken off by division.
    for (let rest = bytes, k = 0; rest > 0; rest = Math.floor(rest / 2), k++) {
      const last = this.#powers.at(-1)!;
      if (k === this.#powers.length) this.#powers.push(this.multiply(last, last));
      if (rest % 2 === 1) result = this.multiply(result, this.#powers[k]!);
    }
    this.#shifts.set(bytes, result);
    return result;
  }

  multiply(a: Words, b: Words): Words {
    // Local 32-bit integers, and masks instead of branches that would be mispredicted half of the time.
    const [aHigh, aLow] = [a.high | 0, a.low | 0];
    const [polynomialHigh, polynomialLow] = [this.#polynomial.high | 0, this.#polynomial.low | 0];
    let [high, low] = [b.high | 0, b.low | 0];
    let productHigh = 0;
    let productLow = 0;
    for (let bit = this.#width - 1; bit >= 0; bit--) {
      const set = -(((bit >= 32 ? aHigh : aLow) >>> (bit & 31)) & 1);
      productHigh ^= high & set;
      productLow ^= low & set;
      const carry = -(low & 1);
      low = ((low >>> 1) | (high << 31)) ^ (polynomialLow & carry);
      high = (high >>> 1) ^ (polynomialHigh & carry);
    }
    return { high: productHigh >>> 0, low: productLow >>> 0 };
  }
}
