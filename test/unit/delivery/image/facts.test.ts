/** What `…/metadata` says of a picture. */
import { readFileSync } from "node:fs";
import { decode as decodeBlurhash } from "blurhash";
import sharp, { type Sharp } from "sharp";
import { thumbHashToApproximateAspectRatio, thumbHashToAverageRGBA } from "thumbhash";
import { describe, expect, test } from "vitest";
import { factsOf } from "../../../../src/delivery/image/facts.ts";
import { jpegQuality } from "../../../../src/delivery/image/factspixels.ts";
import { JOB, refusal } from "./layerssetup.ts";

interface Facts {
  readonly width: number;
  readonly height: number;
  readonly pHash: string;
  readonly palette: readonly string[];
  readonly blurhash: string;
  readonly thumbhash: string;
  readonly exif: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly [name: string]: unknown;
}

async function facts(bytes: Buffer): Promise<Facts> {
  const { data, type } = await factsOf(bytes, { ...JOB, kind: "facts" });
  expect(type).toBe("application/json");
  return JSON.parse(data.toString()) as Facts;
}

/** A scene with something to tell it apart by. */
const scene = (width = 300, height = 200): Sharp =>
  sharp(
    Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 200" width="${width}" height="${height}">
      <rect width="300" height="200" fill="#2060c0"/><rect y="140" width="300" height="60" fill="#208020"/>
      <circle cx="230" cy="50" r="30" fill="#f0e060"/><rect x="40" y="90" width="80" height="70" fill="#a02020"/></svg>`),
  ).flatten();

const bitsApart = (one: string, other: string): number =>
  (BigInt(`0x${one}`) ^ BigInt(`0x${other}`)).toString(2).replaceAll("0", "").length;

describe("of a photograph", () => {
  test("sizes, format, orientation, density, profile, EXIF", async () => {
    const bytes = await scene()
      .withIccProfile("p3")
      .withMetadata({ orientation: 6, density: 150 })
      .withExifMerge({
        IFD0: { Make: "Windlass", Orientation: "6" },
        IFD2: { ISOSpeedRatings: "200", FNumber: "28/10" },
        IFD3: { GPSLatitudeRef: "N", GPSLatitude: "37/1 30/1 0/1" },
      })
      .jpeg({ quality: 80 })
      .toBuffer();
    const said = await facts(bytes);
    expect(said).toMatchObject({
      width: 200,
      height: 300,
      size: bytes.length,
      format: "jpg",
      hasColorProfile: true,
      hasTransparency: false,
      quality: 80,
      density: 150,
      orientation: 6,
      pages: 1,
    });
    expect(said.exif["image"]).toMatchObject({ Make: "Windlass", Orientation: 6 });
    expect(said.exif["exif"]).toMatchObject({ FNumber: 2.8 });
    expect(said.exif["gps"]).toMatchObject({ GPSLatitudeRef: "N", GPSLatitude: [37, 30, 0] });
    expect(Object.keys(said.exif)).toEqual([
      "image",
      "thumbnail",
      "exif",
      "gps",
      "interoperability",
      "makernote",
    ]);
  });

  test("the dominant colour comes first in a palette of colours that differ", async () => {
    const { palette, dominantColor } = await facts(await scene().png().toBuffer());
    expect([palette[0], dominantColor]).toEqual(["#2060c0", "#2060c0"]);
    expect(palette.slice(0, 4).toSorted()).toEqual(["#2060c0", "#208020", "#a02020", "#f0e060"].toSorted());
    expect(palette.length).toBeLessThanOrEqual(8);
  });

  test("the hash survives resizing, recompression and greying, and tells pictures apart", async () => {
    const { pHash } = await facts(await scene().png().toBuffer());
    expect(pHash).toMatch(/^[0-9a-f]{16}$/);
    for (const like of [
      scene(1200, 800).jpeg({ quality: 40 }),
      scene().resize(90, 60).webp(),
      scene().grayscale().png(),
    ]) {
      expect(bitsApart(pHash, (await facts(await like.toBuffer())).pHash)).toBeLessThanOrEqual(6);
    }
    const turned = await facts(await scene().rotate(90).png().toBuffer());
    expect(bitsApart(pHash, turned.pHash)).toBeGreaterThan(12);
  });

  test("blurhash and thumbhash decode to something like it", async () => {
    const { blurhash, thumbhash } = await facts(await scene().png().toBuffer());
    const pixels = decodeBlurhash(blurhash, 3, 2);
    expect(pixels[2]! - pixels[0]!).toBeGreaterThan(60);
    const hash = Buffer.from(thumbhash, "base64");
    expect(thumbHashToApproximateAspectRatio(hash)).toBeCloseTo(1.5, 0);
    expect(thumbHashToAverageRGBA(hash).b).toBeGreaterThan(thumbHashToAverageRGBA(hash).r);
  });
});

test("of an animation: its frames; of a picture with transparency: that", async () => {
  const frames = await Promise.all(
    ["red", "lime", "blue"].map((background) =>
      sharp({ create: { width: 8, height: 8, channels: 4, background } })
        .png()
        .toBuffer(),
    ),
  );
  const gif = await sharp(frames, { join: { animated: true } })
    .gif()
    .toBuffer();
  expect(await facts(gif)).toMatchObject({ format: "gif", width: 8, height: 8, pages: 3 });
  const clear = sharp({ create: { width: 5, height: 5, channels: 4, background: "#00000000" } });
  expect(await facts(await clear.png().toBuffer())).toMatchObject({
    hasTransparency: true,
    palette: [],
    dominantColor: null,
    density: 72,
  });
});

test("of HEIC and SVG", async () => {
  const heic = await facts(readFileSync("test/delivery/fixtures/display-p3.heic"));
  expect(heic).toMatchObject({ format: "heif", width: 96, height: 64, hasColorProfile: true });
  const svg = await facts(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="7" height="9"/>'));
  expect(svg).toMatchObject({ format: "svg", width: 7, height: 9, hasTransparency: true });
});

test("of one pixel, and of a strip", async () => {
  for (const [width, height] of [
    [1, 1],
    [2000, 1],
    [1, 2000],
  ] as const) {
    const bytes = await sharp({ create: { width, height, channels: 3, background: "#123456" } })
      .png()
      .toBuffer();
    expect(await facts(bytes)).toMatchObject({ width, height, dominantColor: "#123456" });
  }
});

test("EXIF that is broken, or larger than sensible, is left out and nothing else", async () => {
  const jpeg = await scene()
    .withExif({ IFD0: { Make: "Windlass", ImageDescription: "x".repeat(2000) } })
    .jpeg()
    .toBuffer();
  const { exif } = await facts(jpeg);
  expect(exif["image"]).toMatchObject({ Make: "Windlass" });
  expect(exif["image"]).not.toHaveProperty("ImageDescription");
  const at = jpeg.indexOf("Exif");
  for (let seed = 0; seed < 10; seed++) {
    const broken = Buffer.from(jpeg);
    for (let n = at + 14 + seed; n < at + 80; n += 3) broken[n] = (n * 53 + seed * 91) & 0xff;
    expect(await facts(broken)).toMatchObject({ width: 300, height: 200 });
  }
});

test.each([10, 50, 75, 90, 100])("the quality %i of a JPEG is read from its tables", async (quality) => {
  const jpeg = await scene().jpeg({ quality }).toBuffer();
  expect(Math.abs(jpegQuality(jpeg)! - quality)).toBeLessThanOrEqual(1);
});

test("what is no picture has no facts", async () => {
  expect(await refusal("UnsupportedSource", facts(Buffer.from("hello")))).toContain("no picture");
});
