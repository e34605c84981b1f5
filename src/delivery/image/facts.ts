/** What a picture is, as JSON: sizes, colours, hashes, EXIF. Names are ImageKit's where it has them. */
import { encode as encodeBlurhash } from "blurhash";
import { rgbaToThumbHash } from "thumbhash";
import { openPicture } from "./decode.ts";
import { exifOf } from "./factsexif.ts";
import { hexOf, jpegQuality, paletteOf, perceptualHash } from "./factspixels.ts";
import type { Job, Picture } from "./job.ts";
import { runRgba } from "./surface.ts";

/** Longest side of the copy that colours and hashes are taken from: their cost doesn't grow with the picture. */
const PROBE_SIDE = 100;
/** Components of the blurhash, across and down. */
const BLURHASH: readonly [number, number] = [4, 3];

/** `GET …/metadata`. @throws DeliveryError as `openPicture` */
export async function factsOf(bytes: Buffer, job: Job): Promise<Picture> {
  const { image, metadata, available } = await openPicture(bytes, job, { animated: false });
  const small = { width: PROBE_SIDE, height: PROBE_SIDE, fit: "inside", withoutEnlargement: true } as const;
  const { data, ...probe } = await runRgba(image.autoOrient().resize(small));
  const { width, height } = metadata.autoOrient;
  const palette = paletteOf(data).map(hexOf);
  const quality = metadata.format === "jpeg" ? jpegQuality(bytes) : undefined;
  const facts = {
    height,
    width,
    size: bytes.length,
    format: metadata.format === "jpeg" ? "jpg" : metadata.format,
    hasColorProfile: metadata.hasProfile,
    ...(quality === undefined ? {} : { quality }),
    density: metadata.density ?? 72,
    hasTransparency: metadata.hasAlpha,
    pages: available,
    orientation: metadata.orientation ?? 1,
    pHash: await perceptualHash(data, probe.width, probe.height),
    dominantColor: palette[0] ?? null,
    palette,
    blurhash: encodeBlurhash(new Uint8ClampedArray(data), probe.width, probe.height, ...BLURHASH),
    thumbhash: Buffer.from(rgbaToThumbHash(probe.width, probe.height, data)).toString("base64"),
    exif: await exifOf(metadata.exif),
  };
  const json = Buffer.from(`${JSON.stringify(facts)}\n`);
  return { data: json, type: "application/json", width, height, headers: [] };
}
