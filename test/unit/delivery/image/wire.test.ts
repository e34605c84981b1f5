/** Frames between worker and renderer, however the system cuts them into chunks. */
import { PassThrough } from "node:stream";
import {
  assert,
  asyncProperty,
  array,
  boolean,
  constantFrom,
  jsonValue,
  nat,
  tuple,
  uint8Array,
} from "fast-check";
import { expect, it } from "vitest";
import { bytesFrame, jsonFrame, readFrames, writeFrames } from "../../../../src/delivery/image/wire.ts";

type Heard = readonly [kind: string, id: number, value: unknown];

/** What arrives on the other side of such chunks; pieces of bytes are joined. `error`: how it ended. */
async function hearing(chunks: readonly Buffer[]): Promise<{ heard: Heard[]; error: Error | undefined }> {
  const socket = new PassThrough();
  const heard: Heard[] = [];
  let error: Error | undefined;
  socket.on("error", (reason) => (error = reason));
  readFrames(socket, {
    json: (kind, id, value) => heard.push([kind, id, value]),
    bytes: (id, piece) => {
      const [kind, of, before] = heard.at(-1) ?? [];
      if (kind === "bytes" && of === id)
        heard[heard.length - 1] = [kind, id, `${String(before)}${piece.toString("hex")}`];
      else heard.push(["bytes", id, piece.toString("hex")]);
    },
  });
  for (const chunk of chunks) {
    socket.write(chunk);
    await new Promise(setImmediate);
  }
  return { heard, error };
}

/** All that was written. */
async function written(frames: Parameters<typeof writeFrames>[1][]): Promise<Buffer> {
  const socket = new PassThrough({ highWaterMark: 16 * 1024 ** 2 });
  await writeFrames(socket, ...frames);
  return (socket.read() as Buffer | null) ?? Buffer.alloc(0);
}

function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const length of lengths) {
    chunks.push(bytes.subarray(at, at + length));
    at += length;
  }
  return [...chunks, bytes.subarray(at)].filter(({ length }) => length > 0);
}

const said = array(
  tuple(boolean(), constantFrom("job", "drop", "ask", "answer"), jsonValue(), uint8Array({ maxLength: 300 })),
  { maxLength: 8 },
);

it("arrives as it was said, whatever the chunks", async () => {
  await assert(
    asyncProperty(said, array(nat(40), { maxLength: 60 }), async (all, lengths) => {
      const frames = all.map(([isJson, kind, value, bytes], id) =>
        isJson ? jsonFrame(kind, id, value) : bytesFrame(id, Buffer.from(bytes)),
      );
      const { heard, error } = await hearing(cut(await written(frames), lengths));
      expect(error).toBeUndefined();
      expect(heard).toEqual(
        all.map(([isJson, kind, value, bytes], id) =>
          isJson
            ? [kind, id, JSON.parse(JSON.stringify(value))]
            : ["bytes", id, Buffer.from(bytes).toString("hex")],
        ),
      );
    }),
    { numRuns: 60 },
  );
});

it("reads text that isn't Latin", async () => {
  const whole = await written([jsonFrame("job", 7, { path: "사진/été 📷.jpg" })]);
  for (let at = 1; at < whole.length; at++) {
    const { heard } = await hearing([whole.subarray(0, at), whole.subarray(at)]);
    expect(heard).toEqual([["job", 7, { path: "사진/été 📷.jpg" }]]);
  }
});

it("says nothing, and goes on", async () => {
  expect(await written([])).toEqual(Buffer.alloc(0));
});

it.each([
  ["no JSON", Buffer.from([4, 0, 0, 0, 1, 0, 0, 0, 2, 0x7b, 0x7b])],
  ["JSON of no bytes", Buffer.from([4, 0, 0, 0, 1, 0, 0, 0, 0])],
  ["no such kind", Buffer.from([9, 0, 0, 0, 1, 0, 0, 0, 0])],
  ["JSON of four gigabytes", Buffer.from([0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff])],
])("ends with what a renderer that was taken over may say: %s", async (_, bytes) => {
  const { heard, error } = await hearing([bytes]);
  expect(heard).toEqual([]);
  expect(error?.message).toBe("a frame that is none");
});
