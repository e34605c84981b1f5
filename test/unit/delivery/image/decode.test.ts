/** What strangers' bytes become, or how they are turned away. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import sharp, { type Sharp } from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { openPicture, prepareCodecs } from "../../../../src/delivery/image/decode.ts";
import type { Job } from "../../../../src/delivery/image/job.ts";
import { psdOf } from "../../../delivery/documents.ts";
import { chunk, png, u16, u32 } from "../../../delivery/hostile/rasters.ts";
import { JOB, refusal } from "./layerssetup.ts";

/** 96 by 64, four coloured quarters, colours in Display P3; made with heif-enc 1.15 from a PNG. */
const HEIC = readFileSync("test/delivery/fixtures/display-p3.heic");
const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"><rect width="30" height="20" fill="#ff0000"/></svg>`;

let jxl: Buffer;

beforeAll(async () => {
  const { default: load } = await import("wasm-vips");
  const vips = await load({ dynamicLibraries: ["vips-jxl.wasm"] });
  const image = vips.Image.black(40, 30).add([200, 60, 20]).cast("uchar").copy({ interpretation: "srgb" });
  jxl = Buffer.from(image.jxlsaveBuffer({ lossless: true }));
});

const create = (width: number, height: number, background = "#204060") =>
  sharp({ create: { width, height, channels: 3, background } });

async function frames(): Promise<Buffer> {
  const pictures = ["#ff0000", "#00ff00", "#0000ff", "#ffffff"].map((colour) => create(16, 8, colour).png());
  return sharp(await Promise.all(pictures.map((picture) => picture.toBuffer())), { join: { animated: true } })
    .gif({ delay: [100, 200, 300, 400] })
    .toBuffer();
}

/** RRGGBB of a place, to the nearest 8, in sRGB. */
async function colourOf(image: Sharp, x: number, y: number): Promise<number[]> {
  const { data, info } = await image
    .clone()
    .toColourspace("srgb")
    .raw()
    .toBuffer({ resolveWithObject: true });
  const at = (y * info.width + x) * info.channels;
  return [...data.subarray(at, at + 3)];
}

const withLimits = (limits: Partial<Job["limits"]>): Job => ({
  ...JOB,
  limits: { ...JOB.limits, ...limits },
});

describe("formats", () => {
  test.each(["jpeg", "png", "webp", "avif", "gif", "tiff"] as const)("%s opens", async (format) => {
    const { image, metadata, pages } = await openPicture(
      await create(31, 17).toFormat(format).toBuffer(),
      JOB,
    );
    expect([metadata.width, metadata.height, pages]).toEqual([31, 17, 1]);
    const [r = 0, g = 0, b = 0] = await colourOf(image, 5, 5);
    expect(Math.hypot(r - 0x20, g - 0x40, b - 0x60)).toBeLessThan(8);
  });

  test("HEIC comes with its colours converted and without an alpha channel that it doesn't have", async () => {
    const { image, metadata } = await openPicture(HEIC, JOB);
    expect([metadata.format, metadata.compression]).toEqual(["heif", "hevc"]);
    expect([metadata.width, metadata.height, metadata.hasAlpha]).toEqual([96, 64, false]);
    for (const [x, y, wanted] of [
      [20, 10, [0xe0, 0x30, 0x20]],
      [70, 10, [0x20, 0xc0, 0x40]],
      [20, 50, [0x20, 0x40, 0xd0]],
    ] as const) {
      const colour = await colourOf(image, x, y);
      expect(Math.hypot(...colour.map((one, n) => one - wanted[n]!))).toBeLessThan(12);
    }
    expect((await image.clone().png().toBuffer({ resolveWithObject: true })).info.channels).toBe(3);
  });

  test("JPEG XL opens", async () => {
    const { image, metadata } = await openPicture(jxl, JOB);
    expect([metadata.format, metadata.width, metadata.height]).toEqual(["jxl", 40, 30]);
    expect(await colourOf(image, 3, 3)).toEqual([200, 60, 20]);
  });

  test.each([
    ["plain", Buffer.from(SVG)],
    ["with a prolog and a comment", Buffer.from(`<?xml version="1.0"?>\n<!-- a <b> -->\n${SVG}`)],
    ["with a byte order mark", Buffer.from(`\uFEFF${SVG}`)],
    ["in UTF-16", Buffer.from(`\uFEFF${SVG}`, "utf16le")],
  ])("SVG %s opens", async (_, bytes) => {
    const { image, metadata } = await openPicture(bytes, JOB);
    expect([metadata.format, metadata.width, metadata.height]).toEqual(["svg", 30, 20]);
    expect(await colourOf(image, 3, 3)).toEqual([255, 0, 0]);
  });

  test("an SVG is drawn in the size that it is resized to", async () => {
    const circle = `<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><circle cx="5" cy="5" r="4"/></svg>`;
    const { image } = await openPicture(Buffer.from(circle), JOB);
    const data = await image.resize(400, 400, { fit: "fill" }).ensureAlpha().raw().toBuffer();
    const soft = data.filter((value, n) => n % 4 === 3 && value > 0 && value < 255).length;
    // Enlarged pixels would leave a soft edge of some 40 pixels' width all around.
    expect(soft).toBeLessThan(4000);
  });
});

