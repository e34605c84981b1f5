/** Where files lie: `root/{incarnation}/{folder}/{id}`, 4,096 ids to a folder. */
import { dirname, join } from "node:path";
import { type Disk, syncDirectory } from "./disk.ts";
import { blobId, parseBlobId } from "./ids.ts";

/** Small enough to read whole, large enough that new folders, which cost three syncs, are rare. */
const FILES_PER_FOLDER = 4096;
const FOLDER = /^[0-9a-z]{6}$/;

/** Undefined for what is not an id: it names no file. */
export function blobPath(root: string, id: string): string | undefined {
  const parsed = parseBlobId(id);
  if (parsed === undefined) return undefined;
  return join(root, parsed.incarnation, folderName(Math.floor(parsed.sequence / FILES_PER_FOLDER)), id);
}

export function isFolderName(name: string): boolean {
  return FOLDER.test(name);
}

function folderName(number: number): string {
  return number.toString(36).padStart(6, "0");
}

/** One sync of a directory serves all who asked before it began. */
class GroupedSync {
  readonly #sync: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(sync: () => Promise<void>) {
    this.#sync = sync;
  }

  /** Resolves after a sync that began after this call. */
  request(): Promise<void> {
    if (this.#running === undefined) return this.#start();
    // The one under way may have passed our entry by already; who comes while it runs shares the next.
    this.#next ??= this.#running.then(
      () => this.#startNext(),
      () => this.#startNext(),
    );
    return this.#next;
  }

  #startNext(): Promise<void> {
    this.#next = undefined;
    return this.#start();
  }

  #start(): Promise<void> {
    const running = this.#sync().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }
}

export class Folder {
  readonly path: string;
  readonly number: number;
  /** It is there. */
  readonly made: Promise<void>;
  /** Its own entry and its parent's are on stable storage. */
  #lasting = false;
  readonly #parents: GroupedSync;
  readonly #entries: GroupedSync;

  constructor(disk: Disk, root: string, incarnation: string, number: number) {
    this.number = number;
    this.path = join(root, incarnation, folderName(number));
    this.made = disk.mkdir(this.path);
    this.#parents = new GroupedSync(async () => {
      await syncDirectory(disk, dirname(this.path));
      await syncDirectory(disk, root);
      this.#lasting = true;
    });
    this.#entries = new GroupedSync(() => syncDirectory(disk, this.path));
  }

  /**
   * Resolves when every file that was created in it before the call is findable after a crash.
   * @throws SyncFailed, system errors
   */
  async sync(): Promise<void> {
    if (!this.#lasting) await this.#parents.request();
    await this.#entries.request();
  }
}

/** Gives ids and folders to one incarnation's new blobs. */
export class Folders {
  readonly #disk: Disk;
  readonly #root: string;
  readonly #incarnation: string;
  #sequence = 0;
  #current: Folder | undefined;

  constructor(disk: Disk, root: string, incarnation: string) {
    this.#disk = disk;
    this.#root = root;
    this.#incarnation = incarnation;
  }

  next(): { id: string; folder: Folder } {
    const sequence = this.#sequence++;
    const number = Math.floor(sequence / FILES_PER_FOLDER);
    if (this.#current?.number !== number) {
      this.#current = new Folder(this.#disk, this.#root, this.#incarnation, number);
    }
    return { id: blobId(this.#incarnation, sequence), folder: this.#current };
  }

  /**
   * The folder is missing or could not be made: the next blob begins another. The same path is not made again,
   * because writers that hold the old folder would take its durability for the new one's.
   */
  abandon(folder: Folder): void {
    if (this.#current !== folder) return;
    this.#current = undefined;
    this.#sequence = Math.max(this.#sequence, (folder.number + 1) * FILES_PER_FOLDER);
  }

  /** Whether new blobs may still come to the folder at `path`. */
  isCurrent(path: string): boolean {
    return this.#current?.path === path;
  }
}
