/** TIFF 6.0: the format in which decoders of our own hand on pixels, because it can carry their colour profile. */

/** Where a strip lies, counted from the end of the head. */
export interface Strip {
  readonly at: number;
  readonly bytes: number;
}
export interface TiffLayout {
  readonly width: number;
  readonly height: number;
  /** Of a channel: 1, 8, or 16 with the high byte first. */
  readonly bits: number;
  readonly channels: number;
  readonly colours: keyof typeof PHOTOMETRIC;
  /** The last channel is alpha, not multiplied into the others. */
  readonly alpha: boolean;
  readonly icc: Uint8Array | undefined;
  /** Of indexed colours: 256 of red, then of green, then of blue. */
  readonly palette?: Uint8Array;
  readonly packBits: boolean;
  /** `planes`: all strips of a channel, then those of the next; each strip is one row. `pixels`: one strip for all. */
  readonly order: "pixels" | "planes";
  readonly strips: readonly Strip[];
}

const PHOTOMETRIC = { whiteIsZero: 0, blackIsZero: 1, rgb: 2, indexed: 3, cmyk: 5 };

const SHORT = 3;
const LONG = 4;
const UNDEFINED_BYTES = 7;
const BYTES_OF = { [SHORT]: 2, [LONG]: 4, [UNDEFINED_BYTES]: 1 };

type Field = readonly [id: number, type: keyof typeof BYTES_OF, values: ArrayLike<number>];

/** What comes before the pixels. Sections 2, 6, 8, 16 and 18; the profile's tag is from ICC.1 annex B. */
export function headOfTiff(layout: TiffLayout): Buffer {
  const { width, height, bits, channels, order, alpha, icc, palette, strips } = layout;
  const fields = (pixelsAt: number): Field[] => [
    [256, LONG, [width]],
    [257, LONG, [height]],
    [258, SHORT, Array.from({ length: channels }, () => bits)],
    [259, SHORT, [layout.packBits ? 32_773 : 1]],
    [262, SHORT, [PHOTOMETRIC[layout.colours]]],
    [273, LONG, strips.map(({ at }) => pixelsAt + at)],
    [277, SHORT, [channels]],
    [278, LONG, [order === "planes" ? 1 : height]],
    [279, LONG, strips.map(({ bytes }) => bytes)],
    // Where there is one channel both are the same, but libvips takes planes of bits for bytes.
    [284, SHORT, [order === "planes" && channels > 1 ? 2 : 1]],
    ...(palette === undefined ? [] : [[320, SHORT, Array.from(palette, (one) => one * 257)] as const]),
    ...(alpha ? [[338, SHORT, [2]] as const] : []),
    ...(icc === undefined ? [] : [[34_675, UNDEFINED_BYTES, icc] as const]),
  ];
  return head(fields(head(fields(0)).length));
}

function head(fields: readonly Field[]): Buffer {
  const size = ([, type, values]: Field): number => BYTES_OF[type] * values.length;
  const outside = (field: Field): number => (size(field) <= 4 ? 0 : size(field) + (size(field) % 2));
  let free = 8 + 2 + fields.length * 12 + 4;
  const bytes = Buffer.alloc(fields.reduce((sum, field) => sum + outside(field), free));
  bytes.write("MM\0*\0\0\0\x08", "latin1");
  bytes.writeUInt16BE(fields.length, 8);
  for (const [n, field] of fields.entries()) {
    const [id, type, values] = field;
    const at = 10 + n * 12;
    bytes.writeUInt16BE(id, at);
    bytes.writeUInt16BE(type, at + 2);
    bytes.writeUInt32BE(values.length, at + 4);
    const place = outside(field) === 0 ? at + 8 : free;
    if (place === free) bytes.writeUInt32BE(place, at + 8);
    for (let one = 0; one < values.length; one++) {
      bytes.writeUIntBE(values[one]!, place + one * BYTES_OF[type], BYTES_OF[type]);
    }
    free += outside(field);
  }
  return bytes;
}

/** Of RGBA with eight bits each; without `alpha` the fourth channel is left out. */
export function tiffOf(
  { width, height, data }: { width: number; height: number; data: Uint8Array | Uint8ClampedArray },
  alpha: boolean,
  icc?: Uint8Array,
): Buffer {
  const channels = alpha ? 4 : 3;
  const length = width * height * channels;
  const begin = headOfTiff({
    width,
    height,
    bits: 8,
    channels,
    colours: "rgb",
    alpha,
    icc,
    packBits: false,
    order: "pixels",
    strips: [{ at: 0, bytes: length }],
  });
  const tiff = Buffer.alloc(begin.length + length);
  begin.copy(tiff);
  const pixels = tiff.subarray(begin.length);
  if (alpha) pixels.set(data.subarray(0, length));
  else {
    for (let to = 0, from = 0; to < length; from++) {
      if (from % 4 !== 3) pixels[to++] = data[from] ?? 0;
    }
  }
  return tiff;
}
