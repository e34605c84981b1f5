import { existsSync, utimesSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { claim, tryClaim } from "../../../src/delivery/claims.ts";
import { DerivedCache, lasting, type Entry, type Kept } from "../../../src/delivery/cache/cache.ts";
import { keepSync, type Draft, type Facts } from "../../../src/delivery/cache/entries.ts";
import { collect } from "../../../src/lib/chunks.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "windlass-cache-"));
});
afterEach(() => rm(folder, { recursive: true }));

const open = (maxBytes = 1_000_000, memoryBytes = 0): DerivedCache =>
  new DerivedCache({ folder, maxBytes, memoryBytes, log: pino({ level: "silent" }) });
const FACTS: Facts = {
  type: "image/webp",
  width: 3,
  height: 4,
  headers: ["Content-DPR", "2"],
  origin: "owner/photos",
  path: "a/b.jpg",
  variant: "w-3",
};
const picture = (fill: number, size = 1000): Buffer => Buffer.alloc(size, fill);
const put = (cache: DerivedCache, n: number, data: Buffer): Promise<void> => cache.put(keyOf(n), FACTS, data);

/** What an entry holds; undefined when there is none. */
async function content(entry: Entry | undefined): Promise<Buffer | undefined> {
  if (entry === undefined) return undefined;
  expect(entry.facts).toEqual(FACTS);
  return collect(entry.read(0, entry.size));
}
const get = async (cache: DerivedCache, n: number): Promise<Buffer | undefined> =>
  content(await cache.get(keyOf(n)));
const keyOf = (n: number): string => n.toString(16).padStart(2, "0").repeat(32);
const pathOf = (n: number): string => join(folder, keyOf(n).slice(0, 2), keyOf(n).slice(2));

/** Of most file systems: a file takes whole ones. */
const BLOCK = 4096;
/** Space that all entries take. */
async function space(): Promise<number> {
  const names = await readdir(folder, { recursive: true });
  const stats = await Promise.all(names.map((name) => stat(join(folder, name))));
  return stats.reduce((sum, entry) => sum + (entry.isFile() ? Math.ceil(entry.size / BLOCK) * BLOCK : 0), 0);
}

test("what was put is there, for other processes and after a restart too", async () => {
  await put(open(), 1, picture(1));
  expect(await get(open(), 1)).toEqual(picture(1));
  expect(await get(open(), 2)).toBeUndefined();
});

test("the folder stays within its budget, and the least recently used entries go", async () => {
  const cache = open(16 * BLOCK);
  for (let n = 1; n <= 15; n++) {
    await put(cache, n, picture(n));
    await cache.settled();
    // The clock of the file system is coarse: what was used when is said here.
    await utimes(pathOf(n), 1000 + n, 1000 + n);
  }
  // Using the oldest makes it the youngest.
  expect(await get(cache, 1)).toEqual(picture(1));
  for (let n = 16; n <= 24; n++) {
    await put(cache, n, picture(n));
    await cache.settled();
  }
  expect(await space()).toBeLessThanOrEqual(16 * BLOCK);
  expect(await get(cache, 2)).toBeUndefined();
  expect(await get(cache, 3)).toBeUndefined();
  expect(await get(cache, 1)).toEqual(picture(1));
  expect(await get(cache, 24)).toEqual(picture(24));
});

test("entries of a few bytes count as much as they take on disk", async () => {
  const cache = open(16 * BLOCK);
  for (let n = 1; n <= 100; n++) {
    await put(cache, n, picture(n, 1));
    await cache.settled();
  }
  const kept = Array.from({ length: 100 }, (_, n) => pathOf(n + 1)).filter((path) => existsSync(path));
  expect(kept.length).toBeLessThanOrEqual(16);
  expect(kept).not.toEqual([]);
});

test("what is found while others make room stays", async () => {
  const large = open();
  for (let n = 1; n <= 200; n++) {
    await put(large, n, picture(n));
    await utimes(pathOf(n), 1000 + n, 1000 + n);
  }
  const cache = open(16 * BLOCK);
  await put(cache, 201, picture(201));
  while (existsSync(pathOf(1))) await setImmediate();
  // All are listed and the first has gone; this one's turn comes late.
  utimesSync(pathOf(180), 2000, 2000);
  await cache.settled();
  expect(existsSync(pathOf(179))).toBe(false);
  expect(await get(cache, 180)).toEqual(picture(180));
});

