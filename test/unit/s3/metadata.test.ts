import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { S3Error } from "../../../src/s3/errors.ts";
import {
  decodeWords,
  encodeWord,
  pushMeta,
  readMeta,
  readOverrides,
  readStorageClass,
  refuseCustomerKey,
  refuseUnbuilt,
} from "../../../src/s3/metadata.ts";
import type { ObjectMeta } from "../../../src/store/types.ts";

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
}

function written(
  meta: ObjectMeta,
  legacy = false,
  overrides?: ReadonlyMap<string, string>,
): Record<string, string> {
  const out: string[] = [];
  pushMeta(out, meta, legacy, overrides);
  expect(out.length % 2).toBe(0);
  return Object.fromEntries(Array.from({ length: out.length / 2 }, (_, n) => [out[2 * n]!, out[2 * n + 1]!]));
}

const redirect = (to: string) => codeOf(() => readMeta({ "x-amz-website-redirect-location": to }));

describe("system metadata", () => {
  test("comes back as given", () => {
    const headers = {
      "content-type": "text/plain; charset=x",
      "cache-control": "max-age=1",
      "content-disposition": 'attachment; filename="ä.txt"',
      "content-language": "de",
      "content-encoding": "gzip",
      expires: "never",
      "x-amz-website-redirect-location": "/other",
    };
    expect(written(readMeta(headers))).toEqual({
      "Content-Type": "text/plain; charset=x",
      "Cache-Control": "max-age=1",
      "Content-Disposition": 'attachment; filename="ä.txt"',
      "Content-Language": "de",
      "Content-Encoding": "gzip",
      Expires: "never",
      "x-amz-website-redirect-location": "/other",
    });
  });
  test("is binary/octet-stream and nothing else by default", () => {
    expect(written(readMeta({}))).toEqual({ "Content-Type": "binary/octet-stream" });
    expect(readMeta({ "content-type": "" })).toEqual({});
  });
  test.each([
    ["aws-chunked", undefined],
    ["aws-chunked,gzip", "gzip"],
    ["gzip, aws-chunked", "gzip"],
    ["AWS-Chunked , gzip, br", "gzip,br"],
    ["gzip, br", "gzip, br"],
    ["my-aws-chunked", "my-aws-chunked"],
  ])("Content-Encoding %s is kept as %s", (given, kept) => {
    expect(readMeta({ "content-encoding": given }).contentEncoding).toBe(kept);
  });
  test("a redirect goes to a path or a URL", () => {
    expect(redirect("https://example.com/")).toBeUndefined();
    expect(redirect("javascript:alert(1)")).toBe("InvalidArgument");
  });
});

describe("user metadata", () => {
  test("comes back under lower-case names", () => {
    expect(written({ user: { family: "Muntz", empty: "" } })).toMatchObject({
      "x-amz-meta-family": "Muntz",
      "x-amz-meta-empty": "",
    });
    expect(readMeta({ "x-amz-meta-family": "Muntz,Szyslak" }).user).toEqual({ family: "Muntz,Szyslak" });
  });
  test("may be called like what every object inherits", () => {
    const { user } = readMeta(JSON.parse('{"x-amz-meta-__proto__":"x","x-amz-meta-constructor":"y"}'));
    expect(Object.keys(user!)).toEqual(["__proto__", "constructor"]);
    expect(written({ user: user! })).toMatchObject({ "x-amz-meta-constructor": "y" });
  });
  test("takes 2,048 bytes of names and values", () => {
    const name = "x-amz-meta-ab";
    expect(codeOf(() => readMeta({ [name]: "v".repeat(2046) }))).toBeUndefined();
    expect(codeOf(() => readMeta({ [name]: "v".repeat(2047) }))).toBe("MetadataTooLarge");
    expect(codeOf(() => readMeta({ [name]: "ä".repeat(1024) }))).toBe("MetadataTooLarge");
    expect(codeOf(() => readMeta({ [name]: "v".repeat(1024), "x-amz-meta-cd": "v".repeat(1024) }))).toBe(
      "MetadataTooLarge",
    );
  });
  test("outside ASCII comes back as one encoded word", () => {
    expect(written({ user: { n: "ÄMÄ" } })["x-amz-meta-n"]).toBe(
      `=?UTF-8?B?${Buffer.from("ÄMÄ").toString("base64")}?=`,
    );
    expect(written({ user: { n: "ÄMÄ" } })["x-amz-missing-meta"]).toBeUndefined();
  });
  test("outside ASCII is missing with the guide's compatibility", () => {
    const headers = written({ user: { n: "ÄMÄ", m: "☃", a: "b" } }, true);
    expect(headers).toEqual({
      "Content-Type": "binary/octet-stream",
      "x-amz-meta-a": "b",
      "x-amz-missing-meta": "2",
    });
  });
  test("that no header can hold is counted, never sent", () => {
    const { user } = readMeta({ "x-amz-meta-evil": "=?UTF-8?Q?a=0D=0AX-Evil:_1?=", "x-amz-meta-good": "b" });
    expect(user!["evil"]).toBe("a\r\nX-Evil: 1");
    expect(written({ user: user! })).toEqual({
      "Content-Type": "binary/octet-stream",
      "x-amz-meta-good": "b",
      "x-amz-missing-meta": "1",
    });
  });
});

