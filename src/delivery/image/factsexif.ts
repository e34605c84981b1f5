/** EXIF, in blocks as ImageKit names them, with values as the file has them. */

/** Bytes of an EXIF block. Stops megabytes of maker's notes from being walked through. */
const EXIF_BYTES_MAX = 256 * 1024;
/** Values of one block, and characters of one; the rest is left out. Stops answers larger than their pictures. */
const VALUES_MAX = 200;
const VALUE_LENGTH_MAX = 500;

type Block = Readonly<Record<string, unknown>>;
const BLOCKS: Readonly<Record<string, string>> = {
  ifd0: "image",
  ifd1: "thumbnail",
  exif: "exif",
  gps: "gps",
  interop: "interoperability",
};

/** `block`: as sharp gives it. Broken EXIF says nothing, and makes nothing else of the picture wrong. */
export async function exifOf(block: Buffer | undefined): Promise<Record<string, Block>> {
  const exif: Record<string, Block> = {
    image: {},
    thumbnail: {},
    exif: {},
    gps: {},
    interoperability: {},
    makernote: {},
  };
  if (block === undefined || block.length > EXIF_BYTES_MAX) return exif;
  const { default: exifr } = await import("exifr");
  const tiff = block.toString("latin1", 0, 4) === "Exif" ? block.subarray(6) : block;
  try {
    const parsed: unknown = await exifr.parse(tiff, {
      mergeOutput: false,
      translateValues: false,
      reviveValues: false,
      ifd1: true,
      exif: true,
      gps: true,
      interop: true,
    });
    for (const [name, values] of Object.entries((parsed ?? {}) as Record<string, unknown>)) {
      const title = Object.hasOwn(BLOCKS, name) ? BLOCKS[name] : undefined;
      if (title !== undefined && typeof values === "object") exif[title] = plain(values ?? {});
    }
  } catch {
    return exif;
  }
  return exif;
}

/** Numbers, text and lists of them; raw bytes are left out. */
function plain(values: object): Block {
  const entries = Object.entries(values as Record<string, unknown>).slice(0, VALUES_MAX);
  return Object.fromEntries(
    entries.flatMap(([name, value]) => {
      if (ArrayBuffer.isView(value) && !Array.isArray(value)) {
        const list = Array.from(value as Uint8Array);
        return list.length > 8 ? [] : [[name, list]];
      }
      const text = JSON.stringify(value) as string | undefined;
      return text === undefined || text.length > VALUE_LENGTH_MAX ? [] : [[name, value]];
    }),
  );
}
