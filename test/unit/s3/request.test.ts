import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseTarget, prepareTarget } from "../../../src/s3/request.ts";
import { escape, HOST, outcome, target, toHttp, type Sent } from "./authclient.ts";

const get = (path: string, host: string | undefined = HOST, more: Partial<Sent> = {}): Sent => ({
  method: "GET",
  target: path,
  headers: host === undefined ? [] : [["Host", host]],
  body: [],
  ...more,
});

describe("addressing", () => {
  test.each<
    [
      name: string,
      path: string,
      host: string | undefined,
      bucket: string | undefined,
      key: string | undefined,
      hostStyle: boolean,
    ]
  >([
    ["the service", "/", HOST, undefined, undefined, false],
    ["a bucket by path", "/b", HOST, "b", undefined, false],
    ["a bucket by path with a slash", "/b/", HOST, "b", undefined, false],
    ["a key by path", "/b/k", HOST, "b", "k", false],
    ["a key that is a slash", "/b//", HOST, "b", "/", false],
    ["a bucket by host", "/", `b.${HOST}`, "b", undefined, true],
    ["a key by host", "/k/x", `b.${HOST}`, "b", "k/x", true],
    ["a key of slashes by host", "//x", `b.${HOST}`, "b", "/x", true],
    ["a host in capitals, without port", "/k", "My.Bucket.S3.LOCALHOST", "my.bucket", "k", true],
    ["a fully qualified host", "/k", "b.s3.localhost.", "b", "k", true],
    ["the longest domain", "/k", "b.s3.localhost", "b", "k", true],
    ["a shorter domain", "/k", "b.localhost:9000", "b", "k", true],
    ["the domain itself", "/b/k", "localhost:9000", "b", "k", false],
    ["an address", "/b/k", "127.0.0.1:9000", "b", "k", false],
    ["an address of version 6", "/b/k", "[::1]:9000", "b", "k", false],
    ["the host of a bucket that exists", "/k", "www.example.com:80", "www.example.com", "k", true],
    ["the same in capitals", "/k", "WWW.Example.com", "www.example.com", "k", true],
    ["a host that nobody knows", "/b/k", "windlass:9000", "b", "k", false],
    ["something odd as host", "/b/k", "??", "b", "k", false],
    ["an empty host", "/b/k", "", "b", "k", false],
  ])("%s", async (_name, path, host, bucket, key, hostStyle) => {
    const request = await target(get(path, host), {}, ["www.example.com", "127.0.0.1"]);
    expect({ bucket: request.bucket, key: request.key, hostStyle: request.hostStyle }).toEqual({
      bucket,
      key,
      hostStyle,
    });
  });

  test("HTTP/1.0 needs no Host, HTTP/1.1 needs one", async () => {
    const old = await target(get("/b/k", undefined, { httpVersion: "1.0", headers: [] }));
    expect(old).toMatchObject({ bucket: "b", key: "k", host: "", signedHosts: [] });
    expect((await outcome(() => target(get("/b/k", undefined, { headers: [] })))).code).toBe("BadRequest");
    const two = get("/b/k", undefined, {
      headers: [
        ["Host", "a"],
        ["Host", "b"],
      ],
    });
    expect((await outcome(() => target(two))).code).toBe("BadRequest");
  });

  test("a bucket is looked up only for hosts that could be one", async () => {
    const asked: string[] = [];
    const options = prepareTarget({ domains: ["s3.localhost"] }, (name) => {
      asked.push(name);
      return Promise.resolve(false);
    });
    for (const host of [
      "s3.localhost",
      "b.s3.localhost",
      "localhost",
      "10.0.0.1",
      "x",
      "a b",
      "a".repeat(256),
      "www.example.com",
    ]) {
      await parseTarget(toHttp(get("/b", host)), options);
    }
    expect(asked).toEqual(["www.example.com"]);
  });
});

