import { createHash, randomBytes } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
  type CompletedPart,
  type S3Client,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { composite, createHasher } from "../../src/lib/hashes.ts";
import { startServer, type TestServer } from "../server.ts";
import type { RawRequest } from "../signer.ts";
import { element, failure, sdk, send as sendTo, type RawAnswer } from "./client.ts";

let server: TestServer;
let s3: S3Client;
const Bucket = "parts";
const MIB = 1024 * 1024;
/** Two parts of the least size, and a short last one. */
const PARTS = [randomBytes(5 * MIB), randomBytes(5 * MIB), randomBytes(1000)];
const WHOLE = Buffer.concat(PARTS);

beforeAll(async () => {
  server = await startServer();
  s3 = sdk(server);
  await s3.send(new CreateBucketCommand({ Bucket }));
});
afterAll(async () => {
  s3.destroy();
  await server.close();
});

const send = (request: RawRequest): Promise<RawAnswer> => sendTo(server, request);
const md5 = (bytes: Buffer) => createHash("md5").update(bytes).digest();
const ETAG = `"${md5(Buffer.concat(PARTS.map(md5))).toString("hex")}-3"`;

function sha256(bytes: Buffer): string {
  const hasher = createHasher({ checksums: ["SHA256"] });
  hasher.update(bytes);
  return hasher.finish().checksums.SHA256!;
}

type Checksum = "CRC32" | "CRC32C" | "CRC64NVME" | "SHA1" | "SHA256";

/** An upload with all three parts, ready to complete. */
async function uploaded(
  Key: string,
  checksum?: { ChecksumAlgorithm: Checksum; ChecksumType?: "COMPOSITE" | "FULL_OBJECT" },
  bodies: readonly Buffer[] = PARTS,
): Promise<{ UploadId: string; Parts: CompletedPart[] }> {
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key, ...checksum }));
  const Parts: CompletedPart[] = [];
  for (const [n, Body] of bodies.entries()) {
    const PartNumber = n + 1;
    const { ChecksumAlgorithm } = checksum ?? {};
    const part = await s3.send(
      new UploadPartCommand({
        Bucket,
        Key,
        UploadId,
        PartNumber,
        Body,
        ...(ChecksumAlgorithm && { ChecksumAlgorithm }),
      }),
    );
    const sums = Object.entries(part).filter(([name]) => name.startsWith("Checksum"));
    Parts.push({ PartNumber, ETag: part.ETag, ...Object.fromEntries(sums) });
  }
  return { UploadId: UploadId!, Parts };
}

const complete = (
  Key: string,
  { UploadId, Parts }: { UploadId: string; Parts: CompletedPart[] },
  more: object = {},
) =>
  s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts }, ...more }));

/** The same without the SDK, which adds checksums of its own. */
async function rawUpload(
  key: string,
  bodies: readonly (Buffer | string)[],
  headers: Record<string, string> = {},
) {
  const created = await send({ method: "POST", target: `/parts/${key}?uploads`, headers });
  const uploadId = element(created, "UploadId")!;
  const etags: string[] = [];
  for (const [n, body] of bodies.entries()) {
    const target = `/parts/${key}?partNumber=${n + 1}&uploadId=${uploadId}`;
    etags.push((await send({ method: "PUT", target, body })).headers["etag"]!);
  }
  return { created, uploadId, etags };
}
const partXml = (n: number, etag: string, more = "") =>
  `<Part><PartNumber>${n}</PartNumber><ETag>${etag.replaceAll('"', "&quot;")}</ETag>${more}</Part>`;
const rawComplete = (key: string, uploadId: string, parts: string, headers: Record<string, string> = {}) =>
  send({
    method: "POST",
    target: `/parts/${key}?uploadId=${uploadId}`,
    body: `<CompleteMultipartUpload>${parts}</CompleteMultipartUpload>`,
    headers,
  });

