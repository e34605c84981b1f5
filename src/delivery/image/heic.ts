/**
 * HEIC, which libvips as sharp brings it can name but not decode: its pixels come from libheif in WebAssembly, and
 * continue as an uncompressed TIFF, because a TIFF can carry the colour profile that phones write (Display P3).
 */
import { DeliveryError } from "../errors.ts";
import type { Undecoded } from "./decodethread.ts";

/**
 * The first picture as bytes of a TIFF. @throws DeliveryError LimitExceeded before anything is decoded, DamagedSource
 */
export async function decodeHeic({ bytes, pixelsMax, alpha, icc }: Undecoded): Promise<Uint8Array> {
  const { default: decode } = await import("heic-decode");
  let pictures: Awaited<ReturnType<typeof decode.all>> | undefined;
  try {
    pictures = await decode.all({ buffer: bytes });
    const first = pictures[0];
    if (first === undefined) throw new Error("no picture");
    const pixels = first.width * first.height;
    if (!(pixels > 0) || pixels > pixelsMax) {
      throw new DeliveryError("LimitExceeded", `The source has ${pixels} pixels; the limit is ${pixelsMax}.`);
    }
    return tiffOf(await first.decode(), alpha, icc);
  } catch (error) {
    if (error instanceof DeliveryError) throw error;
    throw new DeliveryError(
      "DamagedSource",
      "The HEIC picture is damaged, cut short or of a kind that can't be decoded.",
    );
  } finally {
    pictures?.dispose();
  }
}

const SHORT = 3;
const LONG = 4;
const UNDEFINED_BYTES = 7;

/** One strip, little-endian. TIFF 6.0, sections 2, 6 and 18; the profile's tag is from ICC.1 annex B. */
function tiffOf(
  { width, height, data }: { width: number; height: number; data: Uint8ClampedArray },
  alpha: boolean,
  icc: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const channels = alpha ? 4 : 3;
  const entries: [id: number, type: number, count: number, value: number][] = [
    [256, LONG, 1, width],
    [257, LONG, 1, height],
    [258, SHORT, channels, 0],
    [259, SHORT, 1, 1], // not compressed
    [262, SHORT, 1, 2], // RGB
    [273, LONG, 1, 0],
    [277, SHORT, 1, channels],
    [278, LONG, 1, height],
    [279, LONG, 1, width * height * channels],
    [284, SHORT, 1, 1], // channels lie side by side
  ];
  if (alpha) entries.push([338, SHORT, 1, 2]); // the fourth is alpha, not multiplied into the others
  if (icc.length > 0) entries.push([34675, UNDEFINED_BYTES, icc.length, 0]);
  const bitsAt = 8 + 2 + entries.length * 12 + 4;
  const profileAt = bitsAt + 2 * channels;
  const pixelsAt = profileAt + icc.length + (icc.length % 2);
  const places = new Map([
    [258, bitsAt],
    [273, pixelsAt],
    [34675, profileAt],
  ]);
  const tiff = Buffer.alloc(pixelsAt + width * height * channels);
  tiff.write("II*\0\x08", "latin1");
  tiff.writeUInt16LE(entries.length, 8);
  for (const [n, [id, type, count, value]] of entries.entries()) {
    const at = 10 + n * 12;
    tiff.writeUInt16LE(id, at);
    tiff.writeUInt16LE(type, at + 2);
    tiff.writeUInt32LE(count, at + 4);
    tiff.writeUInt32LE(places.get(id) ?? value, at + 8);
  }
  for (let n = 0; n < channels; n++) tiff.writeUInt16LE(8, bitsAt + n * 2);
  tiff.set(icc, profileAt);
  const pixels = tiff.subarray(pixelsAt);
  if (alpha) pixels.set(data.subarray(0, pixels.length));
  else {
    for (let to = 0, from = 0; to < pixels.length; from++) {
      if (from % 4 !== 3) pixels[to++] = data[from] ?? 0;
    }
  }
  return tiff;
}