test("room is made whatever else lies in the folder", async () => {
  const cache = open(16 * BLOCK);
  // By hand, or by a file system that was repaired.
  await mkdir(join(pathOf(1), "folder"), { recursive: true });
  await utimes(pathOf(1), 1000, 1000);
  await writeFile(join(folder, "ab"), "no folder");
  for (let n = 2; n <= 40; n++) {
    await put(cache, n, picture(n));
    await cache.settled();
  }
  expect(await space()).toBeLessThanOrEqual(17 * BLOCK);
  expect(await cache.get(keyOf(1))).toBeUndefined();
  expect(await get(cache, 40)).toEqual(picture(40));
  await mkdir(join(pathOf(1), "folder"), { recursive: true });
  expect(await cache.remove(() => true)).toBeGreaterThan(0);
  expect(await get(cache, 40)).toBeUndefined();
});

test("what others wrote counts too", async () => {
  const [one, two] = [open(16 * BLOCK), open(16 * BLOCK)];
  for (let n = 1; n <= 60; n++) {
    const cache = n % 2 === 0 ? one : two;
    await put(cache, n, picture(n));
    await cache.settled();
  }
  // Each may write a sixteenth of the budget before it counts again, and sees the entry that makes it too much.
  expect(await space()).toBeLessThanOrEqual(16 * BLOCK * (1 + 2 / 16) + 2 * BLOCK);
});

test("while there is much room the folder is counted seldom, and later in time", async () => {
  const cache = open(212 * BLOCK);
  const dead = join(folder, "tmp", "dead");
  let counts = 0;
  for (let n = 1; n <= 255; n++) {
    await cache.draftFolder();
    // A count removes it.
    await writeFile(dead, "x");
    await utimes(dead, 1, 1);
    await put(cache, n, picture(n, 3500));
    await cache.settled();
    if (!(await readdir(join(folder, "tmp"))).includes("dead")) counts++;
    if (n === 150) expect(counts).toBeLessThan(5);
  }
  expect(counts).toBeGreaterThan(5);
  expect(await space()).toBeLessThanOrEqual(213 * BLOCK);
});

test("what is larger than the budget is not kept on disk", async () => {
  const cache = open(5000);
  await put(cache, 1, picture(1, 6000));
  expect(await get(cache, 1)).toBeUndefined();
});

test.each([
  ["cut short", () => truncate(pathOf(1), 500)],
  ["empty", () => truncate(pathOf(1), 0)],
  [
    "changed in one byte",
    async () => {
      const file = await readFile(pathOf(1));
      file[500]! ^= 1;
      await writeFile(pathOf(1), file);
    },
  ],
  [
    "described by nonsense",
    async () => {
      const file = await readFile(pathOf(1));
      file[1000]! ^= 1;
      await writeFile(pathOf(1), file);
    },
  ],
  [
    "described by more than there is",
    async () => {
      const file = await readFile(pathOf(1));
      file.writeUInt32BE(2 ** 32 - 1, file.length - 4);
      await writeFile(pathOf(1), file);
    },
  ],
  ["something else", () => writeFile(pathOf(1), "hello\nworld")],
])("a file that is %s is no entry, and is removed", async (_, damage) => {
  const cache = open();
  await put(cache, 1, picture(1));
  await damage();
  expect(await get(cache, 1)).toBeUndefined();
  await expect(stat(pathOf(1))).rejects.toThrow("ENOENT");
});

test("drafts that a dead process left are removed after a while, fresh ones not", async () => {
  const cache = open(2000);
  await put(cache, 1, picture(1));
  await cache.settled();
  await writeFile(join(folder, "tmp", "dead"), "x");
  await utimes(join(folder, "tmp", "dead"), 1, 1);
  await writeFile(join(folder, "tmp", "living"), "x");
  await put(cache, 2, picture(2));
  await cache.settled();
  expect(await readdir(join(folder, "tmp"))).toEqual(["living"]);
});

test("a folder that can't be written costs nothing but speed, and memory helps", async () => {
  await writeFile(join(folder, "tmp"), "in the way");
  const cache = open();
  await put(cache, 1, picture(1));
  expect(await get(cache, 1)).toBeUndefined();
  const remembering = open(1_000_000, 10_000);
  await put(remembering, 1, picture(1));
  expect(await get(remembering, 1)).toEqual(picture(1));
});

