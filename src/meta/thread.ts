/** The one writer in a thread of this process, for servers with one worker and for tests. */
import { Worker } from "node:worker_threads";
import type { LOG_LEVELS } from "../lib/log.ts";
import { programUrl } from "../lib/program.ts";
import type { Writer, WriterOptions } from "./writer.ts";

export interface ThreadOptions extends Omit<WriterOptions, "log"> {
  /** The thread has a log of its own, on standard error. */
  logLevel: (typeof LOG_LEVELS)[number];
}

/** What the thread tells; any message to it means: close. */
export type ThreadMessage = { type: "ready" } | { type: "failed"; message: string };

/**
 * Starts the thread and waits until it serves. `failed` also settles when the thread ends without being closed.
 * @throws what startWriter throws
 */
export async function startWriterThread(options: ThreadOptions): Promise<Writer> {
  const thread = new Worker(programUrl(import.meta.url, "./writerthread.ts"), { workerData: options });
  let closing = false;
  let fail!: (error: Error) => void;
  const failed = new Promise<Error>((resolve) => (fail = resolve));
  const ended = new Promise<void>((resolve) => thread.once("exit", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    thread.on("message", (message: ThreadMessage) => {
      if (message.type === "ready") resolve();
      else if (message.type === "failed") fail(new Error(message.message));
    });
    thread.on("error", (error: Error) => {
      reject(error);
      fail(error);
    });
    thread.once("exit", (code) => {
      reject(new Error(`The writer's thread ended with code ${code}`));
      if (!closing) fail(new Error(`The writer's thread ended with code ${code}`));
    });
  });
  return {
    failed,
    async close() {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      if (!closing) thread.postMessage("close");
      closing = true;
      await ended;
    },
  };
}
