/**
 * What each example of the table of transformations must look like, computed from what the reference page says and
 * without the code that it is about. Where that isn't practical, a picture under test/golden/ says it, which a human
 * has looked at.
 */
import sharp, { type ResizeOptions, type Sharp } from "sharp";
import {
  blurred,
  canvas,
  drawn,
  each,
  imageOf,
  laid,
  luma,
  masked,
  mirrored,
  over,
  pixelsOf,
  quarterTurned,
  sampled,
  TOLERANCE,
  turned,
  unwarped,
  upsideDown,
  type Difference,
  type Pixels,
  type Rgba,
} from "./pixels.ts";
import { FACE } from "./scene.ts";

export interface Expected {
  /** Format, width and height. */
  readonly is: string;
  /** Left out: the golden picture of that name. */
  readonly picture?: (scene: Buffer) => Promise<Pixels>;
  /** Of a lossy format, whose traces the expectation gets too. Null: there are none. */
  readonly quality?: number | null;
  readonly tolerance?: Difference;
}

const QUALITY = 80;
const EXACT: Difference = { mean: 0, worst: 0 };
/** libvips turns around a place that is up to half a pixel aside. */
export const TURNED_TOLERANCE: Difference = { mean: 1.6, worst: 10 };
/** Two encoders that agree on what matters. */
const AVIF_TOLERANCE: Difference = { mean: 3, worst: 10 };

/** With the traces that the format leaves. */
export async function asServed(pixels: Pixels, { is, quality = QUALITY }: Expected): Promise<Pixels> {
  const format = is.split(" ")[0];
  if (quality === null) return pixels;
  const image = imageOf(pixels);
  if (format === "jpeg") return pixelsOf(await image.removeAlpha().jpeg({ quality }).toBuffer());
  if (format === "webp") return pixelsOf(await image.webp({ quality, effort: 2 }).toBuffer());
  return pixels;
}

export type Picture = NonNullable<Expected["picture"]>;
export const BLACK: Rgba = [0, 0, 0, 255];
export const WHITE: Rgba = [255, 255, 255, 255];

/** The whole scene, or what sharp's fit leaves of it. */
export const scaled =
  (width: number, height: number, how: ResizeOptions = { fit: "fill" }): Picture =>
  (scene) =>
    pixelsOf(sharp(scene).resize({ ...how, width, height }));

/** A part of the scene, not resized. */
export const part =
  (left: number, top: number, width: number, height: number): Picture =>
  (scene) =>
    pixelsOf(sharp(scene).extract({ left, top, width, height }));

/** Something done to the scene at 300 by 200. */
export const at300 =
  (work: (pixels: Pixels) => Pixels | Promise<Pixels>): Picture =>
  async (scene) =>
    work(await scaled(300, 200)(scene));

/** The scene on a canvas. */
export const padded =
  (width: number, height: number, colour: Rgba, inner: Picture, left: number, top: number): Picture =>
  async (scene) =>
    laid(canvas(width, height, colour), await inner(scene), left, top);

export const rounded = (width: number, height: number, radius: number): string =>
  `<rect width="${width}" height="${height}" rx="${radius}"/>`;

const fade = (percent: number, under: Rgba): Picture =>
  at300((pixels) => each(pixels, ([r, g, b]) => over([r, g, b, 2.55 * percent], under)));

/** Hue, saturation and brightness: sharp's own, whose words the options are. */
const modulated = (how: Parameters<Sharp["modulate"]>[0]): Picture =>
  at300((pixels) => pixelsOf(imageOf(pixels).modulate(how)));

/** Half a per cent of the darkest channels becomes black, and of the lightest white, by the same line for all colours. */
export function stretched(pixels: Pixels): Pixels {
  const darkest: number[] = [];
  const lightest: number[] = [];
  each(pixels, (colour) => {
    const [r, g, b] = colour;
    darkest.push(Math.min(r, g, b));
    lightest.push(Math.max(r, g, b));
    return colour;
  });
  darkest.sort((one, other) => one - other);
  lightest.sort((one, other) => other - one);
  const share = Math.floor(darkest.length * 0.005);
  const [low, high] = [darkest[share]!, lightest[share]!];
  return each(pixels, ([r, g, b]) => [r, g, b].map((value) => ((value - low) * 255) / (high - low)));
}

