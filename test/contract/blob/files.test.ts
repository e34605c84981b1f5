import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { BlobBroken, BlobDamaged, BlobFull, type BlobStore } from "../../../src/blob/blob.ts";
import { type Disk, localDisk } from "../../../src/blob/disk.ts";
import { openFiles } from "../../../src/blob/files.ts";
import { collect } from "../../../src/lib/chunks.ts";
import { describeBlobStore, GARBAGE_IDS, ids, KIB, MIB, put } from "./contract.ts";

let parent: string;
let root: string;
beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "windlass-blobs-"));
});
beforeEach(async () => {
  root = await mkdtemp(join(parent, "root-"));
});
afterAll(() => rm(parent, { recursive: true, force: true }));

/** The one file below a folder whose name is `id`. */
async function pathOf(id: string): Promise<string> {
  const names = await readdir(root, { recursive: true });
  const found = names.filter((name) => basename(name) === id);
  expect(found).toHaveLength(1);
  return join(root, found[0]!);
}
function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: by the test`), { code });
}
const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

describe("blobs in files", () => {
  describeBlobStore(() => openFiles({ root }));
});

describe("the files of blobs", () => {
  test("are there for the next process, whose own come under another incarnation", async () => {
    const first = await openFiles({ root });
    const id = await put(first, Buffer.from("kept"));
    const unfinished = await first.create();
    await unfinished.write(randomBytes(MIB));
    await first.close();

    const second = await openFiles({ root });
    const other = await put(second, Buffer.from("new"));
    expect(await second.incarnations()).toEqual([first.incarnation, second.incarnation]);
    expect(await ids(second.list(first.incarnation))).toEqual([id, unfinished.id]);
    expect(await ids(second.list(second.incarnation))).toEqual([other]);
    expect((await collect(second.read(id, 0, 4))).toString()).toBe("kept");
    await unfinished.abort();
  });

  test("are the owner's alone", async () => {
    const store = await openFiles({ root });
    const path = await pathOf(await put(store, Buffer.from("secret")));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(path))).mode & 0o777).toBe(0o700);
  });

  test("opening a store leaves nothing behind but its root", async () => {
    const deep = join(root, "a", "b");
    const store = await openFiles({ root: deep });
    await store.close();
    expect(await readdir(deep)).toEqual([]);
    expect(await store.incarnations()).toEqual([store.incarnation]);
  });

  test("roll over to a new folder after 4,096", async () => {
    const store = await openFiles({
      root,
      disk: { ...localDisk, fdatasync: async () => undefined, fsync: async () => undefined },
    });
    const made: string[] = [];
    for (let index = 0; index < 4100; index += 50) {
      const writers = await Promise.all(Array.from({ length: 50 }, () => store.create()));
      await Promise.all(writers.map((writer) => writer.finish()));
      made.push(...writers.map((writer) => writer.id));
    }
    const folders = (await readdir(join(root, store.incarnation))).toSorted();
    expect(folders).toHaveLength(2);
    expect(await readdir(join(root, store.incarnation, folders[0]!))).toHaveLength(4096);
    expect(await ids(store.list(store.incarnation))).toEqual(made);
    expect(await store.size(made[4095]!)).toBe(0);
    expect(await store.size(made[4096]!)).toBe(0);
  });

  test("empty folders go when an ended incarnation is listed", async () => {
    const first = await openFiles({ root });
    const id = await put(first, Buffer.from("x"));
    await first.close();
    const second = await openFiles({ root });
    await second.remove(id);
    expect(await ids(second.list(first.incarnation))).toEqual([]);
    expect(await ids(second.list(first.incarnation))).toEqual([]);
    expect(await second.incarnations()).toEqual([second.incarnation]);
  });

  test("a writer whose empty folder went begins another", async () => {
    const writing = await openFiles({ root });
    const tidying = await openFiles({ root });
    for (let round = 0; round < 3; round++) {
      const id = await put(writing, Buffer.from("x"));
      await tidying.remove(id);
      expect(await ids(tidying.list(writing.incarnation))).toEqual([]);
    }
    const made = await Promise.all([put(writing, Buffer.from("a")), put(writing, Buffer.from("b"))]);
    expect(await ids(tidying.list(writing.incarnation))).toEqual(made.toSorted());
  });

  test("names that are no ids are neither listed nor touched", async () => {
    const store = await openFiles({ root });
    const id = await put(store, Buffer.from("x"));
    const folder = dirname(await pathOf(id));
    const planted = [
      join(root, "lost+found.txt"),
      join(dirname(folder), "note"),
      join(folder, "0abc-00000000"),
    ];
    for (const path of planted) await writeFile(path, "mine");
    expect(await ids(store.list(store.incarnation))).toEqual([id]);
    expect(await store.incarnations()).toEqual([store.incarnation]);
    for (const garbage of [...GARBAGE_IDS, `../${basename(root)}/lost+found.txt`])
      await store.remove(garbage);
    for (const path of planted) expect(await readFile(path, "utf8")).toBe("mine");
  });

  test.each([0, 1, 100 * KIB, 999 * KIB])("a file cut to %i bytes is damaged", async (length) => {
    const store = await openFiles({ root });
    const bytes = randomBytes(MIB);
    const id = await put(store, bytes);
    await truncate(await pathOf(id), length);
    await expect(collect(store.read(id, 0, MIB))).rejects.toThrow(BlobDamaged);
    expect((await collect(store.read(id, 0, length))).equals(bytes.subarray(0, length))).toBe(true);
  });

  test("descriptors are closed, whether readers end, leave or fail", async () => {
    let open = 0;
    const disk: Disk = {
      ...localDisk,
      open: async (path, flags) => {
        const fd = await localDisk.open(path, flags);
        open++;
        return fd;
      },
      close: async (fd) => {
        open--;
        await localDisk.close(fd);
      },
    };
    const store = await openFiles({ root, disk });
    const id = await put(store, randomBytes(2 * MIB));
    await collect(store.read(id, 0, 2 * MIB));
    await collect(store.read(id, 0, 10));
    for await (const chunk of store.read(id, 0, 2 * MIB)) if (chunk.length > 0) break;
    await expect(collect(store.read(id, MIB, 3 * MIB))).rejects.toThrow(BlobDamaged);
    await expect(collect(store.read(id, 2 * MIB, 2 * MIB + 1))).rejects.toThrow(BlobDamaged);
    const aborted = await store.create();
    await aborted.write(randomBytes(MIB));
    await aborted.abort();
    expect(open).toBe(0);
  });
});

/** Notes what was synced when, and fails on demand. */
class TestDisk implements Disk {
  readonly log: string[] = [];
  readonly #paths = new Map<number, string>();
  fail: { call: keyof Disk; code: string; on?: (path: string) => boolean } | undefined;
  /** A short write now and then. */
  shortWrites = false;
  #gate: Promise<void> | undefined;

  async open(path: string, flags: number): Promise<number> {
    this.#maybeFail("open", path);
    const fd = await localDisk.open(path, flags);
    this.#paths.set(fd, path);
    return fd;
  }
  read(...call: Parameters<Disk["read"]>): Promise<number> {
    return this.#try("read", call[0], () => localDisk.read(...call));
  }
  writev(fd: number, buffers: readonly Buffer[], position: number): Promise<number> {
    const [first] = buffers;
    const part =
      this.shortWrites && first !== undefined ? [first.subarray(0, Math.ceil(first.length / 3))] : buffers;
    return this.#try("writev", fd, () => localDisk.writev(fd, part, position));
  }
  fdatasync(fd: number): Promise<void> {
    return this.#try("fdatasync", fd, () => localDisk.fdatasync(fd));
  }
  async fsync(fd: number): Promise<void> {
    this.log.push(`fsync of ${basename(this.#paths.get(fd) ?? "?")} begins`);
    await this.#gate;
    return this.#try("fsync", fd, () => localDisk.fsync(fd));
  }
  async close(fd: number): Promise<void> {
    this.#paths.delete(fd);
    await localDisk.close(fd);
  }
  async unlink(path: string): Promise<void> {
    this.#maybeFail("unlink", path);
    await localDisk.unlink(path);
  }
  async mkdir(path: string): Promise<void> {
    this.#maybeFail("mkdir", path);
    await localDisk.mkdir(path);
    this.log.push(`mkdir ${basename(path)}`);
  }

  /** Until the returned function is called. */
  holdSyncs(): () => void {
    let release: (() => void) | undefined;
    this.#gate = new Promise((resolve) => {
      release = resolve;
    });
    return () => release?.();
  }
  async logged(entry: string): Promise<void> {
    while (!this.log.includes(entry)) await sleep(1);
  }

  async #try<T>(call: keyof Disk, fd: number, run: () => Promise<T>): Promise<T> {
    const path = this.#paths.get(fd) ?? "?";
    this.#maybeFail(call, path);
    const result = await run();
    this.log.push(`${call} ${basename(path)}`);
    return result;
  }
  #maybeFail(call: keyof Disk, path: string): void {
    if (this.fail?.call === call && (this.fail.on?.(path) ?? true)) throw systemError(this.fail.code);
  }
}

