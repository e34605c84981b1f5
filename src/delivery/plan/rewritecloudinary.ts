/** Cloudinary's URLs as ImageKit's chains: `image/upload/w_300,c_fill/l_logo,g_north_east/v1234/photo.jpg`. */
import { DeliveryError } from "../errors.ts";
import { CHAIN_MAX } from "../limits.ts";
import { cloudinaryColour, fits, hasBothSides, whole, type Named, type Rewritten } from "./rewritevalues.ts";
import { oneOf } from "./values.ts";

/** Parts of a component: a key of one to four letters and a value. */
const PART = /^([a-z]{1,4})_(.+)$/s;
/** Keys that begin components. Others, such as `img_2024`, are names of folders. */
const KEYS: ReadonlySet<string> = new Set(
  "w h c g q f a e b bo r o x y ar dpr so eo du fl t l co z d pg vc ac br fps ki cs dn dl p u".split(" "),
);
const TYPES: readonly string[] = ["image", "video", "raw"];
const DELIVERIES: readonly string[] = ["upload", "fetch", "private", "authenticated"];
const SIGNATURE = /^s--[A-Za-z0-9_-]{8,32}--$/;
const VERSION = /^v\d{1,12}$/;

type Parts = ReadonlyMap<string, string>;

/** Components of a URL: a layer may have several of its own. Stops paths of thousands. */
const COMPONENTS_MAX = CHAIN_MAX * 4;

/**
 * Where neither `image/upload` nor a signature says that components come next, the first that says nothing here is the
 * file's folder, such as `a_team`. `named` as for `rewrite`; `preserve`: `image/upload` stays in the file's path.
 * Undefined: nothing of Cloudinary is in the path.
 * @throws DeliveryError LimitExceeded
 */
export function cloudinaryChain(
  segments: readonly string[],
  named: Named | undefined,
  preserve: boolean,
): Rewritten | undefined {
  const types = TYPES.includes(segments[0] ?? "") && DELIVERIES.includes(segments[1] ?? "") ? 2 : 0;
  let at = types;
  const more = (): boolean => at < segments.length - 1;
  if (more() && SIGNATURE.test(segments[at]!)) at++;
  const certain = at > 0;
  const film = segments[0] === "video" || /\.(mp4|webm|mov|ogv|m3u8|mpd)$/i.test(segments.at(-1)!);
  const components: Parts[] = [];
  const next = (): Parts | undefined => {
    const parts = more() ? partsOf(segments[at]!) : undefined;
    return parts === undefined || certain || says(parts, film, named) ? parts : undefined;
  };
  for (let parts = next(); parts !== undefined; parts = next()) {
    components.push(parts);
    if (components.length > COMPONENTS_MAX) {
      throw new DeliveryError("LimitExceeded", `A URL has at most ${COMPONENTS_MAX} components.`);
    }
    at++;
  }
  if (more() && VERSION.test(segments[at]!)) at++;
  if (at === 0) return undefined;
  const steps = stepsOf(dense(components), film);
  return { start: preserve ? types : 0, end: at, chain: steps.length === 0 ? undefined : steps.join(":") };
}

/** A `dpr` that stands without a size is one of all sizes: SDKs write `c_scale,w_100/dpr_2.0`. */
function dense(components: readonly Parts[]): readonly Parts[] {
  const isSized = (parts: Parts): boolean => parts.has("w") || parts.has("h");
  const dpr = components.findLast((parts) => parts.has("dpr") && !isSized(parts))?.get("dpr");
  // What lies on the picture has offsets and fonts, which would have to become larger, too.
  if (dpr === undefined || components.some((parts) => parts.has("l"))) return components;
  return components.map((parts) =>
    isSized(parts) && !parts.has("dpr") ? new Map([...parts, ["dpr", dpr]]) : parts,
  );
}

function partsOf(segment: string): Parts | undefined {
  const parts = segment.split(",").map((text) => PART.exec(text));
  if (!parts.every((part) => part !== null && KEYS.has(part[1]!))) return undefined;
  const flags = parts.filter((part) => part![1] === "fl").map((part) => part![2]!);
  // The first of two counts, wherever a part stands twice; of flags all do.
  const first = parts.map((part) => [part![1]!, part![2]!] as const).toReversed();
  return new Map([...first, ...(flags.length === 0 ? [] : [["fl", flags.join(".")] as const])]);
}

const flagsOf = (parts: Parts): readonly string[] => parts.get("fl")?.split(".") ?? [];

/** Whether a component does anything here: opens or closes a layer, names a transformation that there is, or is an item. */
function says(parts: Parts, film: boolean, named: Named | undefined): boolean {
  if (parts.has("l") || flagsOf(parts).includes("layer_apply")) return true;
  const name = parts.get("t");
  if (name !== undefined && (named === undefined || named.has(name))) return true;
  return itemsOf(parts, { film }).length > 0;
}

