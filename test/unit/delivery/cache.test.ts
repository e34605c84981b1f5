import { mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DerivedCache } from "../../../src/delivery/cache.ts";
import type { Picture } from "../../../src/delivery/image.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "windlass-cache-"));
});
afterEach(() => rm(folder, { recursive: true }));

const open = (maxBytes = 1_000_000, memoryBytes = 0): DerivedCache =>
  new DerivedCache({ folder, maxBytes, memoryBytes, log: pino({ level: "silent" }) });
const picture = (fill: number, size = 1000): Picture => ({
  data: Buffer.alloc(size, fill),
  format: "webp",
  width: 3,
  height: 4,
});
const keyOf = (n: number): string => n.toString(16).padStart(2, "0").repeat(32);
const pathOf = (n: number): string => join(folder, keyOf(n).slice(0, 2), keyOf(n).slice(2));

/** Bytes of all entries. */
async function bytes(): Promise<number> {
  const names = await readdir(folder, { recursive: true });
  const stats = await Promise.all(names.map((name) => stat(join(folder, name))));
  return stats.reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0);
}

test("what was put is there, for other processes and after a restart too", async () => {
  await open().put(keyOf(1), picture(1));
  expect(await open().get(keyOf(1))).toEqual(picture(1));
  expect(await open().get(keyOf(2))).toBeUndefined();
});

test("the folder stays within its budget, and the least recently used entries go", async () => {
  const cache = open(20_000);
  for (let n = 1; n <= 15; n++) {
    await cache.put(keyOf(n), picture(n));
    await cache.settled();
    // The clock of the file system is coarse: what was used when is said here.
    await utimes(pathOf(n), 1000 + n, 1000 + n);
  }
  // Using the oldest makes it the youngest.
  expect(await cache.get(keyOf(1))).toEqual(picture(1));
  for (let n = 16; n <= 24; n++) {
    await cache.put(keyOf(n), picture(n));
    await cache.settled();
  }
  expect(await bytes()).toBeLessThanOrEqual(20_000);
  expect(await cache.get(keyOf(2))).toBeUndefined();
  expect(await cache.get(keyOf(3))).toBeUndefined();
  expect(await cache.get(keyOf(1))).toEqual(picture(1));
  expect(await cache.get(keyOf(24))).toEqual(picture(24));
});

test("what others wrote counts too", async () => {
  const [one, two] = [open(20_000), open(20_000)];
  for (let n = 1; n <= 60; n++) {
    const cache = n % 2 === 0 ? one : two;
    await cache.put(keyOf(n), picture(n));
    await cache.settled();
  }
  // Each may write a sixteenth of the budget before it counts again, and sees the entry that makes it too much.
  expect(await bytes()).toBeLessThanOrEqual(20_000 * (1 + 2 / 16) + 2 * 1200);
});

test("what is larger than the budget is not kept on disk", async () => {
  const cache = open(5000);
  await cache.put(keyOf(1), picture(1, 6000));
  expect(await cache.get(keyOf(1))).toBeUndefined();
});

test.each([
  ["cut short", () => truncate(pathOf(1), 500)],
  ["empty", () => truncate(pathOf(1), 0)],
  [
    "changed in one byte",
    async () => {
      const file = await readFile(pathOf(1));
      file[file.length - 1]! ^= 1;
      await writeFile(pathOf(1), file);
    },
  ],
  ["something else", () => writeFile(pathOf(1), "hello\nworld")],
])("a file that is %s is no entry, and is removed", async (_, damage) => {
  const cache = open();
  await cache.put(keyOf(1), picture(1));
  await damage();
  expect(await cache.get(keyOf(1))).toBeUndefined();
  await expect(stat(pathOf(1))).rejects.toThrow("ENOENT");
});

test("drafts that a dead process left are removed after a while, fresh ones not", async () => {
  const cache = open(2000);
  await cache.put(keyOf(1), picture(1));
  await cache.settled();
  await writeFile(join(folder, "tmp", "dead"), "x");
  await utimes(join(folder, "tmp", "dead"), 1, 1);
  await writeFile(join(folder, "tmp", "living"), "x");
  await cache.put(keyOf(2), picture(2));
  await cache.settled();
  expect(await readdir(join(folder, "tmp"))).toEqual(["living"]);
});

test("a folder that can't be written costs nothing but speed", async () => {
  await writeFile(join(folder, "tmp"), "in the way");
  const cache = open();
  await cache.put(keyOf(1), picture(1));
  expect(await cache.get(keyOf(1))).toBeUndefined();
});

test("memory answers what the disk lost", async () => {
  const cache = open(1_000_000, 10_000);
  await cache.put(keyOf(1), picture(1));
  await rm(pathOf(1));
  expect(await cache.get(keyOf(1))).toEqual(picture(1));
});

test("many writers of one key leave one whole entry", async () => {
  await Promise.all(Array.from({ length: 20 }, () => open().put(keyOf(7), picture(7, 100_000))));
  expect(await open().get(keyOf(7))).toEqual(picture(7, 100_000));
  expect(await readdir(join(folder, "tmp"))).toEqual([]);
});