describe("durability", () => {
  let disk: TestDisk;
  let store: BlobStore;
  beforeEach(async () => {
    disk = new TestDisk();
    store = await openFiles({ root, disk });
  });
  const count = (entry: string): number => disk.log.filter((line) => line === entry).length;

  test("a finished blob has its file, then its directory synced, and once the directories above", async () => {
    const first = await put(store, randomBytes(10));
    const folder = basename(dirname(await pathOf(first)));
    const after = (entry: string, from: string): void => {
      expect(disk.log.lastIndexOf(entry)).toBeGreaterThan(disk.log.indexOf(from));
    };
    after(`fdatasync ${first}`, `writev ${first}`);
    after(`fsync ${folder}`, `fdatasync ${first}`);
    after(`fsync ${store.incarnation}`, `mkdir ${folder}`);
    after(`fsync ${basename(root)}`, `mkdir ${folder}`);
    const before = disk.log.length;
    const second = await put(store, randomBytes(10));
    expect(disk.log.slice(before)).toEqual([
      `writev ${second}`,
      `fdatasync ${second}`,
      `fsync of ${folder} begins`,
      `fsync ${folder}`,
    ]);
  });

  test("an empty blob is synced too", async () => {
    const id = await put(store, Buffer.alloc(0));
    expect(count(`fdatasync ${id}`)).toBe(1);
  });

  test("a directory's sync serves all that came before it, and nobody that came later", async () => {
    const folder = basename(dirname(await pathOf(await put(store, randomBytes(10)))));
    const writers = await Promise.all(Array.from({ length: 40 }, () => store.create()));
    disk.log.length = 0;
    const release = disk.holdSyncs();
    const first = writers[0]!.finish();
    await disk.logged(`fsync of ${folder} begins`);
    const others = writers.slice(1).map((writer) => writer.finish());
    for (const { id } of writers) await disk.logged(`fdatasync ${id}`);
    expect(count(`fsync of ${folder} begins`)).toBe(1);
    release();
    await Promise.all([first, ...others]);
    expect(count(`fsync ${folder}`)).toBe(2);
    const second = disk.log.lastIndexOf(`fsync of ${folder} begins`);
    for (const { id } of writers) expect(disk.log.indexOf(`fdatasync ${id}`)).toBeLessThan(second);
  });

  test("a long blob is synced while it is being written", async () => {
    const bytes = randomBytes(40 * MIB);
    const id = await put(store, bytes, MIB);
    expect(count(`fdatasync ${id}`)).toBeGreaterThan(1);
    expect(disk.log.lastIndexOf(`fdatasync ${id}`)).toBeGreaterThan(disk.log.lastIndexOf(`writev ${id}`));
  });

  test("chunks are gathered to large writes", async () => {
    const id = await put(store, randomBytes(4 * MIB), 16 * KIB);
    expect(count(`writev ${id}`)).toBeLessThanOrEqual(16);
    const tiny = await put(store, randomBytes(64 * KIB), 10);
    expect(count(`writev ${tiny}`)).toBe(1);
  });

  test("short writes are continued", async () => {
    disk.shortWrites = true;
    const bytes = randomBytes(MIB + 77);
    const id = await put(store, bytes, 50_000);
    expect((await collect(store.read(id, 0, bytes.length))).equals(bytes)).toBe(true);
  });
});

