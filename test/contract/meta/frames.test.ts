import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  FRAME_BYTES_MAX,
  FrameError,
  FrameReader,
  Outbox,
  decodeAnswer,
  decodeRequest,
} from "../../../src/meta/frames.ts";
import type { Check, Commit, Write } from "../../../src/meta/meta.ts";

const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const key = bytes(40);
const check: fc.Arbitrary<Check> = fc.oneof(
  fc.record({ key, value: bytes(300) }),
  fc.record({ key, absent: fc.constant<true>(true) }),
  fc.record({ key, present: fc.constant<true>(true) }),
  fc.record({ empty: fc.record({ start: key, end: key }) }),
);
const write: fc.Arbitrary<Write> = fc.oneof(
  fc.record({ key, value: bytes(300) }),
  fc.record({ key, delete: fc.constant<true>(true) }),
  fc.record({ key, add: fc.maxSafeInteger() }),
);
const commit = fc.record({
  checks: fc.array(check, { maxLength: 5 }),
  writes: fc.array(write, { maxLength: 5 }),
  bodies: fc.record({
    put: fc.array(fc.record({ id: fc.maxSafeNat(), bytes: bytes(500) }), { maxLength: 2 }),
    delete: fc.array(fc.maxSafeNat(), { maxLength: 3 }),
  }),
  reclaims: fc.boolean(),
}) satisfies fc.Arbitrary<Commit>;

function framesOf(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const reader = new FrameReader();
  const frames: Buffer[] = [];
  let at = 0;
  for (const cut of [...cuts, stream.length]) {
    reader.push(stream.subarray(at, Math.min(at + cut, stream.length)), (frame) =>
      frames.push(Buffer.from(frame)),
    );
    at = Math.min(at + cut, stream.length);
  }
  return frames;
}

describe("frames between worker and writer", () => {
  test("commits arrive as they were sent, however the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(commit, { maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 400 })),
        (commits, cuts) => {
          const out = new Outbox();
          for (const [id, each] of commits.entries()) out.commit(id, each);
          const requests = framesOf(out.take(), cuts).map(decodeRequest);
          expect(requests.map((request) => request.type === "commit" && request.commit)).toEqual(commits);
          expect(requests.map((request) => request.type === "commit" && request.id)).toEqual(
            commits.map((_, id) => id),
          );
        },
      ),
    );
  });

  test("a stream cut into single bytes is read", () => {
    const out = new Outbox();
    out.hello();
    out.takeIds(2 ** 32 - 1, 1_024);
    out.commit(3, { writes: [{ key: Buffer.from("k"), value: Buffer.alloc(5) }] });
    const stream = out.take();
    const types = framesOf(
      stream,
      Array.from({ length: stream.length }, () => 1),
    ).map((frame) => decodeRequest(frame).type);
    expect(types).toEqual(["hello", "takeIds", "commit"]);
  });

  test("answers arrive as they were sent", () => {
    const out = new Outbox();
    out.state("");
    out.done(1, true);
    out.done(2, false);
    out.firstId(3, 2 ** 52);
    out.failed(4, "full", "voll ✓");
    out.failed(5, undefined, "defect");
    expect(framesOf(out.take(), []).map(decodeAnswer)).toEqual([
      { type: "state", reason: "" },
      { type: "done", id: 1, value: true },
      { type: "done", id: 2, value: false },
      { type: "firstId", id: 3, value: 2 ** 52 },
      { type: "failed", id: 4, kind: "full", message: "voll ✓" },
      { type: "failed", id: 5, kind: undefined, message: "defect" },
    ]);
  });

  test("an outbox grows for a large turn and is reused after", () => {
    const out = new Outbox();
    const value = Buffer.alloc(1024 * 1024, 1);
    for (let id = 0; id < 3; id++) out.commit(id, { writes: [{ key: Buffer.from("k"), value }] });
    const taken = out.take();
    expect(framesOf(taken, []).length).toBe(3);
    out.giveBack(taken);
    out.done(1, true);
    const small = out.take();
    out.giveBack(small);
    out.done(2, false);
    out.take();
    out.done(3, true);
    expect(framesOf(out.take(), []).map(decodeAnswer)).toEqual([{ type: "done", id: 3, value: true }]);
  });

  test("refuses to send a commit beyond the frame's bound, and goes on", () => {
    const out = new Outbox();
    const value = Buffer.alloc(FRAME_BYTES_MAX);
    expect(() => out.commit(1, { writes: [{ key: Buffer.from("k"), value }] })).toThrow(RangeError);
    out.done(2, true);
    expect(framesOf(out.take(), []).map(decodeAnswer)).toEqual([{ type: "done", id: 2, value: true }]);
  });

  test("an impossible length ends the stream", () => {
    for (const length of [0, 4, FRAME_BYTES_MAX + 1, 0xffffffff]) {
      const stream = Buffer.alloc(64);
      stream.writeUInt32LE(length);
      expect(() => framesOf(stream, [])).toThrow(FrameError);
      expect(() => framesOf(stream, [2, 1, 9])).toThrow(FrameError);
    }
  });

  test("whatever bytes arrive, a frame is understood or refused", () => {
    fc.assert(
      fc.property(
        commit,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.nat(),
        (each, changes, cut) => {
          const out = new Outbox();
          out.commit(1, each);
          const frame = framesOf(out.take(), [])[0]!;
          for (const [at, byte] of changes) frame[at % frame.length] = byte;
          const cutFrame = frame.subarray(0, Math.max(5, cut % (frame.length + 1)));
          expect(understood(cutFrame)).toBeOneOf(["hello", "commit", "takeIds", "FrameError"]);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

/** What kind of request this is, or the class of the error that refuses it. */
function understood(frame: Buffer): string {
  try {
    return decodeRequest(frame).type;
  } catch (error) {
    return error instanceof FrameError ? "FrameError" : String(error);
  }
}
