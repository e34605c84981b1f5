/**
 * Who of several processes does a piece of work: a file that only one can create. It may also be where the result is
 * written, because making and removing another file for it costs as much as all else that a kept result costs.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  futimes,
  openSync,
  readSync,
  writeSync,
} from "node:fs";
import { mkdir, rename, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { errorCode, localDisk } from "../blob/disk.ts";
import { isRecent } from "../lib/clock.ts";
import { DeliveryError, ERRORS } from "./errors.ts";

/** How often those who wait look again, and how often the claimer shows that it lives, in milliseconds. */
const POLL_MS = 15;
const HEARTBEAT_MS = 1000;
/** Silence after which a claim is one of a dead process. Longer than any pause of a busy one. */
const DEAD_MS = 10_000;

export interface Claim extends AsyncDisposable {
  readonly path: string;
  /** Empty, and open for reading and writing. */
  readonly fd: number;
  /** Says that the file has been renamed and stays. */
  moved(): void;
  /** Whoever waits for the claim now is to have this error in its place. */
  failed(error: DeliveryError): void;
}

/** A claim may become what is kept: that is the server's alone. */
const FILE_MODE = 0o600;

/** Undefined: somebody else has it. It is given back by disposal, or by death. @throws system errors */
export async function tryClaim(path: string): Promise<Claim | undefined> {
  const fd = await seize(path);
  return fd === undefined ? undefined : held(path, fd);
}

/** Resolves when the claim is ours. @throws system errors; what its holder says when it fails */
export async function claim(path: string): Promise<Claim> {
  /** The file of whoever has it: what was left in it can be read when it has no name any more. */
  let theirs: number | undefined;
  try {
    for (;;) {
      const mine = await tryClaim(path);
      const left = theirs === undefined ? undefined : leftIn(theirs);
      if (left instanceof DeliveryError) {
        await mine?.[Symbol.asyncDispose]();
        throw left;
      }
      if (mine !== undefined) return mine;
      if (theirs !== undefined && left === "nothing") {
        closeSync(theirs);
        theirs = undefined;
      }
      theirs ??= openIfThere(path);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  } finally {
    if (theirs !== undefined) closeSync(theirs);
  }
}

/** Whether a living process has it. */
export async function isClaimed(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && !isDead(found.mtimeMs);
}

/** Whether it was lost: somebody took this process for dead, and what is at its path now is another's. */
export const isLost = ({ fd }: Claim): boolean => fstatSync(fd).nlink === 0;

const isDead = (mtimeMs: number): boolean => !isRecent(mtimeMs, DEAD_MS);

/**
 * The descriptor of a file that is ours alone. A dead process's file has one heir: whoever gets the claim that is named
 * after it. Only the heir may put its own file in the dead one's place, and only while the dead one is still there.
 */
async function seize(path: string): Promise<number | undefined> {
  const fd = await createNew(path);
  if (fd !== undefined) return fd;
  const dead = await deadAt(path);
  if (dead === undefined) return undefined;
  const heir = `${path}.${dead}`;
  const inherited = await seize(heir);
  if (inherited === undefined) return undefined;
  if ((await deadAt(path)) === dead) {
    await rename(heir, path);
    return inherited;
  }
  await localDisk.close(inherited);
  await remove(heir);
  return undefined;
}

/** Names the file of a dead process; undefined when it lives or is gone. */
async function deadAt(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  if (found === undefined || !isDead(Number(found.mtimeMs))) return undefined;
  return `${found.ino.toString(36)}-${found.mtimeNs.toString(36)}`;
}

function held(path: string, fd: number): Claim {
  let here = true;
  let failure: DeliveryError | undefined;
  const heart = setInterval(() => {
    const now = Date.now() / 1000;
    futimes(fd, now, now, () => undefined);
  }, HEARTBEAT_MS);
  heart.unref();
  const mine: Claim = {
    path,
    fd,
    moved: () => {
      here = false;
    },
    failed: (error) => {
      failure = error;
    },
    async [Symbol.asyncDispose]() {
      clearInterval(heart);
      // Whoever works for us may have renamed it and died before it told.
      const ours = here && (await stat(path).catch(() => undefined))?.ino === fstatSync(fd).ino;
      if (ours && failure !== undefined) leave(fd, failure);
      await localDisk.close(fd);
      if (ours) await remove(path);
    },
  };
  return mine;
}

/** What waiters are told of a failure: the operator's part stays in the log of whoever failed. */
type Left = Pick<DeliveryError, "code" | "message" | "headers">;
const LEFT_BYTES_MAX = 64 * 1024;

function leave(fd: number, { code, message, headers }: DeliveryError): void {
  const left: Left = { code, message, headers };
  try {
    ftruncateSync(fd);
    writeSync(fd, JSON.stringify(left), 0);
  } catch {
    // A full disk: they try for themselves.
  }
}

/** Undefined: the holder is at work, or its work was done. */
function leftIn(fd: number): DeliveryError | "nothing" | undefined {
  const { nlink, size } = fstatSync(fd);
  if (nlink > 0) return undefined;
  if (size > LEFT_BYTES_MAX) return "nothing";
  const bytes = Buffer.alloc(size);
  readSync(fd, bytes, 0, size, 0);
  try {
    const { code, message, headers } = JSON.parse(bytes.toString()) as Left;
    return Object.hasOwn(ERRORS, code) ? new DeliveryError(code, message, headers) : "nothing";
  } catch {
    // Work that was begun, or that was done and made room since.
    return "nothing";
  }
}

/** For reading. Undefined: it is gone. */
function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY);
  } catch {
    return undefined;
  }
}

const remove = (path: string): Promise<void> => unlink(path).catch(() => undefined);

/**
 * Undefined: there is one already. Makes missing folders. In this thread: an empty file takes 50 microseconds (measured on a
 * local disk, half a millisecond at most beside four writers that sync all the time), and handing it over costs 200 more.
 */
async function createNew(path: string): Promise<number | undefined> {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, FILE_MODE);
  } catch (error) {
    if (errorCode(error) === "EEXIST") return undefined;
    if (errorCode(error) !== "ENOENT") throw error;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    return createNew(path);
  }
}
