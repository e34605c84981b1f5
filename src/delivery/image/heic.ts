/**
 * HEIC, which libvips as sharp brings it can name but not decode: its pixels come from libheif in WebAssembly, and
 * continue as an uncompressed TIFF, because a TIFF can carry the colour profile that phones write (Display P3).
 */
import { DeliveryError } from "../errors.ts";
import { checkPixels, type Decoded, type Undecoded } from "./aside.ts";
import { tiffOf } from "./tiff.ts";

/**
 * The first picture as bytes of a TIFF. @throws DeliveryError LimitExceeded before anything is decoded, DamagedSource
 */
export async function decodeHeic({ bytes, pixelsMax, alpha, icc }: Undecoded): Promise<Decoded> {
  const { default: decode } = await import("heic-decode");
  let pictures: Awaited<ReturnType<typeof decode.all>> | undefined;
  try {
    pictures = await decode.all({ buffer: bytes });
    const first = pictures[0];
    if (first === undefined) throw new Error("no picture");
    checkPixels(first, pixelsMax);
    return { tiff: tiffOf(await first.decode(), alpha === true, icc) };
  } catch (error) {
    if (error instanceof DeliveryError) throw error;
    throw new DeliveryError(
      "DamagedSource",
      "The HEIC picture is damaged, cut short or of a kind that can't be decoded.",
    );
  } finally {
    pictures?.dispose();
  }
}
