/**
 * The file operations that blobs need, on bare descriptors: FileHandle objects and streams cost several times as much
 * per call. Tests put a failing or counting disk in its place.
 */
import * as fs from "node:fs";

export interface Disk {
  open(path: string, flags: number): Promise<number>;
  /** Positional; returns the bytes read, fewer than asked at the end of the file. */
  read(fd: number, buffer: Buffer, offset: number, length: number, position: number): Promise<number>;
  /** Positional; returns the bytes written, which may be fewer than given. */
  writev(fd: number, buffers: readonly Buffer[], position: number): Promise<number>;
  fdatasync(fd: number): Promise<void>;
  fsync(fd: number): Promise<void>;
  close(fd: number): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Makes missing parents too; succeeds when it is there. */
  mkdir(path: string): Promise<void>;
}

/** Blobs are the server's alone: other users of the machine read nothing past its access control. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

type Callback<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

function call<T>(start: (callback: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error === null ? resolve(value) : reject(error)));
  });
}

/** For calls without a value, whose callback may give undefined or null for success. */
function act(start: (callback: (error?: NodeJS.ErrnoException | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error === null || error === undefined ? resolve() : reject(error)));
  });
}

/**
 * In this thread: opening for reading and closing take a few microseconds where handing them to another takes ten
 * times that, a third of what reading 64 KiB costs. What waits for the disk (reads, writes, syncs, new files) is handed
 * over.
 */
async function attempt<T>(work: () => T): Promise<T> {
  return work();
}

export const localDisk: Disk = {
  open: (path, flags) =>
    flags === fs.constants.O_RDONLY
      ? attempt(() => fs.openSync(path, flags))
      : call((callback) => fs.open(path, flags, FILE_MODE, callback)),
  read: (fd, buffer, offset, length, position) =>
    call((callback) => fs.read(fd, buffer, offset, length, position, callback)),
  writev: (fd, buffers, position) => call((callback) => fs.writev(fd, buffers, position, callback)),
  fdatasync: (fd) => act((callback) => fs.fdatasync(fd, callback)),
  fsync: (fd) => act((callback) => fs.fsync(fd, callback)),
  close: (fd) => attempt(() => fs.closeSync(fd)),
  unlink: (path) => act((callback) => fs.unlink(path, callback)),
  mkdir: (path) => act((callback) => fs.mkdir(path, { recursive: true, mode: DIRECTORY_MODE }, callback)),
};

/** The errno name (`ENOENT`) of a failed system call. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** The sync itself failed, as opposed to a lack of descriptors for it. */
export class SyncFailed extends Error {
  override readonly name: string = "SyncFailed";
}

/** Directories are synced through a descriptor of their own. @throws SyncFailed, system errors */
export async function syncDirectory(disk: Disk, path: string): Promise<void> {
  const fd = await disk.open(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    await disk.fsync(fd).catch((error: unknown) => {
      throw new SyncFailed(`Directory ${path} could not be synced`, { cause: error });
    });
  } finally {
    await disk.close(fd);
  }
}
