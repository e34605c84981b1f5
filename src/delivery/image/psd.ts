/**
 * The flattened picture that Photoshop keeps behind the layers of a PSD or PSB. Its rows are packed as TIFF's can be, so
 * it gets another head, and libtiff decodes it. Adobe Photoshop File Formats Specification, November 2019.
 */
import type { Sharp } from "sharp";
import { DeliveryError } from "../errors.ts";
import { fromMemory, run } from "./surface.ts";
import { headOfTiff, type Strip, type TiffLayout } from "./tiff.ts";

// Types know what libvips reads.
declare module "sharp" {
  interface FormatEnum {
    psd: AvailableFormatInfo;
  }
}

export const isPsd = (bytes: Buffer): boolean =>
  bytes.toString("latin1", 0, 4) === "8BPS" && bytes[4] === 0 && (bytes[5] === 1 || bytes[5] === 2);

interface Mode {
  readonly channels: number;
  readonly colours: TiffLayout["colours"];
  readonly bits: readonly number[];
  /** A channel behind those of the colours may be transparency. */
  readonly alpha: boolean;
}
const GREY: Mode = { channels: 1, colours: "blackIsZero", bits: [8, 16], alpha: true };
/** By the number in the head. Duotones are greys to those who know nothing of their inks. */
const MODES: Readonly<Record<number, Mode>> = {
  0: { channels: 1, colours: "whiteIsZero", bits: [1], alpha: false },
  1: GREY,
  2: { channels: 1, colours: "indexed", bits: [8], alpha: false },
  3: { channels: 3, colours: "rgb", bits: [8, 16], alpha: true },
  4: { channels: 4, colours: "cmyk", bits: [8, 16], alpha: false },
  8: GREY,
};
/** Rows that a PSB may have. Stops files of rows of one bit, each of which would be told of in eight bytes. */
const HEIGHT_MAX = 300_000;
const HEAD_BYTES = 26;
const PALETTE_BYTES = 768;
const RAW = 0;
const PACK_BITS = 1;
const ICC_PROFILE = 1039;
const VERSION_INFO = 1057;

/**
 * As bytes of a TIFF, no larger than the source but for its head. Where that has an alpha channel, its colours lie on
 * white: `withoutWhite`. @throws DeliveryError UnsupportedSource, DamagedSource
 */
export function tiffOfPsd(bytes: Buffer): Buffer {
  try {
    return convert(bytes);
  } catch (error) {
    // A number was to be read behind the end.
    if (error instanceof RangeError) throw damaged();
    throw error;
  }
}

const damaged = (): DeliveryError => new DeliveryError("DamagedSource", "The PSD is damaged or cut short.");
const unsupported = (what: string): DeliveryError =>
  new DeliveryError("UnsupportedSource", `A PSD ${what} can't be decoded.`);

function convert(bytes: Buffer): Buffer {
  const large = bytes.readUInt16BE(4) === 2;
  const stored = bytes.readUInt16BE(12);
  const height = bytes.readUInt32BE(14);
  const width = bytes.readUInt32BE(18);
  const bits = bytes.readUInt16BE(22);
  const mode = MODES[bytes.readUInt16BE(24)];
  if (mode === undefined) throw unsupported("in Lab or multichannel colours");
  if (!mode.bits.includes(bits)) throw unsupported(`of ${bits} bits a channel`);
  if (width < 1 || height < 1 || height > HEIGHT_MAX || stored < mode.channels) throw damaged();
  const palette = section(bytes, HEAD_BYTES, false);
  const resources = section(bytes, palette.end, false);
  const layers = section(bytes, resources.end, large);
  // Behind its own version stands whether there is a real one.
  if (resourceIn(resources.content, VERSION_INFO)?.[4] === 0)
    throw unsupported("without its flattened picture");
  const alpha = mode.alpha && stored > mode.channels && isTransparent(layers.content, large);
  const channels = mode.channels + (alpha ? 1 : 0);
  const packing = bytes.readUInt16BE(layers.end);
  if (packing !== RAW && packing !== PACK_BITS) throw unsupported("whose picture is compressed with ZIP");
  const pixels = bytes.subarray(layers.end + 2);
  const rows = height * channels;
  const strips =
    packing === RAW
      ? rawRows(rows, Math.ceil((width * bits) / 8))
      : packedRows(pixels, rows, height * stored, large);
  const last = strips.at(-1);
  if (last === undefined || last.at + last.bytes > pixels.length) throw damaged();
  const { colours } = mode;
  const head = headOfTiff({
    width,
    height,
    bits,
    channels,
    colours,
    alpha,
    icc: resourceIn(resources.content, ICC_PROFILE),
    ...(colours === "indexed" && { palette: paletteOf(palette.content) }),
    packBits: packing === PACK_BITS,
    order: "planes",
    strips,
  });
  // Ink is 0 here, and 255 in a TIFF.
  const turned = colours === "cmyk" ? inverted(pixels, strips, packing === PACK_BITS) : pixels;
  return Buffer.concat([head, turned]);
}