describe("an upload in parts", () => {
  test("becomes one object with an ETag of its parts", async () => {
    const upload = await uploaded("whole");
    expect(await failure(s3.send(new HeadObjectCommand({ Bucket, Key: "whole" })))).toMatchObject({
      status: 404,
    });
    const result = await complete("whole", upload);
    expect(result).toMatchObject({ Bucket, Key: "whole", ETag: ETAG, Location: `${server.url}/parts/whole` });
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "whole" }));
    expect(got).toMatchObject({ ETag: ETAG, ContentLength: WHOLE.length });
    expect(Buffer.from(await got.Body!.transformToByteArray()).equals(WHOLE)).toBe(true);
  });
  test("is read part by part, and across their seams", async () => {
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "whole", PartNumber: 2 }));
    expect(head).toMatchObject({ ContentLength: 5 * MIB, PartsCount: 3 });
    const part = await s3.send(new GetObjectCommand({ Bucket, Key: "whole", PartNumber: 3 }));
    expect(part).toMatchObject({
      PartsCount: 3,
      ContentRange: `bytes ${10 * MIB}-${WHOLE.length - 1}/${WHOLE.length}`,
    });
    expect(Buffer.from(await part.Body!.transformToByteArray()).equals(PARTS[2]!)).toBe(true);
    const none = await send({ method: "GET", target: "/parts/whole?partNumber=4" });
    expect(none).toMatchObject({ status: 416, code: "InvalidPartNumber" });
    const Range = `bytes=${5 * MIB - 3}-${5 * MIB + 2}`;
    const seam = await s3.send(new GetObjectCommand({ Bucket, Key: "whole", Range }));
    expect(Buffer.from(await seam.Body!.transformToByteArray())).toEqual(
      WHOLE.subarray(5 * MIB - 3, 5 * MIB + 3),
    );
  });
  test("gives its metadata, tags and class from its beginning", async () => {
    const headers = {
      "x-amz-meta-a": "b",
      "x-amz-tagging": "t=1",
      "content-type": "x/y",
      "x-amz-storage-class": "GLACIER",
    };
    const { uploadId, etags } = await rawUpload("meta", ["only"], headers);
    expect((await rawComplete("meta", uploadId, partXml(1, etags[0]!))).status).toBe(200);
    const answer = await send({ method: "GET", target: "/parts/meta" });
    expect(answer.text).toBe("only");
    expect(answer.headers).toMatchObject({
      "x-amz-meta-a": "b",
      "x-amz-tagging-count": "1",
      "content-type": "x/y",
      "x-amz-storage-class": "GLACIER",
    });
  });
  test("is what lib-storage does with a large body", async () => {
    const upload = new Upload({ client: s3, params: { Bucket, Key: "lib", Body: WHOLE }, partSize: 5 * MIB });
    expect((await upload.done()).ETag).toBe(ETAG);
  });
  test("completed twice is the same object", async () => {
    const { uploadId, etags } = await rawUpload("twice", ["only"]);
    const first = await rawComplete("twice", uploadId, partXml(1, etags[0]!));
    const second = await rawComplete("twice", uploadId, partXml(1, etags[0]!));
    expect(second).toMatchObject({ status: 200, text: first.text });
  });
  test("may leave parts out, and replace them", async () => {
    const { uploadId, etags } = await rawUpload("some", ["first", "second", "third"]);
    const target = `/parts/some?partNumber=2&uploadId=${uploadId}`;
    const replaced = await send({ method: "PUT", target, body: "SECOND" });
    expect(await rawComplete("some", uploadId, partXml(2, etags[1]!))).toMatchObject({ code: "InvalidPart" });
    expect((await rawComplete("some", uploadId, partXml(2, replaced.headers["etag"]!))).status).toBe(200);
    expect((await send({ method: "GET", target: "/parts/some" })).text).toBe("SECOND");
  });
});

const sumXml = (value: string) => `<ChecksumSHA256>${value}</ChecksumSHA256>`;