describe("pages", () => {
  test("an animation opens with its first frame, with all, or with those that are named", async () => {
    const gif = await frames();
    const still = await openPicture(gif, JOB);
    expect([still.pages, still.available, still.metadata.pages]).toEqual([1, 4, undefined]);
    const all = await openPicture(gif, JOB, { animated: true });
    expect([all.pages, all.metadata.height, all.metadata.delay]).toEqual([4, 8, [100, 200, 300, 400]]);
    const range = await openPicture(gif, JOB, { animated: true, pages: { kind: "range", from: 2, to: 3 } });
    expect([range.pages, range.metadata.delay]).toEqual([2, [200, 300]]);
    expect(await colourOf(range.image, 1, 1)).toEqual([0, 255, 0]);
    const list = await openPicture(gif, JOB, { animated: true, pages: { kind: "list", pages: [4, 1] } });
    expect([list.pages, list.metadata.delay]).toEqual([2, [400, 100]]);
    expect(await colourOf(list.image, 1, 1)).toEqual([255, 255, 255]);
    expect(await colourOf(list.image, 1, 9)).toEqual([255, 0, 0]);
    const one = await openPicture(gif, JOB, {
      animated: false,
      pages: { kind: "range", from: 3, to: undefined },
    });
    expect([one.pages, await colourOf(one.image, 1, 1)]).toEqual([1, [0, 0, 255]]);
  });

  test("a page that isn't there is refused by its number", async () => {
    const pages = { kind: "range", from: 5, to: 5 } as const;
    const message = await refusal(
      "InvalidParameter",
      openPicture(await frames(), JOB, { animated: true, pages }),
    );
    expect(message).toContain("no page 5");
  });

  test("of frames as many are opened as the limits allow, and it is told how many were wanted", async () => {
    const gif = await frames();
    const opened = async (limits: Parameters<typeof withLimits>[0], choice = {}) => {
      const { pages, wanted, available } = await openPicture(gif, withLimits(limits), {
        animated: true,
        ...choice,
      });
      return [pages, wanted, available];
    };
    expect(await opened({ frames: 3 })).toEqual([3, 4, 4]);
    expect(await opened({ sourcePixels: 300 })).toEqual([2, 4, 4]);
    expect(await opened({ frames: 1 })).toEqual([1, 4, 4]);
    expect(await opened({ frames: 1 }, { animated: false })).toEqual([1, 1, 4]);
  });
});

