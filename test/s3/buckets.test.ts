import { createHash } from "node:crypto";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Operation } from "../../src/s3/operation.ts";
import { OPERATIONS } from "../../src/s3/operations.ts";
import { startServer, type TestServer } from "../server.ts";
import { sign, type RawRequest, type TestKey } from "../signer.ts";
import { element, send as sendTo, type RawAnswer } from "./client.ts";

let server: TestServer;
let other: TestKey;
const send = (request: RawRequest, key?: TestKey | null): Promise<RawAnswer> => sendTo(server, request, key);
const put = (target: string, body = "", headers: Record<string, string> = {}) =>
  send({ method: "PUT", target, body, headers });
const get = (target: string, key?: TestKey | null) => send({ method: "GET", target }, key);
const namesIn = (answer: RawAnswer) =>
  [...answer.text.matchAll(/<Name>([^<]*)<\/Name>/g)].map((match) => match[1]);

beforeAll(async () => {
  server = await startServer({
    location: ["us-east-1=http://127.0.0.1", "EU=http://127.0.0.1"],
    maxBuckets: 40,
  });
  other = (await server.store.accounts.create({ name: "other", email: "other@example.org" })).key;
});
afterAll(() => server.close());

const headExpecting = (owner: string) =>
  send({ method: "HEAD", target: "/owned", headers: { "x-amz-expected-bucket-owner": owner } });

describe("a bucket", () => {
  test("is made, found, listed and deleted", async () => {
    const made = await put("/life");
    expect(made).toMatchObject({ status: 200, text: "" });
    expect(made.headers).toMatchObject({ location: "/life", "content-length": "0" });
    const head = await send({ method: "HEAD", target: "/life" });
    expect(head.status).toBe(200);
    expect(head.headers["x-amz-bucket-region"]).toBe("us-east-1");
    expect(await get("/life/")).toMatchObject({ status: 200 });
    expect(namesIn(await get("/"))).toContain("life");
    expect(await send({ method: "DELETE", target: "/life" })).toMatchObject({ status: 204, text: "" });
    const gone = await get("/life");
    expect(gone).toMatchObject({ status: 404, code: "NoSuchBucket" });
    expect(element(gone, "BucketName")).toBe("life");
    expect(await put("/life")).toMatchObject({ status: 200 });
  });

  test("that is one's own can be made again: its contents stay, its ACL is new", async () => {
    await put("/again", "", { "x-amz-acl": "public-read" });
    await put("/again/key", "kept");
    expect(await get("/again", null)).toMatchObject({ status: 200 });
    expect(await put("/again")).toMatchObject({ status: 200 });
    expect(await get("/again/key")).toMatchObject({ status: 200, text: "kept" });
    expect(await get("/again", null)).toMatchObject({ status: 403, code: "AccessDenied" });
  });

  test("of somebody else can't be made, nor any by nobody", async () => {
    await put("/taken");
    const refused = await send({ method: "PUT", target: "/taken" }, other);
    expect(refused).toMatchObject({ status: 409, code: "BucketAlreadyExists" });
    expect(await send({ method: "PUT", target: "/nobodys" }, null)).toMatchObject({
      status: 403,
      code: "AccessDenied",
    });
  });

  test.each([
    "ab",
    "a".repeat(64),
    "Upper",
    "under_score",
    "-begins",
    "ends-",
    "ends.",
    "two..dots",
    "192.168.5.4",
    "xn--reserved",
    "name-s3alias",
    "sp%20ace",
  ])("can't be named %s", async (name) => {
    expect(await put(`/${name}`)).toMatchObject({ status: 400, code: "InvalidBucketName" });
  });
  test.each(["abc", "1.2.3", "a-.b", `n${"a".repeat(61)}9`])("can be named %s", async (name) => {
    expect(await put(`/${name}`)).toMatchObject({ status: 200 });
    expect(await send({ method: "DELETE", target: `/${name}` })).toMatchObject({ status: 204 });
  });

  test("is deleted only when empty, and only by its owner", async () => {
    await put("/full", "", { "x-amz-acl": "public-read-write" });
    await put("/full/key", "x");
    expect(await send({ method: "DELETE", target: "/full" })).toMatchObject({
      status: 409,
      code: "BucketNotEmpty",
    });
    await send({ method: "DELETE", target: "/full/key" });
    expect(await send({ method: "DELETE", target: "/full" }, other)).toMatchObject({ status: 403 });
    expect(await send({ method: "DELETE", target: "/full" }, null)).toMatchObject({ status: 403 });
    expect(await send({ method: "DELETE", target: "/full" })).toMatchObject({ status: 204 });
  });

  test("is refused to those who expect another owner", async () => {
    await put("/owned");
    const account = await server.store.accounts.byName("root");
    expect((await headExpecting(account!.id)).status).toBe(200);
    expect((await headExpecting("111122223333")).status).toBe(403);
  });

  test("with an object lock or another ownership is not pretended", async () => {
    const lock = await put("/locked", "", { "x-amz-bucket-object-lock-enabled": "true" });
    expect(lock).toMatchObject({ status: 501, code: "NotImplemented" });
    const enforced = await put("/locked", "", { "x-amz-object-ownership": "BucketOwnerEnforced" });
    expect(enforced).toMatchObject({ status: 501, code: "NotImplemented" });
    expect((await get("/locked")).code).toBe("NoSuchBucket");
  });

  test("is not one too many", async () => {
    const { key } = await server.store.accounts.create({ name: "many" });
    for (let n = 0; n < 40; n++) {
      expect((await send({ method: "PUT", target: `/many-${n}` }, key)).status).toBe(200);
    }
    expect(await send({ method: "PUT", target: "/many-40" }, key)).toMatchObject({
      status: 400,
      code: "TooManyBuckets",
    });
  });
});

