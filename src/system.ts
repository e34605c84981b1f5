/**
 * Windlass as a library: `open(config)` starts a whole server in this process, with the writer in a thread of its
 * own. The command line's `serve --workers 1` is the same thing.
 */
import { completeConfig, type Config } from "./config.ts";
import { takeDataDirectory, dataPaths } from "./datadir.ts";
import { createLogger, type Logger } from "./lib/log.ts";
import { startWriterThread } from "./meta/thread.ts";
import { ensureRoot, type RootKey } from "./root.ts";
import { openServing, type Urls } from "./serving.ts";
import { openStorage } from "./storage.ts";
import type { ObjectStore } from "./store/store.ts";

export { ConfigError, type Config } from "./config.ts";
export type { RootKey } from "./root.ts";

export interface System {
  readonly s3Urls: readonly string[];
  /** Undefined when the listener is off. */
  readonly consoleUrl: string | undefined;
  readonly deliveryUrl: string | undefined;
  /** The root account's key, when it was generated just now: keep it. */
  readonly rootKey: RootKey | undefined;
  readonly store: ObjectStore;
  /** Finishes what is under way, for up to ten seconds. */
  close(): Promise<void>;
}

/**
 * Starts a server with the given options and the defaults of all others; the environment is not read.
 * @throws ConfigError for options that are wrong, a data directory that is in use, addresses that are taken
 */
export async function open(config: Partial<Config> = {}): Promise<System> {
  const system = await openSystem(completeConfig(config));
  return {
    s3Urls: system.urls.s3,
    consoleUrl: system.urls.console[0],
    deliveryUrl: system.urls.delivery[0],
    rootKey: system.rootKey,
    store: system.store,
    close: () => system.stop(),
  };
}

export interface RunningSystem {
  readonly urls: Urls;
  readonly rootKey: RootKey | undefined;
  readonly store: ObjectStore;
  reload(): void;
  stop(): Promise<void>;
  /** For the command line, where everything ends with the process. */
  kill(): void;
}

/** What has been opened so far, to be closed in the opposite order. */
class Opened {
  readonly #closers: (() => Promise<void> | void)[] = [];

  add<T>(value: T, close: (value: T) => Promise<void> | void): T {
    this.#closers.push(() => close(value));
    return value;
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).toReversed()) await close();
  }
}

/** @throws ConfigError */
export async function openSystem(config: Config): Promise<RunningSystem> {
  const log = createLogger({ level: config.logLevel, fd: 2, name: "server" });
  const opened = new Opened();
  try {
    return await openAll(config, log, opened);
  } catch (error) {
    await opened.close();
    throw error;
  }
}

async function openAll(config: Config, log: Logger, opened: Opened): Promise<RunningSystem> {
  const { socket } = opened.add(
    takeDataDirectory(config, (message) => log.warn(message)),
    (directory) => directory.release(),
  );
  const path = dataPaths(config).meta;
  const writer = opened.add(await startWriterThread({ path, socket, logLevel: config.logLevel }), (thread) =>
    thread.close(),
  );
  let readonly: string | undefined;
  const fail = ({ message }: Error): void => {
    readonly = message;
    log.fatal({ reason: message }, "nothing is written until the server is restarted");
  };
  void writer.failed.then(fail);
  const storage = opened.add(
    await openStorage(config, { writer: socket, log, readonly: () => readonly }),
    (files) => files.close(),
  );
  const rootKey = await ensureRoot(storage.store, config);
  const serving = opened.add(
    await openServing({ config, storage, log, processName: "server", workers: 1, readonly: () => readonly }),
    (listeners) => listeners.close(),
  );
  return {
    urls: serving.urls,
    rootKey,
    store: storage.store,
    reload: () => void serving.reload(),
    stop: () => opened.close(),
    kill: () => undefined,
  };
}
