/** PDFs and PSDs, written by hand. */
import { u16, u32 } from "./hostile/rasters.ts";

/** Objects from number 1 on, of which the first is the catalogue. `trailer`: what it says beside Size and Root. */
export function pdfOf(objects: readonly string[], trailer = ""): Buffer {
  let text = "%PDF-1.7\n";
  const places = objects.map((object, n) => {
    const at = text.length;
    text += `${n + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(at).padStart(10, "0")} 00000 n \n`;
  });
  const table = `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${places.join("")}`;
  const end = `trailer\n<</Size ${objects.length + 1}/Root 1 0 R${trailer}>>\nstartxref\n${text.length}\n%%EOF\n`;
  return Buffer.from(text + table + end, "latin1");
}

export const stream = (content: string, entries = ""): string =>
  `<</Length ${content.length}${entries}>>\nstream\n${content}\nendstream`;

export interface Page {
  /** Left, bottom, right, top, in points. */
  readonly box: string;
  readonly draws: string;
  /** Entries of its dictionary. */
  readonly more?: string;
}

/** `others`: objects from number 3 + 2 × pages on. */
export function pdfWith(pages: readonly Page[], others: readonly string[] = []): Buffer {
  const kids = pages.map((_, n) => `${3 + 2 * n} 0 R`).join(" ");
  return pdfOf([
    "<</Type/Catalog/Pages 2 0 R>>",
    `<</Type/Pages/Kids[${kids}]/Count ${pages.length}>>`,
    ...pages.flatMap(({ box, draws, more = "" }, n) => [
      `<</Type/Page/Parent 2 0 R/MediaBox[${box}]/Contents ${4 + 2 * n} 0 R${more}>>`,
      stream(draws),
    ]),
    ...others,
  ]);
}

export interface Psd {
  readonly width: number;
  readonly height: number;
  readonly bits: number;
  /** 0 bitmap, 1 grey, 2 indexed, 3 RGB, 4 CMYK, 9 Lab. */
  readonly mode: number;
  /** One behind the other, each with all its rows. */
  readonly planes: readonly Buffer[];
  readonly palette?: Buffer;
  readonly resources?: Buffer;
  /** What stands behind the layers' length. */
  readonly layers?: Buffer;
  /** 0: as they are; 1: the planes are packed already, behind the table of their rows. */
  readonly packing?: number;
}
const told = (content: Buffer): Buffer => Buffer.concat([u32(content.length), content]);
const none = Buffer.alloc(0);

export function psdOf(psd: Psd): Buffer {
  const { width, height, bits, mode, planes, palette = none, resources = none, layers = none } = psd;
  return Buffer.concat([
    Buffer.from("8BPS\0\x01\0\0\0\0\0\0", "latin1"),
    u16(planes.length),
    u32(height, width),
    u16(bits, mode),
    told(palette),
    told(resources),
    told(layers),
    u16(psd.packing ?? 0),
    ...planes,
  ]);
}

/** A block of the resources. */
export const resource = (id: number, content: Buffer): Buffer =>
  Buffer.concat([Buffer.from("8BIM"), u16(id, 0), told(content), Buffer.alloc(content.length % 2)]);
