/** The program of the writer's thread; thread.ts starts it and says what the messages mean. */
import { parentPort, workerData, type MessagePort } from "node:worker_threads";
import { createLogger } from "../lib/log.ts";
import type { ThreadMessage, ThreadOptions } from "./thread.ts";
import { startWriter } from "./writer.ts";

const port = ownPort();
const tell = (message: ThreadMessage): void => port.postMessage(message);

const { logLevel, ...options } = workerData as ThreadOptions;
const log = createLogger({ level: logLevel, name: "writer", fd: 2 });
const writer = await startWriter({ ...options, log });

void tellFailure();
port.once("message", () => void close());
tell({ type: "ready" });

async function tellFailure(): Promise<void> {
  const { message } = await writer.failed;
  tell({ type: "failed", message });
}

async function close(): Promise<void> {
  await writer.close();
  // The last thing that keeps the thread alive.
  port.close();
}

function ownPort(): MessagePort {
  if (parentPort === null) throw new Error("This program runs as a worker thread only");
  return parentPort;
}
