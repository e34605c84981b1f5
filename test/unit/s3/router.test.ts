import { describe, expect, test } from "vitest";
import { S3Error } from "../../../src/s3/errors.ts";
import type { Operation } from "../../../src/s3/operation.ts";
import { OPERATIONS } from "../../../src/s3/operations.ts";
import type { S3Request } from "../../../src/s3/request.ts";
import { buildRouter } from "../../../src/s3/router.ts";

const router = buildRouter(OPERATIONS);

/** `PUT /b/k?acl x-amz-copy-source` as the router sees it. */
function request(line: string): S3Request {
  const [method = "", target = "", ...headers] = line.split(" ");
  const [path = "", rawQuery = ""] = target.split("?", 2);
  const [, bucket, ...rest] = path.split("/");
  const query = new Map(
    rawQuery
      .split("&")
      .filter((pair) => pair !== "")
      .map((pair) => [pair.split("=")[0] ?? "", pair.split("=")[1] ?? ""] as const),
  );
  const key = rest.join("/");
  return {
    http: { method, path },
    bucket: bucket === "" ? undefined : bucket,
    key: key === "" ? undefined : key,
    query,
    headers: Object.fromEntries(headers.map((name) => [name, "value"])),
  } as unknown as S3Request;
}

const route = (line: string) => router.route(request(line)).name;

