/** The data directory: where what is kept, the lock that gives it to one server, and the key file. */
import Database from "better-sqlite3";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { ConfigError, type Config } from "./config.ts";

/**
 * Bytes of a Unix socket's path: the kernel's field has 108, some systems' 104, and a longer path is cut without
 * a word, so that the server would listen on a name which nobody looks for.
 */
const SOCKET_PATH_MAX = 100;

const LOCK = "lock.db";

export interface DataPaths {
  readonly root: string;
  readonly meta: string;
  readonly blobs: string;
  readonly cache: string;
  readonly keyFile: string;
}

export function dataPaths(config: Pick<Config, "data" | "keyFile">): DataPaths {
  const root = resolve(config.data);
  return {
    root,
    meta: join(root, "meta.db"),
    blobs: join(root, "blobs"),
    cache: join(root, "cache"),
    keyFile: resolve(config.keyFile ?? join(root, "secret.key")),
  };
}

function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Makes the directory, for its owner's eyes only, when it is not there. @throws ConfigError */
function makeDataDirectory(paths: DataPaths): void {
  try {
    if (!existsSync(paths.root)) mkdirSync(paths.root, { recursive: true, mode: 0o700 });
    if (!statSync(paths.root).isDirectory()) throw new Error(`${paths.root} is no directory`);
  } catch (error) {
    throw new ConfigError(`The data directory can't be made: ${explain(error)}`);
  }
}

/** @throws ConfigError when there is no store in the directory, which most often means that --data is wrong */
export function requireStore(paths: DataPaths): void {
  if (existsSync(paths.meta)) return;
  throw new ConfigError(
    `There is no store in ${paths.root}. Name the data directory with --data DIR or WINDLASS_DATA.`,
  );
}

/**
 * Takes the directory for this process until `release` or the process's end, however it ends.
 * @throws ConfigError when another server has it
 */
function lockDataDirectory(paths: DataPaths): { release: () => void } {
  const path = join(paths.root, LOCK);
  const database = new Database(path, { timeout: 0 });
  try {
    // Nothing is ever written; a journal beside it would only puzzle whoever lists the directory.
    database.pragma("journal_mode = MEMORY");
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if ((error as { code?: string }).code === "SQLITE_BUSY") {
      throw new ConfigError(
        `Another server is using ${paths.root}. Stop it first, or name another directory with --data.`,
      );
    }
    throw new ConfigError(`The lock of ${paths.root} can't be taken: ${explain(error)}`);
  }
  return { release: () => void database.close() };
}

/**
 * Takes a directory that holds no store yet; a key file may lie there already. Missing, it is made.
 * @throws ConfigError when something else is in it, or a server is using it
 */
export function takeEmptyDirectory(paths: DataPaths): { release: () => void } {
  makeDataDirectory(paths);
  const lock = lockDataDirectory(paths);
  const others = readdirSync(paths.root).filter(
    (name) => name !== LOCK && join(paths.root, name) !== paths.keyFile,
  );
  if (others.length === 0) return lock;
  lock.release();
  throw new ConfigError(`The data directory ${paths.root} is not empty: it holds ${others[0]}.`);
}

/**
 * Makes the key file at the first start. A store whose key file is gone is refused: with a new key none of its
 * secrets could be read, and what is written meanwhile would be lost once the old key is back.
 * @throws ConfigError
 */
function ensureKeyFile(paths: DataPaths, warn: (message: string) => void): void {
  const { keyFile } = paths;
  if (existsSync(keyFile)) {
    if ((statSync(keyFile).mode & 0o077) !== 0) {
      warn(`The key file ${keyFile} can be read by others than its owner. Set its mode to 0600.`);
    }
    return;
  }
  if (existsSync(paths.meta)) {
    throw new ConfigError(
      `The key file ${keyFile} is missing. Put it back, or name it with --key-file or WINDLASS_KEY_FILE.`,
    );
  }
  try {
    mkdirSync(dirname(keyFile), { recursive: true, mode: 0o700 });
    const file = openSync(keyFile, "wx", 0o600);
    try {
      // A umask may take bits away, never add; this states what is wanted whatever it says.
      chmodSync(keyFile, 0o600);
      writeSync(file, `${randomBytes(32).toString("hex")}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    const folder = openSync(dirname(keyFile), "r");
    fsyncSync(folder);
    closeSync(folder);
  } catch (error) {
    throw new ConfigError(`The key file can't be made: ${explain(error)}`);
  }
}

/**
 * A path for this start's writer socket. Each start has its own, so that the writer of a start which was killed
 * can't remove its successor's as it ends. Stale ones are removed: hold the lock.
 */
function writerSocket(paths: DataPaths): { path: string; remove: () => void } {
  const name = `writer-${randomBytes(4).toString("hex")}.sock`;
  // Nobody but its owner may enter the folder: whoever reaches the socket may write anything.
  const inside = join(paths.root, "run");
  rmSync(inside, { recursive: true, force: true });
  const fits = Buffer.byteLength(join(inside, name)) <= SOCKET_PATH_MAX;
  const folder = fits ? inside : join(tmpdir(), `windlass-${randomBytes(8).toString("hex")}`);
  mkdirSync(folder, { mode: 0o700 });
  return { path: join(folder, name), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export interface DataDirectory {
  /** The path of the Unix socket that the writer of this start listens on. */
  readonly socket: string;
  /** Gives the directory free for the next server. */
  release(): void;
}

/** Makes the directory and the key file when they are missing, and takes the directory for this process. @throws ConfigError */
export function takeDataDirectory(config: Config, warn: (message: string) => void): DataDirectory {
  const paths = dataPaths(config);
  makeDataDirectory(paths);
  const lock = lockDataDirectory(paths);
  try {
    ensureKeyFile(paths, warn);
    const { path, remove } = writerSocket(paths);
    const release = () => {
      remove();
      lock.release();
    };
    return { socket: path, release };
  } catch (error) {
    lock.release();
    throw error;
  }
}
