/** The admin API over HTTP: origins, URL-endpoints, named transformations, purges; who may do what. */
import { createHmac } from "node:crypto";
import { ImageKit } from "@imagekit/nodejs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { OPERATIONS } from "../../src/admin/operations.ts";
import { chunks } from "../unit/store/fixture.ts";
import { basic, openConsole, type Console } from "./console.ts";

let server: Console;
let call: Console["call"];
beforeEach(async () => {
  server = await openConsole();
  ({ call } = server);
});
afterEach(() => server[Symbol.asyncDispose]());

const keyOf = async (name: string) => (await server.store.accounts.create({ name })).key;
const photos = { name: "photos", type: "bucket", bucket: "photos" };
const foreign = {
  name: "foreign",
  type: "s3-compatible",
  bucket: "there",
  endpointUrl: "https://s3.example.com",
  accessKey: "AKIDEXAMPLE",
  secretKey: "the-very-secret",
};

describe("origins", () => {
  test("are made, listed, shown, changed, tested and deleted", async () => {
    const made = await call("POST", "/api/v1/origins", { ...photos, folder: "/a" });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ ...photos, owner: "root", folder: "a/", alias: "photos" });
    expect((await call("GET", "/api/v1/origins")).body).toMatchObject([{ name: "photos" }]);
    const changed = await call("PATCH", "/api/v1/origins/photos", { folder: "", alias: "" });
    expect([changed.status, changed.body]).toMatchObject([200, { folder: "" }]);
    expect(changed.body).not.toHaveProperty("alias");
    const tested = await call("POST", "/api/v1/origins/photos/test");
    expect([tested.status, tested.body]).toMatchObject([
      200,
      { ok: false, findings: ["There is no bucket photos: all answers are 404."] },
    ]);
    expect((await call("DELETE", "/api/v1/origins/photos")).status).toBe(204);
    expect((await call("GET", "/api/v1/origins/photos")).status).toBe(404);
  });

  test("may have blanks in their names", async () => {
    // As many as there can be: in a path each is three characters.
    const name = `P${" i".repeat(31)}s`;
    const path = `/api/v1/origins/${encodeURIComponent(name)}`;
    const made = await call("POST", "/api/v1/origins", { ...photos, name });
    expect([made.status, made.body]).toMatchObject([201, { name, alias: `P${"-i".repeat(31)}s` }]);
    expect((await call("GET", path)).body).toMatchObject({ name });
    expect((await call("PATCH", path, { folder: "/a" })).body).toMatchObject({ name, folder: "a/" });
    expect((await call("POST", `${path}/test`)).body).toMatchObject({ ok: false });
    const shop = await call("POST", "/api/v1/endpoints", { name: "shop", origins: [name] });
    expect([shop.status, shop.body]).toMatchObject([201, { origins: [name] }]);
    const purged = await call("POST", "/api/v1/purges", { origin: name });
    expect([purged.status, purged.body]).toMatchObject([201, { scope: { origin: name } }]);
    expect((await call("DELETE", "/api/v1/endpoints/shop")).status).toBe(204);
    expect((await call("DELETE", path)).status).toBe(204);
    expect((await call("POST", "/api/v1/origins", { ...photos, name: "two  blanks" })).status).toBe(422);
  });

  test("are not deleted while an endpoint has no other", async () => {
    await call("POST", "/api/v1/origins", photos);
    await call("POST", "/api/v1/endpoints", { name: "shop", origins: ["photos"] });
    const refused = await call("DELETE", "/api/v1/origins/photos");
    expect([refused.status, refused.body]).toMatchObject([
      409,
      { code: "Conflict", message: expect.stringContaining('"shop"') as string },
    ]);
    await call("DELETE", "/api/v1/endpoints/shop");
    expect((await call("DELETE", "/api/v1/origins/photos")).status).toBe(204);
    expect((await call("GET", "/api/v1/endpoints/default")).body).toMatchObject({ origins: [] });
  });

  test("never show a secret", async () => {
    const answers = [
      await call("POST", "/api/v1/origins", foreign),
      await call("GET", "/api/v1/origins/foreign"),
      await call("GET", "/api/v1/origins"),
      await call("PATCH", "/api/v1/origins/foreign", { secretKey: "another-secret" }),
      await call("POST", "/api/v1/origins", { ...foreign, name: "wrong", type: "bucket" }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([201, 200, 200, 200, 422]);
    const text = JSON.stringify(answers.map(({ body }) => body));
    expect(text).toContain("s3.example.com");
    expect(text).not.toMatch(/very-secret|another-secret|sealed/);
  });

  test("tell nothing of what another account's bucket holds to whom its ACL doesn't let list it", async () => {
    const { store } = server;
    const alice = await keyOf("alice");
    const root = (await store.accounts.byName("root"))!.id;
    const acl = {
      grants: [
        { grantee: { type: "CanonicalUser" as const, id: root }, permission: "FULL_CONTROL" as const },
      ],
    };
    const about = { ownerId: root, acl };
    const bucket = await store.createBucket({ ...about, name: "photos", location: "", maxBuckets: 100 });
    await call("POST", "/api/v1/origins", { ...photos, folder: "plans" }, alice);
    const tested = async () => (await call("POST", "/api/v1/origins/photos/test", {}, alice)).body;
    const empty = await tested();
    const staged = await store.receive(chunks(Buffer.from("x")), { maxSize: 10, checksums: [] });
    const object = { ...about, key: "plans/merger.pdf", meta: {}, tags: [], storageClass: "STANDARD" };
    await store.putObject(bucket, object, staged);
    expect(await tested()).toEqual(empty);
    expect(empty).toMatchObject({ ok: false });
    expect(JSON.stringify(empty)).toContain("Account alice may not list bucket photos");
  });

  test("tell the addresses of names to the operator alone", async () => {
    const alice = await keyOf("alice");
    const web = { name: "inside", type: "web", baseUrl: "http://localhost:1/" };
    const findings = [];
    for (const key of [undefined, alice]) {
      await call("POST", "/api/v1/origins", web, key);
      findings.push(JSON.stringify((await call("POST", "/api/v1/origins/inside/test", {}, key)).body));
    }
    expect(findings).toEqual([
      expect.stringMatching(/localhost has the address (127\.0\.0\.1|::1), .*--allow-host localhost/),
      expect.stringContaining('"localhost has an address that is not on the open internet."'),
    ]);
  });
});

