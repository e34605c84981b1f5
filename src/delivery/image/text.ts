/** Text as a picture: Pango, through libvips, with exactly the font that was asked for. */
import sharp from "sharp";
import { DeliveryError } from "../errors.ts";
import { BLACK, CLEAR, colourText } from "../plan/colours.ts";
import { evaluate } from "../plan/expression.ts";
import type { Colour, Expression, TextStyle } from "../plan/plan.ts";
import { withFace, type Face } from "./fonts.ts";
import { checkLoaded, markupOf, plainText } from "./textmarkup.ts";
import { fade, flip, rotate, round } from "./shape.ts";
import { blank, over, settle, settled, type Environment, type Size, type Surface } from "./surface.ts";

/** ImageKit's default. */
const FONT_SIZE = 45;
/** Size, in pixels, in which text is measured before it is drawn. */
const MEASURE_SIZE = 10;

/** What a style says, in pixels. */
interface Setting {
  readonly text: string;
  readonly size: number;
  readonly width: number | undefined;
  readonly lineHeight: number | undefined;
  readonly colour: Colour;
  readonly strikethrough: boolean;
  readonly align: "left" | "center" | "right";
}

/**
 * A settled still. Its size is that of the ink; with a width that of the box, which the text fills line by line; and
 * the padding around either.
 * @throws DeliveryError InvalidParameter for fonts, LimitExceeded for what becomes too large, NotFound
 */
export async function renderText(
  text: string,
  style: TextStyle,
  env: Environment & { parent: Size },
): Promise<Surface> {
  const { width: bw, height: bh } = env.parent;
  const values = { bw, bh, bar: bw / bh };
  const side = (name: string, length: Expression, min: number): number =>
    sideOf(name, evaluate(length, values), min, env);
  const setting: Setting = {
    text: plainText(text),
    size: side("fs", style.fontSize ?? FONT_SIZE, 1),
    width: style.width === undefined ? undefined : side("w", style.width, 1),
    lineHeight: style.lineHeight === undefined ? undefined : side("lh", style.lineHeight, 1),
    colour: style.colour ?? BLACK,
    strikethrough: style.strikethrough === true,
    align: style.align ?? "center",
  };
  const ink = await withFace(style, env, (face) => draw(setting, face, env));
  const padding = (style.padding ?? []).map((one) => side("pa", one, 0));
  const [top = 0, right = 0, bottom = 0, left = 0] = padding;
  const inner = setting.width === undefined ? ink.width : Math.max(setting.width, ink.width);
  const box = { width: left + inner + right, height: top + ink.height + bottom };
  env.spend(box);
  const shift = { left: 0, center: (inner - ink.width) / 2, right: inner - ink.width }[setting.align];
  const under = blank(box, style.background ?? CLEAR);
  let now = await settle(await over(under, ink, { left: left + Math.round(shift), top }));
  if (style.flip !== undefined) now = await settle(await flip(now, style.flip));
  if (style.radius !== undefined) now = await round(now, style.radius, values);
  if (style.opacity !== undefined) now = await fade(now, style.opacity * 10);
  return style.rotate === undefined ? now : rotate(now, style.rotate, CLEAR, env);
}

function sideOf(name: string, value: number, min: number, { job }: Environment): number {
  const max = job.limits.resultSide;
  const pixels = Math.round(value);
  if (pixels >= min && pixels <= max) return pixels;
  throw new DeliveryError("InvalidParameter", `${name}: ${pixels} pixels are not between ${min} and ${max}.`);
}

/** The ink alone. @throws DeliveryError LimitExceeded before anything large is drawn */
async function draw(setting: Setting, face: Face, env: Environment): Promise<Surface> {
  if (face.custom) await checkLoaded(face);
  const { size } = setting;
  const markup = await markupOf(setting.text, face);
  if (size > MEASURE_SIZE) {
    const scale = size / MEASURE_SIZE;
    const width = setting.width === undefined ? undefined : Math.max(1, Math.round(setting.width / scale));
    // Without the line height, which could make the small text as large as the big one.
    const small = await paint({ ...setting, size: MEASURE_SIZE, width, lineHeight: undefined }, face, markup);
    const stretch = Math.max(1, (setting.lineHeight ?? 0) / size);
    env.spend({
      width: Math.max(1, Math.floor((small.width - 2) * scale)),
      height: Math.max(1, Math.floor((small.height - 2) * scale * stretch)),
    });
  }
  const ink = await paint(setting, face, markup);
  env.spend(ink);
  return ink;
}

async function paint(setting: Setting, face: Face, markup: string): Promise<Surface> {
  const { width, colour, size, lineHeight, align } = setting;
  const attributes = [
    `size="${Math.round(size * PANGO_UNITS)}"`,
    `foreground="#${colourText({ ...colour, a: 1 })}"`,
    `fgalpha="${Math.max(1, Math.round(colour.a * 65_535))}"`,
    ...(setting.strikethrough ? ['strikethrough="true"'] : []),
    // Up to 1024 Pango takes it for a factor.
    ...(lineHeight === undefined
      ? []
      : [`line_height="${Math.max(PANGO_UNITS + 1, Math.round(lineHeight * PANGO_UNITS))}"`]),
  ];
  try {
    const image = sharp({
      text: {
        text: `<span ${attributes.join(" ")}>${markup}</span>`,
        font: face.family,
        fontfile: face.file,
        dpi: 72, // a point is a pixel
        rgba: true,
        align,
        ...(width === undefined ? {} : { width, wrap: "word-char" }),
      },
      limitInputPixels: false,
    });
    return await settled(image);
  } catch (error) {
    const message = error instanceof Error ? error.message : "";
    // Blanks leave no ink.
    if (/no text to render/.test(message)) return settle(blank({ width: 1, height: 1 }, CLEAR));
    if (/too big|too large/.test(message)) {
      throw new DeliveryError("LimitExceeded", "l-text: The text becomes too large.");
    }
    throw error;
  }
}
const PANGO_UNITS = 1024;
