/**
 * URLs of other services, read as ImageKit's chains, for those who move. As with ImageKit's own rewriters, what has no
 * counterpart and what is wrong is left out. Pure: text in, text out.
 * https://imagekit.io/docs/integration/url-rewriters
 */
import { cloudinaryChain } from "./rewritecloudinary.ts";
import { fits, hasBothSides, imgixColour, whole, type Named, type Rewritten } from "./rewritevalues.ts";
import { valueOf, type Pair } from "./query.ts";
import { oneOf } from "./values.ts";

/** `cloudinary-preserve-types`: `image/upload` is part of the file's path, ImageKit's preserveAssetDeliveryTypes. */
export type Rewriter = "cloudinary" | "cloudinary-preserve-types" | "imgix" | "akamai";

/**
 * `segments` are decoded. `named`: those that there are; left out, they are still to be looked up and any name may be
 * one's. Undefined: nothing of that service is in the URL.
 * @throws DeliveryError InvalidPath, LimitExceeded
 */
export function rewrite(
  rewriter: Rewriter,
  segments: readonly string[],
  pairs: readonly Pair[],
  named?: Named,
): Rewritten | undefined {
  if (isCloudinary(rewriter)) return cloudinaryChain(segments, named, rewriter !== "cloudinary");
  const values = new Map(
    pairs.filter(({ name }) => isRewritten(rewriter, name)).map((pair) => [pair.name, valueOf(pair)]),
  );
  // Other files have no pages there, whatever their URLs say.
  if (!DOCUMENT.test(segments.at(-1) ?? "")) values.delete("page");
  if (values.size === 0) return undefined;
  const items = rewriter === "imgix" ? imgixItems(values) : fits(akamaiItems(values));
  return { start: 0, end: 0, chain: items.length === 0 ? undefined : items.join(",") };
}

/** Whose transformations stand in the path, and may be named ones. */
export const isCloudinary = (rewriter: Rewriter | undefined): boolean =>
  rewriter === "cloudinary" || rewriter === "cloudinary-preserve-types";

/** Whether a parameter is one of the other service's, so that it is not handed on to a web server. */
export function isRewritten(rewriter: Rewriter | undefined, name: string): boolean {
  if (rewriter === "imgix") return Object.hasOwn(IMGIX_ITEMS, name) || IMGIX_PARTS.includes(name);
  return rewriter === "akamai" && (name === "imwidth" || name === "imheight");
}

const akamaiItems = (values: ReadonlyMap<string, string>): string[] =>
  [...values].map(([name, value]) => `${name === "imwidth" ? "w" : "h"}-${value}`);

const IMGIX_FITS: Readonly<Record<string, string>> = {
  clip: "c-at_max_enlarge",
  fill: "cm-pad_resize",
  fillmax: "cm-pad_resize_no_enlarge",
  max: "c-at_max",
  min: "c-maintain_ratio_no_enlarge",
  scale: "c-force",
  facearea: "fo-face",
};
const IMGIX_FORMATS: Readonly<Record<string, string>> = {
  jpeg: "f-jpeg",
  jpg: "f-jpg",
  jp2: "f-jpg",
  pjpg: "f-jpg",
  png: "f-png",
  png8: "f-png",
  png32: "f-png",
  webp: "f-webp",
  gif: "f-gif",
  avif: "f-avif",
};
const IMGIX_ORIENTS: Readonly<Record<string, string>> = {
  "0": "0",
  "1": "0",
  "3": "180",
  "6": "90",
  "8": "270",
  "90": "90",
  "180": "180",
  "270": "270",
};

const DOCUMENT = /\.(pdf|ai)$/i;
/** Parameters that say something only beside others. */
const IMGIX_PARTS: readonly string[] = ["usmrad"];
const USM_RADIUS = "2.5";
/** Of a side: shares go from 0.0 to 1.0, and the last of them is no pixel. */
const WHOLE_SHARE = /^1\.0+$/;

type Reader = (value: string, values: ReadonlyMap<string, string>) => string | undefined;
const IMGIX_ITEMS: Readonly<Record<string, Reader>> = {
  w: (value) => `w-${WHOLE_SHARE.test(value) ? "cw" : value}`,
  h: (value) => `h-${WHOLE_SHARE.test(value) ? "ch" : value}`,
  q: (value) => `q-${value}`,
  dpr: (value) => `dpr-${value}`,
  ar: (value, values) => {
    const ratio = /^(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)$/.exec(value);
    // Imgix wants it beside one side and a fit.
    const counts = values.has("fit") && values.has("w") !== values.has("h");
    return ratio === null || !counts ? undefined : `ar-${ratio[1]}-${ratio[2]}`;
  },
  fit: (value) => oneOf(IMGIX_FITS)(value),
  fm: (value) => oneOf(IMGIX_FORMATS)(value),
  page: (value) => (whole(value) === undefined ? undefined : `pg-${value}`),
  auto: (value) => (value.split(",").includes("format") ? "f-auto" : undefined),
  orient: (value) => {
    const degrees = oneOf(IMGIX_ORIENTS)(value);
    return degrees === undefined ? undefined : `rt-${degrees}`;
  },
  "fill-color": (value) => background(value),
  bg: (value) => background(value),
  crop: (value) => focus(value.split(",")),
  sharp: (value) => (whole(value) === undefined ? undefined : `e-sharpen-${Number(value) * 20}`),
  con: (value) => (/^-?\d{1,3}$/.test(value) && Number(value) !== 0 ? "e-contrast" : undefined),
  usm: (value, values) => {
    const strength = /^-?\d{1,3}$/.test(value) ? Math.max(0, Number(value)) : 0;
    return `e-usm-${values.get("usmrad") ?? USM_RADIUS}-${strength / 5}-1-0.05`;
  },
  blur: (value) =>
    whole(value) === undefined ? undefined : `bl-${Math.max(1, Math.round(Number(value) / 20))}`,
  trim: (value) => (value === "auto" || value === "color" ? "t-true" : undefined),
};

function background(value: string): string | undefined {
  const colour = imgixColour(value);
  return colour === undefined ? undefined : `bg-${colour}`;
}

function focus(words: readonly string[]): string | undefined {
  const vertical = words.find((word) => word === "top" || word === "bottom");
  const horizontal = words.find((word) => word === "left" || word === "right");
  const place = [vertical, horizontal].filter((word) => word !== undefined).join("_");
  if (place !== "") return `fo-${place}`;
  return words.some((word) => word === "faces" || word === "entropy" || word === "edges")
    ? "fo-auto"
    : undefined;
}

function imgixItems(values: ReadonlyMap<string, string>): string[] {
  const items = Object.entries(IMGIX_ITEMS).flatMap(([name, read]) => {
    const value = values.get(name);
    const text = value === undefined ? undefined : read(value, values);
    return text === undefined ? [] : [text];
  });
  const fitting = fits(items);
  // A chain would fill and crop.
  const fit = values.get("fit") ?? "";
  const told = fit === "crop" || oneOf(IMGIX_FITS)(fit) !== undefined;
  return hasBothSides(fitting) && !told ? [...fitting, IMGIX_FITS["clip"]!] : fitting;
}
