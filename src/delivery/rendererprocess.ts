/** A renderer: one picture at a time, over the channel to the worker that forked it. Pictures can kill it. */
import { readdirSync } from "node:fs";
import { setPriority } from "node:os";
import { DeliveryError, type DeliveryErrorCode } from "./errors.ts";
import { prepareCodecs, render, type Job, type Picture } from "./image.ts";

/** What a worker says: a job, its source in chunks, and then `render`, or `drop` when the source could not be read. */
export type Order =
  | { readonly kind: "job"; readonly job: Job }
  | { readonly kind: "chunk"; readonly chunk: Buffer }
  | { readonly kind: "render" }
  | { readonly kind: "drop" };
/** What a renderer answers to `render`. `resident` is its memory in bytes. */
export type Answer =
  | { readonly kind: "done"; readonly picture: Picture; readonly resident: number }
  | {
      readonly kind: "failed";
      readonly code: DeliveryErrorCode;
      readonly message: string;
      readonly resident: number;
    };

const NICE = 10;

/** Uploads and downloads come first. On Linux niceness is a thread's own, and new threads have their maker's. */
function stepBack(): void {
  try {
    const threads = process.platform === "linux" ? readdirSync("/proc/self/task").map(Number) : [0];
    for (const thread of threads) setPriority(thread, NICE);
  } catch {
    // A system that forbids it renders at normal priority.
  }
}

let job: Job | undefined;
let chunks: Buffer[] = [];

async function answer(): Promise<Answer> {
  const source = Buffer.concat(chunks);
  chunks = [];
  try {
    return { kind: "done", picture: await render(source, job!), resident: process.memoryUsage.rss() };
  } catch (error) {
    if (!(error instanceof DeliveryError)) throw error;
    return { kind: "failed", code: error.code, message: error.message, resident: process.memoryUsage.rss() };
  }
}

async function obey(order: Order): Promise<void> {
  if (order.kind === "job") job = order.job;
  else if (order.kind === "chunk") chunks.push(order.chunk);
  else if (order.kind === "drop") chunks = [];
  else process.send!(await answer());
}

// The worker decides when a renderer ends; a terminal's Ctrl-C reaches all processes of the group.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => undefined);
// An orderly exit would wait for the codec that is at work.
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
// What is not a DeliveryError is a defect: the process ends, and one answer with it.
process.on("message", (order: Order) => void obey(order));

stepBack();
prepareCodecs();