describe("URL-endpoints and named transformations", () => {
  test("have all that the command line has", async () => {
    await call("POST", "/api/v1/origins", photos);
    await call("POST", "/api/v1/origins", { ...photos, name: "more" });
    const made = await call("POST", "/api/v1/endpoints", {
      name: "shop",
      origins: ["photos", "more"],
      domain: "shop.example.com",
      signedOnly: true,
      cacheSeconds: 60,
    });
    expect([made.status, made.body]).toMatchObject([201, { prefix: "shop", domain: "shop.example.com" }]);
    const changed = await call("PATCH", "/api/v1/endpoints/shop", {
      origins: ["more"],
      domain: null,
      signedOnly: false,
      cacheSeconds: null,
    });
    expect(changed.status).toBe(200);
    const { createdAt, ownerId: _, ...rest } = changed.body as Record<string, unknown>;
    expect(rest).toEqual({ name: "shop", owner: "root", prefix: "shop", origins: ["more"] });
    expect(createdAt).toMatch(/^\d{4}-\d\d-\d\dT/);
    const order = await call("PATCH", "/api/v1/endpoints/default", { origins: ["more", "photos"] });
    expect(order.body).toMatchObject({ name: "default", origins: ["more", "photos"] });
    expect((await call("DELETE", "/api/v1/endpoints/default")).status).toBe(422);
  });

  test("chains are checked by the grammar", async () => {
    const chain = "w-300,h-300";
    expect((await call("POST", "/api/v1/transformations", { name: "small", chain })).status).toBe(201);
    const wrong = await call("PATCH", "/api/v1/transformations/small", { chain: "w-much" });
    expect([wrong.status, wrong.body]).toMatchObject([422, { code: "InvalidInput" }]);
    expect((wrong.body as { message: string }).message).toContain('w can\'t be "much"');
    expect((await call("GET", "/api/v1/transformations/small")).body).toMatchObject({ chain });
  });
});

