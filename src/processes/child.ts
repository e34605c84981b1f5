/** What every child of the primary does: it obeys its channel, ignores the terminal, and never outlives the primary. */
import { ConfigError } from "../config.ts";
import type { FromChild, ToChild } from "./messages.ts";

/** Failures to send are the channel's end, which `disconnect` tells. */
export function tell(message: FromChild): void {
  process.send?.(message, undefined, undefined, () => undefined);
}

/** What a user has to read of a failed start. */
export function failureText(error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Handles messages as they come; one that fails tells the primary and ends the process. */
export function obey(handle: (message: ToChild) => Promise<void> | void): void {
  // A Ctrl-C reaches the whole group; only the primary may act on it, or draining would lose its workers.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
  // The primary is gone, perhaps by kill -9. Everything acknowledged is on the disk: nothing is lost by leaving now.
  process.on("disconnect", () => process.exit(0));
  process.on("message", (message) => {
    Promise.resolve()
      .then(() => handle(message as ToChild))
      .catch((error: unknown) => {
        tell({ kind: "failed", message: failureText(error) });
        // Leaves the channel a moment to carry the reason.
        setTimeout(() => process.exit(1), 100);
      });
  });
  tell({ kind: "loaded" });
}
