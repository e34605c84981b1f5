import type { BlobWriter } from "./blob.ts";
import { type Disk, SyncFailed } from "./disk.ts";
import type { Folder } from "./folders.ts";

/** Chunks are gathered to writes of at least this: each costs a turn through the thread pool. */
const WRITE_BYTES = 256 * 1024;
/** One being copied by the kernel, one waiting for it. More would only hold memory. */
const MAX_WRITES = 2;
/** Smaller chunks are copied together: a write of thousands of tiny buffers costs more, and each may pin a large one. */
const SMALL_BYTES = 16 * 1024;
const SLAB_BYTES = 64 * 1024;
/**
 * Sync while writing, one at a time, so that the sync at the end is short: 64 MiB took 97 ms with 4 MiB, 106 with 16,
 * 114 with 32, at the same CPU.
 */
const SYNC_BYTES = 4 * 1024 * 1024;
/** Unsynced bytes at which the writer waits for the disk: else a fast client gathers a final sync of many seconds. */
const MAX_UNSYNCED_BYTES = 16 * SYNC_BYTES;

const READY = Promise.resolve();

export interface FileTarget {
  disk: Disk;
  fd: number;
  id: string;
  path: string;
  folder: Folder;
  /** Turns a system error into what BlobWriter's methods throw. */
  writeError(error: unknown): Error;
  syncError(error: unknown): Error;
  /** Why no write of the store can be trusted any more. */
  broken(): Error | undefined;
}

export class FileWriter implements BlobWriter {
  readonly id: string;
  readonly #target: FileTarget;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #slab: Buffer | undefined;
  #slabStart = 0;
  #slabEnd = 0;
  /** Bytes given to writes. */
  #position = 0;
  #writes = 0;
  #unsynced = 0;
  #sync: Promise<void> | undefined;
  #failure: Error | undefined;
  #waiting: (() => void)[] = [];
  #open = true;

  constructor(target: FileTarget) {
    this.id = target.id;
    this.#target = target;
  }

  write(chunk: Buffer): Promise<void> {
    this.#failure ??= this.#target.broken();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (!this.#open) return Promise.reject(new Error(`Blob ${this.id} is finished or aborted`));
    this.#gather(chunk);
    this.#advance();
    return this.#gatheredBytes < WRITE_BYTES ? READY : this.#room();
  }

  async finish(): Promise<number> {
    this.#failure ??= this.#target.broken();
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#open) throw new Error(`Blob ${this.id} is finished or aborted`);
    if (this.#gatheredBytes + this.#slabEnd - this.#slabStart > 0) this.#startWrite();
    await this.#settled();
    this.#startSync();
    await this.#settled();
    await this.#close();
    if (this.#failure !== undefined) throw this.#failure;
    await this.#target.folder.sync().catch((error: unknown) => {
      throw error instanceof SyncFailed ? this.#target.syncError(error) : this.#target.writeError(error);
    });
    // A failure of another blob's sync in the meantime puts this one's in doubt too.
    this.#failure ??= this.#target.broken();
    if (this.#failure !== undefined) throw this.#failure;
    return this.#position;
  }

  async abort(): Promise<void> {
    this.#failure ??= new Error(`Blob ${this.id} was aborted`);
    this.#gathered = [];
    await this.#settled();
    await this.#close();
    // What can't be removed now is left to the sweeper.
    await this.#target.disk.unlink(this.#target.path).catch(() => undefined);
  }

  #gather(chunk: Buffer): void {
    if (chunk.length >= SMALL_BYTES) {
      this.#cutSlab();
      this.#gathered.push(chunk);
      this.#gatheredBytes += chunk.length;
      return;
    }
    if (this.#slab === undefined || this.#slabEnd + chunk.length > this.#slab.length) {
      this.#cutSlab();
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#slabStart = this.#slabEnd = 0;
    }
    chunk.copy(this.#slab, this.#slabEnd);
    this.#slabEnd += chunk.length;
  }

  /** Puts the small chunks copied so far behind what is gathered. */
  #cutSlab(): void {
    if (this.#slab === undefined || this.#slabEnd === this.#slabStart) return;
    this.#gathered.push(this.#slab.subarray(this.#slabStart, this.#slabEnd));
    this.#gatheredBytes += this.#slabEnd - this.#slabStart;
    this.#slabStart = this.#slabEnd;
  }

  /** Begins what may begin. */
  #advance(): void {
    if (this.#failure !== undefined) return;
    if (this.#unsynced >= SYNC_BYTES && this.#sync === undefined) this.#startSync();
    if (
      this.#gatheredBytes >= WRITE_BYTES &&
      this.#writes < MAX_WRITES &&
      this.#unsynced < MAX_UNSYNCED_BYTES
    ) {
      this.#startWrite();
    }
  }

  /** Resolves when less than a whole write is gathered. */
  async #room(): Promise<void> {
    while (this.#gatheredBytes >= WRITE_BYTES && this.#failure === undefined) await this.#change();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Resolves when nothing is under way. */
  async #settled(): Promise<void> {
    while (this.#writes > 0 || this.#sync !== undefined) await this.#change();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #changed(): void {
    this.#advance();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #startWrite(): void {
    this.#cutSlab();
    const buffers = this.#gathered;
    const bytes = this.#gatheredBytes;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#writes++;
    const position = this.#position;
    this.#position += bytes;
    void this.#writeAll(buffers, position).finally(() => {
      this.#writes--;
      this.#unsynced += bytes;
      this.#changed();
    });
  }

  /** Never rejects. */
  async #writeAll(buffers: readonly Buffer[], position: number): Promise<void> {
    try {
      let rest = buffers;
      let place = position;
      while (rest.length > 0) {
        const written = await this.#target.disk.writev(this.#target.fd, rest, place);
        if (written === 0) throw new Error(`A write to blob ${this.id} wrote nothing`);
        place += written;
        rest = dropBytes(rest, written);
      }
    } catch (error) {
      this.#failure ??= this.#target.writeError(error);
    }
  }

  #startSync(): void {
    this.#unsynced = 0;
    this.#sync = this.#target.disk
      .fdatasync(this.#target.fd)
      .catch((error: unknown) => void (this.#failure ??= this.#target.syncError(error)))
      .finally(() => {
        this.#sync = undefined;
        this.#changed();
      });
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#target.disk.close(this.#target.fd).catch((error: unknown) => {
      this.#failure ??= this.#target.writeError(error);
    });
  }
}

/** What a short write left. */
function dropBytes(buffers: readonly Buffer[], bytes: number): readonly Buffer[] {
  let rest = bytes;
  for (const [index, buffer] of buffers.entries()) {
    if (rest < buffer.length) return [buffer.subarray(rest), ...buffers.slice(index + 1)];
    rest -= buffer.length;
  }
  return [];
}
