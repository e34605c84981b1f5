/**
 * Who of several processes does a piece of work: a file that only one can create. It is also where the result is
 * written, because making and removing another file for it costs as much as all else that a kept result costs.
 */
import { constants, futimes } from "node:fs";
import { mkdir, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { errorCode, localDisk } from "../../blob/disk.ts";

/** How often those who wait look again, and how often the claimer shows that it lives, in milliseconds. */
const POLL_MS = 15;
const HEARTBEAT_MS = 1000;
/** Silence after which a claim is one of a dead process. */
const DEAD_MS = 5000;

export interface Claim extends AsyncDisposable {
  readonly path: string;
  /** Empty, and open for writing. */
  readonly fd: number;
  /** Says that the file has been renamed and stays. */
  moved(): void;
}

/** Resolves when the claim is ours; it is given back by disposal, or by death. */
export async function claim(path: string): Promise<Claim> {
  let fd = await createNew(path);
  while (fd === undefined) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > DEAD_MS) await remove(path);
    fd = await createNew(path);
  }
  return held(path, fd);
}

function held(path: string, fd: number): Claim {
  let here = true;
  const heart = setInterval(() => {
    const now = Date.now() / 1000;
    futimes(fd, now, now, () => undefined);
  }, HEARTBEAT_MS);
  heart.unref();
  return {
    path,
    fd,
    moved: () => {
      here = false;
    },
    async [Symbol.asyncDispose]() {
      clearInterval(heart);
      await localDisk.close(fd);
      if (here) await remove(path);
    },
  };
}

const remove = (path: string): Promise<void> => unlink(path).catch(() => undefined);

/** Undefined: there is one already. Makes missing folders. */
async function createNew(path: string): Promise<number | undefined> {
  try {
    return await localDisk.open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
  } catch (error) {
    if (errorCode(error) === "EEXIST") return undefined;
    if (errorCode(error) !== "ENOENT") throw error;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    return createNew(path);
  }
}
