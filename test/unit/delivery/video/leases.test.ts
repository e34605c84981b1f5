/** One of several processes works, and a dead one holds nothing up. */
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isLeased, tryLease } from "../../../../src/delivery/video/leases.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "windlass-leases-"));
});
afterEach(() => rm(folder, { recursive: true }));

const release = async (lease: AsyncDisposable | undefined): Promise<void> => lease?.[Symbol.asyncDispose]();

test("only one of many has it, until it gives it back", async () => {
  const path = join(folder, "deep", "lease");
  const leases = await Promise.all(Array.from({ length: 20 }, () => tryLease(path)));
  const held = leases.filter((lease) => lease !== undefined);
  expect([held.length, await isLeased(path)]).toEqual([1, true]);
  await release(held[0]);
  expect(await isLeased(path)).toBe(false);
  const next = await tryLease(path);
  expect(next).toBeDefined();
  await release(next);
});

test("of the lease of a dead process only one of many becomes the heir", async () => {
  const path = join(folder, "lease");
  for (let round = 0; round < 20; round++) {
    await writeFile(path, "");
    const longAgo = Date.now() / 1000 - 60;
    await utimes(path, longAgo, longAgo);
    expect(await isLeased(path)).toBe(false);
    const leases = await Promise.all(Array.from({ length: 10 }, () => tryLease(path)));
    const held = leases.filter((lease) => lease !== undefined);
    expect(held).toHaveLength(1);
    await release(held[0]);
  }
  expect(await readdir(folder)).toEqual([]);
});