/** Adds what a blurred copy lacks, where that is more than the threshold. */
export function unsharpened(pixels: Pixels, sigma: number, amount: number, threshold: number): Pixels {
  const soft = blurred(pixels, sigma);
  return each(pixels, (colour, x, y) => {
    const n = (y * pixels.width + x) * 4;
    return [0, 1, 2].map((channel) => {
      const value = colour[channel]!;
      const lacks = value - soft.data[n + channel]!;
      return Math.abs(lacks) < threshold * 255 ? value : value + lacks * amount;
    });
  });
}

/** Into an arc, of which the picture's middle line keeps its length. */
function bent(pixels: Pixels, degrees: number, width: number, height: number): Pixels {
  const angle = (degrees * Math.PI) / 180;
  const outer = pixels.width / angle + pixels.height / 2;
  return sampled(pixels, width, height, (x, y) => {
    const [across, up] = [x - width / 2, outer - y];
    const along = Math.atan2(across, up);
    // Beyond the ends of the arc there is nothing.
    if (Math.abs(along) > angle / 2) return [-9, -9];
    return [(along / angle + 0.5) * pixels.width, outer - Math.hypot(across, up)];
  });
}

/** From below to above, from one colour over to the other, as browsers mix them. */
const upwards = (from: Rgba, to: Rgba): Picture =>
  at300((pixels) =>
    each(pixels, (under, _, y) => {
      const along = 1 - (y + 0.5) / pixels.height;
      const [a, b] = [(1 - along) * from[3], along * to[3]];
      const mix = [0, 1, 2].map((n) => (from[n]! * a + to[n]! * b) / (a + b));
      return over([mix[0]!, mix[1]!, mix[2]!, a + b], under);
    }),
  );

const PLAIN: Expected = { is: "jpeg 300x200", picture: scaled(300, 200) };
const cover = (width: number, height: number, position: string): Expected => ({
  is: `jpeg ${width}x${height}`,
  picture: scaled(width, height, { fit: "cover", position }),
});
const whole300 = (work: (pixels: Pixels) => Pixels | Promise<Pixels>): Expected => ({
  is: "jpeg 300x200",
  picture: at300(work),
});

/** The face and half as much again, as a square of 200. */
function aroundFace(zoom: number): Picture {
  const side = Math.round((Math.max(FACE.width, FACE.height) * 1.5) / zoom);
  const left = Math.round(FACE.x + FACE.width / 2 - side / 2);
  const top = Math.round(FACE.y + FACE.height / 2 - side / 2);
  return async (scene) =>
    pixelsOf(imageOf(await part(left, top, side, side)(scene)).resize(200, 200, { fit: "fill" }));
}

