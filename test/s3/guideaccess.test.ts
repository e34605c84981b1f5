/** The guide of 2009, section 11: who may do what, for the owner, another account and nobody, on every operation. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../server.ts";
import type { RawRequest, TestKey } from "../signer.ts";
import { element, send, type RawAnswer } from "./client.ts";

let server: TestServer;
let other: { id: string; key: TestKey };
let root: string;
const requesters = () => ({ owner: server.rootKey, other: other.key, nobody: null });
type Requester = keyof ReturnType<typeof requesters>;

const ask = (method: string, target: string, more: Partial<RawRequest> = {}, by: Requester = "owner") =>
  send(server, { method, target, ...more }, requesters()[by]);

beforeAll(async () => {
  server = await startServer();
  await server.store.refresh();
  root = (await server.store.accounts.byName("root"))!.id;
  const { account, key } = await server.store.accounts.create({ name: "other", email: "other@example.org" });
  other = { id: account.id, key };
  await ask("PUT", "/matrix");
});
afterAll(() => server.close());

const XML = (name: string, inner = "") =>
  `<${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner}</${name}>`;
const DELETE = XML("Delete", "<Object><Key>none</Key></Object>");
const TAGS = XML("Tagging", "<TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet>");
const VERSIONING = XML("VersioningConfiguration");
const md5 = (text: string) => createHash("md5").update(text).digest("base64");

type Grants = "none" | "READ" | "WRITE" | "READ_ACP" | "WRITE_ACP";
type Right = "READ" | "WRITE" | "READ_ACP" | "WRITE_ACP" | "OWNER";
const GRANTS: readonly Grants[] = ["none", "READ", "WRITE", "READ_ACP", "WRITE_ACP"];

/** Operations whose right is on the bucket, with the right that each needs. */
const ON_BUCKET: [name: string, right: Right, request: RawRequest][] = [
  ["R40 GET Bucket", "READ", { method: "GET", target: "/matrix" }],
  ["R74 GET Bucket of nothing", "READ", { method: "GET", target: "/matrix?max-keys=0" }],
  ["ListObjectsV2", "READ", { method: "GET", target: "/matrix?list-type=2" }],
  ["ListObjectVersions", "READ", { method: "GET", target: "/matrix?versions" }],
  ["ListMultipartUploads", "READ", { method: "GET", target: "/matrix?uploads" }],
  ["R19 HEAD Bucket", "READ", { method: "HEAD", target: "/matrix?max-keys=0" }],
  ["R169 GET Bucket acl", "READ_ACP", { method: "GET", target: "/matrix?acl" }],
  ["R191 PUT Object", "WRITE", { method: "PUT", target: "/matrix/new", body: "x" }],
  ["R208 DELETE Object", "WRITE", { method: "DELETE", target: "/matrix/none" }],
  [
    "R208 DELETE of many",
    "WRITE",
    { method: "POST", target: "/matrix?delete", body: DELETE, headers: { "content-md5": md5(DELETE) } },
  ],
  ["CreateMultipartUpload", "WRITE", { method: "POST", target: "/matrix/mp?uploads" }],
  ["R44 GET Bucket location", "OWNER", { method: "GET", target: "/matrix?location" }],
  ["GET Bucket versioning", "OWNER", { method: "GET", target: "/matrix?versioning" }],
  ["PUT Bucket versioning", "OWNER", { method: "PUT", target: "/matrix?versioning", body: VERSIONING }],
  ["R42 DELETE Bucket", "OWNER", { method: "DELETE", target: "/matrix" }],
];

const ON_OBJECT: [name: string, right: Right, request: RawRequest][] = [
  ["R195 GET Object", "READ", { method: "GET", target: "/matrix/k" }],
  ["R205 HEAD Object", "READ", { method: "HEAD", target: "/matrix/k" }],
  ["R196 GET of a range", "READ", { method: "GET", target: "/matrix/k", headers: { range: "bytes=0-0" } }],
  ["R169 GET Object acl", "READ_ACP", { method: "GET", target: "/matrix/k?acl" }],
];

/** What the bucket or object grants to everybody, beside its owner's FULL_CONTROL. */
const grantHeaders = (grants: Grants): Record<string, string> => {
  const full = { "x-amz-grant-full-control": `id=${root}` };
  const header = `x-amz-grant-${grants.toLowerCase().replace("_", "-")}`;
  return grants === "none"
    ? full
    : { ...full, [header]: 'uri="http://acs.amazonaws.com/groups/global/AllUsers"' };
};