const located = (location: string, namespace = "") =>
  `<CreateBucketConfiguration ${namespace}><LocationConstraint>${location}</LocationConstraint></CreateBucketConfiguration>`;

describe("locations", () => {
  test.each([
    ["none", ""],
    ["S3's", 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'],
    ["the old one", 'xmlns="http://doc.s3.amazonaws.com/2006-03-01"'],
  ])("are asked for in a document whose namespace is %s", async (name, namespace) => {
    const bucket = `/eu-${name.replaceAll(/\W/g, "").toLowerCase()}`;
    expect(await put(bucket, located("EU", namespace))).toMatchObject({ status: 200 });
    const answer = await get(`${bucket}?location`);
    expect(answer.text).toContain(
      '<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">EU</LocationConstraint>',
    );
    expect(await put(bucket, located("EU"))).toMatchObject({
      status: 409,
      code: "BucketAlreadyOwnedByYou",
    });
    expect(await put(bucket)).toMatchObject({ status: 409, code: "BucketAlreadyOwnedByYou" });
  });

  test("have two names in Europe", async () => {
    expect(await put("/eu-today", located("eu-west-1"))).toMatchObject({ status: 200 });
    expect((await get("/eu-today?location")).text).toContain(">eu-west-1</LocationConstraint>");
  });

  test("are empty for the default one, also when it was named", async () => {
    await put("/at-home", located("us-east-1"));
    const answer = await get("/at-home?location");
    expect(answer.text).toMatch(/<LocationConstraint [^>]*><\/LocationConstraint>$/);
    expect(answer.headers["content-type"]).toBe("application/xml");
    expect(await get("/at-home?location", other)).toMatchObject({ status: 403 });
  });

  test.each([
    ["an unknown one", located("Mars"), "InvalidLocationConstraint"],
    ["half a document", "<CreateBucketConfiguration>", "MalformedXML"],
    ["another root", "<Bucket/>", "MalformedXML"],
    ["another namespace", located("EU", 'xmlns="http://example.org/"'), "MalformedXML"],
    ["what is not built", "<CreateBucketConfiguration><Tags/></CreateBucketConfiguration>", "NotImplemented"],
  ])("%s is refused", async (_name, body, code) => {
    expect((await put("/nowhere", body)).code).toBe(code);
    expect((await get("/nowhere")).code).toBe("NoSuchBucket");
  });
});

describe("the list of buckets", () => {
  let key: TestKey;
  beforeAll(async () => {
    ({ key } = await server.store.accounts.create({ name: "lister" }));
    for (const name of ["list-c", "list-a", "list-b", "other-a"])
      await send({ method: "PUT", target: `/${name}` }, key);
  });

  test("has the owner first, then names and dates in order", async () => {
    const { text } = await get("/", key);
    expect(text).toMatch(
      /<ListAllMyBucketsResult xmlns="http:\/\/s3.amazonaws.com\/doc\/2006-03-01\/"><Owner><ID>[0-9a-f]{64}<\/ID><DisplayName>lister<\/DisplayName><\/Owner><Buckets><Bucket><Name>list-a<\/Name><CreationDate>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z<\/CreationDate><\/Bucket>/,
    );
    expect(namesIn(await get("/", key))).toEqual(["list-a", "list-b", "list-c", "other-a"]);
  });

  test("goes by prefix and by pages", async () => {
    expect(namesIn(await get("/?prefix=other", key))).toEqual(["other-a"]);
    const first = await get("/?max-buckets=2&prefix=list", key);
    expect(namesIn(first)).toEqual(["list-a", "list-b"]);
    expect(element(first, "BucketRegion")).toBe("us-east-1");
    const token = encodeURIComponent(element(first, "ContinuationToken")!);
    const second = await get(`/?max-buckets=2&prefix=list&continuation-token=${token}`, key);
    expect(namesIn(second)).toEqual(["list-c"]);
    expect(element(second, "ContinuationToken")).toBeUndefined();
    expect(namesIn(await get("/?bucket-region=us-east-1", key))).toHaveLength(4);
    expect(namesIn(await get("/?bucket-region=eu-west-1", key))).toHaveLength(0);
  });

  test.each(["max-buckets=0", "max-buckets=10001", "max-buckets=x", "continuation-token=forged"])(
    "refuses %s",
    async (query) => {
      expect(await get(`/?${query}`, key)).toMatchObject({ status: 400, code: "InvalidArgument" });
    },
  );

  test("is nobody's but an account's", async () => {
    expect(await get("/", null)).toMatchObject({ status: 403, code: "AccessDenied" });
  });
});

const versioning = (inner: string) => `<VersioningConfiguration>${inner}</VersioningConfiguration>`;

describe("versioning", () => {
  test("is off, then enabled, then suspended", async () => {
    await put("/versioned");
    const empty =
      '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></VersioningConfiguration>';
    expect((await get("/versioned?versioning")).text).toContain(empty);
    for (const status of ["Enabled", "Suspended"]) {
      const answer = await put("/versioned?versioning", versioning(`<Status>${status}</Status>`));
      expect(answer).toMatchObject({ status: 200, text: "" });
      expect(element(await get("/versioned?versioning"), "Status")).toBe(status);
    }
    expect(await get("/versioned?versioning", other)).toMatchObject({ status: 403 });
  });

  test.each([
    ["<Status>Off</Status>", "MalformedXML"],
    ["", "IllegalVersioningConfigurationException"],
    ["<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>", "NotImplemented"],
  ])("can't be set to %j", async (inner, code) => {
    await put("/unversioned");
    expect((await put("/unversioned?versioning", versioning(inner))).code).toBe(code);
    expect(element(await get("/unversioned?versioning"), "Status")).toBeUndefined();
  });

  test("needs a document", async () => {
    await put("/unversioned");
    expect(await put("/unversioned?versioning")).toMatchObject({
      status: 400,
      code: "MissingRequestBodyError",
    });
  });
});

describe("every answer", () => {
  beforeAll(async () => {
    await put("/plain");
  });

  test("has its ids, errors and 204 too, and an error document has the same", async () => {
    const answers = [
      await get("/plain"),
      await get("/plain/none"),
      await send({ method: "DELETE", target: "/plain/none" }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 404, 204]);
    for (const { headers } of answers) {
      expect(headers["x-amz-request-id"]).toMatch(/^[0-9A-Z]{16}$/);
      expect(headers["x-amz-id-2"]).toMatch(/^[A-Za-z0-9+/=]{64,}$/);
      expect(headers).toMatchObject({ server: "Windlass", date: expect.stringMatching(/GMT$/) });
    }
    const missing = answers[1]!;
    expect(element(missing, "RequestId")).toBe(missing.headers["x-amz-request-id"]);
    expect(element(missing, "Resource")).toBe("/plain/none");
    expect(missing.headers["content-type"]).toBe("application/xml");
  });

  test("to HEAD has no body, in errors neither", async () => {
    for (const target of ["/plain/none", "/no-such-bucket"]) {
      expect(await send({ method: "HEAD", target })).toMatchObject({ status: 404, text: "" });
    }
  });

  test("about a bucket names its region, when access is refused too", async () => {
    for (const answer of [
      await get("/plain"),
      await get("/plain", null),
      await send({ method: "HEAD", target: "/plain" }, null),
      await get("/plain", { accessKeyId: "UNKNOWN", secretAccessKey: "x" }),
    ]) {
      expect(answer.headers["x-amz-bucket-region"]).toBe("us-east-1");
    }
  });
});

describe("what is not an operation here", () => {
  beforeAll(async () => {
    await put("/plain");
    await put("/plain/key", "body");
  });

  const unbuilt = Object.entries<Operation>(OPERATIONS).filter(([, { run }]) => run === "NotImplemented");
  test.each(unbuilt)(
    "%s answers NotImplemented under its own name",
    async (name, { method, on, when = [] }) => {
      const query = when.filter((demand) => demand.startsWith("?")).map((demand) => demand.slice(1));
      const headers = Object.fromEntries(
        when.filter((demand) => !/^[?/]/.test(demand)).map((demand) => [demand, "x"]),
      );
      const path =
        when.find((demand) => demand.startsWith("/")) ??
        { service: "/", bucket: "/plain", bucketName: "/plain", object: "/plain/key" }[on];
      const target = `${path}?${query.join("&")}`;
      const answer = await send({
        method,
        target,
        headers,
        body: method === "GET" || method === "DELETE" ? "" : "<a/>",
      });
      expect(answer).toMatchObject({ status: 501, code: "NotImplemented" });
      expect(element(answer, "Operation")).toBe(name);
    },
  );

  test.each([
    ["POST", "/plain/key", 405, "MethodNotAllowed"],
    ["PUT", "/", 405, "MethodNotAllowed"],
    ["DELETE", "/", 405, "MethodNotAllowed"],
    ["PATCH", "/plain/key", 405, "MethodNotAllowed"],
    ["DELETE", "/plain?versioning", 405, "MethodNotAllowed"],
    ["GET", "/plain/key?logging", 400, "NoLoggingStatusForKey"],
    ["PUT", "/plain/key?logging", 400, "NoLoggingStatusForKey"],
    ["GET", "/plain?torrent", 400, "RequestTorrentOfBucketError"],
    ["GET", "/plain?acl&policy", 400, "InvalidArgument"],
    ["PUT", "/plain/key?uploadId=u", 400, "InvalidArgument"],
  ])("%s %s → %i %s", async (method, target, status, code) => {
    const answer = await send({ method, target });
    expect(answer).toMatchObject({ status, code });
    expect(answer.headers["allow"] ?? "").toMatch(status === 405 ? /^[A-Z]+(, [A-Z]+)*$/ : /^$/);
    expect(await get("/plain/key")).toMatchObject({ status: 200, text: "body" });
  });

  test("a preflight hears that CORS is not enabled, whatever the URL is signed for", async () => {
    const headers = { origin: "http://example.org", "access-control-request-method": "PUT" };
    const ask = (target: string, more: Record<string, string> = headers) =>
      send({ method: "OPTIONS", target, headers: more }, null);
    for (const target of ["/plain", "/plain/key", "/plain/key?AWSAccessKeyId=a&Expires=1&Signature=s"]) {
      const answer = await ask(target);
      expect(answer).toMatchObject({ status: 403, code: "AccessForbidden" });
      expect(element(answer, "Method")).toBe("PUT");
    }
    expect(await ask("/plain", {})).toMatchObject({ status: 400, code: "BadRequest" });
    expect(await ask("/plain", { origin: "http://a.org" })).toMatchObject({
      status: 400,
      code: "BadRequest",
    });
  });
});

const md5 = (text: string) => createHash("md5").update(text).digest("base64");

/** One request as bytes; the answer's first line and body. */
function exchange(head: string, signed: Record<string, string>): Promise<string> {
  const lines = Object.entries(signed).map(([name, value]) => `${name}: ${value}\r\n`);
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(server.port, "127.0.0.1", () =>
      socket.write(head.replace("\r\n", `\r\n${lines.join("")}`)),
    );
    socket.setEncoding("latin1").on("data", (text: string) => (answer += text));
    socket.on("error", reject).on("close", () => resolve(answer));
  });
}

