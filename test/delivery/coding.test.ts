/** Text goes out compressed to who takes it so, and each coding is a version of its own. */
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { noise, openSite, quadrants, type Reply, type Site } from "./site.ts";

const WORDS = Buffer.from("a { colour: blue }\n".repeat(200));
const SVG = Buffer.from(
  `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">${"<path d='M1 2h3'/>".repeat(99)}</svg>`,
);
let site: Site;

beforeAll(async () => {
  site = await openSite();
  await site.put("photo.jpg", await noise(300, 200), { meta: { contentType: "image/jpeg" } });
  await site.put("site.css", WORDS, { meta: { contentType: "text/css; charset=utf-8" } });
  await site.put("site.svg", SVG, { meta: { contentType: "image/svg+xml" } });
  await site.put("live.m3u8", WORDS, { meta: { contentType: "application/vnd.apple.mpegurl" } });
  await site.put("short.css", Buffer.from("a{}"), { meta: { contentType: "text/css" } });
  await site.put("long.txt", Buffer.alloc(3_000_000, "x"), { meta: { contentType: "text/plain" } });
  await site.put("packed.css", gzipSync(WORDS), {
    meta: { contentType: "text/css", contentEncoding: "gzip" },
  });
  const names = ["ImageDescription", "Make", "Model", "Software", "Artist", "Copyright"];
  const exif = { IFD0: Object.fromEntries(names.map((name) => [name, "words ".repeat(40)])) };
  await site.put("told.jpg", await quadrants(9, 9).withExif(exif).jpeg().toBuffer());
  await site.put("kept.css", WORDS, { meta: { contentType: "text/css", cacheControl: "no-transform" } });
});
afterAll(() => site[Symbol.asyncDispose]());

const getAs = (path: string, codings: string, headers: Record<string, string> = {}): Promise<Reply> =>
  site.get(path, { headers: { "accept-encoding": codings, ...headers } });
const codingSaid = ({ headers }: Reply): unknown[] =>
  ["content-encoding", "vary", "content-length"].map((name) => headers.get(name));

test.each([
  ["gzip, deflate, br", "br"],
  ["GZIP;q=1.0, br;q=0.5", "gzip"],
  ["br;q=0, *", "gzip"],
  ["*", "br"],
  ["gzip;q=0.5, identity", null],
  ["deflate, zstd", null],
  ["gzip;q=0, br;q=0.000", null],
  ["", null],
])("for who accepts '%s' text goes out as %s", async (codings, coding) => {
  const reply = await getAs("/root/site.css", codings);
  // Decoded by the client.
  expect(reply.body.equals(WORDS)).toBe(true);
  expect(codingSaid(reply)).toEqual([
    coding,
    "Accept-Encoding",
    coding === null ? String(WORDS.length) : null,
  ]);
});

test.each([
  ["/root/site.svg", "br"],
  ["/root/tr:f-svg/site.svg", "br"],
  ["/root/told.jpg/metadata", "br"],
  ["/root/photo.jpg/metadata", null],
  ["/file/photos/live.m3u8", "br"],
  ["/root/short.css", null],
  ["/root/long.txt", null],
  ["/root/packed.css", "gzip"],
  ["/root/kept.css", null],
  ["/root/photo.jpg", null],
  ["/root/tr:w-99,f-png/photo.jpg", null],
])("%s is sent as %s", async (path, coding) => {
  const [plain, reply] = [await getAs(path, "identity"), await getAs(path, "br")];
  expect([reply.status, reply.headers.get("content-encoding")]).toEqual([200, coding]);
  expect(reply.body.equals(plain.body)).toBe(true);
});

test.each(["/root/site.css", "/root/tr:f-svg/site.svg", "/root/told.jpg/metadata"])(
  "%s in each coding is a version of its own, to HEAD and conditions too",
  async (path) => {
    const tags = new Map<string, string>();
    for (const coding of ["identity", "gzip", "br"]) {
      const whole = await getAs(path, coding);
      const etag = whole.headers.get("etag")!;
      tags.set(coding, etag);
      const head = await site.get(path, { method: "HEAD", headers: { "accept-encoding": coding } });
      expect([head.status, codingSaid(head), head.headers.get("etag")]).toEqual([
        200,
        codingSaid(whole),
        etag,
      ]);
      for (const tag of [etag, `"x", W/${etag}`]) {
        const again = await getAs(path, coding, { "if-none-match": tag });
        expect([again.status, again.headers.get("etag"), again.headers.get("vary")]).toEqual([
          304,
          etag,
          "Accept-Encoding",
        ]);
      }
      const answered = async (tag: string) => (await getAs(path, coding, { "if-match": tag })).status;
      expect([await answered(etag), await answered(`W/${etag}`)]).toEqual([200, 412]);
    }
    expect(new Set(tags.values()).size).toBe(3);
    // Who can't read it doesn't have it.
    const { status: other } = await getAs(path, "gzip", { "if-none-match": tags.get("br")! });
    expect(other).toBe(200);
    // Who has it as it is need not have it compressed.
    const had = await getAs(path, "br", { "if-none-match": tags.get("identity")! });
    expect([had.status, had.headers.get("etag")]).toEqual([304, tags.get("identity")]);
  },
);

test("text has ranges as it is stored, and none of what was compressed", async () => {
  const range = "bytes=10-19";
  const part = await getAs("/root/site.css", "br", { range });
  expect([part.status, ...codingSaid(part)]).toEqual([206, null, "Accept-Encoding", "10"]);
  expect(part.body.equals(WORDS.subarray(10, 20))).toBe(true);
  const etag = (await getAs("/root/site.css", "br")).headers.get("etag")!;
  const rest = await getAs("/root/site.css", "br", { range, "if-range": etag });
  expect([rest.status, rest.body.equals(WORDS)]).toEqual([200, true]);
});
