/**
 * The ordered, transactional key-value store that everything Windlass knows lives in.
 * Engines: sqlite.ts (commits through writer.ts), memory.ts. All pass test/contract/meta.
 */

/** An order-preserving encoded tuple: compare with `Buffer.compare`. At most 2,500 bytes (PostgreSQL's index limit). */
export type Key = Buffer;
export type KeyPart = string | number;

/** Keys k with `start <= k < end`. */
export interface KeyRange {
  start: Key;
  end: Key;
}

export interface Entry {
  key: Key;
  value: Buffer;
}

/** The reads a snapshot's generator may ask for; call each with `yield*`. */
export interface SnapshotReads {
  get(key: Key): Generator<unknown, Buffer | undefined, unknown>;
  getMany(keys: readonly Key[]): Generator<unknown, (Buffer | undefined)[], unknown>;
  scan(range: KeyRange, options: ScanOptions): Generator<unknown, Entry[], unknown>;
  sum(key: Key): Generator<unknown, number, unknown>;
  getBody(id: number): Generator<unknown, Buffer | undefined, unknown>;
}

export interface ScanOptions {
  /** At most this many entries, 1 to 10,000. */
  limit: number;
  /** From the end of the range downwards. */
  reverse?: boolean;
}

/** One condition that must hold at the moment of the commit. */
export type Check =
  | { key: Key; value: Buffer } // is exactly this
  | { key: Key; absent: true }
  | { key: Key; present: true } // is there, whatever its value
  | { empty: KeyRange }; // holds no key

export type Write = { key: Key; value: Buffer } | { key: Key; delete: true } | { key: Key; add: number };

export interface Commit {
  checks?: Check[];
  writes?: Write[];
  bodies?: { put?: { id: number; bytes: Buffer }[]; delete?: number[] };
  /**
   * Frees space now or later (a delete, an abort, the sweeper's work): when the disk is full it may use the space
   * that the engine keeps in reserve for this. A commit that puts no body and deletes at least as much as it writes
   * is treated so without being marked.
   */
  reclaims?: boolean;
}

/**
 * Why a commit could not be carried out.
 * `overloaded`: queue full, nothing written; `full`: disk full, nothing written; `readonly`: an I/O error made
 * the engine refuse writes until the operator restarts it, nothing written by this commit as far as is known;
 * `unknown`: the answer was lost, the commit may stand (never resend it, never remove its blobs).
 */
export type MetaErrorKind = "overloaded" | "full" | "readonly" | "unknown";

export class MetaError extends Error {
  readonly kind: MetaErrorKind;
  constructor(kind: MetaErrorKind, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "MetaError";
    this.kind = kind;
  }
}

export interface Meta {
  get(key: Key): Promise<Buffer | undefined>;
  getMany(keys: readonly Key[]): Promise<(Buffer | undefined)[]>;
  /** Entries in key order (or reverse). */
  scan(range: KeyRange, options: ScanOptions): Promise<Entry[]>;
  /**
   * A counter kept by `add`; 0 when never written. Counters are read through this only: they live apart from the
   * values, `get`, `scan` and checks don't see them, and `{ key, delete: true }` removes the value and the counter.
   */
  sum(key: Key): Promise<number>;
  /** A small body by id. */
  getBody(id: number): Promise<Buffer | undefined>;
  /** A body id that was never used and never will be again: rising, below 2^53. */
  newBodyId(): Promise<number>;
  /** Several reads of one moment. The generator yields reads only and does nothing else that waits. */
  snapshot<T>(body: (read: SnapshotReads) => Generator<unknown, T, unknown>): Promise<T>;
  /**
   * All or nothing, durable when it resolves. `false`: a check failed, nothing was written.
   * @throws MetaError. With nothing written: RangeError for a key above 2,500 bytes, an amount or id that is no safe
   * integer, or (through the writer) a commit above 16 MiB; Error for a body id that was used before.
   */
  commit(commit: Commit): Promise<boolean>;
  /** Undefined while writes are possible, else why they are not (for /health/ready). */
  health(): string | undefined;
  close(): Promise<void>;
}
