import { constants } from "node:fs";
import { BlobDamaged, BlobMissing } from "./blob.ts";
import { READ_BYTES, type ReadBuffers } from "./buffers.ts";
import { type Disk, errorCode } from "./disk.ts";

/** Of readers that get no pooled buffer. */
const SCARCE_READ_BYTES = 64 * 1024;

export interface FileSource {
  disk: Disk;
  buffers: ReadBuffers;
  id: string;
  /** Undefined when the id is none: it names no file. */
  path: string | undefined;
  /** Told of an I/O error of the disk. */
  failed(error: unknown): void;
}

/** See BlobReader.read. */
export async function* readFile(
  source: FileSource,
  start: number,
  end: number,
): AsyncGenerator<Buffer, void> {
  const fd = await openFile(source);
  const first = source.buffers.take();
  const second = end - start > READ_BYTES ? source.buffers.take() : undefined;
  if (first !== undefined && second !== undefined) {
    yield* readAhead(source, fd, [first, second], start, end);
  } else if (first !== undefined && end - start <= READ_BYTES) {
    yield* readOnce(source, fd, first, start, end);
  } else {
    if (first !== undefined) source.buffers.give(first);
    yield* readScarce(source, fd, start, end);
  }
}

async function openFile(source: FileSource): Promise<number> {
  if (source.path === undefined) throw new BlobMissing(`${source.id} names no blob`);
  try {
    return await source.disk.open(source.path, constants.O_RDONLY);
  } catch (error) {
    if (errorCode(error) === "ENOENT")
      throw new BlobMissing(`Blob ${source.id} is missing`, { cause: error });
    source.failed(error);
    throw error;
  }
}

/** Closes before it yields, so that a slow client holds no descriptor. */
async function* readOnce(source: FileSource, fd: number, buffer: Buffer, start: number, end: number) {
  try {
    try {
      await fill(source, fd, buffer, end - start, start);
    } finally {
      await source.disk.close(fd);
    }
    if (end > start) yield buffer.subarray(0, end - start);
  } finally {
    source.buffers.give(buffer);
  }
}

/** While the caller is busy with one buffer, the next is being filled. */
async function* readAhead(
  source: FileSource,
  fd: number,
  buffers: [Buffer, Buffer],
  start: number,
  end: number,
) {
  let [ready, spare] = buffers;
  let size = Math.min(READ_BYTES, end - start);
  let reading: Promise<void> = fill(source, fd, ready, size, start);
  try {
    for (let position = start; position < end;) {
      await reading;
      const chunk = ready.subarray(0, size);
      position += size;
      size = Math.min(READ_BYTES, end - position);
      if (size > 0) {
        reading = fill(source, fd, spare, size, position);
        // Its error is met when it is awaited, which is later than it may come.
        reading.catch(() => undefined);
      }
      yield chunk;
      [ready, spare] = [spare, ready];
    }
  } finally {
    // A read under way still writes into its buffer, and its descriptor must not become another file's.
    await reading.catch(() => undefined);
    for (const buffer of buffers) source.buffers.give(buffer);
    await source.disk.close(fd);
  }
}

async function* readScarce(source: FileSource, fd: number, start: number, end: number) {
  const buffer = Buffer.allocUnsafe(Math.min(SCARCE_READ_BYTES, end - start));
  try {
    for (let position = start; position < end;) {
      const size = Math.min(buffer.length, end - position);
      await fill(source, fd, buffer, size, position);
      position += size;
      yield buffer.subarray(0, size);
    }
  } finally {
    await source.disk.close(fd);
  }
}

async function fill(
  source: FileSource,
  fd: number,
  buffer: Buffer,
  length: number,
  position: number,
): Promise<void> {
  for (let done = 0; done < length;) {
    const read = await source.disk
      .read(fd, buffer, done, length - done, position + done)
      .catch((error: unknown) => {
        source.failed(error);
        throw new BlobDamaged(`Blob ${source.id} can't be read`, { cause: error });
      });
    if (read === 0) {
      throw new BlobDamaged(`Blob ${source.id} ends at ${position + done}, before ${position + length}`);
    }
    done += read;
  }
}