test("memory is for what is asked for again, and answers what the disk lost", async () => {
  const cache = open(1_000_000, 10_000);
  for (const n of [1, 2]) await put(cache, n, picture(n));
  expect(await get(cache, 1)).toEqual(picture(1));
  for (const n of [1, 2]) await rm(pathOf(n));
  expect(await get(cache, 1)).toEqual(picture(1));
  expect(await get(cache, 2)).toBeUndefined();
});

test("many writers of one key leave one whole entry", async () => {
  await Promise.all(Array.from({ length: 20 }, () => put(open(), 7, picture(7, 100_000))));
  expect(await get(open(), 7)).toEqual(picture(7, 100_000));
  expect(await readdir(join(folder, "tmp"))).toEqual([]);
});

test("what is made is made once, for all who ask, in all processes that share the folder", async () => {
  let made = 0;
  const make = async (): Promise<{ facts: Facts; data: Buffer }> => {
    made++;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { facts: FACTS, data: picture(9) };
  };
  const caches = [open(), open(), open()];
  const results = await Promise.all(
    Array.from({ length: 30 }, (_, n) => caches[n % 3]!.produce(keyOf(9), make)),
  );
  expect(made).toBe(1);
  for (const { entry } of results) expect(await content(entry)).toEqual(picture(9));
  expect((await open().produce(keyOf(9), make)).hit).toBe(true);
});

test("what another process finished between a look and a claim is not made again", async () => {
  const make = vi.fn<() => Promise<{ facts: Facts; data: Buffer }>>(() =>
    Promise.resolve({ facts: FACTS, data: picture(9) }),
  );
  const [one, two] = [open(), open()];
  vi.spyOn(two, "get").mockImplementationOnce(async () => {
    await one.produce(keyOf(9), make);
    return undefined;
  });
  const { entry, hit } = await two.produce(keyOf(9), make);
  expect([await content(entry), hit, make.mock.calls.length]).toEqual([picture(9), true, 1]);
});

test("what is served from memory does not look unused on disk", async () => {
  const cache = open(1_000_000, 10_000);
  await put(cache, 1, picture(1));
  expect(await get(cache, 1)).toEqual(picture(1));
  await utimes(pathOf(1), 1000, 1000);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 });
  try {
    const { hit } = await cache.produce(keyOf(1), failing);
    expect(hit).toBe(true);
    await vi.waitFor(async () => expect((await stat(pathOf(1))).mtimeMs).toBeGreaterThan(1_000_000));
  } finally {
    vi.useRealTimers();
  }
});

const failing = (): Promise<never> => Promise.reject(new Error("no"));