describe("checksums of parts", () => {
  test("COMPOSITE: of the parts' checksums", async () => {
    const upload = await uploaded("sha", { ChecksumAlgorithm: "SHA256" });
    const value = `${composite("SHA256", PARTS.map(sha256))}-3`;
    const result = await complete("sha", upload);
    expect(result).toMatchObject({ ChecksumSHA256: value, ChecksumType: "COMPOSITE" });
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "sha", ChecksumMode: "ENABLED" }));
    expect(head).toMatchObject({ ChecksumSHA256: value, ChecksumType: "COMPOSITE" });
    const attributes = await s3.send(
      new GetObjectAttributesCommand({
        Bucket,
        Key: "sha",
        ObjectAttributes: ["Checksum", "ObjectParts"],
        MaxParts: 2,
      }),
    );
    expect(attributes.Checksum!.ChecksumSHA256).toBe(value.replace("-3", ""));
    expect(attributes.ObjectParts).toMatchObject({
      TotalPartsCount: 3,
      IsTruncated: true,
      NextPartNumberMarker: "2",
    });
    expect(attributes.ObjectParts!.Parts).toMatchObject([
      { PartNumber: 1, Size: 5 * MIB, ChecksumSHA256: sha256(PARTS[0]!) },
      { PartNumber: 2, Size: 5 * MIB },
    ]);
  });
  test.each(["CRC32", "CRC32C", "CRC64NVME"] as const)(
    "FULL_OBJECT: %s of the whole",
    async (ChecksumAlgorithm) => {
      const hasher = createHasher({ checksums: [ChecksumAlgorithm] });
      hasher.update(WHOLE);
      const name = `Checksum${ChecksumAlgorithm}` as const;
      const value = hasher.finish().checksums[ChecksumAlgorithm];
      const upload = await uploaded(ChecksumAlgorithm, { ChecksumAlgorithm, ChecksumType: "FULL_OBJECT" });
      const result = await complete(ChecksumAlgorithm, upload, {
        [name]: value,
        ChecksumType: "FULL_OBJECT",
      });
      expect(result).toMatchObject({ [name]: value, ChecksumType: "FULL_OBJECT" });
      const got = await s3.send(
        new GetObjectCommand({ Bucket, Key: ChecksumAlgorithm, ChecksumMode: "ENABLED" }),
      );
      // The SDK holds the bytes against it as it reads them.
      expect((await got.Body!.transformToByteArray()).length).toBe(WHOLE.length);
    },
  );
  test("CRC64NVME by default", async () => {
    const { created, uploadId, etags } = await rawUpload("crc", ["123456789"]);
    expect(created.headers["x-amz-checksum-algorithm"]).toBeUndefined();
    const result = await rawComplete("crc", uploadId, partXml(1, etags[0]!));
    expect(element(result, "ChecksumCRC64NVME")).toBe(
      Buffer.from("ae8b14860a799888", "hex").toString("base64"),
    );
  });
  test("that are wrong keep the upload open", async () => {
    const headers = { "x-amz-checksum-algorithm": "SHA256" };
    const { uploadId, etags } = await rawUpload("wrong", ["only"], headers);
    const target = `/parts/wrong?partNumber=1&uploadId=${uploadId}`;
    const bad = { "x-amz-checksum-sha256": sha256(Buffer.from("other")) };
    expect((await send({ method: "PUT", target, body: "only", headers: bad })).code).toBe("BadDigest");
    const crc = { "x-amz-checksum-crc32": "AAAAAA==" };
    expect((await send({ method: "PUT", target, body: "", headers: crc })).code).toBe("InvalidRequest");
    expect((await rawComplete("wrong", uploadId, partXml(1, etags[0]!))).code).toBe("InvalidRequest");
    const other = sumXml(bad["x-amz-checksum-sha256"]);
    expect((await rawComplete("wrong", uploadId, partXml(1, etags[0]!, other))).code).toBe("InvalidPart");
    const right = partXml(1, etags[0]!, sumXml(sha256(Buffer.from("only"))));
    const whole = { "x-amz-checksum-sha256": sha256(Buffer.from("other")) };
    expect((await rawComplete("wrong", uploadId, right, whole)).code).toBe("BadDigest");
    const type = { "x-amz-checksum-type": "FULL_OBJECT" };
    expect((await rawComplete("wrong", uploadId, right, type)).code).toBe("InvalidRequest");
    expect((await rawComplete("wrong", uploadId, right)).status).toBe(200);
  });
  test.each([
    [{ "x-amz-checksum-algorithm": "SHA1", "x-amz-checksum-type": "FULL_OBJECT" }],
    [{ "x-amz-checksum-algorithm": "CRC64NVME", "x-amz-checksum-type": "COMPOSITE" }],
    [{ "x-amz-checksum-type": "COMPOSITE" }],
    [{ "x-amz-checksum-algorithm": "MD4" }],
  ])("%j can't begin an upload", async (headers) => {
    const answer = await send({
      method: "POST",
      target: "/parts/never?uploads",
      headers,
    });
    expect(answer).toMatchObject({ status: 400, code: "InvalidRequest" });
  });
});

