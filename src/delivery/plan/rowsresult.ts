/** Rows of THE table (transforms.ts): what is read of the source, what is written, and what only films have. */
import type { Format, FormatChoice, Options } from "./plan.ts";
import type { Rows, Transformation } from "./rows.ts";
import { BOOLEAN, named, PAGES, parsePath, RESOLUTIONS, SECONDS, whole, within, words } from "./values.ts";

const WRITABLE: Readonly<Record<string, Format>> = {
  jpg: "jpeg",
  ...named("jpeg", "webp", "avif", "png", "gif"),
};
const FORMATS: Readonly<Record<string, FormatChoice>> = {
  auto: "auto",
  ...WRITABLE,
  orig: "source",
  ...named("svg", "mp4", "webm"),
};
const ALIAS_FORMATS: Readonly<Record<string, FormatChoice>> = {
  ...named("webp", "avif", "jpeg"),
  jpg: "jpeg",
  ...named("png", "gif", "tiff", "svg", "auto"),
};

export const DENSITY_RANGE = [1, 1200] as const;
const DENSITY = within(DENSITY_RANGE);

export const RESULT_ROWS = {
  pages: {
    imagekit: { names: ["pg"], ...PAGES },
    fallback: "the first, or all of an animation",
    doc:
      "Page of a PDF or TIFF, of several the first, or frames of an animation (GIF, WebP, APNG); with `/ik-thumbnail.jpg` " +
      "behind the path, with other transformations, or in layers. A PSD has one: its flattened picture.",
    examples: {},
  },
  format: {
    imagekit: { names: ["f"], ...words(FORMATS) },
    weekerp: { names: ["format", "f"], ...words(ALIAS_FORMATS) },
    fallback: "auto; as the source in alias URLs",
    doc:
      "`auto`: AVIF or WebP where the browser's Accept header names them, else as the source (`orig`). An SVG stays one, " +
      "without what could run, where only its size is changed: fitted, stretched, cut off by a position, set on a colour. " +
      "With effects, layers or another focus it is drawn, as WebP or PNG. " +
      "Animations move on as WebP or GIF; an animated PNG to which nothing is done stays one.",
    examples: { formatWebp: "w-300,f-webp", formatAvif: "w-300,f-avif", formatPng: "w-300,f-png" },
  },
  quality: {
    imagekit: { names: ["q"], ...whole(1, 100) },
    weekerp: { names: ["quality", "q"], ...whole(1, 100) },
    fallback: "80; 50 for films",
    doc: "Of JPEG, WebP and AVIF, on JPEG's scale: AVIF is encoded with the number that looks alike. PNG has none. Where it isn't named, a file to which nothing is done is served as it is if it is smaller so.",
    examples: { quality: "w-300,q-20" },
  },
  progressive: toggle("pr", "Progressive JPEG.", { progressive: "w-300,pr-true,f-jpg" }),
  lossless: toggle("lo", "WebP and AVIF without loss.", { lossless: "w-100,lo-true,f-webp" }),
  colourProfile: toggle(
    "cp",
    "Keeps the colour profile; else colours become sRGB. `auto` then doesn't choose AVIF, as it doesn't beside `e-usm`.",
    { colourProfile: "w-300,cp-true" },
  ),
  metadata: toggle("md", "Keeps EXIF, XMP and IPTC.", { metadata: "w-300,md-true" }),
  density: {
    imagekit: {
      names: ["dn"],
      allowed: `a whole number from ${DENSITY_RANGE.join(" to ")}, or an expression such as idn_mul_2`,
      parse: (text) => (/^\d+\.\d*$/.test(text) ? undefined : DENSITY.parse(text)),
    },
    fallback: "not said",
    doc: "Pixels an inch that the file says of itself, for those who print it; its pixels stay as they are. `idn` is what the source says, or 72. Not in layers.",
    examples: {},
  },
  original: toggle(
    "orig",
    "The file byte for byte. Everything else is left out of account, right or wrong, but `di`.",
    { original: "orig-true" },
  ),
  defaultImage: {
    imagekit: {
      names: ["di"],
      allowed: "a path with @@ for slashes",
      parse: parsePath,
    },
    fallback: "404",
    doc: "Served, with all transformations, where no origin has the file. Looked for at the URL's endpoint, then at the default one.",
    examples: {},
  },
  videoCodec: {
    imagekit: { names: ["vc"], ...words(named("h264", "vp9", "av1", "none")) },
    fallback: "h264 in MP4, vp9 in WebM",
    doc: "Video codec of a film; `none`: sound only.",
    examples: {},
  },
  audioCodec: {
    imagekit: { names: ["ac"], ...words(named("aac", "opus", "none")) },
    fallback: "aac in MP4, opus in WebM",
    doc: "Audio codec of a film; `none`: no sound.",
    examples: {},
  },
  startOffset: seconds(
    "so",
    "Where a film begins, or which of its moments a thumbnail shows; in a chain, of what the step before left.",
    "0",
  ),
  endOffset: seconds("eo", "Where a film ends.", "its end"),
  duration: seconds("du", "How long a film is; `eo` wins.", "to its end"),
  streamingResolutions: {
    imagekit: { names: ["sr"], ...RESOLUTIONS },
    fallback: "none",
    doc:
      "Renditions of a stream, with `/ik-master.m3u8` (HLS) or `/ik-master.mpd` (DASH) behind the path: none larger than " +
      "the film. Beside it stands what films have, but not `w`, `h`, `ar`, `f`, `vc`, `ac` and `q`.",
    examples: {},
  },
} satisfies Partial<Rows>;

function toggle(
  name: string,
  doc: string,
  examples: Transformation<boolean>["examples"],
): Transformation<boolean> {
  return { imagekit: { names: [name], ...BOOLEAN }, fallback: "false", doc, examples };
}

function seconds(name: string, doc: string, fallback: string): Transformation<Options["duration"]> {
  return { imagekit: { names: [name], ...SECONDS }, fallback, doc, examples: {} };
}
