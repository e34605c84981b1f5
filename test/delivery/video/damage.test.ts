/** Films that were damaged, by accident or on purpose: an answer in the 400s or a film, soon, and nothing else. */
import { expect, test, describe, beforeAll, afterAll } from "vitest";
import { DeliveryError, ERRORS } from "../../../src/delivery/errors.ts";
import { clip, hasFfmpeg, remade } from "./clips.ts";
import { openStudio, type Studio } from "./studio.ts";

const here = await hasFfmpeg();

/** What came of it: a film, or the status of the error. */
const outcome = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "a film",
    (error: unknown) =>
      error instanceof DeliveryError ? `${ERRORS[error.code]} ${error.code}` : String(error),
  );
const HARMLESS = /^(a film|4(00|13|15|22) \w+)$/;

/** The same numbers every time. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
}

/** Some bytes are others. */
function dented(film: Buffer, seed: number, dents: number): Buffer {
  const copy = Buffer.from(film);
  const next = numbers(seed);
  for (let n = 0; n < dents; n++) copy[Math.floor(next() * copy.length)] = Math.floor(next() * 256);
  return copy;
}

/** The number behind a box's name, or in front of it, is another. */
function lying(film: Buffer, box: string, offset: number, value: number): Buffer {
  const copy = Buffer.from(film);
  const at = copy.indexOf(box);
  if (at < 0) throw new Error(`The film has no ${box}`);
  copy.writeUInt32BE(value, at + offset);
  return copy;
}

describe.skipIf(!here)("damaged films", () => {
  let studio: Studio;
  let film: Buffer;
  beforeAll(async () => {
    studio = await openStudio({ limits: { encodeSeconds: 20, frameSeconds: 10 } });
    // What players need comes first, so that a cut leaves a header that promises more.
    film = await remade(await clip({ width: 160, height: 90, seconds: 1 }), [
      "-c",
      "copy",
      "-movflags",
      "+faststart",
    ]);
  }, 60_000);
  afterAll(() => studio[Symbol.asyncDispose]());

  const streamed = (bytes: Buffer): Promise<string> =>
    outcome(
      studio.video.stream(
        studio.request(bytes, "sr-240", { what: "hls" }),
        { master: "hls" },
        { waitMs: 20_000, query: "", right: "" },
      ),
    );

  test.each([
    ["of which only the header is there", () => film.subarray(0, film.indexOf("mdat") + 4), /^422/],
    ["of which the end is missing", () => film.subarray(0, Math.floor(film.length * 0.7)), HARMLESS],
    ["of which the header is cut", () => film.subarray(0, film.indexOf("stco")), /^422/],
    ["of one byte", () => film.subarray(0, 1), /^415/],
    ["of nothing", () => Buffer.alloc(0), /^415/],
    ["that are 2 GiB wide", () => lying(film, "avc1", 28, 0x7fff7fff), HARMLESS],
    ["with a box beyond its end", () => lying(film, "mdat", -4, 0x7fffffff), HARMLESS],
    ["with a box of no size", () => lying(film, "trak", -4, 0), HARMLESS],
    ["with four billion frames", () => lying(film, "stsz", 12, 0xffffffff), HARMLESS],
    ["with frames of four gigabytes", () => lying(film, "stsz", 8, 0xffffffff), HARMLESS],
    ["with a frame each thousand years", () => lying(film, "stts", 16, 0x7fffffff), HARMLESS],
    ["with frames in no time", () => lying(film, "stts", 16, 0), HARMLESS],
    ["that last for ever", () => lying(film, "mvhd", 20, 0xffffffff), HARMLESS],
    ["with their data elsewhere", () => lying(film, "stco", 12, 0xfffffff0), HARMLESS],
  ])(
    "%s",
    async (_, broken, expected) => {
      const bytes = broken();
      expect(await outcome(studio.make(bytes, "w-80"))).toMatch(expected);
      expect(await outcome(studio.video.frame(studio.request(bytes, "so-0")))).toMatch(HARMLESS);
    },
    60_000,
  );

  test.each(["mp4", "webm", "ts", "avi", "ogg", "gif", "mpg", "mkv"])(
    "dented %s",
    async (format) => {
      const whole = await clip({ width: 96, height: 64, seconds: 0.5, format, sound: format !== "gif" });
      expect(await outcome(studio.make(whole, "w-80"))).toBe("a film");
      for (let seed = 1; seed <= 4; seed++) {
        const broken = dented(whole, seed, seed * seed * 4);
        expect([format, seed, await outcome(studio.make(broken, "w-80"))]).toEqual([
          format,
          seed,
          expect.stringMatching(HARMLESS),
        ]);
      }
    },
    120_000,
  );

  test("a stream of what holds no picture is none, and one of a cut film ends", async () => {
    const empty = film.subarray(0, film.indexOf("mdat") + 4);
    expect([await streamed(empty), await streamed(film.subarray(0, Math.floor(film.length * 0.7)))]).toEqual([
      "422 DamagedSource",
      expect.stringMatching(HARMLESS),
    ]);
  }, 60_000);

  test("after all that a sound film is made as before", async () => {
    expect(await outcome(studio.make(film, "w-80"))).toBe("a film");
  }, 60_000);
});