describe("an upload can't be completed", () => {
  let uploadId: string;
  let etags: string[];
  beforeAll(async () => {
    ({ uploadId, etags } = await rawUpload("never", ["small", "last"]));
  });
  const NONE = "0".repeat(32);
  const cases: [why: string, parts: () => string, code: string][] = [
    ["in the wrong order", () => partXml(2, etags[1]!) + partXml(1, etags[0]!), "InvalidPartOrder"],
    ["with a part twice", () => partXml(1, etags[0]!) + partXml(1, etags[0]!), "InvalidPartOrder"],
    ["with a part that isn't there", () => partXml(3, etags[0]!), "InvalidPart"],
    ["with a wrong ETag", () => partXml(1, NONE), "InvalidPart"],
    [
      "with small parts before the last",
      () => partXml(1, etags[0]!) + partXml(2, etags[1]!),
      "EntityTooSmall",
    ],
    ["without parts", () => "", "MalformedXML"],
    ["with a part that has no number", () => "<Part><ETag>x</ETag></Part>", "MalformedXML"],
    ["with a part without ETag", () => "<Part><PartNumber>1</PartNumber></Part>", "MalformedXML"],
    [
      "with 10,001 parts",
      () => Array.from({ length: 10_001 }, (_, n) => partXml(n + 1, NONE)).join(""),
      "MalformedXML",
    ],
  ];
  test.each(cases)("%s", async (_why, parts, code) => {
    expect(await rawComplete("never", uploadId, parts())).toMatchObject({ status: 400, code });
    expect((await send({ method: "HEAD", target: "/parts/never" })).status).toBe(404);
  });
  test("with another size than was said, or against a condition", async () => {
    const size = { "x-amz-mp-object-size": "99" };
    expect((await rawComplete("never", uploadId, partXml(1, etags[0]!), size)).code).toBe("InvalidRequest");
    await send({ method: "PUT", target: "/parts/taken", body: "x" });
    const taken = await rawUpload("taken", ["only"]);
    const condition = { "if-none-match": "*" };
    const answer = await rawComplete("taken", taken.uploadId, partXml(1, taken.etags[0]!), condition);
    expect(answer).toMatchObject({ status: 412, code: "PreconditionFailed" });
    const right = { "x-amz-mp-object-size": "5" };
    expect((await rawComplete("never", uploadId, partXml(1, etags[0]!), right)).status).toBe(200);
  });
  test("that doesn't exist, or belongs to another key", async () => {
    const upload = await rawUpload("mine", ["only"]);
    expect(await rawComplete("other", upload.uploadId, partXml(1, upload.etags[0]!))).toMatchObject({
      status: 404,
      code: "NoSuchUpload",
    });
    expect((await rawComplete("mine", "nonsense", partXml(1, upload.etags[0]!))).code).toBe("NoSuchUpload");
  });
});

describe("a part", () => {
  test.each(["0", "10001", "x", "-1", ""])("can't have the number %j", async (number) => {
    const { uploadId } = await rawUpload("number", []);
    const target = `/parts/number?partNumber=${number}&uploadId=${uploadId}`;
    expect(await send({ method: "PUT", target, body: "x" })).toMatchObject({
      status: 400,
      code: "InvalidArgument",
    });
  });
  test("needs an upload", async () => {
    const target = "/parts/number?partNumber=1&uploadId=none";
    expect(await send({ method: "PUT", target, body: "x" })).toMatchObject({
      status: 404,
      code: "NoSuchUpload",
    });
  });
});

test("an aborted upload takes no more parts", async () => {
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "aborted" }));
  const input = { Bucket, Key: "aborted", UploadId };
  await s3.send(new UploadPartCommand({ ...input, PartNumber: 1, Body: "x" }));
  await s3.send(new AbortMultipartUploadCommand(input));
  expect(await failure(s3.send(new UploadPartCommand({ ...input, PartNumber: 2, Body: "x" })))).toMatchObject(
    {
      name: "NoSuchUpload",
    },
  );
  expect(await failure(s3.send(new AbortMultipartUploadCommand(input)))).toMatchObject({ status: 404 });
});

