import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DeliveryError } from "../../../src/delivery/errors.ts";
import {
  planOf,
  planText,
  TRANSFORMATIONS,
  transformationsMarkdown,
  type Options,
} from "../../../src/delivery/transforms.ts";
import { parseFile, parseUrl } from "../../../src/delivery/url.ts";

/** Path and plan of an ImageKit URL under `/root`, without an endpoint's prefix. */
function imagekit(rest: string, query = ""): { path: string; plan: string | undefined } {
  const url = parseUrl(`/root/${rest}`, query);
  if (url.family !== "account") throw new Error("not an account's URL");
  expect(url.account).toBe("root");
  const { path, plan } = parseFile(url.segments, url.query);
  return { path, plan: plan && planText(plan) };
}

function weekerp(query: string, family = "image"): string | undefined {
  const url = parseUrl(`/${family}/pics/a/b.jpg`, query);
  if (url.family === "account") throw new Error("an account's URL");
  expect([url.alias, url.path]).toEqual(["pics", "a/b.jpg"]);
  return url.plan && planText(url.plan);
}

function understoodOrRefused(work: () => unknown): string {
  try {
    work();
    return "understood";
  } catch (error) {
    if (error instanceof DeliveryError) return error.code;
    throw error;
  }
}

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof DeliveryError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error("was not refused");
}