const allowed = ({ status }: RawAnswer) => status !== 403;

describe.each(GRANTS)("with %s for everybody in the ACL of the bucket", (grants) => {
  beforeAll(async () => {
    await ask("PUT", "/matrix/k", { body: "body" });
    await ask("PUT", "/matrix?acl", { headers: grantHeaders(grants) });
  });
  test.each(ON_BUCKET)("%s, which needs %s", async (_name, right, request) => {
    for (const by of ["other", "nobody"] as const) {
      // Uploads in parts are for those who sign.
      const answer = await send(server, request, requesters()[by]);
      const signing = request.target.endsWith("?uploads") && request.method === "POST" && by === "nobody";
      expect([by, answer.status, allowed(answer)]).toEqual([by, answer.status, grants === right && !signing]);
    }
    const mine = await send(server, request);
    expect(allowed(mine)).toBe(true);
    expect(mine.status).toBeLessThan(500);
  });
  test("R157 the object is as private as before", async () => {
    for (const by of ["other", "nobody"] as const) {
      expect((await ask("GET", "/matrix/k", {}, by)).status).toBe(403);
      expect((await ask("GET", "/matrix/k?acl", {}, by)).status).toBe(403);
    }
  });
  test("R170 R179 only WRITE_ACP changes the ACL", async () => {
    for (const by of ["other", "nobody"] as const) {
      const answer = await ask("PUT", "/matrix?acl", { headers: grantHeaders(grants) }, by);
      expect([by, answer.status]).toEqual([by, grants === "WRITE_ACP" ? 200 : 403]);
    }
  });
});

describe.each(GRANTS)("with %s for everybody in the ACL of an object", (grants) => {
  beforeAll(async () => {
    await ask("PUT", "/matrix?acl", { headers: { "x-amz-acl": "private" } });
    await ask("PUT", "/matrix/k", { body: "body", headers: grantHeaders(grants) });
  });
  test.each(ON_OBJECT)("%s, which needs %s", async (_name, right, request) => {
    for (const by of ["other", "nobody"] as const) {
      const answer = await send(server, request, requesters()[by]);
      expect([by, answer.status, allowed(answer)]).toEqual([by, answer.status, grants === right]);
    }
    expect((await send(server, request)).status).toBeLessThan(300);
  });
  test("R170 only WRITE_ACP changes the ACL", async () => {
    for (const by of ["other", "nobody"] as const) {
      const answer = await ask("PUT", "/matrix/k?acl", { headers: grantHeaders(grants) }, by);
      expect([by, answer.status]).toEqual([by, grants === "WRITE_ACP" ? 200 : 403]);
    }
  });
  test("R168 R185 WRITE on an object has no effect", async () => {
    for (const by of ["other", "nobody"] as const) {
      expect((await ask("PUT", "/matrix/k", { body: "theirs" }, by)).status).toBe(403);
      expect((await ask("DELETE", "/matrix/k", {}, by)).status).toBe(403);
      expect((await ask("PUT", "/matrix/k?tagging", { body: TAGS }, by)).status).toBe(403);
    }
  });
});

describe("what is nobody's", () => {
  test.each<[string, string, string]>([
    ["R34 a new bucket", "PUT", "/by-nobody"],
    ["R388 the list of buckets", "GET", "/"],
  ])("%s", async (_name, method, target) => {
    expect(await ask(method, target, {}, "nobody")).toMatchObject({ status: 403, code: "AccessDenied" });
  });

  test("R222 a copy, even where all may read and write", async () => {
    await ask("PUT", "/common", { headers: { "x-amz-acl": "public-read-write" } });
    await ask("PUT", "/common/k", { body: "x", headers: { "x-amz-acl": "public-read" } });
    const copy = { headers: { "x-amz-copy-source": "/common/k" } };
    expect(await ask("PUT", "/common/copied", copy, "nobody")).toMatchObject({ status: 403 });
    expect(await ask("PUT", "/common/copied", copy, "other")).toMatchObject({ status: 200 });
    // R221: the copy is its maker's, and private.
    expect(await ask("GET", "/common/copied")).toMatchObject({ status: 403 });
    expect(element(await ask("GET", "/common/copied?acl", {}, "other"), "ID")).toBe(other.id);
  });
});

const grant = (id: string, permission: string) =>
  `<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>${id}</ID></Grantee><Permission>${permission}</Permission></Grant>`;
const policy = (grants: string) =>
  XML(
    "AccessControlPolicy",
    `<Owner><ID>${root}</ID></Owner><AccessControlList>${grants}</AccessControlList>`,
  );

