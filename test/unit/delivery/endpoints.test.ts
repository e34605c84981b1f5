/** URL-endpoints and named transformations as documents: what may be set, what is refused, what is never lost. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  createEndpoint,
  deleteEndpoint,
  domainOf,
  listEndpoints,
  showEndpoint,
  updateEndpoint,
  type EndpointChange,
} from "../../../src/delivery/origins/endpoints.ts";
import {
  createTransformation,
  deleteTransformation,
  listTransformations,
  namedOf,
  showTransformation,
  updateTransformation,
} from "../../../src/delivery/origins/transformations.ts";
import type { ObjectStore } from "../../../src/store/store.ts";
import { openFixture, OWNER, type Fixture } from "../store/fixture.ts";

let fixture: Fixture;
let store: ObjectStore;
const aliceId = "b".repeat(64);
beforeEach(async () => {
  fixture = await openFixture();
  ({ store } = fixture);
  await store.accounts.create({ name: "alice", id: aliceId });
  const origin = { type: "bucket", bucket: "photos", folder: "", createdAt: 1 };
  for (const name of [`${OWNER}/one`, `${OWNER}/two`, `${aliceId}/hers`])
    await store.settings.change([{ kind: "origin", name, value: origin }]);
});
afterEach(() => fixture[Symbol.asyncDispose]());

const make = (name: string, more: object = {}) => createEndpoint(store, { name, origins: ["one"], ...more });

describe("endpoints", () => {
  test("everything that can be set is shown, and can be taken away again", async () => {
    const rules = {
      domain: "Images.Example.com:9002",
      signedOnly: true,
      namedOnly: true,
      allowPrompts: true,
      privateFiles: true,
      defaultImage: "/fallback/none.png",
      cacheSeconds: 3600,
      formats: ["jpg", "webp"],
      rewriter: "imgix",
    };
    const made = await make("all", { prefix: "pre", ...rules });
    const { createdAt: _, ...document } = made;
    expect(document).toEqual({
      name: "all",
      owner: "root",
      ownerId: OWNER,
      prefix: "pre",
      origins: ["one"],
      ...rules,
      domain: "images.example.com",
      defaultImage: "fallback/none.png",
      formats: ["jpeg", "webp"],
    });
    await store.refresh();
    expect(await domainOf(store, "images.example.com")).toEqual({ ownerId: OWNER, endpoint: "all" });
    const cleared = await updateEndpoint(
      store,
      { name: "all" },
      {
        domain: "",
        signedOnly: false,
        namedOnly: false,
        allowPrompts: false,
        privateFiles: false,
        defaultImage: "",
        cacheSeconds: null,
        formats: [],
        rewriter: "",
      },
    );
    const { createdAt, ...rest } = cleared;
    expect(createdAt).toBe(made.createdAt);
    expect(rest).toEqual({ name: "all", owner: "root", ownerId: OWNER, prefix: "pre", origins: ["one"] });
    await store.refresh();
    expect(await domainOf(store, "images.example.com")).toBeUndefined();
  });

  test("what is not named stays as it is", async () => {
    await make("all", { signedOnly: true, defaultImage: "none.png", domain: "a.example.com" });
    await updateEndpoint(store, { name: "all" }, { origins: ["two", "one"] });
    expect(await showEndpoint(store, { name: "all" })).toMatchObject({
      prefix: "all",
      origins: ["two", "one"],
      signedOnly: true,
      defaultImage: "none.png",
      domain: "a.example.com",
    });
  });

  test("changes at the same time are all kept", async () => {
    await make("busy");
    const changes: EndpointChange[] = [
      { signedOnly: true },
      { namedOnly: true },
      { cacheSeconds: 5 },
      { origins: ["two"] },
      { domain: "busy.example.com" },
    ];
    await Promise.all(changes.map((change) => updateEndpoint(store, { name: "busy" }, change)));
    expect(await showEndpoint(store, { name: "busy" })).toMatchObject({
      signedOnly: true,
      namedOnly: true,
      cacheSeconds: 5,
      origins: ["two"],
      domain: "busy.example.com",
    });
  });

  test("a domain is one endpoint's alone, and free again with it", async () => {
    await make("one", { domain: "cdn.example.com" });
    await expect(
      createEndpoint(store, { name: "hers", owner: "alice", origins: ["hers"], domain: "CDN.example.com" }),
    ).rejects.toThrow('The domain "cdn.example.com" is another endpoint\'s');
    await deleteEndpoint(store, { name: "one" });
    await createEndpoint(store, {
      name: "hers",
      owner: "alice",
      origins: ["hers"],
      domain: "cdn.example.com",
    });
    await store.refresh();
    expect(await domainOf(store, "cdn.example.com")).toEqual({ ownerId: aliceId, endpoint: "hers" });
  });

  test("prefixes are unique within an account, and move", async () => {
    await make("one");
    await expect(make("two", { prefix: "one" })).rejects.toThrow('an endpoint with the prefix "one"');
    await updateEndpoint(store, { name: "one" }, { prefix: "first" });
    await make("two", { prefix: "one" });
    await createEndpoint(store, { name: "one", owner: "alice", origins: ["hers"] });
    expect((await listEndpoints(store)).map(({ owner, prefix }) => `${owner}/${prefix}`)).toEqual([
      "root/first",
      "root/one",
      "alice/one",
    ]);
    expect(await listEndpoints(store, { owner: "alice" })).toHaveLength(1);
  });

  test("the default endpoint can have everything but a prefix, and stays", async () => {
    await make("default", { signedOnly: true, domain: "d.example.com" });
    await expect(updateEndpoint(store, { name: "default" }, { prefix: "x" })).rejects.toThrow(
      "has no prefix",
    );
    await expect(deleteEndpoint(store, { name: "default" })).rejects.toThrow("can't be deleted");
    expect(await showEndpoint(store, { name: "default" })).toMatchObject({ prefix: "", signedOnly: true });
  });

  test.each<[change: object, message: RegExp]>([
    [{ origins: [] }, /at least one origin/],
    [{ origins: ["one", "one"] }, /each of its origins once/],
    [{ origins: ["hers"] }, /Account root has no origin "hers"/],
    [{ origins: Array.from({ length: 17 }, (_, n) => `o${n}`) }, /at most 16 origins/],
    [{ prefix: "a/b" }, /"a\/b" can't be a prefix: 1 to 64/],
    [{ prefix: "tr:w-1" }, /can't be a prefix/],
    [{ prefix: "image" }, /URLs use the word/],
    [{ prefix: "ik-seo" }, /URLs use the word/],
    [{ domain: "http://x.example.com" }, /is no host name/],
    [{ domain: "bad_name.example.com" }, /is no host name/],
    [{ domain: "*.example.com" }, /is no host name/],
    [{ domain: "127.0.0.1" }, /is no host name/],
    [{ domain: "[::1]" }, /is no host name/],
    [{ domain: "localhost:9002" }, /localhost can't be/],
    [{ domain: `${"a".repeat(64)}.example.com` }, /is no host name/],
    [{ cacheSeconds: -1 }, /0 to 31536000 seconds/],
    [{ cacheSeconds: 1.5 }, /0 to 31536000 seconds/],
    [{ formats: ["bmp"] }, /"bmp" is no format. Allowed: jpeg, png/],
    [{ rewriter: "thumbor" }, /Allowed: cloudinary, cloudinary-preserve-types, imgix, akamai/],
    [{ name: "a b" }, /can't name an endpoint/],
    [{ owner: "nobody" }, /no account "nobody"/],
  ])("%j is refused", async (change, message) => {
    await expect(make("new", change)).rejects.toThrow(message);
    expect(await listEndpoints(store)).toEqual([]);
  });
});

describe("named transformations", () => {
  test("are made, listed, changed, looked up and deleted", async () => {
    const made = await createTransformation(store, { name: "small_2-x", chain: "tr:w-300,h-300:rt-90" });
    expect(made).toMatchObject({ name: "small_2-x", owner: "root", chain: "w-300,h-300:rt-90" });
    await createTransformation(store, { name: "small_2-x", owner: "alice", chain: "w-10" });
    await store.refresh();
    expect([...(await namedOf(store, OWNER, ["small_2-x", "none", "../x"]))]).toEqual([
      ["small_2-x", "w-300,h-300:rt-90"],
    ]);
    await updateTransformation(store, { name: "small_2-x" }, { chain: "w-400" });
    expect(await showTransformation(store, { name: "small_2-x" })).toMatchObject({ chain: "w-400" });
    expect(await listTransformations(store)).toHaveLength(2);
    await deleteTransformation(store, { name: "small_2-x" });
    expect(await listTransformations(store, { owner: "root" })).toEqual([]);
    await store.refresh();
    expect((await namedOf(store, aliceId, ["small_2-x"])).get("small_2-x")).toBe("w-10");
  });

  test.each<[name: string, chain: string, message: RegExp]>([
    ["a.b", "w-300", /can't name a transformation/],
    ["a,b", "w-300", /can't name a transformation/],
    ["", "w-300", /can't name a transformation/],
    ["x", "", /needs a chain/],
    ["x", "tr:, :", /needs a chain/],
    ["x", "w-abc", /w can't be "abc"/],
    ["x", "nonsense-1", /is no transformation/],
    ["x", "w-300:n-other", /can't name another one/],
    ["x", "l-image,i-logo.png", /l-end/],
  ])("%s as %s is refused", async (name, chain, message) => {
    await expect(createTransformation(store, { name, chain })).rejects.toThrow(message);
    expect(await listTransformations(store)).toEqual([]);
  });

  test("what no URL could hold is refused", async () => {
    const chain = Array.from({ length: 500 }, (_, n) => `l-text,i-${n},l-end`).join(",");
    await expect(createTransformation(store, { name: "x", chain })).rejects.toThrow(
      "at most 4000 characters",
    );
    await expect(make("new", { defaultImage: "x".repeat(1025) })).rejects.toThrow("at most 1024 bytes");
  });

  test("a name is given once", async () => {
    await createTransformation(store, { name: "x", chain: "w-300" });
    await expect(createTransformation(store, { name: "x", chain: "w-300" })).rejects.toThrow(
      'Account root already has a transformation "x"',
    );
  });
});
