/** The guide of 2009, sections 1 to 5, 12 and 13: buckets, listing, metadata, objects and copies, over the wire. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../server.ts";
import type { RawRequest, TestKey } from "../signer.ts";
import { element, send, type RawAnswer } from "./client.ts";
import { exchange, signV2 } from "./wire.ts";

let server: TestServer;
/** With the guide's own rules. */
let old: TestServer;
let other: TestKey;

const ask = (method: string, target: string, more: Partial<RawRequest> = {}, key?: TestKey | null) =>
  send(server, { method, target, ...more }, key);
const askOld = (method: string, target: string, more: Partial<RawRequest> = {}) =>
  send(old, { method, target, ...more });
const refused = (status: number, code: string) => ({ status, code });
const md5 = (text: string) => createHash("md5").update(text).digest("hex");

beforeAll(async () => {
  server = await startServer();
  old = await startServer({ compatibility: "2006-03-01" });
  other = (await server.store.accounts.create({ name: "other" })).key;
  await ask("PUT", "/guide");
  await askOld("PUT", "/guide");
});
afterAll(async () => {
  await server.close();
  await old.close();
});

describe("buckets", () => {
  test("R31 PUT: Location and an empty body", async () => {
    const { status, headers, text } = await ask("PUT", "/made/");
    expect([status, headers["location"], headers["content-length"], text]).toEqual([200, "/made", "0", ""]);
  });

  test("R15 R4 a bucket holds no bucket: what looks like one is an object", async () => {
    for (const target of ["/guide/name/", "/guide/name", "/guide/name//"])
      expect((await ask("PUT", target, { body: target })).status).toBe(200);
    for (const target of ["/guide/name/", "/guide/name", "/guide/name//"])
      expect((await ask("GET", target)).text).toBe(target);
    expect(await ask("HEAD", "/name")).toMatchObject({ status: 404 });
  });

  test("R19 HEAD tells whether a name is free", async () => {
    const statuses = [];
    for (const [target, key] of [
      ["/free-name", undefined],
      ["/guide", other],
      ["/guide", undefined],
    ] as const)
      statuses.push((await ask("HEAD", `${target}?max-keys=0`, {}, key)).status);
    expect(statuses).toEqual([404, 403, 200]);
  });

  test("R30 R389 a name is free at once, and the date of a bucket stays", async () => {
    const created = async () =>
      /<Name>dated<\/Name><CreationDate>([^<]*)/.exec((await ask("GET", "/")).text)?.[1];
    await ask("PUT", "/dated");
    const first = await created();
    expect(first).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    await ask("PUT", "/dated", { headers: { "x-amz-acl": "public-read" } });
    await ask("PUT", "/dated/k", { body: "x" });
    expect(await created()).toBe(first);
    await ask("DELETE", "/dated/k");
    expect((await ask("DELETE", "/dated")).status).toBe(204);
    expect((await ask("GET", "/dated")).code).toBe("NoSuchBucket");
    expect((await ask("PUT", "/dated", {}, other)).status).toBe(200);
  });

  test.each([
    ["R25 with a location a name keeps the stricter rules", "/Upper_Case", "EU"],
    ["R25 with a location no hyphen stands beside a dot", "/my-.bucket", "EU"],
    ["R23 an address is no name", "/192.168.5.4", ""],
    ["R21 a name begins with a letter or digit", "/-name", ""],
    ["R22 a name has 3 characters", "/ab", ""],
  ])("%s, by the guide", async (_name, target, location) => {
    const body = `<CreateBucketConfiguration><LocationConstraint>${location}</LocationConstraint></CreateBucketConfiguration>`;
    const located = await startServer({
      compatibility: "2006-03-01",
      location: ["us-east-1", "EU"].map((name) => `${name}=http://127.0.0.1`),
    });
    try {
      const answer = await send(located, { method: "PUT", target, body: location === "" ? "" : body });
      expect(answer).toMatchObject(refused(400, "InvalidBucketName"));
    } finally {
      await located.close();
    }
  });
});

/** The names of the elements directly in the root and, of `name`, in its first element. */
function children(text: string, name?: string): string[] {
  const inner =
    name === undefined
      ? /<\w+ xmlns[^>]*>(.*)<\/\w+>$/s.exec(text)?.[1]
      : new RegExp(`<${name}>(.*?)</${name}>`, "s").exec(text)?.[1];
  return [...(inner ?? "").matchAll(/<(\w+)(?:\/>|[^>]*>.*?<\/\1>)/gs)].map(([, child = ""]) => child);
}
const texts = (text: string, path: RegExp) => [...text.matchAll(path)].map(([, found]) => found);
const keysIn = ({ text }: RawAnswer) => texts(text, /<Contents><Key>([^<]*)</g);
const prefixesIn = ({ text }: RawAnswer) => texts(text, /<CommonPrefixes><Prefix>([^<]*)</g);

