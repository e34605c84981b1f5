/**
 * Immutable byte strings by id. Engines: files.ts, memory.ts. All pass test/contract/blob.
 * A blob is visible to nobody until metadata names it; blob/ knows nothing of metadata.
 */

/** Where bytes can be read from: our blobs here, foreign origins in delivery. */
export interface BlobReader {
  /**
   * Bytes `start` (inclusive) to `end` (exclusive) in order. A chunk's memory is valid only until the next chunk is asked
   * for: copy what must outlive that. Returning early from the loop closes the source.
   * @throws BlobMissing before the first chunk, or BlobDamaged in mid-stream when fewer bytes are there.
   */
  read(id: string, start: number, end: number): AsyncIterable<Buffer>;
}

/** Bytes `start` (inclusive) to `end` (exclusive) of a file. */
export interface FileRange {
  readonly path: string;
  readonly start: number;
  readonly end: number;
}

export interface BlobStore extends BlobReader {
  /** Starts a blob whose id begins with this store's incarnation: `${incarnation}-${time-ordered rest}`. */
  create(): Promise<BlobWriter>;
  /** Removes it; removing what is not there succeeds. */
  remove(id: string): Promise<void>;
  size(id: string): Promise<number | undefined>;
  /**
   * The file of this machine that holds a blob, and nothing else, for other processes to read: it may be gone when they
   * try. Undefined where there is none.
   */
  pathOf(id: string): string | undefined;
  /** All incarnations that have left blobs here, this one's included. */
  incarnations(): Promise<string[]>;
  /** Ids of one incarnation's blobs, unfinished ones included, in order, not all in memory. */
  list(incarnation: string): AsyncIterable<string>;
  /** Free bytes for new blobs; Infinity in memory. */
  free(): Promise<number>;
  /** This process's incarnation: 1–32 characters [0-9a-z], unique for ever. */
  readonly incarnation: string;
  close(): Promise<void>;
}

export interface BlobWriter {
  readonly id: string;
  /**
   * Takes over `chunk` (the caller must not change it afterwards) and resolves when more may come: at most two
   * writes are under way. @throws BlobFull
   */
  write(chunk: Buffer): Promise<void>;
  /** Resolves when bytes and directory entry are on stable storage; returns the size in bytes. @throws BlobFull */
  finish(): Promise<number>;
  /** Removes what was written. Never throws. */
  abort(): Promise<void>;
}

export class BlobMissing extends Error {
  override readonly name: string = "BlobMissing";
}
export class BlobDamaged extends Error {
  override readonly name: string = "BlobDamaged";
}
/** No space left (ENOSPC, EDQUOT). */
export class BlobFull extends Error {
  override readonly name: string = "BlobFull";
}
/** A failed fsync or I/O error: the store refuses further writes until restarted. */
export class BlobBroken extends Error {
  override readonly name: string = "BlobBroken";
}