test("a maker that fails tells all who waited, and the next one tries again", async () => {
  const cache = open();
  const results = await Promise.allSettled([
    cache.produce(keyOf(3), failing),
    cache.produce(keyOf(3), failing),
  ]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  const { hit } = await cache.produce(keyOf(3), () => Promise.resolve({ facts: FACTS, data: picture(3) }));
  expect([hit, await get(cache, 3)]).toEqual([false, picture(3)]);
});

test("the claim of a process that died is taken over", async () => {
  const path = join(folder, "tmp", `${keyOf(4).slice(0, 40)}.claim`);
  await using _ = await claim(join(folder, "tmp", "folder"));
  await writeFile(path, "");
  await utimes(path, 1, 1);
  const { hit } = await open().produce(keyOf(4), () => Promise.resolve({ facts: FACTS, data: picture(4) }));
  expect(hit).toBe(false);
});

test("whoever was taken for dead at its work has its result, and keeps nothing in its heir's place", async () => {
  let heir: Awaited<ReturnType<typeof tryClaim>>;
  const { entry } = await open().produce(keyOf(5), async (draft) => {
    await utimes(draft!.path, 1, 1);
    heir = await tryClaim(draft!.path);
    return { facts: FACTS, data: picture(5) };
  });
  expect([await content(entry), entry.path]).toEqual([picture(5), undefined]);
  expect([existsSync(pathOf(5)), existsSync(heir!.path)]).toEqual([false, true]);
  await heir![Symbol.asyncDispose]();
});

/** As another process does that makes something. */
function keep(draft: Draft | undefined, data: Buffer): { facts: Facts; kept: Kept; data?: Buffer } {
  const kept = { size: data.length, bytes: keepSync(draft!, FACTS, data)! };
  return { facts: FACTS, kept, ...(data.length <= 256 * 1024 && { data }) };
}

test("what a maker kept itself is the entry, in memory or, when it is long, on disk alone", async () => {
  const cache = open(100_000_000);
  for (const [n, size] of [1000, 5_000_000].entries()) {
    const data = picture(n, size);
    const { entry } = await cache.produce(keyOf(n), async (draft) => keep(draft, data));
    expect([entry.path, entry.data?.length]).toEqual([pathOf(n), n === 0 ? size : undefined]);
    for (const found of [entry, await open().get(keyOf(n))]) {
      expect((await content(found))!.equals(data)).toBe(true);
    }
    expect((await readFile(entry.path!)).subarray(0, size).equals(data)).toBe(true);
  }
  expect(await readdir(join(folder, "tmp"))).toEqual([]);
});

test("what makers keep counts, and so do finished files", async () => {
  const cache = open(16 * BLOCK);
  for (let n = 1; n <= 40; n++) {
    await cache.produce(keyOf(n), async (draft) => keep(draft, picture(n)));
    await cache.settled();
  }
  expect(await space()).toBeLessThanOrEqual(16 * BLOCK * (1 + 1 / 16) + BLOCK);
  for (let n = 41; n <= 80; n++) {
    const file = join(await cache.draftFolder(), "film");
    await writeFile(file, picture(n));
    await cache.produce(keyOf(n), async () => ({ facts: FACTS, file }));
    await cache.settled();
  }
  expect(await space()).toBeLessThanOrEqual(16 * BLOCK * (1 + 1 / 16) + BLOCK);
  expect(await get(cache, 80)).toEqual(picture(80));
});

test("a maker that dies after it kept something takes nothing from whoever works on it now", async () => {
  const [cache, other] = [open(), open()];
  let path = "";
  const dies = cache.produce(keyOf(1), async (draft) => {
    keep(draft, picture(1));
    ({ path } = draft!);
    await writeFile(path, "another's");
    throw new Error("dead");
  });
  await expect(dies).rejects.toThrow("dead");
  expect(await readFile(path, "utf8")).toBe("another's");
  expect((await other.produce(keyOf(1), failing)).hit).toBe(true);
});

test("an entry with the longest path and a long plan is found again, and removed by them", async () => {
  const facts = { ...FACTS, path: "\u0001".repeat(1024), variant: "w-1:".repeat(10_000) };
  await open().put(keyOf(1), facts, picture(1));
  expect((await open().get(keyOf(1)))!.facts).toEqual(facts);
  expect(await open().remove(({ path }) => path === facts.path)).toBe(1);
});

test("a finished file becomes an entry that is read in pieces", async () => {
  const cache = open(100_000_000);
  const file = join(await cache.draftFolder(), "film");
  const data = Buffer.alloc(6 * 1024 * 1024, 7);
  data.write("here", 5_000_000);
  await writeFile(file, data);
  const { entry } = await cache.produce(keyOf(5), () => Promise.resolve({ facts: FACTS, file }));
  expect([entry.size, entry.data]).toEqual([data.length, undefined]);
  const again = await open().get(keyOf(5));
  expect((await collect(again!.read(5_000_000, 5_000_004))).toString()).toBe("here");
  expect((await content(again))!.equals(data)).toBe(true);
  await expect(stat(file)).rejects.toThrow("ENOENT");
});

test("an entry that went and can't be made alike in time is said to be gone", async () => {
  const cache = open();
  const large = async (n: number, size: number): Promise<Entry> => {
    await put(cache, n, picture(n, size));
    return (await cache.get(keyOf(n)))!;
  };
  const entry = await large(1, 300_000);
  const [same, other] = [await large(2, 300_000), await large(3, 300_001)];
  await rm(pathOf(1));
  const read = async (again: Entry | undefined): Promise<number | undefined> => {
    for await (const chunk of lasting(entry, async () => again, 10, 20)) return chunk[0];
    return undefined;
  };
  expect(await read(same)).toBe(2);
  for (const again of [other, undefined]) {
    await expect(read(again)).rejects.toMatchObject({ code: "ServiceUnavailable" });
  }
});

test("entries are removed by what they are", async () => {
  const cache = open();
  await put(cache, 1, picture(1));
  await cache.put(keyOf(2), { ...FACTS, path: "other.jpg" }, picture(2));
  expect(await cache.remove(({ path }) => path === "other.jpg")).toBe(1);
  expect([await get(cache, 1), await cache.get(keyOf(2))]).toEqual([picture(1), undefined]);
});
