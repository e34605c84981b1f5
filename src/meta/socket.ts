/** One end of a connection between a worker and the writer: frames in, frames of one event-loop turn out together. */
import type { Socket } from "node:net";
import { FrameReader, Outbox } from "./frames.ts";

/** Bytes gathered before the turn ends, beyond which they are sent at once so that the other end can begin. */
const EARLY_BYTES = 192 * 1024;

/** Bytes. The system allows 107; longer ones were cut silently, so that two servers met on one path. */
const SOCKET_PATH_BYTES_MAX = 100;

/** @throws RangeError when the path is too long for a Unix socket */
export function validateSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > SOCKET_PATH_BYTES_MAX) {
    throw new RangeError(`Socket path of ${bytes} bytes exceeds ${SOCKET_PATH_BYTES_MAX}: ${path}`);
  }
}

export class FrameSocket {
  readonly out = new Outbox();
  readonly #socket: Socket;
  readonly #flush = (): void => this.flush();
  #scheduled = false;

  /**
   * `onFrame` gets each frame, `onClose` the reason once the connection is gone. What `onFrame` throws ends the
   * connection with that reason: a peer that sends nonsense costs its connection and nothing else.
   */
  constructor(
    socket: Socket,
    onFrame: (frame: Buffer) => void,
    onClose: (reason: Error | undefined) => void,
  ) {
    this.#socket = socket;
    const reader = new FrameReader();
    let reason: Error | undefined;
    socket.on("data", (chunk: Buffer) => {
      try {
        reader.push(chunk, onFrame);
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    });
    socket.on("error", (error) => (reason = error));
    socket.on("close", () => onClose(reason));
  }

  /** Bytes that the peer has not taken yet. */
  get backlog(): number {
    return this.#socket.writableLength + this.out.used;
  }

  /** Call after adding frames: they go when this turn's events are handled. */
  schedule(): void {
    if (this.out.used > EARLY_BYTES) {
      this.flush();
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#flush);
    }
  }

  flush(): void {
    this.#scheduled = false;
    if (this.out.used === 0 || this.#socket.destroyed) return;
    const taken = this.out.take();
    this.#socket.write(taken, () => this.out.giveBack(taken));
  }

  pause(): void {
    this.#socket.pause();
  }

  /** Sends what is gathered, then closes. */
  end(): void {
    this.flush();
    this.#socket.destroySoon();
  }

  destroy(reason?: Error): void {
    this.#socket.destroy(reason);
  }
}