const SIZES: Readonly<Record<string, Expected>> = {
  width: PLAIN,
  widthFraction: { is: "jpeg 150x100", picture: scaled(150, 100) },
  height: { is: "jpeg 450x300", picture: scaled(450, 300) },
  aspectRatio: cover(300, 225, "centre"),
  cropMaintainRatio: cover(240, 240, "centre"),
  cropNoEnlarge: { is: "jpeg 600x150", picture: part(0, 125, 600, 150) },
  cropForce: { is: "jpeg 240x240", picture: scaled(240, 240) },
  cropAtMax: { is: "jpeg 240x160", picture: scaled(240, 160) },
  cropAtMaxEnlarge: { is: "jpeg 900x600", picture: scaled(900, 600) },
  cropAtLeast: { is: "jpeg 360x240", picture: scaled(360, 240) },
  padResize: {
    is: "jpeg 300x300",
    picture: padded(300, 300, [0xf3, 0xf3, 0xf3, 255], scaled(300, 200), 0, 50),
  },
  padResizeNoEnlarge: {
    is: "jpeg 900x900",
    picture: padded(900, 900, [0xf3, 0xf3, 0xf3, 255], scaled(600, 400), 150, 250),
  },
  extract: { is: "jpeg 200x200", picture: part(200, 100, 200, 200) },
  padExtract: {
    is: "jpeg 700x300",
    picture: padded(700, 300, [0, 128, 0, 255], part(0, 50, 600, 300), 50, 0),
  },
  padExtractNoShrink: {
    is: "jpeg 700x400",
    picture: padded(700, 400, [0, 128, 0, 255], part(0, 0, 600, 400), 50, 0),
  },
  focusTopLeft: { is: "jpeg 200x200", picture: part(0, 0, 200, 200) },
  focusRight: cover(150, 300, "right"),
  focusPadded: {
    is: "jpeg 300x300",
    picture: padded(300, 300, [0xf3, 0xf3, 0xf3, 255], scaled(300, 200), 0, 100),
  },
  focusAuto: { is: "jpeg 200x300" },
  focusFace: { is: "jpeg 200x200", picture: aroundFace(1) },
  queryPosition: cover(150, 300, "left"),
  zoom: { is: "jpeg 200x200", picture: aroundFace(0.8) },
  extractXY: { is: "jpeg 200x150", picture: part(374, 240, 200, 150) },
  extractY: { is: "jpeg 200x150", picture: part(200, 250, 200, 150) },
  extractCentre: { is: "jpeg 200x150", picture: part(70, 135, 200, 150) },
  extractCentreY: { is: "jpeg 200x150", picture: part(200, 0, 200, 150) },
  dpr: PLAIN,
  querySize: PLAIN,
  queryContain: { is: "jpeg 300x300", picture: padded(300, 300, BLACK, scaled(300, 200), 0, 50) },
};

const CORNERS =
  '<path d="M10 0 H260 A40 40 0 0 1 300 40 V120 A80 80 0 0 1 220 200 H0 V10 A10 10 0 0 1 10 0Z"/>';

const SHAPES: Readonly<Record<string, Expected>> = {
  trim: {
    is: "jpeg 250x167",
    picture: async (scene) =>
      pixelsOf(imageOf(await scaled(150, 100)(scene)).resize(250, 167, { fit: "fill" })),
  },
  border: { is: "jpeg 320x220", picture: padded(320, 220, [255, 0, 0, 255], scaled(300, 200), 10, 10) },
  rotate90: { is: "jpeg 200x300", picture: at300(quarterTurned) },
  rotate45: {
    is: "jpeg 354x354",
    picture: at300((pixels) => laid(canvas(354, 354, [255, 255, 0, 255]), turned(pixels, 45), 0, 0)),
    tolerance: TURNED_TOLERANCE,
  },
  rotateBack: {
    is: "jpeg 360x323",
    picture: at300((pixels) => laid(canvas(360, 323, BLACK), turned(pixels, -30), 0, 0)),
    tolerance: TURNED_TOLERANCE,
  },
  flipHorizontal: whole300(mirrored),
  flipVertical: whole300(upsideDown),
  queryFlip: whole300(upsideDown),
  queryFlop: whole300(mirrored),
  radius: { is: "png 300x200", picture: at300((pixels) => masked(pixels, rounded(300, 200, 30))) },
  radiusMax: {
    is: "png 200x200",
    picture: async (scene) =>
      masked(await scaled(200, 200, { fit: "cover" })(scene), '<circle cx="100" cy="100" r="100"/>'),
  },
  radiusCorners: { is: "png 300x200", picture: at300((pixels) => masked(pixels, CORNERS)) },
  backgroundColour: {
    is: "jpeg 300x300",
    picture: padded(300, 300, [0xf3, 0xa0, 0xb0, 255], scaled(300, 200), 0, 50),
  },
  backgroundBlurred: { is: "jpeg 300x120" },
  backgroundBlurredDark: { is: "jpeg 300x120" },
  backgroundDominant: { is: "jpeg 300x120" },
  backgroundGradient: { is: "jpeg 300x120" },
  opacity: { is: "jpeg 300x200", picture: fade(40, [255, 0, 0, 255]) },
};

