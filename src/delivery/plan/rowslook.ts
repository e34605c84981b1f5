/** Rows of THE table (transforms.ts): shape, colours and effects. */
import type { ModelTask } from "./plan.ts";
import type { Rows, Transformation } from "./rows.ts";
import {
  BACKGROUND,
  BOOLEAN,
  BORDER,
  COLORIZE,
  COLOUR_REPLACE,
  DISTORT,
  FLIP,
  GRADIENT,
  number,
  oneOf,
  orAuto,
  parseBoolean,
  parseDropShadow,
  parseNumber,
  parsePrompt,
  parseWhole,
  RADIUS,
  SHADOW,
  UNSHARP,
  whole,
  type Value,
} from "./values.ts";

const PLAIN_TASKS = ["bgremove", "removedotbg", "upscale", "retouch", "genvar"] as const;
const SIGMA = number(0.3, 20);
const TURN: Value<number> = { ...number(-360, 360), allowed: "degrees from -360 to 360" };
/** An effect that has no value, though ImageKit's own page writes `e-contrast-1`. */
const FLAG = {
  allowed: "no value, true or false",
  bare: true,
  parse: oneOf({ "1": true, false: false }),
};

export const LOOK_ROWS = {
  trim: {
    imagekit: {
      names: ["t"],
      allowed: "true, false, or a threshold from 1 to 99",
      parse: (text) => parseBoolean(text) ?? parseWhole(text, 1, 99),
    },
    fallback: "false; true for layers",
    doc: "Cuts off edges of one colour.",
    examples: { trim: "w-150:cm-pad_resize,w-250,h-250,bg-FFFFFF:t-true" },
  },
  border: {
    imagekit: { names: ["b"], ...BORDER },
    fallback: "none",
    doc: "A border around the picture, which becomes larger by it.",
    examples: { border: "w-300,b-10_FF0000" },
  },
  rotate: {
    imagekit: {
      names: ["rt"],
      ...orAuto({ ...TURN, allowed: "degrees clockwise from 0 to 360, N in front for the other way" }),
    },
    weekerp: { names: ["rotate"], ...TURN },
    fallback: "auto",
    doc: "Turns clockwise. Corners that become free are background. `auto`: as the camera's EXIF says.",
    examples: { rotate90: "w-300,rt-90", rotate45: "w-300,rt-45,bg-FFFF00", rotateBack: "w-300,rt-N30" },
  },
  flip: {
    imagekit: { names: ["fl"], ...FLIP },
    fallback: "none",
    doc: "Mirrors: `h` swaps left and right (`flop=true`), `v` swaps top and bottom (`flip=true`).",
    examples: { flipHorizontal: "w-300,fl-h", flipVertical: "w-300,fl-v" },
  },
  radius: {
    imagekit: { names: ["r"], ...RADIUS },
    fallback: "0",
    doc: "Rounds the corners. `max`: a circle or an ellipse.",
    examples: {
      radius: "w-300,h-200,r-30",
      radiusMax: "w-200,h-200,r-max",
      radiusCorners: "w-300,h-200,r-10_40_80_0",
    },
  },
  background: {
    imagekit: { names: ["bg"], ...BACKGROUND },
    fallback:
      "black beside an opaque picture, nothing beside others and turned layers; white in a JPEG; black with films",
    doc:
      "What is seen beside and through the picture. `blurred`: where the picture is padded, the picture itself, with an " +
      "intensity, of which 0 leaves it as it is, and a brightness. `dominant`: its main colour. `gradient_dominant`: from the " +
      "main colour of one half to that of the other; `_4`: between those of the quarters. `genfill`: painted by `--delivery-models`, where the picture is padded; 501 without one.",
    examples: {
      backgroundColour: "w-300,h-300,cm-pad_resize,bg-F3A0B0",
      backgroundBlurred: "w-300,h-120,cm-pad_resize,bg-blurred",
      backgroundBlurredDark: "w-300,h-120,cm-pad_resize,bg-blurred_25_N60",
      backgroundDominant: "w-300,h-120,cm-pad_resize,bg-dominant",
      backgroundGradient: "w-300,h-120,cm-pad_resize,bg-gradient_dominant_4",
    },
  },
  opacity: {
    imagekit: { names: ["o"], ...whole(0, 100) },
    fallback: "100",
    doc: "How much of the picture is seen, in per cent; blended with the background where there is one.",
    examples: { opacity: "w-300,o-40,bg-FF0000" },
  },
  blur: {
    imagekit: { names: ["bl"], ...whole(1, 100) },
    fallback: "none",
    doc: "Gaussian blur by its radius in pixels.",
    examples: { blur: "w-300,bl-10" },
  },
  blurSigma: adjustment("blur", SIGMA, "Gaussian blur by its sigma.", { queryBlur: "?w=300&blur=2.5" }),
  grayscale: {
    imagekit: { names: ["e-grayscale"], ...FLAG },
    weekerp: { names: ["grayscale"], ...BOOLEAN },
    fallback: "false",
    doc: "Shades of grey.",
    examples: { grayscale: "w-300,e-grayscale" },
  },
  contrast: {
    imagekit: { names: ["e-contrast"], ...FLAG },
    fallback: "false",
    doc: "Stretches the colours over the whole range.",
    examples: { contrast: "w-300,e-contrast" },
  },
  sharpen: {
    imagekit: {
      names: ["e-sharpen"],
      allowed: "no value, or an amount from 0.01 to 10000",
      bare: 0,
      parse: (text) => parseNumber(text, 0.01, 10_000),
    },
    fallback: "none",
    doc: "Sharper edges.",
    examples: { sharpen: "w-300,e-sharpen-10" },
  },
  sharpenSigma: adjustment("sharpen", SIGMA, "Sharper edges by sigma.", {
    querySharpen: "?w=300&sharpen=2",
  }),
  unsharp: {
    imagekit: {
      names: ["e-usm"],
      ...UNSHARP,
      // ImageMagick's.
      bare: { radius: 0, sigma: 1, amount: 1, threshold: 0.05 },
    },
    fallback: "none",
    doc: "Unsharp mask.",
    examples: { unsharp: "w-300,e-usm-2-2-0.8-0.024" },
  },
  shadow: {
    imagekit: { names: ["e-shadow"], ...SHADOW },
    fallback: "none",
    doc: "A shadow behind what is not transparent, of pictures up to 2 megapixels.",
    examples: { shadow: "w-200,h-200,r-max:e-shadow-bl-10_st-60_x-5_y-5,f-png" },
  },
  gradient: {
    imagekit: { names: ["e-gradient"], ...GRADIENT },
    fallback: "none",
    doc: "A gradient over the picture.",
    examples: { gradient: "w-300,e-gradient-ld-top_from-green_to-00FF0010_sp-1" },
  },
  colorize: {
    imagekit: { names: ["e-colorize"], ...COLORIZE },
    fallback: "none",
    doc: "Shades of one colour.",
    examples: { colorize: "w-300,e-colorize-co-blue_in-50" },
  },
  distort: {
    imagekit: { names: ["e-distort"], ...DISTORT },
    fallback: "none",
    doc: "Moves the corners (`p`), or bends the picture into an arc (`a`).",
    examples: {
      distortPerspective: "w-300,h-200:e-distort-p-40_20_260_0_300_200_0_180,f-png",
      distortArc: "w-300,h-100:e-distort-a-90,f-png",
    },
  },
  colourReplace: {
    imagekit: { names: ["cr"], ...COLOUR_REPLACE },
    fallback: "none",
    doc: "Replaces one colour, the dominant one when it isn't named.",
    examples: { colourReplace: "w-300,cr-3060FF_20_C9221C" },
  },
  gamma: adjustment("gamma", number(1, 3), "Gamma correction.", { queryGamma: "?w=300&gamma=2.2" }),
  brightness: adjustment("brightness", number(0.5, 2), "Factor of the brightness.", {
    queryBrightness: "?w=300&brightness=1.5",
  }),
  saturation: adjustment("saturation", number(0, 3), "Factor of the saturation.", {
    querySaturation: "?w=300&saturation=0.3",
  }),
  hue: adjustment("hue", number(-360, 360), "Turns the hue by degrees.", { queryHue: "?w=300&hue=120" }),
  threshold: adjustment("threshold", whole(0, 255), "Black below, white from this brightness on.", {
    queryThreshold: "?w=300&threshold=128",
  }),
  model: {
    imagekit: {
      names: [...PLAIN_TASKS.map((task) => `e-${task}`), "e-changebg", "e-edit", "e-dropshadow"],
      allowed:
        "no value; e-changebg and e-edit: prompt-TEXT or prompte-BASE64; e-dropshadow: az- from 0 to 360, el- from 0 to 90, st- from 0 to 100, joined by _",
      parse: parseModel,
    },
    fallback: "none",
    doc: "Work of trained models, done by a service of the operator's (`--delivery-models`); 501 without one.",
    examples: {},
  },
} satisfies Partial<Rows>;

function parseModel(text: string, name: string): ModelTask | undefined {
  if (name === "e-dropshadow") return parseDropShadow(text);
  if (name === "e-changebg" || name === "e-edit") {
    const prompt = parsePrompt(text);
    return prompt === undefined ? undefined : { task: name === "e-edit" ? "edit" : "changebg", prompt };
  }
  const task = PLAIN_TASKS.find((one) => name === `e-${one}`);
  return task === undefined || text !== "" ? undefined : { task };
}

/** That only parameters of alias URLs name. */
function adjustment(
  name: string,
  value: Value<number>,
  doc: string,
  examples: Transformation<number>["examples"],
): Transformation<number> {
  return { weekerp: { names: [name], ...value }, fallback: "none", doc, examples };
}
