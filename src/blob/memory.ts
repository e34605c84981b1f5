/** Blobs in memory, for tests. It is as strict as the contract allows, so that misuse shows before a disk is involved. */
import { BlobDamaged, BlobMissing, type BlobStore, type BlobWriter } from "./blob.ts";
import { blobId, newIncarnation } from "./ids.ts";

/** Small, so that bodies of tests come in several chunks. */
const CHUNK_BYTES = 64 * 1024;
/** What a chunk holds once the next is asked for. */
const SPENT = 0xdb;

export function openMemory(): BlobStore {
  return new MemoryBlobs();
}

class MemoryBlobs implements BlobStore {
  readonly incarnation = newIncarnation();
  /** In order of their ids, which is that of their making. */
  readonly #blobs = new Map<string, Buffer[]>();
  #sequence = 0;
  #closed = false;

  async create(): Promise<BlobWriter> {
    if (this.#closed) throw new Error("The blob store is closed");
    const id = blobId(this.incarnation, this.#sequence++);
    this.#blobs.set(id, []);
    return new MemoryWriter(id, this.#blobs);
  }

  async *read(id: string, start: number, end: number): AsyncGenerator<Buffer, void> {
    const blob = this.#blobs.get(id);
    if (blob === undefined) throw new BlobMissing(`Blob ${id} is missing`);
    const bytes = Buffer.concat(blob).subarray(start, end);
    for (let position = 0; position < bytes.length; position += CHUNK_BYTES) {
      const chunk = bytes.subarray(position, position + CHUNK_BYTES);
      yield chunk;
      chunk.fill(SPENT);
    }
    if (bytes.length < end - start) throw new BlobDamaged(`Blob ${id} ends before ${end}`);
  }

  pathOf(): undefined {
    return undefined;
  }

  async remove(id: string): Promise<void> {
    this.#blobs.delete(id);
  }

  async size(id: string): Promise<number | undefined> {
    return this.#blobs.get(id)?.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  async incarnations(): Promise<string[]> {
    return [this.incarnation];
  }

  async *list(incarnation: string): AsyncGenerator<string, void> {
    if (incarnation === this.incarnation) yield* this.#blobs.keys();
  }

  async free(): Promise<number> {
    return Infinity;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }
}

class MemoryWriter implements BlobWriter {
  readonly id: string;
  readonly #blobs: Map<string, Buffer[]>;
  readonly #chunks: Buffer[];
  #open = true;

  constructor(id: string, blobs: Map<string, Buffer[]>) {
    this.id = id;
    this.#blobs = blobs;
    this.#chunks = blobs.get(id) ?? [];
  }

  async write(chunk: Buffer): Promise<void> {
    this.#assertOpen();
    this.#chunks.push(chunk);
  }

  async finish(): Promise<number> {
    this.#assertOpen();
    this.#open = false;
    return this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  async abort(): Promise<void> {
    this.#open = false;
    this.#blobs.delete(this.id);
  }

  #assertOpen(): void {
    if (!this.#open) throw new Error(`Blob ${this.id} is finished or aborted`);
  }
}
