/**
 * Font files as far as delivery reads them itself: what they have signs for, and the name they go by. OpenType 1.9.1,
 * chapters "Font file", "cmap" and "name". What FreeType makes of the rest is FreeType's.
 */

/** A file that is no TrueType or OpenType font, or one whose tables lie outside of it. */
export class FontError extends Error {
  override readonly name = "FontError";
}

/** Tables of one file. Stops loops over what says to have 65,535. */
const TABLES_MAX = 64;
/** Entries of one map of characters: what its older form has room for. The largest fonts have some ten thousand. */
const SEGMENTS_MAX = 32_768;
const VERSIONS: readonly string[] = ["00010000", "4f54544f", "74727565"]; // 1.0, OTTO, true

interface Table {
  /** Where in the file its entry of the directory begins. */
  readonly entry: number;
  readonly bytes: Buffer;
}

function tablesOf(file: Buffer): Map<string, Table> {
  if (file.length < 12 || !VERSIONS.includes(file.toString("hex", 0, 4))) {
    throw new FontError("it is neither TrueType nor OpenType");
  }
  const count = file.readUInt16BE(4);
  if (count > TABLES_MAX || 12 + count * 16 > file.length) throw new FontError("its directory is damaged");
  const tables = new Map<string, Table>();
  for (let n = 0; n < count; n++) {
    const entry = 12 + n * 16;
    const offset = file.readUInt32BE(entry + 8);
    const length = file.readUInt32BE(entry + 12);
    if (offset + length > file.length) throw new FontError("it is cut short");
    tables.set(file.toString("latin1", entry, entry + 4), {
      entry,
      bytes: file.subarray(offset, offset + length),
    });
  }
  const missing = ["cmap", "head", "hhea", "hmtx", "maxp", "name"].find((tag) => !tables.has(tag));
  if (missing !== undefined) throw new FontError(`it has no table ${missing}`);
  if (!["glyf", "CFF ", "CFF2", "CBDT", "sbix"].some((tag) => tables.has(tag))) {
    throw new FontError("it has no outlines");
  }
  return tables;
}

/** Whether a font has a sign for a character. */
export type Coverage = (codePoint: number) => boolean;

/** @throws FontError */
export function coverageOf(file: Buffer): Coverage {
  try {
    const ranges = rangesOf(tablesOf(file).get("cmap")!.bytes);
    return (codePoint) => {
      let [low, high] = [0, ranges.length - 1];
      while (low <= high) {
        const middle = (low + high) >> 1;
        const [from, to] = ranges[middle]!;
        if (codePoint < from) high = middle - 1;
        else if (codePoint > to) low = middle + 1;
        else return true;
      }
      return false;
    };
  } catch (error) {
    if (error instanceof RangeError) throw new FontError("its map of characters is damaged");
    throw error;
  }
}

type Range = readonly [from: number, to: number];

/** Sorted. Of the best map of Unicode that the font has. */
function rangesOf(cmap: Buffer): Range[] {
  const count = Math.min(cmap.readUInt16BE(2), TABLES_MAX);
  const maps = new Map<number, number>();
  for (let n = 0; n < count; n++) {
    const at = 4 + n * 8;
    const platform = cmap.readUInt16BE(at);
    const offset = cmap.readUInt32BE(at + 4);
    if (platform === 0 || platform === 3) maps.set(cmap.readUInt16BE(offset), offset);
  }
  const full = maps.get(12);
  const basic = maps.get(4);
  if (full !== undefined) return sorted(groups(cmap, full));
  if (basic !== undefined) return sorted(segments(cmap, basic));
  throw new FontError("it has no map of Unicode");
}

const sorted = (ranges: Range[]): Range[] => ranges.toSorted((a, b) => a[0] - b[0]);

function groups(cmap: Buffer, at: number): Range[] {
  const count = cmap.readUInt32BE(at + 12);
  if (count > SEGMENTS_MAX) throw new FontError("its map of characters is damaged");
  return Array.from({ length: count }, (_, n) => {
    const group = at + 16 + n * 12;
    return [cmap.readUInt32BE(group), cmap.readUInt32BE(group + 4)] as const;
  });
}

function segments(cmap: Buffer, at: number): Range[] {
  const double = cmap.readUInt16BE(at + 6);
  return Array.from({ length: double / 2 }, (_, n) => {
    const to = cmap.readUInt16BE(at + 14 + n * 2);
    return [cmap.readUInt16BE(at + 16 + double + n * 2), to] as const;
  }).filter(([from]) => from !== 0xffff);
}

/**
 * The same font under another family name, as its only one. A font that calls itself "Roboto" can't then take the
 * place of Roboto. @throws FontError
 */
export function renamed(file: Buffer, family: string): Buffer {
  const { entry } = tablesOf(file).get("name")!;
  // Family, style, full name, PostScript name; for Windows, in Unicode, in English.
  const names = (
    [
      [1, family],
      [2, "Regular"],
      [4, family],
      [6, family],
    ] as const
  ).map(([id, text]) => [id, Buffer.from(text, "utf16le").swap16()] as const);
  const head = Buffer.alloc(6 + names.length * 12);
  head.writeUInt16BE(names.length, 2);
  head.writeUInt16BE(head.length, 4);
  let offset = 0;
  for (const [n, [id, text]] of names.entries()) {
    const values = [3, 1, 0x409, id, text.length, offset];
    for (const [m, value] of values.entries()) head.writeUInt16BE(value, 6 + n * 12 + m * 2);
    offset += text.length;
  }
  const table = Buffer.concat([head, ...names.map(([, text]) => text)]);
  const padding = Buffer.alloc((4 - (file.length % 4)) % 4);
  const result = Buffer.concat([file, padding, table]);
  result.writeUInt32BE(file.length + padding.length, entry + 8);
  result.writeUInt32BE(table.length, entry + 12);
  return result;
}
