import { CreateBucketCommand, PutBucketVersioningCommand, type S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../server.ts";
import type { RawRequest } from "../signer.ts";
import { sdk, send as sendTo, type RawAnswer } from "./client.ts";

let server: TestServer;
let s3: S3Client;

beforeAll(async () => {
  server = await startServer();
  s3 = sdk(server);
  await s3.send(new CreateBucketCommand({ Bucket: "cond" }));
  await s3.send(new CreateBucketCommand({ Bucket: "versioned" }));
  const VersioningConfiguration = { Status: "Enabled" } as const;
  await s3.send(new PutBucketVersioningCommand({ Bucket: "versioned", VersioningConfiguration }));
});
afterAll(async () => {
  s3.destroy();
  await server.close();
});

const send = (request: RawRequest): Promise<RawAnswer> => sendTo(server, request);
const put = (target: string, headers: Record<string, string> = {}, body = "body") =>
  send({ method: "PUT", target, headers, body });

/** By status. */
const TEXTS: Record<number, RegExp> = { 200: /^body$/, 206: /^bo$/, 304: /^$/, 412: /<Error>/ };

describe("a conditional GET", () => {
  let etag: string;
  let modified: string;
  const before = () => new Date(Date.parse(modified) - 1000).toUTCString();
  const after = () => new Date(Date.parse(modified) + 1000).toUTCString();
  beforeAll(async () => {
    await put("/cond/k", { "cache-control": "max-age=7", "x-amz-meta-a": "b" });
    const { headers } = await send({ method: "HEAD", target: "/cond/k" });
    etag = headers["etag"]!;
    modified = headers["last-modified"]!;
  });
  const cases: [name: string, headers: () => Record<string, string>, status: number][] = [
    ["If-Match with its ETag", () => ({ "if-match": etag }), 200],
    ["If-Match without quotes", () => ({ "if-match": etag.replaceAll('"', "") }), 200],
    ["If-Match with another", () => ({ "if-match": '"x"' }), 412],
    ["If-None-Match with its ETag", () => ({ "if-none-match": etag }), 304],
    ["If-None-Match with its weak ETag", () => ({ "if-none-match": `W/${etag}` }), 304],
    ["If-None-Match with another", () => ({ "if-none-match": '"x"' }), 200],
    ["If-Modified-Since before", () => ({ "if-modified-since": before() }), 200],
    ["If-Modified-Since its time", () => ({ "if-modified-since": modified }), 304],
    ["If-Unmodified-Since before", () => ({ "if-unmodified-since": before() }), 412],
    ["If-Unmodified-Since after", () => ({ "if-unmodified-since": after() }), 200],
    [
      "If-Match true, If-Unmodified-Since false",
      () => ({ "if-match": etag, "if-unmodified-since": before() }),
      200,
    ],
    [
      "If-None-Match false, If-Modified-Since true",
      () => ({ "if-none-match": etag, "if-modified-since": before() }),
      304,
    ],
    ["a condition and a range", () => ({ "if-match": etag, range: "bytes=0-1" }), 206],
    ["If-Range with its ETag", () => ({ "if-range": etag, range: "bytes=0-1" }), 206],
    ["If-Range with its time", () => ({ "if-range": modified, range: "bytes=0-1" }), 206],
    ["If-Range with another", () => ({ "if-range": '"x"', range: "bytes=0-1" }), 200],
    ["If-Range with an earlier time", () => ({ "if-range": before(), range: "bytes=0-1" }), 200],
    [
      "If-Match and If-Range, both stale",
      () => ({ "if-match": '"x"', "if-range": '"x"', range: "bytes=0-1" }),
      200,
    ],
    ["If-Match stale, If-Range without a range", () => ({ "if-match": '"x"', "if-range": '"x"' }), 412],
  ];
  test.each(cases)("%s", async (_name, headers, status) => {
    const answer = await send({ method: "GET", target: "/cond/k", headers: headers() });
    expect(answer.status).toBe(status);
    const head = await send({ method: "HEAD", target: "/cond/k", headers: headers() });
    expect(head).toMatchObject({ status, text: "" });
    expect(answer.code).toBe(status === 412 ? "PreconditionFailed" : undefined);
    expect(answer.text).toMatch(TEXTS[status]!);
    expect(answer.headers["etag"]).toBe(status === 412 ? undefined : etag);
  });
  test("that isn't modified refreshes what caches keep, and no more", async () => {
    const { headers } = await send({ method: "GET", target: "/cond/k", headers: { "if-none-match": etag } });
    expect(headers).toMatchObject({ etag, "last-modified": modified, "cache-control": "max-age=7" });
    expect(headers["x-amz-meta-a"]).toBeUndefined();
    expect(headers["x-amz-request-id"]).toMatch(/^[0-9A-F]{16}$/);
  });
});

describe("a conditional write", () => {
  test("If-None-Match: * makes only what wasn't there", async () => {
    expect((await put("/cond/new", { "if-none-match": "*" })).status).toBe(200);
    expect(await put("/cond/new", { "if-none-match": "*" }, "second")).toMatchObject({
      status: 412,
      code: "PreconditionFailed",
    });
    expect((await send({ method: "GET", target: "/cond/new" })).text).toBe("body");
  });
  test("If-Match replaces only what it names", async () => {
    const { headers } = await put("/cond/match");
    expect(await put("/cond/match", { "if-match": '"x"' }, "2")).toMatchObject({ status: 412 });
    expect((await put("/cond/match", { "if-match": headers["etag"]! }, "2")).status).toBe(200);
    expect(await put("/cond/absent", { "if-match": headers["etag"]! })).toMatchObject({
      status: 404,
      code: "NoSuchKey",
    });
    expect((await send({ method: "GET", target: "/cond/match" })).text).toBe("2");
  });
  test("a delete marker is no object", async () => {
    await put("/versioned/k");
    await send({ method: "DELETE", target: "/versioned/k" });
    expect(await put("/versioned/k", { "if-match": "*" })).toMatchObject({ status: 404 });
    expect((await put("/versioned/k", { "if-none-match": "*" })).status).toBe(200);
  });
  test("of many at once one wins", async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, n) => put("/cond/race", { "if-none-match": "*" }, `body ${n}`)),
    );
    const won = answers.flatMap(({ status }, n) => (status === 200 ? [n] : []));
    expect(won).toHaveLength(1);
    for (const { status } of answers) expect([200, 409, 412]).toContain(status);
    expect((await send({ method: "GET", target: "/cond/race" })).text).toBe(`body ${won[0]}`);
  });
  test.each([
    { "if-none-match": '"x"' },
    { "if-match": '"a", "b"' },
    { "if-modified-since": new Date().toUTCString() },
  ])("%j is not implemented", async (headers) =>
    expect((await put("/cond/odd", headers as Record<string, string>)).status).toBe(501),
  );
});

const del = (target: string, headers: Record<string, string>) => send({ method: "DELETE", target, headers });

describe("a conditional delete", () => {
  test("removes only what it names", async () => {
    const { headers } = await put("/cond/del");
    expect((await del("/cond/del", { "if-match": '"x"' })).status).toBe(412);
    expect((await del("/cond/del", { "x-amz-if-match-size": "5" })).status).toBe(412);
    const yesterday = new Date(Date.now() - 86_400_000).toUTCString();
    expect((await del("/cond/del", { "x-amz-if-match-last-modified-time": yesterday })).status).toBe(412);
    const { headers: seen } = await send({ method: "HEAD", target: "/cond/del" });
    const all = {
      "if-match": headers["etag"]!,
      "x-amz-if-match-size": "4",
      "x-amz-if-match-last-modified-time": seen["last-modified"]!,
    };
    expect((await del("/cond/del", all)).status).toBe(204);
    expect((await send({ method: "HEAD", target: "/cond/del" })).status).toBe(404);
  });
  test("of nothing fails, as there is nothing to match", async () => {
    expect(await del("/cond/never", { "if-match": '"x"' })).toMatchObject({ status: 404, code: "NoSuchKey" });
  });
});
