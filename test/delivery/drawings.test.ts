/** SVG that stays one: what it shows in its new size is what is drawn of it where another format is asked for. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { difference, pixelsOf } from "./conformance/pixels.ts";
import { openSite, sizeOf, type Reply, type Site } from "./site.ts";

/** Four colours, a circle in the middle, and what reaches beyond the picture. */
const drawing = (left: number, top: number, width: number, height: number): string => {
  const [w, h] = [width / 2, height / 2];
  const rectangle = (x: number, y: number, fill: string): string =>
    `<rect x="${x}" y="${y}" width="${w}" height="${h}" fill="${fill}"/>`;
  return `<rect x="${left - width}" y="${top - height}" width="${3 * width}" height="${3 * height}" fill="yellow"/>
    ${rectangle(left, top, "red")}${rectangle(left + w, top, "lime")}
    ${rectangle(left, top + h, "blue")}${rectangle(left + w, top + h, "white")}
    <circle cx="${left + w}" cy="${top + h}" r="${height / 4}" fill-opacity=".5"/>`;
};
const svg = (attributes: string, inner: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" ${attributes}><script>1</script>${inner}</svg>`;
const part = '<circle cx="50%" cy="50%" r="25%" fill="red"/><rect width="50%" height="30%" fill="blue"/>';

const DRAWINGS: Readonly<Record<string, string>> = {
  "plain.svg": svg('width="120" height="80"', drawing(0, 0, 120, 80)),
  "boxed.svg": svg('viewBox="10 -20 60,40"', drawing(10, -20, 60, 40)),
  "both.svg": svg(
    'width="120px" height="80px" viewBox="0 0 12 8" preserveAspectRatio="xMinYMin"',
    drawing(0, 0, 12, 8),
  ),
  "inches.svg": svg('width="3in" height="2in" viewBox="0 0 60 40"', drawing(0, 0, 60, 40)),
  "see-through.svg": svg('width="120" height="80" fill-opacity="0.8"', part),
  // Its ratio is not its box's.
  "beside.svg": svg('width="100" height="100" viewBox="0 0 60 40"', drawing(0, 0, 60, 40)),
  "stretched.svg": svg(
    'width="100" height="100" viewBox="0 0 60 40" preserveAspectRatio="none"',
    drawing(0, 0, 60, 40),
  ),
};

let site: Site;
beforeAll(async () => {
  site = await openSite();
  for (const [name, text] of Object.entries(DRAWINGS)) {
    await site.put(name, Buffer.from(text), { meta: { contentType: "image/svg+xml" } });
  }
});
afterAll(() => site[Symbol.asyncDispose]());

const get = async (path: string): Promise<Reply> => {
  const reply = await site.get(`/root/${path}`, { headers: { accept: "image/avif,image/webp,*/*" } });
  expect([path, reply.status]).toEqual([path, 200]);
  return reply;
};

const SIZES = [
  "w-300",
  "h-41",
  "w-0.5",
  "w-iw_mul_3,q-20",
  "w-300,h-300",
  "w-30,h-60,fo-left",
  "w-300,h-100,fo-bottom_right",
  "ar-1-1",
  "w-90,ar-1-2,fo-top",
  "w-300,h-300,c-force",
  "w-300,h-300,c-at_max",
  "w-300,h-300,c-at_max_enlarge",
  "w-300,h-300,c-at_least",
  "w-300,h-300,c-maintain_ratio_no_enlarge,fo-right",
  "w-200,h-300,cm-pad_resize",
  "w-200,h-300,cm-pad_resize,bg-F3A0B0,fo-top",
  "w-300,h-100,cm-pad_resize,bg-00FF0050,fo-right",
  "w-300,h-300,cm-pad_resize_no_enlarge,bg-blue",
  "w-300,h-300,cm-pad_extract_no_shrink",
  "w-350,h-350,cm-pad_extract",
  "w-150,bg-gray",
  "w-150,h-150,bg-gray",
  "w-100,h-100:w-50",
  "w-200,h-300,cm-pad_resize,bg-gray:w-90,h-90,c-force",
  "w-60:w-200,h-200",
  "w-50,dpr-3",
  "if-ar_gt_1,w-200,h-100,if-else,w-100,h-200,if-end",
  "w-300,f-auto",
  "w-300,f-orig,t-false,rt-auto,pr-true,fo-auto",
  "w-300,f-svg",
];

/** Of these no part can be shown: their roots say already how they lie in boxes of another ratio. */
const UNCUT = ["beside.svg", "stretched.svg"];
const CUTS = /fo-left$|fo-bottom_right$|ar-1-2|^if/;

test.each(Object.keys(DRAWINGS))("%s stays an SVG that shows what would be drawn", async (name) => {
  for (const chain of SIZES) {
    const [kept, drawn] = [await get(`tr:${chain}/${name}`), await get(`tr:${chain}:f-png/${name}`)];
    const drawnTo = (await sizeOf(drawn.body)).split(" ")[1];
    const type = UNCUT.includes(name) && CUTS.test(chain) ? "webp" : "svg";
    expect([chain, await sizeOf(kept.body)]).toEqual([chain, `${type} ${drawnTo}`]);
    const { mean, worst } = difference(await pixelsOf(kept.body), await pixelsOf(drawn.body));
    // What is enlarged after it was drawn has soft edges.
    expect([chain, mean < 3, worst < 20]).toEqual([chain, true, true]);
  }
});

test("its root says its size, and how it lies in it", async () => {
  const rootOf = async (path: string): Promise<string> =>
    /<svg [^>]*/.exec((await get(path)).body.toString())![0];
  expect(await rootOf("tr:w-300/plain.svg")).toMatch(
    / width="300" height="200" viewBox="0 0 120 80" preserveAspectRatio="none"$/,
  );
  expect(await rootOf("tr:w-300,h-50,fo-top/boxed.svg")).toMatch(
    / viewBox="10 -20 60 40" width="300" height="50" preserveAspectRatio="xMidYMin slice"$/,
  );
  expect(await rootOf("tr:w-300/beside.svg")).not.toContain("preserveAspectRatio");
  expect((await get("plain.svg")).body.toString()).toBe(DRAWINGS["plain.svg"]);
});

test("it is harmless, and says what any picture says", async () => {
  const { body, headers } = await get("tr:w-auto,h-10,dpr-2/plain.svg?ik-attachment=true");
  expect(body.toString()).not.toContain("script");
  expect([headers.get("content-type"), headers.get("x-content-type-options")]).toEqual([
    "image/svg+xml",
    "nosniff",
  ]);
  expect(headers.get("content-security-policy")).toContain("sandbox");
  expect(headers.get("vary")).toMatch(/^Accept, Sec-CH-Width/);
  expect(headers.get("content-disposition")).toContain('"plain.svg"');
  const hinted = await site.get("/root/tr:w-auto/plain.svg", {
    headers: { "sec-ch-width": "150", "sec-ch-dpr": "2" },
  });
  expect([await sizeOf(hinted.body), hinted.headers.get("content-dpr")]).toEqual(["svg 200x133", "2.67"]);
  // Whoever names no format at all reads it too, and aliases keep the source's.
  expect(await sizeOf((await site.get("/image/photos/plain.svg?w=60")).body)).toBe("svg 60x40");
  expect((await site.get("/root/tr:w-20000/plain.svg")).status).toBe(422);
  expect((await site.get("/root/tr:w-120,h-80,cm-extract,x-5/plain.svg")).status).toBe(400);
});

test.each([
  "w-300,e-grayscale",
  "w-300,r-20",
  "w-300,rt-90",
  "w-300,o-50,bg-red",
  "w-300,h-300,cm-pad_resize,o-50,bg-red",
  "w-300,t-true",
  "w-300,b-2_red",
  "w-300,fl-h",
  "w-30,h-30,cm-extract",
  "w-30,h-30,cm-extract,x-5,y-5",
  "w-300,h-300,fo-auto",
  "w-300,h-300,cm-pad_resize,bg-blurred",
  "w-300,h-300,cm-pad_resize,bg-dominant",
  "w-60,h-60:w-30,h-50",
  "w-300,l-text,i-a,l-end",
  "w-300,f-webp",
])("%s is drawn", async (chain) => {
  expect((await get(`tr:${chain}/plain.svg`)).headers.get("content-type")).toBe("image/webp");
});

test.each([
  ["no size", svg("", '<rect width="9" height="9"/>')],
  ["a size that depends on its font", svg('width="9em" height="9em"', "<rect/>")],
  ["a size in its style", svg('viewBox="0 0 9 9" style="width:30px;height:30px"', "<rect/>")],
  ["a size in its style sheet", svg('viewBox="0 0 9 9"', "<style>svg{width:30px;height:30px}</style>")],
  ["a turned root", svg('viewBox="0 0 9 9" transform="rotate(9)"', "<rect/>")],
])("an SVG of %s is drawn", async (_, text) => {
  await site.put("odd.svg", Buffer.from(text), { meta: { contentType: "image/svg+xml" } });
  for (const chain of ["w-60", "w-60,h-90,cm-pad_resize,bg-red"]) {
    const { headers } = await get(`tr:${chain}/odd.svg`);
    expect([chain, headers.get("content-type")]).toEqual([chain, "image/webp"]);
  }
});