describe("purges", () => {
  test("of a URL, of an origin, of a folder", async () => {
    await call("POST", "/api/v1/origins", photos);
    const made = await call("POST", "/api/v1/purges", {
      url: "https://cdn.example.com/root/tr:w-300/a/b%20c.jpg?v=1",
    });
    const { ownerId } = (await call("GET", "/api/v1/origins/photos")).body as { ownerId: string };
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      state: "done",
      scope: { ownerId, origin: "photos", path: "a/b c.jpg" },
    });
    const { id } = made.body as { id: string };
    expect((await call("GET", `/api/v1/purges/${id}`)).body).toEqual(made.body);
    expect((await call("GET", "/api/v1/purges/none")).status).toBe(404);
    const many = await call("POST", "/api/v1/purges", { url: "/image/photos/a/*" });
    expect(many.body).toMatchObject({ scope: { origin: "photos", prefix: "a/" } });
    const all = await call("POST", "/api/v1/purges", { url: "/root/*" });
    expect(all.body).toMatchObject({ scope: { origin: "photos", prefix: "" } });
    const folder = await call("POST", "/api/v1/purges", { origin: "photos", prefix: "x/" });
    expect(folder.body).toMatchObject({ scope: { ownerId, origin: "photos", prefix: "x/" } });
    for (const input of [{}, { url: "/root/a", origin: "photos" }, { prefix: "x" }, { url: "nonsense" }])
      expect((await call("POST", "/api/v1/purges", input)).status).toBe(422);
    expect((await call("POST", "/api/v1/purges", { origin: "none" })).status).toBe(404);
    expect((await call("POST", "/api/v1/purges", { url: "/nobody/a.jpg" })).status).toBe(404);
  });

  test("in the way of ImageKit's API", async () => {
    await call("POST", "/api/v1/origins", photos);
    const made = await call("POST", "/v1/files/purge", { url: "https://ik.example.com/root/a.jpg" });
    const { requestId } = made.body as { requestId: string };
    expect([made.status, typeof requestId]).toEqual([201, "string"]);
    const state = await call("GET", `/v1/files/purge/${requestId}`);
    expect([state.status, state.body]).toEqual([200, { status: "Completed" }]);
  });
});

