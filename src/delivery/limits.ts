/** What one request may cost. Each limit stands beside the attack that it stops; all but the constants are settings. */
import { availableParallelism } from "node:os";

const MIB = 1024 ** 2;

export interface DeliveryLimits {
  /** Bytes of a source that is to be transformed. Stops a terabyte object from being read into memory. */
  readonly sourceBytes: number;
  /** Pixels of a source (width × height). Stops bombs: a PNG of 31 kB can hold 256 million pixels. */
  readonly sourcePixels: number;
  /** Pixels that one operation may produce. Stops `w-16000,h-16000` on a picture of one pixel. */
  readonly resultPixels: number;
  /** Longest side of a result, in pixels: what WebP can hold. Stops strips of 1 × 50,000,000. */
  readonly resultSide: number;
  /** Frames of an animation that is worked on; their pixels together obey `sourcePixels`. Stops endless GIFs. */
  readonly frames: number;
  /** Bytes of an encoded result. Stops noise as PNG from filling memory, cache and network. */
  readonly resultBytes: number;
  /**
   * Seconds for a source to come once it is its turn, and as many again to render it; then the renderer is killed. Stops
   * slow codecs.
   */
  readonly renderSeconds: number;
  /** Renders that may wait in one process; more are answered 429. Stops a flood of new URLs from piling up memory. */
  readonly queueLength: number;
  /** Pictures that one process makes at the same time, as it begins. Up to three share a renderer. */
  readonly renderers: number;
  /** Renders after which a renderer is replaced. Stops leaks in codecs. */
  readonly rendersPerProcess: number;
  /**
   * Resident bytes at which a renderer is killed at its work (Linux); twice as many where that is several pictures. Stops
   * codecs that take gigabytes for kilobytes.
   */
  readonly renderBytes: number;
  /**
   * Resident bytes above which a renderer is replaced after its render; as many again where another is under way. Stops
   * heap fragmentation from growing for ever.
   */
  readonly rendererBytes: number;
  /** Seconds without work after which a renderer ends, so that an idle server holds no codec in memory. */
  readonly idleSeconds: number;
  /** Bytes of the derived cache on disk. Stops endless variants of one picture from filling the disk. */
  readonly cacheBytes: number;
  /** Bytes of hot results that one process holds in memory. */
  readonly memoryBytes: number;
}

export const DEFAULT_LIMITS: DeliveryLimits = {
  sourceBytes: 40 * MIB,
  sourcePixels: 50_000_000,
  resultPixels: 50_000_000,
  resultSide: 16_383,
  frames: 1000,
  resultBytes: 40 * MIB,
  renderSeconds: 10,
  queueLength: 100,
  renderers: Math.max(1, Math.floor(availableParallelism() / 2)),
  rendersPerProcess: 10_000,
  renderBytes: 1024 * MIB,
  rendererBytes: 384 * MIB,
  idleSeconds: 60,
  cacheBytes: 1024 * MIB,
  memoryBytes: 16 * MIB,
};

/** Steps of one chain. Stops a URL of a thousand resizes. */
export const CHAIN_MAX = 8;
/** Layers of one URL, nested ones included. Stops a URL that opens a thousand pictures. */
export const LAYERS_MAX = 16;
/** Layers within layers. */
export const NESTING_MAX = 3;
/** Operators of one expression, conditions of one `if`. Stops sums without end. */
export const OPERATORS_MAX = 32;
/** Characters of one text layer, written plainly and in Base64. */
export const TEXT_MAX = 2000;
export const TEXT_BASE64_MAX = 2500;
/** Bytes of a path after decoding: no key is longer. */
export const PATH_BYTES_MAX = 1024;
/** Bytes of a path that is a URL, for a web proxy: those of a request's whole target. Presigned ones have two thousand. */
export const URL_BYTES_MAX = 8192;
/** Pixels up to which `f-auto` encodes AVIF, which costs a core about 0.14 µs each at effort 0. */
export const AUTO_AVIF_PIXELS = 4_000_000;
/** Pixels up to which `f-auto` encodes a still as WebP, at about 0.1 µs each. */
export const AUTO_WEBP_PIXELS = 16_000_000;
