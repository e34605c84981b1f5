/** One of several processes works, and a dead one holds nothing up. */
import { mkdtemp, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { claim, isClaimed, isLost, tryClaim } from "../../../src/delivery/claims.ts";
import { DeliveryError } from "../../../src/delivery/errors.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "windlass-claims-"));
});
afterEach(() => rm(folder, { recursive: true }));

const release = async (mine: AsyncDisposable | undefined): Promise<void> => mine?.[Symbol.asyncDispose]();

test("only one of many has it, until it gives it back", async () => {
  const path = join(folder, "deep", "claim");
  const claims = await Promise.all(Array.from({ length: 20 }, () => tryClaim(path)));
  const held = claims.filter((one) => one !== undefined);
  expect([held.length, await isClaimed(path)]).toEqual([1, true]);
  await release(held[0]);
  expect(await isClaimed(path)).toBe(false);
  const next = await tryClaim(path);
  expect(next).toBeDefined();
  await release(next);
});

test.each([
  ["a minute ago", -60],
  // By a clock that was set back since.
  ["in two hours", 7200],
])("of the claim of a process that died %s only one of many becomes the heir", async (_, seconds) => {
  const path = join(folder, "claim");
  for (let round = 0; round < 100; round++) {
    await writeFile(path, "");
    const then = Date.now() / 1000 + seconds;
    await utimes(path, then, then);
    expect(await isClaimed(path)).toBe(false);
    const claims = await Promise.all(Array.from({ length: 10 }, () => tryClaim(path)));
    const held = claims.filter((one) => one !== undefined);
    expect(held).toHaveLength(1);
    await release(held[0]);
  }
  expect(await readdir(folder)).toEqual([]);
});

test("an heir that dies before it takes over has an heir too", async () => {
  const path = join(folder, "claim");
  const longAgo = Date.now() / 1000 - 60;
  await writeFile(path, "");
  await utimes(path, longAgo, longAgo);
  const { ino, mtimeNs } = await stat(path, { bigint: true });
  const heir = `${path}.${ino.toString(36)}-${mtimeNs.toString(36)}`;
  await writeFile(heir, "");
  expect(await tryClaim(path)).toBeUndefined();
  await utimes(heir, longAgo, longAgo);
  const mine = await tryClaim(path);
  expect([mine !== undefined, await isClaimed(path), await readdir(folder)]).toEqual([true, true, ["claim"]]);
  await release(mine);
  expect(await readdir(folder)).toEqual([]);
});

test("who waits learns why the work failed; who comes later may try", async () => {
  const path = join(folder, "claim");
  const mine = (await tryClaim(path))!;
  await writeFile(path, "half of the work, which is longer than what is to be said of it".repeat(100));
  const waiting = Array.from({ length: 5 }, () => claim(path).catch((error: unknown) => error));
  // Meanwhile they have seen that it is taken.
  for (let n = 0; n < 10; n++) expect(await tryClaim(path)).toBeUndefined();
  mine.failed(new DeliveryError("OriginTimeout", "late", ["Retry-After", "1"]));
  await release(mine);
  for (const error of await Promise.all(waiting)) {
    expect(error).toBeInstanceOf(DeliveryError);
    expect(error).toMatchObject({ code: "OriginTimeout", message: "late", headers: ["Retry-After", "1"] });
  }
  await release(await claim(path));
  expect(await readdir(folder)).toEqual([]);
});

test("who waits gets the claim when it was given back without a word, or the work was done and removed", async () => {
  const path = join(folder, "claim");
  for (const done of [false, true]) {
    const mine = (await tryClaim(path))!;
    const next = claim(path);
    if (done) {
      await writeFile(path, "done");
      await rename(path, join(folder, "result"));
      mine.moved();
      await rm(join(folder, "result"));
    }
    await release(mine);
    await release(await next);
  }
  expect(await readdir(folder)).toEqual([]);
});

test("whoever was taken for dead knows that it has lost, and takes nothing from its heir", async () => {
  const path = join(folder, "claim");
  const slow = (await tryClaim(path))!;
  const longAgo = Date.now() / 1000 - 60;
  await utimes(path, longAgo, longAgo);
  const heir = await tryClaim(path);
  expect([heir !== undefined, isLost(slow)]).toEqual([true, true]);
  await release(slow);
  expect(await isClaimed(path)).toBe(true);
  await release(heir);
});
