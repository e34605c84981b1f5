/**
 * What worker and renderer say to each other over one socket: frames of a kind, the job that they belong to, a length and
 * that many bytes. Bytes of pictures go as they are; everything else is JSON.
 */
import type { Duplex } from "node:stream";

/**
 * To the renderer: a job, its inputs' bytes in order, that an input could not be read, or what keeps it. Back: an answer,
 * its bytes.
 */
export type Kind = "job" | "bytes" | "drop" | "ask" | "answer";
const KINDS: readonly Kind[] = ["job", "bytes", "drop", "ask", "answer"];
/** The kind, the job's id, the length. */
const HEAD_BYTES = 9;
/** Bytes of one frame of JSON: a job with its plan. Pictures are told apart by their kind and have limits of their own. */
const JSON_BYTES_MAX = 16 * 1024 ** 2;

/** Bytes that go one behind the other: a head, with all of its JSON; the bytes of a picture. */
export interface Frame {
  readonly head: Buffer;
  /** Empty behind JSON. */
  readonly bytes: Buffer;
}

const NONE: Buffer = Buffer.alloc(0);

/** `id`: of the job, on this socket. Takes 32 bits. */
export function jsonFrame(kind: Kind, id: number, value: unknown = null): Frame {
  const text = JSON.stringify(value);
  const head = headOf(kind, id, Buffer.byteLength(text));
  head.write(text, HEAD_BYTES);
  return { head, bytes: NONE };
}

export const bytesFrame = (id: number, bytes: Buffer): Frame => ({
  head: headOf("bytes", id, bytes.length),
  bytes,
});

function headOf(kind: Kind, id: number, length: number): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES + (kind === "bytes" ? 0 : length));
  head.writeUInt8(KINDS.indexOf(kind), 0);
  head.writeUInt32BE(id, 1);
  head.writeUInt32BE(length, 5);
  return head;
}

/**
 * In one system call if the system takes them, so that the other side wakes once. Resolves when all bytes are with the
 * system: their memory may be used again.
 */
export function writeFrames(socket: Duplex, ...frames: readonly Frame[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error | null): void => (error ? reject(error) : resolve());
    const last = frames.length - 1;
    socket.cork();
    for (const [n, { head, bytes }] of frames.entries()) {
      if (bytes.length === 0) socket.write(head, n === last ? done : undefined);
      else {
        socket.write(head);
        socket.write(bytes, n === last ? done : undefined);
      }
    }
    // Nothing to say is said at once.
    if (last < 0) resolve();
    socket.uncork();
  });
}

export interface FrameHandlers {
  /** A whole frame of JSON. */
  json(kind: Kind, id: number, value: unknown): void;
  /** A piece of a frame of bytes, in memory that nothing else uses. */
  bytes(id: number, piece: Buffer): void;
}

/** Calls the handlers with what arrives. Pieces of bytes are passed on as they come, so that they are copied once. */
export function readFrames(socket: Duplex, handlers: FrameHandlers): void {
  /** The beginning of a head that came in several chunks, and of JSON. */
  let head: Buffer = NONE;
  let json: Buffer[] = [];
  let kind: Kind | undefined;
  let id = 0;
  let left = 0;
  socket.on("data", (chunk: Buffer) => {
    let at = 0;
    while (at < chunk.length || (kind !== undefined && left === 0)) {
      if (kind === undefined) {
        const missing = HEAD_BYTES - head.length;
        const here = chunk.subarray(at, at + missing);
        at += here.length;
        head = head.length === 0 ? here : Buffer.concat([head, here]);
        if (here.length < missing) return;
        kind = KINDS[head.readUInt8(0)];
        id = head.readUInt32BE(1);
        left = head.readUInt32BE(5);
        head = NONE;
        if (kind === undefined || (kind !== "bytes" && left > JSON_BYTES_MAX)) {
          socket.destroy(new Error("a frame that is none"));
          return;
        }
      }
      const piece = chunk.subarray(at, at + left);
      at += piece.length;
      left -= piece.length;
      if (kind === "bytes") handlers.bytes(id, piece);
      else if (left > 0) json.push(piece);
      else {
        const whole = json.length === 0 ? piece : Buffer.concat([...json, piece]);
        json = [];
        const value = parsed(whole);
        if (value === undefined) {
          socket.destroy(new Error("a frame that is none"));
          return;
        }
        handlers.json(kind, id, value);
      }
      if (left === 0) kind = undefined;
    }
  });
}

/** Undefined: it is no JSON. */
function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}