const list = (query: string) => ask("GET", `/list?${query.replaceAll("/", "%2F")}`);

describe("listing", () => {
  const KEYS = [
    "a",
    "a--b--c",
    "a--d",
    "b/1",
    "b/2",
    "c/x/y",
    "c/x/z",
    "c/y",
    "d",
    "%EF%BF%BD",
    "%F0%9F%98%80",
  ];
  beforeAll(async () => {
    await ask("PUT", "/list");
    for (const key of KEYS) await ask("PUT", `/list/${key}`, { body: key });
  });

  test("R48 R49 R50 has its elements in the order of the schema", async () => {
    const { text, headers } = await list("delimiter=/&max-keys=4&prefix=&marker=a");
    expect(headers["content-type"]).toBe("application/xml");
    expect(text).toContain('<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">');
    expect(children(text)).toEqual([
      "Name",
      "Prefix",
      "Marker",
      "NextMarker",
      "MaxKeys",
      "Delimiter",
      "IsTruncated",
      "Contents",
      "Contents",
      "CommonPrefixes",
      "CommonPrefixes",
    ]);
    const old2009 = children(text, "Contents").filter((name) => !name.startsWith("Checksum"));
    expect(old2009).toEqual(
      ["Key", "LastModified", "ETag", "Size", "Owner", "ID", "DisplayName", "StorageClass"].filter((name) =>
        old2009.includes(name),
      ),
    );
    expect(old2009).toEqual(
      expect.arrayContaining(["Key", "LastModified", "ETag", "Size", "Owner", "StorageClass"]),
    );
  });

  test.each<[string, string, { keys: string[]; prefixes?: string[]; next?: string; truncated?: string }]>([
    ["R55 a delimiter of two characters", "delimiter=--&prefix=a", { keys: ["a"], prefixes: ["a--"] }],
    ["R55 from the prefix on", "delimiter=--&prefix=a--", { keys: ["a--d"], prefixes: ["a--b--"] }],
    [
      "R55 a delimiter within the prefix does not count",
      "delimiter=/&prefix=c/x/",
      { keys: ["c/x/y", "c/x/z"], prefixes: [] },
    ],
    [
      "R55 a prefix that ends within the delimiter",
      "delimiter=--&prefix=a-",
      { keys: ["a--d"], prefixes: ["a--b--"] },
    ],
    [
      "R58 R64 prefixes count",
      "delimiter=/&max-keys=4&marker=a--d",
      { keys: ["d", "\ufffd"], prefixes: ["b/", "c/"], next: "\ufffd", truncated: "true" },
    ],
    [
      "R64 the next marker may be a prefix",
      "delimiter=/&max-keys=1&marker=a--d",
      { keys: [], prefixes: ["b/"], next: "b/", truncated: "true" },
    ],
    [
      "R65 a marker that is a prefix skips its keys",
      "delimiter=/&marker=b/&max-keys=1",
      { keys: [], prefixes: ["c/"], next: "c/", truncated: "true" },
    ],
    [
      "R63 nothing more: not truncated",
      "delimiter=/&prefix=c/&max-keys=2",
      { keys: ["c/y"], prefixes: ["c/x/"], truncated: "false" },
    ],
    [
      "R67 R64 no next marker without a delimiter",
      "max-keys=2",
      { keys: ["a", "a--b--c"], truncated: "true" },
    ],
    ["R54 a marker of no key", "marker=a--c&max-keys=1", { keys: ["a--d"], truncated: "true" }],
    ["R54 a marker before the prefix", "prefix=d&marker=b", { keys: ["d"], truncated: "false" }],
    ["R54 a marker after the prefix", "prefix=b&marker=d", { keys: [], truncated: "false" }],
    ["R52 U+FFFD before U+1F600", "marker=d", { keys: ["\ufffd", "\u{1f600}"], truncated: "false" }],
    [
      "R53 an empty prefix, marker and delimiter",
      "prefix=&marker=&delimiter=&max-keys=1",
      { keys: ["a"], truncated: "true" },
    ],
    ["R60 no keys", "max-keys=0&delimiter=/", { keys: [], prefixes: [], truncated: "false" }],
  ])("%s", async (_name, query, { keys, prefixes = [], next, truncated = "false" }) => {
    const answer = await list(query);
    expect(answer.status).toBe(200);
    expect(keysIn(answer)).toEqual(keys);
    expect(prefixesIn(answer)).toEqual(prefixes);
    expect(element(answer, "NextMarker")).toBe(next);
    expect(element(answer, "IsTruncated")).toBe(truncated);
  });

  test("R66 R61 echoes what was sent", async () => {
    const answer = await list("prefix=c%2F&marker=c%2Fa%26&delimiter=--&max-keys=2000");
    const echoed = ["Name", "Prefix", "Marker", "MaxKeys", "Delimiter"].map((name) => element(answer, name));
    expect(echoed).toEqual(["list", "c/", "c/a&amp;", "1000", "--"]);
    expect(children((await list("delimiter=")).text)).not.toContain("Delimiter");
  });

  test("R69 R70 the ETag is the MD5 in quotes, the size that of the data", async () => {
    const answer = await list("prefix=d");
    expect(element(answer, "ETag")?.replaceAll("&quot;", '"')).toBe(`"${md5("d")}"`);
    expect(element(answer, "Size")).toBe("1");
  });
});

