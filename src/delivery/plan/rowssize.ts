/** Rows of THE table (transforms.ts): how large a picture becomes and which part of it is shown. */
import { EXPRESSION_ALLOWED, parseExpression } from "./expression.ts";
import { DEFAULT_LIMITS } from "../limits.ts";
import type { Crop, CropMode, Focus } from "./plan.ts";
import type { Rows } from "./transforms.ts";
import {
  LENGTH_ALLOWED,
  oneOf,
  parseCoordinate,
  parseLength,
  parseNumber,
  parsePlainLength,
  parseRatioValue,
  parseWithin,
  PLAIN_LENGTH_ALLOWED,
  POSITIONS,
  wordsOf,
} from "./values.ts";

export const CROPS: Readonly<Record<string, Crop>> = {
  maintain_ratio: "maintain_ratio",
  maintain_ratio_no_enlarge: "maintain_ratio_no_enlarge",
  force: "force",
  at_max: "at_max",
  at_max_enlarge: "at_max_enlarge",
  at_least: "at_least",
};
/** sharp's words, which Weekerp's URLs have. `contain` is a crop mode and is read by weekerp.ts. */
const FITS: Readonly<Record<string, Crop>> = {
  cover: "maintain_ratio",
  fill: "force",
  inside: "at_max_enlarge",
  outside: "at_least",
  ...CROPS,
};
export const CROP_MODES: Readonly<Record<string, CropMode>> = {
  pad_resize: "pad_resize",
  pad_resize_no_enlarge: "pad_resize_no_enlarge",
  extract: "extract",
  pad_extract: "pad_extract",
  pad_extract_no_shrink: "pad_extract_no_shrink",
};
const PLACES: Readonly<Record<string, Focus>> = {
  ...Object.fromEntries(Object.entries(POSITIONS).map(([name, at]) => [name, { at }])),
  auto: { at: "auto" },
  entropy: { at: "entropy" },
  custom: { at: "custom" },
  face: { at: "face" },
};
const SIDES: Readonly<Record<string, Focus>> = {
  centre: { at: "center" },
  center: { at: "center" },
  top: { at: "top" },
  right: { at: "right" },
  bottom: { at: "bottom" },
  left: { at: "left" },
};
/** The 80 classes of COCO, as ImageKit writes them. */
const OBJECTS: ReadonlySet<string> = new Set(
  (
    "person bicycle car motorcycle airplane bus train truck boat trafficLight fireHydrant stopSign parkingMeter bench " +
    "bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie suitcase frisbee skis " +
    "snowboard sportsBall kite baseballBat baseballGlove skateboard surfboard tennisRacket bottle wineGlass cup fork " +
    "knife spoon bowl banana apple sandwich orange broccoli carrot hotDog pizza donut cake chair couch pottedPlant bed " +
    "diningTable toilet tv laptop mouse remote keyboard cellPhone microwave oven toaster sink refrigerator book clock " +
    "vase scissors teddyBear hairDrier toothbrush"
  ).split(" "),
);

/** Of `dpr-`, and of what the browser says of its screen. */
export const DPR_RANGE = [0.1, 5] as const;

export const SIZE_ROWS: Rows<
  | "width"
  | "height"
  | "aspectRatio"
  | "crop"
  | "cropMode"
  | "focus"
  | "zoom"
  | "x"
  | "y"
  | "centreX"
  | "centreY"
  | "dpr"
