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

export interface Frame {
  readonly kind: Kind;
  /** Of the job, on this socket. Takes 32 bits. */
  readonly id: number;
  readonly bytes: Buffer;
}

export const jsonFrame = (kind: Kind, id: number, value: unknown = null): Frame => ({
  kind,
  id,
  bytes: Buffer.from(JSON.stringify(value)),
});

/**
 * In one system call if the system takes them, so that the other side wakes once. Resolves when all bytes are with the
 * system: their memory may be used again.
 */
export function writeFrames(socket: Duplex, ...frames: readonly Frame[]): Promise<void> {
  const pieces = frames.flatMap(({ kind, id, bytes }) => {
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    head.writeUInt8(KINDS.indexOf(kind), 0);
    head.writeUInt32BE(id, 1);
    head.writeUInt32BE(bytes.length, 5);
    return [head, bytes];
  });
  return new Promise((resolve, reject) => {
    socket.cork();
    for (const piece of pieces.slice(0, -1)) socket.write(piece);
    socket.write(pieces.at(-1), (error) => (error ? reject(error) : resolve()));
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
  let head = Buffer.alloc(0);
  let kind: Kind | undefined;
  let id = 0;
  let left = 0;
  let json: Buffer[] = [];
  const finish = (): void => {
    if (kind !== "bytes") handlers.json(kind!, id, JSON.parse(Buffer.concat(json).toString() || "null"));
    json = [];
    kind = undefined;
  };
  socket.on("data", (chunk: Buffer) => {
    let at = 0;
    while (at < chunk.length || (kind !== undefined && left === 0)) {
      if (kind === undefined) {
        const missing = HEAD_BYTES - head.length;
        head = Buffer.concat([head, chunk.subarray(at, at + missing)]);
        at += missing;
        if (head.length < HEAD_BYTES) return;
        kind = KINDS[head.readUInt8(0)];
        id = head.readUInt32BE(1);
        left = head.readUInt32BE(5);
        head = Buffer.alloc(0);
        if (kind === undefined || (kind !== "bytes" && left > JSON_BYTES_MAX)) {
          socket.destroy(new Error("a frame that is none"));
          return;
        }
      }
      const piece = chunk.subarray(at, at + left);
      at += piece.length;
      left -= piece.length;
      if (kind === "bytes") handlers.bytes(id, piece);
      else json.push(Buffer.from(piece));
      if (left === 0) finish();
    }
  });
}
