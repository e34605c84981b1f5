/** What every blob store must do. */
import { createHash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BlobDamaged, BlobMissing, type BlobStore } from "../../../src/blob/blob.ts";
import { collect } from "../../../src/lib/chunks.ts";

export const KIB = 1024;
export const MIB = 1024 * KIB;

export async function ids(source: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const id of source) found.push(id);
  return found;
}
export async function put(store: BlobStore, bytes: Buffer, chunkBytes = 64 * KIB): Promise<string> {
  const writer = await store.create();
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    await writer.write(Buffer.from(bytes.subarray(at, at + chunkBytes)));
  }
  expect(await writer.finish()).toBe(bytes.length);
  return writer.id;
}
const md5 = (bytes: Buffer): string => createHash("md5").update(bytes).digest("hex");

export const GARBAGE_IDS = [
  "",
  "x",
  "-00000000",
  "../../../etc/passwd",
  "0abc-../../etc",
  "0abc-0000000/",
  "0abc-00000000\0",
  "0abc-00000000\n",
  "0ABC-00000000",
  "0abc-000000000",
  `${"a".repeat(33)}-00000000`,
  "..",
  "/",
];

export function describeBlobStore(open: () => Promise<BlobStore>): void {
  let store: BlobStore;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store.close());

  describe("writing and reading", () => {
    test.each([0, 1, 1000, 64 * KIB, 256 * KIB, 256 * KIB + 1, MIB - 1, 5 * MIB + 7])(
      "%i bytes come back",
      async (size) => {
        const bytes = randomBytes(size);
        const id = await put(store, bytes);
        expect(await store.size(id)).toBe(size);
        const back = await collect(store.read(id, 0, size));
        expect(back.length).toBe(size);
        expect(md5(back)).toBe(md5(bytes));
      },
    );

    test.each([1, 700, 16 * KIB - 1, 16 * KIB, 100_003, 2 * MIB])(
      "in chunks of %i bytes, in order",
      async (chunkBytes) => {
        const bytes = randomBytes(chunkBytes === 1 ? 3000 : 3 * MIB);
        const id = await put(store, bytes, chunkBytes);
        expect(md5(await collect(store.read(id, 0, bytes.length)))).toBe(md5(bytes));
      },
    );

    test("in chunks of mixed sizes, large ones between small ones", async () => {
      const sizes = fc.array(fc.oneof(fc.nat(50), fc.nat(20 * KIB), fc.nat(400 * KIB)), { maxLength: 20 });
      await fc.assert(
        fc.asyncProperty(sizes, async (lengths) => {
          const chunks = lengths.map((length) => randomBytes(length));
          const writer = await store.create();
          // Not awaited one by one: the order is that of the calls.
          await Promise.all(chunks.map((chunk) => writer.write(chunk)));
          const size = await writer.finish();
          const whole = Buffer.concat(chunks);
          expect(size).toBe(whole.length);
          expect(md5(await collect(store.read(writer.id, 0, size)))).toBe(md5(whole));
        }),
        { numRuns: 15 },
      );
    });

    test("ranges are exact", async () => {
      const bytes = randomBytes(MIB + 4321);
      const id = await put(store, bytes);
      const place = fc.nat(bytes.length);
      await fc.assert(
        fc.asyncProperty(place, place, async (one, other) => {
          const [start, end] = one < other ? [one, other] : [other, one];
          expect((await collect(store.read(id, start, end))).equals(bytes.subarray(start, end))).toBe(true);
        }),
        { numRuns: 40 },
      );
    });

    test("many readers at once, slow and fast, each get their bytes", async () => {
      const bytes = randomBytes(2 * MIB + 99);
      const id = await put(store, bytes);
      // More than there are pooled buffers.
      const readers = Array.from({ length: 100 }, async (_, index) => {
        const hash = createHash("md5");
        for await (const chunk of store.read(id, index, bytes.length)) {
          if (index % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 3));
          hash.update(chunk);
        }
        expect(hash.digest("hex")).toBe(md5(bytes.subarray(index)));
      });
      await Promise.all(readers);
    });

    test("a reader may leave early, and others are not disturbed", async () => {
      const bytes = randomBytes(3 * MIB);
      const id = await put(store, bytes);
      for (let round = 0; round < 50; round++) {
        let seen = 0;
        for await (const chunk of store.read(id, 0, bytes.length)) {
          expect(chunk.equals(bytes.subarray(seen, seen + chunk.length))).toBe(true);
          seen += chunk.length;
          if (seen > (round % 5) * 300 * KIB) break;
        }
      }
      expect(md5(await collect(store.read(id, 0, bytes.length)))).toBe(md5(bytes));
    });

    test("50 writers at once", async () => {
      const bodies = Array.from({ length: 50 }, (_, index) => randomBytes(index * 20_011));
      const written = await Promise.all(bodies.map((body, index) => put(store, body, 10_000 + index * 1000)));
      expect(new Set(written).size).toBe(50);
      for (const [index, id] of written.entries()) {
        expect(md5(await collect(store.read(id, 0, bodies[index]!.length)))).toBe(md5(bodies[index]!));
      }
    });

    test("a finished blob takes no more", async () => {
      const writer = await store.create();
      await writer.write(Buffer.from("all"));
      await writer.finish();
      await expect(writer.write(Buffer.from("more"))).rejects.toThrow("finished");
      await expect(writer.finish()).rejects.toThrow("finished");
      expect((await collect(store.read(writer.id, 0, 3))).toString()).toBe("all");
    });
  });

  describe("what is not there", () => {
    test("a missing blob is missed before the first chunk, an empty range included", async () => {
      const id = await put(store, Buffer.from("x"));
      await store.remove(id);
      await expect(collect(store.read(id, 0, 1))).rejects.toThrow(BlobMissing);
      await expect(collect(store.read(id, 0, 0))).rejects.toThrow(BlobMissing);
      expect(await store.size(id)).toBeUndefined();
    });

    test("removing twice succeeds", async () => {
      const id = await put(store, Buffer.from("x"));
      await store.remove(id);
      await store.remove(id);
      expect(await ids(store.list(store.incarnation))).toEqual([]);
    });

    test.each([10, 300 * KIB, 2 * MIB])(
      "a blob of %i bytes that is shorter than asked is damaged, not short",
      async (size) => {
        const bytes = randomBytes(size);
        const id = await put(store, bytes);
        const read: Buffer[] = [];
        const reading = async (): Promise<void> => {
          for await (const chunk of store.read(id, 0, size + 1)) read.push(Buffer.from(chunk));
        };
        await expect(reading()).rejects.toThrow(BlobDamaged);
        const got = Buffer.concat(read);
        expect(got.equals(bytes.subarray(0, got.length))).toBe(true);
      },
    );

    test("a blob's file, where it has one, holds it and nothing else", async () => {
      const bytes = randomBytes(300 * KIB);
      const path = store.pathOf(await put(store, bytes));
      const found = path === undefined ? bytes : await readFile(path);
      expect(found.equals(bytes)).toBe(true);
    });

    test.each(GARBAGE_IDS)("%j names no blob", async (id) => {
      await put(store, Buffer.from("x"));
      await expect(collect(store.read(id, 0, 1))).rejects.toThrow(BlobMissing);
      expect([await store.size(id), store.pathOf(id)]).toEqual([undefined, undefined]);
      await store.remove(id);
      expect(await ids(store.list(id))).toEqual([]);
      expect(await ids(store.list(store.incarnation))).toHaveLength(1);
    });
  });

  describe("aborting", () => {
    test.each([0, 10, 300 * KIB, 4 * MIB])("after %i bytes leaves nothing", async (size) => {
      const writer = await store.create();
      if (size > 0) await writer.write(randomBytes(size));
      await writer.abort();
      expect(await store.size(writer.id)).toBeUndefined();
      expect(await ids(store.list(store.incarnation))).toEqual([]);
      await expect(writer.finish()).rejects.toThrow("aborted");
      await writer.abort();
    });

    test("with writes under way leaves nothing", async () => {
      const writer = await store.create();
      const writes = Array.from({ length: 20 }, () => writer.write(randomBytes(300 * KIB)));
      const settled = Promise.allSettled(writes);
      await writer.abort();
      await settled;
      expect(await store.size(writer.id)).toBeUndefined();
      expect(await ids(store.list(store.incarnation))).toEqual([]);
    });
  });

  describe("ids", () => {
    test("begin with the incarnation, differ, and rise with time", async () => {
      expect(store.incarnation).toMatch(/^[0-9a-z]{1,32}$/);
      const made: string[] = [];
      for (let index = 0; index < 200; index++) {
        const writer = await store.create();
        made.push(writer.id);
        await writer.finish();
      }
      expect(made.every((id) => id.startsWith(`${store.incarnation}-`))).toBe(true);
      expect(new Set(made).size).toBe(200);
      expect(made.toSorted()).toEqual(made);
      expect(await ids(store.list(store.incarnation))).toEqual(made);
    });

    test("no two stores share an incarnation, and later ones sort later", async () => {
      const incarnations: string[] = [];
      for (let index = 0; index < 5; index++) {
        const other = await open();
        incarnations.push(other.incarnation);
        await other.close();
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      expect(new Set(incarnations).size).toBe(5);
      expect(incarnations.toSorted()).toEqual(incarnations);
    });

    test("unfinished blobs are listed too", async () => {
      const first = await put(store, randomBytes(10));
      const unfinished = await store.create();
      await unfinished.write(randomBytes(MIB));
      const last = await put(store, randomBytes(10));
      expect(await ids(store.list(store.incarnation))).toEqual([first, unfinished.id, last]);
      await unfinished.abort();
      expect(await ids(store.list(store.incarnation))).toEqual([first, last]);
    });

    test("an incarnation that left nothing lists nothing", async () => {
      expect(await ids(store.list("0zzz"))).toEqual([]);
      expect(await store.incarnations()).toContain(store.incarnation);
    });
  });

  test("there is free space", async () => {
    expect(await store.free()).toBeGreaterThan(0);
  });

  test("a closed store starts no blob", async () => {
    await store.close();
    await expect(store.create()).rejects.toThrow("closed");
  });
}
