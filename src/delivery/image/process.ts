/** A renderer: as many pictures at the same time as it is told, over a socket to the worker that forked it. Pictures can kill it. */
import { readdirSync } from "node:fs";
import { Socket } from "node:net";
import { setPriority } from "node:os";
import { performance, type EventLoopUtilization } from "node:perf_hooks";
import type { FileRange } from "../../blob/blob.ts";
import { ChurnMap } from "../../lib/churn.ts";
import { keepSync, WHOLE_BYTES_MAX, type Draft, type Facts } from "../cache/entries.ts";
import { DeliveryError, type DeliveryErrorCode } from "../errors.ts";
import { bytesFrame, jsonFrame, readFrames, writeFrames, type Frame } from "./wire.ts";
import type { Job, Picture } from "./job.ts";
import { prepareCodecs } from "./decode.ts";
import { render } from "./render.ts";
import { readFiles, Sources, type Source } from "./sources.ts";

/** Where the picture is kept, and what of its description the worker knows. */
export interface PictureDraft extends Draft {
  readonly about: Pick<Facts, "origin" | "path" | "variant">;
}

/** What a worker sends ahead of the bytes of those inputs that are in no files. */
export interface Order {
  readonly job: Job;
  readonly inputs: readonly { readonly size: number; readonly files?: readonly FileRange[] }[];
  readonly draft?: PictureDraft;
  /** Pictures that may be at work at the same time from now on. */
  readonly places: number;
}
/** What a renderer answers. `resident` is its memory in bytes. */
export type Answer =
  | {
      readonly kind: "done";
      readonly picture: Omit<Picture, "data">;
      /** Bytes of the picture. */
      readonly size: number;
      /** They come behind the answer. */
      readonly follows: boolean;
      /** Bytes of the file in which it is kept. */
      readonly kept?: number;
      readonly resident: number;
    }
  /** Milliseconds since the picture was begun in which the thread of all pictures had nothing to do. */
  | { readonly kind: "asked"; readonly freeMs: number; readonly resident: number }
  /** A file was gone or too short: the bytes are to be sent. */
  | { readonly kind: "unread"; readonly resident: number }
  | {
      readonly kind: "failed";
      readonly code: DeliveryErrorCode;
      readonly message: string;
      readonly resident: number;
    };

const NICE = 10;
/**
 * How long an answer is held back while pictures wait for a place, in milliseconds: while four of the shortest are made. The
 * worker, which wakes once for several, spends a third less on each, and more of them are made in a second.
 */
const HELD_MS = 80;
/** How long there has been work without a pause before that begins, in milliseconds: a page's pictures come one by one. */
const LASTING_MS = 300;
/** The socket's number, behind stdin, stdout and stderr. */
const SOCKET_FD = 3;

/** Uploads and downloads come first. On Linux niceness is a thread's own, and new threads have their maker's. */
function stepBack(): void {
  try {
    const threads = process.platform === "linux" ? readdirSync("/proc/self/task").map(Number) : [0];
    for (const thread of threads) setPriority(thread, NICE);
  } catch {
    // A system that forbids it renders at normal priority.
  }
}

/** A job whose inputs are arriving, or have arrived. */
interface Receiving {
  readonly id: number;
  readonly order: Order;
  /** Of inputs that are in files they are read when it is their job's turn. */
  readonly inputs: readonly (Buffer | undefined)[];
  /** Which input is being filled, and how far. */
  input: number;
  filled: number;
}

