/** Rows of THE table (transforms.ts): how large a picture becomes and which part of it is shown. */
import { DEFAULT_LIMITS } from "../limits.ts";
import { parseExpression } from "./expression.ts";
import type { Crop, CropMode, Expression, Focus, Position } from "./plan.ts";
import type { Rows, Transformation } from "./rows.ts";
import {
  EXPRESSION,
  LENGTH,
  named,
  number,
  oneOf,
  orAuto,
  parseCoordinate,
  PLAIN_LENGTH,
  POSITIONS,
  RATIO,
  within,
  words,
} from "./values.ts";

export const CROPS: Readonly<Record<string, Crop>> = named(
  "maintain_ratio",
  "maintain_ratio_no_enlarge",
  "force",
  "at_max",
  "at_max_enlarge",
  "at_least",
);
/** sharp's words, which Weekerp's URLs have. `contain` is a crop mode and is read by weekerp.ts. */
const FITS: Readonly<Record<string, Crop>> = {
  cover: "maintain_ratio",
  fill: "force",
  inside: "at_max_enlarge",
  outside: "at_least",
  ...CROPS,
};
export const CROP_MODES: Readonly<Record<string, CropMode>> = named(
  "pad_resize",
  "pad_resize_no_enlarge",
  "extract",
  "pad_extract",
  "pad_extract_no_shrink",
);
const at = (...places: readonly (Position | "auto" | "entropy" | "custom" | "face")[]) =>
  Object.fromEntries(places.map((one) => [one, { at: one }])) as Readonly<Record<string, Focus>>;
const PLACES = words(at(...Object.values(POSITIONS), "auto", "entropy", "custom", "face"));
const SIDES = words<Focus>({
  centre: { at: "center" },
  ...at("center", "top", "right", "bottom", "left"),
});
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

export const SIZE_ROWS = {
  width: {
    imagekit: { names: ["w"], ...orAuto(LENGTH) },
    weekerp: { names: ["width", "w"], ...PLAIN_LENGTH },
    fallback: "follows the height",
    doc:
      "Width. With the height left out, the ratio is kept and nothing is cropped. `auto`: what the browser says in Sec-CH-Width, rounded up to the next 100, and no more than 5000; where a side would become longer than that, or the picture larger than is allowed, it enlarges nothing. " +
      `Beyond ${DEFAULT_LIMITS.resultSide} pixels nothing is made (422).`,
    examples: { width: "w-300", widthFraction: "w-0.25" },
  },
  height: {
    imagekit: { names: ["h"], ...LENGTH },
    weekerp: { names: ["height", "h"], ...PLAIN_LENGTH },
    fallback: "follows the width",
    doc: "Height. With the width left out, the ratio is kept and nothing is cropped.",
    examples: { height: "h-300" },
  },
  aspectRatio: {
    imagekit: { names: ["ar"], ...RATIO },
    fallback: "the picture's own",
    doc: "Width by height, where one of them is given; left out of account where both are.",
    examples: { aspectRatio: "w-300,ar-4-3" },
  },
  crop: {
    imagekit: { names: ["c"], ...words(CROPS) },
    weekerp: { names: ["fit", "c"], allowed: `contain, ${words(FITS).allowed}`, parse: oneOf(FITS) },
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
    imagekit: { names: ["cm"], ...words(CROP_MODES) },
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
      allowed: `${PLACES.allowed}, or an object of COCO such as dog or wineGlass`,
      parse: (text) => PLACES.parse(text) ?? (OBJECTS.has(text) ? { at: "object", name: text } : undefined),
    },
    weekerp: { names: ["position", "p"], ...SIDES },
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
    imagekit: { names: ["z"], ...number(0.01, 100) },
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
    imagekit: { names: ["dpr"], ...orAuto(within(DPR_RANGE)) },
    fallback: "1",
    doc: "Multiplies width and height, which must be given; left out of account where less than 1 or more than 5000 pixels come out. `auto`: what the browser says in Sec-CH-DPR, from 0.1 to 5, unless the picture would become larger than is allowed.",
    examples: { dpr: "w-150,dpr-2" },
  },
} satisfies Partial<Rows>;

function coordinate(
  name: string,
  doc: string,
  examples: Transformation<Expression>["examples"],
): Transformation<Expression> {
  return {
    imagekit: {
      names: [name],
      ...EXPRESSION,
      parse: (text) => parseExpression(text) ?? (text.startsWith("N") ? parseCoordinate(text) : undefined),
    },
    fallback: "by the focus",
    doc: `${doc}, in pixels of the picture as it is seen: turned already as EXIF says. An error where the extract doesn't lie within it.`,
    examples,
  };
}
