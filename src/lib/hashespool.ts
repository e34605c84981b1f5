/**
 * MD5 of large streams on another core. MD5 bounds every upload (0.85 GB/s), and beside it one thread must do the
 * checksums and the I/O: 64 MiB with MD5 and CRC64NVME are hashed at 0.58 GB/s by one thread, at 0.79 so.
 */
import { Worker } from "node:worker_threads";
import { createHasher, type Hasher, type HashOptions, type HashResult } from "./hashes.ts";
import { programUrl } from "./program.ts";

/** Below this, the copy and the messages (about 0.2 ms of CPU per MiB) buy too little. */
const MIN_BYTES = 4 * 1024 * 1024;
/** What is handed over at once; smaller ones cost more messages. */
const SLOT_BYTES = 256 * 1024;
const SLOTS = 4;
const LANE_BYTES = SLOTS * SLOT_BYTES;
/** Streams at once, each with 1 MiB of memory. With more, all cores are busy anyway, and they are hashed in place. */
const LANES = 2;

/** Like Hasher, with back-pressure. */
export interface StreamHasher {
  /** Undefined: ready for more. Else wait for it, before which `chunk` must not change. */
  update(chunk: Uint8Array): Promise<void> | undefined;
  /** Once, after the last update. Rejects when the thread failed. */
  finish(): Promise<HashResult>;
  /** Instead of `finish`; harmless after it. An update that is being waited for never resolves then. */
  abandon(): void;
}

export interface HashPool {
  /** `size`: the bytes to come, when known. A stream ends with `finish` or `abandon`. */
  start(options: HashOptions, size?: number): StreamHasher;
  /** Ends the thread. Streams still open fail. */
  close(): Promise<void>;
}

export interface HashThreadData {
  /** The lanes' memory, one after another, equally long. */
  shared: SharedArrayBuffer;
  lanes: number;
}
/** `length` bytes at `offset` of the lane's memory come next in its stream; or the stream has ended. */
export type HashThreadRequest = { lane: number; offset: number; length: number } | { lane: number };
/** To each request, in order: the bytes have been read; or the digest in hex. */
export type HashThreadAnswer = { lane: number; md5?: string };

/** The thread starts with the first large stream, and doesn't keep the process alive by itself. */
export function createHashPool(): HashPool {
  return new ThreadPool();
}

class ThreadPool implements HashPool {
  #worker: Worker | undefined;
  #failure: Error | undefined;
  #lanes: Lane[] = [];
  readonly #free: Lane[] = [];

  start(options: HashOptions, size = 0): StreamHasher {
    const wanted = options.md5 === true || options.checksums.includes("MD5");
    if (!wanted || size < MIN_BYTES || this.#failure !== undefined) return hashInPlace(options);
    this.#worker ??= this.#startThread();
    const lane = this.#free.pop();
    if (lane === undefined) return hashInPlace(options);
    this.#worker.ref();
    return new LaneHasher(lane, options);
  }

  async close(): Promise<void> {
    this.#fail(new Error("The hash pool is closed"));
    await this.#worker?.terminate();
  }

  #startThread(): Worker {
    const shared = new SharedArrayBuffer(LANES * LANE_BYTES);
    const data: HashThreadData = { shared, lanes: LANES };
    const thread = new Worker(programUrl(import.meta.url, "./hashesthread.ts"), { workerData: data });
    thread.on("message", (answer: HashThreadAnswer) => this.#answered(thread, answer));
    thread.on("error", (error) => this.#fail(new Error("The hash thread failed", { cause: error })));
    thread.on("exit", (code) => this.#fail(new Error(`The hash thread ended with code ${code}`)));
    thread.unref();
    this.#lanes = Array.from({ length: LANES }, (_, index) => {
      const memory = Buffer.from(shared, index * LANE_BYTES, LANE_BYTES);
      return new Lane(index, memory, (request) => thread.postMessage(request, []));
    });
    this.#free.push(...this.#lanes);
    return thread;
  }

  #answered(worker: Worker, answer: HashThreadAnswer): void {
    const lane = this.#lanes[answer.lane]!;
    lane.answered(answer.md5);
    if (answer.md5 === undefined) return;
    this.#free.push(lane);
    if (this.#free.length === LANES) worker.unref();
  }

  /** For good: whatever ended the thread would end the next one. New streams are hashed in place. */
  #fail(error: Error): void {
    this.#failure ??= error;
    for (const lane of this.#lanes) lane.fail(this.#failure);
  }
}

/** One stream's way to the thread: a ring of slots in shared memory. */
class Lane {
  readonly #index: number;
  readonly #memory: Buffer;
  readonly #post: (request: HashThreadRequest) => void;
  #slot = 0;
  #filled = 0;
  #freeSlots = SLOTS;
  #failure: Error | undefined;
  /** For a slot. */
  #waiting: (() => void) | undefined;
  #ending: { resolve(md5: string): void; reject(error: Error): void } | undefined;

