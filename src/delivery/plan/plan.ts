/**
 * The Plan: what is to be done with a source, whatever the grammar of the URL. Numbers that depend on pictures stay
 * expressions and conditions stay conditions until the renderer knows the sizes; names of named transformations are
 * gone. Equal plans have equal texts (`planText` in text.ts), which is what caches go by.
 */

/** Of what the chain began with (`i`), of what it has become so far (`c`), of a layer's immediate parent (`b`). */
export type Variable =
  | "iw"
  | "ih"
  | "iar"
  | "cw"
  | "ch"
  | "car"
  | "bw"
  | "bh"
  | "bar"
  | "idu"
  | "bdu"
  /** The density that the source says of itself. */
  | "idn";
export type Operator = "add" | "sub" | "mul" | "div" | "mod" | "pow";
export type Expression =
  | number
  | { readonly variable: Variable }
  | { readonly op: Operator; readonly left: Expression; readonly right: Expression };

/** Evaluates to pixels (1 and above) or to a fraction of the step's input (below 1). */
export type Length = Expression;

/** 0–255 each, `a` 0–1. */
export interface Colour {
  readonly r: number;
  readonly g: number;
  readonly b: number;
  readonly a: number;
}

/** What happens when width and height don't have the picture's ratio. */
export type Crop =
  | "maintain_ratio" // cover: filled, cropped by the focus
  | "maintain_ratio_no_enlarge" // the same, never enlarged: the crop has the wanted ratio in the size that is there
  | "force" // stretched
  | "at_max" // fits inside, never enlarged
  | "at_max_enlarge" // fits inside, enlarged to touch
  | "at_least"; // covers without being cropped, never enlarged beyond need
export type CropMode =
  | "pad_resize" // fits inside, the rest is background
  | "pad_resize_no_enlarge"
  | "extract" // cut out of the unresized picture
  | "pad_extract" // the same, padded where the picture is smaller
  | "pad_extract_no_shrink";

export type Position =
  | "center"
  | "top"
  | "left"
  | "bottom"
  | "right"
  | "top_left"
  | "top_right"
  | "bottom_left"
  | "bottom_right";
export type Focus =
  | { readonly at: Position }
  | { readonly at: "auto" } // most interesting part
  | { readonly at: "entropy" }
  | { readonly at: "custom" } // the box that the object's metadata names
  | { readonly at: "face" }
  | { readonly at: "object"; readonly name: string };

export type Background =
  | { readonly kind: "colour"; readonly colour: Colour }
  /** The picture itself, enlarged; `brightness` −255…255. */
  | { readonly kind: "blurred"; readonly intensity: number | "auto"; readonly brightness: number }
  | { readonly kind: "dominant" }
  | { readonly kind: "gradient"; readonly colours: 2 | 4 }
  /** Painted by a generator that the operator configured; without one the answer is 501. */
  | { readonly kind: "generated"; readonly prompt: string | undefined };

export type Format = "jpeg" | "png" | "webp" | "avif" | "gif" | "tiff";
/** `auto`: by what the client accepts; `source`: as the source, or the nearest that can be written. `svg`: kept vector. */
export type FormatChoice = Format | "auto" | "source" | "svg" | "mp4" | "webm";

/** `max`: circle or ellipse. Corners clockwise from top left, in pixels. */
export type Radius = "max" | readonly [Expression, Expression, Expression, Expression];

export interface Gradient {
  /** Degrees, 0 to 359, clockwise; 180 runs from top to bottom. */
  readonly direction: number;
  readonly from: Colour;
  readonly to: Colour;
  /** Where `to` is reached: below 1 a fraction of the side, else pixels. */
  readonly stop: Expression;
}
export interface Shadow {
  /** Radius 0–15, strength 0–100 %, offsets −100…100 % of the size. */
  readonly blur: number;
  readonly saturation: number;
  readonly x: number;
  readonly y: number;
}
export type Distort =
  /** Where the corners go, clockwise from top left, in pixels of the picture. */
  | { readonly kind: "perspective"; readonly corners: readonly Expression[] }
  /** Degrees, −360…360. */
  | { readonly kind: "arc"; readonly degrees: Expression };
/** Pages of PDF, PSD, TIFF, frames of an animation; counted from 1. */
export type Pages =
  | { readonly kind: "range"; readonly from: number; readonly to: number | undefined }
  | { readonly kind: "list"; readonly pages: readonly number[] }
  | { readonly kind: "names"; readonly names: readonly string[] };

/** Work of trained models or generators: done by an endpoint that the operator configured, else 501. */
export type ModelTask =
  | { readonly task: "bgremove" | "removedotbg" | "upscale" | "retouch" | "genvar" }
  | { readonly task: "changebg" | "edit"; readonly prompt: string }
  | {
      readonly task: "dropshadow";
      readonly azimuth: number;
      readonly elevation: number;
      readonly saturation: number;
    };

