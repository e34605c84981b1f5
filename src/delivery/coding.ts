/**
 * Content codings (RFC 9110, sections 8.4 and 12.5.3): text goes out compressed to who takes it so, made anew for each
 * answer. Films, PDFs and pictures of pixels are compressed in themselves, and their readers want ranges of them.
 */
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { collect } from "../lib/chunks.ts";
import type { HttpRequest, HttpResponse } from "../lib/http.ts";

/** The smaller one first. */
const CODINGS = ["br", "gzip"] as const;
export type Coding = (typeof CODINGS)[number];

/** Brotli's of 11: above it each step costs a client's time more than it saves. */
const BROTLI_QUALITY = 4;
const [brotli, zip] = [promisify(brotliCompress), promisify(gzip)];
const COMPRESS: Readonly<Record<Coding, (bytes: Buffer) => Promise<Buffer>>> = {
  br: (bytes) => brotli(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY } }),
  gzip: (bytes) => zip(bytes),
};

/** Shorter texts fit into one packet anyway; longer ones would take the processor and memory from others. */
const BYTES_MIN = 1024;
const BYTES_MAX = 2 * 1024 * 1024;
/** Of texts that are compressed or on their way at once, in this process. Beyond, they go out as they are. */
const BYTES_AT_ONCE = 32 * 1024 * 1024;
let bytesAtWork = 0;

const TEXT =
  /^(text\/[^;]+|image\/svg\+xml|application\/((x-)?javascript|json|xml|[^;]+\+(json|xml)|vnd\.apple\.mpegurl|x-mpegurl))\s*(;|$)/i;

/** What is known of an answer before its bytes are there. */
interface Foreseen {
  readonly type: string;
  /** The coding that the bytes have of themselves. */
  readonly contentEncoding?: string | undefined;
  readonly cacheControl: string;
  readonly size?: number | undefined;
}

/** Whether it depends on Accept-Encoding how such an answer goes out. */
export const isCodable = ({ type, contentEncoding, cacheControl }: Foreseen): boolean =>
  contentEncoding === undefined && TEXT.test(type) && !/(^|[,\s])no-transform\b/i.test(cacheControl);

/**
 * The coding that an answer goes out in. Undefined: as it is. Ranges are of that alone, so that all clients have the same
 * bytes at the same places.
 */
export function codingOf(headers: HttpRequest["headers"], answer: Foreseen): Coding | undefined {
  const { size } = answer;
  if (!isCodable(answer) || headers["range"] !== undefined) return undefined;
  if (size !== undefined && (size < BYTES_MIN || size > BYTES_MAX)) return undefined;
  if (bytesAtWork + (size ?? 0) > BYTES_AT_ONCE) return undefined;
  return preferred(headers["accept-encoding"]);
}

function preferred(accepted: string | undefined): Coding | undefined {
  const weights = new Map<string, number>();
  for (const item of accepted?.toLowerCase().split(",") ?? []) {
    const [, name = "", weight = "1"] = /^\s*([^;\s]+)\s*(?:;\s*q\s*=\s*([\d.]+))?/.exec(item) ?? [];
    weights.set(name, Number(weight));
  }
  const weightOf = (name: string): number => weights.get(name) ?? weights.get("*") ?? 0;
  const best = CODINGS.reduce((one, other) => (weightOf(other) > weightOf(one) ? other : one));
  // Who names what is not coded may prefer it.
  return weightOf(best) > 0 && weightOf(best) >= (weights.get("identity") ?? 0) ? best : undefined;
}

/** @throws what `body` throws; Error when it has another number of bytes than `size` */
export async function* coded(
  body: NonNullable<HttpResponse["body"]>,
  size: number,
  coding: Coding,
): AsyncGenerator<Buffer> {
  bytesAtWork += size;
  try {
    yield await COMPRESS[coding](await bytesOf(body, size));
  } finally {
    bytesAtWork -= size;
  }
}

async function bytesOf(body: NonNullable<HttpResponse["body"]>, size: number): Promise<Buffer> {
  if (typeof body === "string" || Buffer.isBuffer(body)) return Buffer.from(body);
  const bytes = await collect(body);
  if (bytes.length !== size) throw new Error(`${bytes.length} bytes instead of the ${size} announced`);
  return bytes;
}