describe("documents", () => {
  const body = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
  beforeAll(async () => {
    await put("/plain");
  });

  test.each<[string, Record<string, string>, string | undefined]>([
    ["a right Content-MD5", { "content-md5": md5(body) }, undefined],
    ["a wrong Content-MD5", { "content-md5": md5("other") }, "BadDigest"],
    ["half a Content-MD5", { "content-md5": "AAAA" }, "InvalidDigest"],
    ["a wrong checksum", { "x-amz-checksum-crc32": "AAAAAA==" }, "BadDigest"],
    ["half a checksum", { "x-amz-checksum-crc32": "AAAA" }, "InvalidRequest"],
    [
      "two checksums",
      { "x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-crc32c": "AAAAAA==" },
      "InvalidRequest",
    ],
    ["another signed hash", { "x-amz-content-sha256": "0".repeat(64) }, "XAmzContentSHA256Mismatch"],
  ])("with %s", async (_name, headers, code) => {
    expect((await put("/plain?versioning", body, headers)).code).toBe(code);
  });

  test("that are too long are refused before they are read", async () => {
    const answer = await put("/plain?versioning", "x".repeat((1 << 20) + 1));
    expect(answer).toMatchObject({ status: 400, code: "MaxMessageLengthExceeded" });
    expect(element(answer, "MaxMessageLengthBytes")).toBe("1048576");
  });

  test("to delete by need a checksum", async () => {
    const xml = "<Delete><Object><Key>none</Key></Object></Delete>";
    const without = await send({ method: "POST", target: "/plain?delete", body: xml });
    expect(without).toMatchObject({ status: 400, code: "InvalidRequest" });
    const headers = { "content-md5": md5(xml) };
    expect((await send({ method: "POST", target: "/plain?delete", body: xml, headers })).status).toBe(200);
  });

  test("are verified where none is expected, when their hash was signed", async () => {
    const answer = await send({
      method: "GET",
      target: "/plain",
      headers: { "x-amz-content-sha256": "0".repeat(64) },
    });
    expect(answer).toMatchObject({ status: 400, code: "XAmzContentSHA256Mismatch" });
  });

  test("of no length are empty where they may be, and missed where they are needed", async () => {
    const signed = sign({ method: "PUT", target: "/chunked" }, server.rootKey, `127.0.0.1:${server.port}`);
    const chunked =
      "PUT /chunked HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    expect(await exchange(chunked, signed)).toMatch(/^HTTP\/1\.1 200/);
    const nothing = "PUT /chunked HTTP/1.1\r\nConnection: close\r\n\r\n";
    expect(await exchange(nothing, signed)).toMatch(/^HTTP\/1\.1 200/);
    const target = "/chunked?versioning";
    const needed = sign({ method: "PUT", target }, server.rootKey, `127.0.0.1:${server.port}`);
    const missing = `PUT ${target} HTTP/1.1\r\nConnection: close\r\n\r\n`;
    expect(await exchange(missing, needed)).toMatch(/^HTTP\/1\.1 411[^]*<Code>MissingContentLength</);
  });
});

