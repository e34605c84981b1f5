/** What is asked for by a signed URL, by either scheme: what it opens, and for how long. */
import ImageKit from "@imagekit/nodejs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEndpoint } from "../../src/delivery/origins/endpoints.ts";
import { createUrlKey, signUrl } from "../../src/delivery/signature.ts";
import { locate } from "../../src/delivery/site.ts";
import { noise, openSite, outcomeOf, sizeOf, type Site } from "./site.ts";

const SECRET = "private_key_of_imagekit";
let site: Site;
let photo: Buffer;

beforeAll(async () => {
  site = await openSite();
  photo = await noise(300, 200);
  await site.put("photo.jpg", photo, { meta: { contentType: "image/jpeg" } });
  await site.put("secret.jpg", photo, {
    meta: { contentType: "image/jpeg", user: { isprivatefile: "true" } },
  });
  await createUrlKey(site.store, { id: "ik", secret: SECRET });
  const origins = ["photos"];
  await createEndpoint(site.store, { name: "signed", origins, signedOnly: true });
  await createEndpoint(site.store, { name: "named", origins, namedOnly: true });
  await createEndpoint(site.store, { name: "long", origins, cacheSeconds: 31_536_000 });
});
afterAll(() => site[Symbol.asyncDispose]());

const errorOf = async (path: string): Promise<string> => outcomeOf(await site.get(path));

const sdk = (options: Parameters<ImageKit["helper"]["buildSrc"]>[0]): string =>
  new ImageKit({ privateKey: SECRET }).helper.buildSrc(options).slice(site.url.length);

const textLayer = (text: string) => ({
  type: "text" as const,
  text,
  encoding: "plain" as const,
  transformation: [{ fontFamily: "Open Sans" }],
});

describe("signed URLs", () => {
  test("ImageKit's own SDK builds plain, transformed and signed ones, and each is served", async () => {
    const urlEndpoint = `${site.url}/root/signed`;
    const src = "/photo.jpg";
    for (const transformationPosition of ["path", "query"] as const) {
      const transformation = [{ width: 100, height: 80 }, { rotation: 90 }];
      const plain = new ImageKit({ privateKey: SECRET }).helper.buildSrc({
        urlEndpoint: `${site.url}/root`,
        src,
        transformation,
        transformationPosition,
      });
      expect(await sizeOf((await site.get(plain.slice(site.url.length))).body)).toBe("jpeg 80x100");
      for (const expiresIn of [undefined, 3600]) {
        const signed = sdk({
          urlEndpoint,
          src,
          transformation,
          transformationPosition,
          signed: true,
          ...(expiresIn === undefined ? {} : { expiresIn }),
        });
        expect([signed, outcomeOf(await site.get(signed))]).toEqual([signed, "200 -"]);
      }
    }
    const text = [
      { overlay: { type: "text" as const, text: "héllo, wörld", transformation: [{ fontSize: 30 }] } },
    ];
    expect(await errorOf(sdk({ urlEndpoint, src, transformation: text, signed: true }))).toBe("200 -");
    expect(await errorOf(sdk({ urlEndpoint, src, signed: true }))).toBe("200 -");
    expect(await errorOf(sdk({ urlEndpoint, src, queryParameters: { v: "2" }, signed: true }))).toBe("200 -");
  });

  test("are served where the SDK signs a transformation as it writes it, before any client encodes it", async () => {
    const logo = { meta: { contentType: "image/jpeg" } };
    await site.put("logos/logo 2 (ü).jpg", photo, logo);
    await site.put("logos/logo 2.jpg", photo, logo);
    const image = { type: "image" as const, input: "logos/logo 2.jpg" };
    for (const transformationPosition of ["path", "query"] as const) {
      for (const [src, transformation] of [
        ["/photo.jpg", [{ overlay: textLayer("Hi") }]],
        ["/logos/logo 2 (ü).jpg", [{ overlay: textLayer("It's a {day}") }, { overlay: image }]],
        ["/none.jpg", [{ width: 60, defaultImage: "logos/logo 2 (ü).jpg" }]],
        ["/photo.jpg", [{ raw: "l-text,i-Hello World,ff-Open Sans,l-end" }]],
      ] as const) {
        const signed = sdk({
          urlEndpoint: `${site.url}/root/signed`,
          src,
          transformation: [...transformation],
          transformationPosition,
          signed: true,
          expiresIn: 100,
        });
        expect([signed, await errorOf(signed)]).toEqual([signed, "200 -"]);
        const altered = signed.replace(/(Sans|logo 2)/, "$1%20");
        expect([altered, await errorOf(altered)]).toEqual([altered, "401 InvalidSignature"]);
      }
    }
  });

  test("unsigned, altered and expired ones are 401", async () => {
    const urlEndpoint = `${site.url}/root/signed`;
    const signed = sdk({
      urlEndpoint,
      src: "/photo.jpg",
      transformation: [{ width: 100 }],
      signed: true,
      expiresIn: 100,
    });
    expect(await errorOf("/root/signed/photo.jpg")).toBe("401 SignatureRequired");
    expect(await errorOf("/root/signed/tr:w-10/photo.jpg")).toBe("401 SignatureRequired");
    expect(await errorOf(signed.replace("w-100", "w-101"))).toBe("401 InvalidSignature");
    expect(await errorOf(signed.replace(/ik-t=\d+/, "ik-t=9999999998"))).toBe("401 InvalidSignature");
    expect(await errorOf(signed.replace(/ik-t=\d+&/, ""))).toBe("401 InvalidSignature");
    expect(await errorOf("/root/photo.jpg?ik-s=00")).toBe("401 InvalidSignature");
  });

  test("our own scheme knows key, end and place, however the place is addressed", async () => {
    const url = `${site.url}/root/signed/tr:w-60/photo.jpg?v=1`;
    const place = await locate(site.store, {
      host: "x",
      path: "/root/signed/tr:w-60/photo.jpg",
      rawQuery: "v=1",
    });
    const signed = await signUrl(site.store, {
      url,
      place,
      scheme: "windlass",
      expires: 60,
      now: Date.now(),
    });
    expect(signed).toMatch(/\?v=1&wl-key=ik&wl-expires=\d+&wl-sig=[\w-]{43}$/);
    const path = signed.slice(site.url.length);
    expect(await errorOf(path)).toBe("200 -");
    expect(await errorOf(path.replace("w-60", "w-61"))).toBe("401 InvalidSignature");
    expect(await errorOf(path.replace("wl-key=ik", "wl-key=other"))).toBe("401 InvalidSignature");
    expect(await errorOf(path.replace("/signed/", "/named/"))).toBe("401 InvalidSignature");
    const past = await signUrl(site.store, {
      url,
      place,
      scheme: "windlass",
      expires: 60,
      now: Date.now() - 120_000,
    });
    expect(await errorOf(past.slice(site.url.length))).toBe("401 ExpiredUrl");
  });
});

