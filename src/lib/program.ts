/** Where the code of a worker thread or child process lies. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * The compiled program beside a module: `programUrl(import.meta.url, "./writerthread.ts")`. Compiled code finds its
 * neighbour; code that runs from `src/*.ts` (the tests) is sent to `dist/`, because Node 20 cannot load TypeScript
 * in threads and children.
 * @throws Error when it has not been built
 */
export function programUrl(base: string, relative: string): URL {
  const url = new URL(relative.replace(/\.ts$/, ".js"), base);
  if (!base.endsWith(".ts")) return url;
  // The innermost "/src/": a checkout may itself lie below a folder of that name.
  const at = url.pathname.lastIndexOf("/src/");
  if (at < 0) throw new Error(`${url.pathname} lies outside src/`);
  url.pathname = `${url.pathname.slice(0, at)}/dist/${url.pathname.slice(at + "/src/".length)}`;
  if (!existsSync(fileURLToPath(url))) {
    throw new Error(`${fileURLToPath(url)} is missing: run "npm run build" first`);
  }
  return url;
}

/** Whether a process of that number runs now; numbers come back. */
export function isRunning(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    // Another user's process runs, too.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
