import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { expect, test } from "vitest";
import { openMemory as openMemoryBlobs } from "../../../src/blob/memory.ts";
import { openMemory as openMemoryMeta } from "../../../src/meta/memory.ts";
import { encodeKey } from "../../../src/meta/tuple.ts";
import { openStore } from "../../../src/store/store.ts";

test("data of a later format is refused, and so is a key file that is another's", async () => {
  const folder = await mkdtemp(join(tmpdir(), "windlass-format-"));
  const keyFile = join(folder, "key");
  const open = (meta = openMemoryMeta()) =>
    openStore({ meta, blobs: openMemoryBlobs(), log: pino({ level: "silent" }), keyFile });
  try {
    await expect(open()).rejects.toThrow("can't be read");
    await writeFile(keyFile, "5".repeat(64));
    const later = openMemoryMeta();
    await later.commit({ writes: [{ key: encodeKey(["format"]), value: Buffer.from('{"version":2}') }] });
    await expect(open(later)).rejects.toThrow("format 2");

    const meta = openMemoryMeta();
    const store = await open(meta);
    const { key } = await store.accounts.create({ name: "someone" });
    await store.refresh();
    expect((await store.accounts.credential(key.accessKeyId))?.secretAccessKey).toBe(key.secretAccessKey);
    await writeFile(keyFile, "6".repeat(64));
    const other = await open(meta);
    await expect(other.accounts.credential(key.accessKeyId)).rejects.toThrow("key file is not the one");
  } finally {
    await rm(folder, { recursive: true });
  }
});
