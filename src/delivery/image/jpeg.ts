/** JPEG files as far as they are read here: ITU T.81, annex B. */
import type { Metadata } from "sharp";

interface Segment {
  readonly marker: number;
  /** Behind its length. */
  readonly content: Buffer;
}

/** Up to the first that doesn't say how long it is. */
export function* segmentsOf(jpeg: Buffer): Generator<Segment> {
  for (let at = 2; at + 4 <= jpeg.length && jpeg[at] === 0xff;) {
    const end = at + 2 + jpeg.readUInt16BE(at + 2);
    yield { marker: jpeg[at + 1]!, content: jpeg.subarray(at + 4, end) };
    at = end;
  }
}

const COMMENT = 0xfe;
const SCAN = 0xda;
const JFIF = 0xe0;
/** Baseline, extended sequential, progressive. */
const FRAMES: readonly number[] = [0xc0, 0xc1, 0xc2];
/** Huffman tables, quantization tables, the restart interval. */
const TABLES: readonly number[] = [0xc4, 0xdb, 0xdd];

/** Of comments sharp tells in PNGs alone. */
export function hasComment(jpeg: Buffer): boolean {
  for (const { marker } of segmentsOf(jpeg)) {
    if (marker === COMMENT || marker === SCAN) return marker === COMMENT;
  }
  return false;
}

/** Before the pixels. Stops millions of comments from holding the thread. */
const SEGMENTS_MAX = 100;

type About = Pick<
  Metadata,
  "width" | "height" | "space" | "channels" | "chromaSubsampling" | "isProgressive"
>;
type Density = Pick<Metadata, "density" | "resolutionUnit">;

/**
 * What sharp's `metadata()` says of a JPEG that holds nothing but one picture in the usual way. Undefined: sharp is to say it.
 * Asking sharp takes a turn of another thread, and 2 % of what a small picture of a large one costs.
 */
export function plainMetadata(jpeg: Buffer): Metadata | undefined {
  let about: About | undefined;
  let density: Density | undefined;
  let segments = 0;
  for (const { marker, content } of segmentsOf(jpeg)) {
    if (++segments > SEGMENTS_MAX) return undefined;
    if (FRAMES.includes(marker) && about === undefined) {
      about = frameOf(marker, content);
      if (about === undefined) return undefined;
    } else if (marker === JFIF && density === undefined) {
      density = densityOf(content);
      if (density === undefined) return undefined;
    } else if (marker === SCAN) {
      // A picture in several scans counts as progressive, too.
      if (about === undefined || content[0] !== about.channels) return undefined;
      const { width, height } = about;
      const usual = { depth: "uchar", isPalette: false, hasProfile: false, hasAlpha: false } as const;
      const file = { format: "jpeg", mediaType: "image/jpeg", size: jpeg.length } as const;
      return { ...file, ...usual, ...about, ...(density ?? UNSAID), autoOrient: { width, height } };
    } else if (marker !== COMMENT && !TABLES.includes(marker)) return undefined;
  }
  return undefined;
}

/** Of 8 bits, grey or YCbCr, whole or halved in both directions: T.81, B.2.2. */
function frameOf(marker: number, content: Buffer): About | undefined {
  const channels = content[5];
  if (content[0] !== 8 || (channels !== 1 && channels !== 3) || content.length !== 6 + 3 * channels)
    return undefined;
  const height = content.readUInt16BE(1);
  const width = content.readUInt16BE(3);
  const components = Array.from({ length: channels }, (_, n) => content.readUInt16BE(6 + 3 * n)).join();
  const chromaSubsampling = SAMPLINGS.get(components);
  if (height === 0 || width === 0 || chromaSubsampling === undefined) return undefined;
  const space = channels === 1 ? "b-w" : "srgb";
  return { width, height, space, channels, chromaSubsampling, isProgressive: marker === 0xc2 };
}
/** By the components' numbers and factors. */
const SAMPLINGS = new Map([
  [[0x111].join(), "4:4:4"],
  [[0x111, 0x211, 0x311].join(), "4:4:4"],
  [[0x122, 0x211, 0x311].join(), "4:2:0"],
]);

const UNSAID: Density = { density: 72 };
/** Fewer pixels an inch are less than one a millimetre, with which sharp deals in its own way. */
const DENSITY_MIN = 26;

/** In inches and the same in both directions, or not said: JFIF 1.02. */
function densityOf(content: Buffer): Density | undefined {
  if (content.length !== 14 || content.toString("latin1", 0, 5) !== "JFIF\0") return undefined;
  const unit = content[7];
  const density = content.readUInt16BE(8);
  if (unit === 0) return UNSAID;
  const square = content.readUInt16BE(10) === density;
  return unit === 1 && square && density >= DENSITY_MIN ? { density, resolutionUnit: "inch" } : undefined;
}
