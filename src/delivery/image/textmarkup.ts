/** Text as Pango's markup: every sign in a font that has it, and nothing of the text taken for markup. */
import sharp from "sharp";
import { escapeXml } from "../../lib/xml.ts";
import { bundledFace, EMOJI_FAMILY, hasSigns, INVISIBLE, standIns, type Face } from "./fonts.ts";
import { FontError } from "./fontsfile.ts";

/** Without what is no text: control characters and halves of surrogate pairs. Lines end with \n. */
export function plainText(text: string): string {
  return text
    .replace(/\r\n?|[\u2028\u2029\u0085]/g, "\n")
    .replaceAll("\t", " ")
    .replace(/(?!\n)\p{Cc}/gu, "")
    .replace(/\p{Cs}|[\uFFFE\uFFFF]/gu, "\uFFFD");
}

/** Families that systems have for what no bundled font has; the first that is there is taken. */
const SYSTEM_FAMILIES: readonly (readonly [RegExp, string])[] = [
  [
    /\p{Extended_Pictographic}|\p{Regional_Indicator}/u,
    "Noto Color Emoji, Twemoji, Apple Color Emoji, Segoe UI Emoji, Noto Emoji, Symbola, DejaVu Sans",
  ],
  [
    /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\u3000-\u303F\uFF00-\uFFEF]/u,
    "Noto Sans CJK KR, Noto Sans CJK SC, Noto Sans CJK JP, Noto Sans KR, Noto Sans SC, Noto Sans JP, Source Han Sans, NanumGothic, WenQuanYi Zen Hei, Droid Sans Fallback, Unifont",
  ],
  [/\p{Script=Devanagari}/u, "Noto Sans Devanagari, Lohit Devanagari, FreeSans, Unifont"],
  [/\p{Script=Bengali}/u, "Noto Sans Bengali, Lohit Bengali, FreeSans, Unifont"],
  [/\p{Script=Tamil}/u, "Noto Sans Tamil, Lohit Tamil, FreeSans, Unifont"],
  [/\p{Script=Telugu}/u, "Noto Sans Telugu, Lohit Telugu, Unifont"],
  [/\p{Script=Arabic}/u, "Noto Sans Arabic, DejaVu Sans, FreeSans, Unifont"],
  [/\p{Script=Hebrew}/u, "Noto Sans Hebrew, DejaVu Sans, FreeSans, Unifont"],
  [/\p{Script=Thai}/u, "Noto Sans Thai, Loma, FreeSans, Unifont"],
];
const OTHER_SYSTEM_FAMILIES =
  "DejaVu Sans, Noto Sans, Noto Sans Symbols, Noto Sans Symbols2, FreeSans, Unifont";

/**
 * Runs of one font each. Pango's own search for fonts is turned off: it would find whatever fonts earlier texts of
 * this process brought along, so that the same URL would give another picture.
 */
export async function markupOf(text: string, face: Face): Promise<string> {
  const runs: { family: string; text: string }[] = [];
  for (const { segment } of new Intl.Segmenter("en", { granularity: "grapheme" }).segment(text)) {
    const last = runs.at(-1);
    const family = hasSigns(face, segment) ? face.family : await familiesFor(segment, face);
    if (last !== undefined && (last.family === family || INVISIBLE.test(segment))) last.text += segment;
    else runs.push({ family, text: segment });
  }
  const weight = (face.bold ? ' weight="bold"' : "") + (face.italic ? ' style="italic"' : "");
  return runs
    .map((run) => `<span font_family="${run.family}" fallback="false"${weight}>${escapeXml(run.text)}</span>`)
    .join("");
}

/** What Pango is to try, in this order. A system's emoji have colours, ours don't; of letters ours come first. */
async function familiesFor(segment: string, face: Face): Promise<string> {
  const standIn = (await standIns(face)).find((one) => hasSigns(one, segment));
  if (standIn !== undefined) await makeKnown(standIn);
  const bundled = standIn?.family === EMOJI_FAMILY ? undefined : standIn?.family;
  return `${bundled ?? systemFamilies(segment)}, ${face.family}`;
}

const systemFamilies = (segment: string): string =>
  SYSTEM_FAMILIES.find(([signs]) => signs.test(segment))?.[1] ?? OTHER_SYSTEM_FAMILIES;

/** Pango knows what it has drawn with once. */
async function makeKnown({ family, file }: Face): Promise<void> {
  if (known.has(file)) return;
  await sample(`<span font_family="${family}">A</span>`, file);
  known.add(file);
}
const known = new Set<string>();

/** Two fonts that look like no other: were a font not loaded, one of them would stand in for it. */
const UNLIKE: readonly string[] = ["Monoton", "Lobster"];

/**
 * Whether Pango took a font, which it doesn't say: a font that FreeType refuses is passed over in silence.
 * @throws FontError
 */
export async function checkLoaded(face: Face): Promise<void> {
  for (const family of UNLIKE) {
    const { file } = await bundledFace(family, false, false);
    const without = await sample(`<span font_family="${family}" fallback="false">${SIGNS}</span>`, file);
    const markup = `<span font_family="${face.family}, ${family}" fallback="false">${SIGNS}</span>`;
    if (!without.equals(await sample(markup, face.file))) return;
  }
  throw new FontError("it is damaged");
}
const SIGNS = "Ag8%";

async function sample(markup: string, fontfile: string): Promise<Buffer> {
  try {
    const text = { text: markup, fontfile, dpi: 72, rgba: true };
    return await sharp({ text }).png().toBuffer();
  } catch {
    // A font without ink for these signs.
    return Buffer.alloc(0);
  }
}
