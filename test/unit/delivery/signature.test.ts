/** ImageKit's signatures, by the vectors of its own SDK's tests; and that nothing of a signed URL can be changed. */
import ImageKit from "@imagekit/nodejs";
import * as fc from "fast-check";
import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DeliveryError } from "../../../src/delivery/errors.ts";
import { parseImageKit } from "../../../src/delivery/plan/url.ts";
import {
  checkSignature,
  createUrlKey,
  deleteUrlKey,
  imagekitSignature,
  listUrlKeys,
  signUrl,
  streamRight,
} from "../../../src/delivery/signature.ts";
import type { Place } from "../../../src/delivery/site.ts";
import { openFixture, OWNER, type Fixture } from "../store/fixture.ts";

const HINDI =
  "tr:l-text,ie-4KS54KS%2F4KSo4KWN4KSm4KWA,co-red,fs-32,ff-sdk-testing-files@@Poppins-Regular_Q15GrYWmL.ttf,l-end/sdk-testing-files/%E0%A4%B9%E0%A4%BF%E0%A4%A8%E0%A5%8D%E0%A4%A6%E0%A5%80.png";

test.each([
  ["sdk-testing-files/future-search.png", "", "32dbbbfc5f945c0403c71b54c38e76896ef2d6b0"],
  [
    "sdk-testing-files/%E0%A4%B9%E0%A4%BF%E0%A4%A8%E0%A5%8D%E0%A4%A6%E0%A5%80.png",
    "",
    "3fff2f31da1f45e007adcdbe95f88c8c330e743c",
  ],
  [
    "sdk-testing-files/future-search.png",
    "version=1.0&cache=false",
    "f2e5a1b8b6a0b03fd63789dfc6413a94acef9fd8",
  ],
  [
    "sdk-testing-files/future-search.png",
    "version=2.0&tr=w-300,h-200",
    "601d97a7834b7554f4dabf0d3fc3a219ceeb6b31",
  ],
  [
    "tr:w-300,h-200/sdk-testing-files/future-search.png",
    "version=2.0",
    "dd1ee8f83d019bc59fd57a5fc4674a11eb8a3496",
  ],
  [HINDI, "", "69f2ecbb7364bbbad24616e1f7f1bac5a560fc71"],
])("%s?%s", (rawPath, rawQuery, signature) => {
  expect(imagekitSignature("dummy-key", { rawPath, rawQuery })).toBe(signature);
});

test("another key, path, query or end makes another signature", () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1 }),
      fc.string(),
      fc.string(),
      fc.integer({ min: 1, max: 9_999_999_998 }),
      (key, rawPath, rawQuery, end) => {
        const own = imagekitSignature(key, { rawPath, rawQuery }, String(end));
        expect(own).toMatch(/^[0-9a-f]{40}$/);
        expect(imagekitSignature(`${key}x`, { rawPath, rawQuery }, String(end))).not.toBe(own);
        expect(imagekitSignature(key, { rawPath: `${rawPath}x`, rawQuery }, String(end))).not.toBe(own);
        expect(imagekitSignature(key, { rawPath, rawQuery })).not.toBe(own);
      },
    ),
  );
});