/** By path alone. */
const sign = async (
  path: string,
  how: { scheme?: "imagekit" | "windlass"; expires?: number } = {},
): Promise<string> => {
  const [pathname = "", rawQuery = ""] = path.split("?");
  const place = await locate(site.store, { host: undefined, path: pathname, rawQuery });
  return signUrl(site.store, { url: path, place, ...how });
};

describe("a signed preview of a private file", () => {
  test("is no key to the original, nor to any other family of its alias", async () => {
    const preview = await sign("/image/photos/secret.jpg?w=50&blur=20");
    expect(await sizeOf((await site.get(preview)).body)).toBe("jpeg 50x33");
    for (const family of ["file", "video"]) {
      expect(await errorOf(preview.replace("/image/", `/${family}/`))).toBe("401 InvalidSignature");
    }
  });

  test("of an endpoint is worth nothing where its query means nothing", async () => {
    for (const scheme of ["imagekit", "windlass"] as const) {
      const preview = await sign("/root/secret.jpg?tr=w-50,bl-20", { scheme });
      expect(await sizeOf((await site.get(preview)).body)).toBe("jpeg 50x33");
      for (const place of ["/file/photos/", "/image/photos/"]) {
        expect(await errorOf(preview.replace("/root/", place))).toBe("401 InvalidSignature");
      }
    }
  });

  test("of an alias has no signature of ImageKit's", async () => {
    await expect(sign("/file/photos/secret.jpg", { scheme: "imagekit" })).rejects.toThrow(/scheme windlass/);
    expect(await sign("/file/photos/secret.jpg")).toMatch(/\?wl-key=ik&wl-sig=/);
    expect(await errorOf(await sign("/file/photos/secret.jpg"))).toBe("200 -");
  });
});

test("no cache may keep what a signed URL gives for longer than the URL is good", async () => {
  await site.put("kept.jpg", photo, {
    meta: {
      contentType: "image/jpeg",
      cacheControl:
        "public, max-age=31536000, s-maxage=999, immutable, stale-while-revalidate=60, no-transform",
    },
  });
  await site.put("brief.jpg", photo, { meta: { contentType: "image/jpeg", cacheControl: "max-age=5" } });
  await site.put("never.jpg", photo, { meta: { contentType: "image/jpeg", cacheControl: "no-store" } });
  // Some of the hundred seconds have passed.
  for (const [path, cacheControl] of [
    ["/root/photo.jpg", /^public, max-age=(9\d|100)$/],
    ["/root/tr:w-9/photo.jpg", /^public, max-age=(9\d|100)$/],
    ["/root/long/tr:w-9/photo.jpg", /^public, max-age=(9\d|100)$/],
    ["/file/photos/photo.jpg", /^public, max-age=(9\d|100)$/],
    ["/root/kept.jpg", /^public, no-transform, max-age=(9\d|100)$/],
    ["/root/brief.jpg", /^max-age=5$/],
    ["/root/never.jpg", /^no-store, max-age=(9\d|100)$/],
  ] as const) {
    const signed = await sign(path, { expires: 100 });
    const reply = await site.get(signed);
    expect([path, reply.status, reply.headers.get("cache-control")]).toEqual([
      path,
      200,
      expect.stringMatching(cacheControl),
    ]);
    const again = await site.get(signed, { headers: { "if-none-match": reply.headers.get("etag")! } });
    expect([again.status, again.headers.get("cache-control")]).toEqual([
      304,
      expect.stringMatching(cacheControl),
    ]);
  }
  const endless = await site.get(await sign("/root/tr:w-9/photo.jpg"));
  expect(endless.headers.get("cache-control")).toBe("public, max-age=86400");
});
