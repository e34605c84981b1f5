import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { withoutIdle } from "../../../../src/delivery/plan/canonical.ts";
import { planText } from "../../../../src/delivery/plan/text.ts";
import { namesIn, parseImageKit, parseWeekerp, type Asked } from "../../../../src/delivery/plan/url.ts";
import { outcome, refusal } from "./setup.ts";

const NAMED = new Map([
  ["thumb", "w-100,h-100,c-at_max"],
  ["blur_thumbnail", "w-300,h-200,bl-10:rt-90"],
  ["bad", "n-thumb"],
]);

const read = (rawPath: string, rawQuery = ""): Asked => parseImageKit({ rawPath, rawQuery, named: NAMED });
const planOf = ({ plan }: Asked): string | undefined =>
  plan && planText({ ...plan, steps: withoutIdle(plan.steps) });
/** Path, plan and what of an ImageKit URL. */
function imagekit(rawPath: string, rawQuery = ""): { path: string; plan: string | undefined } {
  const asked = read(rawPath, rawQuery);
  return { path: asked.path, plan: planOf(asked) };
}

describe("transformations stand in the path or in the query", () => {
  test.each([
    ["tr:w-300", "w-300"],
    ["tr:w-300,h-200", "w-300,h-200"],
    ["tr:h-200,w-300", "w-300,h-200"],
    ["tr:w-0.50", "w-0.5"],
    ["tr:w-.5,h-0.25", "w-0.5,h-0.25"],
    ["tr:w-300,h-200,c-maintain_ratio", "w-300,h-200"],
    ["tr:w-300,h-200,c-at_max", "w-300,h-200,c-at_max"],
    ["tr:w-300,h-200,c-force", "w-300,h-200,c-force"],
    ["tr:w-300,c-force", "w-300"],
    ["tr:w-300,c-at_max", "w-300,c-at_max"],
    ["tr:c-force", "default-q-80,f-auto"],
    ["tr:f-jpg", "f-jpg"],
    ["tr:f-jpeg,q-1", "f-jpg,q-1"],
    ["tr:f-orig,q-100", "f-orig,q-100"],
    ["tr:w-9,q-50:h-8,q-60,f-webp", "w-9,q-50:h-8,f-webp,q-60"],
    ["tr%3Aw-300%2Ch-200", "w-300,h-200"],
    ["tr%3aw-300%2ch-200%3Art-90", "w-300,h-200:rt-90"],
    ["tr:w-300%2Ch-300", "w-300,h-300"],
    ["tr:w-16383", "w-16383"],
    ["tr:l-text%2Ci-a%2520b%2Cl-end", "l-text,ie-YSUyMGI%3D,l-end"],
    ["tr:l-image,i-a%40%40b.png,l-end", "l-image,i-a@@b.png,l-end"],
    ["tr:l-image,i-a%2Fb.png,l-end", "l-image,i-a@@b.png,l-end"],
    ["tr:l-text,ie-4KS54KS%2F4KSo4KWN4KSm4KWA,l-end", "l-text,ie-4KS54KS%2F4KSo4KWN4KSm4KWA,l-end"],
    // A proxy that decodes too much.
    ["tr:l-text,ie-4KS54KS/4KSo4KWN4KSm4KWA,l-end:w-9", "l-text,ie-4KS54KS%2F4KSo4KWN4KSm4KWA,l-end:w-9"],
    ["tr:e-changebg-prompt-snow%20road", "e-changebg-prompte-c25vdyByb2Fk"],
  ])("%s is the plan %s", (transformation, plan) => {
    expect(imagekit(`${transformation}/dir/a.jpg`)).toEqual({ path: "dir/a.jpg", plan });
    expect(imagekit("dir/a.jpg", `v=1&tr=${transformation.replace(/^tr(:|%3A)/i, "")}`)).toEqual({
      path: "dir/a.jpg",
      plan,
    });
    expect(imagekit("dir/a.jpg", `tr=${transformation}&x`)).toEqual({ path: "dir/a.jpg", plan });
  });

  test.each([
    ["a.jpg", "", "a.jpg"],
    ["a.jpg", "v=2&updatedAt=7&ik-sdk-version=js-1&ik-s=0&ik-t=1", "a.jpg"],
    ["a.jpg", "discount=50%&%zz=1&x=%ff", "a.jpg"],
    ["a.jpg", "tr=", "a.jpg"],
    ["a.jpg", "tr=tr:,+:", "a.jpg"],
    ["a.jpg", "tr=&tr=,", "a.jpg"],
    ["tr:/a.jpg", "tr=", "a.jpg"],
    ["dir/tr:w-1/a.jpg", "", "dir/tr:w-1/a.jpg"],
    ["tr", "", "tr"],
    ["a%20b+c%2Bd.jpg", "", "a b+c+d.jpg"],
    ["a%252Fb%2Fc", "", "a%2Fb/c"],
    ["/a//b/", "", "/a//b/"],
    ["../a/%2e%2e/./b", "", "../a/.././b"],
    ["%E6%97%A5%F0%9F%98%80", "", "日😀"],
    [Buffer.from("grün").toString("latin1"), "", "grün"],
    ["%EF%BB%BFa", "", "\u{FEFF}a"],
    ["constructor", "__proto__=1&constructor=2", "constructor"],
  ])("/%s?%s is the file %s as it is", (rest, query, path) => {
    expect(imagekit(rest, query)).toEqual({ path, plan: undefined });
  });

  test.each([
    [
      "tr:w-0/a",
      "",
      /^InvalidParameter: w can't be "0"\. Allowed: whole pixels from 1 to 65535 \(more is left out of account\), a fraction of the input below 1/,
    ],
    ["tr:w--1/a", "", /^InvalidParameter: w can't be "-1"/],
    ["tr:w-1.5/a", "", /^InvalidParameter: w can't be "1.5"/],
    ["tr:w-1e3/a", "", /^InvalidParameter: w can't be "1e3"/],
    ["tr:w-/a", "", /^InvalidParameter: w can't be ""/],
    ["tr:q-101/a", "", /^InvalidParameter: q can't be "101"\. Allowed: a whole number from 1 to 100\.$/],
    ["tr:z-0.001/a", "", /^InvalidParameter: z can't be "0.001"\. Allowed: a number from 0.01 to 100\.$/],
    ["tr:r-1_2_3_70000/a", "", /^InvalidParameter: r can't be .* Allowed: .* from 0 to 65535/],
    ["tr:e-usm-1-1-1-1001/a", "", /^InvalidParameter: e-usm can't be .* each up to 1000/],
    ["tr:e-distort-a-361/a", "", /^InvalidParameter: e-distort can't be .* N360 to 360/],
    ["tr:bg-blurred_101/a", "", /^InvalidParameter: bg can't be .* intensity from 0 to 100/],
    ["tr:pg-0/a", "", /^InvalidParameter: pg can't be "0"\. Allowed: pages from 1 to 9999/],
    ["tr:f-constructor/a", "", /^InvalidParameter: f can't be "constructor"/],
    ["tr:w-1,w-2/a", "", /^InvalidParameter: w stands twice\.$/],
    ["tr:constructor-1/a", "", /^InvalidParameter: tr: "constructor-1" is no transformation/],
    ["tr:w-1/a", "tr=w-1", /^InvalidParameter: Transformations stand once/],
    ["a", "tr=w-1&tr=w-1", /^InvalidParameter: Transformations stand once/],
    ["tr:l-text,i-a/b.jpg", "", /^InvalidParameter: tr: l-end is missing\.$/],
    [
      `tr:${Array.from({ length: 9 }, () => "w-1").join(":")}/a`,
      "",
      /^LimitExceeded: A chain has at most 8 steps/,
    ],
    ["tr:w-1/", "", /^NotFound: The URL names no file\.$/],
    ["tr:w-1", "", /^NotFound: /],
    ["", "", /^NotFound: /],
    ["%", "", /^InvalidPath: The path holds a % that encodes nothing\.$/],
    ["%c0%af", "", /^InvalidPath: The path is not UTF-8\.$/],
    ["%ed%a0%80", "", /^InvalidPath: The path is not UTF-8\.$/],
    ["a".repeat(1025), "", /^InvalidPath: A path has at most 1024 bytes\.$/],
    [`https://example.com/${"a".repeat(8173)}`, "", /^InvalidPath: A path has at most 8192 bytes\.$/],
    ["%C3%BC".repeat(513), "", /^InvalidPath: A path has at most 1024 bytes\.$/],
    ["a%00b.png", "", /^InvalidPath: A path has no NUL character\.$/],
    ["a", "tr=%zz", /^InvalidPath: The query/],
  ])("/%s?%s is refused", (rest, query, reason) => {
    expect(refusal(() => imagekit(rest, query))).toMatch(reason);
  });
});

describe("named transformations", () => {
  test.each([
    ["tr:n-thumb/a.jpg", "", ["thumb"], "w-100,h-100,c-at_max", false],
    ["tr%3An-thumb/a.jpg", "", ["thumb"], "w-100,h-100,c-at_max", false],
    ["a.jpg", "tr=n-thumb", ["thumb"], "w-100,h-100,c-at_max", false],
    ["a.jpg", "tr=%6e%2dthumb", ["thumb"], "w-100,h-100,c-at_max", false],
    [
      "tr:n-thumb:n-blur_thumbnail/a.jpg",
      "",
      ["thumb", "blur_thumbnail"],
      "w-100,h-100,c-at_max:w-300,h-200,bl-10:rt-90",
      false,
    ],
    ["tr:n-thumb,q-50/a.jpg", "", ["thumb"], "w-100,h-100,c-at_max,q-50", true],
    ["tr:n-blur_thumbnail,q-50/a.jpg", "", ["blur_thumbnail"], "w-300,h-200,bl-10:rt-90,q-50", true],
    ["tr:q-50:n-thumb/a.jpg", "", ["thumb"], "q-50:w-100,h-100,c-at_max", true],
    [
      "tr:l-image,i-n-thumb.png,n-thumb,l-end/a.jpg",
      "",
      ["thumb"],
      "l-image,i-n-thumb.png:w-100,h-100,c-at_max,l-end",
      true,
    ],
    ["a.jpg", "tr=, n-thumb,:", ["thumb"], "w-100,h-100,c-at_max", false],
    ["a.jpg", "tr=orig-true,n-none", ["none"], "orig-true", true],
    ["n-a/a.jpg", "x=n-b", [], undefined, false],
  ])("/%s?%s names %j", (path, query, names, plan, adHoc) => {
    expect(namesIn(path, query)).toEqual(names);
    const asked = read(path, query);
    expect([planOf(asked), asked.adHoc]).toEqual([plan, adHoc]);
  });

  test.each([
    ["tr:n-nobody/a", /^InvalidParameter: There is no named transformation "nobody"\.$/],
    ["tr:n-/a", /^InvalidParameter: There is no named transformation ""\.$/],
    ["tr:n-constructor/a", /^InvalidParameter: There is no named transformation "constructor"\.$/],
    ["tr:n-bad/a", /^InvalidParameter: tr: "n-thumb": a named transformation can't name another one\.$/],
    [`tr:${"n-long,".repeat(20)}q-1/a`, /^LimitExceeded: A chain has at most 20000 characters\.$/],
  ])("/%s is refused", (rawPath, reason) => {
    const named = new Map([...NAMED, ["long", `w-${"1_add_".repeat(600)}1`]]);
    expect(refusal(() => parseImageKit({ rawPath, rawQuery: "", named }))).toMatch(reason);
  });
});

describe("forms of paths", () => {
  test.each([
    ["dir/a.mp4/ik-thumbnail.jpg", "dir/a.mp4", "thumbnail"],
    ["a.mp4/ik-master.m3u8", "a.mp4", "hls"],
    ["a.mp4/ik-master.mpd", "a.mp4", "dash"],
    ["film/ik-video.mp4", "film", "video"],
    ["a.gif/ik-gif-video.mp4", "a.gif", "gif-video"],
    ["ik-thumbnail.jpg", "ik-thumbnail.jpg", "image"],
    ["a.mp4/ik-thumbnail.png", "a.mp4/ik-thumbnail.png", "image"],
    ["a.mp4/constructor", "a.mp4/constructor", "image"],
    ["dir/a.jpg/metadata", "dir/a.jpg", "metadata"],
    ["dir/metadata", "dir/metadata", "image"],
    ["metadata", "metadata", "image"],
    ["ik-seo/dir/DSC1234/eiffel-tower.jpg", "dir/DSC1234.jpg", "image"],
    ["ik-seo/DSC1234/eiffel%20tower.jpg", "DSC1234.jpg", "image"],
    ["ik-seo/DSC1234/eiffel-tower", "DSC1234", "image"],
    ["ik-seo/film/nice.mp4/ik-thumbnail.jpg", "film.mp4", "thumbnail"],
    ["ik-seo/photo/nice.jpg/metadata", "photo.jpg", "metadata"],
    ["dir/ik-seo/a/b.jpg", "dir/ik-seo/a/b.jpg", "image"],
    ["tr:w-9/ik-seo/a/b.jpg", "a.jpg", "image"],
    ["tr:w-9/a.mp4/ik-thumbnail.jpg", "a.mp4", "thumbnail"],
  ])("%s is the %s of kind %s", (rawPath, path, what) => {
    expect(read(rawPath)).toMatchObject({ path, what, stream: undefined });
  });

  test("a piece of a stream", () => {
    expect(read("dir/a.mp4/ik-stream/abc-1/720p_00001.m4s")).toMatchObject({
      path: "dir/a.mp4",
      what: "stream",
      stream: { id: "abc-1", name: "720p_00001.m4s" },
    });
    for (const path of [
      "a.mp4/ik-stream/x",
      "ik-stream/x/y",
      "a/ik-stream/..%2f/y",
      "a/ik-stream/x/..",
      "a/ik-stream/x/b%2Fc",
    ]) {
      expect(read(path)).toMatchObject({ path: decodeURIComponent(path), what: "image", stream: undefined });
    }
  });

  test.each([
    ["ik-seo/a.jpg", /^NotFound: /],
    ["ik-seo", /^NotFound: /],
    [
      "ik-genimg-prompt-a%20cat/dir/a.jpg",
      /^NotAvailable: ik-genimg: this server doesn't make pictures from text\.$/,
    ],
  ])("%s is refused", (rawPath, reason) => {
    expect(refusal(() => read(rawPath))).toMatch(reason);
  });

  test.each([
    ["", "image", 80],
    ["/ik-thumbnail.jpg", "thumbnail", 80],
    ["/ik-video.mp4", "video", 50],
    ["/ik-gif-video.mp4", "gif-video", 50],
    ["/ik-master.m3u8", "hls", 50],
  ])("a.mp4%s is %s, of quality %d", (suffix, what, quality) => {
    expect(read(`a.mp4${suffix}`, "tr=so-1")).toMatchObject({
      what,
      plan: { defaults: { quality, format: "auto" } },
    });
  });
});

test.each([
  ["https://example.com/a.jpg", "", "https://example.com/a.jpg"],
  ["https:/example.com/a.jpg", "", "https://example.com/a.jpg"],
  ["HTTP://example.com/a.jpg", "", "http://example.com/a.jpg"],
  ["https://example.com/a%20b%2Fc%3Fd.jpg", "x=1", "https://example.com/a%20b%2Fc%3Fd.jpg"],
  ["https%3A//example.com/a%20b.jpg", "", "https://example.com/a%20b.jpg"],
  ["https%3A%2F%2Fexample.com%2Fa%2520b.jpg%3Fx%3D1", "", "https://example.com/a%20b.jpg?x=1"],
  ["https%3A%2Fexample.com%2Fa.jpg", "", "https://example.com/a.jpg"],
  ["tr:w-9/https://example.com/a.jpg", "", "https://example.com/a.jpg"],
  ["https://example.com/a.mp4/ik-thumbnail.jpg", "", "https://example.com/a.mp4"],
  ["https%3A%2F%2Fexample.com%2Fa.mp4/ik-thumbnail.jpg", "", "https://example.com/a.mp4"],
  ["httpsx://example.com/a.jpg", "", "httpsx://example.com/a.jpg"],
])("the path %s?%s of a web proxy is %s", (rawPath, rawQuery, path) => {
  expect(read(rawPath, rawQuery).path).toBe(path);
});

test.each([
  ["tr=w-1&v=2&ik-s=1&ik-t=2&ik-attachment=true&x=%20&x&wl-sig=1&ai=x&debug=true", "v=2&x=%20&x"],
  ["alt=media&token=a%2Fb", "alt=media&token=a%2Fb"],
  ["", ""],
  ["&&a=1&&", "a=1"],
])("of ?%s a web server sees ?%s", (query, rest) => {
  expect(read("a.jpg", query).query).toBe(rest);
});

test("parameters beside transformations", () => {
  expect(read("a.jpg", "ik-attachment=true&ik-debug=true")).toMatchObject({ attachment: true, debug: true });
  expect(read("a.jpg", "ik-attachment=false")).toMatchObject({ attachment: false, debug: false });
  expect(read("a.jpg", "debug=true")).toMatchObject({ debug: true });
  expect(read("a.jpg", "ai=make+it%20square")).toMatchObject({
    prompt: "make it square",
    adHoc: true,
    plan: undefined,
  });
  expect(read("a.jpg", "ai=%EC%A0%95%EC%82%AC%EA%B0%81%ED%98%95&tr=n-thumb")).toMatchObject({
    prompt: "정사각형",
    adHoc: true,
  });
  expect(refusal(() => read("a.jpg", "ai="))).toMatch(
    /^InvalidParameter: ai can't be ""\. Allowed: 1 to 500 characters/,
  );
  expect(refusal(() => read("a.jpg", `ai=${"x".repeat(501)}`))).toMatch(/^InvalidParameter: ai can't be/);
  expect(refusal(() => read("a.jpg", "ai=x&ai=y"))).toBe("InvalidParameter: ai stands twice.");
});

test("any path and query is understood or refused, and never anything else", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "tr:",
      "tr=",
      "w-",
      "%",
      "%2",
      "%2F",
      "/",
      "//",
      "https:/",
      ":",
      ",",
      "-",
      "&",
      "=",
      "ik-seo/",
      "/ik-thumbnail.jpg",
      "/metadata",
      "ik-stream/",
      "l-text,i-a",
      "l-end",
      "n-thumb",
      "ai=",
      "é",
      "w_300",
      "c_fill",
      "l_text:Arial_40:x",
      "t_thumb",
      "fl_layer_apply",
      "image/upload/",
      "w=",
      "fit=crop",
      "usm=",
      "usmrad=",
      "imwidth=",
    ),
    fc.string(),
  );
  const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
  const rewriter = fc.constantFrom(
    undefined,
    "cloudinary" as const,
    "cloudinary-preserve-types" as const,
    "imgix" as const,
    "akamai" as const,
  );
  fc.assert(
    fc.property(
      text,
      text,
      rewriter,
      fc.constantFrom("image", "video", "file"),
      (path, query, service, family) => {
        const more = service === undefined ? {} : { rewriter: service };
        const tries = [
          () => namesIn(path, query, service),
          () => parseImageKit({ rawPath: path, rawQuery: query, named: NAMED, ...more }),
          () => parseWeekerp(family, path, query),
        ];
        for (const one of tries) {
          expect(outcome(one)).toMatch(
            /^(understood|Invalid(Path|Parameter)|NotFound|LimitExceeded|NotAvailable)$/,
          );
        }
      },
    ),
    { numRuns: 1500 },
  );
});

test("every key is reached by its percent-encoded path", () => {
  const key = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 60 })
    .filter((name) => !/^(tr:|https?:|ik-)/i.test(name));
  fc.assert(
    fc.property(key, (name) => {
      const encoded = name.split("/").map(encodeURIComponent).join("/");
      expect(parseWeekerp("file", encoded, "")).toMatchObject({ path: name });
      expect(read(encoded)).toMatchObject({ path: name });
    }),
  );
});
