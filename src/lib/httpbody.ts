/** Request bodies as they come from the socket. */
import type { IncomingMessage } from "node:http";

/** The request body did not arrive whole. `code` is the S3 code too. */
export class BodyError extends Error {
  readonly code: "IncompleteBody" | "RequestTimeout";
  constructor(code: "IncompleteBody" | "RequestTimeout", message: string) {
    super(message);
    this.name = "BodyError";
    this.code = code;
  }
}

/** Bytes read ahead of the consumer, per upload. Without it one client that sends fast could fill the memory. */
const READ_AHEAD_BYTES = 256 * 1024;

type Step = IteratorResult<Buffer, undefined>;

/** The one iterator over a request's body: pauses the socket when the consumer falls behind. */
export class BodyReader implements AsyncIterableIterator<Buffer> {
  /** Bytes that came from the socket, read or thrown away. */
  received = 0;
  /** `performance.now()` of when the consumer began to wait for bytes; 0 when it does not wait. */
  waitingSince = 0;
  readonly #message: IncomingMessage;
  readonly #onStart: () => void;
  readonly #queue: Buffer[] = [];
  #queued = 0;
  #started = false;
  #paused = false;
  #ended: boolean;
  #discarding = false;
  #error: Error | undefined;
  #waiting: { resolve(step: Step): void; reject(error: Error): void } | undefined;

  /** `onStart` is called before the first byte is asked for. */
  constructor(message: IncomingMessage, hasBody: boolean, onStart: () => void) {
    this.#message = message;
    this.#onStart = onStart;
    this.#ended = !hasBody;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    const chunk = this.#queue.shift();
    if (chunk !== undefined) {
      this.#queued -= chunk.length;
      if (this.#paused && this.#queued < READ_AHEAD_BYTES / 2) this.#resume();
      return Promise.resolve({ value: chunk, done: false });
    }
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#ended || this.#discarding) return Promise.resolve({ value: undefined, done: true });
    if (this.#waiting !== undefined) return Promise.reject(new Error("the body is being read already"));
    this.waitingSince = performance.now();
    const step = new Promise<Step>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    if (!this.#started) this.#start();
    return step;
  }

  /** The consumer wants no more. What still arrives waits in the socket until the answer decides about it. */
  return(): Promise<Step> {
    this.#clear();
    this.#discarding = true;
    if (this.#started && !this.#ended) this.#pause();
    return Promise.resolve({ value: undefined, done: true });
  }

  /** Ends the iteration with an error, at once; for clients that left, fell silent or sent broken chunks. */
  fail(error: Error): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#clear();
    const waiting = this.#take();
    waiting?.reject(error);
  }

  /** Lets everything that still comes in fall on the floor. */
  discard(): void {
    if (this.#ended) return;
    this.#clear();
    this.#discarding = true;
    this.#message.removeAllListeners("data");
    this.#message.on("data", (chunk: Buffer) => {
      this.received += chunk.length;
    });
    this.#message.resume();
  }

  #start(): void {
    this.#started = true;
    this.#onStart();
    this.#message.on("data", (chunk: Buffer) => this.#onData(chunk));
    this.#message.on("end", () => {
      this.#ended = true;
      this.#take()?.resolve({ value: undefined, done: true });
    });
  }

  #onData(chunk: Buffer): void {
    this.received += chunk.length;
    if (this.#discarding || this.#error !== undefined) return;
    const waiting = this.#take();
    if (waiting !== undefined) return waiting.resolve({ value: chunk, done: false });
    this.#queue.push(chunk);
    this.#queued += chunk.length;
    if (this.#queued >= READ_AHEAD_BYTES) this.#pause();
  }

  #take() {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.waitingSince = 0;
    return waiting;
  }

  #clear(): void {
    this.#queue.length = 0;
    this.#queued = 0;
  }

  #pause(): void {
    this.#paused = true;
    this.#message.pause();
  }

  #resume(): void {
    this.#paused = false;
    this.#message.resume();
  }
}
