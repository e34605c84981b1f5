/**
 * Files of the cache: the content, a description of it in JSON, and how long that is. The content comes first, so that
 * others can read it without knowing more than its size.
 */
import { crc32 } from "@node-rs/crc32";
import { hash } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  writeSync,
  writevSync,
} from "node:fs";
import { dirname } from "node:path";
import { errorCode, localDisk } from "../../blob/disk.ts";

/** Of what something was made: purges go by it. */
export interface Provenance {
  /** `owner id/origin`. */
  readonly origin: string;
  readonly path: string;
  /** The plan's text. */
  readonly variant: string;
}

/** What an entry is. */
export interface Facts extends Provenance {
  /** Media type. */
  readonly type: string;
  /** In pixels; 0 for what is no picture. */
  readonly width: number;
  readonly height: number;
  /** Flat: name, value. */
  readonly headers: readonly string[];
}

export interface Description extends Facts {
  readonly v: 3;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly size: number;
  /** Of entries that are read whole; the others would take too long. */
  readonly crc32: number | undefined;
}

/** The key of an entry, by all that tells it from others. */
export const keyOf = (parts: readonly unknown[]): string => hash("sha256", JSON.stringify(parts));

/** Where another process keeps what it makes. */
export interface Draft {
  /** An empty file that is this work's alone. */
  readonly path: string;
  /** What the file is to be called. */
  readonly entry: string;
  /** More is not kept. */
  readonly bytesMax: number;
}

/**
 * Bytes up to which an entry is read whole, and kept in memory. What is larger comes from the system's cache as fast, and
 * in memory of ours it would keep the garbage collector busy.
 */
export const WHOLE_BYTES_MAX = 256 * 1024;
/** The longest path and plan fit. */
const DESCRIPTION_BYTES_MAX = 1024 ** 2;
/** What is read first of the end of an entry: most descriptions fit. */
const END_BYTES = 8192;
/** The last bytes of an entry: these four, and the length of the description in four more. */
const MARK = Buffer.from("WLC3");
const FOOT_BYTES = MARK.length + 4;

/** What follows the content; `data` is the content, where it is here. @throws what is too long */
export function endOf(facts: Facts, size: number, data: Buffer | undefined): Buffer {
  const sum = data !== undefined && size <= WHOLE_BYTES_MAX ? crc32(data) : undefined;
  const about: Description = { v: 3, createdAt: Date.now(), ...facts, size, crc32: sum };
  const text = Buffer.from(JSON.stringify(about));
  if (text.length > DESCRIPTION_BYTES_MAX) throw new Error("the description of an entry is too long");
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([text, MARK, length]);
}

/**
 * Makes the draft an entry, in this thread. Returns the entry's bytes; undefined: it could not be kept, or is too large.
 */
export function keepSync(draft: Draft, facts: Facts, data: Buffer): number | undefined {
  try {
    const end = endOf(facts, data.length, data);
    if (data.length + end.length > draft.bytesMax) return undefined;
    const fd = openSync(draft.path, constants.O_WRONLY);
    try {
      writeSyncAll(fd, data, end);
    } finally {
      closeSync(fd);
    }
    renameInto(draft);
    return data.length + end.length;
  } catch {
    return undefined;
  }
}

function writeSyncAll(fd: number, data: Buffer, end: Buffer): void {
  const whole = data.length + end.length;
  let at = writevSync(fd, [data, end], 0);
  // The system may take a part, as a disk does that is about to be full.
  while (at < data.length) at += writeSync(fd, data, at, data.length - at, at);
  while (at < whole) at += writeSync(fd, end, at - data.length, whole - at, at);
}

/** The folder is there but for the first time. */
function renameInto({ path, entry }: Draft): void {
  try {
    renameSync(path, entry);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    mkdirSync(dirname(entry), { recursive: true, mode: 0o700 });
    renameSync(path, entry);
  }
}

/**
 * What a file ends with, and its content when that has at most `wholeBytes`. Undefined for what a crash, a full disk or
 * another hand left. @throws system errors
 */
export async function readEnd(
  path: string,
  wholeBytes: number,
): Promise<{ about: Description; content: Buffer | undefined } | undefined> {
  const fd = await localDisk.open(path, constants.O_RDONLY);
  try {
    const { size } = fstatSync(fd);
    const whole = size <= wholeBytes + END_BYTES;
    let end = await readAt(fd, whole ? 0 : size - END_BYTES, whole ? size : END_BYTES);
    if (end.length < FOOT_BYTES || !end.subarray(-FOOT_BYTES, -4).equals(MARK)) return undefined;
    const length = FOOT_BYTES + end.readUInt32BE(end.length - 4);
    if (length > Math.min(size, DESCRIPTION_BYTES_MAX + FOOT_BYTES)) return undefined;
    if (length > end.length) end = await readAt(fd, size - length, length);
    const text = end.toString("utf8", end.length - length, end.length - FOOT_BYTES);
    const about = JSON.parse(text) as Description;
    if (about.v !== 3 || size !== about.size + length) return undefined;
    if (!whole) return { about, content: undefined };
    const content = end.subarray(0, about.size);
    return about.crc32 !== undefined && about.crc32 !== crc32(content) ? undefined : { about, content };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  } finally {
    await localDisk.close(fd);
  }
}

/** Fewer bytes where the file ends. */
async function readAt(fd: number, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const read = await localDisk.read(fd, bytes, filled, length - filled, position + filled);
    if (read === 0) break;
    filled += read;
  }
  return bytes.subarray(0, filled);
}