describe("keys", () => {
  test.each<[raw: string, key: string]>([
    ["a", "a"],
    ["a/", "a/"],
    ["a//b", "a//b"],
    ["../x", "../x"],
    ["./a/..", "./a/.."],
    ["%2B", "+"],
    ["+", "+"],
    ["a+b", "a+b"],
    ["%252B", "%2B"],
    ["%20", " "],
    ["%C3%A9", "é"],
    ["e%CC%81", "e\u0301"],
    ["%F0%9F%98%80", "😀"],
    ["%01%1f%7F", "\u0001\u001f\u007f"],
    ["a%0Ab", "a\nb"],
    ["%3F%23%3B", "?#;"],
    ["~!$&'()*,;=:@", "~!$&'()*,;=:@"],
    ["%EF%BF%BF", "\uffff"],
    ["__proto__", "__proto__"],
  ])("%s is %j", async (raw, key) => {
    expect((await target(get(`/b/${raw}`))).key).toBe(key);
    expect((await target(get(`/${raw}`, `b.${HOST}`))).key).toBe(key);
  });

  test.each([
    "%",
    "%1",
    "%zz",
    "%FF",
    "%C3",
    "%C3%28",
    "%C0%80",
    "%ED%A0%80",
    "%F4%90%80%80",
    "a%00b",
    "caf\u00e9",
    "a b",
    "a\u0000",
  ])("%j cannot be one", async (raw) => {
    expect((await outcome(() => target(get(`/b/${raw}`)))).code).toBe("InvalidURI");
  });

  test("are at most 1024 bytes of UTF-8", async () => {
    for (const key of ["a".repeat(1024), "é".repeat(512), "😀".repeat(256)]) {
      expect((await target(get(`/b/${escape(key)}`))).key).toBe(key);
      const { code, detail } = await outcome(() => target(get(`/b/${escape(key)}b`)));
      expect([code, detail]).toEqual(["KeyTooLongError", { Size: "1025", MaxSizeAllowed: "1024" }]);
    }
    const legacy = await outcome(() =>
      target(get(`/b/${"a".repeat(1025)}`), { compatibility: "2006-03-01" }),
    );
    expect(legacy.code).toBe("KeyTooLong");
  });

  test("any key comes back as it was escaped", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 }), async (key) => {
        // Lone surrogates have no UTF-8; graphemes can be many bytes.
        fc.pre(!key.includes("\0") && Buffer.from(key).toString() === key && Buffer.byteLength(key) <= 1024);
        expect((await target(get(`/b/${escape(key, "/")}`))).key).toBe(key);
      }),
    );
  });

  test("no path does anything but parse or be refused", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: "binary" }),
        fc.string({ unit: "binary" }),
        fc.string(),
        async (path, parameters, host) => {
          const { code } = await outcome(async () => {
            await target(get(`/${path.replaceAll("?", "")}?${parameters}`, host));
          });
          expect(["none", "InvalidURI", "InvalidBucketName", "BadRequest", "KeyTooLongError"]).toContain(
            code,
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  test("a path begins with a slash, a bucket has a name", async () => {
    expect((await outcome(() => target(get("*")))).code).toBe("InvalidURI");
    expect((await outcome(() => target(get("")))).code).toBe("InvalidURI");
    expect((await outcome(() => target(get("//k")))).code).toBe("InvalidBucketName");
  });
});

const query = async (text: string) => Object.fromEntries((await target(get(`/b?${text}`))).query);

describe("parameters", () => {
  test.each<[text: string, expected: Record<string, string>]>([
    ["", {}],
    ["acl", { acl: "" }],
    ["acl=", { acl: "" }],
    ["a=b=c", { a: "b=c" }],
    ["a=1&a=2", { a: "1" }],
    ["&&a&", { a: "" }],
    ["prefix=a+b%2Bc%20d", { prefix: "a b+c d" }],
    ["%70refix=x", { prefix: "x" }],
    ["delimiter=%2F&marker=%F0%9F%98%80", { delimiter: "/", marker: "😀" }],
    ["x-foo=1&X-Bar=2&x-id=GetObject&prefix=a", { prefix: "a" }],
    ["a;b=1", { "a;b": "1" }],
    ["=x", { "": "x" }],
    ["x-amz-acl=public-read", { "x-amz-acl": "public-read" }],
  ])("%s", async (text, expected) => {
    expect(await query(text)).toEqual(expected);
  });

  test("have valid escapes and are not too many", async () => {
    for (const bad of ["a=%", "a=%FF", "%C3=x", Array.from({ length: 257 }, (_, n) => `a${n}`).join("&")]) {
      expect((await outcome(() => query(bad))).code).toBe("InvalidURI");
    }
    expect(Object.keys(await query(Array.from({ length: 256 }, (_, n) => `a${n}`).join("&")))).toHaveLength(
      256,
    );
  });

  test("stand for headers in presigned requests alone", async () => {
    expect((await target(get("/b/k?x-amz-acl=public-read"))).headers["x-amz-acl"]).toBeUndefined();
    expect((await target(get("/b/k?x-amz-acl=public-read&Signature=x"))).headers["x-amz-acl"]).toBe(
      "public-read",
    );
    const own = get("/b/k?x-amz-acl=public-read&Signature=x", HOST, {
      headers: [
        ["Host", HOST],
        ["x-amz-acl", "private"],
      ],
    });
    expect((await target(own)).headers["x-amz-acl"]).toBe("private");
  });
});