describe("metadata", () => {
  test("R75 R77 system metadata comes back as given, and only what was given", async () => {
    const headers = {
      "cache-control": "max-age=3600, must-revalidate",
      "content-disposition": 'attachment; filename="a b.txt"',
      "content-encoding": "gzip",
      "content-type": "text/html; charset=utf-8",
      expires: "Thu, 01 Dec 1994 16:00:00 GMT",
    };
    await ask("PUT", "/guide/system", { headers, body: "x" });
    expect((await ask("HEAD", "/guide/system")).headers).toMatchObject({ ...headers, etag: `"${md5("x")}"` });
    await ask("PUT", "/guide/system", { body: "x" });
    const plain = (await ask("HEAD", "/guide/system")).headers;
    expect(plain["content-type"]).toBe("binary/octet-stream");
    for (const name of ["cache-control", "content-disposition", "content-encoding", "expires"])
      expect(plain).not.toHaveProperty(name);
  });

  test("R78 names of user metadata are lower case", async () => {
    await ask("PUT", "/guide/user", { headers: { "X-Amz-Meta-ReviewedBy": "Joe" }, body: "" });
    expect((await ask("GET", "/guide/user")).headers["x-amz-meta-reviewedby"]).toBe("Joe");
  });

  test.each([
    ["2,048 bytes are enough", 2048 - "long".length, 200],
    ["one more is too much", 2049 - "long".length, 400],
  ])("R79 %s, prefix not counted", async (_name, length, status) => {
    const answer = await ask("PUT", "/guide/long", {
      headers: { "x-amz-meta-long": "v".repeat(length) },
      body: "",
    });
    expect([answer.status, answer.code]).toEqual([status, status === 200 ? undefined : "MetadataTooLarge"]);
  });

  test.each(["GET", "HEAD"])(
    "R84 R85 R87 %s leaves out what is not ASCII and counts it, by the guide",
    async (method) => {
      const headers = {
        "x-amz-meta-plain": "plain",
        "x-amz-meta-snow": "\u2603",
        "x-amz-meta-uml": "=?UTF-8?B?w6Q=?=",
      };
      expect((await askOld("PUT", "/guide/missing", { headers, body: "" })).status).toBe(200);
      const { headers: read } = await askOld(method, "/guide/missing");
      expect(read).toMatchObject({ "x-amz-meta-plain": "plain", "x-amz-missing-meta": "2" });
      expect(read).not.toHaveProperty("x-amz-meta-snow");
      await askOld("PUT", "/guide/missing", { headers: { "x-amz-meta-plain": "plain" }, body: "" });
      expect((await askOld(method, "/guide/missing")).headers).not.toHaveProperty("x-amz-missing-meta");
    },
  );

  test("R94 the server is named as the guide's", async () => {
    expect((await askOld("GET", "/guide")).headers["server"]).toBe("AmazonS3");
    expect((await askOld("GET", "/guide/none")).headers["server"]).toBe("AmazonS3");
  });
});

const digest = (text: string) => createHash("md5").update(text).digest("base64");
const put = (md5Header: string) =>
  ask("PUT", "/guide/announced", { headers: { "content-md5": md5Header }, body: "x" });

