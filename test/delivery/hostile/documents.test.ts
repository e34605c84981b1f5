/** PDFs and PSDs that were made to break, to hold up or to fill what draws them. */
import { deflateSync } from "node:zlib";
import { pdfOf, pdfWith, psdOf, stream, type Page, type Psd } from "../documents.ts";
import {
  cuts,
  DAMAGED,
  HARMLESS,
  NO_PICTURE,
  SERVED,
  survives,
  TOO_MUCH,
  ways,
  type Hostile,
} from "./cases.ts";
import { dented, junk, latin, u16 } from "./rasters.ts";

const RED = "1 0 0 rg 0 0 200 100 re f";
const page = (draws: string, more = "", box = "0 0 200 100"): Page => ({ box, draws, more });
const resources = (entries: string): string => `/Resources<<${entries}>>`;
const form = (draws: string, entries = ""): string =>
  stream(draws, `/Type/XObject/Subtype/Form/BBox[0 0 2000 2000]${entries}`);
const GOOD = pdfWith([page(RED)]);

/** Forms from object 5 on, each of which draws the next some times. */
const forms = (deep: number, times: number): Buffer =>
  pdfWith(
    [page("/F Do", resources("/XObject<</F 5 0 R>>"))],
    Array.from({ length: deep }, (_, n) =>
      n === deep - 1 ? form(RED) : form("/F Do ".repeat(times), resources(`/XObject<</F ${6 + n} 0 R>>`)),
    ),
  );

/** What is drawn of a page is worked on as all pictures are. */
const one = (name: string, file: Buffer | (() => Buffer), ends: RegExp): Hostile => ({
  name,
  files: { "a.pdf": file },
  urls: ["tr:w-10/a.pdf", "a.pdf/metadata"],
  ends,
});

const PDFS: Hostile[] = [
  one("a page of a million by a million points", pdfWith([page(RED, "", "0 0 1000000 1000000")]), SERVED),
  one("a page of a million by one", pdfWith([page(RED, "", "0 0 1000000 1")]), SERVED),
  one("a page of 1e38 by 1e38", pdfWith([page(RED, "", "0 0 1e38 1e38")]), HARMLESS),
  one("a page of nothing", pdfWith([page(RED, "", "0 0 0 0")]), HARMLESS),
  one("a page that is turned inside out", pdfWith([page(RED, "", "100 100 -100 -100")]), SERVED),
  one(
    "100,000 pages",
    pdfOf([
      "<</Type/Catalog/Pages 2 0 R>>",
      `<</Type/Pages/Kids[${"3 0 R ".repeat(100_000)}]/Count 100000>>`,
      "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents 4 0 R>>",
      stream(RED),
    ]),
    SERVED,
  ),
  one(
    "pages that are their own parents",
    pdfOf(["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[2 0 R 2 0 R]/Count 9>>"]),
    DAMAGED,
  ),
  one(
    "a form that draws itself",
    pdfWith(
      [page("/F Do", resources("/XObject<</F 5 0 R>>"))],
      [form("/F Do /F Do", resources("/XObject<</F 5 0 R>>"))],
    ),
    HARMLESS,
  ),
  one("forms in forms, ten times each", forms(12, 10), HARMLESS),
  one("2,000 forms in each other", forms(2000, 1), HARMLESS),
  one(
    "a table of places that comes before itself",
    latin(GOOD.toString("latin1").replace("/Root", `/Prev ${GOOD.indexOf("xref\n")}/Root`)),
    HARMLESS,
  ),
  one(
    "200,000 arrays in each other",
    pdfWith([page(RED)], ["[".repeat(200_000) + "]".repeat(200_000)]),
    HARMLESS,
  ),
  one("300,000 arrays in each other to draw", pdfWith([page("[".repeat(300_000))]), HARMLESS),
  one("a million states that are kept", pdfWith([page("q ".repeat(1_000_000))]), HARMLESS),
  one(
    "64 MB of drawing in 64 kB",
    () => {
      const packed = deflateSync(Buffer.alloc(64 << 20, "q Q ")).toString("latin1");
      const draws = stream(packed, "/Filter/FlateDecode");
      return pdfOf([
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents 4 0 R>>",
        draws,
      ]);
    },
    HARMLESS,
  ),
  ...(
    [
      [60_000, 60_000],
      [20_000, 10_000],
    ] as const
  ).map(([width, height]) =>
    one(
      `a picture in it that claims ${width} by ${height}`,
      pdfWith(
        [page("200 0 0 200 0 0 cm /I Do", resources("/XObject<</I 5 0 R>>"))],
        [
          stream(
            "abc",
            `/Type/XObject/Subtype/Image/Width ${width}/Height ${height}/ColorSpace/DeviceRGB/BitsPerComponent 8`,
          ),
        ],
      ),
      HARMLESS,
    ),
  ),
  one(
    "a mask that is masked by itself",
    pdfWith(
      [
        page(
          `/G gs ${RED}`,
          resources("/ExtGState<</G<</SMask<</Type/Mask/S/Luminosity/G 5 0 R>>>>>>"),
          "0 0 2000 2000",
        ),
      ],
      [
        form(
          "/G gs 1 g 0 0 2000 2000 re f",
          `/Group<</S/Transparency/CS/DeviceGray>>${resources("/ExtGState<</G<</SMask<</Type/Mask/S/Luminosity/G 5 0 R>>>>>>")}`,
        ),
      ],
    ),
    HARMLESS,
  ),
  {
    name: "scripts, and links to files",
    files: {
      "a.pdf": pdfOf([
        "<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(while\\(true\\){})>>>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Resources<</XObject<</F 4 0 R>>>>/Contents 5 0 R>>",
        "<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/F(/etc/passwd)/FFilter[]/Length 0>>\nstream\n\nendstream",
        stream("/F Do"),
      ]),
    },
    urls: ways("a.pdf"),
    ends: SERVED,
  },
  {
    name: "of hardly anything",
    files: {
      "a.pdf": latin("%"),
      "b.pdf": latin("%PDF-"),
      "c.pdf": latin("%PDF-1.7\n%%EOF"),
      "d.pdf": Buffer.concat([latin("%PDF-1.7\n"), junk(1 << 20)]),
    },
    urls: ["a", "b", "c", "d"].flatMap((name) => ways(`${name}.pdf`)),
    ends: NO_PICTURE,
  },
  cuts(async () => GOOD, "pdf", [9, 20, 0.3, 0.4]),
  {
    name: "with noise in them",
    files: Object.fromEntries(
      [1, 2, 3, 4, 5, 6].map((n) => [`n${n}.pdf`, dented(GOOD, n % 2 === 0 ? 20 : 200, n)]),
    ),
    urls: [1, 2, 3, 4, 5, 6].flatMap((n) => ways(`n${n}.pdf`)),
    ends: HARMLESS,
  },
];
survives("PDFs", PDFS);

