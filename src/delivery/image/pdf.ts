/** Pages of PDFs, as which Illustrator's files can be read, too: PDFium in WebAssembly draws them. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { PDFiumLibrary, type PDFiumDocument, type PDFiumPage } from "@hyzyla/pdfium";
import { DeliveryError } from "../errors.ts";
import type { Decoded, Undecoded } from "./aside.ts";
import { wantedPages } from "./pages.ts";
import { tiffOf } from "./tiff.ts";

/** Pixels per inch at which a page is drawn: text can be read, and A4 has 1240 by 1754. */
const DENSITY = 150;
const POINTS_PER_INCH = 72;
/** Pixels of a page. What would have more, such as a poster, is drawn smaller: it costs less, and can still be turned. */
const PIXELS_MAX = 16_000_000;
/** Bytes of PDFium's memory. Stops layers upon layers with transparency, each as large as the page. */
const HEAP_BYTES_MAX = 512 * 1024 ** 2;

/**
 * The first of the pages that are named, on white, as bytes of a TIFF. A page may take for
 * ever: to end the thread is up to whoever started it.
 * @throws DeliveryError UnsupportedSource, DamagedSource, LimitExceeded; InvalidParameter for pages that aren't there
 */
export async function decodePdf({ bytes, pixelsMax, sideMax, pages }: Undecoded): Promise<Decoded> {
  const heap = { full: false };
  try {
    const document = await open(bytes, await load(heap));
    const available = document.getPageCount();
    if (available < 1) throw damaged("has no pages");
    const [wanted = 0] = wantedPages(pages, available);
    const page = document.getPage(wanted);
    const { scale, ...size } = sizeOf(page, Math.min(pixelsMax, PIXELS_MAX), sideMax);
    const drawn = await page.render({ ...size, render: "bitmap" });
    if (heap.full) throw new Error("without what had no room");
    const density = Math.max(1, Math.round(POINTS_PER_INCH * scale));
    return { tiff: tiffOf(drawn, false), document: { pages: available, density } };
  } catch (error) {
    if (error instanceof DeliveryError) throw error;
    if (!heap.full) throw damaged("is damaged");
    throw new DeliveryError(
      "LimitExceeded",
      `The page takes more than ${HEAP_BYTES_MAX / 1024 ** 2} MiB of memory to draw.`,
    );
  }
}

const damaged = (how: string): DeliveryError => new DeliveryError("DamagedSource", `The PDF ${how}.`);

/** `full` becomes true once it is refused memory. */
async function load(heap: { full: boolean }): Promise<PDFiumLibrary> {
  const path = createRequire(import.meta.url).resolve("@hyzyla/pdfium/pdfium.wasm");
  const module = new WebAssembly.Module(await readFile(path));
  return PDFiumLibrary.init({
    instantiateWasm(imports, done: (instance: WebAssembly.Instance) => void) {
      const { emscripten_resize_heap: grow, ...env } = imports["env"]!;
      if (typeof grow !== "function") throw new TypeError("PDFium grows its memory in another way.");
      const within = (wanted: number): unknown => {
        if (wanted >>> 0 <= HEAP_BYTES_MAX) return grow(wanted);
        heap.full = true;
        return 0;
      };
      const instance = new WebAssembly.Instance(module, {
        ...imports,
        env: { ...env, emscripten_resize_heap: within },
      });
      done(instance);
      return instance.exports;
    },
  });
}

async function open(bytes: Uint8Array, library: PDFiumLibrary): Promise<PDFiumDocument> {
  try {
    return await library.loadDocument(bytes);
  } catch (error) {
    if (!(error instanceof Error) || !/password|security/i.test(error.message)) throw error;
    throw new DeliveryError(
      "UnsupportedSource",
      "The PDF is encrypted, and can't be read without its password.",
    );
  }
}

/** In pixels. `scale`: pixels of a point. */
function sizeOf(
  page: PDFiumPage,
  pixelsMax: number,
  sideMax: number,
): { width: number; height: number; scale: number } {
  const { originalWidth: width, originalHeight: height } = page.getOriginalSize();
  if (!(width > 0 && height > 0)) throw damaged("has no such page, or a damaged one");
  const scale = Math.min(
    DENSITY / POINTS_PER_INCH,
    Math.sqrt(pixelsMax / (width * height)),
    sideMax / Math.max(width, height),
  );
  const pixels = (points: number): number => Math.max(1, Math.floor(points * scale));
  return { width: pixels(width), height: pixels(height), scale };
}
