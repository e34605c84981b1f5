/** AVIF, HEIC, JPEG XL, and everything that no decoder is for. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { noise, quadrants } from "../site.ts";
import { cuts, HARMLESS, NO_PICTURE, SERVED, survives, TOO_MUCH, ways, type Hostile } from "./cases.ts";
import { box, full, gridOf, ispeClaiming, itemOf, jxlClaiming } from "./containers.ts";
import { dented, flat, junk, latin, u32 } from "./rasters.ts";

const HEIC = readFileSync("test/delivery/fixtures/display-p3.heic");
const avif = quadrants(64, 64).avif().toBuffer();
const jxl = (async () => {
  const { default: load } = await import("wasm-vips");
  const vips = await load({ dynamicLibraries: ["vips-jxl.wasm"] });
  return Buffer.from(
    vips.Image.black(40, 30)
      .add([200, 60, 20])
      .cast("uchar")
      .copy({ interpretation: "srgb" })
      .jxlsaveBuffer({ lossless: true }),
  );
})();

const AVIFS: Hostile[] = [
  {
    name: "an AVIF that claims 65,000 by 65,000",
    files: { "a.avif": async () => ispeClaiming(await avif, 65_000, 65_000) },
    urls: ways("a.avif"),
    ends: NO_PICTURE,
  },
  {
    name: "an AVIF that claims four billion by four billion",
    files: { "a.avif": async () => ispeClaiming(await avif, 0xffffffff, 0xffffffff) },
    urls: ways("a.avif"),
    ends: NO_PICTURE,
  },
  {
    name: "an AVIF that claims within the limits",
    files: { "a.avif": async () => ispeClaiming(await avif, 7000, 7000) },
    urls: ways("a.avif"),
    ends: HARMLESS,
  },
  {
    name: "an AVIF that claims less than it is",
    files: { "a.avif": async () => ispeClaiming(await flat(8000, 7000, "avif"), 10, 10) },
    urls: ways("a.avif"),
    ends: HARMLESS,
  },
  {
    name: "an AVIF of 64 million pixels",
    files: { "a.avif": () => flat(8000, 8000, "avif") },
    urls: ways("a.avif"),
    ends: TOO_MUCH,
  },
  {
    name: "a grid that shows one tile 65,025 times",
    files: {
      "a.avif": async () => {
        const i = itemOf(await avif);
        return gridOf("avif", { type: "av01", ...i, width: 64, height: 64 }, 255, 255);
      },
    },
    urls: ways("a.avif"),
    ends: NO_PICTURE,
  },
  {
    name: "a grid within the limits",
    files: {
      "a.avif": async () => {
        const i = itemOf(await avif);
        return gridOf("avif", { type: "av01", ...i, width: 64, height: 64 }, 100, 100);
      },
    },
    urls: ways("a.avif"),
    ends: HARMLESS,
  },
  {
    name: "boxes in boxes in boxes",
    files: {
      "a.avif": () => {
        let inner = box("free");
        for (let n = 0; n < 5000; n++) inner = full("meta", inner);
        return Buffer.concat([box("ftyp", latin("avif\0\0\0\0avifmif1")), inner]);
      },
    },
    urls: ways("a.avif"),
    ends: NO_PICTURE,
  },
  {
    name: "boxes of no length, of all lengths",
    files: {
      "a.avif": Buffer.concat([
        box("ftyp", latin("avif\0\0\0\0avifmif1")),
        u32(0),
        latin("meta"),
        Buffer.alloc(40),
      ]),
      "b.avif": Buffer.concat([
        box("ftyp", latin("avif\0\0\0\0avifmif1")),
        u32(1),
        latin("meta"),
        Buffer.alloc(8, 0xff),
        Buffer.alloc(40),
      ]),
      "c.avif": Buffer.concat([box("ftyp", latin("avif\0\0\0\0avifmif1")), u32(0xffffffff), latin("meta")]),
    },
    urls: ["a", "b", "c"].map((n) => `tr:w-10/${n}.avif`),
    ends: NO_PICTURE,
  },
  {
    name: "a brand with noise behind it",
    files: {
      "a.avif": Buffer.concat([box("ftyp", latin("avif\0\0\0\0avifmif1")), junk(100_000)]),
      "b.avif": Buffer.concat([box("ftyp", latin("avis\0\0\0\0avismsf1")), junk(100_000)]),
    },
    urls: [...ways("a.avif"), ...ways("b.avif")],
    ends: NO_PICTURE,
  },
  cuts(() => avif, "avif", [9, 16, 40, 0.3, 0.6, 0.9, 0.99]),
  {
    name: "AVIFs with noise in them",
    files: Object.fromEntries(
      [1, 2, 3, 4, 5, 6, 7, 8].map((n) => [
        `n${n}.avif`,
        async () => dented(await avif, n % 2 === 0 ? 40 : 300, n),
      ]),
    ),
    urls: [1, 2, 3, 4, 5, 6, 7, 8].flatMap((n) => ways(`n${n}.avif`)),
    ends: HARMLESS,
  },
];
survives("AVIF", AVIFS);

const HEICS: Hostile[] = [
  {
    name: "a HEIC that claims 65,000 by 65,000",
    files: { "a.heic": ispeClaiming(HEIC, 65_000, 65_000) },
    urls: ways("a.heic"),
    ends: NO_PICTURE,
  },
  {
    name: "a HEIC that claims within the limits",
    files: { "a.heic": ispeClaiming(HEIC, 7000, 7000) },
    urls: ways("a.heic"),
    ends: HARMLESS,
  },
  {
    name: "a HEIC that claims to be of no size",
    files: { "a.heic": ispeClaiming(HEIC, 0, 0) },
    urls: ways("a.heic"),
    ends: NO_PICTURE,
  },
  {
    name: "a grid that shows one tile 65,025 times",
    files: {
      "a.heic": () => gridOf("heic", { type: "hvc1", ...itemOf(HEIC), width: 96, height: 64 }, 255, 255),
    },
    urls: ways("a.heic"),
    ends: NO_PICTURE,
  },
  {
    name: "a grid within the limits",
    files: {
      "a.heic": () => gridOf("heic", { type: "hvc1", ...itemOf(HEIC), width: 96, height: 64 }, 80, 80),
    },
    urls: ways("a.heic"),
    ends: HARMLESS,
  },
  {
    name: "an AVIF that calls itself a HEIC",
    files: {
      "a.heic": async () => {
        const a = Buffer.from(await avif);
        a.write("heic", 8);
        return a;
      },
    },
    urls: ways("a.heic"),
    ends: HARMLESS,
  },
  {
    name: "a brand with noise behind it",
    files: { "a.heic": Buffer.concat([box("ftyp", latin("heic\0\0\0\0heicmif1")), junk(1 << 20)]) },
    urls: ways("a.heic"),
    ends: NO_PICTURE,
  },
  cuts(async () => HEIC, "heic", [9, 30, 100, 0.3, 0.6, 0.9, 0.99]),
  {
    name: "HEICs with noise in them",
    files: Object.fromEntries(
      [1, 2, 3, 4, 5, 6].map((n) => [`n${n}.heic`, dented(HEIC, n % 2 === 0 ? 40 : 600, n)]),
    ),
    urls: [1, 2, 3, 4, 5, 6].flatMap((n) => ways(`n${n}.heic`)),
    ends: HARMLESS,
  },
];
survives("HEIC", HEICS);

const JXLS: Hostile[] = [
  {
    name: "a JPEG XL that claims a billion by a billion",
    files: { "a.jxl": jxlClaiming(2 ** 30, 2 ** 30) },
    urls: ways("a.jxl"),
    ends: NO_PICTURE,
  },
  {
    name: "a JPEG XL that claims 60,000 by 60,000",
    files: { "a.jxl": jxlClaiming(60_000, 60_000) },
    urls: ways("a.jxl"),
    ends: NO_PICTURE,
  },
  {
    name: "a JPEG XL that claims within the limits",
    files: { "a.jxl": jxlClaiming(7000, 7000) },
    urls: ways("a.jxl"),
    ends: NO_PICTURE,
  },
  {
    name: "noise behind two bytes",
    files: {
      "a.jxl": Buffer.concat([Buffer.from([0xff, 0x0a]), junk(1 << 20)]),
      "b.jxl": Buffer.concat([Buffer.from("0000000c4a584c200d0a870a", "hex"), junk(1 << 20)]),
      "c.jxl": Buffer.from([0xff, 0x0a]),
    },
    urls: [...ways("a.jxl"), ...ways("b.jxl"), ...ways("c.jxl")],
    ends: NO_PICTURE,
  },
  cuts(() => jxl, "jxl", [3, 10, 0.4, 0.8, 0.97]),
  {
    name: "JPEG XLs with noise in them",
    files: Object.fromEntries([1, 2, 3, 4].map((n) => [`n${n}.jxl`, async () => dented(await jxl, 3, n)])),
    urls: [1, 2, 3, 4].flatMap((n) => ways(`n${n}.jxl`)),
    ends: HARMLESS,
  },
  {
    name: "boxes that are compressed noise",
    files: {
      "a.jxl": async () =>
        Buffer.concat([
          Buffer.from("0000000c4a584c200d0a870a", "hex"),
          box("ftyp", latin("jxl \0\0\0\0jxl ")),
          box("brob", latin("Exif"), junk(1 << 20)),
          box("jxlc", await jxl),
        ]),
    },
    urls: ways("a.jxl"),
    ends: HARMLESS,
  },
];
survives("JPEG XL", JXLS);

/** First bytes of formats that nobody asked for, with a likely rest. */
const FOREIGN: Readonly<Record<string, Buffer>> = {
  "pdf.jpg": latin("%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj"),
  "eps.png": latin("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99999 99999\n{} loop"),
  "psd.jpg": Buffer.concat([latin("8BPS\0\x01"), Buffer.alloc(6), Buffer.from([0, 4]), u32(30_000, 30_000)]),
  "ico.png": Buffer.concat([Buffer.from("000001000100", "hex"), Buffer.alloc(16, 0xff)]),
  "bmp.png": Buffer.concat([latin("BM"), u32(0xffffffff, 0, 54, 40, 0x7fffffff, 0x7fffffff)]),
  "jp2.jpg": Buffer.concat([Buffer.from("0000000c6a5020200d0a870a", "hex"), junk(1000)]),
  "hdr.jpg": latin("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 65535 +X 65535\n"),
  "exr.png": Buffer.concat([Buffer.from("762f3101", "hex"), junk(1000)]),
  "fits.png": latin("SIMPLE  =                    T".padEnd(2880)),
  "ppm.png": latin("P6 60000 60000 255\n"),
  "pfm.png": latin("PF 60000 60000 -1.0\n"),
  "vips.png": Buffer.concat([Buffer.from("b6a6f208", "hex"), Buffer.alloc(60, 0x7f)]),
  "mat.png": latin("MATLAB 5.0 MAT-file".padEnd(128)),
  "nifti.png": Buffer.concat([u32(348).swap32(), Buffer.alloc(344, 1)]),
  "csv.png": latin("1,2,3\n".repeat(1000)),
  "dicom.jpg": Buffer.concat([Buffer.alloc(128), latin("DICM")]),
  "magick.jpg": latin(
    "push graphic-context\nviewbox 0 0 640 480\nfill 'url(https://127.0.0.1/x.jpg\"|id > /tmp/x\")'\npop graphic-context",
  ),
  "msl.jpg": latin(
    '<?xml version="1.0"?><image><read filename="/etc/passwd"/><write filename="/tmp/x"/></image>',
  ),
  "svgz.jpg": gzipSync(Buffer.alloc(10 << 20, "<svg>")),
  "gzip.svg": gzipSync(gzipSync(Buffer.alloc(1 << 20))),
  "elf.png": Buffer.concat([Buffer.from("7f454c46", "hex"), junk(1000)]),
  "zip.png": Buffer.concat([latin("PK\x03\x04"), junk(1000)]),
  "zeros.jpg": Buffer.alloc(1 << 20),
  "ones.jpg": Buffer.alloc(1 << 20, 0xff),
  "noise.jpg": junk(1 << 20),
  "nothing.png": Buffer.alloc(0),
  "page.png": latin("<!doctype html><svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
  "m3u8.jpg": latin("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
};
survives(
  "what is no picture",
  Object.entries(FOREIGN).map(([name, body]) => ({
    name,
    files: { [name]: body },
    urls: [...ways(name), `tr:f-avif/${name}`],
    ends: NO_PICTURE,
  })),
);
survives("wrong names", [
  {
    name: "each format under the names of the others",
    files: Object.fromEntries(
      (["jpeg", "png", "webp", "gif", "tiff", "avif"] as const).flatMap((format) =>
        ["jpg", "png", "svg", "mp4x", "heic", "jxl", "pdf"].map((name) => [
          `${format}.${name}`,
          () => flat(20, 20, format),
        ]),
      ),
    ),
    urls: ["jpeg", "png", "webp", "gif", "tiff", "avif"].flatMap((format) =>
      ["jpg", "png", "svg", "heic", "jxl", "pdf"].map((name) => `tr:w-10/${format}.${name}`),
    ),
    ends: SERVED,
  },
  {
    name: "a picture behind the suffixes of films",
    files: { "p.jpg": () => noise(50, 50) },
    urls: [
      "p.jpg/ik-master.m3u8?tr=sr-240",
      "p.jpg/ik-master.mpd?tr=sr-240",
      "p.jpg/ik-gif-video.mp4",
      "p.jpg/ik-video.mp4",
    ],
    ends: /200|415 UnsupportedSource/,
  },
]);