/** What one step may say. Every name is a row of THE table in transforms.ts. */
export interface Options {
  // ---- size
  width: Length | "auto";
  height: Length | "auto";
  /** Width by height. Alone, without width and height: the largest such part of the picture. */
  aspectRatio: Expression;
  crop: Crop;
  cropMode: CropMode;
  focus: Focus;
  /** Above 0. */
  zoom: number;
  x: Expression;
  y: Expression;
  centreX: Expression;
  centreY: Expression;
  dpr: Expression | "auto";
  // ---- shape
  /** `true`: threshold 10; false: not even where it is the default (layers); 1–99: threshold. */
  trim: boolean | number;
  border: { readonly width: Expression; readonly colour: Colour };
  /** Degrees clockwise, negative too; `auto`: as EXIF says. */
  rotate: number | "auto";
  flip: { readonly horizontal: boolean; readonly vertical: boolean };
  radius: Radius;
  background: Background;
  /** 0–100. */
  opacity: number;
  // ---- effects
  /** Radius 1–100 (ImageKit). */
  blur: number;
  /** Sigma 0.3–20 (Weekerp). */
  blurSigma: number;
  grayscale: boolean;
  contrast: boolean;
  /** Amount (ImageKit); 0: the encoder's default strength. */
  sharpen: number;
  sharpenSigma: number;
  unsharp: {
    readonly radius: number;
    readonly sigma: number;
    readonly amount: number;
    readonly threshold: number;
  };
  shadow: Shadow;
  gradient: Gradient;
  colorize: { readonly colour: Colour; readonly intensity: number };
  distort: Distort;
  /** Pixels of `from` (the dominant colour when not given) within `tolerance` (0–100) become `to`. */
  colourReplace: { readonly to: Colour; readonly tolerance: number; readonly from: Colour | undefined };
  gamma: number;
  brightness: number;
  saturation: number;
  hue: number;
  threshold: number;
  model: ModelTask;
  // ---- source and result
  pages: Pages;
  format: FormatChoice;
  /** 1–100. */
  quality: number;
  progressive: boolean;
  lossless: boolean;
  colourProfile: boolean;
  metadata: boolean;
  /** Pixels an inch. */
  density: Expression;
  /** The bytes as they are; everything else is ignored. */
  original: boolean;
  /** Path of what is served when no origin has the file. */
  defaultImage: string;
  // ---- video
  videoCodec: "h264" | "vp9" | "av1" | "none";
  audioCodec: "aac" | "opus" | "none";
  /** Seconds. */
  startOffset: Expression;
  endOffset: Expression;
  duration: Expression;
  /** Heights of the renditions of a stream. */
  streamingResolutions: readonly number[];
}

/** Where a layer goes on its parent. Coordinates may be negative; they are clamped into the parent. */
export interface Placement {
  readonly x?: Expression;
  readonly y?: Expression;
  readonly centreX?: Expression;
  readonly centreY?: Expression;
  /** Which point of the layer the coordinates name. */
  readonly anchor?: Position;
  /** Used where no coordinate is given; center by default. */
  readonly focus?: Position;
  readonly mode?: "multiply" | "displace" | "cutout" | "cutter";
  /** Seconds of the parent video. */
  readonly start?: Expression;
  readonly end?: Expression;
  readonly duration?: Expression;
}

export interface TextStyle {
  /** Pixels; text wraps there. */
  readonly width?: Expression;
  readonly fontSize?: Expression;
  /** A family of the bundled ones, or the path of a font file (with slashes). */
  readonly font?: { readonly family: string } | { readonly path: string };
  readonly colour?: Colour;
  /** Inner alignment of the lines. */
  readonly align?: "left" | "center" | "right";
  /** Top, right, bottom, left. */
  readonly padding?: readonly [Expression, Expression, Expression, Expression];
  readonly bold?: boolean;
  readonly italic?: boolean;
  readonly strikethrough?: boolean;
  readonly background?: Colour;
  readonly radius?: Radius;
  readonly rotate?: number;
  readonly flip?: Options["flip"];
  readonly lineHeight?: Expression;
  /** 1–9 → 0.1–0.9 of opacity. */
  readonly opacity?: number;
  /** Of subtitles. */
  readonly outline?: { readonly width: number; readonly colour: Colour };
  readonly shadow?: { readonly colour: Colour; readonly indent: number };
}

/** `steps` are applied to the layer's own picture (its input) before it is placed. */
export type Layer =
  | {
      readonly kind: "image";
      readonly path: string;
      readonly placement: Placement;
      readonly steps: readonly Step[];
    }
  /** A block of one colour or gradient; size, background, radius, opacity stand in `steps`. */
  | { readonly kind: "canvas"; readonly placement: Placement; readonly steps: readonly Step[] }
  | {
      readonly kind: "text";
      readonly text: string;
      readonly style: TextStyle;
      readonly placement: Placement;
      readonly steps: readonly Step[];
    }
  | {
      readonly kind: "video";
      readonly path: string;
      readonly placement: Placement;
      readonly steps: readonly Step[];
    }
  | {
      readonly kind: "subtitles";
      readonly path: string;
      readonly style: TextStyle;
      readonly placement: Placement;
    };

export type Comparison = "eq" | "ne" | "gt" | "gte" | "lt" | "lte";
export type Condition =
  | {
      readonly left: Variable;
      readonly comparison: Comparison;
      readonly right: Expression;
    }
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] };

export type StepOptions = Readonly<Partial<Options>>;

/** One step works on the result of the one before. Within it, image operations have the fixed order of ORDER. */
export type Step =
  | { readonly options: StepOptions; readonly layers: readonly Layer[] }
  | { readonly when: Condition; readonly then: readonly Step[]; readonly otherwise: readonly Step[] };

export interface Plan {
  readonly steps: readonly Step[];
  /** What holds where no step says: by grammar, or what the URL says of the result as a whole. */
  readonly defaults: {
    readonly quality: number;
    /** The URL names the quality, be it the usual one. */
    readonly explicitQuality?: true;
    readonly format: FormatChoice;
    /** What is seen beside opaque pictures; black when not given. */
    readonly ground?: Colour;
  };
}
