/** Sources that a renderer reads from files: into memory that serves one after the other, and once for all who want the same. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import type { FileRange } from "../../blob/blob.ts";

/** Bytes up to which memory is kept for the next source. A larger one has its own, which goes with it. */
const KEPT_BYTES_MAX = 8 * 1024 ** 2;

export interface Source {
  readonly bytes: Buffer;
  /** To be called once: the memory may have another source from then on. */
  release(): void;
}

/** New memory for each source would keep the garbage collector busy. */
interface Memory {
  room: Buffer;
  /** What its bytes are: a range of a file, and the version of that. */
  name: string;
  /** Pictures that are made of it. */
  users: number;
}

/** Pages ask for a photograph in several sizes at once. It is then read once, and takes the processor's caches once. */
export class Sources {
  /** As many as there were at the same time; the ones that were asked for last stand last. */
  readonly #memories: Memory[] = [];

  /**
   * Undefined: the files are gone, or have another size together. All is read before others could have the thread.
   */
  read(files: readonly FileRange[], size: number): Source | undefined {
    const [only] = files;
    if (only === undefined || files.length > 1 || size > KEPT_BYTES_MAX || only.end - only.start !== size) {
      const bytes = readFiles(files, size);
      return bytes === undefined ? undefined : { bytes, release: () => undefined };
    }
    const memory = within(only.path, (fd) => this.#memoryOf(fd, only));
    if (memory === undefined) return undefined;
    memory.users++;
    return { bytes: memory.room.subarray(0, size), release: () => void memory.users-- };
  }

  /** Where the range is, read now if it wasn't there. */
  #memoryOf(fd: number, range: FileRange): Memory | undefined {
    const { path, start, end } = range;
    const { dev, ino, mtimeMs, size: whole } = fstatSync(fd);
    const name = JSON.stringify([path, start, end, dev, ino, mtimeMs, whole]);
    const known = this.#memories.findIndex((one) => one.name === name);
    const memory = known < 0 ? this.#free() : this.#memories.splice(known, 1)[0]!;
    this.#memories.push(memory);
    if (known >= 0) return memory;
    memory.name = "";
    const size = end - start;
    if (memory.room.length < size) memory.room = Buffer.allocUnsafeSlow(size);
    if (!readRange(fd, range, memory.room, 0)) return undefined;
    memory.name = name;
    return memory;
  }

  /** Out of the list: that of which nothing was made for longest, or a new one. */
  #free(): Memory {
    const at = this.#memories.findIndex(({ users }) => users === 0);
    return at < 0 ? { room: Buffer.alloc(0), name: "", users: 0 } : this.#memories.splice(at, 1)[0]!;
  }
}

/** Undefined: they are gone, or have another size together. */
export function readFiles(files: readonly FileRange[], size: number): Buffer | undefined {
  if (files.reduce((sum, { start, end }) => sum + end - start, 0) !== size) return undefined;
  const bytes = Buffer.allocUnsafe(size);
  let filled = 0;
  for (const range of files) {
    if (within(range.path, (fd) => readRange(fd, range, bytes, filled)) !== true) return undefined;
    filled += range.end - range.start;
  }
  return bytes;
}

/** False: the file ends before. */
function readRange(fd: number, { start, end }: FileRange, into: Buffer, offset: number): boolean {
  for (let at = start; at < end;) {
    const read = readSync(fd, into, offset + at - start, end - at, at);
    if (read === 0) return false;
    at += read;
  }
  return true;
}

/** Undefined where the system has something against it. */
function within<T>(path: string, work: (fd: number) => T): T | undefined {
  try {
    const fd = openSync(path, constants.O_RDONLY);
    try {
      return work(fd);
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}