describe("a signed URL", () => {
  const SECRET = "private_key";
  const BASE = "https://pictures.example.com/shop/";
  const NOW = Date.UTC(2026, 0, 1);
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await openFixture();
    await createUrlKey(fixture.store, { id: "first", secret: SECRET });
    await createUrlKey(fixture.store, { id: "second" });
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  const placeOf = (url: string): Place => {
    const [rawPath = "", rawQuery = ""] = url.slice(BASE.length).split("?");
    const owner = { id: OWNER, name: "root" } as Place["owner"];
    return {
      owner,
      grammar: "imagekit",
      scope: "endpoint/shop",
      rules: {},
      origins: [],
      rawPath,
      rawQuery,
      host: "",
      ours: false,
    };
  };
  const sign = (
    url: string,
    scheme: "imagekit" | "windlass",
    more: { keyId?: string; expires?: number } = {},
  ) => signUrl(fixture.store, { url: BASE + url, place: placeOf(BASE + url), scheme, now: NOW, ...more });

  async function check(
    url: string,
    { scope = "endpoint/shop", ownerId = OWNER, now = NOW, store = fixture.store } = {},
  ): Promise<string> {
    const { rawPath, rawQuery } = placeOf(url);
    try {
      await store.refresh();
      const signed = await checkSignature(store, {
        ownerId,
        grammar: "imagekit",
        scope,
        rawPath,
        rawQuery,
        now,
      });
      return signed === undefined ? "none" : "valid";
    } catch (error) {
      if (error instanceof DeliveryError) return error.code;
      throw error;
    }
  }

  test("as ImageKit's SDK builds it is valid until its end", async () => {
    const { helper } = new ImageKit({ privateKey: SECRET });
    for (const src of ["/a.jpg", "/with space.jpg", "/안녕/é (1).png", "/a%20b+c.jpg", "/a.jpg?v=1&w=2"]) {
      for (const transformationPosition of ["path", "query"] as const) {
        for (const transformation of [
          [],
          [{ width: 300, height: "ih_div_2" }, { rotation: 90 }],
          [{ overlay: { type: "text" as const, text: "héllo, wörld / ?&#" } }],
        ]) {
          for (const expiresIn of [0, 100]) {
            const url = helper.buildSrc({
              urlEndpoint: BASE.slice(0, -1),
              src,
              transformation,
              transformationPosition,
              signed: true,
              ...(expiresIn === 0 ? {} : { expiresIn }),
              queryParameters: { version: "2.0" },
            });
            // What a client sends.
            const sent = new URL(url).href;
            expect([sent, await check(sent, { now: Date.now() })]).toEqual([sent, "valid"]);
            const later = await check(sent, { now: Date.now() + 101_000 });
            expect([sent, later]).toEqual([sent, expiresIn === 0 ? "valid" : "ExpiredUrl"]);
          }
        }
      }
    }
  });

  test.each([
    // imagekitio 4.2: the path as it was given, the query encoded.
    ["tr:w-60/a b/it's <me>.jpg", "v=1+2%2C%C3%BC"],
    ["a b/c.jpg", "tr=l-text%2Ci-Hello+World%2Cl-end"],
    // imagekitio 5.11: the path encoded, transformations and other parameters as they were given.
    ["tr:l-image,i-my logo.png,l-end/a%20b.jpg", "v=1 2,ü"],
    ["a%20b.jpg", "v=1 2,ü&tr=l-text,i-It%27s%20{%7B,ff-Open Sans,l-end"],
  ])("as ImageKit's SDKs for Python build it, %s?%s, is valid", async (rawPath, rawQuery) => {
    const signature = createHmac("sha1", SECRET).update(`${rawPath}?${rawQuery}9999999999`).digest("hex");
    const sent = new URL(`${BASE}${rawPath}?${rawQuery}&ik-s=${signature}`).href;
    expect([sent, await check(sent)]).toEqual([sent, "valid"]);
    const altered = sent.replace(".jpg", "%20.jpg");
    expect([altered, await check(altered)]).toEqual([altered, "InvalidSignature"]);
  });

  test.each(["imagekit", "windlass"] as const)(
    "(%s) is worth nothing when any character differs",
    async (scheme) => {
      for (const expires of [undefined, 60]) {
        const url = await sign(
          "tr:w-300,h-200/dir/photo.jpg?v=1&x=%20",
          scheme,
          expires === undefined ? {} : { expires },
        );
        expect(await check(url)).toBe("valid");
        const from = BASE.length;
        for (let at = from; at < url.length; at++) {
          const other = url[at] === "1" ? "2" : "1";
          for (const altered of [
            url.slice(0, at) + other + url.slice(at + 1),
            url.slice(0, at) + url.slice(at + 1),
            url.slice(0, at) + other + url.slice(at),
          ]) {
            const verdict = await check(altered);
            // Without the names of its parameters it is no longer a signed one.
            const signed = /(^|&)(ik-[st]|wl-(key|expires|sig))=/.test(placeOf(altered).rawQuery);
            expect([altered, verdict]).toEqual([altered, signed ? "InvalidSignature" : "none"]);
          }
        }
        for (const added of ["&w=9", "&tr=w-9", "&wl-expires=9999999999", "&ai=blur"])
          expect([added, await check(url + added)]).toEqual([added, "InvalidSignature"]);
      }
    },
  );

  test("(imagekit) can't lend digits of its query to its end", async () => {
    const url = await sign("photo.jpg?v=1", "imagekit", { expires: 60 });
    expect(await check(url, { now: NOW + 61_000 })).toBe("ExpiredUrl");
    const [, end] = /ik-t=(\d+)/.exec(url)!;
    const lent = url.replace("v=1", "v=").replace(`ik-t=${end}`, `ik-t=1${end}`);
    expect(await check(lent, { now: NOW + 61_000 })).toBe("InvalidSignature");
    const endless = await sign("photo.jpg?v=1", "imagekit");
    expect(await check(endless.replace("v=1", "v=").replace("ik-s=", "ik-t=19999999999&ik-s="))).toBe(
      "InvalidSignature",
    );
    expect(await check(endless.replace("ik-s=", "ik-t=999999999&ik-s="))).toBe("InvalidSignature");
  });

  test("(imagekit) may be written in capital letters", async () => {
    const url = await sign("photo.jpg?v=1", "imagekit");
    expect(await check(url.replace(/[0-9a-f]{40}$/, (hex) => hex.toUpperCase()))).toBe("valid");
  });

  test("(windlass) is one of its place, account and key alone", async () => {
    const url = await sign("photo.jpg", "windlass", { keyId: "second", expires: 60 });
    expect(await check(url)).toBe("valid");
    expect(await check(url, { scope: "alias/shop" })).toBe("InvalidSignature");
    expect(await check(url, { ownerId: "b".repeat(64) })).toBe("InvalidSignature");
    expect(await check(url.replace("wl-key=second", "wl-key=first"))).toBe("InvalidSignature");
    expect(await check(url.replace("wl-key=second&", ""))).toBe("InvalidSignature");
    expect(await check(url, { now: NOW + 59_000 })).toBe("valid");
    expect(await check(url, { now: NOW + 60_000 })).toBe("ExpiredUrl");
  });

  test("without its signature is unsigned, and remains of one are a wrong one", async () => {
    expect(await check(`${BASE}photo.jpg`)).toBe("none");
    expect(await check(`${BASE}photo.jpg?v=1&tr=w-9`)).toBe("none");
    for (const rest of [
      "ik-s=",
      "ik-t=9999999999",
      "wl-sig=",
      "wl-key=first",
      "wl-expires=9999999999",
      "ik-s=0&ik-s=1",
    ])
      expect([rest, await check(`${BASE}photo.jpg?${rest}`)]).toEqual([rest, "InvalidSignature"]);
  });

  test("is signed by one of ten keys at most", async () => {
    await using own = await openFixture();
    for (let n = 0; n < 10; n++) await createUrlKey(own.store, { id: `key-${n}` });
    await expect(createUrlKey(own.store, { id: "key-10" })).rejects.toThrow("at most 10 keys");
    await deleteUrlKey(own.store, { id: "key-0" });
    await createUrlKey(own.store, { id: "key-10" });
    expect(await listUrlKeys(own.store)).toHaveLength(10);
  });

  test("lives as long as its key; several keys are good at once", async () => {
    await using own = await openFixture();
    const { store } = own;
    const place = placeOf(`${BASE}photo.jpg`);
    const by = (keyId: string) =>
      signUrl(store, { url: `${BASE}photo.jpg`, place, scheme: "imagekit", keyId, now: NOW });
    const { secret } = await createUrlKey(store, { id: "old" });
    await createUrlKey(store, { id: "new" });
    expect(secret).toMatch(/^[\w-]{43}$/);
    const [before, after] = [await by("old"), await by("new")];
    expect([await check(before, { store }), await check(after, { store })]).toEqual(["valid", "valid"]);
    expect(JSON.stringify(await listUrlKeys(store))).not.toContain(secret);
    expect(JSON.stringify(await store.settings.list("urlkey"))).not.toContain(secret);
    await deleteUrlKey(store, { id: "old" });
    expect([await check(before, { store }), await check(after, { store })]).toEqual([
      "InvalidSignature",
      "valid",
    ]);
  });

  test("the pieces of a film are no right to those of another, which a URL tells by a percent-encoded slash", async () => {
    await using own = await openFixture();
    const rightOf = (rawPath: string): string => {
      const url = { rawPath: `${rawPath}/ik-master.m3u8`, rawQuery: "", named: new Map<string, string>() };
      return streamRight(own.store, placeOf(`${BASE}${rawPath}`), parseImageKit(url), undefined);
    };
    expect(rightOf("a%2fb%20c.mp4")).toBe(rightOf("%61%2Fb c.mp4"));
    expect(rightOf("a%2Fb.mp4")).not.toBe(rightOf("a/b.mp4"));
  });
});
