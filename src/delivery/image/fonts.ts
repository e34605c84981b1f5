/** The fonts of text layers: families that come along, and files of the user's own. */
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isRunning } from "../../lib/program.ts";
import { DeliveryError } from "../errors.ts";
import type { TextStyle } from "../plan/plan.ts";
import { coverageOf, FontError, renamed, type Coverage } from "./fontsfile.ts";
import type { Environment } from "./surface.ts";

/** Bytes of a font. Stops archives in the guise of fonts; a font of all of Chinese has some 16 MiB. */
export const FONT_BYTES_MAX = 20 * 1024 ** 2;

/** Cuts besides the regular one. */
type Cuts = "none" | "bold" | "bold, italic" | "bold, italic, both";
interface Family {
  /** What the font calls itself. */
  readonly family: string;
  readonly cuts: Cuts;
  /** Packages that don't follow the pattern of the others have all files in one folder. */
  readonly flat?: true;
  /** The package's name, where it isn't the family's. */
  readonly packaged?: string;
}
const ALL = "bold, italic, both";

/**
 * ImageKit's families, and two for Korean and emoji. A name is found whatever its case, blanks and underscores:
 * `PT_Serif`, `exo`, `Open Sans`.
 * https://imagekit.io/docs/add-overlays-on-images#supported-text-font-list
 */
const FAMILIES: readonly Family[] = [
  { family: "Abril Fatface", cuts: "none" },
  { family: "Amaranth", cuts: ALL },
  { family: "Arvo", cuts: ALL },
  { family: "Audiowide", cuts: "none" },
  { family: "Chivo", cuts: ALL },
  { family: "Crimson Text", cuts: ALL },
  { family: "Exo", cuts: ALL },
  { family: "Fredoka One", cuts: "none", flat: true },
  { family: "Gravitas One", cuts: "none" },
  { family: "Kanit", cuts: ALL },
  { family: "Lato", cuts: ALL },
  { family: "Lobster", cuts: "none" },
  { family: "Lora", cuts: ALL },
  { family: "Monoton", cuts: "none" },
  { family: "Montserrat", cuts: ALL },
  { family: "NanumGothic", cuts: "bold", packaged: "nanum-gothic" },
  { family: "Noto Emoji", cuts: "bold" },
  { family: "Old Standard TT", cuts: "bold, italic", flat: true },
  { family: "Open Sans", cuts: ALL },
  { family: "PT Mono", cuts: "none" },
  { family: "PT Serif", cuts: ALL },
  { family: "Roboto", cuts: ALL },
  { family: "Ubuntu", cuts: ALL },
  { family: "Vollkorn", cuts: ALL },
];
/** Names of ImageKit's lists that are not the fonts' own. */
const OTHER_NAMES: Readonly<Record<string, string>> = { amarnath: "amaranth", oldstandard: "oldstandardtt" };
const DEFAULT_FAMILY = "Open Sans";
/** Bundled families that have signs others lack, in the order of asking: Greek, Cyrillic, Hebrew, Thai, Korean. */
const WIDE_FAMILIES: readonly string[] = ["Open Sans", "Roboto", "Ubuntu", "Kanit", "NanumGothic"];
/** In the colour of the text. */
export const EMOJI_FAMILY = "Noto Emoji";

/** One cut of a font, ready for Pango. */
export interface Face {
  readonly family: string;
  readonly file: string;
  /** What it is to look like. Pango thickens and slants where a family has no such cut. */
  readonly bold: boolean;
  readonly italic: boolean;
  readonly covers: Coverage;
  /** Whether the file is a stranger's. */
  readonly custom: boolean;
}

const nameKey = (name: string): string => name.toLowerCase().replace(/[\s_+-]/g, "");

function familyOf(name: string): Family | undefined {
  const key = nameKey(name);
  const known = Object.hasOwn(OTHER_NAMES, key) ? OTHER_NAMES[key] : key;
  return FAMILIES.find(({ family }) => nameKey(family) === known);
}

