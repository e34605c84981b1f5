/**
 * Node's cluster accepts connections in the primary and hands them to workers one by one. One that is on its way to a
 * worker which has just died stays open in the primary for ever, and its client waits as long. Here it is closed.
 */
import type { ChildProcess } from "node:child_process";

/** What cluster passes along: a connection's handle. */
interface Handle {
  close(...parameters: unknown[]): unknown;
}

const isHandle = (value: unknown): value is Handle =>
  typeof value === "object" && value !== null && "close" in value && typeof value.close === "function";

/** From now on, a connection that is under way to this worker when it ends is closed with it. */
export function closeWithWorker(worker: ChildProcess): void {
  const underWay = new Set<Handle>();
  const send = worker.send.bind(worker) as (...parameters: unknown[]) => boolean;
  worker.send = (...parameters: unknown[]): boolean => {
    const handle = parameters[1];
    // Cluster closes its own copy once the worker has taken the connection over.
    if (isHandle(handle)) watch(handle, underWay);
    return send(...parameters);
  };
  worker.once("exit", () => {
    for (const handle of underWay) handle.close();
  });
}

function watch(handle: Handle, underWay: Set<Handle>): void {
  const close = handle.close.bind(handle);
  underWay.add(handle);
  handle.close = (...parameters) => {
    underWay.delete(handle);
    return close(...parameters);
  };
}
