import { describe, expect, test } from "vitest";
import { planText } from "../../../../src/delivery/plan/text.ts";
import { parseWeekerp, type Asked } from "../../../../src/delivery/plan/url.ts";
import { refusal } from "./setup.ts";

const read = (query: string, family: "image" | "video" | "file" = "image"): Asked =>
  parseWeekerp(family, "a/b.jpg", query);

/** Options of the only step, and what holds besides. */
function options(query: string, family?: "image" | "video"): unknown {
  const { plan } = read(query, family);
  if (plan === undefined) return undefined;
  expect(plan.steps).toHaveLength(1);
  const [step] = plan.steps;
  return step !== undefined && "options" in step ? step.options : undefined;
}

describe("pictures", () => {
  test.each([
    ["width=300", { width: 300 }],
    ["w=300&h=200", { width: 300, height: 200 }],
    ["w=0.5", { width: 0.5 }],
    ["size=800x600", { width: 800, height: 600 }],
    ["s=800x600", { width: 800, height: 600 }],
    ["size=800x600&width=400", { width: 400, height: 600 }],
    ["h=100&size=800x600", { width: 800, height: 100 }],
    ["fit=cover", { crop: "maintain_ratio" }],
    ["fit=contain", { cropMode: "pad_resize" }],
    ["fit=fill", { crop: "force" }],
    ["fit=inside", { crop: "at_max_enlarge" }],
    ["fit=outside", { crop: "at_least" }],
    ["c=at_max", { crop: "at_max" }],
    ["p=top", { focus: { at: "top" } }],
    ["position=centre", { focus: { at: "center" } }],
    ["fit=cover&position=left", { crop: "maintain_ratio", focus: { at: "left" } }],
    // Only `cover` cuts something off.
    ["fit=contain&position=left", { cropMode: "pad_resize" }],
    ["position=left&fit=fill", { crop: "force" }],
    ["format=webp", { format: "webp" }],
    ["f=jpg", { format: "jpeg" }],
    ["f=tiff", { format: "tiff" }],
    ["f=svg", { format: "svg" }],
    ["f=auto", { format: "auto" }],
    ["q=1", { quality: 1 }],
    ["quality=100", { quality: 100 }],
    ["rotate=-360", { rotate: -360 }],
    ["rotate=90", { rotate: 90 }],
    ["flip=true", { flip: { horizontal: false, vertical: true } }],
    ["flop=true", { flip: { horizontal: true, vertical: false } }],
    ["flip=true&flop=true", { flip: { horizontal: true, vertical: true } }],
    ["flip=false", undefined],
    ["grayscale=true", { grayscale: true }],
    ["blur=0.3", { blurSigma: 0.3 }],
    ["sharpen=20", { sharpenSigma: 20 }],
    ["gamma=2.2", { gamma: 2.2 }],
    ["brightness=0.5", { brightness: 0.5 }],
    ["saturation=0", { saturation: 0 }],
    ["hue=-360", { hue: -360 }],
    ["threshold=255", { threshold: 255 }],
    ["w=300&v=3&debug=true&ai=make it square&ik-s=1&wl-sig=2", { width: 300 }],
    ["v=3", undefined],
    ["", undefined],
  ])("?%s", (query, expected) => {
    expect(options(query)).toEqual(expected);
  });

  test("quality is 80 and the format that of the source, unless the URL says otherwise", () => {
    expect(read("w=1").plan?.defaults).toEqual({ quality: 80, format: "source" });
    expect(planText(read("height=200&format=webp&width=300").plan!)).toBe(
      "w-300,h-200,f-webp:default-q-80,f-orig",
    );
  });

  test.each([
    [
      "tr=w-1",
      /^InvalidParameter: "tr" is no transformation\. Known: width, w, height, h, fit, c, position, p, rotate/,
    ],
    [
      "w=100000",
      /^InvalidParameter: w can't be "100000"\. Allowed: whole pixels from 1 to 99999, or a fraction/,
    ],
    ["w=0", /^InvalidParameter: w can't be "0"/],
    ["w=iw_div_2", /^InvalidParameter: w can't be/],
    ["w=1&width=1", /^InvalidParameter: width stands twice/],
    ["w=1&w=1", /^InvalidParameter: w stands twice/],
    [
      "size=800",
      /^InvalidParameter: size can't be "800"\. Allowed: width and height, each from 1 to 99999 pixels, such as 800x600\.$/,
    ],
    ["size=0x5", /^InvalidParameter: size can't be/],
    ["s=100000x5", /^InvalidParameter: size can't be "100000x5"\. Allowed: .* from 1 to 99999 pixels/],
    ["size=1x1&s=1x1", /^InvalidParameter: size stands twice/],
    [
      "fit=stretch",
      /^InvalidParameter: fit can't be "stretch"\. Allowed: contain, one of cover, fill, inside, outside/,
    ],
    ["fit=contain&c=cover", /^InvalidParameter: c stands twice/],
    ["c=cover&fit=contain", /^InvalidParameter: fit stands twice/],
    ["position=face", /^InvalidParameter: position can't be "face"/],
    ["f=bmp", /^InvalidParameter: f can't be "bmp"\. Allowed: one of webp, avif, jpeg/],
    ["q=0", /^InvalidParameter: q can't be "0"\. Allowed: a whole number from 1 to 100/],
    ["rotate=361", /^InvalidParameter: rotate can't be "361"\. Allowed: degrees from -360 to 360/],
    ["flip=1", /^InvalidParameter: flip can't be "1"\. Allowed: true or false/],
    ["flip=true&flip=true", /^InvalidParameter: flip stands twice/],
    ["grayscale=yes", /^InvalidParameter: grayscale can't be/],
    ["blur=0.2", /^InvalidParameter: blur can't be "0.2"\. Allowed: a number from 0.3 to 20/],
    ["sharpen=21", /^InvalidParameter: sharpen can't be/],
    ["gamma=0.9", /^InvalidParameter: gamma can't be "0.9"\. Allowed: a number from 1 to 3/],
    ["brightness=2.1", /^InvalidParameter: brightness can't be "2.1"\. Allowed: a number from 0.5 to 2/],
    ["saturation=3.1", /^InvalidParameter: saturation can't be/],
    ["hue=361", /^InvalidParameter: hue can't be/],
    ["threshold=256", /^InvalidParameter: threshold can't be/],
    ["threshold=1.5", /^InvalidParameter: threshold can't be/],
    ["debug=1", /^InvalidParameter: debug can't be "1"\. Allowed: true or false/],
    ["ai=", /^InvalidParameter: ai can't be ""/],
    ["w=%zz", /^InvalidPath: The query holds/],
  ])("?%s is refused", (query, reason) => {
    expect(refusal(() => read(query))).toMatch(reason);
  });

  test.each([
    ["w=300&utm_source=x&v=2&debug=true&ai=blur&wl-sig=1&ik-s=1", "utm_source=x"],
    ["alt=media&token=a%2Fb&f=webp", "alt=media&token=a%2Fb"],
    ["blurr=3&constructor=1&x=%zz&W=1", "blurr=3&constructor=1&x=%zz&W=1"],
    ["size=1x1&flip=true&c=cover", ""],
  ])("of ?%s a web server sees ?%s", (query, rest) => {
    expect(read(query).query).toBe(rest);
  });

  test("a prompt, and whether it is to be explained", () => {
    expect(read("ai=reduce+the%20size&debug=true&v=1")).toMatchObject({
      prompt: "reduce the size",
      debug: true,
      plan: undefined,
      adHoc: true,
      what: "image",
      query: "",
    });
    expect(read("v=%zz")).toMatchObject({ prompt: undefined, debug: false, adHoc: false });
  });
});

describe("films", () => {
  test.each([
    ["w=300&fit=contain", { width: 300, cropMode: "pad_resize" }],
    ["size=640x360&p=top&q=30", { width: 640, height: 360, focus: { at: "top" }, quality: 30 }],
    ["format=mp4", { format: "mp4" }],
    ["f=webm", { format: "webm" }],
    ["rotate=-90", { rotate: -90 }],
  ])("?%s", (query, expected) => {
    expect(options(query, "video")).toEqual(expected);
    expect(read(query, "video")).toMatchObject({ what: "video", plan: { defaults: { quality: 50 } } });
  });

  test.each([
    ["blur=3", /^InvalidParameter: "blur" is no transformation\. Known: width, w, height/],
    ["format=webp", /^InvalidParameter: format can't be "webp"\. Allowed: one of mp4, webm, auto/],
    ["rotate=45", /^InvalidParameter: rotate can't be "45"\. Allowed: 0, 90, 180/],
    ["tr=w-1", /^InvalidParameter: "tr" is no transformation/],
  ])("?%s is refused", (query, reason) => {
    expect(refusal(() => read(query, "video"))).toMatch(reason);
  });
});

test("files take no options", () => {
  expect(read("w=300&anything=%zz&ik-attachment=true&ai=", "file")).toEqual({
    path: "a/b.jpg",
    urlPath: "a/b.jpg",
    what: "file",
    plan: undefined,
    defaults: { quality: 80, format: "source" },
    adHoc: false,
    attachment: true,
    prompt: undefined,
    debug: false,
    stream: undefined,
    query: "w=300&anything=%zz",
  });
});

test("an absolute URL behind the alias of a web proxy", () => {
  expect(parseWeekerp("image", "https:/example.com/a%20b.jpg", "w=1").path).toBe(
    "https://example.com/a%20b.jpg",
  );
});
