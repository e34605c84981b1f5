import { describe, expect, test } from "vitest";
import { openMemory } from "../../../src/blob/memory.ts";
import { describeBlobStore, KIB, put } from "./contract.ts";

describe("blobs in memory", () => {
  describeBlobStore(async () => openMemory());

  test("a chunk is spoilt once the next is asked for, so that tests find who keeps it", async () => {
    const store = openMemory();
    const id = await put(store, Buffer.alloc(200 * KIB, "a"));
    const kept: Buffer[] = [];
    for await (const chunk of store.read(id, 0, 200 * KIB)) kept.push(chunk);
    expect(kept.length).toBeGreaterThan(1);
    expect(kept[0]!.includes("a")).toBe(false);
  });
});
