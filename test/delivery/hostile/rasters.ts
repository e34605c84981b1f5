/** Files of the common formats with something wrong in them, byte by byte. */
import { once } from "node:events";
import { crc32, createDeflate, deflateSync } from "node:zlib";
import sharp from "sharp";

export const u16 = (...values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [n, value] of values.entries()) bytes.writeUInt16BE(value, n * 2);
  return bytes;
};
export const u32 = (...values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [n, value] of values.entries()) bytes.writeUInt32BE(value, n * 4);
  return bytes;
};
export const le16 = (...values: readonly number[]): Buffer => u16(...values).swap16();
export const le32 = (...values: readonly number[]): Buffer => u32(...values).swap32();
export const latin = (text: string): Buffer => Buffer.from(text, "latin1");
export const junk = (length: number, seed = 1): Buffer => {
  const bytes = Buffer.alloc(length);
  for (let n = 0, state = seed; n < length; n++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[n] = state >>> 24;
  }
  return bytes;
};

/** So many zeros, deflated: a thousandth of them. */
export async function deflatedZeros(length: number): Promise<Buffer> {
  const deflate = createDeflate({ level: 9 });
  const parts: Buffer[] = [];
  deflate.on("data", (part: Buffer) => parts.push(part));
  const zeros = Buffer.alloc(1 << 20);
  for (let left = length; left > 0; left -= zeros.length) {
    if (!deflate.write(zeros.subarray(0, Math.min(left, zeros.length)))) await once(deflate, "drain");
  }
  deflate.end();
  await once(deflate, "end");
  return Buffer.concat(parts);
}

/** A picture of one colour, in any format that sharp writes. */
export const flat = (
  width: number,
  height: number,
  format: "jpeg" | "png" | "webp" | "avif" | "gif" | "tiff",
) => {
  const image = sharp({
    create: { width, height, channels: 3, background: "#204060" },
    limitInputPixels: false,
  });
  return (
    format === "avif"
      ? image.avif({ effort: 0 })
      : format === "webp"
        ? image.webp({ effort: 0 })
        : image.toFormat(format)
  ).toBuffer();
};

// ---- PNG

export function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([latin(type), data]);
  return Buffer.concat([u32(data.length), body, u32(crc32(body))]);
}

const PNG_SIGNATURE = Buffer.from("89504e470d0a1a0a", "hex");

/** `idat` left out: pixels of a picture that has none of them. */
export function png(
  width: number,
  height: number,
  {
    depth = 8,
    colour = 2,
    interlaced = false,
    idat = Buffer.from("789c030000000001", "hex"),
    before = [],
    after = [],
  }: {
    depth?: number;
    colour?: number;
    interlaced?: boolean;
    idat?: Buffer;
    before?: readonly Buffer[];
    after?: readonly Buffer[];
  } = {},
): Buffer {
  const header = Buffer.concat([u32(width, height), Buffer.from([depth, colour, 0, 0, interlaced ? 1 : 0])]);
  return Buffer.concat([
    PNG_SIGNATURE,
    chunk("IHDR", header),
    ...before,
    chunk("IDAT", idat),
    ...after,
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** `dots`: frames of one pixel behind the first; `turns`: whole ones, of which nothing is left. */
export async function apngOf(
  width: number,
  height: number,
  frames: number,
  what: "dots" | "turns",
): Promise<Buffer> {
  const whole = await deflatedZeros((1 + width * 4) * height);
  const dot = deflateSync(Buffer.from([0, 1, 2, 3, 128]));
  const control = (sequence: number, size: readonly [number, number]): Buffer =>
    chunk(
      "fcTL",
      Buffer.concat([u32(sequence, ...size, 0, 0), u16(1, 10), Buffer.from([what === "dots" ? 0 : 2, 1])]),
    );
  return png(width, height, {
    colour: 6,
    idat: whole,
    before: [chunk("acTL", u32(frames, 0)), control(0, [width, height])],
    after: Array.from({ length: frames - 1 }, (_, n) => [
      control(2 * n + 1, what === "dots" ? [1, 1] : [width, height]),
      chunk("fdAT", Buffer.concat([u32(2 * n + 2), what === "dots" ? dot : whole])),
    ]).flat(),
  });
}

/** Bits of a pixel by PNG's colour type. */
const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** All its pixels are there, and are black. */
export async function flatPng(
  width: number,
  height: number,
  how: { depth?: number; colour?: number; interlaced?: boolean } = {},
): Promise<Buffer> {
  const { depth = 8, colour = 2 } = how;
  const row = 1 + Math.ceil((width * depth * SAMPLES[colour]!) / 8);
  return png(width, height, {
    ...how,
    idat: await deflatedZeros(row * height * (how.interlaced === true ? 2 : 1)),
  });
}

/** A small honest one with more in it. */
export const pngWith = (...before: readonly Buffer[]): Buffer =>
  png(8, 8, { idat: deflateSync(Buffer.alloc(8 * 25)), before });

// ---- JPEG

export const segment = (marker: number, data: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0xff, marker]), u16(data.length + 2), data]);