function refusal(line: string): S3Error {
  try {
    router.route(request(line));
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
  throw new Error(`${line} was routed`);
}

/** Request lines as the API reference prints them, with the parameters that clients add. */
const LINES: Record<string, keyof typeof OPERATIONS> = {
  "GET /": "ListBuckets",
  "GET /?max-buckets=10&prefix=a&continuation-token=x&bucket-region=us-east-1": "ListBuckets",
  "GET /?max-directory-buckets=3": "ListDirectoryBuckets",
  "PUT /b": "CreateBucket",
  "PUT /b x-amz-acl": "CreateBucket",
  "HEAD /b": "HeadBucket",
  "HEAD /b?max-keys=0": "HeadBucket",
  "DELETE /b": "DeleteBucket",
  "GET /b": "ListObjects",
  "GET /b?delimiter=/&encoding-type=url&marker=m&max-keys=1&prefix=p": "ListObjects",
  "GET /b?something-new=1": "ListObjects",
  "GET /b?list-type=1": "ListObjects",
  "GET /b?list-type=2&continuation-token=t&fetch-owner=true&start-after=s": "ListObjectsV2",
  "GET /b?versions&delimiter=/&key-marker=k&version-id-marker=v": "ListObjectVersions",
  "GET /b?uploads&max-uploads=3&upload-id-marker=u": "ListMultipartUploads",
  "GET /b?location": "GetBucketLocation",
  "GET /b?versioning": "GetBucketVersioning",
  "PUT /b?versioning": "PutBucketVersioning",
  "GET /b?acl": "GetBucketAcl",
  "PUT /b?acl": "PutBucketAcl",
  "PUT /b?acl x-amz-acl": "PutBucketAcl",
  "POST /b?delete": "DeleteObjects",
  "POST /b": "PostObject",
  "POST /soap": "Soap",
  "POST /soap?delete": "DeleteObjects",
  "GET /soap": "ListObjects",
  "POST /soap/k?uploads": "CreateMultipartUpload",
  "OPTIONS /b": "PreflightBucket",
  "GET /b?torrent": "GetBucketTorrent",
  "PUT /b/k": "PutObject",
  "PUT /b/k x-amz-copy-source": "CopyObject",
  "GET /b/k": "GetObject",
  "GET /b/a//b": "GetObject",
  "GET /b/k?versionId=v&partNumber=1&response-content-type=t": "GetObject",
  "GET /b/k?AWSAccessKeyId=a&Expires=1&Signature=s": "GetObject",
  "HEAD /b/k": "HeadObject",
  "HEAD /b/k?partNumber=2&versionId=v": "HeadObject",
  "DELETE /b/k": "DeleteObject",
  "DELETE /b/k?versionId=v": "DeleteObject",
  "GET /b/k?attributes&versionId=v": "GetObjectAttributes",
  "GET /b/k?acl": "GetObjectAcl",
  "PUT /b/k?acl&versionId=v": "PutObjectAcl",
  "GET /b/k?tagging": "GetObjectTagging",
  "PUT /b/k?tagging": "PutObjectTagging",
  "DELETE /b/k?tagging&versionId=v": "DeleteObjectTagging",
  "OPTIONS /b/k?AWSAccessKeyId=a": "PreflightObject",
  "GET /b/k?logging": "GetObjectLogging",
  "PUT /b/k?logging": "PutObjectLogging",
  "POST /b/k?uploads": "CreateMultipartUpload",
  "PUT /b/k?partNumber=1&uploadId=u": "UploadPart",
  "PUT /b/k?uploadId=u&partNumber=1 x-amz-copy-source": "UploadPartCopy",
  "GET /b/k?uploadId=u&max-parts=2&part-number-marker=1": "ListParts",
  "POST /b/k?uploadId=u": "CompleteMultipartUpload",
  "DELETE /b/k?uploadId=u": "AbortMultipartUpload",
  "GET /b?abac": "GetBucketAbac",
  "PUT /b?abac": "PutBucketAbac",
  "GET /b?accelerate": "GetBucketAccelerateConfiguration",
  "PUT /b?accelerate": "PutBucketAccelerateConfiguration",
  "GET /b?analytics&continuation-token=t": "ListBucketAnalyticsConfigurations",
  "GET /b?analytics&id=i": "GetBucketAnalyticsConfiguration",
  "PUT /b?analytics&id=i": "PutBucketAnalyticsConfiguration",
  "DELETE /b?analytics&id=i": "DeleteBucketAnalyticsConfiguration",
  "GET /b?intelligent-tiering": "ListBucketIntelligentTieringConfigurations",
  "GET /b?intelligent-tiering&id=i": "GetBucketIntelligentTieringConfiguration",
  "PUT /b?intelligent-tiering&id=i": "PutBucketIntelligentTieringConfiguration",
  "DELETE /b?intelligent-tiering&id=i": "DeleteBucketIntelligentTieringConfiguration",
  "GET /b?inventory": "ListBucketInventoryConfigurations",
  "GET /b?inventory&id=i": "GetBucketInventoryConfiguration",
  "PUT /b?inventory&id=i": "PutBucketInventoryConfiguration",
  "DELETE /b?inventory&id=i": "DeleteBucketInventoryConfiguration",
  "GET /b?metrics": "ListBucketMetricsConfigurations",
  "GET /b?metrics&id=i": "GetBucketMetricsConfiguration",
  "PUT /b?metrics&id=i": "PutBucketMetricsConfiguration",
  "DELETE /b?metrics&id=i": "DeleteBucketMetricsConfiguration",
  "GET /b?cors": "GetBucketCors",
  "PUT /b?cors": "PutBucketCors",
  "DELETE /b?cors": "DeleteBucketCors",
  "GET /b?encryption": "GetBucketEncryption",
  "PUT /b?encryption": "PutBucketEncryption",
  "DELETE /b?encryption": "DeleteBucketEncryption",
  "GET /b?lifecycle": "GetBucketLifecycleConfiguration",
  "PUT /b?lifecycle": "PutBucketLifecycleConfiguration",
  "DELETE /b?lifecycle": "DeleteBucketLifecycle",
  "GET /b?logging": "GetBucketLogging",
  "PUT /b?logging": "PutBucketLogging",
  "POST /b?metadataConfiguration": "CreateBucketMetadataConfiguration",
  "GET /b?metadataConfiguration": "GetBucketMetadataConfiguration",
  "DELETE /b?metadataConfiguration": "DeleteBucketMetadataConfiguration",
  "POST /b?metadataTable": "CreateBucketMetadataTableConfiguration",
  "GET /b?metadataTable": "GetBucketMetadataTableConfiguration",
  "DELETE /b?metadataTable": "DeleteBucketMetadataTableConfiguration",
  "PUT /b?metadataAnnotationTable": "UpdateBucketMetadataAnnotationTableConfiguration",
  "PUT /b?metadataInventoryTable": "UpdateBucketMetadataInventoryTableConfiguration",
  "PUT /b?metadataJournalTable": "UpdateBucketMetadataJournalTableConfiguration",
  "GET /b?notification": "GetBucketNotificationConfiguration",
  "PUT /b?notification": "PutBucketNotificationConfiguration",
  "GET /b?object-lock": "GetObjectLockConfiguration",
  "PUT /b?object-lock": "PutObjectLockConfiguration",
  "GET /b?ownershipControls": "GetBucketOwnershipControls",
  "PUT /b?ownershipControls": "PutBucketOwnershipControls",
  "DELETE /b?ownershipControls": "DeleteBucketOwnershipControls",
  "GET /b?policy": "GetBucketPolicy",
  "PUT /b?policy": "PutBucketPolicy",
  "DELETE /b?policy": "DeleteBucketPolicy",
  "GET /b?policyStatus": "GetBucketPolicyStatus",
  "GET /b?publicAccessBlock": "GetPublicAccessBlock",
  "PUT /b?publicAccessBlock": "PutPublicAccessBlock",
  "DELETE /b?publicAccessBlock": "DeletePublicAccessBlock",
  "GET /b?replication": "GetBucketReplication",
  "PUT /b?replication": "PutBucketReplication",
  "DELETE /b?replication": "DeleteBucketReplication",
  "GET /b?requestPayment": "GetBucketRequestPayment",
  "PUT /b?requestPayment": "PutBucketRequestPayment",
  "GET /b?tagging": "GetBucketTagging",
  "PUT /b?tagging": "PutBucketTagging",
  "DELETE /b?tagging": "DeleteBucketTagging",
  "GET /b?website": "GetBucketWebsite",
  "PUT /b?website": "PutBucketWebsite",
  "DELETE /b?website": "DeleteBucketWebsite",
  "GET /b?session": "CreateSession",
  "GET /b/k?annotation&max-annotation-results=3": "ListObjectAnnotations",
  "GET /b/k?annotation&annotationName=n": "GetObjectAnnotation",
  "PUT /b/k?annotation&annotationName=n": "PutObjectAnnotation",
  "DELETE /b/k?annotation&annotationName=n": "DeleteObjectAnnotation",
  "GET /b/k?legal-hold": "GetObjectLegalHold",
  "PUT /b/k?legal-hold": "PutObjectLegalHold",
  "GET /b/k?retention": "GetObjectRetention",
  "PUT /b/k?retention": "PutObjectRetention",
  "GET /b/k?torrent": "GetObjectTorrent",
  "PUT /b/k?renameObject x-amz-rename-source": "RenameObject",
  "POST /b/k?restore": "RestoreObject",
  "POST /b/k?select&select-type=2": "SelectObjectContent",
  "PUT /b/k?encryption": "UpdateObjectEncryption",
  "POST /WriteGetObjectResponse x-amz-request-route": "WriteGetObjectResponse",
};

test.each(Object.entries(LINES))("%s is %s", (line, name) => {
  expect(route(line)).toBe(name);
});

test("every row has a line above", () => {
  expect(Object.keys(OPERATIONS).toSorted()).toEqual([...new Set(Object.values(LINES))].toSorted());
});

test("every command of the AWS SDK is a row, with the method and query of the SDK's model", async () => {
  const sdk: Record<string, unknown> = await import("@aws-sdk/client-s3");
  const commands = Object.keys(sdk)
    .filter((name) => /^[A-Z]\w+Command$/.test(name))
    .map((name) => name.replace(/Command$/, ""));
  expect(commands.length).toBeGreaterThan(100);
  const table: Readonly<Record<string, Operation>> = OPERATIONS;
  for (const name of commands) {
    const row = table[name];
    const [method, uri] = (sdk[`${name}$`] as [number, string, string, { http: [string, string] }])[3].http;
    const query = (uri.split("?")[1] ?? "")
      .split("&")
      .filter((pair) => pair !== "" && !pair.startsWith("x-id="));
    expect({ name, method: row?.method, when: row?.when ?? [] }).toEqual({
      name,
      method,
      when: expect.arrayContaining(
        query.filter((pair) => !pair.startsWith("select-type")).map((pair) => `?${pair}`),
      ),
    });
  }
});

describe("what is asked for is never taken for something else", () => {
  test.each([
    ["PUT /b/k?acl&tagging", "InvalidArgument"],
    ["GET /b?acl&policy", "InvalidArgument"],
    ["PUT /b/k?partNumber=1&uploadId=u&acl", "InvalidArgument"],
    ["PUT /b/k?uploadId=u", "InvalidArgument"],
    ["PUT /b/k?partNumber=1", "InvalidArgument"],
    ["DELETE /b?acl", "MethodNotAllowed"],
    ["DELETE /b?versioning", "MethodNotAllowed"],
    ["DELETE /b/k?acl", "MethodNotAllowed"],
    ["DELETE /b?uploads", "MethodNotAllowed"],
    ["HEAD /b?acl", "MethodNotAllowed"],
    ["GET /b/k?uploads", "MethodNotAllowed"],
    ["GET /b/k?versioning", "InvalidRequest"],
    ["PUT /b/k?lifecycle", "InvalidRequest"],
    ["DELETE /b/k?website", "InvalidRequest"],
    ["GET /b?uploadId=u", "InvalidRequest"],
    ["GET /?acl", "InvalidRequest"],
    ["POST /b/k", "MethodNotAllowed"],
    ["PUT /", "MethodNotAllowed"],
    ["DELETE /", "MethodNotAllowed"],
    ["PATCH /b/k", "MethodNotAllowed"],
    ["BREW /b", "MethodNotAllowed"],
  ])("%s → %s", (line, code) => {
    expect(refusal(line).code).toBe(code);
  });

  test("405 says which methods there are", () => {
    expect(refusal("POST /b/k").headers).toEqual(["Allow", "DELETE, GET, HEAD, OPTIONS, PUT"]);
    expect(refusal("DELETE /b?versioning").headers).toEqual(["Allow", "GET, PUT"]);
    expect(refusal("PUT /").headers).toEqual(["Allow", "GET"]);
    expect(refusal("POST /b/k").detail).toEqual({ Method: "POST", ResourceType: "OBJECT" });
  });

  test("conflicting sub-resources are named", () => {
    expect(refusal("GET /b?policy&acl").message).toBe("Conflicting query string parameters: acl, policy");
  });
});

const row = (when: readonly string[]): Operation => ({
  on: "bucket",
  method: "GET",
  when,
  action: "s3:ListBucket",
  who: { bucket: "READ" },
  log: "REST.GET.BUCKET",
  run: "NotImplemented",
});

describe("a table", () => {
  test("with two rows that demand the same is refused", () => {
    expect(() => buildRouter({ A: row(["?a", "?b"]), B: row(["?b", "?a"]) })).toThrow(
      /A and B demand the same/,
    );
    expect(() =>
      buildRouter({ A: row([]), B: { ...row([]), on: "bucketName", run: "NotImplemented" } }),
    ).toThrow(/demand the same/);
  });

  test("is judged by demands, not by order", () => {
    const rows = { One: row(["?a"]), Valued: row(["?a=1"]), Both: row(["?a", "?b", "?c"]), None: row([]) };
    for (const names of [Object.keys(rows), Object.keys(rows).toReversed()]) {
      const table = Object.fromEntries(names.map((name) => [name, rows[name as keyof typeof rows]]));
      const built = buildRouter(table);
      const find = (asked: S3Request) => built.route(asked);
      expect(find(request("GET /b?a=2")).name).toBe("One");
      expect(find(request("GET /b?a=1")).name).toBe("Valued");
      expect(find(request("GET /b?a=1&b&c")).name).toBe("Both");
      expect(find(request("GET /b")).name).toBe("None");
    }
  });
});