describe("objects", () => {
  beforeAll(() => ask("PUT", "/guide/k", { body: "0123456789" }));

  test("R190 R212 PUT: ETag and an empty body; Last-Modified with two digits of day", async () => {
    const { headers, text } = await ask("PUT", "/guide/put", { body: "x" });
    expect([headers["etag"], headers["content-length"], text]).toEqual([`"${md5("x")}"`, "0", ""]);
    const modified = (await ask("GET", "/guide/put")).headers["last-modified"]!;
    expect(modified).toMatch(/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
  });

  test.each<[string, string, number, string | undefined, string]>([
    ["R196 from the first", "bytes=0-3", 206, "bytes 0-3/10", "0123"],
    ["R196 cut to the end", "bytes=8-99", 206, "bytes 8-9/10", "89"],
    ["R196 to the end", "bytes=7-", 206, "bytes 7-9/10", "789"],
    ["R196 the last", "bytes=-2", 206, "bytes 8-9/10", "89"],
    ["R196 more than all of the last", "bytes=-99", 206, "bytes 0-9/10", "0123456789"],
    ["R197 without a unit", "0-3", 200, undefined, "0123456789"],
    ["R197 backwards", "bytes=5-2", 200, undefined, "0123456789"],
  ])("a range %s", async (_name, range, status, contentRange, text) => {
    for (const method of ["GET", "HEAD"]) {
      const answer = await ask(method, "/guide/k", { headers: { range } });
      expect([method, answer.status, answer.headers["content-range"]]).toEqual([
        method,
        status,
        contentRange,
      ]);
      // R199: the length of the part.
      expect(answer.headers["content-length"]).toBe(String(text.length));
      expect(answer.text).toBe(method === "GET" ? text : "");
    }
  });

  test("R1 R198 an object of no bytes has no range", async () => {
    await ask("PUT", "/guide/empty", { body: "" });
    expect(await ask("GET", "/guide/empty")).toMatchObject({ status: 200, text: "" });
    for (const range of ["bytes=0-0", "bytes=-1", "bytes=0-"])
      expect(await ask("GET", "/guide/empty", { headers: { range } })).toMatchObject(
        refused(416, "InvalidRange"),
      );
  });

  test.each<[string, string, Record<string, string>, number]>([
    ["R206 a missing key", "/guide/none", {}, 404],
    ["a missing bucket", "/no-such-bucket/k", {}, 404],
    ["R198 a range beyond", "/guide/k", { range: "bytes=10-" }, 416],
    ["R201 a condition", "/guide/k", { "if-match": '"x"' }, 412],
    ["R200 not modified", "/guide/k", { "if-none-match": "*" }, 304],
    ["a wrong signature", "/guide/k", { authorization: "AWS a:b", date: "x" }, 403],
  ])("R97 R205 HEAD of %s has no body", async (_name, target, headers, status) => {
    const key = headers["authorization"] === undefined ? undefined : null;
    const answer = await ask("HEAD", target, { headers }, key);
    expect([answer.status, answer.text]).toEqual([status, ""]);
    expect(answer.headers["x-amz-request-id"]).toMatch(/^[0-9A-F]{16}$/);
    expect((await ask("GET", target, { headers }, key)).status).toBe(status);
  });

  test.each<[string, string, string, number, string]>([
    ["R209 POST to a key", "POST", "/guide/k", 405, "MethodNotAllowed"],
    ["R209 PUT of the service", "PUT", "/", 405, "MethodNotAllowed"],
    ["R209 DELETE of the service", "DELETE", "/", 405, "MethodNotAllowed"],
    ["R210 the logging of a key", "GET", "/guide/k?logging", 400, "NoLoggingStatusForKey"],
    ["R211 the torrent of a bucket", "GET", "/guide?torrent", 400, "RequestTorrentOfBucketError"],
  ])("%s", async (_name, method, target, status, code) => {
    expect(await ask(method, target)).toMatchObject(refused(status, code));
  });

  test("R192 R193 what does not arrive as announced is not stored", async () => {
    const bad = await put(digest("y"));
    expect(bad).toMatchObject(refused(400, "BadDigest"));
    expect([element(bad, "ExpectedDigest"), element(bad, "CalculatedDigest")]).not.toContain(undefined);
    for (const text of ["x", "!!!!", Buffer.from("short").toString("base64")])
      expect(await put(text)).toMatchObject(refused(400, "InvalidDigest"));
    expect((await ask("GET", "/guide/announced")).status).toBe(404);
    expect((await put(digest("x"))).status).toBe(200);
    expect((await ask("GET", "/guide/announced")).text).toBe("x");
  });

  test.each(["a%3Bb", "./x", "../x", "a/../b", "a%2Fb", "%2Fx", "/x", "a+b", "a%2Bb", "a%3Fb%23c"])(
    "R18 the key %s is what it says",
    async (key) => {
      await ask("PUT", `/guide/${key}`, { body: key });
      expect((await ask("GET", `/guide/${key}`)).text).toBe(key);
      const decoded = decodeURIComponent(key);
      const listed = await ask("GET", `/guide?prefix=${encodeURIComponent(decoded)}&max-keys=1`);
      expect(element(listed, "Key")).toBe(decoded);
    },
  );

  test("R5 R17 limits have the guide's names under its rules", async () => {
    const long = { "x-amz-meta-long": "v".repeat(9000) };
    expect(await askOld("GET", "/guide", { headers: long })).toMatchObject(
      refused(400, "MaxMessageLengthExceeded"),
    );
    expect(await askOld("PUT", `/guide/${"k".repeat(1025)}`, { body: "" })).toMatchObject(
      refused(400, "KeyTooLong"),
    );
    expect((await askOld("PUT", `/guide/${"k".repeat(1024)}`, { body: "" })).status).toBe(200);
  });
});

const copy = (target: string, headers: Record<string, string>) => ask("PUT", target, { headers });

describe("copies", () => {
  beforeAll(() =>
    ask("PUT", "/guide/source", { headers: { "x-amz-meta-a": "1", "content-type": "a/b" }, body: "x" }),
  );

  test("R215 R216 the answer is the document of the schema", async () => {
    const { status, text, headers } = await copy("/guide/copy", { "x-amz-copy-source": "/guide/source" });
    expect([status, headers["content-type"]]).toEqual([200, "application/xml"]);
    expect(text).toMatch(
      /<CopyObjectResult xmlns="http:\/\/s3\.amazonaws\.com\/doc\/2006-03-01\/"><LastModified>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z<\/LastModified><ETag>/,
    );
  });

  test("R219 COPY ignores the request's metadata, REPLACE drops the source's", async () => {
    const source = { "x-amz-copy-source": "guide/source", "x-amz-meta-b": "2", "content-type": "c/d" };
    await copy("/guide/copy", { ...source, "x-amz-metadata-directive": "COPY" });
    const kept = (await ask("HEAD", "/guide/copy")).headers;
    expect([kept["x-amz-meta-a"], kept["x-amz-meta-b"], kept["content-type"]]).toEqual([
      "1",
      undefined,
      "a/b",
    ]);
    await copy("/guide/copy", { ...source, "x-amz-metadata-directive": "REPLACE" });
    const replaced = (await ask("HEAD", "/guide/copy")).headers;
    expect([replaced["x-amz-meta-a"], replaced["x-amz-meta-b"], replaced["content-type"]]).toEqual([
      undefined,
      "2",
      "c/d",
    ]);
  });

  test.each<[string, Record<string, string>, number, string]>([
    ["R218 another directive", { "x-amz-metadata-directive": "MERGE" }, 400, "InvalidArgument"],
    [
      "R226 pairs that are not allowed",
      { "x-amz-copy-source-if-match": "*", "x-amz-copy-source-if-modified-since": new Date(0).toUTCString() },
      400,
      "InvalidRequest",
    ],
    ["R227 a missing source", { "x-amz-copy-source": "/guide/none" }, 404, "NoSuchKey"],
    ["R227 a missing bucket", { "x-amz-copy-source": "/no-such-bucket/k" }, 404, "NoSuchBucket"],
    ["R214 a source that is no object", { "x-amz-copy-source": "/guide" }, 400, "InvalidArgument"],
  ])("%s", async (_name, headers, status, code) => {
    const answer = await copy("/guide/refused", { "x-amz-copy-source": "/guide/source", ...headers });
    expect(answer).toMatchObject(refused(status, code));
    expect((await ask("GET", "/guide/refused")).status).toBe(404);
  });

  test("R220 onto itself without REPLACE", async () => {
    const onto = { "x-amz-copy-source": "/guide/source" };
    expect(await copy("/guide/source", onto)).toMatchObject(refused(400, "InvalidRequest"));
  });

  test("R217 in HTTP/1.0 the answer ends with the connection", async () => {
    const headers = [["x-amz-copy-source", "/guide/source"]] as const;
    const request = { method: "PUT", target: "/guide/copy10", headers, version: "1.0" } as const;
    const answer = await exchange(server.port, signV2(request, server.rootKey));
    expect(answer.status).toBe(200);
    expect(answer.headers["transfer-encoding"]).toBeUndefined();
    expect(answer.text).toContain("</CopyObjectResult>");
  });
});