/** Inputs of further jobs arrive while others are rendered. */
class Renderings {
  readonly #socket: Socket;
  readonly #receiving = new ChurnMap<number, Receiving>();
  /** In the order in which they became complete. */
  readonly #ready: Receiving[] = [];
  /** What the thread had done when they were begun, by their ids. */
  readonly #working = new ChurnMap<number, EventLoopUtilization>();
  readonly #sources = new Sources();
  /** Answers that are held back, in their order. */
  #held: Frame[] = [];
  #release: NodeJS.Timeout | undefined;
  /** When the last pause ended, by `performance.now()`. */
  #began = 0;
  #places = 1;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  listen(): void {
    readFrames(this.#socket, {
      json: (kind, id, value) => {
        if (kind === "drop") this.#receiving.delete(id);
        else if (kind === "ask") this.#say(id);
        else this.#take(id, value as Order);
      },
      bytes: (id, piece) => {
        const receiving = this.#receiving.get(id);
        // The rest of a job that was dropped.
        if (receiving === undefined) return;
        fill(receiving, piece);
        this.#proceed(receiving);
      },
    });
  }

  #take(id: number, order: Order): void {
    const inputs = order.inputs.map(({ size, files }) =>
      files === undefined ? Buffer.allocUnsafe(size) : undefined,
    );
    const receiving = { id, order, inputs, input: 0, filled: 0 };
    this.#places = order.places;
    this.#receiving.set(id, receiving);
    advance(receiving);
    this.#proceed(receiving);
  }

  #proceed(receiving: Receiving): void {
    if (!isComplete(receiving)) return;
    this.#receiving.delete(receiving.id);
    if (this.#working.size === 0) this.#began = performance.now();
    this.#ready.push(receiving);
    this.#begin();
  }

  #begin(): void {
    while (this.#working.size < this.#places && this.#ready.length > 0) {
      const next = this.#ready.shift()!;
      this.#working.set(next.id, performance.eventLoopUtilization());
      void this.#make(next);
    }
  }

  /** What is not a DeliveryError is a defect: the process ends, and with it what is at work. */
  async #make(next: Receiving): Promise<void> {
    const { frames, source } = await answer(next, this.#sources);
    // A picture may be its source as it is, whose memory has another one soon.
    const lent = frames.some(({ bytes }) => bytes.buffer === source?.bytes.buffer);
    if (!lent && this.#mayHold(frames)) this.#hold(frames);
    else await this.#send(frames);
    source?.release();
    this.#working.delete(next.id);
    this.#begin();
  }

  #mayHold(frames: readonly Frame[]): boolean {
    // The first that waits takes the place that is free now.
    if (this.#ready.length < 2 || performance.now() - this.#began < LASTING_MS) return false;
    return frames.every(({ bytes }) => bytes.length <= WHOLE_BYTES_MAX);
  }

  #hold(frames: readonly Frame[]): void {
    this.#held.push(...frames);
    this.#release ??= setTimeout(() => void this.#send([]), HELD_MS);
  }

  /** Behind all that were held back. With the worker gone nobody waits for it, and this process ends with its socket. */
  #send(frames: readonly Frame[]): Promise<void> {
    clearTimeout(this.#release);
    this.#release = undefined;
    const held = this.#held;
    this.#held = [];
    return writeFrames(this.#socket, ...held, ...frames).catch(() => undefined);
  }

  /** While the thread was idle all pictures had what they needed of it. */
  #say(id: number): void {
    const began = this.#working.get(id);
    if (began === undefined) return;
    const freeMs = performance.eventLoopUtilization(began).idle;
    void this.#send([told(id, { kind: "asked", freeMs })]);
  }
}

const isComplete = ({ input, inputs }: Receiving): boolean => input === inputs.length;

/** Steps over inputs that are full, or in files. */
function advance(receiving: Receiving): void {
  while (!isComplete(receiving) && receiving.filled === (receiving.inputs[receiving.input]?.length ?? 0)) {
    receiving.input++;
    receiving.filled = 0;
  }
}

function fill(receiving: Receiving, piece: Buffer): void {
  let rest = piece;
  while (rest.length > 0 && !isComplete(receiving)) {
    const taken = rest.copy(receiving.inputs[receiving.input]!, receiving.filled);
    receiving.filled += taken;
    rest = rest.subarray(taken);
    advance(receiving);
  }
}

/** With the source, where it was read here. */
async function answer(
  { id, order, inputs: sent }: Receiving,
  sources: Sources,
): Promise<{ readonly frames: Frame[]; readonly source: Source | undefined }> {
  const [first] = order.inputs;
  const source = first?.files === undefined ? undefined : sources.read(first.files, first.size);
  const inputs = order.inputs.map(
    ({ size, files = [] }, n) => sent[n] ?? (n === 0 ? source?.bytes : readFiles(files, size)),
  );
  return { frames: await framesOf(id, order, inputs), source };
}

async function framesOf(id: number, order: Order, inputs: (Buffer | undefined)[]): Promise<Frame[]> {
  try {
    if (!inputs.every((input) => input !== undefined)) return [told(id, { kind: "unread" })];
    const { data, ...picture } = await render(inputs, order.job);
    const { draft } = order;
    const { length: size } = data;
    const kept = draft === undefined ? undefined : keepSync(draft, { ...picture, ...draft.about }, data);
    const follows = kept === undefined || size <= WHOLE_BYTES_MAX;
    const done = told(id, { kind: "done", picture, size, follows, ...(kept !== undefined && { kept }) });
    return follows ? [done, bytesFrame(id, data)] : [done];
  } catch (error) {
    if (!(error instanceof DeliveryError)) throw error;
    const { code, message } = error;
    return [told(id, { kind: "failed", code, message })];
  }
}

type Unweighed<Told> = Told extends Answer ? Omit<Told, "resident"> : never;

const told = (id: number, said: Unweighed<Answer>): Frame =>
  jsonFrame("answer", id, { ...said, resident: residentBytes() });

/** How old it may be, in milliseconds: asking the system takes as long as reading an order. */
const RESIDENT_MS = 100;
let resident = 0;
let residentAt = -Infinity;

function residentBytes(): number {
  const now = performance.now();
  if (now - residentAt >= RESIDENT_MS) {
    resident = process.memoryUsage.rss();
    residentAt = now;
  }
  return resident;
}

// The worker decides when a renderer ends; a terminal's Ctrl-C reaches all processes of the group.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => undefined);

stepBack();
prepareCodecs();
const socket = new Socket({ fd: SOCKET_FD, readable: true, writable: true });
// An orderly exit would wait for the codec that is at work.
socket.on("close", () => process.kill(process.pid, "SIGKILL"));
socket.on("error", () => process.kill(process.pid, "SIGKILL"));
new Renderings(socket).listen();
