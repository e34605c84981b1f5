/** Opens the store that a data directory holds: for the server's workers, and for commands beside it. */
import { openFiles } from "./blob/files.ts";
import { ConfigError, type Config } from "./config.ts";
import { dataPaths } from "./datadir.ts";
import { createLogger, type Logger } from "./lib/log.ts";
import { MetaError, type Meta } from "./meta/meta.ts";
import { openSqlite } from "./meta/sqlite.ts";
import { openStore, type ObjectStore } from "./store/store.ts";

export interface Storage {
  readonly store: ObjectStore;
  readonly meta: Meta;
  close(): Promise<void>;
}

export interface StorageOptions {
  /** The writer's socket: commits go there. Without it, straight to the file. */
  readonly writer?: string;
  readonly log?: Logger;
  /** Why no more may be written, once that is so. */
  readonly readonly?: () => string | undefined;
}

/** @throws ConfigError when the files are not ours, are newer than this program, or lack their key */
export async function openStorage(config: Config, options: StorageOptions = {}): Promise<Storage> {
  const paths = dataPaths(config);
  const log = options.log ?? createLogger({ level: "warn", fd: 2 });
  const { readonly } = options;
  // A process that starts after the writer has failed for good reads the file itself, and registers nowhere.
  const writer = readonly?.() === undefined ? options.writer : undefined;
  try {
    const meta = await openSqlite({ path: paths.meta, ...(writer === undefined ? {} : { writer }) });
    if (readonly !== undefined) refuseCommits(meta, readonly);
    const blobs = await openFiles({ root: paths.blobs });
    const store = await openStore({
      meta,
      blobs,
      keyFile: paths.keyFile,
      log,
      inlineBytes: config.inlineBytes,
      graceMs: config.grace * 1000,
      readOnlyBlobs: writer === undefined,
    });
    return { store, meta, close: () => store.close() };
  } catch (error) {
    throw new ConfigError(`The store in ${paths.root} can't be opened: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/**
 * A failed sync anywhere, of a blob in another worker too, leaves nobody knowing what is on the disk: from then on no
 * process may acknowledge a write.
 */
function refuseCommits(meta: Meta, readonly: () => string | undefined): void {
  const commit = meta.commit.bind(meta);
  meta.commit = async (change) => {
    const reason = readonly();
    if (reason !== undefined) throw new MetaError("readonly", reason);
    return commit(change);
  };
}
