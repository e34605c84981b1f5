import { generateKeyPairSync } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { listEndpoints, showEndpoint } from "../../../src/delivery/origins/endpoints.ts";
import {
  createOrigin,
  deleteOrigin,
  listOrigins,
  showOrigin,
  testOrigin,
  updateOrigin,
  type OriginInput,
} from "../../../src/delivery/origins/origins.ts";
import type { ObjectStore } from "../../../src/store/store.ts";
import { openFixture, OWNER, type Fixture } from "../store/fixture.ts";

let fixture: Fixture;
let store: ObjectStore;
beforeEach(async () => {
  fixture = await openFixture();
  ({ store } = fixture);
  await store.accounts.create({ name: "alice" });
});
afterEach(() => fixture[Symbol.asyncDispose]());

const make = (name: string, more: object = {}) =>
  createOrigin(store, { name, type: "bucket", bucket: "photos", ...more });

test("an account's first origin is its default endpoint's, later ones are not", async () => {
  expect(await make("photos")).toMatchObject({
    owner: "root",
    alias: "photos",
    bucket: "photos",
    folder: "",
  });
  await make("more");
  await make("hers", { owner: "alice" });
  const endpoints = await listEndpoints(store);
  expect(endpoints).toHaveLength(2);
  expect(endpoints.find(({ owner }) => owner === "root")).toMatchObject({
    name: "default",
    prefix: "",
    origins: ["photos"],
  });
  expect(endpoints.find(({ owner }) => owner === "alice")).toMatchObject({
    name: "default",
    prefix: "",
    origins: ["hers"],
  });
});

test("aliases are unique on the server: the second origin of a name goes without, and one that is asked for is refused", async () => {
  await make("photos");
  expect(await make("photos", { owner: "alice" })).not.toHaveProperty("alias");
  await expect(make("other", { owner: "alice", alias: "photos" })).rejects.toThrow(
    'The alias "photos" is taken',
  );
  expect((await listOrigins(store, { owner: "alice" })).map(({ name }) => name)).toEqual(["photos"]);
});