/** A component is a step; those from a layer to its `fl_layer_apply` are one. */
function stepsOf(components: readonly Parts[], film: boolean): string[] {
  const steps: string[] = [];
  for (let n = 0; n < components.length; n++) {
    const parts = components[n]!;
    if (!parts.has("l") && !parts.has("u")) {
      const items = itemsOf(parts, { film });
      // Named ones are looked up and read later.
      const name = parts.get("t");
      if (name !== undefined && /^[\w-]{1,64}$/.test(name)) items.push(`n-${name}`);
      if (items.length > 0) steps.push(items.join(","));
      continue;
    }
    const apply = components.findIndex((one, m) => m > n && flagsOf(one).includes("layer_apply"));
    const last = apply < 0 ? n : apply;
    const layer = layerOf(components.slice(n, last + 1), film);
    if (layer !== undefined) steps.push(layer);
    n = last;
  }
  return steps;
}

/** What a component is about: the film or picture, or a layer's. */
interface About {
  readonly film: boolean;
  readonly layer?: boolean;
}
type Reader = (value: string, parts: Parts, about: About) => string | undefined;
const CROPS: Readonly<Record<string, string>> = {
  crop: "cm-extract",
  fill: "c-maintain_ratio",
  lfill: "c-maintain_ratio_no_enlarge",
  fit: "c-at_max",
  limit: "c-at_max",
  mfit: "c-at_least",
  pad: "cm-pad_resize",
  lpad: "cm-pad_resize_no_enlarge",
  scale: "c-force",
  thumb: "c-maintain_ratio",
};
const GRAVITIES: Readonly<Record<string, string>> = {
  north: "top",
  south: "bottom",
  east: "right",
  west: "left",
  north_east: "top_right",
  north_west: "top_left",
  south_east: "bottom_right",
  south_west: "bottom_left",
  center: "center",
  face: "face",
  faces: "face",
  auto: "auto",
  custom: "custom",
};
const AUTO_QUALITY: Readonly<Record<string, readonly [picture: number, film: number]>> = {
  auto: [70, 50],
  "auto:low": [50, 40],
  "auto:eco": [60, 45],
  "auto:good": [70, 50],
  "auto:best": [86, 60],
};
const FORMATS = /^(auto|jpg|jpeg|png|webp|gif|avif|mp4|webm)$/;
const say = (name: string, value: string | number | undefined): string | undefined =>
  value === undefined ? undefined : `${name}-${value}`;
const seconds = (value: string): string | undefined =>
  /^\d{1,6}(\.\d{1,6})?$/.test(value) ? String(Math.round(Number(value) * 100) / 100) : undefined;

const SHARE = /^\d{1,4}\.\d{1,6}$/;

/** What has a point is a share of the side: of the picture's, or of that which a layer with `fl_relative` lies on. */
function side(name: "w" | "h", value: string, parts: Parts, { layer = false }: About): string {
  const relative = layer && flagsOf(parts).includes("relative");
  if (!SHARE.test(value) || (Number(value) < 1 && !relative)) return `${name}-${value}`;
  return `${name}-${relative ? "b" : "c"}${name}_mul_${value}`;
}

const PROGRESSIVE: Readonly<Record<string, string>> = {
  progressive: "pr-true",
  "progressive:steep": "pr-true",
  "progressive:semi": "pr-true",
  "progressive:none": "pr-false",
};

const ITEMS: Readonly<Record<string, Reader>> = {
  w: (value, parts, about) => side("w", value, parts, about),
  h: (value, parts, about) => side("h", value, parts, about),
  x: (value, parts) => (parts.get("c") === "crop" ? undefined : say("x", value.replace(/^-/, "N"))),
  y: (value, parts) => (parts.get("c") === "crop" ? undefined : say("y", value.replace(/^-/, "N"))),
  ar: ratio,
  c: (value) => oneOf(CROPS)(value),
  g: (value) => say("fo", oneOf(GRAVITIES)(value)),
  q: (value, _, { film }) => say("q", oneOf(AUTO_QUALITY)(value)?.[film ? 1 : 0] ?? whole(value)),
  f: (value) => say("f", FORMATS.test(value) ? value : undefined),
  a: (value) =>
    value === "hflip" ? "fl-h" : value === "vflip" ? "fl-v" : say("rt", value.replace(/^-/, "N")),
  r: radius,
  o: (value) => say("o", value),
  b: (value) => say("bg", cloudinaryColour(value)),
  bo: border,
  dpr: (value) => say("dpr", value),
  dn: (value) => say("dn", whole(value)),
  e: effect,
  fl: (_, parts) => flagsOf(parts).flatMap((flag) => oneOf(PROGRESSIVE)(flag) ?? [])[0],
  pg: (value) => say("pg", whole(value)),
  so: (value) => say("so", seconds(value)),
  eo: (value) => say("eo", seconds(value)),
  du: (value) => say("du", seconds(value)),
};

