/** JPEGs made to hurt whoever opens them. */
import sharp from "sharp";
import { noise } from "../site.ts";
import { cuts, deeply, HARMLESS, NO_PICTURE, SERVED, survives, TOO_MUCH, ways } from "./cases.ts";
import {
  exif,
  flat,
  jpegClaiming,
  jpegOfScans,
  jpegWith,
  junk,
  latin,
  segment,
  SHORT,
  LONG,
  u32,
} from "./rasters.ts";

const photo = noise(200, 200);
const FRAME = Buffer.from([0xff, 0xc0]);
/** With other bytes, counted from its frame header. */
async function altered(bytes: Readonly<Record<number, number>>): Promise<Buffer> {
  const copy = Buffer.from(await photo);
  const at = copy.indexOf(FRAME);
  for (const [offset, value] of Object.entries(bytes)) copy[at + Number(offset)] = value;
  return copy;
}
const withSegments =
  (...segments: readonly Buffer[]) =>
  async (): Promise<Buffer> =>
    jpegWith(await photo, ...segments);
const app1 = (...parts: readonly Buffer[]): Buffer => segment(0xe1, Buffer.concat(parts));

const CYCLIC = exif(
  [
    [0x0112, SHORT, 1, 6],
    [0x8769, LONG, 1, 8],
    [0x8825, LONG, 1, 8],
    [0xa005, LONG, 1, 8],
  ],
  8,
);
const COUNTING = exif(
  Array.from({ length: 4000 }, (_, n) => [0x010e + n, 2, 0xffffffff, 0xfffffff0] as const),
  8,
);
/** Of a profile with four billion tags. ICC.1, section 7.2. */
const ICC_HEAD = Buffer.concat([
  u32(0xffffffff),
  latin("lcms"),
  u32(0x04200000),
  latin("mntrRGB XYZ "),
  Buffer.alloc(12),
  latin("acsp"),
  Buffer.alloc(88),
  u32(0xffffffff),
]);