test("of two that ask for one alias at the same time one gets it", async () => {
  const results = await Promise.allSettled([make("one", { alias: "same" }), make("two", { alias: "same" })]);
  expect(results.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  expect(await listOrigins(store)).toHaveLength(1);
});

test.each([
  ["Product images bucket", "Product-images-bucket"],
  ["a - b", "a---b"],
  ["B2", "B2"],
])("an origin named %j has the alias %j", async (name, alias) => {
  expect(await make(name)).toMatchObject({ name, alias });
});

test.each([
  [{ name: "a/b" }, `"a/b" can't name an origin`],
  [{ name: " a" }, `" a" can't name an origin`],
  [{ name: "a " }, `"a " can't name an origin`],
  [{ name: "a  b" }, "single blanks"],
  [{ name: "a\tb" }, "can't name an origin"],
  [{ name: "a".repeat(65) }, "can't name an origin"],
  [{ alias: "a b" }, `"a b" can't name an alias`],
  [{ bucket: undefined }, "needs --bucket"],
  [{ bucket: "no/bucket" }, `"no/bucket" can't be the name of a bucket`],
  [{ folder: "x".repeat(901) }, "A folder has at most 900 bytes"],
  [{ type: "ftp" }, `"ftp" is no type of origin`],
  [{ region: "eu-west-1" }, "An origin of type bucket has no option --region"],
  [{ owner: "nobody" }, `There is no account "nobody"`],
])("%o is refused and leaves nothing", async (more, message) => {
  await expect(make("photos", more)).rejects.toThrow(message);
  expect([await listOrigins(store), await listEndpoints(store)]).toEqual([[], []]);
});

test("a folder of slashes holds nobody up", async () => {
  const started = performance.now();
  const folder = `a${"/".repeat(65_000)}a`;
  await expect(make("photos", { folder })).rejects.toThrow("A folder has at most 900 bytes");
  expect(performance.now() - started).toBeLessThan(1000);
});

test("a name that is there is refused", async () => {
  await make("photos");
  await expect(make("photos", { alias: "fresh" })).rejects.toThrow(
    'Account root already has an origin "photos"',
  );
});

test.each([
  ["/", ""],
  ["", ""],
  ["/assets", "assets/"],
  ["assets/", "assets/"],
  ["//a/b//", "a/b/"],
])("the folder %j is put before a path as %j", async (folder, stored) => {
  expect(await make("photos", { folder })).toMatchObject({ folder: stored });
});

test.each([
  ["0x7F.1", "127.0.0.1"],
  ["2130706433:8080", "127.0.0.1:8080"],
  ["[0:0:0:0:0:0:0:1]:80", "[::1]:80"],
  ["Example.COM:443", "example.com:443"],
  ["*.example.com", "*.example.com"],
])("the host %s is allowed as URLs have it: %s", async (host, stored) => {
  const more = { type: "web-proxy", allowHosts: [host] };
  expect(await createOrigin(store, { name: "far", ...more })).toMatchObject({ allowHosts: [stored] });
});

test("without an owner root's is meant, else the only one", async () => {
  await make("hers", { owner: "alice" });
  expect(await showOrigin(store, { name: "hers" })).toMatchObject({ owner: "alice" });
  await store.accounts.create({ name: "bob" });
  await make("hers", { owner: "bob" });
  await expect(showOrigin(store, { name: "hers" })).rejects.toThrow("Several accounts have an origin");
  expect(await showOrigin(store, { name: "hers", owner: "bob" })).toMatchObject({ owner: "bob" });
  await expect(showOrigin(store, { name: "hers", owner: "root" })).rejects.toThrow("of account root");
});

test("an update changes what it names, and moves the alias", async () => {
  await make("photos", { folder: "a" });
  await make("other");
  expect(await updateOrigin(store, { name: "photos" }, { bucket: "films", alias: "pics" })).toMatchObject({
    bucket: "films",
    folder: "a/",
    alias: "pics",
  });
  await expect(updateOrigin(store, { name: "other" }, { alias: "pics" })).rejects.toThrow("is taken");
  expect(await updateOrigin(store, { name: "other" }, { alias: "photos" })).toMatchObject({
    alias: "photos",
  });
  expect(await updateOrigin(store, { name: "other" }, { alias: "" })).not.toHaveProperty("alias");
});

test("a deleted origin leaves its endpoints and frees its alias; the next one joins the default endpoint", async () => {
  await make("photos");
  await deleteOrigin(store, { name: "photos" });
  expect(await showEndpoint(store, { name: "default" })).toMatchObject({ origins: [] });
  await make("next", { alias: "photos" });
  expect(await showEndpoint(store, { name: "default" })).toMatchObject({ origins: ["next"] });
});

const SECRETS = ["topsecretkey", "sv=2022&sig=abc", "c2VjcmV0", "PRIVATE KEY"];
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const KEY_FILE = JSON.stringify({
  client_email: "a@b.iam",
  private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
});

test.each<[string, Omit<OriginInput, "name">, object]>([
  [
    "Amazon's",
    { type: "s3", bucket: "b-1", accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: "topsecretkey" },
    { accessKey: "AKIA…LE" },
  ],
  [
    "compatible",
    {
      type: "s3-compatible",
      bucket: "b-1",
      endpointUrl: "https://s3.example.com",
      pathStyle: true,
      accessKey: "k".repeat(20),
      secretKey: "topsecretkey",
      folder: "/x",
    },
    { endpointUrl: "https://s3.example.com", pathStyle: true, folder: "x/" },
  ],
  [
    "Azure's",
    { type: "azure", azureAccount: "account1", container: "box", sasToken: "?sv=2022&sig=abc" },
    { azureAccount: "account1" },
  ],
  [
    "Azure's by key",
    { type: "azure", azureAccount: "account1", container: "box", accountKey: "c2VjcmV0" },
    { container: "box" },
  ],
  ["Google's", { type: "gcs", bucket: "b-1", credentials: KEY_FILE }, { clientEmail: "a@b.iam" }],
])("what %s origin shows holds no secret, and neither does its record", async (_, input, shown) => {
  const view = await createOrigin(store, { name: "far", ...input });
  expect(view).toMatchObject({ ...shown, hasCredentials: true });
  const record = await store.settings.get("origin", `${view.ownerId}/far`);
  for (const secret of SECRETS) {
    expect(JSON.stringify([view, record, await listOrigins(store)])).not.toContain(secret);
  }
  expect(
    await updateOrigin(store, { name: "far" }, { canonicalBase: "https://www.example.com" }),
  ).toMatchObject({
    ...shown,
    hasCredentials: true,
    canonicalBase: "https://www.example.com/",
  });
});

test("new credentials take the place of the old ones, and come as a pair", async () => {
  const sealed = async (): Promise<object> => {
    const record = (await store.settings.list<{ sealed: string }>("origin"))[0]!;
    return JSON.parse(store.settings.unseal(record.value.sealed, `origin/${record.name}`)) as object;
  };
  const azure = { type: "azure", azureAccount: "account1", container: "box" };
  await createOrigin(store, { name: "far", ...azure, sasToken: "?sv=2022&sig=abc" });
  await updateOrigin(store, { name: "far" }, { accountKey: "c2VjcmV0" });
  expect(await sealed()).toEqual({ accountKey: "c2VjcmV0" });
  await updateOrigin(store, { name: "far" }, { folder: "x" });
  await updateOrigin(store, { name: "far" }, { sasToken: "?sv=2023&sig=abc" });
  expect(await sealed()).toEqual({ sasToken: "?sv=2023&sig=abc" });
  await deleteOrigin(store, { name: "far" });
  await createOrigin(store, { name: "s3", type: "s3", bucket: "b-1", accessKey: "a", secretKey: "one" });
  await expect(updateOrigin(store, { name: "s3" }, { accessKey: "b" })).rejects.toThrow("belong together");
  await updateOrigin(store, { name: "s3" }, { secretKey: "two" });
  expect(await sealed()).toEqual({ secretKey: "two" });
});

test.each<[string, object, object, taken: string[]]>([
  [
    "s3",
    { bucket: "b-1", region: "eu-west-1", timeout: 5 },
    { region: "", timeout: null },
    ["region", "timeout"],
  ],
  [
    "s3",
    { bucket: "b-1", folder: "x", canonicalBase: "https://x" },
    { folder: "", canonicalBase: "" },
    ["canonicalBase"],
  ],
  ["s3", { bucket: "b-1", accessKey: "AKID", secretKey: "topsecretkey" }, { accessKey: "" }, ["accessKey"]],
  ["azure", { azureAccount: "account1", container: "box", accountKey: "c2VjcmV0" }, { accountKey: "" }, []],
  [
    "azure",
    { azureAccount: "account1", container: "box", azureEndpoint: "https://x", sasToken: "?sig=abc" },
    { azureEndpoint: "", sasToken: "" },
    ["azureEndpoint"],
  ],
  [
    "gcs",
    { bucket: "b-1", endpointUrl: "https://x", credentials: KEY_FILE },
    { endpointUrl: "", credentials: "" },
    ["endpointUrl", "clientEmail"],
  ],
])(
  "%s: an empty value takes away what an origin can do without (%#)",
  async (type, fields, change, taken) => {
    const before = await createOrigin(store, { name: "far", type, ...fields });
    const after = await updateOrigin(store, { name: "far" }, change);
    const { updatedAt: _, ...rest } = after;
    const expected: Record<string, unknown> = { ...before, folder: "", hasCredentials: false };
    for (const name of taken) {
      expect(expected).toHaveProperty(name);
      delete expected[name];
    }
    expect(rest).toEqual(expected);
  },
);

test.each<[object, string]>([
  [{ bucket: "" }, "needs --bucket"],
  [{ endpointUrl: "" }, "needs --endpoint-url"],
  [{ secretKey: "" }, "belong together"],
  [{ accessKey: "", secretKey: "new" }, "belong together"],
])("an empty value takes nothing away that is needed: %o", async (change, message) => {
  const keys = { accessKey: "AKID", secretKey: "topsecretkey" };
  const s3 = { type: "s3-compatible", bucket: "b-1", endpointUrl: "https://x", ...keys };
  await createOrigin(store, { name: "far", ...s3 });
  await expect(updateOrigin(store, { name: "far" }, change)).rejects.toThrow(message);
  expect(await showOrigin(store, { name: "far" })).toMatchObject({ bucket: "b-1", hasCredentials: true });
});

test.each<[object, string]>([
  [{ type: "s3" }, "needs --bucket"],
  [{ type: "s3", bucket: "b-1", accessKey: "a" }, "belong together"],
  [{ type: "s3-compatible", bucket: "b-1" }, "needs --endpoint-url"],
  [{ type: "s3-compatible", bucket: "b-1", endpointUrl: "ftp://x" }, "--endpoint-url must be a URL"],
  [{ type: "s3-compatible", bucket: "b-1", endpointUrl: "https://user:pass@x" }, "no user name"],
  [
    { type: "azure", azureAccount: "account1", container: "box", sasToken: "sv=1" },
    "--sas-token begins with a question mark",
  ],
  [{ type: "azure", azureAccount: "Account!", container: "box" }, "can't be a storage account"],
  [
    { type: "azure", azureAccount: "account1", container: "box", sasToken: "?a", accountKey: "b" },
    "not both",
  ],
  [{ type: "gcs", bucket: "b-1", credentials: "{}" }, "--credentials-file must be the JSON file"],
  [
    {
      type: "gcs",
      bucket: "b-1",
      credentials: KEY_FILE.replace(/MII[^"]{40}/, "MIIB"),
    },
    "--credentials-file must be the JSON file",
  ],
  [{ type: "web" }, "needs --base-url"],
  [{ type: "web", baseUrl: "https://x", bucket: "b-1" }, "has no option --bucket"],
  [{ type: "web-proxy" }, "needs --allow-host"],
  [{ type: "web-proxy", allowHosts: ["a b"] }, "--allow-host must be a host"],
  [{ type: "web-proxy", allowHosts: ["999.1"] }, "--allow-host must be a host"],
  [{ type: "web", baseUrl: "https://x", timeout: 1000 }, "--timeout must be more than 0 and at most 120"],
  [{ type: "web", baseUrl: "https://x", timeout: 0 }, "--timeout must be more than 0 and at most 120"],
  [{ type: "web", baseUrl: "https://x", folder: "../x" }, "A folder has no steps"],
  [{ type: "web", baseUrl: "https://x", folder: "/a/./b" }, "A folder has no steps"],
])("%o is refused", async (more, message) => {
  await expect(createOrigin(store, { name: "far", ...more } as OriginInput)).rejects.toThrow(message);
  expect(await listOrigins(store)).toEqual([]);
});

test("a test says what is missing", async () => {
  await make("hers", { owner: "alice" });
  const outcome = async (): Promise<string> => {
    const { ok, findings } = await testOrigin(store, { name: "hers" });
    return `${ok} ${findings.at(-1)}`;
  };
  expect(await outcome()).toBe("false There is no bucket photos: all answers are 404.");
  const alice = (await store.accounts.byName("alice"))!;
  const grantee = { type: "CanonicalUser" as const, id: alice.id };
  const acl = { grants: [{ grantee, permission: "READ" as const }] };
  const about = { name: "photos", ownerId: OWNER, location: "", acl, maxBuckets: 100 };
  const bucket = await store.createBucket(about);
  expect(await outcome()).toBe("true It holds no object yet.");
  await fixture.put(bucket, "a.jpg", Buffer.from("x"));
  expect(await outcome()).toBe(
    "false Account alice may not read a.jpg: its ACL gives no READ, so the answer is 403.",
  );
  await store.updateObject(bucket, "a.jpg", undefined, { acl });
  expect(await outcome()).toBe("true Account alice may read a.jpg.");
  await store.accounts.update(alice.id, { status: "suspended" });
  expect(await outcome()).toBe("false Account alice is suspended: all answers are 403.");
});
