/** What stands in for a source that only WebAssembly decodes, so that it is decoded once. */
import { openPicture } from "./decode.ts";
import type { Job, Picture } from "./job.ts";

/** So much that what is made of it can't be told from what is made of the source. */
const QUALITY = { quality: 95, chromaSubsampling: "4:4:4" };

/**
 * A JPEG that looks like the source and says of itself what the source says; what a JPEG can't hold stays as it is, as
 * does what sharp decodes. @throws DeliveryError of openPicture
 */
export async function mezzanineOf(source: Buffer, job: Job): Promise<Picture> {
  const { image, metadata } = await openPicture(source, job);
  const { width, height } = metadata.autoOrient;
  const { resultSide, resultBytes } = job.limits;
  const dear = metadata.format === "jxl" || metadata.compression === "hevc";
  if (dear && !metadata.hasAlpha && Math.max(width, height) <= resultSide) {
    const jpeg = await image.keepIccProfile().jpeg(QUALITY).toBuffer();
    const data = withExif(jpeg, metadata.exif);
    if (data.length <= resultBytes) return { data, type: "image/jpeg", width, height, headers: [] };
  }
  return { data: source, type: "application/octet-stream", width, height, headers: [] };
}

const EXIF = Buffer.from("Exif\0\0", "latin1");
/** What a segment of a JPEG holds, behind its length of two bytes. */
const SEGMENT_BYTES_MAX = 65_533;

/** EXIF 2.32, section 4.7.2: APP1 comes first. What is too long for it is left out. */
function withExif(jpeg: Buffer, block: Buffer | undefined): Buffer {
  if (block === undefined || EXIF.length + block.length > SEGMENT_BYTES_MAX) return jpeg;
  const content = block.subarray(0, EXIF.length).equals(EXIF) ? block.subarray(EXIF.length) : block;
  const head = Buffer.from([0xff, 0xe1, 0, 0]);
  head.writeUInt16BE(2 + EXIF.length + content.length, 2);
  return Buffer.concat([jpeg.subarray(0, 2), head, EXIF, upright(content), jpeg.subarray(2)]);
}

const ORIENTATION = 0x0112;
const ENTRY_BYTES = 12;

/** HEIF's own properties turned the pixels, and its EXIF orientation counts for nothing. */
function upright(content: Buffer): Buffer {
  const tiff = Buffer.from(content);
  const little = tiff.toString("latin1", 0, 2) === "II";
  const word = (at: number): number => (little ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at));
  try {
    const first = little ? tiff.readUInt32LE(4) : tiff.readUInt32BE(4);
    for (let n = 0, at = first + 2; n < word(first); n++, at += ENTRY_BYTES) {
      if (word(at) !== ORIENTATION) continue;
      if (little) tiff.writeUInt16LE(1, at + 8);
      else tiff.writeUInt16BE(1, at + 8);
    }
  } catch (error) {
    // It names places where nothing is: nobody will find an orientation either.
    if (!(error instanceof RangeError)) throw error;
  }
  return tiff;
}
