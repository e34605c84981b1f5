/** The size that a raster picture says it has, read from its first bytes, without a decoder. */
import { segmentsOf } from "./jpeg.ts";
import type { Size } from "./surface.ts";

/** Of PNG, GIF, WebP and JPEG; undefined for everything else. */
export function rasterSize(bytes: Buffer): Size | undefined {
  const head = bytes.toString("latin1", 0, 16);
  if (head.startsWith("\x89PNG") && bytes.length >= 24) {
    return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
  }
  if (head.startsWith("GIF8") && bytes.length >= 10) {
    return { width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) };
  }
  if (head.startsWith("RIFF") && head.slice(8, 12) === "WEBP" && bytes.length >= 30) return webpSize(bytes);
  return head.startsWith("\xff\xd8") ? jpegSize(bytes) : undefined;
}

/** RFC 9649, sections 2.5 to 2.7. */
function webpSize(bytes: Buffer): Size | undefined {
  switch (bytes.toString("latin1", 12, 16)) {
    case "VP8 ":
      return { width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff };
    case "VP8L": {
      const bits = bytes.readUInt32LE(21);
      return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case "VP8X":
      return { width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1 };
    default:
      return undefined;
  }
}

/** ITU T.81, section B.2.2: the frame header comes after segments that say their own length. */
function jpegSize(bytes: Buffer): Size | undefined {
  for (const { marker, content } of segmentsOf(bytes)) {
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (!isFrame) continue;
    return content.length < 5
      ? undefined
      : { height: content.readUInt16BE(1), width: content.readUInt16BE(3) };
  }
  return undefined;
}
