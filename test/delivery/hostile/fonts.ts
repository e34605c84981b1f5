/** Font files with something wrong in them. */
import { readFileSync } from "node:fs";
import { u16, u32 } from "./rasters.ts";

export const ROBOTO = readFileSync("node_modules/@expo-google-fonts/roboto/400Regular/Roboto_400Regular.ttf");

/** Where the entry of a table stands in the directory. */
function entryOf(font: Buffer, tag: string): number {
  for (let n = 0, at = 12; n < font.readUInt16BE(4); n++, at += 16) {
    if (font.toString("latin1", at, at + 4) === tag) return at;
  }
  throw new Error(`no table ${tag}`);
}

/** With the bytes of a table changed in place. */
export function changed(tag: string, change: (table: Buffer) => void): Buffer {
  const font = Buffer.from(ROBOTO);
  const entry = entryOf(font, tag);
  const offset = font.readUInt32BE(entry + 8);
  change(font.subarray(offset, offset + font.readUInt32BE(entry + 12)));
  return font;
}

/** With another table in the place of one, or added. */
export function replaced(tables: Readonly<Record<string, Buffer>>, without: readonly string[] = []): Buffer {
  const all = new Map<string, Buffer>();
  for (let n = 0, at = 12; n < ROBOTO.readUInt16BE(4); n++, at += 16) {
    const offset = ROBOTO.readUInt32BE(at + 8);
    all.set(
      ROBOTO.toString("latin1", at, at + 4),
      ROBOTO.subarray(offset, offset + ROBOTO.readUInt32BE(at + 12)),
    );
  }
  for (const [tag, bytes] of Object.entries(tables)) all.set(tag, bytes);
  for (const tag of without) all.delete(tag);
  const sorted = [...all].toSorted(([a], [b]) => (a < b ? -1 : 1));
  let offset = 12 + 16 * sorted.length;
  const directory: Buffer[] = [];
  const bodies: Buffer[] = [];
  for (const [tag, bytes] of sorted) {
    const padded = Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
    directory.push(Buffer.concat([Buffer.from(tag, "latin1"), u32(0, offset, bytes.length)]));
    bodies.push(padded);
    offset += padded.length;
  }
  return Buffer.concat([u32(0x00010000), u16(sorted.length, 256, 4, 0), ...directory, ...bodies]);
}

const GLYPHS = ROBOTO.readUInt16BE(ROBOTO.readUInt32BE(entryOf(ROBOTO, "maxp") + 8) + 4);

/** Every glyph consists of `parts` glyphs of the one before it, the first of itself. */
export function composites(parts: number): Buffer {
  const one = (of: number): Buffer =>
    Buffer.concat([
      u16(0xffff, 0, 0, 1000, 1000),
      ...Array.from({ length: parts }, (_, n) => u16(n + 1 < parts ? 0x22 : 0x02, of, 0)),
    ]);
  const size = one(0).length;
  const glyf = Buffer.concat(Array.from({ length: GLYPHS }, (_, n) => one(Math.max(0, n - 1))));
  const loca = u32(...Array.from({ length: GLYPHS + 1 }, (_, n) => n * size));
  const font = replaced({ glyf, loca });
  const head = font.readUInt32BE(entryOf(font, "head") + 8);
  font.writeUInt16BE(1, head + 50); // offsets of 32 bits
  return font;
}

/** Every glyph is a picture, in Apple's way. */
export function pictures(picture: Buffer): Buffer {
  const glyph = Buffer.concat([u16(0, 0), Buffer.from("png "), picture]);
  const head = 4 + 4 * (GLYPHS + 1);
  const offsets = Array.from({ length: GLYPHS + 1 }, (_, n) => (n <= 36 ? head : head + glyph.length));
  // All up to one share nothing, and that one is "A".
  const strike = Buffer.concat([u16(160, 72), u32(...offsets), glyph]);
  return replaced({ sbix: Buffer.concat([u16(1, 1), u32(1, 12), strike]) });
}
