/** WebPs and GIFs made to hurt whoever opens them. */
import sharp from "sharp";
import { noise, quadrants } from "../site.ts";
import { cuts, deeply, HARMLESS, NO_PICTURE, survives, TOO_MUCH, ways } from "./cases.ts";
import { flat, gifOf, junk, latin, riff, vp8lClaiming, vp8x, webpOf, webpPayload } from "./rasters.ts";

const photo = noise(200, 200);
const dot = sharp({ create: { width: 1, height: 1, channels: 4, background: "#ff000080" } })
  .webp({ lossless: true })
  .toBuffer();
const dotPixels = async (): Promise<[string, Buffer]> => ["VP8L", webpPayload(await dot).subarray(8)];

survives("WebP", [
  {
    name: "that claim 16,384 by 16,384 and more",
    files: {
      "claims.webp": vp8lClaiming(16_383, 16_383),
      "canvas.webp": async () => riff(vp8x(1 << 24, 1 << 24, 0), await dotPixels()),
    },
    urls: [...ways("claims.webp"), ...ways("canvas.webp")],
    ends: NO_PICTURE,
  },
  {
    name: "that claims what it doesn't have, within the limits",
    files: { "less.webp": vp8lClaiming(7000, 7000) },
    urls: ways("less.webp"),
    ends: NO_PICTURE,
  },
  {
    name: "of 64 million pixels of one colour",
    files: { "flat.webp": () => flat(8000, 8000, "webp") },
    urls: ways("flat.webp"),
    ends: TOO_MUCH,
  },
  {
    name: "of a hundred thousand frames that take no time",
    files: { "frames.webp": async () => webpOf(10, 10, 100_000, await dot, 1) },
    urls: [...ways("frames.webp"), "tr:w-5,f-gif/frames.webp", "tr:pg-3_900_1/frames.webp"],
    ends: TOO_MUCH,
  },
  {
    name: "of nine thousand dots on a canvas of 49 million pixels",
    files: { "dots.webp": async () => webpOf(7000, 7000, 9000, await dot, 1) },
    urls: ["tr:w-5/dots.webp", "tr:w-5,pg-8000/dots.webp", "tr:pg-1_9000/dots.webp", "dots.webp/metadata"],
    ends: HARMLESS,
  },
  {
    name: "with chunks longer than the file, and metadata of noise",
    files: {
      "long.webp": async () => {
        const copy = Buffer.from(await dot);
        copy.writeUInt32LE(0xfffffff0, 4);
        copy.writeUInt32LE(0xfffffff0, 16);
        return copy;
      },
      "noise.webp": async () =>
        riff(
          vp8x(1, 1, 0x2c),
          ["ICCP", junk(100_000)],
          await dotPixels(),
          ["EXIF", junk(5 << 20)],
          ["XMP ", Buffer.alloc(5 << 20, "<a>")],
        ),
    },
    urls: [...ways("long.webp"), ...deeply("noise.webp")],
    ends: HARMLESS,
  },
  cuts(() => photo.then((jpeg) => sharp(jpeg).webp().toBuffer()), "webp", [13, 20, 30, 40, 0.3, 0.6, 0.95]),
]);

/** A comment of blocks without a zero between them. */
const comment = (blocks: number): Buffer =>
  Buffer.concat([
    latin("!\xfe"),
    Buffer.alloc(256 * blocks, Buffer.concat([Buffer.from([255]), Buffer.alloc(255, "x")])),
  ]);
const GIF_HEAD = 19;
const withComment = (blocks: number, end: Buffer): Buffer => {
  const gif = gifOf(10, 10, 1);
  return Buffer.concat([gif.subarray(0, GIF_HEAD), comment(blocks), end, gif.subarray(GIF_HEAD)]);
};

survives("GIF", [
  {
    name: "of a canvas of 65,535 by 65,535",
    files: { "whole.gif": gifOf(65_535, 65_535, 3, 0, 65_535), "dots.gif": gifOf(1, 1, 3, 0, 65_535) },
    urls: [...ways("whole.gif"), ...ways("dots.gif")],
    ends: TOO_MUCH,
  },
  {
    name: "of small frames on a canvas that would be too large",
    files: { "canvas.gif": gifOf(65_535, 65_535, 3) },
    urls: ways("canvas.gif"),
    ends: HARMLESS,
  },
  {
    name: "of a million frames that take no time",
    files: { "frames.gif": () => gifOf(10, 10, 1_000_000) },
    urls: [
      ...ways("frames.gif"),
      "tr:w-5,f-webp/frames.gif",
      "tr:pg-9000/frames.gif",
      "tr:pg-3_9000_1/frames.gif",
    ],
    ends: HARMLESS,
  },
  {
    name: "of nine thousand dots on a canvas of 49 million pixels",
    files: { "many.gif": gifOf(7000, 7000, 9000) },
    urls: ["tr:w-5/many.gif", "tr:w-5,pg-8000/many.gif", "tr:pg-1_9000/many.gif", "many.gif/metadata"],
    ends: HARMLESS,
  },
  { name: "of no frame", files: { "none.gif": gifOf(10, 10, 0) }, urls: ways("none.gif"), ends: NO_PICTURE },
  {
    name: "with noise where the pixels are",
    files: {
      "noise.gif": async () => {
        const gif = Buffer.from(await quadrants(100, 100).gif().toBuffer());
        junk(gif.length).copy(gif, Math.floor(gif.length * 0.9));
        return gif;
      },
    },
    urls: ways("noise.gif"),
    ends: HARMLESS,
  },
  {
    name: "with a comment of ten megabytes, and with one without an end",
    files: {
      "ten.gif": withComment(40_000, Buffer.from([0])),
      "endless.gif": withComment(4000, Buffer.from([255])),
    },
    urls: [...ways("ten.gif"), ...ways("endless.gif")],
    ends: HARMLESS,
  },
  cuts(() => photo.then((jpeg) => sharp(jpeg).gif().toBuffer()), "gif", [7, 12, 20, 40, 0.5, 0.9]),
]);