/** A cut of a bundled family, or the nearest that it has. @throws DeliveryError InvalidParameter for unknown families */
export async function bundledFace(name: string, bold: boolean, italic: boolean): Promise<Face> {
  const found = familyOf(name);
  if (found === undefined) {
    const names = FAMILIES.map(({ family }) => family).join(", ");
    throw new DeliveryError(
      "InvalidParameter",
      `ff-${name}: There is no such font. Known: ${names}; or the path of a font file.`,
    );
  }
  const { family, cuts, flat } = found;
  // Of a bold cut and an italic one, Pango would take that which it has drawn with before.
  const slanted = italic && !(cuts === "bold, italic" && bold);
  const weight = bold && cuts !== "none" ? "700Bold" : "400Regular";
  const cut = slanted && cuts !== "none" && cuts !== "bold" ? `${weight}_Italic` : weight;
  const packageName = `@expo-google-fonts/${found.packaged ?? family.toLowerCase().replaceAll(" ", "-")}`;
  const fileName = `${family.replaceAll(" ", "")}_${cut}.ttf`;
  const place = `${packageName}/${flat === true ? "" : `${cut}/`}${fileName}`;
  const key = `${place} ${bold} ${slanted}`;
  const known = faces.get(key);
  if (known !== undefined) return known;
  const file = createRequire(import.meta.url).resolve(place);
  const covers = coverageOf(await readFile(file));
  const face: Face = { family, file, bold, italic: slanted, covers, custom: false };
  faces.set(key, face);
  return face;
}
/** Those that were asked for. They hold what they cover, not their files. */
const faces = new Map<string, Face>();

/**
 * Lends the face that a style asks for. A user's own file lies on disk for that time alone, under a family name that
 * nobody else knows: Pango remembers each font that a process ever loaded.
 * @throws DeliveryError InvalidParameter for unknown families and for files that are no fonts, NotFound, LimitExceeded
 */
export async function withFace<T>(
  { font, bold = false, italic = false }: Pick<TextStyle, "font" | "bold" | "italic">,
  env: Environment,
  use: (face: Face) => Promise<T>,
): Promise<T> {
  if (font === undefined || "family" in font) {
    return use(await bundledFace(font?.family ?? DEFAULT_FAMILY, bold, italic));
  }
  const bytes = env.inputs.get(font.path);
  if (bytes === undefined) throw new DeliveryError("NotFound", `The font ${font.path} is missing.`);
  if (bytes.length > FONT_BYTES_MAX) {
    throw new DeliveryError("LimitExceeded", `A font has at most ${FONT_BYTES_MAX} bytes.`);
  }
  const family = `wl${randomUUID().replaceAll("-", "")}`;
  await sweep();
  const folder = await mkdtemp(join(tmpdir(), `${FOLDER}${process.pid}-`));
  try {
    const file = join(folder, `${family}.ttf`);
    const covers = coverageOf(bytes);
    await writeFile(file, renamed(bytes, family));
    return await use({ family, file, bold, italic, covers, custom: true });
  } catch (error) {
    if (!(error instanceof FontError)) throw error;
    throw new DeliveryError(
      "InvalidParameter",
      `ff: ${font.path} can't be used as a font: ${error.message}. TrueType and OpenType files can.`,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Signs that have no ink of their own, and lines' ends: no font needs to have them. */
export const INVISIBLE = /[\n\p{Default_Ignorable_Code_Point}\p{Zs}]/u;

/** Whether a face has ink for each sign that needs some. */
export const hasSigns = ({ covers }: Face, segment: string): boolean =>
  Array.from(segment).every((sign) => INVISIBLE.test(sign) || covers(sign.codePointAt(0)!));

/** The bundled faces that may have what another lacks, in the order of asking. */
export const standIns = ({ bold, italic }: Pick<Face, "bold" | "italic">): Promise<Face[]> =>
  Promise.all([...WIDE_FAMILIES, EMOJI_FAMILY].map((family) => bundledFace(family, bold, italic)));

/** Folders for fonts are called after the process that they belong to. */
const FOLDER = "windlass-font-";

/** Takes away the fonts of processes that are no more: a renderer that is killed at its deadline can't. */
async function sweep(): Promise<void> {
  const folders = (await readdir(tmpdir())).filter((name) => name.startsWith(FOLDER));
  for (const folder of folders) {
    const pid = Number(folder.slice(FOLDER.length).split("-")[0]);
    if (!isRunning(pid))
      await rm(join(tmpdir(), folder), { recursive: true, force: true }).catch(() => undefined);
  }
}