const via = async (
  remoteAddress: string,
  headers: [string, string][],
  trustedProxies: string[] = ["10.0.0.0/8", "2001:db8::/32", "127.0.0.1"],
) => {
  const request = await target(get("/b", HOST, { remoteAddress, headers: [["Host", HOST], ...headers] }), {
    trustedProxies,
  });
  return { address: request.clientAddress, secure: request.secure };
};

const forwarded = (list: string): [string, string][] => [
  ["X-Forwarded-For", list],
  ["X-Forwarded-Proto", "https"],
];

describe("the client's address", () => {
  test.each<[name: string, remote: string, list: string, address: string, secure: boolean]>([
    ["a stranger names nobody", "192.0.2.7", "198.51.100.1", "192.0.2.7", false],
    ["a trusted proxy names its client", "10.1.2.3", "198.51.100.1", "198.51.100.1", true],
    [
      "what the client wrote itself is passed over",
      "10.1.2.3",
      "1.1.1.1, 198.51.100.1",
      "198.51.100.1",
      true,
    ],
    ["trusted hops are passed through", "10.1.2.3", "198.51.100.1, 10.9.9.9", "198.51.100.1", true],
    ["version 6, brackets and ports", "2001:db8::1", "[2001:470::9]:443", "2001:470::9", true],
    ["a port after version 4", "127.0.0.1", "198.51.100.1:5555", "198.51.100.1", true],
    ["a dual-stack socket", "::ffff:10.1.2.3", "198.51.100.1", "198.51.100.1", true],
    ["rubbish is ignored", "10.1.2.3", "nobody", "10.1.2.3", true],
    ["all of them trusted", "10.1.2.3", "10.1.1.1, 10.2.2.2", "10.1.1.1", true],
  ])("%s", async (_name, remote, list, address, secure) => {
    expect(await via(remote, forwarded(list))).toEqual({ address, secure });
  });

  test("nobody is trusted by default", async () => {
    expect(await via("::ffff:10.0.0.1", forwarded("1.2.3.4"), [])).toEqual({
      address: "10.0.0.1",
      secure: false,
    });
  });

  test("ranges must be ranges", () => {
    for (const range of ["", "10.0.0.0/33", "10.0.0/8", "proxy", "::1/129", "10.0.0.0/-1", "10.0.0.0/"]) {
      expect(() =>
        prepareTarget({ domains: [], trustedProxies: [range] }, () => Promise.resolve(false)),
      ).toThrow(TypeError);
    }
  });

  test("a trusted proxy's host decides the bucket", async () => {
    const headers: [string, string][] = [["X-Forwarded-Host", "b.s3.localhost, x"]];
    const asked = (remoteAddress: string) =>
      target(get("/k", HOST, { remoteAddress, headers: [["Host", "127.0.0.1:9000"], ...headers] }), {
        trustedProxies: ["10.0.0.1"],
      });
    expect(await asked("10.0.0.1")).toMatchObject({
      bucket: "b",
      key: "k",
      host: "b.s3.localhost",
      signedHosts: ["b.s3.localhost"],
    });
    expect(await asked("10.0.0.2")).toMatchObject({ bucket: "k", key: undefined, host: "127.0.0.1" });
  });
});