describe("ImageKit's grammar", () => {
  test.each([
    ["tr:w-300", "w-300:q-80,f-auto"],
    ["tr:w-300,h-200", "w-300,h-200:q-80,f-auto"],
    ["tr:h-200,w-300", "w-300,h-200:q-80,f-auto"],
    ["tr:w-0.50", "w-0.5:q-80,f-auto"],
    ["tr:w-.5,h-0.25", "w-0.5,h-0.25:q-80,f-auto"],
    ["tr:w-300,h-200,c-maintain_ratio", "w-300,h-200:q-80,f-auto"],
    ["tr:w-300,h-200,c-at_max", "w-300,h-200,c-at_max:q-80,f-auto"],
    ["tr:w-300,h-200,c-force", "w-300,h-200,c-force:q-80,f-auto"],
    ["tr:w-300,c-force", "w-300:q-80,f-auto"],
    ["tr:w-300,c-at_max", "w-300,c-at_max:q-80,f-auto"],
    ["tr:c-force", "q-80,f-auto"],
    ["tr:f-jpg", "q-80,f-jpeg"],
    ["tr:f-jpeg,q-1", "q-1,f-jpeg"],
    ["tr:f-png,q-1", "q-80,f-png"],
    ["tr:f-orig,q-100", "q-100,f-orig"],
    ["tr:w-9,q-50:h-8,q-60,f-webp", "w-9:h-8:q-60,f-webp"],
    ["tr:w-9:q-60:h-8", "w-9:h-8:q-60,f-auto"],
    ["tr%3Aw-300%2Ch-200", "w-300,h-200:q-80,f-auto"],
    ["tr:w-16383", "w-16383:q-80,f-auto"],
  ])("%s is the plan %s", (transformation, plan) => {
    expect(imagekit(`${transformation}/dir/a.jpg`)).toEqual({ path: "dir/a.jpg", plan });
    expect(imagekit("dir/a.jpg", `v=1&tr=${transformation.replace(/^tr(:|%3A)/, "")}`)).toEqual({
      path: "dir/a.jpg",
      plan,
    });
  });

  test.each([
    ["a.jpg", "", "a.jpg"],
    ["a.jpg", "v=2&updatedAt=7&ik-sdk-version=js-1", "a.jpg"],
    ["dir/tr:w-1/a.jpg", "", "dir/tr:w-1/a.jpg"],
    ["tr", "", "tr"],
    ["a%20b+c%2Bd.jpg", "", "a b+c+d.jpg"],
    ["a%252Fb%2Fc", "", "a%2Fb/c"],
    ["/a//b/", "", "/a//b/"],
    ["../a/%2e%2e/./b", "", "../a/.././b"],
    ["%E6%97%A5%F0%9F%98%80", "", "日😀"],
    [Buffer.from("grün").toString("latin1"), "", "grün"],
    ["%EF%BB%BFa", "", "\u{FEFF}a"],
  ])("/%s?%s is the file %s as it is", (rest, query, path) => {
    expect(imagekit(rest, query)).toEqual({ path, plan: undefined });
  });

  test.each([
    ["tr:w-0/a", "", /^InvalidParameter: w can't be "0"\. Allowed: pixels from 1 to 16383, or a fraction/],
    ["tr:w--1/a", "", /^InvalidParameter: w can't be "-1"/],
    ["tr:w-16384/a", "", /^InvalidParameter: w can't be "16384"/],
    ["tr:w-1.5/a", "", /^InvalidParameter: w can't be "1.5"/],
    ["tr:w-0.0/a", "", /^InvalidParameter: w can't be "0.0"/],
    ["tr:w-1e3/a", "", /^InvalidParameter: w can't be "1e3"/],
    ["tr:w-/a", "", /^InvalidParameter: w can't be ""/],
    ["tr:h-iw_div_2/a", "", /^InvalidParameter: h can't be "iw_div_2"/],
    ["tr:q-0/a", "", /^InvalidParameter: q can't be "0"\. Allowed: a whole number from 1 to 100\.$/],
    ["tr:q-101/a", "", /^InvalidParameter: q can't be "101"/],
    [
      "tr:f-gif/a",
      "",
      /^InvalidParameter: f can't be "gif"\. Allowed: one of auto, jpg, jpeg, webp, avif, png, orig\.$/,
    ],
    ["tr:f-constructor/a", "", /^InvalidParameter: f can't be "constructor"/],
    [
      "tr:c-cover/a",
      "",
      /^InvalidParameter: c can't be "cover"\. Allowed: one of maintain_ratio, at_max, force\.$/,
    ],
    ["tr:w-1,w-2/a", "", /^InvalidParameter: w stands twice\.$/],
    ["tr:e-grayscale/a", "", /^InvalidParameter: "e" is no transformation\. Known: w, h, c, q, f\.$/],
    ["tr:constructor-1/a", "", /^InvalidParameter: "constructor" is no transformation/],
    ["tr:/a", "", /^InvalidParameter: tr: "" is no transformation/],
    ["tr:w-1,,h-1/a", "", /^InvalidParameter: tr: "" is no/],
    ["tr:w/a", "", /^InvalidParameter: tr: "w" is no/],
    ["tr:w-1/a", "tr=w-1", /^InvalidParameter: Transformations stand once/],
    ["a", "tr=w-1&tr=w-1", /^InvalidParameter: Transformations stand once/],
    ["a", "ik-s=1", /^InvalidParameter: ik-s is not built yet\.$/],
    [
      `tr:${Array.from({ length: 9 }, () => "w-1").join(":")}/a`,
      "",
      /^LimitExceeded: A chain has at most 8 steps, not 9/,
    ],
    ["tr:w-1/", "", /^NotFound: /],
    ["", "", /^NotFound: /],
    ["%", "", /^InvalidPath: The path holds a % that encodes nothing\.$/],
    ["%c0%af", "", /^InvalidPath: The path is not UTF-8\.$/],
    ["%ed%a0%80", "", /^InvalidPath: The path is not UTF-8\.$/],
    ["a", "tr=%zz", /^InvalidPath: The query/],
  ])("/%s?%s is refused", (rest, query, reason) => {
    expect(refusal(() => imagekit(rest, query))).toMatch(reason);
  });
});

describe("Weekerp's grammar", () => {
  test.each([
    ["w=300", "w-300:q-80,f-orig"],
    ["width=300&height=200&format=webp&quality=60", "w-300,h-200:q-60,f-webp"],
    ["w=300&h=200&fit=cover", "w-300,h-200:q-80,f-orig"],
    ["w=300&h=200&fit=fill", "w-300,h-200,c-force:q-80,f-orig"],
    ["w=300&h=200&c=at_max&f=auto", "w-300,h-200,c-at_max:q-80,f-auto"],
    ["v=3&q=70", "q-70,f-orig"],
    ["v=3", undefined],
    ["", undefined],
  ])("?%s is the plan %s", (query, plan) => {
    expect(weekerp(query)).toBe(plan);
  });

  test("files take no options, and videos none yet", () => {
    expect(weekerp("w=300&anything=%zz", "file")).toBeUndefined();
    expect(weekerp("v=1", "video")).toBeUndefined();
    expect(refusal(() => weekerp("w=300", "video"))).toMatch(
      /^InvalidParameter: "w": video transformations are not built yet/,
    );
  });

  test.each([
    [
      "blur=3",
      /^InvalidParameter: "blur" is no transformation\. Known: width, w, height, h, fit, c, quality, q, format, f\.$/,
    ],
    ["w=abc", /^InvalidParameter: w can't be "abc"/],
    ["w=1&width=1", /^InvalidParameter: width stands twice/],
    ["w=1&w=1", /^InvalidParameter: w stands twice/],
    [
      "fit=inside",
      /^InvalidParameter: fit can't be "inside"\. Allowed: one of cover, fill, maintain_ratio, at_max, force\.$/,
    ],
    ["tr=w-1", /^InvalidParameter: "tr" is no transformation/],
    [`${"x".repeat(500)}=1`, /^InvalidParameter: "x{60}…" is no/],
  ])("?%s is refused", (query, reason) => {
    expect(refusal(() => weekerp(query))).toMatch(reason);
  });
});

const length = fc.oneof(
  fc.integer({ min: 1, max: 16_383 }),
  fc.integer({ min: 1, max: 99 }).map((n) => n / 100),
);
const options = fc.record<Partial<Options>>(
  {
    width: length,
    height: length,
    crop: fc.constantFrom("maintain_ratio", "at_max", "force"),
    quality: fc.integer({ min: 1, max: 100 }),
    format: fc.constantFrom("auto", "jpeg", "png", "webp", "avif", "source"),
  },
  { requiredKeys: [] },
);

test("a plan's text is a chain that means the plan again", () => {
  fc.assert(
    fc.property(fc.array(options, { maxLength: 7 }), (steps) => {
      const text = planText(planOf("imagekit", steps));
      expect(imagekit(`tr:${text}/a`).plan).toBe(text);
    }),
  );
});

test("any path and query is understood or refused, and never anything else", () => {
  const piece = fc.oneof(
    fc.constantFrom("tr:", "w-", "%", "%2", "/", "//", "image/", "root/", ":", ",", "-", "ik-s", "é"),
    fc.string(),
  );
  const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(text, text, (path, query) => {
      const outcome = (): unknown => {
        const url = parseUrl(`/${path}`, query);
        return url.family === "account" ? parseFile(url.segments, url.query) : url;
      };
      // All else that is thrown is a defect, and fails the property.
      expect(understoodOrRefused(outcome)).toMatch(/^(understood|Invalid|NotFound|LimitExceeded)/);
    }),
  );
});

test("every key is reached by its percent-encoded path", () => {
  const key = fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(key, (name) => {
      const encoded = name.split("/").map(encodeURIComponent).join("/");
      expect(parseUrl(`/file/pics/${encoded}`, "")).toMatchObject({ path: name });
    }),
  );
});

test("the reference page names every transformation in both grammars", () => {
  const page = transformationsMarkdown();
  for (const { names } of Object.values(TRANSFORMATIONS)) {
    for (const name of names.imagekit) expect(page).toContain(`\`${name}-\``);
    for (const name of names.weekerp) expect(page).toContain(`\`${name}=\``);
  }
});
