/**
 * A picture that costs codecs what a photograph costs them: brightness with the spectrum of natural scenes (amplitude
 * falls with frequency), softer colours, shapes with hard edges, and grain. The same bytes with each run.
 */
import sharp from "sharp";

export const WIDTH = 2725;
export const HEIGHT = 2225;
const PIXELS = WIDTH * HEIGHT;
/** Octaves of noise: the first has one cell over the whole picture, each further one cells of half the size. */
const OCTAVES = 11;
const COLOUR_OCTAVES = 6;
/** Of the first octave, in steps of 0 to 255, and what each octave keeps of the one before. */
const AMPLITUDE = 75;
const FALL = 0.76;
const SHAPES = 90;
const QUALITY = 88;

/** Numbers from 0 to 1 (mulberry32). */
function numbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Random cells, made smooth: values from 0 to 255 for all pixels. */
function octave(random, cells) {
  const side = 2 ** cells + 1;
  const data = Buffer.from(Array.from({ length: side * side }, () => Math.floor(random() * 256)));
  const small = sharp(data, { raw: { width: side, height: side, channels: 1 } });
  return small.resize(WIDTH, HEIGHT, { fit: "fill", kernel: "cubic" }).toColourspace("b-w").raw().toBuffer();
}

async function noise(random, octaves, amplitude) {
  const field = new Float32Array(PIXELS);
  for (let n = 0; n < octaves; n++) {
    const cells = await octave(random, n);
    const scale = (amplitude * FALL ** n) / 128;
    for (let at = 0; at < PIXELS; at++) field[at] += (cells[at] - 128) * scale;
  }
  return field;
}

/** Discs of another brightness, as objects before a background are. */
function addShapes(random, field) {
  for (let n = 0; n < SHAPES; n++) {
    const radius = 15 + 260 * random() ** 3;
    const [x, y] = [random() * WIDTH, random() * HEIGHT];
    const step = (random() - 0.5) * 110;
    const squash = 0.4 + random();
    for (let row = Math.max(0, Math.ceil(y - radius)); row < Math.min(HEIGHT, y + radius); row++) {
      const half = Math.sqrt(radius ** 2 - (row - y) ** 2) * squash;
      const end = Math.min(WIDTH, Math.floor(x + half));
      for (let column = Math.max(0, Math.ceil(x - half)); column < end; column++)
        field[row * WIDTH + column] += step;
    }
  }
}

const level = (value) => Math.max(0, Math.min(255, Math.round(value)));

/** A JPEG of 2725 × 2225 pixels and about 840 kB. */
export async function photo() {
  const random = numbers(20_251);
  const luma = await noise(random, OCTAVES, AMPLITUDE);
  addShapes(random, luma);
  const [blue, red] = [
    await noise(random, COLOUR_OCTAVES, AMPLITUDE / 2),
    await noise(random, COLOUR_OCTAVES, AMPLITUDE / 2),
  ];
  const data = Buffer.allocUnsafe(PIXELS * 3);
  for (let at = 0; at < PIXELS; at++) {
    const light = 128 + luma[at];
    data[at * 3] = level(light + 1.402 * red[at]);
    data[at * 3 + 1] = level(light - 0.344 * blue[at] - 0.714 * red[at]);
    data[at * 3 + 2] = level(light + 1.772 * blue[at]);
  }
  const raw = { width: WIDTH, height: HEIGHT, channels: 3 };
  return sharp(data, { raw }).jpeg({ quality: QUALITY }).toBuffer();
}