describe("encoded words", () => {
  test.each([
    ["=?UTF-8?B?w4RNw4Q=?=", "ÄMÄ"],
    ["=?utf-8?b?w4RNw4Q=?=", "ÄMÄ"],
    ["=?UTF-8?Q?=C3=84M_x?=", "ÄM x"],
    ["=?iso-8859-1?Q?=C4M?=", "ÄM"],
    ["a =?UTF-8?B?w4Q=?= b", "a Ä b"],
    ["=?UTF-8?B?w4Q=?= =?UTF-8?B?w4Q=?=", "ÄÄ"],
    ["=?UTF-8?B?QU1B?=", "AMA"],
    ["plain", "plain"],
    ["=?UTF-8?B?*?=", "=?UTF-8?B?*?="],
    ["=?no-such-charset?B?QQ==?=", "=?no-such-charset?B?QQ==?="],
    ["=?UTF-8?B?/w==?=", "=?UTF-8?B?/w==?="],
    ["=?UTF-8?X?QQ==?=", "=?UTF-8?X?QQ==?="],
  ])("%s is %s", (given, expected) => expect(decodeWords(given)).toBe(expected));

  test("carry any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const word = encodeWord(text);
        expect(word).toMatch(/^[\x20-\x7e]+$/);
        expect(decodeWords(word)).toBe(text);
      }),
    );
  });
});

describe("response overrides", () => {
  const query = new Map([
    ["response-content-type", "text/html"],
    ["response-expires", "tomorrow"],
    ["versionId", "null"],
  ]);
  test("replace stored headers, and add missing ones", () => {
    const meta = { contentType: "image/png", cacheControl: "no-store" };
    expect(written(meta, false, readOverrides(query, false))).toEqual({
      "Content-Type": "text/html",
      "Cache-Control": "no-store",
      Expires: "tomorrow",
    });
  });
  test("are for signed requests", () => {
    expect(codeOf(() => readOverrides(query, true))).toBe("InvalidRequest");
    expect(readOverrides(new Map([["versionId", "null"]]), true)).toBeUndefined();
  });
  test("can't write further headers", () => {
    const evil = new Map([["response-content-type", "text/html\r\nSet-Cookie: a=b"]]);
    expect(codeOf(() => readOverrides(evil, false))).toBe("InvalidArgument");
  });
});

describe("what is not built is refused", () => {
  test.each([
    ["x-amz-server-side-encryption", "AES256", "NotImplemented"],
    ["x-amz-server-side-encryption", "aws:kms", "NotImplemented"],
    ["x-amz-server-side-encryption-customer-algorithm", "AES256", "NotImplemented"],
    ["x-amz-copy-source-server-side-encryption-customer-key", "k", "NotImplemented"],
    ["x-amz-object-lock-mode", "GOVERNANCE", "InvalidRequest"],
    ["x-amz-object-lock-legal-hold", "ON", "InvalidRequest"],
    ["x-amz-write-offset-bytes", "5", "NotImplemented"],
    ["x-amz-meta-a", "b", undefined],
    ["x-amz-acl", "private", undefined],
  ])("%s: %s gives %s", (name, value, code) => {
    expect(codeOf(() => refuseUnbuilt({ host: "h", [name]: value }))).toBe(code);
  });
  test("a customer's key on a read too", () => {
    expect(
      codeOf(() => refuseCustomerKey({ "x-amz-server-side-encryption-customer-algorithm": "AES256" })),
    ).toBe("InvalidRequest");
    expect(codeOf(() => refuseCustomerKey({}))).toBeUndefined();
  });
});

test("storage classes are known ones", () => {
  expect(readStorageClass({})).toBe("STANDARD");
  expect(readStorageClass({ "x-amz-storage-class": "GLACIER_IR" })).toBe("GLACIER_IR");
  for (const name of ["standard", "", "COLD", "EXPRESS_ONEZONE", "constructor"]) {
    expect(codeOf(() => readStorageClass({ "x-amz-storage-class": name }))).toBe("InvalidStorageClass");
  }
});
