/**
 * Blobs as files on a local file system, one per blob. A finished blob is on stable storage under its name, directories
 * included; an unfinished one lies there too, until it is aborted or swept.
 */
import { constants } from "node:fs";
import { mkdir, readdir, rmdir, stat, statfs } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { BlobBroken, BlobFull, type BlobStore, type BlobWriter } from "./blob.ts";
import { ReadBuffers } from "./buffers.ts";
import { type Disk, errorCode, localDisk, syncDirectory } from "./disk.ts";
import { readFile } from "./filereader.ts";
import { FileWriter } from "./filewriter.ts";
import { blobPath, Folders, isFolderName } from "./folders.ts";
import { isIncarnation, newIncarnation, parseBlobId } from "./ids.ts";

/** A sweep may remove the folder between its making and the file's; that it meets one writer thrice is a defect. */
const MAX_CREATE_ATTEMPTS = 3;

export interface FilesOptions {
  /** Made when missing. Several processes may share it. */
  root: string;
  /** Another disk for tests. */
  disk?: Disk;
}

export async function openFiles(options: FilesOptions): Promise<BlobStore> {
  const root = resolve(options.root);
  const disk = options.disk ?? localDisk;
  const made = await mkdir(root, { recursive: true, mode: 0o700 });
  // Each new directory's entry lies in its parent, from the first one made down to the root itself.
  if (made !== undefined) {
    for (let path = root; path !== dirname(made); path = dirname(path))
      await syncDirectory(disk, dirname(path));
  }
  return new FileBlobs(root, disk);
}

class FileBlobs implements BlobStore {
  readonly incarnation = newIncarnation();
  readonly #root: string;
  readonly #disk: Disk;
  readonly #folders: Folders;
  readonly #buffers = new ReadBuffers();
  #broken: BlobBroken | undefined;
  #closed = false;

  constructor(root: string, disk: Disk) {
    this.#root = root;
    this.#disk = disk;
    this.#folders = new Folders(disk, root, this.incarnation);
  }

  async create(): Promise<BlobWriter> {
    for (let attempt = 1; ; attempt++) {
      if (this.#broken !== undefined) throw this.#broken;
      if (this.#closed) throw new Error("The blob store is closed");
      const { id, folder } = this.#folders.next();
      const path = join(folder.path, id);
      try {
        await folder.made.catch((error: unknown) => {
          this.#folders.abandon(folder);
          throw error;
        });
        const fd = await this.#disk.open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
        return new FileWriter({
          disk: this.#disk,
          fd,
          id,
          path,
          folder,
          writeError: (error) => this.#writeError(error),
          syncError: (error) => this.#break(error),
          broken: () => this.#broken,
        });
      } catch (error) {
        if (errorCode(error) !== "ENOENT" || attempt === MAX_CREATE_ATTEMPTS) throw this.#writeError(error);
        this.#folders.abandon(folder);
      }
    }
  }

  read(id: string, start: number, end: number): AsyncIterable<Buffer> {
    const source = {
      disk: this.#disk,
      buffers: this.#buffers,
      id,
      path: blobPath(this.#root, id),
      failed: (error: unknown) => void this.#writeError(error),
    };
    return readFile(source, start, end);
  }

  pathOf(id: string): string | undefined {
    return blobPath(this.#root, id);
  }

  async remove(id: string): Promise<void> {
    const path = blobPath(this.#root, id);
    if (path === undefined) return;
    await this.#disk.unlink(path).catch((error: unknown) => {
      if (errorCode(error) !== "ENOENT") throw this.#writeError(error);
    });
  }

  async size(id: string): Promise<number | undefined> {
    const path = blobPath(this.#root, id);
    if (path === undefined) return undefined;
    const stats = await orMissing(stat(path));
    return stats?.size;
  }

  async incarnations(): Promise<string[]> {
    const names = await readdir(this.#root);
    return [...new Set([...names.filter(isIncarnation), this.incarnation])].toSorted();
  }

  /** Removes empty folders on its way, which the removal of single blobs leaves behind. */
  async *list(incarnation: string): AsyncGenerator<string, void> {
    if (!isIncarnation(incarnation)) return;
    const parent = join(this.#root, incarnation);
    const folders = ((await orMissing(readdir(parent))) ?? []).filter(isFolderName).toSorted();
    for (const folder of folders) {
      const path = join(parent, folder);
      const names = (await orMissing(readdir(path))) ?? [];
      if (names.length === 0 && !this.#folders.isCurrent(path)) await removeIfEmpty(path);
      for (const name of names.toSorted()) {
        if (parseBlobId(name)?.incarnation === incarnation) yield name;
      }
    }
    if (folders.length === 0 && incarnation !== this.incarnation) await removeIfEmpty(parent);
  }

  async free(): Promise<number> {
    const stats = await statfs(this.#root);
    return stats.bavail * stats.bsize;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #writeError(error: unknown): Error {
    const code = errorCode(error);
    if (code === "ENOSPC" || code === "EDQUOT")
      return new BlobFull("No space is left for blobs", { cause: error });
    // EROFS: what ext4 does to a file system after an I/O error.
    if (code === "EIO" || code === "EROFS") return this.#break(error);
    return error instanceof Error ? error : new Error("A blob could not be written", { cause: error });
  }

  /**
   * Also for any failed sync: the kernel may then count lost pages as written, and a second sync succeeds. So nothing
   * that was written since the last good one can be trusted.
   */
  #break(error: unknown): BlobBroken {
    this.#broken ??= new BlobBroken("The blobs' disk failed: no writes until a restart", { cause: error });
    return this.#broken;
  }
}

async function orMissing<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** A blob that came in the meantime keeps its folder: rmdir refuses. */
async function removeIfEmpty(path: string): Promise<void> {
  await rmdir(path).catch((error: unknown) => {
    if (!["ENOTEMPTY", "EEXIST", "ENOENT", "EBUSY"].includes(errorCode(error) ?? "")) throw error;
  });
}