describe("with the compatibility of 2006", () => {
  let old: TestServer;
  const ask = (method: string, target: string, body = "") => sendTo(old, { method, target, body });
  const EU =
    "<CreateBucketConfiguration><LocationConstraint>EU</LocationConstraint></CreateBucketConfiguration>";

  beforeAll(async () => {
    const location = ["us-east-1=http://127.0.0.1", "EU=http://127.0.0.1"];
    old = await startServer({ compatibility: "2006-03-01", location });
  });
  afterAll(() => old.close());

  test("names may be longer, and have capitals and underscores", async () => {
    for (const name of ["Upper_Case", "a".repeat(255)])
      expect((await ask("PUT", `/${name}`)).status).toBe(200);
    for (const name of ["ab", "_a_", "192.168.5.4", "a".repeat(256)]) {
      expect((await ask("PUT", `/${name}`)).code).toBe("InvalidBucketName");
    }
    expect((await ask("PUT", "/Upper_EU", EU)).code).toBe("InvalidBucketName");
  });

  test("one's own bucket is not made again", async () => {
    await ask("PUT", "/mine");
    expect(await ask("PUT", "/mine")).toMatchObject({ status: 409, code: "BucketAlreadyOwnedByYou" });
  });

  test("a bucket with a location is reached by its own host", async () => {
    expect((await ask("PUT", "/located", EU)).status).toBe(200);
    const answer = await ask("GET", "/located");
    expect(answer).toMatchObject({ status: 301, code: "PermanentRedirect" });
    expect(element(answer, "Endpoint")).toBe("located.s3.localhost");
    expect(answer.headers["location"]).toBeUndefined();
    const host = `located.s3.localhost:${old.port}`;
    const byHost = await sendTo(old, { method: "GET", target: "/", headers: { host } });
    expect(byHost).toMatchObject({ status: 200 });
  });

  test("a listing shows owners only to those who may read the ACL", async () => {
    const { account, key } = await old.store.accounts.create({ name: "guest" });
    const headers = { "x-amz-acl": "public-read-write" };
    await sendTo(old, { method: "PUT", target: "/shared", headers });
    await ask("PUT", "/shared/roots", "x");
    await sendTo(old, { method: "PUT", target: "/shared/guests", body: "x" }, key);
    const owners = async (by?: TestKey | null) =>
      [
        ...(await sendTo(old, { method: "GET", target: "/shared" }, by)).text.matchAll(/<Owner><ID>(\w+)</g),
      ].map((match) => match[1]);
    expect(await owners()).toEqual([account.id, expect.not.stringMatching(account.id)]);
    expect(await owners(key)).toEqual([account.id]);
    expect(await owners(null)).toEqual([]);
  });

  test("the server and a key that is too long have the guide's names", async () => {
    await ask("PUT", "/mine");
    const answer = await ask("GET", `/mine/${"k".repeat(1025)}`);
    expect(answer).toMatchObject({ status: 400, code: "KeyTooLong" });
    expect(answer.headers["server"]).toBe("AmazonS3");
    expect((await get(`/plain/${"k".repeat(1025)}`)).code).toBe("KeyTooLongError");
  });
});
