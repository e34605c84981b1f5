/** What texts that are compressed may hold of this process, and how they fail. */
import { EventEmitter, once } from "node:events";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { coded, codingOf } from "../../../src/delivery/coding.ts";

const SIZE = 2 * 1024 * 1024;
const choose = (): string | undefined =>
  codingOf({ "accept-encoding": "gzip" }, { type: "text/css", cacheControl: "public", size: SIZE });

async function* cut(): AsyncGenerator<Buffer> {
  yield Buffer.alloc(SIZE - 1);
}

test("beyond thirty-two megabytes of them at once, texts go out as they are", async () => {
  const gate = new EventEmitter();
  const opened = once(gate, "open");
  async function* slow(): AsyncGenerator<Buffer> {
    await opened;
    yield Buffer.alloc(SIZE);
  }
  const answers = Array.from({ length: 16 }, () => coded(slow(), SIZE, "gzip"));
  expect(choose()).toBe("gzip");
  const begun = answers.map((answer) => answer.next());
  expect(choose()).toBeUndefined();
  gate.emit("open");
  const [first] = await Promise.all(begun);
  expect(gunzipSync(first!.value as Buffer).equals(Buffer.alloc(SIZE))).toBe(true);
  // On their way to clients that may be slow.
  expect(choose()).toBeUndefined();
  await answers[0]!.next();
  expect(choose()).toBe("gzip");
  await Promise.all(answers.map((answer) => answer.return(undefined)));
});

test("a text that ends early is none, and holds nothing any more", async () => {
  for (let n = 0; n < 17; n++) {
    await expect(coded(cut(), SIZE, "gzip").next()).rejects.toThrow(/2097151 bytes instead of the 2097152/);
  }
  expect(choose()).toBe("gzip");
});
