import { pino } from "pino";
import { expect, test } from "vitest";
import { createS3 } from "../../../src/s3/s3.ts";
import { StoreError } from "../../../src/store/errors.ts";
import type { ObjectStore } from "../../../src/store/store.ts";
import type { Bucket } from "../../../src/store/types.ts";

const BUCKET: Bucket = {
  id: "1",
  name: "bucket",
  ownerId: "a".repeat(64),
  createdAt: 0,
  location: "",
  versioning: "Off",
  acl: {
    grants: [
      {
        grantee: { type: "Group", uri: "http://acs.amazonaws.com/groups/global/AllUsers" },
        permission: "FULL_CONTROL",
      },
    ],
  },
};

/** The protocol over a store that does what the test says, and what it logged. */
function serve(store: Partial<ObjectStore>, compatibility: "modern" | "2006-03-01" = "modern") {
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    { level: "error" },
    { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  );
  const { handle, onFailure } = createS3({
    store: {
      refresh: () => Promise.resolve(0),
      bucket: () => Promise.resolve(BUCKET),
      ...store,
    } as ObjectStore,
    settings: { region: "us-east-1", locations: ["us-east-1"], compatibility, maxBucketsPerAccount: 100 },
    target: { domains: ["localhost"] },
    log,
  });
  const ask = (method: string, path: string) =>
    handle({
      id: "0123456789ABCDEF",
      hostId: "host",
      method,
      path,
      rawQuery: "",
      headers: { host: "localhost" },
      rawHeaders: ["Host", "localhost"],
      httpVersion: "1.1",
      remoteAddress: "127.0.0.1",
      secure: false,
      contentLength: undefined,
      body: async function* () {},
    });
  return { ask, onFailure, lines };
}

test("what nobody expected is an InternalError whose cause is logged and not told", async () => {
  const { ask, lines } = serve({ getObject: () => Promise.reject(new Error("the disk said no")) });
  const answer = await ask("GET", "/bucket/key");
  expect(answer.status).toBe(500);
  expect(answer.body).toContain("<Code>InternalError</Code>");
  expect(answer.body).not.toContain("disk");
  expect(answer.log).toMatchObject({
    operation: "GetObject",
    bucket: "bucket",
    key: "key",
    errorCode: "InternalError",
  });
  expect(lines).toEqual([
    expect.objectContaining({
      requestId: "0123456789ABCDEF",
      operation: "GetObject",
      err: expect.objectContaining({ message: "the disk said no" }),
    }),
  ]);
});

test("what the store refuses has its own code, and is no news for the log", async () => {
  const { ask, lines } = serve({ listObjects: () => Promise.reject(new StoreError("SlowDown")) });
  const answer = await ask("GET", "/bucket");
  expect(answer).toMatchObject({ status: 503, log: { operation: "ListObjects", errorCode: "SlowDown" } });
  expect(lines).toEqual([]);
});

test("nothing that may be cached is read before the store was asked for news", async () => {
  const calls: string[] = [];
  const { ask } = serve({
    refresh: async () => {
      calls.push("refresh");
      return 0;
    },
    bucket: async () => {
      calls.push("bucket");
      return undefined;
    },
  });
  expect(await ask("GET", "/bucket")).toMatchObject({ status: 404 });
  expect(calls[0]).toBe("refresh");
  expect(calls).toContain("bucket");
});

test("a store that can't be asked is an error with its ids, to HEAD without a body", async () => {
  const { ask } = serve({ refresh: () => Promise.reject(new Error("gone")) });
  const answer = await ask("HEAD", "/bucket");
  expect(answer).toMatchObject({
    status: 500,
    headers: expect.arrayContaining(["x-amz-request-id", "x-amz-id-2"]),
  });
  expect(answer.body).toBeUndefined();
});

test("what the HTTP loop refuses speaks S3, in the words of the time", () => {
  const context = { id: "0123456789ABCDEF", hostId: "host", method: "GET", path: "/" };
  expect(serve({}).onFailure("HeadersTooLarge", context).body).toContain(
    "<Code>RequestHeaderSectionTooLarge</Code>",
  );
  const old = serve({}, "2006-03-01").onFailure("HeadersTooLarge", context);
  expect(old).toMatchObject({
    status: 400,
    body: expect.stringContaining("<Code>MaxMessageLengthExceeded</Code>"),
  });
});