survives(
  "PDFs without an end",
  [
    {
      name: "a tile of a thousandth of a point",
      files: {
        "a.pdf": pdfWith(
          [page("/Pattern cs /P scn 0 0 2000 2000 re f", resources("/Pattern<</P 5 0 R>>"), "0 0 2000 2000")],
          [
            stream(
              "1 0 0 rg 0 0 .5 .5 re f",
              "/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 1 1]/XStep .001/YStep .001/Resources<<>>",
            ),
          ],
        ),
      },
      urls: ["tr:w-10/a.pdf"],
      ends: TOO_MUCH,
    },
    {
      name: "2,000 pages of transparency on one",
      files: {
        "a.pdf": pdfWith(
          [page("/F Do ".repeat(2000), resources("/XObject<</F 5 0 R>>"), "0 0 2000 2000")],
          [
            form(
              "/G gs 0 0 1 rg 0 0 2000 2000 re f",
              `/Group<</S/Transparency>>${resources("/ExtGState<</G<</ca .5/BM/Luminosity>>>>")}`,
            ),
          ],
        ),
      },
      urls: ["tr:w-10/a.pdf"],
      ends: TOO_MUCH,
    },
  ],
  { renderSeconds: 3 },
);

const plane = Buffer.alloc(40 * 30, 90);
const psd = (more: Partial<Psd>): Buffer =>
  psdOf({ width: 40, height: 30, bits: 8, mode: 3, planes: [plane, plane, plane], ...more });
const packed = psd({
  packing: 1,
  planes: [
    u16(...Array.from({ length: 90 }, () => 2)),
    Buffer.alloc(180, Buffer.from([217, 90])),
    Buffer.alloc(0),
  ],
});

const PSDS: Hostile[] = [
  ...(
    [
      ["a PSD that claims 30,000 by 30,000", psd({ width: 30_000, height: 30_000 })],
      ["a PSD that claims four billion rows", psd({ width: 1, height: 0xffffffff })],
      ["a PSD that claims 300,000 packed rows", psd({ width: 1, height: 300_000, packing: 1 })],
      ["a PSD of no size", psd({ width: 0, height: 0 })],
      ["a PSD of fewer channels than colours", psd({ planes: [plane] })],
      [
        "a PSD of rows of one bit",
        psd({ mode: 0, bits: 1, width: 1, height: 8_000_000, planes: [Buffer.alloc(8_000_000)] }),
      ],
      [
        "a PSD whose rows are packed longer than it is",
        psd({ packing: 1, planes: [Buffer.alloc(180, 0xff), plane, plane] }),
      ],
      [
        "a PSD whose resources end behind it",
        Buffer.concat([psd({}).subarray(0, 30), Buffer.alloc(4, 0xff), plane]),
      ],
    ] as const
  ).map(([name, file]) => ({ name, files: { "a.psd": file }, urls: ways("a.psd"), ends: NO_PICTURE })),
  {
    name: "a PSD of 64 million pixels in a few bytes",
    files: {
      "a.psd": () => {
        // 125 bytes for each row of 8,000: no more than one repeat of 128 is worth two bytes.
        const row = Buffer.alloc(126, Buffer.from([129, 0]));
        const rows = Array.from({ length: 8000 }, () => row);
        return psd({
          width: 8000,
          height: 8000,
          mode: 1,
          packing: 1,
          planes: [Buffer.concat([u16(...rows.map(() => 126)), ...rows])],
        });
      },
    },
    urls: ways("a.psd"),
    ends: TOO_MUCH,
  },
  { name: "as it should be", files: { "a.psd": packed }, urls: ways("a.psd"), ends: SERVED },
  cuts(async () => packed, "psd", [6, 20, 27, 40, 0.5, 0.9, 0.99]),
  {
    name: "with noise in them",
    files: Object.fromEntries(
      [1, 2, 3, 4, 5, 6].map((n) => [`n${n}.psd`, dented(packed, n % 2 === 0 ? 26 : 230, n)]),
    ),
    urls: [1, 2, 3, 4, 5, 6].flatMap((n) => ways(`n${n}.psd`)),
    ends: HARMLESS,
  },
  {
    name: "a profile that is none",
    files: {
      "a.psd": psd({
        resources: Buffer.concat([latin("8BIM"), u16(1039, 0), Buffer.from([0, 0, 1, 0]), junk(256)]),
      }),
    },
    urls: [...ways("a.psd"), "tr:cp-true,w-10/a.psd"],
    ends: HARMLESS,
  },
];
survives("PSDs", PSDS);