describe("an owner", () => {
  test("R172 R169 R170 is subject to the ACL of a bucket, but may always read and write it", async () => {
    await ask("PUT", "/shut");
    expect((await ask("PUT", "/shut?acl", { body: policy("") })).status).toBe(200);
    expect((await ask("GET", "/shut")).status).toBe(403);
    expect((await ask("PUT", "/shut/k", { body: "x" })).status).toBe(403);
    expect((await ask("GET", "/shut?location")).status).toBe(200);
    expect((await ask("GET", "/shut?acl")).status).toBe(200);
    expect((await ask("PUT", "/shut?acl", { body: policy(grant(root, "WRITE")) })).status).toBe(200);
    expect((await ask("PUT", "/shut/k", { body: "x" })).status).toBe(200);
    expect((await ask("GET", "/shut")).status).toBe(403);
    // R206: one who may not list hears 403 of what does not exist.
    expect((await ask("GET", "/shut/none")).status).toBe(403);
    expect((await ask("HEAD", "/shut/none")).status).toBe(403);
  });

  test("R171 FULL_CONTROL is all four", async () => {
    await ask("PUT", "/given");
    await ask("PUT", "/given?acl", { body: policy(grant(other.id, "FULL_CONTROL")) });
    const requests: [string, string, Partial<RawRequest>][] = [
      ["GET", "/given", {}],
      ["PUT", "/given/k", { body: "x" }],
      ["GET", "/given?acl", {}],
      ["PUT", "/given?acl", { body: policy(grant(other.id, "FULL_CONTROL")) }],
    ];
    for (const [method, target, more] of requests)
      expect([target, (await ask(method, target, more, "other")).status]).toEqual([target, 200]);
    expect((await ask("DELETE", "/given", {}, "other")).status).toBe(403);
  });

  test("R176 R175 changes with an overwrite, and the ACL is private again", async () => {
    await ask("PUT", "/handed", { headers: { "x-amz-acl": "public-read-write" } });
    await ask("PUT", "/handed/k", { body: "mine", headers: { "x-amz-acl": "public-read" } });
    expect((await ask("GET", "/handed/k", {}, "nobody")).status).toBe(200);
    await ask("PUT", "/handed/k", { body: "theirs" }, "other");
    expect((await ask("GET", "/handed/k", {}, "nobody")).status).toBe(403);
    expect((await ask("GET", "/handed/k")).status).toBe(403);
    expect(element(await ask("GET", "/handed/k?acl", {}, "other"), "ID")).toBe(other.id);
    // R73: the list shows who made it.
    expect(element(await ask("GET", "/handed"), "ID")).toBe(other.id);
    // R177: the owner of the bucket deletes what he can't read.
    expect((await ask("DELETE", "/handed/k")).status).toBe(204);
  });

  test("R189 R163 is shown with the name that is stored", async () => {
    await ask("PUT", "/shown");
    await ask("PUT", "/shown?acl", { body: policy(grant(other.id, "READ")) });
    const { text } = await ask("GET", "/shown?acl");
    expect(text).toContain(
      `<Owner><ID>${root}</ID><DisplayName>root</DisplayName></Owner><AccessControlList><Grant>`,
    );
    expect(text).toContain(
      `<ID>${other.id}</ID><DisplayName>other</DisplayName></Grantee><Permission>READ</Permission>`,
    );
    expect(text).toMatch(/<Grantee xmlns:xsi="[^"]+" xsi:type="CanonicalUser">/);
  });

  test("R183 R186 sets a canned ACL without a body, if there is one of that name", async () => {
    await ask("PUT", "/canned");
    expect(await ask("PUT", "/canned?acl", { headers: { "x-amz-acl": "public-write" } })).toMatchObject({
      status: 400,
      code: "InvalidArgument",
    });
    await ask("PUT", "/canned?acl", { headers: { "x-amz-acl": "log-delivery-write" } });
    expect((await ask("GET", "/canned?acl")).text.match(/LogDelivery<.*?<Permission>\w+/g)).toEqual([
      expect.stringMatching(/>WRITE$/),
      expect.stringMatching(/>READ_ACP$/),
    ]);
  });

  test("R180 is not changed by the Owner of a document under the guide's rules, today refused", async () => {
    const body = policy(grant(root, "FULL_CONTROL")).replace(root, other.id);
    await ask("PUT", "/kept");
    expect(await ask("PUT", "/kept?acl", { body })).toMatchObject({ status: 403, code: "AccessDenied" });
  });
});
