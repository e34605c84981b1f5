/** What is read of a JPEG here is what sharp reads of it. */
import { array, assert, asyncProperty, nat, tuple } from "fast-check";
import sharp, { type Metadata, type Sharp } from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { plainMetadata } from "../../../../src/delivery/image/jpeg.ts";
import { jpegWith, segment } from "../../../delivery/hostile/rasters.ts";
import { drawn } from "./coresetup.ts";

const SCAN = Buffer.from([0xff, 0xda]);
const picture = (): Sharp => drawn(40, 30, (x, y) => [x * 6, y * 8, 99]).removeAlpha();
const plain = (): Promise<Buffer> => picture().jpeg().toBuffer();
const jfif = (unit: number, across: number, down = across): Buffer => {
  const densities = [across >> 8, across & 255, down >> 8, down & 255];
  return segment(0xe0, Buffer.from([...Buffer.from("JFIF\0"), 1, 2, unit, ...densities, 0, 0]));
};
const withSegments = async (...segments: readonly Buffer[]): Promise<Buffer> =>
  jpegWith(await plain(), ...segments);

describe("what says nothing of itself but its size", () => {
  test.each<[string, () => Promise<Buffer>]>([
    ["baseline", plain],
    ["progressive", () => picture().jpeg({ progressive: true }).toBuffer()],
    ["whole colours", () => picture().jpeg({ chromaSubsampling: "4:4:4" }).toBuffer()],
    ["grey", () => picture().toColourspace("b-w").jpeg().toBuffer()],
    ["restarts", () => withSegments(segment(0xdd, Buffer.from([0, 4])))],
    ["a comment", () => withSegments(segment(0xfe, Buffer.from("made by hand")))],
    ["JFIF, no unit", () => withSegments(jfif(0, 300))],
    ["JFIF, inches", () => withSegments(jfif(1, 300))],
    ["JFIF, the most an inch", () => withSegments(jfif(1, 65_535))],
    ["JFIF, the fewest an inch", () => withSegments(jfif(1, 26))],
  ])("is read here: %s", async (_, make) => {
    const bytes = await make();
    expect(plainMetadata(bytes)).toEqual(await sharp(bytes).metadata());
  });

  test.each<[string, () => Promise<Buffer>]>([
    [
      "EXIF",
      () =>
        picture()
          .withExif({ IFD0: { Copyright: "hers" } })
          .jpeg()
          .toBuffer(),
    ],
    ["a profile", () => picture().withIccProfile("p3").jpeg().toBuffer()],
    ["CMYK", () => picture().toColourspace("cmyk").jpeg().toBuffer()],
    ["one scan for each colour", async () => scanOfOne(await plain())],
    ["JFIF, centimetres", () => withSegments(jfif(2, 118))],
    ["JFIF, too few an inch", () => withSegments(jfif(1, 25))],
    ["JFIF, one an inch in one direction", () => withSegments(jfif(1, 300, 1))],
    ["JFIF twice", () => withSegments(jfif(1, 72), jfif(1, 300))],
    ["a segment of its own", () => withSegments(segment(0xef, Buffer.from("what is it")))],
    ["EXIF behind the frame", async () => behindFrame(await plain(), segment(0xe1, Buffer.from("Exif\0\0")))],
    ["a hundred comments", () => withSegments(...Array<Buffer>(100).fill(segment(0xfe, Buffer.from("ha"))))],
    ["the end before its pixels", async () => (await plain()).subarray(0, 120)],
    ["nothing", async () => Buffer.alloc(0)],
  ])("is left to sharp: %s", async (_, make) => {
    expect(plainMetadata(await make())).toBeUndefined();
  });
});

function behindFrame(jpeg: Buffer, more: Buffer): Buffer {
  const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
  const end = frame + 2 + jpeg.readUInt16BE(frame + 2);
  return Buffer.concat([jpeg.subarray(0, end), more, jpeg.subarray(end)]);
}

function scanOfOne(jpeg: Buffer): Buffer {
  const changed = Buffer.from(jpeg);
  changed[changed.indexOf(SCAN) + 4] = 1;
  return changed;
}

describe("whatever is changed in its head", () => {
  let bytes: Buffer;
  beforeAll(async () => {
    bytes = await withSegments(jfif(1, 300));
  });

  test("is never read as something else than sharp reads", async () => {
    const changes = array(tuple(nat({ max: bytes.indexOf(SCAN) + 12 }), nat({ max: 255 })), {
      minLength: 1,
      maxLength: 3,
    });
    let read = 0;
    await assert(
      asyncProperty(changes, async (change) => {
        const changed = Buffer.from(bytes);
        for (const [at, value] of change) changed[at] = value;
        const mine = plainMetadata(changed);
        if (mine === undefined) return;
        // What it can't read it can't draw either.
        const its: Metadata | undefined = await sharp(changed, { failOn: "error" })
          .metadata()
          .catch(() => undefined);
        if (its === undefined) return;
        read++;
        expect(mine).toEqual(its);
      }),
      { numRuns: 1000 },
    );
    expect(read).toBeGreaterThan(100);
  });
});
