/** Long work in short pieces, so that what else a thread has to do goes on. */
import { setImmediate } from "node:timers/promises";

/**
 * To be asked between pieces of work. Once they have held the thread for `ms` it gives what to await, while others have
 * their turn; else undefined, which costs next to nothing.
 */
export function breaths(ms: number): () => Promise<void> | undefined {
  let since = performance.now();
  const breathe = async (): Promise<void> => {
    await setImmediate();
    since = performance.now();
  };
  return () => (performance.now() - since < ms ? undefined : breathe());
}