describe("a failing disk", () => {
  let disk: TestDisk;
  let store: BlobStore;
  beforeEach(async () => {
    disk = new TestDisk();
    store = await openFiles({ root, disk });
  });

  test.each(["ENOSPC", "EDQUOT"])(
    "%s while writing is BlobFull, and over when there is space again",
    async (code) => {
      const writer = await store.create();
      disk.fail = { call: "writev", code };
      const writing = async (): Promise<void> => {
        for (let index = 0; index < 10; index++) await writer.write(randomBytes(MIB));
        await writer.finish();
      };
      await expect(writing()).rejects.toThrow(BlobFull);
      await writer.abort();
      expect(await ids(store.list(store.incarnation))).toEqual([]);
      disk.fail = undefined;
      const id = await put(store, Buffer.from("again"));
      expect(await store.size(id)).toBe(5);
    },
  );

  test.each(["open", "mkdir"] as const)("no space for %s is BlobFull", async (call) => {
    disk.fail = { call, code: "ENOSPC" };
    await expect(store.create()).rejects.toThrow(BlobFull);
    disk.fail = undefined;
    expect(await store.size(await put(store, Buffer.from("again")))).toBe(5);
  });

  test("out of descriptors, a blob fails and the store goes on", async () => {
    const writer = await store.create();
    const folder = dirname(await pathOf(writer.id));
    disk.fail = { call: "open", code: "EMFILE", on: (path) => path === folder };
    await expect(writer.finish()).rejects.toThrow("EMFILE");
    await writer.abort();
    disk.fail = undefined;
    expect(await store.size(await put(store, Buffer.from("again")))).toBe(5);
  });

  test.each<[keyof Disk, string]>([
    ["writev", "EIO"],
    ["writev", "EROFS"],
    ["fdatasync", "EIO"],
    ["fdatasync", "ENOSPC"],
    ["fsync", "EIO"],
  ])("%s: %s breaks the store for writes, not for reads, until a restart", async (call, code) => {
    const earlier = await put(store, Buffer.from("earlier"));
    const beside = await store.create();
    await beside.write(Buffer.from("beside"));
    const another = await store.create();
    disk.fail = { call, code };
    const writer = await store.create();
    await writer.write(randomBytes(10));
    await expect(writer.finish()).rejects.toThrow(BlobBroken);
    await writer.abort();
    disk.fail = undefined;
    await expect(store.create()).rejects.toThrow(BlobBroken);
    await expect(beside.write(Buffer.from("more"))).rejects.toThrow(BlobBroken);
    await expect(beside.finish()).rejects.toThrow(BlobBroken);
    await expect(another.finish()).rejects.toThrow(BlobBroken);
    await beside.abort();
    await another.abort();
    expect((await collect(store.read(earlier, 0, 7))).toString()).toBe("earlier");
    expect(await ids(store.list(store.incarnation))).toEqual([earlier]);
    await store.remove(earlier);
    const restarted = await openFiles({ root });
    expect(await restarted.size(await put(restarted, Buffer.from("again")))).toBe(5);
  });

  test("a blob whose finish is under way when another's sync fails is not acknowledged", async () => {
    const [good, bad] = await Promise.all([store.create(), store.create()]);
    const folder = basename(dirname(await pathOf(good.id)));
    const release = disk.holdSyncs();
    const finishing = good.finish();
    await disk.logged(`fdatasync ${good.id}`);
    disk.fail = { call: "fdatasync", code: "EIO" };
    await expect(bad.finish()).rejects.toThrow(BlobBroken);
    release();
    await expect(finishing).rejects.toThrow(BlobBroken);
    expect(disk.log).toContain(`fsync ${folder}`);
  });

  test("blobs have files", async () => {
    expect(store.pathOf(await put(store, randomBytes(10)))).toMatch(root);
  });

  test("a sector that can't be read is damage, and breaks the store for writes", async () => {
    const id = await put(store, randomBytes(MIB));
    disk.fail = { call: "read", code: "EIO" };
    await expect(collect(store.read(id, 0, MIB))).rejects.toThrow(BlobDamaged);
    await expect(store.create()).rejects.toThrow(BlobBroken);
  });

  test("an abort that can't unlink leaves the blob to the sweeper", async () => {
    const writer = await store.create();
    await writer.write(Buffer.from("x"));
    disk.fail = { call: "unlink", code: "EACCES" };
    await writer.abort();
    expect(await ids(store.list(store.incarnation))).toEqual([writer.id]);
  });
});

/** A small file system of its own, where mounting is allowed. */
function mountSmall(path: string): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "none", path], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe("a full file system", () => {
  test("gives BlobFull, loses nothing, and takes writes again after a removal", async (context) => {
    if (!mountSmall(root)) context.skip("mounting a tmpfs needs root");
    try {
      const store = await openFiles({ root });
      const bytes = randomBytes(2 * MIB);
      const id = await put(store, bytes);
      expect(await store.free()).toBeLessThan(2 * MIB + 1);
      const writer = await store.create();
      const writing = async (): Promise<void> => {
        for (let index = 0; index < 40; index++) await writer.write(randomBytes(100 * KIB));
        await writer.finish();
      };
      await expect(writing()).rejects.toThrow(BlobFull);
      await writer.abort();
      expect((await collect(store.read(id, 0, bytes.length))).equals(bytes)).toBe(true);
      await store.remove(id);
      const again = await put(store, randomBytes(3 * MIB));
      expect(await ids(store.list(store.incarnation))).toEqual([again]);
    } finally {
      execFileSync("umount", ["-l", root]);
    }
  });
});