> = {
  width: {
    imagekit: {
      names: ["w"],
      allowed: `${LENGTH_ALLOWED}, or auto`,
      parse: (text) => (text === "auto" ? text : parseLength(text)),
    },
    weekerp: { names: ["width", "w"], allowed: PLAIN_LENGTH_ALLOWED, parse: parsePlainLength },
    fallback: "follows the height",
    doc:
      "Width. With the height left out, the ratio is kept and nothing is cropped. `auto`: what the browser says in Sec-CH-Width, rounded up to the next 100, and no more than 5000; where a side would become longer than that, or the picture larger than is allowed, it enlarges nothing. " +
      `Beyond ${DEFAULT_LIMITS.resultSide} pixels nothing is made (422).`,
    examples: { width: "w-300", widthFraction: "w-0.25" },
  },
  height: {
    imagekit: { names: ["h"], allowed: LENGTH_ALLOWED, parse: parseLength },
    weekerp: { names: ["height", "h"], allowed: PLAIN_LENGTH_ALLOWED, parse: parsePlainLength },
    fallback: "follows the width",
    doc: "Height. With the width left out, the ratio is kept and nothing is cropped.",
    examples: { height: "h-300" },
  },
  aspectRatio: {
    imagekit: { names: ["ar"], allowed: "4-3, 4_3, a number or an expression", parse: parseRatioValue },
    fallback: "the picture's own",
    doc: "Width by height, where one of them is given; left out of account where both are.",
    examples: { aspectRatio: "w-300,ar-4-3" },
  },
  crop: {
    imagekit: { names: ["c"], allowed: wordsOf(CROPS), parse: oneOf(CROPS) },
    weekerp: { names: ["fit", "c"], allowed: `contain, ${wordsOf(FITS)}`, parse: oneOf(FITS) },
    fallback: "maintain_ratio (cover)",
    doc:
      "What happens when width and height don't have the picture's ratio. `maintain_ratio` (`cover`): filled, and cropped " +
      "by the focus; `maintain_ratio_no_enlarge`: the same without being enlarged. `at_max`: fits inside, never larger than " +
      "the original; `at_max_enlarge` (`inside`): fits inside, larger too. `at_least` (`outside`): covers, and nothing is " +
      "cropped. `force` (`fill`): stretched. `contain`: fits inside, the rest is background.",
    examples: {
      cropMaintainRatio: "w-240,h-240",
      cropNoEnlarge: "w-1200,h-300,c-maintain_ratio_no_enlarge",
      cropForce: "w-240,h-240,c-force",
      cropAtMax: "w-240,h-240,c-at_max",
      cropAtMaxEnlarge: "w-900,h-900,c-at_max_enlarge",
      cropAtLeast: "w-240,h-240,c-at_least",
    },
  },
  cropMode: {
    imagekit: { names: ["cm"], allowed: wordsOf(CROP_MODES), parse: oneOf(CROP_MODES) },
    fallback: "none",
    doc:
      "`pad_resize`: fits inside, the rest is background (`bg`); `_no_enlarge` leaves small pictures as they are. `extract`: " +
      "cut out without resizing, by `fo`, `x` and `y` or `xc` and `yc`. `pad_extract`: the same, padded where the picture is " +
      "smaller. `c` takes these words too, and `cm` those of `c`.",
    examples: {
      padResize: "w-300,h-300,cm-pad_resize,bg-F3F3F3",
      padResizeNoEnlarge: "w-900,h-900,cm-pad_resize_no_enlarge,bg-F3F3F3",
      extract: "w-200,h-200,cm-extract",
      padExtract: "w-700,h-300,cm-pad_extract,bg-green",
      padExtractNoShrink: "w-700,h-300,cm-pad_extract_no_shrink,bg-green",
    },
  },
  focus: {
    imagekit: {
      names: ["fo"],
      allowed: `${wordsOf(PLACES)}, or an object of COCO such as dog or wineGlass`,
      parse: (text) => oneOf(PLACES)(text) ?? (OBJECTS.has(text) ? { at: "object", name: text } : undefined),
    },
    weekerp: { names: ["position", "p"], allowed: wordsOf(SIDES), parse: oneOf(SIDES) },
    fallback: "center",
    doc:
      "Which part is kept when something is cropped, and where the picture stands when it is padded. `auto`: what catches " +
      "the eye. `custom`: the box in the object's metadata (`x-amz-meta-customcoordinates: x,y,width,height`), also of a " +
      "picture that earlier steps resized, but not once they cropped, padded or turned it. `face` and objects need " +
      "`--delivery-detector`. Where a box isn't known the answer says `x-windlass-focus: fallback` and is that of `auto`.",
    examples: {
      focusTopLeft: "w-200,h-200,cm-extract,fo-top_left",
      focusRight: "w-150,h-300,fo-right",
      focusPadded: "w-300,h-300,cm-pad_resize,fo-bottom,bg-F3F3F3",
      focusAuto: "w-200,h-300,fo-auto",
      focusFace: "w-200,h-200,fo-face",
      queryPosition: "?w=150&h=300&position=left",
    },
  },
  zoom: {
    imagekit: {
      names: ["z"],
      allowed: "a number from 0.01 to 100",
      parse: (text) => parseNumber(text, 0.01, 100),
    },
    fallback: "1",
    doc: "How close `fo-face` and objects are shown: below 1 wider, above 1 closer.",
    examples: { zoom: "w-200,h-200,fo-face,z-0.8" },
  },
  x: coordinate("x", "Left edge of an extract", { extractXY: "w-200,h-150,cm-extract,x-374,y-240" }),
  y: coordinate("y", "Top edge of an extract", { extractY: "w-200,h-150,cm-extract,y-250" }),
  centreX: coordinate("xc", "Centre of an extract, from the left", {
    extractCentre: "w-200,h-150,cm-extract,xc-170,yc-210",
  }),
  centreY: coordinate("yc", "Centre of an extract, from the top", {
    extractCentreY: "w-200,h-150,cm-extract,yc-75",
  }),
  dpr: {
    imagekit: {
      names: ["dpr"],
      allowed: `a number from ${DPR_RANGE.join(" to ")}, an expression, or auto`,
      parse: (text) => (text === "auto" ? text : parseWithin(text, DPR_RANGE)),
    },
    fallback: "1",
    doc: "Multiplies width and height, which must be given; left out of account where less than 1 or more than 5000 pixels come out. `auto`: what the browser says in Sec-CH-DPR, from 0.1 to 5, unless the picture would become larger than is allowed.",
    examples: { dpr: "w-150,dpr-2" },
  },
};

function coordinate(name: string, doc: string, examples: Readonly<Record<string, string>>): Rows<"x">["x"] {
  return {
    imagekit: {
      names: [name],
      allowed: EXPRESSION_ALLOWED,
      parse: (text) => parseExpression(text) ?? (text.startsWith("N") ? parseCoordinate(text) : undefined),
    },
    fallback: "by the focus",
    doc: `${doc}, in pixels of the picture as it is seen: turned already as EXIF says. An error where the extract doesn't lie within it.`,
    examples,
  };
}
