/** JPEG files as far as they are read here: ITU T.81, annex B. */

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

/** Of comments sharp tells in PNGs alone. */
export function hasComment(jpeg: Buffer): boolean {
  for (const { marker } of segmentsOf(jpeg)) {
    if (marker === COMMENT || marker === SCAN) return marker === COMMENT;
  }
  return false;
}
