/** Memory that sources are read into: shared by who wants the same, and never another's while it is in use. */
import { mkdtemp, rename, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { FileRange } from "../../../../src/blob/blob.ts";
import { readFiles, Sources } from "../../../../src/delivery/image/sources.ts";

let folder = "";
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "windlass-sources-"))));
afterAll(() => rm(folder, { recursive: true }));

let files = 0;
async function file(content: string): Promise<{ path: string; range: FileRange; size: number }> {
  const path = join(folder, `${files++}`);
  await writeFile(path, content);
  return { path, range: { path, start: 0, end: content.length }, size: content.length };
}
const isSame = (a: Buffer | undefined, b: Buffer | undefined): boolean =>
  a !== undefined && a.buffer === b?.buffer && a.byteOffset === b.byteOffset;

test("who wants what is in use has the same memory, and others have other memory", async () => {
  const sources = new Sources();
  const [one, two] = [await file("one"), await file("two!")];
  const first = sources.read([one.range], one.size)!;
  const again = sources.read([one.range], one.size)!;
  const other = sources.read([two.range], two.size)!;
  expect(isSame(first.bytes, again.bytes)).toBe(true);
  expect(isSame(first.bytes, other.bytes)).toBe(false);
  first.release();
  const third = sources.read([(await file("333")).range], 3)!;
  expect([again, other, third].map(({ bytes }) => bytes.toString())).toEqual(["one", "two!", "333"]);
});

test("memory serves the next source, that which was asked for last stays longest", async () => {
  const sources = new Sources();
  const [one, two, three] = [await file("one"), await file("two"), await file("33")];
  const [a, b] = [sources.read([one.range], 3)!, sources.read([two.range], 3)!];
  b.release();
  a.release();
  sources.read([one.range], 3)!.release();
  const next = sources.read([three.range], 2)!;
  expect(next.bytes.toString()).toBe("33");
  expect(isSame(next.bytes, b.bytes)).toBe(true);
  expect(isSame(sources.read([one.range], 3)?.bytes, a.bytes)).toBe(true);
});

test.each<[string, (path: string) => Promise<unknown>]>([
  ["written anew", (path) => writeFile(path, "NEW").then(() => utimes(path, 1, 1))],
  ["replaced", (path) => writeFile(`${path}.new`, "NEW").then(() => rename(`${path}.new`, path))],
])("a file that was %s is another source", async (_, change) => {
  const sources = new Sources();
  const { path, range } = await file("old");
  const before = sources.read([range], 3)!;
  await change(path);
  const after = sources.read([range], 3)!;
  expect([before, after].map(({ bytes }) => bytes.toString())).toEqual(["old", "NEW"]);
});

test("ranges of one file are sources of their own", async () => {
  const sources = new Sources();
  const { path } = await file("0123456789");
  const ranges = [
    { path, start: 0, end: 4 },
    { path, start: 4, end: 8 },
    { path, start: 0, end: 4 },
  ];
  expect(ranges.map((range) => sources.read([range], 4)!.bytes.toString())).toEqual(["0123", "4567", "0123"]);
});

test("what is gone, cut short or of another size can't be read, and is when it is there again", async () => {
  const sources = new Sources();
  const { path, range } = await file("whole");
  expect(sources.read([range], 4)).toBeUndefined();
  expect(sources.read([], 4)).toBeUndefined();
  await truncate(path, 3);
  expect(sources.read([range], 5)).toBeUndefined();
  await rm(path);
  expect(sources.read([range], 5)).toBeUndefined();
  await writeFile(path, "again");
  expect(sources.read([range], 5)?.bytes.toString()).toBe("again");
});

test("what could be read in part only is taken for nothing that was there before", async () => {
  const sources = new Sources();
  const [one, two] = [await file("whole"), await file("two")];
  sources.read([one.range], 5)!.release();
  expect(sources.read([{ ...two.range, end: 5 }], 5)).toBeUndefined();
  expect(sources.read([one.range], 5)?.bytes.toString()).toBe("whole");
});

test("several files are one source, and so is a large one", async () => {
  const sources = new Sources();
  const [one, two] = [await file("one"), await file("-two")];
  expect(sources.read([one.range, two.range], 7)?.bytes.toString()).toBe("one-two");
  expect(readFiles([{ ...two.range, start: 1 }, one.range], 6)?.toString()).toBe("twoone");
  expect(readFiles([one.range, two.range], 8)).toBeUndefined();
  const large = await file("x".repeat(9 * 1024 ** 2));
  const [a, b] = [sources.read([large.range], large.size)!, sources.read([large.range], large.size)!];
  expect([a.bytes.length, isSame(a.bytes, b.bytes)]).toEqual([large.size, false]);
});
