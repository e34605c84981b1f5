/** A renderer: one picture at a time, over a socket to the worker that forked it. Pictures can kill it. */
import { closeSync, constants, openSync, readdirSync, readSync } from "node:fs";
import { Socket } from "node:net";
import { setPriority } from "node:os";
import type { FileRange } from "../../blob/blob.ts";
import { keepSync, WHOLE_BYTES_MAX, type Draft, type Facts } from "../cache/entries.ts";
import { DeliveryError, type DeliveryErrorCode } from "../errors.ts";
import { jsonFrame, readFrames, writeFrames, type Frame } from "./wire.ts";
import type { Job, Picture } from "./job.ts";
import { prepareCodecs } from "./decode.ts";
import { render } from "./render.ts";

/** Where the picture is kept, and what of its description the worker knows. */
export interface PictureDraft extends Draft {
  readonly about: Pick<Facts, "origin" | "path" | "variant">;
}

/** What a worker sends ahead of the bytes of those inputs that are in no files. */
export interface Order {
  readonly job: Job;
  readonly inputs: readonly { readonly size: number; readonly files?: readonly FileRange[] }[];
  readonly draft?: PictureDraft;
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
  /** A file was gone or too short: the bytes are to be sent. */
  | { readonly kind: "unread"; readonly resident: number }
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
  readonly order: Order;
  /** Of inputs that are in files they are read when it is their job's turn. */
  readonly inputs: readonly (Buffer | undefined)[];
  /** Which input is being filled, and how far. */
  input: number;
  filled: number;
}

/** Inputs of the next job arrive while one is rendered. */
function serve(socket: Socket): void {
  let receiving: Receiving | undefined;
  let work: Promise<void> = Promise.resolve();
  const start = (): void => {
    const { order, inputs } = receiving!;
    receiving = undefined;
    // What is not a DeliveryError is a defect: the process ends, and one answer with it.
    work = work.then(() => answer(socket, order, inputs));
  };
  readFrames(socket, {
    json(kind, value) {
      if (kind === "drop") {
        receiving = undefined;
        return;
      }
      const order = value as Order;
      const inputs = order.inputs.map(({ size, files }) =>
        files === undefined ? Buffer.allocUnsafe(size) : undefined,
      );
      receiving = { order, inputs, input: 0, filled: 0 };
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

async function answer(socket: Socket, order: Order, sent: Receiving["inputs"]): Promise<void> {
  // With the worker gone nobody waits for it, and this process ends with its socket.
  const tell = (said: Unweighed<Answer>, ...more: Frame[]): Promise<void> =>
    writeFrames(socket, jsonFrame("answer", { ...said, resident: process.memoryUsage.rss() }), ...more).catch(
      () => undefined,
    );
  try {
    const inputs = order.inputs.map(({ size, files }, n) => sent[n] ?? readFiles(files ?? [], size, n));
    if (!inputs.every((input) => input !== undefined)) return await tell({ kind: "unread" });
    const { data, ...picture } = await render(inputs, order.job);
    const { draft } = order;
    const { length: size } = data;
    const kept = draft === undefined ? undefined : keepSync(draft, { ...picture, ...draft.about }, data);
    const follows = kept === undefined || size <= WHOLE_BYTES_MAX;
    const said = { kind: "done", picture, size, follows, ...(kept !== undefined && { kept }) } as const;
    await (follows ? tell(said, { kind: "bytes", bytes: data }) : tell(said));
  } catch (error) {
    if (!(error instanceof DeliveryError)) throw error;
    const { code, message } = error;
    await tell({ kind: "failed", code, message });
  }
}

type Unweighed<Told> = Told extends Answer ? Omit<Told, "resident"> : never;

/** Undefined: they are gone, or have other sizes. Nothing else waits for this thread. */
function readFiles(files: readonly FileRange[], size: number, n: number): Buffer | undefined {
  if (files.reduce((sum, { start, end }) => sum + end - start, 0) !== size) return undefined;
  const bytes = n === 0 ? room(size) : Buffer.allocUnsafe(size);
  let filled = 0;
  try {
    for (const { path, start, end } of files) {
      const fd = openSync(path, constants.O_RDONLY);
      try {
        for (let at = start; at < end;) {
          const read = readSync(fd, bytes, filled, end - at, at);
          if (read === 0) return undefined;
          at += read;
          filled += read;
        }
      } finally {
        closeSync(fd);
      }
    }
    return bytes;
  } catch {
    return undefined;
  }
}

/** For the one source of the one job at a time: new memory for each would keep the garbage collector busy. */
function room(size: number): Buffer {
  if (size > spare.length && size <= SPARE_BYTES_MAX) spare = Buffer.allocUnsafeSlow(size);
  return size <= spare.length ? spare.subarray(0, size) : Buffer.allocUnsafe(size);
}
let spare = Buffer.alloc(0);
const SPARE_BYTES_MAX = 8 * 1024 ** 2;

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
