/**
 * Disk space kept back for the moment when there is none: on a full file system SQLite can neither delete, nor write
 * its log back, nor give pages back, so that without this nothing would lead out of it.
 */
import { randomBytes } from "node:crypto";
import { rmSync, statfsSync, statSync, truncateSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import type { Logger } from "../lib/log.ts";

const CHUNK_BYTES = 1024 * 1024;
/** The reserve grows in steps, so that a small store keeps a small one. */
const STEP_BYTES = 4 * CHUNK_BYTES;
/** It is rebuilt only where this much more is free, lest rebuilding it be what fills the disk. */
const SLACK_BYTES = 2 * STEP_BYTES;

/** Milliseconds between attempts to make it larger. */
const RETRY_MS = 500;

export class Reserve {
  readonly #path: string;
  readonly #bytesMax: number;
  readonly #log: Logger;
  #held: number;
  #growing: Promise<void> | undefined;
  #notBefore = 0;
  /** Moves with each release: a growth that began before it stops. */
  #era = 0;

  constructor(path: string, bytesMax: number, log: Logger) {
    this.#path = path;
    this.#bytesMax = bytesMax;
    this.#log = log;
    this.#held = sizeOf(path);
  }

  /** Bytes on disk now. */
  get held(): number {
    return this.#held;
  }

  /**
   * Grows it in the background to three times the log, which is what writing the log back, deleting, and the log of
   * doing so can need at worst. A log that never was long needs no more, hence not the whole bound from the start.
   */
  growFor(logBytes: number): void {
    const wanted = Math.min(Math.max(Math.ceil((3 * logBytes) / STEP_BYTES), 1) * STEP_BYTES, this.#bytesMax);
    const now = Date.now();
    if (wanted <= this.#held || this.#growing !== undefined || now < this.#notBefore) return;
    this.#notBefore = now + RETRY_MS;
    const missing = wanted - this.#held;
    const disk = statfsSync(dirname(this.#path));
    if (disk.bavail * disk.bsize < missing + Math.min(SLACK_BYTES, missing)) return;
    this.#growing = this.#grow(wanted, this.#era)
      .catch((error: unknown) => {
        this.#held = sizeOf(this.#path);
        this.#log.warn({ err: error }, "The disk-space reserve could not be written in full");
      })
      .finally(() => (this.#growing = undefined));
  }

  /** Gives the space back at once. False: there was none. */
  release(): boolean {
    if (this.#held === 0 && this.#growing === undefined) return false;
    this.#era++;
    this.#held = 0;
    // Truncated first: a growth under way holds the file open, and an open file keeps its blocks when unlinked.
    truncateSync(this.#path, 0);
    rmSync(this.#path, { force: true });
    return true;
  }

  /** Waits for a growth under way. */
  async settle(): Promise<void> {
    await this.#growing;
  }

  async #grow(wanted: number, era: number): Promise<void> {
    // Random bytes, really written: a sparse or compressed file reserves nothing.
    const chunk = randomBytes(CHUNK_BYTES);
    const file = await open(this.#path, "a", 0o600);
    try {
      let held = this.#held;
      while (held < wanted && this.#era === era) {
        const { bytesWritten } = await file.write(chunk, 0, Math.min(CHUNK_BYTES, wanted - held));
        held += bytesWritten;
      }
      await file.sync();
      if (this.#era === era) this.#held = held;
      else await file.truncate(0);
    } finally {
      await file.close();
    }
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
