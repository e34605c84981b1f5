/** Boxes of ISO media files (AVIF, HEIC, films) and codestreams of JPEG XL. */
import { latin, u16, u32 } from "./rasters.ts";

/** ISO/IEC 14496-12, section 4.2. */
export function box(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([u32(body.length + 8), latin(type), body]);
}
export const full = (type: string, ...parts: readonly Buffer[]): Buffer => box(type, u32(0), ...parts);

/** All boxes of that type say another size in their first two numbers: `ispe` behind its version. */
export function ispeClaiming(picture: Buffer, width: number, height: number): Buffer {
  const changed = Buffer.from(picture);
  for (let at = changed.indexOf("ispe"); at >= 0; at = changed.indexOf("ispe", at + 4)) {
    changed.writeUInt32BE(width, at + 8);
    changed.writeUInt32BE(height, at + 12);
  }
  return changed;
}

/** A grid of tiles of one picture that is there once. ISO/IEC 23008-12, section 6.6.2.3. */
export function gridOf(
  brand: string,
  item: { type: string; data: Buffer; properties: readonly Buffer[]; width: number; height: number },
  columns: number,
  rows: number,
): Buffer {
  const { type, data, properties, width, height } = item;
  const grid = Buffer.concat([
    Buffer.from([0, 1, rows - 1, columns - 1]),
    u32(width * columns, height * rows),
  ]);
  const ftyp = box("ftyp", latin(`${brand}\0\0\0\0mif1${brand}`));
  const infe = (id: number, kind: string): Buffer =>
    box("infe", Buffer.from([2, 0, 0, 0]), u16(id, 0), latin(`${kind}\0`));
  const refs = Array<number>(columns * rows).fill(2);
  const build = (dataAt: number): Buffer =>
    full(
      "meta",
      full("hdlr", u32(0), latin("pict"), Buffer.alloc(13)),
      full("pitm", u16(1)),
      full("iinf", u16(2), infe(1, "grid"), infe(2, type)),
      full("iref", box("dimg", u16(1, refs.length, ...refs))),
      box(
        "iprp",
        box("ipco", full("ispe", u32(width * columns, height * rows)), ...properties),
        full(
          "ipma",
          u32(2),
          u16(1),
          Buffer.from([1, 1]),
          u16(2),
          Buffer.from([properties.length, ...properties.map((_, n) => n + 2)]),
        ),
      ),
      box(
        "iloc",
        u32(0),
        Buffer.from([0x44, 0]),
        u16(2),
        u16(1, 0, 1),
        u32(dataAt, grid.length),
        u16(2, 0, 1),
        u32(dataAt + grid.length, data.length),
      ),
    );
  const size = ftyp.length + build(0).length;
  return Buffer.concat([ftyp, build(size + 8), box("mdat", grid, data)]);
}

/** The bytes of the one item of a picture, and its properties. */
export function itemOf(picture: Buffer): { data: Buffer; properties: Buffer[] } {
  const mdat = picture.indexOf("mdat");
  const data = picture.subarray(mdat + 4, mdat - 4 + picture.readUInt32BE(mdat - 4));
  const ipco = picture.indexOf("ipco");
  const end = ipco - 4 + picture.readUInt32BE(ipco - 4);
  const properties: Buffer[] = [];
  for (let at = ipco + 4; at < end; at += picture.readUInt32BE(at))
    properties.push(picture.subarray(at, at + picture.readUInt32BE(at)));
  return { data, properties };
}

/** The head of a JPEG XL codestream, and nothing behind it. ISO/IEC 18181-1, annex D. */
export function jxlClaiming(width: number, height: number): Buffer {
  const bits: number[] = [];
  const put = (value: number, count: number): void => {
    for (let n = 0; n < count; n++) bits.push(Math.floor(value / 2 ** n) % 2);
  };
  put(0, 1);
  put(3, 2);
  put(height - 1, 30);
  put(0, 3);
  put(3, 2);
  put(width - 1, 30);
  put(1, 1); // all metadata by default
  put(1, 1);
  put(1, 1);
  const bytes = Buffer.alloc(64);
  for (const [n, bit] of bits.entries()) bytes[n >> 3] = bytes[n >> 3]! | (bit << (n & 7));
  return Buffer.concat([Buffer.from([0xff, 0x0a]), bytes]);
}