describe("who may do what", () => {
  test("without credentials, or with wrong ones, nobody is let in", async () => {
    const { accessKeyId, secretAccessKey } = server.rootKey;
    const wrong = [
      undefined,
      "Bearer abc",
      "Basic !!!",
      basic(accessKeyId, ""),
      basic(accessKeyId, `${secretAccessKey}x`),
      basic("nobody", ""),
      basic("", ""),
    ];
    for (const authorization of wrong) {
      const headers = authorization === undefined ? {} : { authorization };
      const answer = await fetch(`${server.url}/api/v1/origins`, { headers });
      expect([authorization, answer.status]).toEqual([authorization, 401]);
      expect(answer.headers.get("www-authenticate")).toMatch(/^Basic /);
      expect(await answer.json()).toMatchObject({ code: "Unauthenticated" });
    }
  });

  test("an account sees and changes its own things, and none of others", async () => {
    const alice = await keyOf("alice");
    await call("POST", "/api/v1/origins", photos);
    const hers = await call("POST", "/api/v1/origins", { ...photos, bucket: "hers" }, alice);
    expect([hers.status, hers.body]).toMatchObject([201, { owner: "alice", bucket: "hers" }]);
    expect((await call("GET", "/api/v1/origins", undefined, alice)).body).toMatchObject([{ bucket: "hers" }]);
    expect((await call("GET", "/api/v1/origins")).body).toHaveLength(2);
    expect((await call("GET", "/api/v1/origins?owner=alice")).body).toMatchObject([{ bucket: "hers" }]);
    expect((await call("GET", "/api/v1/origins/photos")).body).toMatchObject({ bucket: "photos" });
    const refused = [
      await call("GET", "/api/v1/origins?owner=root", undefined, alice),
      await call("DELETE", "/api/v1/origins/photos?owner=root", undefined, alice),
      await call("POST", "/api/v1/origins", { ...photos, owner: "root" }, alice),
      await call("PATCH", "/api/v1/endpoints/default", { owner: "root", signedOnly: true }, alice),
      await call("POST", "/api/v1/purges", { url: "/root/a.jpg" }, alice),
      await call("POST", "/v1/files/purge", { url: "/root/a.jpg" }, alice),
    ];
    expect(refused.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403, 403]);
    expect((await call("POST", "/api/v1/purges", { url: "/alice/a.jpg" }, alice)).status).toBe(201);
    expect((await call("GET", "/api/v1/origins?owner=nobody")).status).toBe(404);
  });

  test("private addresses and host names are root's to give", async () => {
    const alice = await keyOf("alice");
    await call("POST", "/api/v1/origins", photos, alice);
    const web = { name: "web", type: "web", baseUrl: "http://10.0.0.1/" };
    const hosts = { ...web, allowHosts: ["10.0.0.1"] };
    expect((await call("POST", "/api/v1/origins", hosts, alice)).status).toBe(403);
    expect((await call("POST", "/api/v1/origins", web, alice)).status).toBe(201);
    const allowing = { allowHosts: ["10.0.0.1"] };
    expect((await call("PATCH", "/api/v1/origins/web", allowing, alice)).status).toBe(403);
    expect((await call("PATCH", "/api/v1/origins/web", { ...allowing, owner: "alice" })).status).toBe(200);
    const domain = { domain: "cdn.example.com" };
    expect((await call("PATCH", "/api/v1/endpoints/default", domain, alice)).status).toBe(403);
    const proxy = { name: "proxy", type: "web-proxy", allowHosts: ["*.example.org"] };
    expect((await call("POST", "/api/v1/origins", proxy, alice)).body).toMatchObject({ publicHosts: true });
    for (const host of ["10.0.0.1", "0x7f.1:80", "[::1]"])
      expect((await call("PATCH", "/api/v1/origins/proxy", { allowHosts: [host] }, alice)).status).toBe(403);
    const roots = (await call("PATCH", "/api/v1/origins/proxy", { ...allowing, owner: "alice" })).body;
    expect(roots).toMatchObject(allowing);
    expect(roots).not.toHaveProperty("publicHosts");
  });

  test("disabled keys and suspended accounts are refused", async () => {
    const alice = await keyOf("alice");
    const second = await server.store.accounts.createKey(alice.accountId);
    await server.store.accounts.setKeyEnabled(second.accessKeyId, false);
    expect((await call("GET", "/api/v1/origins", undefined, second)).status).toBe(403);
    expect((await call("GET", "/api/v1/origins", undefined, alice)).status).toBe(200);
    await server.store.accounts.update(alice.accountId, { status: "suspended" });
    expect((await call("GET", "/api/v1/origins", undefined, alice)).status).toBe(403);
  });

  test("who guesses has to wait, even with the right key; another address doesn't", async () => {
    await using behindProxy = await openConsole({ trustedProxies: ["127.0.0.0/8"] });
    const { accessKeyId, secretAccessKey } = behindProxy.rootKey;
    const ask = async (secret: string, address: string) => {
      const headers = { authorization: basic(accessKeyId, secret), "x-forwarded-for": address };
      const answer = await fetch(`${behindProxy.url}/api/v1/origins`, { headers });
      return [answer.status, answer.headers.has("retry-after")];
    };
    for (let n = 0; n < 20; n++) expect(await ask("wrong", `2001:db8::${n + 1}`)).toEqual([401, false]);
    // All of these are one client's network.
    expect(await ask(secretAccessKey, "2001:db8::ffff")).toEqual([429, true]);
    expect(await ask(secretAccessKey, "203.0.113.5, 2001:db8::ffff")).toEqual([429, true]);
    expect(await ask(secretAccessKey, "2001:db8:0:1::1")).toEqual([200, false]);
  });

  test.each([
    [4, 5],
    [3, 6],
    [64, 3],
  ])(
    "of %i workers each lets one guess %i times: the brake is one for all of them",
    async (workers, times) => {
      await using one = await openConsole({ workers });
      const wrong = { accessKeyId: one.rootKey.accessKeyId, secretAccessKey: "wrong" };
      const statuses = [];
      for (let n = 0; n <= times; n++)
        statuses.push((await one.call("GET", "/api/v1/origins", undefined, wrong)).status);
      expect(statuses).toEqual([...Array<number>(times).fill(401), 429]);
    },
  );

  test("pages of other origins change nothing", async () => {
    const authorization = basic(server.rootKey.accessKeyId, server.rootKey.secretAccessKey);
    const send = (headers: Record<string, string>, method = "POST") =>
      fetch(`${server.url}/api/v1/origins${method === "POST" ? "" : "/photos"}`, {
        method,
        headers: { authorization, ...headers },
        ...(method === "POST" ? { body: JSON.stringify(photos) } : {}),
      });
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
      expect((await send({ "content-type": type })).status).toBe(415);
    const untyped = { method: "POST", headers: { authorization }, body: Buffer.from(JSON.stringify(photos)) };
    expect((await fetch(`${server.url}/api/v1/origins`, untyped)).status).toBe(415);
    const json = { "content-type": "application/json" };
    expect((await send({ ...json, "sec-fetch-site": "cross-site" })).status).toBe(403);
    expect((await send({ ...json, "sec-fetch-site": "same-origin" })).status).toBe(201);
    expect((await send({ "sec-fetch-site": "same-site" }, "DELETE")).status).toBe(403);
    const preflight = await fetch(`${server.url}/api/v1/origins`, { method: "OPTIONS" });
    expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([405, null]);
  });
});