survives("JPEG", [
  {
    name: "that claim 65,535 by 65,535, and no height",
    files: {
      "65535.jpg": async () => jpegClaiming(await photo, 65_535, 65_535),
      "65500.jpg": async () => jpegClaiming(await photo, 65_500, 65_500),
      "0.jpg": async () => jpegClaiming(await photo, 200, 0),
    },
    urls: [...ways("65535.jpg"), ...ways("65500.jpg"), ...ways("0.jpg")],
    ends: NO_PICTURE,
  },
  {
    name: "that claims more than it has, within the limits",
    files: { "less.jpg": async () => jpegClaiming(await photo, 7000, 7000) },
    urls: ["tr:w-10/less.jpg", "less.jpg/metadata", "tr:w-10,h-9,fo-auto/less.jpg"],
    ends: HARMLESS,
  },
  {
    name: "of 81 million pixels of one colour",
    files: { "flat.jpg": () => flat(9000, 9000, "jpeg") },
    urls: ways("flat.jpg"),
    ends: TOO_MUCH,
  },
  {
    name: "of ten thousand scans",
    files: {
      "scans.jpg": async () => {
        const create = { width: 7000, height: 7000, channels: 3, background: "#204060" } as const;
        return jpegOfScans(await sharp({ create }).jpeg({ progressive: true }).toBuffer(), 10_000);
      },
    },
    urls: ways("scans.jpg"),
    ends: HARMLESS,
  },
  {
    name: "with EXIF whose directories lead to themselves",
    files: { "cyclic.jpg": withSegments(segment(0xe1, CYCLIC)) },
    urls: deeply("cyclic.jpg"),
    ends: SERVED,
  },
  {
    name: "with EXIF that counts four billion values",
    files: { "counts.jpg": withSegments(segment(0xe1, COUNTING)) },
    urls: deeply("counts.jpg"),
    ends: SERVED,
  },
  {
    name: "with EXIF of noise, cut short, of nothing",
    files: {
      "1.jpg": withSegments(app1(latin("Exif\0\0II*\0\x08\0\0\0"), junk(60_000))),
      "2.jpg": withSegments(app1(latin("Exif\0\0MM\0*\0\0"))),
      "3.jpg": withSegments(app1(latin("Exif\0\0"))),
      "4.jpg": withSegments(app1(latin("Exif\0\0MM\0*\xff\xff\xff\xff"))),
    },
    urls: [1, 2, 3, 4].flatMap((n) => deeply(`${n}.jpg`)),
    ends: SERVED,
  },
  {
    name: "with a colour profile of noise, and one of which most parts are missing",
    files: {
      "icc.jpg": withSegments(
        segment(0xe2, Buffer.concat([latin("ICC_PROFILE\0\x01\x01"), ICC_HEAD, junk(50_000)])),
      ),
      "parts.jpg": withSegments(
        ...Array.from({ length: 60 }, (_, n) => {
          const head = Buffer.from([(n * 7) & 255, 200]);
          return segment(0xe2, Buffer.concat([latin("ICC_PROFILE\0"), head, junk(60_000, n)]));
        }),
      ),
    },
    urls: [...deeply("icc.jpg"), ...deeply("parts.jpg")],
    ends: SERVED,
  },
  {
    name: "with thirty megabytes of comments",
    files: { "comments.jpg": withSegments(...Array<Buffer>(500).fill(segment(0xfe, junk(65_000)))) },
    urls: ways("comments.jpg"),
    ends: SERVED,
  },
  {
    name: "with XMP of twenty thousand levels",
    files: {
      "xmp.jpg": withSegments(app1(latin("http://ns.adobe.com/xap/1.0/\0"), Buffer.alloc(65_000, "<a>"))),
    },
    urls: deeply("xmp.jpg"),
    ends: SERVED,
  },
  {
    name: "of kinds that decoders don't have: lossless, arithmetic, hierarchical",
    files: Object.fromEntries(
      [0xc3, 0xc5, 0xc9, 0xca, 0xcd].map((marker) => [`${marker}.jpg`, () => altered({ 1: marker })]),
    ),
    urls: [0xc3, 0xc5, 0xc9, 0xca, 0xcd].flatMap((marker) => ways(`${marker}.jpg`)),
    ends: HARMLESS,
  },
  {
    name: "of 255 components, of samplings that aren't, of 16 bits",
    files: {
      "components.jpg": () => altered({ 9: 255 }),
      "sampling.jpg": () => altered({ 11: 0xff }),
      "bits.jpg": () => altered({ 4: 16 }),
    },
    urls: [...ways("components.jpg"), ...ways("sampling.jpg"), ...ways("bits.jpg")],
    ends: NO_PICTURE,
  },
  {
    name: "with noise where the pixels are",
    files: {
      "noise.jpg": async () => {
        const copy = Buffer.from(await photo);
        junk(copy.length).copy(copy, copy.indexOf(Buffer.from([0xff, 0xda])) + 14);
        return copy;
      },
    },
    urls: ways("noise.jpg"),
    ends: HARMLESS,
  },
  {
    name: "without the tables that its pixels need",
    files: {
      "tables.jpg": async () =>
        Buffer.from((await photo).toString("latin1").replaceAll(/\xff[\xdb\xc4]\0/g, "\xff\xfe\0"), "latin1"),
    },
    urls: ways("tables.jpg"),
    ends: NO_PICTURE,
  },
  {
    name: "that is a page and an archive as well",
    files: {
      "page.jpg": async () =>
        Buffer.concat([
          jpegWith(await photo, segment(0xfe, latin("<html><script>alert(1)</script>"))),
          latin("PK\x03\x04"),
          junk(5000),
          latin("PK\x05\x06"),
          Buffer.alloc(18),
        ]),
    },
    urls: deeply("page.jpg"),
    ends: SERVED,
  },
  cuts(() => photo, "jpg", [1, 3, 30, 200, 0.3, 0.6, 0.95]),
]);