function itemsOf(parts: Parts, about: About): string[] {
  const items = Object.entries(ITEMS).flatMap(([name, read]) => {
    const value = parts.get(name);
    const item = value === undefined ? undefined : read(value, parts, about);
    return item === undefined ? [] : [item];
  });
  if (parts.get("c") === "crop") items.push(...cornerOf(parts));
  const fitting = fits(items);
  // A chain would fill and crop.
  return hasBothSides(fitting) && !parts.has("c") ? [...fitting, "c-force"] : fitting;
}

/** `2.5`, `4:3`. */
function ratio(value: string): string | undefined {
  const sides = /^(\d{1,4}(?:\.\d{1,4})?)(?::(\d{1,4}(?:\.\d{1,4})?))?$/.exec(value);
  return sides === null ? undefined : `ar-${sides[1]}-${sides[2] ?? 1}`;
}

/** `20`, `max`, and corners from top left as CSS has them: two are for opposite ones. */
function radius(value: string): string | undefined {
  const corners = value.split(":");
  if (corners.length === 1) return say("r", value);
  const [first, second, third = first, fourth = second] = corners;
  return corners.length > 4 ? undefined : `r-${first}_${second}_${third}_${fourth}`;
}

/** `5px_solid_red`. */
function border(value: string): string | undefined {
  const parts = /^(\d{1,4})px_solid_(.+)$/.exec(value);
  const colour = parts === null ? undefined : cloudinaryColour(parts[2]!);
  return colour === undefined ? undefined : `b-${parts![1]}_${colour}`;
}

/** Strengths are a hundred times ImageKit's. */
function effect(value: string): string | undefined {
  const [, name = "", strength] = /^([a-z_]+)(?::(\d{1,4})(?::.*)?)?$/.exec(value) ?? [];
  const amount = strength === undefined ? undefined : Number(strength) / 100;
  if (name === "grayscale" || name === "contrast") return `e-${name}`;
  if (name === "blur") return `bl-${Math.max(1, Math.round(amount ?? 1))}`;
  if (name === "sharpen") return amount === undefined ? "e-sharpen" : `e-sharpen-${amount}`;
  if (name === "unsharp_mask") return `e-usm-0-${amount ?? 1}-1-0.05`;
  return name === "trim" ? `t-${strength ?? "true"}` : undefined;
}

/** The sides that a gravity names; "": neither. */
function sidesOf(gravity: string | undefined): { across: string; down: string } {
  const words = oneOf(GRAVITIES)(gravity ?? "")?.split("_") ?? [];
  const among = (...sides: string[]): string => sides.find((one) => words.includes(one)) ?? "";
  return { across: among("left", "right"), down: among("top", "bottom") };
}

/** From a side inwards; from the middle, to the right and downwards. */
interface Offset {
  readonly negative: boolean;
  /** Pixels, or with a point a share of a side. */
  readonly length: string;
}

function offsetOf(parts: Parts, name: "x" | "y", all: string): Offset | undefined {
  const [, sign, number] = /^(-?)(\d{1,5}|\d\.\d{1,6})$/.exec(parts.get(name) ?? "") ?? [];
  if (number === undefined) return undefined;
  return { negative: sign === "-", length: SHARE.test(number) ? `${all}_mul_${number}` : number };
}

/** What would begin outside begins at the edge. */
const inwards = (offset: Offset | undefined): string =>
  offset === undefined || offset.negative ? "0" : offset.length;

/** The corner or the centre of a crop that says `x` or `y`. Empty: it lies where its gravity alone says. */
function cornerOf(parts: Parts): string[] {
  const [x, y] = [offsetOf(parts, "x", "cw"), offsetOf(parts, "y", "ch")];
  const gravity = parts.get("g") ?? "north_west";
  if (x === undefined && y === undefined) return [];
  if (gravity === "xy_center") return [`xc-${inwards(x)}`, `yc-${inwards(y)}`];
  // What catches the eye lies nowhere that could be counted from.
  if (/^(face|auto|custom)$/.test(oneOf(GRAVITIES)(gravity) ?? "auto")) return [];
  const { across, down } = sidesOf(gravity);
  const corner = [edgeOf(parts, "x", "w", across, x), edgeOf(parts, "y", "h", down, y)];
  return corner.every((edge) => edge !== undefined) ? corner : [];
}