describe("ListParts", () => {
  test("shows parts by pages", async () => {
    const { uploadId, etags } = await rawUpload("list", ["a", "b", "c"]);
    const input = { Bucket, Key: "list", UploadId: uploadId, MaxParts: 2 };
    const first = await s3.send(new ListPartsCommand(input));
    expect(first).toMatchObject({
      IsTruncated: true,
      NextPartNumberMarker: "2",
      MaxParts: 2,
      StorageClass: "STANDARD",
    });
    expect(first.Parts).toMatchObject([
      { PartNumber: 1, ETag: etags[0], Size: 1 },
      { PartNumber: 2, ETag: etags[1], Size: 1 },
    ]);
    expect(first.Owner!.ID).toMatch(/^[0-9a-f]{64}$/);
    const second = await s3.send(
      new ListPartsCommand({ ...input, PartNumberMarker: first.NextPartNumberMarker }),
    );
    expect(second).toMatchObject({ IsTruncated: false });
    expect(second.Parts).toMatchObject([{ PartNumber: 3, ETag: etags[2] }]);
  });
  test("refuses nonsense", async () => {
    const { uploadId } = await rawUpload("list", []);
    const target = `/parts/list?uploadId=${uploadId}`;
    expect((await send({ method: "GET", target: `${target}&max-parts=x` })).code).toBe("InvalidArgument");
    expect((await send({ method: "GET", target: `${target}&encoding-type=x` })).code).toBe("InvalidArgument");
    expect((await send({ method: "GET", target: "/parts/list?uploadId=none" })).code).toBe("NoSuchUpload");
  });
});

describe("UploadPartCopy", () => {
  test.each([
    ["small", Buffer.from("0123456789")],
    ["large", Buffer.alloc(200_000, "0123456789")],
  ])("takes a range of a %s object", async (name, Body) => {
    await s3.send(new PutObjectCommand({ Bucket, Key: `source ${name}`, Body }));
    const Key = `copied ${name}`;
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const input = { Bucket, Key, UploadId, CopySource: `${Bucket}/source%20${name}`, PartNumber: 1 };
    const { CopyPartResult } = await s3.send(
      new UploadPartCopyCommand({ ...input, CopySourceRange: "bytes=2-6" }),
    );
    expect(CopyPartResult!.ETag).toBe(`"${md5(Buffer.from("23456")).toString("hex")}"`);
    const { ETag, ChecksumCRC32 } = CopyPartResult!;
    await complete(Key, { UploadId: UploadId!, Parts: [{ PartNumber: 1, ETag, ChecksumCRC32 }] });
    const got = await s3.send(new GetObjectCommand({ Bucket, Key }));
    expect(await got.Body!.transformToString()).toBe("23456");
  });
  test("takes a stretch across the parts of another upload", async () => {
    await complete("seam source", await uploaded("seam source"));
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "seam" }));
    const CopySourceRange = `bytes=${MIB}-${9 * MIB - 1}`;
    const input = {
      Bucket,
      Key: "seam",
      UploadId,
      CopySource: `${Bucket}/seam%20source`,
      PartNumber: 1,
      CopySourceRange,
    };
    const { CopyPartResult } = await s3.send(new UploadPartCopyCommand(input));
    const { ETag, ChecksumCRC32 } = CopyPartResult!;
    await complete("seam", { UploadId: UploadId!, Parts: [{ PartNumber: 1, ETag, ChecksumCRC32 }] });
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "seam" }));
    const bytes = Buffer.from(await got.Body!.transformToByteArray());
    expect(bytes.equals(WHOLE.subarray(MIB, 9 * MIB))).toBe(true);
  });
  test.each(["0-2", "bytes=0", "bytes=0-bar", "bytes=0-2,3-5", "bytes=5-100", "bytes=-1"])(
    "refuses the range %s",
    async (range) => {
      await send({ method: "PUT", target: "/parts/ten", body: "0123456789" });
      const { uploadId } = await rawUpload("refused", []);
      const headers = { "x-amz-copy-source": "/parts/ten", "x-amz-copy-source-range": range };
      const target = `/parts/refused?partNumber=1&uploadId=${uploadId}`;
      expect(await send({ method: "PUT", target, headers })).toMatchObject({
        status: 400,
        code: "InvalidArgument",
      });
    },
  );
});