  constructor(index: number, memory: Buffer, post: (request: HashThreadRequest) => void) {
    this.#index = index;
    this.#memory = memory;
    this.#post = post;
  }

  /** Copies what there is room for, and the rest when there is. */
  write(chunk: Uint8Array): Promise<void> | undefined {
    for (let done = 0; done < chunk.length;) {
      if (this.#failure !== undefined) return undefined;
      if (this.#freeSlots === 0) return this.#writeLater(chunk.subarray(done));
      const part = chunk.subarray(done, done + SLOT_BYTES - this.#filled);
      this.#memory.set(part, this.#slot * SLOT_BYTES + this.#filled);
      this.#filled += part.length;
      done += part.length;
      if (this.#filled === SLOT_BYTES) this.#send();
    }
    return undefined;
  }

  /** Hex. The lane is free for the next stream afterwards. */
  end(): Promise<string> {
    this.#waiting = undefined;
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#filled > 0) this.#send();
    this.#post({ lane: this.#index });
    return new Promise((resolve, reject) => {
      this.#ending = { resolve, reject };
    });
  }

  answered(md5: string | undefined): void {
    if (md5 === undefined) {
      this.#freeSlots++;
      this.#waiting?.();
      this.#waiting = undefined;
    } else {
      this.#ending?.resolve(md5);
      this.#ending = undefined;
    }
  }

  /** Writers go on to nowhere, and `end` says why. */
  fail(error: Error): void {
    this.#failure = error;
    this.#waiting?.();
    this.#waiting = undefined;
    this.#ending?.reject(error);
    this.#ending = undefined;
  }

  async #writeLater(chunk: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting = resolve;
    });
    await this.write(chunk);
  }

  #send(): void {
    this.#post({ lane: this.#index, offset: this.#slot * SLOT_BYTES, length: this.#filled });
    this.#slot = (this.#slot + 1) % SLOTS;
    this.#filled = 0;
    this.#freeSlots--;
  }
}

class LaneHasher implements StreamHasher {
  readonly #options: HashOptions;
  /** Checksums are fast enough to stay here. */
  readonly #checksums: Hasher;
  #lane: Lane | undefined;

  constructor(lane: Lane, options: HashOptions) {
    this.#lane = lane;
    this.#options = options;
    this.#checksums = createHasher({
      checksums: options.checksums.filter((algorithm) => algorithm !== "MD5"),
    });
  }

  update(chunk: Uint8Array): Promise<void> | undefined {
    this.#checksums.update(chunk);
    return this.#lane?.write(chunk);
  }

  async finish(): Promise<HashResult> {
    const md5 = await this.#leave();
    const result = this.#checksums.finish();
    if (this.#options.md5 === true) result.md5 = md5;
    if (this.#options.checksums.includes("MD5"))
      result.checksums.MD5 = Buffer.from(md5, "hex").toString("base64");
    return result;
  }

  abandon(): void {
    if (this.#lane !== undefined) this.#leave().catch(() => undefined);
  }

  #leave(): Promise<string> {
    const lane = this.#lane;
    this.#lane = undefined;
    return lane === undefined ? Promise.reject(new Error("The hasher has ended")) : lane.end();
  }
}

function hashInPlace(options: HashOptions): StreamHasher {
  const hasher = createHasher(options);
  return {
    update(chunk) {
      hasher.update(chunk);
      return undefined;
    },
    finish: async () => hasher.finish(),
    abandon: () => undefined,
  };
}
