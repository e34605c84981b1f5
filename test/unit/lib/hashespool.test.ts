import { randomBytes } from "node:crypto";
import { afterAll, describe, expect, test } from "vitest";
import { createHasher, type HashOptions, type HashResult } from "../../../src/lib/hashes.ts";
import { createHashPool, type HashPool } from "../../../src/lib/hashespool.ts";

const MIB = 2 ** 20;
const bytes = randomBytes(9 * MIB + 12_345);
const everything: HashOptions = { md5: true, checksums: ["CRC64NVME", "MD5", "SHA256"] };

function chunks(chunkBytes: number): Buffer[] {
  const result: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) result.push(bytes.subarray(at, at + chunkBytes));
  return result;
}
function inPlace(options: HashOptions): HashResult {
  const hasher = createHasher(options);
  hasher.update(bytes);
  return hasher.finish();
}
async function pooled(pool: HashPool, options: HashOptions, chunkBytes: number): Promise<HashResult> {
  const hasher = pool.start(options, bytes.length);
  for (const chunk of chunks(chunkBytes)) {
    // A copy that is spoilt afterwards: the hasher must have read it by then.
    const copy = Buffer.from(chunk);
    await hasher.update(copy);
    copy.fill(0);
  }
  return hasher.finish();
}

describe("a hash pool", () => {
  const pool = createHashPool();
  afterAll(() => pool.close());

  test.each([1000, 65_536, 262_144, 300_001, 5 * MIB])(
    "hashes as in place, in chunks of %i bytes",
    async (chunkBytes) => {
      expect(await pooled(pool, everything, chunkBytes)).toEqual(inPlace(everything));
    },
  );

  test("gives only what was asked for", async () => {
    for (const options of [
      { md5: true, checksums: [] },
      { checksums: ["MD5" as const] },
      { checksums: ["SHA1" as const] },
    ]) {
      expect(await pooled(pool, options, 65_536)).toEqual(inPlace(options));
    }
  });

  test("serves more streams than it has lanes", async () => {
    const results = await Promise.all(
      Array.from({ length: 7 }, (_, index) => pooled(pool, everything, 50_000 + index)),
    );
    for (const result of results) expect(result).toEqual(inPlace(everything));
  });

  test("is none the worse for abandoned streams", async () => {
    for (let round = 0; round < 5; round++) {
      const hasher = pool.start(everything, bytes.length);
      for (const chunk of chunks(MIB).slice(0, round)) await hasher.update(chunk);
      hasher.abandon();
      hasher.abandon();
    }
    // Abandoned while an update waits for room.
    const waiting = pool.start(everything, bytes.length);
    void waiting.update(bytes);
    waiting.abandon();
    const results = await Promise.all([pooled(pool, everything, MIB), pooled(pool, everything, MIB)]);
    for (const result of results) expect(result).toEqual(inPlace(everything));
  });

  test("hashes small streams and those of unknown size too", async () => {
    for (const size of [undefined, 0, 3]) {
      const hasher = pool.start(everything, size);
      await hasher.update(Buffer.from("abc"));
      expect((await hasher.finish()).md5).toBe("900150983cd24fb0d6963f7d28e17f72");
    }
  });
});

test("a closed hash pool fails open streams and hashes new ones in place", async () => {
  const pool = createHashPool();
  const open = pool.start(everything, bytes.length);
  await open.update(bytes.subarray(0, 1000));
  await pool.close();
  // More than any room that was left: who sends it must not wait for a thread that is gone.
  await open.update(bytes);
  await expect(open.finish()).rejects.toThrow("closed");
  expect(await pooled(pool, everything, 65_536)).toEqual(inPlace(everything));
});
