/** Values of SVG attributes and styles: what of them may stay. */
import { DeliveryError } from "../errors.ts";
import { rasterSize } from "./svgraster.ts";

/** Pixels of one raster picture inside an SVG. Stops a bomb from hiding in a `data:` URL. */
const EMBEDDED_PIXELS_MAX = 25_000_000;
const RASTER = /^data:image\/(?:png|jpe?g|gif|webp);base64,/i;
/** Elements whose reference is drawn, as opposed to followed by a reader. */
const DRAWS_PICTURES: readonly string[] = ["image", "feImage"];
/** What loads or runs something, in any place of a style. Blanks have become one. */
const DANGEROUS =
  /@import|image-set|javascript:|vbscript:|expression ?\(|behaviou?r ?:|-moz-binding|\bsrc ?\(|\bimage ?\(/i;

/** A reference to the document itself, or to a raster picture of its own. @throws DeliveryError LimitExceeded */
export function cleanReference(value: string, element: string): string | undefined {
  const reference = value.replace(/\s+/g, "");
  if (/^#[^"'<>()]+$/.test(reference)) return reference;
  return DRAWS_PICTURES.includes(element) && isRaster(reference) ? reference : undefined;
}

/** @throws DeliveryError LimitExceeded for pictures of too many pixels */
function isRaster(reference: string): boolean {
  if (!RASTER.test(reference)) return false;
  const size = rasterSize(Buffer.from(reference.slice(reference.indexOf(",") + 1), "base64"));
  if (size === undefined) return false;
  if (size.width * size.height > EMBEDDED_PIXELS_MAX) {
    throw new DeliveryError(
      "LimitExceeded",
      `A picture in an SVG has at most ${EMBEDDED_PIXELS_MAX} pixels.`,
    );
  }
  return true;
}

/** A presentation attribute; undefined where it points out of the document. */
export function cleanValue(value: string): string | undefined {
  if (!/[\\:(]/.test(value)) return value;
  const plain = plainCss(value);
  if (/^ ?(?:javascript|vbscript|data) ?:/i.test(plain)) return undefined;
  if (!/url ?\(/i.test(plain)) return value;
  return withoutForeignUrls(plain) === plain && !DANGEROUS.test(plain) ? plain : undefined;
}

/** A style sheet, or a `style` attribute. What would load or run something makes all of it disappear. */
export function cleanCss(css: string): string {
  const cleaned = withoutForeignUrls(plainCss(css));
  return DANGEROUS.test(cleaned) ? "" : cleaned;
}

/**
 * As a browser reads it: without comments, with one blank for many, and without escapes, because `u\72l(` is `url(`.
 * A backslash that an escape stood for doesn't stay either.
 */
function plainCss(css: string): string {
  return css
    .replace(/@charset[^;]*;?/gi, "")
    .replace(/\/\*[\s\S]*?(?:\*\/|$)/g, " ")
    .replace(
      /\\(?:([0-9a-f]{1,6})\s?|([\s\S]))/gi,
      (_, hex: string | undefined, other: string | undefined) => {
        if (hex === undefined) return other ?? "";
        const code = parseInt(hex, 16);
        return code > 0x1f && code <= 0x10ffff ? String.fromCodePoint(code) : "";
      },
    )
    .replaceAll("\\", "")
    .replace(/\s+/g, " ");
}

/** Each `url()` that doesn't point into the document becomes `none`; one without an end takes the rest with it. */
function withoutForeignUrls(css: string): string {
  const parts: string[] = [];
  let from = 0;
  for (const match of css.matchAll(/url ?\( ?(["']?) ?/gi)) {
    if (match.index < from) continue;
    const start = match.index + match[0].length;
    const quote = match[1] ?? "";
    const close = quote === "" ? start : css.indexOf(quote, start);
    const end = close < 0 ? -1 : css.indexOf(")", close);
    parts.push(
      css.slice(from, match.index),
      css[start] === "#" && end >= 0 ? css.slice(match.index, end + 1) : "none",
    );
    if (end < 0) return parts.join("");
    from = end + 1;
  }
  return parts.join("") + css.slice(from);
}

/** The ids that a value points at. */
export function referencesIn(value: string): string[] {
  if (!value.includes("#")) return [];
  return [...value.matchAll(/url ?\( ?["']? ?#([^"')\s]+)/gi)].map((match) => match[1]!);
}