describe("what is turned away", () => {
  test.each([
    ["BMP", Buffer.from("424d46000000000000003600", "hex")],
    ["ICO", Buffer.from("00000100010010100000", "hex")],
    ["PostScript", Buffer.from("%!PS-Adobe-3.0\n")],
    ["Video", Buffer.from("0000001866747970 69736f6d00000200".replace(" ", ""), "hex")],
    ["no picture", Buffer.from("hello, world")],
    ["no picture", Buffer.alloc(0)],
    ["no picture", Buffer.from("<!doctype html><html><body><svg></svg></body></html>")],
    ["no picture", Buffer.alloc(4096)],
  ])("%s", async (what, bytes) => {
    const message = await refusal("UnsupportedSource", openPicture(bytes, JOB));
    expect(message).toContain(what);
  });

  test("files that are cut short", async () => {
    const sources = [
      HEIC,
      jxl,
      ...(await Promise.all(
        ["png", "webp", "tiff"].map(async (format) =>
          create(300, 200)
            .toFormat(format as "png")
            .toBuffer(),
        ),
      )),
    ];
    for (const source of sources) {
      for (const part of [0.3, 0.6, 0.95]) {
        const cut = source.subarray(0, Math.floor(source.length * part));
        const opened = openPicture(cut, JOB).then(({ image }) => image.raw().toBuffer());
        const error = await opened.then(
          () => undefined,
          (reason: unknown) => reason,
        );
        expect(error).toBeInstanceOf(Error);
      }
    }
  });

  test("HEIC and JPEG XL with noise in their middle", async () => {
    for (const source of [HEIC, jxl]) {
      for (let seed = 0; seed < 6; seed++) {
        const noisy = Buffer.from(source);
        for (let n = 24 + seed; n < noisy.length; n += 7) noisy[n] = (n * 31 + seed * 77) & 0xff;
        const result = await openPicture(noisy, JOB).then(
          ({ metadata }) => metadata.width,
          (reason: unknown) => (reason as { code?: string }).code,
        );
        expect([96, 40, "DamagedSource", "UnsupportedSource", "LimitExceeded"]).toContain(result);
      }
    }
  });

  test.each([
    ["JPEG XL", (): Buffer => jxl],
    ["HEIC", (): Buffer => HEIC],
    ["SVG", (): Buffer => Buffer.from(SVG)],
    ["PSD", (): Buffer => psdOf({ width: 40, height: 30, bits: 8, mode: 1, planes: [Buffer.alloc(1200)] })],
  ])("a %s of more pixels than allowed", async (_, bytes) => {
    const work = openPicture(bytes(), withLimits({ sourcePixels: 500 }));
    expect(await refusal("LimitExceeded", work)).toMatch(/pixels/);
  });

  test("an SVG of more bytes than allowed", async () => {
    const large = `<svg xmlns="http://www.w3.org/2000/svg"><!--${" ".repeat(6_000_000)}--></svg>`;
    expect(await refusal("LimitExceeded", openPicture(Buffer.from(large), JOB))).toContain("5242880 bytes");
  });

  test.each(['width="0" height="4"', 'width="99999999999" height="1"', 'width="30000" height="30000"'])(
    "an SVG with %s",
    async (attributes) => {
      const svg = Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" ${attributes}/>`);
      expect(await refusal("LimitExceeded", openPicture(svg, JOB))).toMatch(/size|pixels/);
    },
  );
});

const frameControl = (n: number, at: number): Buffer =>
  chunk("fcTL", Buffer.concat([u32(n, 1, 1, at, at), u16(1, 10), Buffer.alloc(2)]));

test("an animated PNG has the size that it says first, however large it says that it is then", async () => {
  const larger = png(100, 100, { colour: 6 }).subarray(8, 33);
  const pixel = deflateSync(Buffer.alloc(5));
  const grown = png(1, 1, {
    colour: 6,
    idat: pixel,
    before: [chunk("acTL", u32(2, 0)), frameControl(0, 0)],
    after: [larger, frameControl(1, 50), chunk("fdAT", Buffer.concat([u32(2), pixel]))],
  });
  expect(await refusal("DamagedSource", openPicture(grown, JOB, { animated: true }))).toContain("damaged");
});

// The last one: it is for the whole process.
test("no decoder but those for pictures can be reached, whatever is given to sharp", async () => {
  const folder = await mkdtemp(join(tmpdir(), "windlass-decode-"));
  try {
    // libvips' own format, which sharp reads from files.
    const path = join(folder, "picture.v");
    await create(3, 2).toFile(path);
    expect(await sharp(path).metadata()).toMatchObject({ format: "vips", width: 3 });
    prepareCodecs();
    await expect(sharp(path).metadata()).rejects.toThrow("unsupported image format");
    expect(await sharp(await create(3, 2).png().toBuffer()).metadata()).toMatchObject({ width: 3 });
  } finally {
    await rm(folder, { recursive: true });
  }
});