/** Every fifth byte behind `from` is another. */
export function dented(whole: Buffer, from: number, seed: number): Buffer {
  const bytes = Buffer.from(whole);
  const random = junk(bytes.length, seed);
  for (let n = from + (seed % 5); n < bytes.length; n += 5) bytes[n] = random[n]!;
  return bytes;
}

/** Right behind the first marker of a picture. */
export const jpegWith = (picture: Buffer, ...segments: readonly Buffer[]): Buffer =>
  Buffer.concat([picture.subarray(0, 2), ...segments, picture.subarray(2)]);

/** Other dimensions in its frame header. */
export function jpegClaiming(picture: Buffer, width: number, height: number): Buffer {
  const changed = Buffer.from(picture);
  const frame = Math.max(
    changed.indexOf(Buffer.from([0xff, 0xc0])),
    changed.indexOf(Buffer.from([0xff, 0xc2])),
  );
  changed.writeUInt16BE(height, frame + 5);
  changed.writeUInt16BE(width, frame + 7);
  return changed;
}

/** The last scan of a progressive picture again and again. */
export function jpegOfScans(picture: Buffer, scans: number): Buffer {
  const last = picture.lastIndexOf(Buffer.from([0xff, 0xda]));
  const end = picture.lastIndexOf(Buffer.from([0xff, 0xd9]));
  const scan = picture.subarray(last, end);
  return Buffer.concat([picture.subarray(0, end), ...Array<Buffer>(scans).fill(scan), picture.subarray(end)]);
}

/** An EXIF block: entries of id, type, count, value; where the next directory begins. */
export function exif(entries: readonly (readonly [number, number, number, number])[], next = 0): Buffer {
  const directory = Buffer.concat([
    le16(entries.length),
    ...entries.map(([id, type, count, value]) => Buffer.concat([le16(id, type), le32(count, value)])),
    le32(next),
  ]);
  return Buffer.concat([latin("Exif\0\0II*\0"), le32(8), directory]);
}

// ---- GIF

/** Frames of one pixel each on a canvas. */
export function gifOf(width: number, height: number, frames: number, delay = 0, side = 1): Buffer {
  const frame = Buffer.concat([
    Buffer.from([0x21, 0xf9, 4, 4]),
    le16(delay),
    Buffer.from([0, 0, 0x2c]),
    le16(0, 0, side, side),
    Buffer.from([0, 2, 2, 0x44, 1, 0]),
  ]);
  return Buffer.concat([
    latin("GIF89a"),
    le16(width, height),
    Buffer.from([0x80, 0, 0, 0, 0, 0, 255, 255, 255]),
    latin("!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"),
    ...Array<Buffer>(frames).fill(frame),
    Buffer.from([0x3b]),
  ]);
}

// ---- WebP

export const riff = (...chunks: readonly (readonly [string, Buffer])[]): Buffer => {
  const body = Buffer.concat([
    latin("WEBP"),
    ...chunks.map(([tag, data]) =>
      Buffer.concat([latin(tag), le32(data.length), data, Buffer.alloc(data.length % 2)]),
    ),
  ]);
  return Buffer.concat([latin("RIFF"), le32(body.length), body]);
};

const u24 = (value: number): Buffer => le32(value).subarray(0, 3);
export const vp8x = (width: number, height: number, flags: number): [string, Buffer] => [
  "VP8X",
  Buffer.concat([Buffer.from([flags, 0, 0, 0]), u24(width - 1), u24(height - 1)]),
];

/** The one chunk of a plain WebP, header included. */
export const webpPayload = (picture: Buffer): Buffer => picture.subarray(12);