const EFFECTS: Readonly<Record<string, Expected>> = {
  blur: whole300((pixels) => pixelsOf(imageOf(pixels).blur(1 + 10 / 2))),
  queryBlur: whole300((pixels) => pixelsOf(imageOf(pixels).blur(2.5))),
  grayscale: whole300((pixels) => each(pixels, (colour) => Array(3).fill(luma(colour)) as number[])),
  contrast: whole300(stretched),
  sharpen: whole300((pixels) => pixelsOf(imageOf(pixels).sharpen({ sigma: 1, m1: 1, m2: 2 }))),
  querySharpen: whole300((pixels) => pixelsOf(imageOf(pixels).sharpen({ sigma: 2 }))),
  unsharp: whole300((pixels) => unsharpened(pixels, 2, 0.8, 0.024)),
  shadow: { is: "png 240x240" },
  gradient: { is: "jpeg 300x200", picture: upwards([0, 128, 0, 255], [0, 255, 0, 25.5]) },
  colorize: { is: "jpeg 300x200" },
  distortPerspective: {
    is: "png 300x200",
    picture: at300((pixels) =>
      sampled(
        pixels,
        300,
        200,
        unwarped(pixels, [
          [40, 20],
          [260, 0],
          [300, 200],
          [0, 180],
        ]),
      ),
    ),
  },
  distortArc: {
    is: "png 341x142",
    picture: async (scene) => bent(await scaled(300, 100, { fit: "cover" })(scene), 90, 341, 142),
  },
  colourReplace: whole300((pixels) =>
    each(pixels, ([r, g, b, a]) => {
      const far = Math.hypot(r - 0xc9, g - 0x22, b - 0x1c) / Math.hypot(255, 255, 255);
      return far > 0.2 ? [r, g, b, a] : [0x30, 0x60, 0xff];
    }),
  ),
  queryGamma: whole300((pixels) =>
    each(pixels, ([r, g, b]) => [r, g, b].map((value) => 255 * (value / 255) ** (1 / 2.2))),
  ),
  queryBrightness: { is: "jpeg 300x200", picture: modulated({ brightness: 1.5 }) },
  querySaturation: { is: "jpeg 300x200", picture: modulated({ saturation: 0.3 }) },
  queryHue: { is: "jpeg 300x200", picture: modulated({ hue: 120 }) },
  queryThreshold: whole300((pixels) =>
    each(pixels, (colour) => Array(3).fill(luma(colour) >= 128 ? 255 : 0) as number[]),
  ),
};

const RESULTS: Readonly<Record<string, Expected>> = {
  formatWebp: { is: "webp 300x200", picture: scaled(300, 200) },
  formatAvif: { is: "heif 300x200", picture: scaled(300, 200), tolerance: AVIF_TOLERANCE },
  formatPng: { is: "png 300x200", picture: scaled(300, 200) },
  quality: { ...PLAIN, quality: 20 },
  progressive: PLAIN,
  lossless: { is: "webp 100x67", picture: scaled(100, 67), quality: null, tolerance: EXACT },
  colourProfile: PLAIN,
  metadata: PLAIN,
  original: { is: "jpeg 600x400", picture: part(0, 0, 600, 400), quality: null, tolerance: EXACT },
};

const SMALL: Picture = async (scene) =>
  laid(canvas(98, 68, WHITE), await pixelsOf(sharp(scene).resize(90, 60)), 4, 4);

const FORMS: Readonly<Record<string, Expected>> = {
  chain: {
    is: "jpeg 300x400",
    picture: async (scene) => quarterTurned(await scaled(400, 300, { fit: "cover" })(scene)),
  },
  arithmetic: cover(150, 200, "centre"),
  condition: { is: "jpeg 400x267", picture: scaled(400, 267) },
  layerImage: {
    is: "jpeg 300x200",
    picture: async (scene) => laid(await scaled(300, 200)(scene), await SMALL(scene), 202, 0),
  },
  layerCanvas: whole300(async (pixels) =>
    laid(
      pixels,
      await drawn(150, 100, `<g fill="#f00" fill-opacity=".5">${rounded(150, 100, 20)}</g>`),
      75,
      50,
    ),
  ),
  layerText: { is: "jpeg 300x200" },
};

/** By the names of the examples. */
export const EXPECTED: Readonly<Record<string, Expected>> = {
  ...SIZES,
  ...SHAPES,
  ...EFFECTS,
  ...RESULTS,
  ...FORMS,
};

export const toleranceOf = ({ tolerance = TOLERANCE }: Expected): Difference => tolerance;
