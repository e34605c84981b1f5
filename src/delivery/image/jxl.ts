/** JPEG XL, which sharp's libvips lacks: libvips in WebAssembly decodes it to a TIFF, colour profile included. */
import { DeliveryError } from "../errors.ts";
import { checkPixels, type Decoded, type Undecoded } from "./aside.ts";

/** A naked codestream, or a container of ISO/IEC 18181-2. */
export function isJxl(bytes: Buffer): boolean {
  return (
    (bytes[0] === 0xff && bytes[1] === 0x0a) ||
    bytes.subarray(0, 12).equals(Buffer.from("0000000c4a584c200d0a870a", "hex"))
  );
}

/** The first frame as bytes of a TIFF. @throws DeliveryError LimitExceeded before anything is decoded, DamagedSource */
export async function decodeJxl({ bytes, pixelsMax }: Undecoded): Promise<Decoded> {
  const { default: load } = await import("wasm-vips");
  const vips = await load({ dynamicLibraries: ["vips-jxl.wasm"] });
  try {
    vips.concurrency(1);
    const image = vips.Image.jxlloadBuffer(bytes, { n: 1, fail_on: "truncated" });
    checkPixels(image, pixelsMax);
    return { tiff: image.tiffsaveBuffer({ compression: "none", keep: "icc" }) };
  } catch (error) {
    if (error instanceof DeliveryError) throw error;
    throw new DeliveryError("DamagedSource", "The JPEG XL picture is damaged or cut short.");
  }
}
