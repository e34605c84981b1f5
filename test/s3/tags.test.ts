import {
  CreateBucketCommand,
  DeleteObjectTaggingCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../server.ts";
import { sdk, send } from "./client.ts";

let server: TestServer;
let s3: S3Client;
const Bucket = "tags";

beforeAll(async () => {
  server = await startServer();
  s3 = sdk(server);
  await s3.send(new CreateBucketCommand({ Bucket }));
  await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } }));
});
afterAll(async () => {
  s3.destroy();
  await server.close();
});

const tagsOf = async (Key: string, VersionId?: string) =>
  (
    await s3.send(
      new GetObjectTaggingCommand({ Bucket, Key, ...(VersionId === undefined ? {} : { VersionId }) }),
    )
  ).TagSet;

test("tags come with the object, are counted, replaced and removed", async () => {
  await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x", Tagging: "a=b&c%20d=e%2Bf" }));
  expect(await tagsOf("k")).toEqual([
    { Key: "a", Value: "b" },
    { Key: "c d", Value: "e+f" },
  ]);
  expect((await s3.send(new HeadObjectCommand({ Bucket, Key: "k" }))).TagCount).toBe(2);
  const Tagging = { TagSet: [{ Key: "ä", Value: "<&>".slice(3) }] };
  await s3.send(new PutObjectTaggingCommand({ Bucket, Key: "k", Tagging }));
  expect(await tagsOf("k")).toEqual(Tagging.TagSet);
  await s3.send(new DeleteObjectTaggingCommand({ Bucket, Key: "k" }));
  expect(await tagsOf("k")).toEqual([]);
  const { headers } = await send(server, { method: "GET", target: "/tags/k" });
  expect(headers["x-amz-tagging-count"]).toBeUndefined();
});

test("each version has its own", async () => {
  const one = await s3.send(new PutObjectCommand({ Bucket, Key: "v", Body: "1", Tagging: "n=1" }));
  const two = await s3.send(new PutObjectCommand({ Bucket, Key: "v", Body: "2" }));
  const Tagging = { TagSet: [{ Key: "n", Value: "changed" }] };
  const put = await s3.send(
    new PutObjectTaggingCommand({ Bucket, Key: "v", VersionId: one.VersionId, Tagging }),
  );
  expect(put.VersionId).toBe(one.VersionId);
  expect(await tagsOf("v", one.VersionId)).toEqual(Tagging.TagSet);
  expect(await tagsOf("v", two.VersionId)).toEqual([]);
});

const document = (tags: string) => `<Tagging><TagSet>${tags}</TagSet></Tagging>`;
const tag = (key: string, value = "v") => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`;
test.each([
  ["eleven tags", document(Array.from({ length: 11 }, (_, n) => tag(`k${n}`)).join("")), "InvalidTag"],
  ["a key twice", document(tag("a") + tag("a")), "InvalidTag"],
  ["a key too long", document(tag("k".repeat(129))), "InvalidTag"],
  ["a value too long", document(tag("k", "v".repeat(257))), "InvalidTag"],
  ["a key of the system's", document(tag("aws:k")), "InvalidTag"],
  ["a control character", document(tag("a&#10;b")), "InvalidTag"],
  ["a tag without value", document("<Tag><Key>k</Key></Tag>"), "MalformedXML"],
  ["another root", "<Tags/>", "MalformedXML"],
  ["nothing", "", "MissingRequestBodyError"],
])("%s changes nothing", async (_name, body, code) => {
  await s3.send(new PutObjectCommand({ Bucket, Key: "safe", Body: "x", Tagging: "a=b" }));
  const answer = await send(server, { method: "PUT", target: "/tags/safe?tagging", body });
  expect(answer).toMatchObject({ status: 400, code });
  expect(await tagsOf("safe")).toEqual([{ Key: "a", Value: "b" }]);
});

test("of what isn't there are 404, of a delete marker 405", async () => {
  expect(await send(server, { method: "GET", target: "/tags/none?tagging" })).toMatchObject({
    status: 404,
    code: "NoSuchKey",
  });
  expect(await send(server, { method: "DELETE", target: "/tags/none?tagging" })).toMatchObject({
    status: 404,
  });
  await send(server, { method: "PUT", target: "/tags/gone", body: "x" });
  const { headers } = await send(server, { method: "DELETE", target: "/tags/gone" });
  const target = `/tags/gone?tagging&versionId=${headers["x-amz-version-id"]}`;
  expect(await send(server, { method: "GET", target })).toMatchObject({
    status: 405,
    code: "MethodNotAllowed",
  });
});
