import { afterEach, beforeEach, expect, test } from "vitest";
import {
  createEndpoint,
  createOrigin,
  deleteEndpoint,
  deleteOrigin,
  listEndpoints,
  listOrigins,
  showEndpoint,
  showOrigin,
  testOrigin,
  updateEndpoint,
  updateOrigin,
} from "../../../src/delivery/origins.ts";
import type { ObjectStore } from "../../../src/store/store.ts";
import { openFixture, type Fixture } from "../store/fixture.ts";

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
  [{ name: "a/b" }, `"a/b" can't name an origin`],
  [{ name: "a".repeat(65) }, "can't name an origin"],
  [{ alias: "a b" }, `"a b" can't name an alias`],
  [{ bucket: undefined }, "needs --bucket"],
  [{ bucket: "no/bucket" }, `"no/bucket" can't be the name of a bucket`],
  [{ folder: "x".repeat(901) }, "A folder has at most 900 bytes"],
  [{ type: "s3" }, "Origins of type s3 are not built yet. Built: bucket."],
  [{ type: "ftp" }, `"ftp" is no type of origin`],
  [{ foreign: ["--region"] }, "An origin of type bucket has no option --region"],
  [{ owner: "nobody" }, `There is no account "nobody"`],
])("%o is refused and leaves nothing", async (more, message) => {
  await expect(make("photos", more)).rejects.toThrow(message);
  expect([await listOrigins(store), await listEndpoints(store)]).toEqual([[], []]);
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

test("endpoints: made, changed, deleted", async () => {
  await make("one");
  await make("two");
  expect(await createEndpoint(store, { name: "media", origins: ["two", "one"] })).toMatchObject({
    prefix: "media",
    origins: ["two", "one"],
  });
  expect(await updateEndpoint(store, { name: "media" }, { prefix: "m" })).toMatchObject({
    prefix: "m",
    origins: ["two", "one"],
  });
  await createEndpoint(store, { name: "again", prefix: "media", origins: ["one"] });
  await expect(updateEndpoint(store, { name: "again" }, { prefix: "m" })).rejects.toThrow('prefix "m"');
  expect(await updateEndpoint(store, { name: "default" }, { origins: ["two", "one"] })).toMatchObject({
    origins: ["two", "one"],
  });
  await deleteEndpoint(store, { name: "media" });
  expect(await updateEndpoint(store, { name: "again" }, { prefix: "m" })).toMatchObject({ prefix: "m" });
  await expect(deleteEndpoint(store, { name: "default" })).rejects.toThrow("can't be deleted");
});

test.each([
  [{ name: "x y" }, "can't name an endpoint"],
  [{ prefix: "tr:w-1" }, "can't be a prefix"],
  [{ prefix: "" }, "can't be a prefix"],
  [{ origins: [] }, "at least one --origin"],
  [{ origins: ["one", "one"] }, "each of its origins once"],
  [{ origins: ["none"] }, 'no origin "none"'],
  [{ name: "default", prefix: "p" }, "has no prefix"],
  [{ name: "default" }, 'already has an endpoint "default"'],
])("the endpoint %o is refused", async (more, message) => {
  await make("one");
  await expect(createEndpoint(store, { name: "media", origins: ["one"], ...more })).rejects.toThrow(message);
});

test("a test says what is missing", async () => {
  await make("hers", { owner: "alice" });
  const outcome = async (): Promise<string> => {
    const { ok, findings } = await testOrigin(store, { name: "hers" });
    return `${ok} ${findings.at(-1)}`;
  };
  expect(await outcome()).toBe("false There is no bucket photos: all answers are 404.");
  const bucket = await fixture.bucket("photos");
  await store.refresh();
  expect(await outcome()).toBe("true It holds no object yet.");
  await fixture.put(bucket, "a.jpg", Buffer.from("x"));
  expect(await outcome()).toBe(
    "false Account alice may not read a.jpg: its ACL gives no READ, so the answer is 403.",
  );
  const alice = (await store.accounts.byName("alice"))!;
  const acl = {
    grants: [{ grantee: { type: "CanonicalUser" as const, id: alice.id }, permission: "READ" as const }],
  };
  await store.updateObject(bucket, "a.jpg", undefined, { acl });
  expect(await outcome()).toBe("true Account alice may read a.jpg.");
  await store.accounts.update(alice.id, { status: "suspended" });
  expect(await outcome()).toBe("false Account alice is suspended: all answers are 403.");
});
