/** A renderer: one picture at a time, over a socket to the worker that forked it. Pictures can kill it. */
import { readdirSync } from "node:fs";
import { Socket } from "node:net";
import { setPriority } from "node:os";
import { DeliveryError, type DeliveryErrorCode } from "../errors.ts";
import { readFrames, writeFrame, writeJson } from "./frames.ts";
import type { Job, Picture } from "./job.ts";
import { prepareCodecs, render } from "./render.ts";

/** What a worker sends ahead of the inputs' bytes. */
export interface Order {
  readonly job: Job;
  /** Bytes of each input. */
  readonly sizes: readonly number[];
}
/** What a renderer answers, with the picture's bytes behind it. `resident` is its memory in bytes. */
export type Answer =
  | {
      readonly kind: "done";
      readonly picture: Omit<Picture, "data">;
      readonly size: number;
      readonly resident: number;
    }
  | {
      readonly kind: "failed";
      readonly code: DeliveryErrorCode;
      readonly message: string;
      readonly resident: number;
    };

const NICE = 10;
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
  readonly job: Job;
  readonly inputs: readonly Buffer[];
  /** Which input is being filled, and how far. */
  input: number;
  filled: number;
}

/** Inputs of the next job arrive while one is rendered. */
function serve(socket: Socket): void {
  let receiving: Receiving | undefined;
  let work: Promise<void> = Promise.resolve();
  const start = (): void => {
    const { job, inputs } = receiving!;
    receiving = undefined;
    // What is not a DeliveryError is a defect: the process ends, and one answer with it.
    work = work.then(() => answer(socket, job, inputs));
  };
  readFrames(socket, {
    json(kind, value) {
      if (kind === "drop") {
        receiving = undefined;
        return;
      }
      const { job, sizes } = value as Order;
      receiving = { job, inputs: sizes.map((size) => Buffer.allocUnsafe(size)), input: 0, filled: 0 };
      advance(receiving);
      if (isComplete(receiving)) start();
    },
    bytes(piece) {
      // The rest of a job that was dropped.
      if (receiving === undefined) return;
      fill(receiving, piece);
      if (isComplete(receiving)) start();
    },
  });
}

const isComplete = ({ input, inputs }: Receiving): boolean => input === inputs.length;

/** Steps over inputs that are full. */
function advance(receiving: Receiving): void {
  while (!isComplete(receiving) && receiving.filled === receiving.inputs[receiving.input]!.length) {
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

async function answer(socket: Socket, job: Job, inputs: readonly Buffer[]): Promise<void> {
  try {
    const { data, ...picture } = await render(inputs, job);
    const done: Answer = { kind: "done", picture, size: data.length, resident: process.memoryUsage.rss() };
    await Promise.all([writeJson(socket, "answer", done), writeFrame(socket, "bytes", data)]);
  } catch (error) {
    if (!(error instanceof DeliveryError)) throw error;
    const { code, message } = error;
    const failed: Answer = { kind: "failed", code, message, resident: process.memoryUsage.rss() };
    await writeJson(socket, "answer", failed);
  }
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
serve(socket);