test("a POST that says nothing changes nothing", async () => {
  const posts = OPERATIONS.filter(({ method }) => method === "POST");
  expect(posts.length).toBeGreaterThan(5);
  for (const { name, path } of posts) {
    const { status } = await call("POST", path.replace(":name", "none"));
    expect([name, status]).toEqual([name, name === "TestOrigin" ? 404 : 422]);
  }
});

describe("what is sent is checked", () => {
  test.each<[path: string, body: unknown, message: RegExp]>([
    ["/api/v1/origins", { ...photos, colour: "red" }, /Unrecognized key: "colour"/],
    ["/api/v1/origins", { ...photos, name: 5 }, /^name: /],
    ["/api/v1/origins", { name: "x", type: "ftp" }, /^type: /],
    ["/api/v1/origins", { name: "x", type: "bucket" }, /needs bucket\./],
    ["/api/v1/origins", { name: "x", type: "web-proxy" }, /needs allowHosts\./],
    ["/api/v1/origins", { name: "x", type: "web", baseUrl: "here" }, /^baseUrl must be a URL/],
    ["/api/v1/origins", { name: "x", type: "bucket", credentials: "{}" }, /no option credentials\./],
    ["/api/v1/endpoints", { name: "x", origins: ["a --bucket"] }, /has no origin "a --bucket"/],
    ["/api/v1/endpoints", { name: "x", origins: [] }, /at least one origin\./],
    ["/api/v1/origins", { name: "a/b", type: "bucket", bucket: "photos" }, /can't name an origin/],
    ["/api/v1/origins", [], /must be a JSON object/],
    ["/api/v1/origins", "text", /must be a JSON object/],
    ["/api/v1/origins/photos/test", { name: "other" }, /name stands in the path already/],
    ["/api/v1/endpoints", { name: "x", origins: ["none"] }, /has no origin "none"/],
  ])("POST %s %j", async (path, body, message) => {
    const answer = await call("POST", path, body);
    expect([answer.status, answer.body]).toEqual([
      422,
      { code: "InvalidInput", message: expect.stringMatching(message) as string },
    ]);
  });

  test("a name that is taken is a conflict", async () => {
    await call("POST", "/api/v1/origins", photos);
    const again = await call("POST", "/api/v1/origins", photos);
    expect([again.status, again.body]).toMatchObject([409, { code: "Conflict" }]);
    const alias = await call("POST", "/api/v1/origins", { ...photos, name: "x", alias: "photos" });
    expect(alias.status).toBe(409);
  });

  test("bodies have a limit, announced or not, and must be JSON", async () => {
    const headers = {
      authorization: basic(server.rootKey.accessKeyId, server.rootKey.secretAccessKey),
      "content-type": "application/json",
    };
    const large = JSON.stringify({ ...photos, folder: "x".repeat(70_000) });
    const send = async (body: string | ReadableStream) => {
      const init: RequestInit & { duplex: "half" } = { method: "POST", headers, body, duplex: "half" };
      const answer = await fetch(`${server.url}/api/v1/origins`, init);
      return [answer.status, ((await answer.json()) as { code: string }).code];
    };
    expect(await send(large)).toEqual([413, "BodyTooLarge"]);
    expect(await send(new Blob([large]).stream())).toEqual([413, "BodyTooLarge"]);
    expect(await send("{")).toEqual([400, "BadRequest"]);
    expect(await send("")).toEqual([422, "InvalidInput"]);
    expect(await send('{"__proto__":{"x":1},"name":"x"}')).toEqual([400, "BadRequest"]);
  });

  test("an empty body is none, whatever type it is said to have", async () => {
    await call("POST", "/api/v1/origins", photos);
    const authorization = basic(server.rootKey.accessKeyId, server.rootKey.secretAccessKey);
    const headers = { authorization, "content-type": "application/json" };
    const url = `${server.url}/api/v1/origins/photos`;
    expect((await fetch(`${url}/test`, { method: "POST", headers })).status).toBe(200);
    expect((await fetch(url, { method: "DELETE", headers })).status).toBe(204);
    expect((await call("GET", "/api/v1/origins")).body).toEqual([]);
  });

  test("what is not there is 404, another method is 405 and says which", async () => {
    expect((await call("GET", "/api/v1/nothing")).status).toBe(404);
    expect((await call("GET", "/api/v2/origins")).status).toBe(404);
    const answer = await call("PUT", "/api/v1/origins", photos);
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, POST"]);
    expect((await call("GET", "/api/v1/origins/%zz")).status).toBe(400);
  });
});

test("the document describes every operation", async () => {
  const answer = await call("GET", "/api/v1/openapi.json", undefined, "none");
  expect(answer.status).toBe(200);
  const { openapi, paths } = answer.body as {
    openapi: string;
    paths: Record<string, Record<string, { operationId: string }>>;
  };
  expect(openapi).toBe("3.1.0");
  const ids = Object.values(paths).flatMap((methods) => Object.values(methods).map((one) => one.operationId));
  expect(ids.toSorted()).toEqual(OPERATIONS.map(({ name }) => name).toSorted());
  const create = paths["/api/v1/origins"]!["post"] as unknown as {
    requestBody: { content: Record<string, { schema: { required: string[]; properties: object } }> };
  };
  const { schema } = create.requestBody.content["application/json"]!;
  expect(schema.required.toSorted()).toEqual(["name", "type"]);
  expect(schema.properties).toHaveProperty("secretKey.writeOnly", true);
  const bodies = ["/api/v1/url-keys", "/api/v1/origins/{name}/test"].map((path) => paths[path]!["post"]);
  expect(bodies).toMatchObject([{ requestBody: { required: true } }, { requestBody: { required: false } }]);
});

describe("signed URLs", () => {
  const url = "https://cdn.example.com/root/tr:w-300/photo%20one.jpg?v=1";

  test("are made with a key whose secret is shown once, or not at all when it was brought", async () => {
    const made = await call("POST", "/api/v1/url-keys", { id: "first" });
    expect(made.status).toBe(201);
    const { secret } = made.body as { secret: string };
    expect(secret.length).toBeGreaterThanOrEqual(32);
    const brought = await call("POST", "/api/v1/url-keys", { id: "brought", secret: "dummy-key" });
    expect([brought.status, JSON.stringify(brought.body).includes("dummy-key")]).toEqual([201, false]);
    const nameless = await call("POST", "/api/v1/url-keys", {});
    expect(nameless.status).toBe(201);
    const { id } = nameless.body as { id: string };
    expect(id).toMatch(/^[0-9a-f]{8}$/);
    expect((await call("DELETE", `/api/v1/url-keys/${id}`)).status).toBe(204);
    const listed = await call("GET", "/api/v1/url-keys");
    expect(listed.body).toMatchObject([{ id: "brought" }, { id: "first" }]);
    expect(JSON.stringify(listed.body)).not.toContain(secret);
    const signed = await call("POST", "/api/v1/signed-urls", { url, key: "brought" });
    const sum = createHmac("sha1", "dummy-key")
      .update("tr:w-300/photo%20one.jpg?v=19999999999")
      .digest("hex");
    expect(signed.body).toEqual({ url: `${url}&ik-s=${sum}` });
    const ending = await call("POST", "/api/v1/signed-urls", { url, expires: 60, scheme: "windlass" });
    expect((ending.body as { url: string }).url).toMatch(
      /\?v=1&wl-key=(first|brought)&wl-expires=\d{10}&wl-sig=[\w-]{43}$/,
    );
    expect((await call("DELETE", "/api/v1/url-keys/brought")).status).toBe(204);
    expect((await call("DELETE", "/api/v1/url-keys/brought")).status).toBe(404);
    expect((await call("POST", "/api/v1/signed-urls", { url, key: "brought" })).status).toBe(422);
  });

  test("of others are not signed", async () => {
    const alice = await keyOf("alice");
    expect((await call("POST", "/api/v1/signed-urls", { url }, alice)).status).toBe(403);
    const hers = url.replace("/root/", "/alice/");
    expect((await call("POST", "/api/v1/signed-urls", { url: hers }, alice)).status).toBe(201);
    for (const wrong of ["photo.jpg", "//cdn/root/a.jpg", "ftp://cdn/root/a", `${url}#top`, "/nobody/a.jpg"])
      expect((await call("POST", "/api/v1/signed-urls", { url: wrong })).status).toBeGreaterThanOrEqual(404);
  });

  test("ImageKit's own SDK purges with the private key that signs", async () => {
    const alice = await keyOf("alice");
    await call("POST", "/api/v1/origins", photos, alice);
    const { body } = await call("POST", "/api/v1/url-keys", { id: "ik" }, alice);
    const { secret: privateKey } = body as { secret: string };
    const client = new ImageKit({ privateKey, baseURL: server.url, maxRetries: 0 });
    const { requestId } = await client.cache.invalidation.create({
      url: "https://x.example.com/alice/a.jpg",
    });
    expect(await client.cache.invalidation.get(requestId!)).toEqual({ status: "Completed" });
    await expect(
      client.cache.invalidation.create({ url: "https://x.example.com/root/a.jpg" }),
    ).rejects.toThrow("403");
    const stranger = new ImageKit({ privateKey: "wrong", baseURL: server.url, maxRetries: 0 });
    await expect(
      stranger.cache.invalidation.create({ url: "https://x.example.com/alice/a.jpg" }),
    ).rejects.toThrow("401");
    // It is good for this and nothing else.
    const headers = { authorization: basic(privateKey, "") };
    expect((await fetch(`${server.url}/api/v1/origins`, { headers })).status).toBe(401);
  });
});

test("operations are counted by their names", async () => {
  await call("GET", "/api/v1/origins");
  await call("GET", "/api/v1/origins/none");
  await call("GET", "/api/v1/anything");
  expect(server.operations).toEqual(["ListOrigins", "ShowOrigin", "Unknown"]);
  const answer = await call("GET", "/api/v1/origins");
  expect(answer.headers.has("x-windlass-operation")).toBe(false);
  expect(answer.headers.get("cache-control")).toBe("no-store");
});
