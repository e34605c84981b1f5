/** What one film may cost. Each limit stands beside the attack that it stops. */
import { availableParallelism } from "node:os";

const MIB = 1024 ** 2;

export interface VideoLimits {
  /** Bytes of a source, and of all its layers together. Stops a terabyte from being copied next to the encoder. */
  readonly sourceBytes: number;
  /** Seconds of a source and of a result. Stops a year-long film of one frame. */
  readonly duration: number;
  /** Width times height, of a source and of whatever a step makes. Stops frames that fill the memory. */
  readonly pixels: number;
  /** Bytes of a result. Stops noise from filling the disk. */
  readonly resultBytes: number;
  /** Seconds of one encoding, of one stream and of one thumbnail; then the encoder is killed. Stops slow codecs. */
  readonly encodeSeconds: number;
  readonly streamSeconds: number;
  readonly frameSeconds: number;
  /** Bytes of the encoder's address space. Stops demuxers that believe what headers say. */
  readonly memoryBytes: number;
  /** Threads of one encoder. Stops a film from taking every core, and memory with each. */
  readonly threads: number;
  /** Films that one process encodes at once, as many streams, and how many of each may wait; more are answered 429. Stops floods. */
  readonly encoders: number;
  /** The same for thumbnails. */
  readonly thumbnails: number;
  readonly queueLength: number;
  /** Bytes of all streams on this node; the least recently used go. Stops endless sets of renditions. */
  readonly streamBytes: number;
}

export const DEFAULT_VIDEO_LIMITS: VideoLimits = {
  sourceBytes: 300 * MIB,
  duration: 4 * 3600,
  pixels: 4096 * 2304,
  resultBytes: 512 * MIB,
  encodeSeconds: 1800,
  streamSeconds: 4 * 3600,
  frameSeconds: 20,
  memoryBytes: 6 * 1024 * MIB,
  threads: Math.min(8, availableParallelism()),
  encoders: 1,
  thumbnails: 2,
  queueLength: 20,
  streamBytes: 1024 * MIB,
};

/** Frames a second at most. Stops headers that promise a million. */
export const FRAME_RATE_MAX = 60;
/** Streams within one file. Stops files of ten thousand subtitle tracks. */
export const STREAMS_MAX = 64;
/**
 * Pixels of all frames of a GIF together: a thousand of the size of a screen. Stops files of a few megabytes that say a
 * hundred thousand times that nothing changes.
 */
export const GIF_PIXELS_MAX = 2_000_000_000;
/** Bytes of a file of subtitles, and entries of it. Stops libraries in the guise of subtitles. */
export const SUBTITLES_BYTES_MAX = 2 * MIB;
export const CUES_MAX = 20_000;
/** Different signs of subtitles: newspapers in Chinese have some 3500. Stops tables of all of Unicode. */
export const SIGNS_MAX = 5000;
/** Letters of subtitles that are seen at once: each frame lays them out anew. Stops a novel on every frame. */
export const LETTERS_AT_ONCE_MAX = 5000;
/** Pixels of the sides that H.264, VP9 and AV1 all can have. */
export const SIDE_MAX = 8192;