/** What begins with its length. `wide`: of eight bytes. */
function section(bytes: Buffer, at: number, wide: boolean): { content: Buffer; end: number } {
  const start = at + (wide ? 8 : 4);
  const end = start + lengthAt(bytes, at, wide);
  if (end > bytes.length) throw damaged();
  return { content: bytes.subarray(start, end), end };
}

const lengthAt = (bytes: Buffer, at: number, wide: boolean): number =>
  wide ? Number(bytes.readBigUInt64BE(at)) : bytes.readUInt32BE(at);

/** A negative number of layers says so; with 16 bits, whose layers lie elsewhere, a block of its own does. */
function isTransparent(layers: Buffer, large: boolean): boolean {
  if (layers.length === 0) return false;
  const count = large ? 8 : 4;
  if (lengthAt(layers, 0, large) > 0) return layers.readInt16BE(count) < 0;
  return layers.includes("8BIMMt16") || layers.includes("8BIMMtrn");
}

const even = (length: number): number => length + (length % 2);

function resourceIn(resources: Buffer, wanted: number): Buffer | undefined {
  for (let at = 0; at + 12 <= resources.length;) {
    const id = resources.readUInt16BE(at + 4);
    const { content, end } = section(resources, at + 6 + even(1 + resources[at + 6]!), false);
    if (id === wanted) return content;
    at = even(end);
  }
  return undefined;
}

function paletteOf(bytes: Buffer): Buffer {
  if (bytes.length < PALETTE_BYTES) throw damaged();
  return bytes.subarray(0, PALETTE_BYTES);
}

const rawRows = (rows: number, bytes: number): Strip[] =>
  Array.from({ length: rows }, (_, n) => ({ at: n * bytes, bytes }));

/** Behind a table of the lengths of all rows. */
function packedRows(pixels: Buffer, rows: number, all: number, large: boolean): Strip[] {
  const size = large ? 4 : 2;
  if (all * size > pixels.length) throw damaged();
  let at = all * size;
  return Array.from({ length: rows }, (_, n) => {
    const bytes = pixels.readUIntBE(n * size, size);
    const strip = { at, bytes };
    at += bytes;
    return strip;
  });
}

function inverted(pixels: Buffer, strips: readonly Strip[], packed: boolean): Buffer {
  const turned = Buffer.from(pixels);
  const invert = (from: number, to: number): void => {
    for (let n = from; n < to; n++) turned[n]! ^= 0xff;
  };
  for (const { at, bytes } of strips) {
    const end = at + bytes;
    if (packed) {
      for (let n = at; n < end;) {
        const code = turned.readInt8(n);
        // That many and one as they are, or one that is repeated, or nothing.
        const length = code >= 0 ? code + 1 : code === -128 ? 0 : 1;
        invert(n + 1, Math.min(end, n + 1 + length));
        n += 1 + length;
      }
    } else invert(at, end);
  }
  return turned;
}

/** Takes the white away that Photoshop lays under what is transparent in part. */
export async function withoutWhite(image: Sharp): Promise<Sharp> {
  const pixels = await run(image);
  const { data, channels } = pixels;
  for (let n = 0; n < data.length; n += channels) {
    const alpha = data[n + channels - 1]!;
    if (alpha === 0 || alpha === 255) continue;
    for (let one = n; one < n + channels - 1; one++) {
      data[one] = Math.max(0, Math.round(255 - ((255 - data[one]!) * 255) / alpha));
    }
  }
  return fromMemory(pixels, 1).image;
}