function edgeOf(
  parts: Parts,
  name: "x" | "y",
  size: "w" | "h",
  from: string,
  offset: Offset | undefined,
): string | undefined {
  const all = `c${size}`;
  const given = parts.get(size) ?? "";
  const part = SHARE.test(given) ? `${all}_mul_${given}` : whole(given);
  // All of that side is shown.
  if (part === undefined && !parts.has("ar")) return `${name}-0`;
  if (from === "") {
    return `${name}c-${all}_div_2_${offset?.negative === true ? "sub" : "add"}_${offset?.length ?? 0}`;
  }
  if (from === "left" || from === "top") return `${name}-${inwards(offset)}`;
  return part === undefined ? undefined : `${name}-${all}_sub_${part}_sub_${inwards(offset)}`;
}

function placeOf(parts: Parts): string[] {
  const gravity = parts.get("g");
  const [x, y] = [offsetOf(parts, "x", "bw"), offsetOf(parts, "y", "bh")];
  if (gravity === "xy_center") return [`lxc-${inwards(x)}`, `lyc-${inwards(y)}`];
  const { across, down } = sidesOf(gravity);
  const at = [down, across].filter((one) => one !== "").join("_") || "center";
  if (x === undefined && y === undefined) return [`lfo-${at}`];
  const offset = (from: string, by: Offset | undefined): string =>
    from === "" && by?.negative === true ? `N${by.length}` : inwards(by);
  return [`lap-${at}`, `lx-${offset(across, x)}`, `ly-${offset(down, y)}`];
}

/** Texts and paths within components are percent-encoded once more. */
function decodedOnce(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // It has a per cent sign of its own.
    return text;
  }
}

const contentOf = (text: string): string =>
  `ie-${encodeURIComponent(Buffer.from(decodedOnce(text)).toString("base64"))}`;

const ALIGNMENTS: Readonly<Record<string, string>> = {
  left: "ia-left",
  start: "ia-left",
  right: "ia-right",
  end: "ia-right",
  center: "ia-center",
};

/** `text:Roboto_50_bold_left_letter_spacing_5:Hello`; the font may be a path with colons for slashes. */
const TEXT =
  /^text:([\w .:%-]+?)_(\d{1,4})((?:_(?:letter|line)_spacing_-?\d{1,4}(?:\.\d{1,4})?|_[a-z]+)*):(.+)$/s;
/** Said by the text itself, by its place, or, as borders are outlines of letters, by nobody. */
const TEXT_OWN = /^(w|h|c|b|bo|co|g|x|y)$/;

function textItems(value: string, parts: Parts): string[] | undefined {
  const text = TEXT.exec(value);
  if (text === null || whole(text[2]!) === undefined) return undefined;
  const words = text[3]!.split("_");
  const font = decodedOnce(text[1]!).replaceAll(":", "@@");
  const styles = [words.includes("bold") && "b", words.includes("italic") && "i"].filter(
    (one) => one !== false,
  );
  const aligned = words.flatMap((word) => oneOf(ALIGNMENTS)(word) ?? []);
  const [colour, under] = ["co", "b"].map((name) => cloudinaryColour(parts.get(name) ?? ""));
  const width = side("w", parts.get("w") ?? "", parts, { film: false, layer: true });
  // A share of its own width is what a text has without being wrapped.
  const wraps = parts.get("c") === "fit" && /^w-([1-9]\d{0,4}$|bw_)/.test(width);
  return [
    "l-text",
    contentOf(text[4]!),
    ...(/[,:]/.test(font) ? [] : [`ff-${font}`]),
    `fs-${text[2]}`,
    ...(styles.length === 0 ? [] : [`tg-${styles.join("_")}`]),
    ...aligned.slice(0, 1),
    ...(colour === undefined ? [] : [`co-${colour}`]),
    ...(under === undefined ? [] : [`bg-${under}`]),
    ...(wraps ? [width] : []),
  ];
}

/** One layer: its own components, of which the last says where it goes. */
function layerOf(components: readonly Parts[], film: boolean): string | undefined {
  const [first, ...rest] = components;
  const value = first!.get("l");
  if (value === undefined || value.startsWith("fetch:") || value.startsWith("subtitles:")) return undefined;
  const text = textItems(value, first!);
  if (value.startsWith("text:") && text === undefined) return undefined;
  const head = text ?? ["l-image", contentOf(value.replaceAll(":", "/"))];
  // In layers of one component, `g`, `x` and `y` say where the layer goes, not what is cut off.
  const taken = text !== undefined ? TEXT_OWN : rest.length === 0 ? /^[gxy]$/ : /^$/;
  const left = new Map([...first!].filter(([name]) => !taken.test(name)));
  const steps = [left, ...rest.slice(0, -1)].map((parts) => itemsOf(parts, { film, layer: true }));
  const inner = steps.filter((items) => items.length > 0).map((items) => items.join(","));
  return `${[[...head, ...placeOf(components.at(-1)!)].join(","), ...inner].join(":")},l-end`;
}
