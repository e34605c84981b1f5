/** Which of several processes does a piece of work: a file that one of them keeps fresh. */
import { randomBytes } from "node:crypto";
import { mkdir, open, rename, rm, stat, utimes } from "node:fs/promises";
import { dirname } from "node:path";

/** How often the holder shows that it lives, in milliseconds. */
const HEARTBEAT_MS = 2000;
/** Silence after which a lease is one of a dead process. Longer than any pause of a busy one. */
const DEAD_MS = 15_000;

export type Lease = AsyncDisposable;

/** Undefined: somebody else has it. It is given back by disposal, or by death. */
export async function tryLease(path: string): Promise<Lease | undefined> {
  if (!(await take(path)) && !((await takeAway(path)) && (await take(path)))) return undefined;
  const heart = setInterval(() => {
    const now = Date.now() / 1000;
    utimes(path, now, now).catch(() => undefined);
  }, HEARTBEAT_MS);
  heart.unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(heart);
      await rm(path, { force: true });
    },
  };
}

/** Whether a living process has it. */
export async function isLeased(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs <= DEAD_MS;
}

async function take(path: string): Promise<boolean> {
  try {
    await (await open(path, "wx", 0o600)).close();
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    if (code !== "ENOENT") throw error;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    return take(path);
  }
}

/** Removes the lease of a dead process; false: it lives. */
async function takeAway(path: string): Promise<boolean> {
  if (await isLeased(path)) return false;
  const aside = `${path}.${randomBytes(6).toString("hex")}`;
  // It is gone already, or another has done so.
  const moved = await rename(path, aside).then(
    () => true,
    () => false,
  );
  if (!moved) return true;
  // Between the look and the move another may have taken it: then it is put back.
  if (await isLeased(aside)) {
    await rename(aside, path);
    return false;
  }
  await rm(aside, { force: true });
  return true;
}
