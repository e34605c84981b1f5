import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../server.ts";
import type { RawRequest, TestKey } from "../signer.ts";
import { element, send as sendTo, type RawAnswer } from "./client.ts";

const ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers";
const SIGNED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOGGERS = "http://acs.amazonaws.com/groups/s3/LogDelivery";
const XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';

let server: TestServer;
let root: string;
let guest: { id: string; key: TestKey };

const send = (request: RawRequest, key?: TestKey | null): Promise<RawAnswer> => sendTo(server, request, key);
const get = (target: string, key?: TestKey | null) => send({ method: "GET", target }, key);
const put = (target: string, body = "", headers: Record<string, string> = {}, key?: TestKey | null) =>
  send({ method: "PUT", target, body, headers }, key);

/** `FULL_CONTROL root`, `READ AllUsers`: the grants of an ACL as it is read. */
function grantsIn({ text }: RawAnswer): string[] {
  const names: Record<string, string> = { [root]: "root", [guest.id]: "guest" };
  return [...text.matchAll(/<Grant>.*?<(?:ID|URI)>([^<]*)<.*?<Permission>([^<]*)<.*?<\/Grant>/g)].map(
    ([, who = "", permission]) => `${permission} ${names[who] ?? who.replace(/^.*\//, "")}`,
  );
}

const user = (id: string) => `<Grantee ${XSI} xsi:type="CanonicalUser"><ID>${id}</ID></Grantee>`;
const group = (uri: string) => `<Grantee ${XSI} xsi:type="Group"><URI>${uri}</URI></Grantee>`;
const grant = (grantee: string, permission: string) =>
  `<Grant>${grantee}<Permission>${permission}</Permission></Grant>`;
const policy = (grants: string, owner = root, namespace = "") =>
  `<AccessControlPolicy ${namespace}><Owner><ID>${owner}</ID><DisplayName>ignored</DisplayName></Owner>` +
  `<AccessControlList>${grants}</AccessControlList></AccessControlPolicy>`;

const readGrants = (n: number) => policy(grant(user(root), "READ").repeat(n));

beforeAll(async () => {
  server = await startServer();
  await server.store.refresh();
  root = (await server.store.accounts.byName("root"))!.id;
  const { account, key } = await server.store.accounts.create({ name: "guest", email: "guest@example.org" });
  guest = { id: account.id, key };
  for (const name of ["twin-1", "twin-2"])
    await server.store.accounts.create({ name, email: "twins@example.org" });
});
afterAll(() => server.close());
beforeEach(async () => {
  await put("/acl", "");
  await put("/acl?acl", "", { "x-amz-acl": "private" });
  await put("/acl/key", "body");
});