/** A frame of one pixel again and again on a canvas. `frame`: a plain WebP of that size. */
export function webpOf(
  width: number,
  height: number,
  frames: number,
  frame: Buffer,
  side: number,
  duration = 0,
): Buffer {
  const one = Buffer.concat([
    u24(0),
    u24(0),
    u24(side - 1),
    u24(side - 1),
    u24(duration),
    Buffer.from([0]),
    webpPayload(frame),
  ]);
  return riff(
    vp8x(width, height, 0x02 | 0x10),
    ["ANIM", Buffer.alloc(6)],
    ...Array.from({ length: frames }, (): [string, Buffer] => ["ANMF", one]),
  );
}

/** The header of a lossless picture, and nothing that it promises. */
export function vp8lClaiming(width: number, height: number): Buffer {
  const bits = ((width - 1) | ((height - 1) << 14)) >>> 0;
  return riff(["VP8L", Buffer.concat([Buffer.from([0x2f]), le32(bits), Buffer.alloc(32)])]);
}

// ---- TIFF

export const SHORT = 3;
export const LONG = 4;
export type TiffEntry = readonly [id: number, type: number, count: number, value: number];

/** One directory at 8, with `data` behind it; `value` may be told by where the data begins. */
export function tiff(
  entries: (dataAt: number) => readonly TiffEntry[],
  data: Buffer,
  next: (dataAt: number) => number = () => 0,
): Buffer {
  const count = entries(0).length;
  const dataAt = 8 + 2 + count * 12 + 4;
  const value = (type: number, n: number, given: number): Buffer =>
    type === SHORT && n === 1 ? le16(given, 0) : le32(given);
  return Buffer.concat([
    latin("II*\0"),
    le32(8),
    le16(count),
    ...entries(dataAt).map(([id, type, n, given]) =>
      Buffer.concat([le16(id, type), le32(n), value(type, n, given)]),
    ),
    le32(next(dataAt)),
    data,
  ]);
}

/** Grey, of strips that all lie at the same place. */
export async function tiffOfStrips(
  width: number,
  height: number,
  {
    rows = 1,
    samples = 1,
    bits = 8,
    format = 1,
    deflated = false,
  }: { rows?: number; samples?: number; bits?: number; format?: number; deflated?: boolean } = {},
): Promise<Buffer> {
  const strips = Math.ceil(height / rows);
  const stripBytes = Math.ceil((width * samples * bits) / 8) * rows;
  const strip = deflated ? await deflatedZeros(stripBytes) : Buffer.alloc(stripBytes);
  const offsets = Buffer.alloc(strips * 4);
  const counts = Buffer.alloc(strips * 4);
  return tiff(
    (at) => {
      const stripAt = at + strips * 8 + 4 * samples;
      for (let n = 0; n < strips; n++) {
        offsets.writeUInt32LE(stripAt, n * 4);
        counts.writeUInt32LE(strip.length, n * 4);
      }
      return [
        [256, LONG, 1, width],
        [257, LONG, 1, height],
        [258, SHORT, samples, samples === 1 ? bits : at + strips * 8],
        [259, SHORT, 1, deflated ? 8 : 1],
        [262, SHORT, 1, samples >= 3 ? 2 : 1],
        [273, LONG, strips, strips === 1 ? stripAt : at],
        [277, SHORT, 1, samples],
        [278, LONG, 1, rows],
        [279, LONG, strips, strips === 1 ? strip.length : at + strips * 4],
        [339, SHORT, samples, samples === 1 ? format : at + strips * 8 + samples * 2],
      ];
    },
    Buffer.concat([
      offsets,
      counts,
      le16(...Array<number>(samples).fill(bits)),
      le16(...Array<number>(samples).fill(format)),
      strip,
    ]),
  );
}

/** Pages that share one strip of one pixel. */
export function tiffOfPages(pages: number): Buffer {
  const size = 2 + 9 * 12 + 4;
  const stripAt = 8 + pages * size;
  const page = (n: number): Buffer =>
    tiff(
      () => [
        [256, LONG, 1, 1],
        [257, LONG, 1, 1],
        [258, SHORT, 1, 8],
        [259, SHORT, 1, 1],
        [262, SHORT, 1, 1],
        [273, LONG, 1, stripAt],
        [277, SHORT, 1, 1],
        [278, LONG, 1, 1],
        [279, LONG, 1, 1],
      ],
      Buffer.alloc(0),
      () => (n + 1 < pages ? 8 + (n + 1) * size : 0),
    ).subarray(8);
  return Buffer.concat([
    latin("II*\0"),
    le32(8),
    ...Array.from({ length: pages }, (_, n) => page(n)),
    Buffer.alloc(1),
  ]);
}