describe.each(["/acl", "/acl/key"])("the ACL of %s", (target) => {
  const acl = `${target}?acl`;

  test("begins with the owner's full control", async () => {
    const answer = await get(acl);
    expect(answer.status).toBe(200);
    expect(answer.headers["content-type"]).toBe("application/xml");
    expect(answer.text).toContain(
      `<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>${root}</ID><DisplayName>root</DisplayName></Owner>` +
        `<AccessControlList><Grant><Grantee ${XSI} xsi:type="CanonicalUser"><ID>${root}</ID><DisplayName>root</DisplayName></Grantee>`,
    );
    expect(grantsIn(answer)).toEqual(["FULL_CONTROL root"]);
  });

  test.each([
    ["private", []],
    ["public-read", ["READ AllUsers"]],
    ["public-read-write", ["READ AllUsers", "WRITE AllUsers"]],
    ["authenticated-read", ["READ AuthenticatedUsers"]],
  ])("can be %s", async (name, grants) => {
    expect(await put(acl, "", { "x-amz-acl": name })).toMatchObject({ status: 200, text: "" });
    expect(grantsIn(await get(acl))).toEqual(["FULL_CONTROL root", ...grants]);
  });

  test("can come in headers, quoted or not, several at once", async () => {
    const headers = {
      "x-amz-grant-read": `uri="${ALL_USERS}", emailAddress="guest@example.org"`,
      "x-amz-grant-full-control": `id=${root}`,
      "x-amz-grant-write-acp": `id="${guest.id}"`,
    };
    expect(await put(acl, "", headers)).toMatchObject({ status: 200 });
    const grants = ["FULL_CONTROL root", "READ AllUsers", "READ guest", "WRITE_ACP guest"];
    expect(grantsIn(await get(acl))).toEqual(grants);
  });

  test.each([
    ["no namespace", ""],
    ["S3's", 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'],
    ["the old one", 'xmlns="http://doc.s3.amazonaws.com/2006-03-01"'],
  ])("can be a document in %s, which replaces the whole", async (_name, namespace) => {
    await put(acl, "", { "x-amz-acl": "public-read" });
    const email = `<Grantee ${XSI} xsi:type="AmazonCustomerByEmail"><EmailAddress>guest@example.org</EmailAddress></Grantee>`;
    const body = policy(
      grant(user(root), "FULL_CONTROL") + grant(email, "READ_ACP") + grant(group(LOGGERS), "WRITE"),
      root,
      namespace,
    );
    expect(await put(acl, body)).toMatchObject({ status: 200 });
    const answer = await get(acl);
    expect(grantsIn(answer)).toEqual(["FULL_CONTROL root", "READ_ACP guest", "WRITE LogDelivery"]);
    expect(answer.text).not.toContain("ignored");
    expect(answer.text).not.toContain("EmailAddress");
  });

  test("can be read, and written back as it was read", async () => {
    await put(acl, "", { "x-amz-acl": "public-read" });
    const { text } = await get(acl);
    expect(await put(acl, text)).toMatchObject({ status: 200 });
    expect((await get(acl)).text).toBe(text);
  });

  test("can be empty: then the owner may only change it", async () => {
    expect(await put(acl, policy(""))).toMatchObject({ status: 200 });
    expect(await get(target)).toMatchObject({ status: 403, code: "AccessDenied" });
    expect(grantsIn(await get(acl))).toEqual([]);
    expect(await put(acl, "", { "x-amz-acl": "private" })).toMatchObject({ status: 200 });
    expect(await get(target)).toMatchObject({ status: 200 });
  });

  test("has at most 100 grants", async () => {
    expect(await put(acl, readGrants(101))).toMatchObject({ status: 400, code: "MalformedACLError" });
    expect(await put(acl, readGrants(100))).toMatchObject({ status: 200 });
    expect(grantsIn(await get(acl))).toHaveLength(100);
    const many = Array.from({ length: 101 }, () => `id=${root}`).join(",");
    expect(await put(acl, "", { "x-amz-grant-read": many })).toMatchObject({ code: "MalformedACLError" });
  });

  test.each<[string, () => [body: string, headers?: Record<string, string>], string]>([
    ["nothing", () => [""], "MissingRequestBodyError"],
    ["half a document", () => ["<AccessControlPolicy>"], "MalformedACLError"],
    [
      "no owner",
      () => ["<AccessControlPolicy><AccessControlList/></AccessControlPolicy>"],
      "MalformedACLError",
    ],
    ["another owner", () => [policy("", guest.id)], "AccessDenied"],
    ["no permission", () => [policy(`<Grant>${user(root)}</Grant>`)], "MalformedACLError"],
    ["an unknown permission", () => [policy(grant(user(root), "OWN"))], "MalformedACLError"],
    [
      "an unknown type",
      () => [policy(grant(user(root).replace("CanonicalUser", "Robot"), "READ"))],
      "MalformedACLError",
    ],
    ["no type", () => [policy(grant(`<Grantee><ID>${root}</ID></Grantee>`, "READ"))], "MalformedACLError"],
    ["an unknown id", () => [policy(grant(user("0".repeat(64)), "READ"))], "InvalidArgument"],
    ["an unknown group", () => [policy(grant(group("http://example.org/all"), "READ"))], "InvalidArgument"],
    ["an unknown canned one", () => ["", { "x-amz-acl": "public" }], "InvalidArgument"],
    ["a name of every object", () => ["", { "x-amz-acl": "constructor" }], "InvalidArgument"],
    ["an unknown grantee in a header", () => ["", { "x-amz-grant-read": "name=x" }], "InvalidArgument"],
    [
      "canned and granted at once",
      () => ["", { "x-amz-acl": "private", "x-amz-grant-read": `id=${root}` }],
      "InvalidRequest",
    ],
    ["a document and a header", () => [policy(""), { "x-amz-acl": "private" }], "UnexpectedContent"],
    [
      "nobody's e-mail",
      () => ["", { "x-amz-grant-read": "emailAddress=no@example.org" }],
      "UnresolvableGrantByEmailAddress",
    ],
    [
      "two accounts' e-mail",
      () => ["", { "x-amz-grant-read": "emailAddress=twins@example.org" }],
      "AmbiguousGrantByEmailAddress",
    ],
  ])("refuses %s and stays as it was", async (_name, what, code) => {
    const [body, headers] = what();
    expect((await put(acl, body, headers)).code).toBe(code);
    expect(grantsIn(await get(acl))).toEqual(["FULL_CONTROL root"]);
  });

  test("is for those who may", async () => {
    for (const key of [guest.key, null]) {
      expect(await get(acl, key)).toMatchObject({ status: 403, code: "AccessDenied" });
      expect(await put(acl, "", { "x-amz-acl": "public-read" }, key)).toMatchObject({ status: 403 });
    }
    await put(acl, "", { "x-amz-grant-read-acp": `id=${guest.id}` });
    expect(await get(acl, guest.key)).toMatchObject({ status: 200 });
    expect(await put(acl, "", { "x-amz-acl": "private" }, guest.key)).toMatchObject({ status: 403 });
    await put(acl, "", { "x-amz-grant-write-acp": `id=${guest.id}` });
    expect(await get(acl, guest.key)).toMatchObject({ status: 403 });
    expect(await put(acl, "", { "x-amz-acl": "public-read" }, guest.key)).toMatchObject({ status: 200 });
    expect(grantsIn(await get(acl))).toEqual(["FULL_CONTROL root", "READ AllUsers"]);
  });

  test("opens reading to those it names", async () => {
    const statuses = async () => [
      (await get(target)).status,
      (await get(target, guest.key)).status,
      (await get(target, null)).status,
    ];
    expect(await statuses()).toEqual([200, 403, 403]);
    await put(acl, "", { "x-amz-acl": "authenticated-read" });
    expect(await statuses()).toEqual([200, 200, 403]);
    await put(acl, "", { "x-amz-acl": "public-read" });
    expect(await statuses()).toEqual([200, 200, 200]);
    await put(acl, policy(grant(user(guest.id), "READ")));
    expect(await statuses()).toEqual([403, 200, 403]);
    await put(acl, policy(grant(group(SIGNED_USERS), "FULL_CONTROL")));
    expect(await statuses()).toEqual([200, 200, 403]);
  });
});

describe("a bucket that others may write", () => {
  test("holds objects that are theirs alone, which its owner can only delete", async () => {
    await put("/acl?acl", "", { "x-amz-acl": "public-read-write" });
    expect((await put("/acl/theirs", "guest's", {}, guest.key)).status).toBe(200);
    expect(await get("/acl/theirs")).toMatchObject({ status: 403 });
    expect(element(await get("/acl/theirs?acl", guest.key), "ID")).toBe(guest.id);
    expect((await put("/acl/nobodys", "anybody's", {}, null)).status).toBe(200);
    expect(await get("/acl/nobodys", null)).toMatchObject({ status: 200 });
    expect(element(await get("/acl/nobodys?acl", null), "ID")).toBe("65a011a29cdf8ec533ec3d1ccaae921c");
    expect(await get("/acl/nobodys")).toMatchObject({ status: 403 });
    for (const key of ["theirs", "nobodys"]) {
      expect((await send({ method: "DELETE", target: `/acl/${key}` })).status).toBe(204);
    }
  });

  test("takes the bucket owner's names for objects", async () => {
    await put("/acl?acl", "", { "x-amz-acl": "public-read-write" });
    await put("/acl/shared", "x", { "x-amz-acl": "bucket-owner-full-control" }, guest.key);
    expect(grantsIn(await get("/acl/shared?acl"))).toEqual(["FULL_CONTROL guest", "FULL_CONTROL root"]);
    expect(await get("/acl/shared")).toMatchObject({ status: 200 });
  });
});

async function versionOfAnotherBucket(): Promise<string> {
  await put("/elsewhere");
  await put(
    "/elsewhere?versioning",
    "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
  );
  return (await put("/elsewhere/k", "x")).headers["x-amz-version-id"]!;
}

describe("what does not exist", () => {
  test("is told only to those who may list", async () => {
    const targets = ["/acl/none", "/acl/none?acl", "/acl/none?tagging", "/acl/none?attributes"];
    for (const target of targets) {
      const headers = { "x-amz-object-attributes": "ETag" };
      const ask = (key?: TestKey | null) => send({ method: "GET", target, headers }, key);
      expect(await ask()).toMatchObject({ status: 404, code: "NoSuchKey" });
      expect(await ask(guest.key)).toMatchObject({ status: 403, code: "AccessDenied" });
      expect(await ask(null)).toMatchObject({ status: 403, code: "AccessDenied" });
    }
    await put("/acl?acl", "", { "x-amz-acl": "public-read" });
    expect(await get("/acl/none", null)).toMatchObject({ status: 404, code: "NoSuchKey" });
    const unknown = `/acl/key?versionId=${await versionOfAnotherBucket()}`;
    await put("/acl/key?acl", "", { "x-amz-acl": "public-read" });
    expect(await get(unknown, null)).toMatchObject({ status: 404, code: "NoSuchVersion" });
    await put("/acl?acl", "", { "x-amz-acl": "private" });
    expect(await get(unknown, null)).toMatchObject({ status: 403, code: "AccessDenied" });
    expect(await get("/acl/key?versionId=", null)).toMatchObject({ status: 400, code: "InvalidArgument" });
  });
});

test("each version has an ACL of its own", async () => {
  await put("/acl-versions");
  const enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
  await put("/acl-versions?versioning", enabled);
  const first = (await put("/acl-versions/k", "1")).headers["x-amz-version-id"]!;
  const second = (await put("/acl-versions/k", "2")).headers["x-amz-version-id"]!;
  const changed = await put(`/acl-versions/k?acl&versionId=${first}`, "", { "x-amz-acl": "public-read" });
  expect(changed.headers["x-amz-version-id"]).toBe(first);
  const current = await get("/acl-versions/k?acl");
  expect(current.headers["x-amz-version-id"]).toBe(second);
  expect(grantsIn(current)).toEqual(["FULL_CONTROL root"]);
  expect(await get("/acl-versions/k", null)).toMatchObject({ status: 403 });
  expect(await get(`/acl-versions/k?versionId=${first}`, null)).toMatchObject({ status: 200, text: "1" });
  const marker = (await send({ method: "DELETE", target: "/acl-versions/k" })).headers["x-amz-version-id"]!;
  const gone = await get("/acl-versions/k?acl");
  expect(gone).toMatchObject({ status: 404, code: "NoSuchKey" });
  expect(gone.headers["x-amz-delete-marker"]).toBe("true");
  const ofMarker = await get(`/acl-versions/k?acl&versionId=${marker}`);
  expect(ofMarker).toMatchObject({ status: 405, code: "MethodNotAllowed" });
});
