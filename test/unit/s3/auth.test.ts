/** What is the same for every kind of signature, and the AWS SDK as an outside judge of what clients send. */
import { Readable } from "node:stream";
import {
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  type PutObjectCommandInput,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { collect } from "../../../src/lib/chunks.ts";
import { S3Error } from "../../../src/s3/errors.ts";
import {
  escape,
  HOST,
  KEY,
  login,
  NOW,
  outcome,
  presignV4,
  served,
  signChunked,
  signV4,
  target,
  withHeader,
  type Sent,
} from "./authclient.ts";

describe("a request without a signature", () => {
  test("is anonymous, body and all", async () => {
    const sent: Sent = {
      method: "PUT",
      target: "/bucket/key",
      headers: [
        ["Host", HOST],
        ["Content-Length", "4"],
      ],
      body: [Buffer.from("body")],
    };
    const identity = await login(sent);
    expect(identity).toMatchObject({
      account: undefined,
      accessKeyId: undefined,
      version: "anonymous",
      type: undefined,
      decodedLength: 4,
    });
    expect((await collect(identity.body)).toString()).toBe("body");
    expect(identity.trailers()).toEqual({});
  });

  test("has its body compared when it names a hash", async () => {
    const sent = withHeader(
      signV4({ method: "PUT", target: "/bucket/key", body: "body" }),
      "Authorization",
      undefined,
    );
    expect((await served(sent)).code).toBe("none");
    expect((await served({ ...sent, body: [Buffer.from("other")] })).code).toBe("XAmzContentSHA256Mismatch");
    expect((await served(withHeader(sent, "x-amz-content-sha256", "x"))).code).toBe("InvalidArgument");
  });

  test("asks for no account", async () => {
    let asked = 0;
    const accounts = {
      credential: () => {
        asked++;
        return Promise.resolve(undefined);
      },
    };
    await login(
      { method: "GET", target: "/bucket?prefix=X-Amz-Signature", headers: [["Host", HOST]], body: [] },
      { accounts },
    );
    expect(asked).toBe(0);
  });
});

test("what half a signature there is, is refused and never taken for none", async () => {
  const plain: Sent = { method: "GET", target: "/bucket/key", headers: [["Host", HOST]], body: [] };
  for (const parameter of [
    "X-Amz-Algorithm=AWS4-HMAC-SHA256",
    "X-Amz-Signature=x",
    "X-Amz-Credential=x",
    "Signature=x",
    "AWSAccessKeyId=x",
    "X-Amz-Signature",
    "Signature",
  ]) {
    const { code } = await served({ ...plain, target: `/bucket/key?${parameter}` });
    expect(["AuthorizationQueryParametersError", "AccessDenied"]).toContain(code);
  }
  for (const value of [
    "",
    " ",
    "x",
    "AWS",
    "AWS4-HMAC-SHA256 x",
    "Digest username=x",
    "AWS4-HMAC-SHA256\tx",
    "\u00e9",
  ]) {
    expect((await served(withHeader(plain, "Authorization", value))).code).not.toBe("none");
  }
});

test("nothing of the body is read before the signature is checked", async () => {
  let reads = 0;
  const counting = (sent: Sent): Sent => ({
    ...sent,
    get body() {
      reads++;
      return [Buffer.from("x")];
    },
  });
  const wrong = { key: { id: KEY.id, secret: "wrong" } };
  for (const sent of [
    signV4({ method: "PUT", target: "/b/k" }, wrong),
    presignV4(
      { method: "PUT", target: "/b/k?X-Amz-Content-Sha256=STREAMING-UNSIGNED-PAYLOAD-TRAILER" },
      { ...wrong, payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER" },
    ),
    signChunked({ target: "/b/k", kind: "unsigned-trailer", chunks: [Buffer.from("x")] }, wrong),
    signChunked({ target: "/b/k", kind: "signed-trailer", chunks: [Buffer.from("x")] }, wrong),
  ]) {
    expect((await outcome(() => login(counting(sent)))).code).toBe("SignatureDoesNotMatch");
  }
  expect(reads).toBe(0);
});

test("no Authorization and no query makes the server stumble", async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "AWS",
      "AWS4-HMAC-SHA256",
      " ",
      ",",
      "=",
      "/",
      ":",
      ";",
      "Credential=",
      "SignedHeaders=",
      "Signature=",
      "host",
      KEY.id,
      "20130524/us-east-1/s3/aws4_request",
      "X-Amz-Algorithm=AWS4-HMAC-SHA256&",
      "X-Amz-Credential=",
      "X-Amz-Signature=",
      "X-Amz-Expires=1&",
      "X-Amz-Date=20130524T000000Z&",
      "X-Amz-SignedHeaders=host&",
      "AWSAccessKeyId=",
      "Expires=9999999999&",
      "&",
      "%2F",
      "a".repeat(64),
    ),
    fc.string({ maxLength: 8 }),
  );
  const text = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(""));
  await fc.assert(
    fc.asyncProperty(
      fc.option(text, { nil: undefined }),
      text,
      fc.option(text, { nil: undefined }),
      async (authorization, query, date) => {
        const base: Sent = {
          method: "GET",
          target: `/bucket/key?${query}`,
          headers: [["Host", HOST]],
          body: [],
        };
        const dated = withHeader(base, "x-amz-date", date ?? "20130524T000000Z");
        const hashed = withHeader(dated, "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
        // Nothing here was signed with the secret.
        const result = await login(withHeader(hashed, "Authorization", authorization)).then(
          ({ version }) => version,
          (error: unknown) => (error instanceof S3Error && error.status < 500 ? "refused" : error),
        );
        expect(["anonymous", "refused"]).toContain(result);
      },
    ),
    { numRuns: 2000 },
  );
});

const ignore = () => undefined;

/** A client of the AWS SDK whose requests end here, and what it would have sent. */
function capture(config: S3ClientConfig = {}) {
  const sent: Sent[] = [];
  const client = new S3Client({
    region: "us-east-1",
    endpoint: `http://${HOST}`,
    credentials: { accessKeyId: KEY.id, secretAccessKey: KEY.secret },
    maxAttempts: 1,
    logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    requestHandler: {
      handle: async (request: SdkRequest) => {
        const query = Object.entries(request.query).flatMap(([name, value]) =>
          [value].flat().map((each) => (each === null ? escape(name) : `${escape(name)}=${escape(each)}`)),
        );
        sent.push({
          method: request.method,
          target: `${request.path}${query.length > 0 ? `?${query.join("&")}` : ""}`,
          headers: Object.entries(request.headers),
          body: await bodyOf(request.body),
        });
        throw new Error("captured");
      },
    },
    ...config,
  });
  return { client, sent };
}
interface SdkRequest {
  method: string;
  path: string;
  query: Record<string, string | string[] | null>;
  headers: Record<string, string>;
  body?: unknown;
}
async function bodyOf(body: unknown): Promise<Buffer[]> {
  if (body === undefined || body === null) return [];
  if (typeof body === "string" || body instanceof Uint8Array) return [Buffer.from(body)];
  const chunks: Buffer[] = [];
  for await (const chunk of body as AsyncIterable<Uint8Array | string>) chunks.push(Buffer.from(chunk));
  return chunks;
}

describe("the AWS SDK", () => {
  const data = Buffer.alloc(200_000, "sdk");
  const key = "a b/+ü€😀/(x)*!'~.txt";
  const put: PutObjectCommandInput = {
    Bucket: "bucket",
    Key: key,
    Body: data,
    Metadata: { "two-words": "one  two" },
    ContentType: "text/plain",
    ACL: "private",
  };
  const commands = {
    PutObject: () => new PutObjectCommand(put),
    "PutObject of a stream": () =>
      new PutObjectCommand({
        ...put,
        Body: Readable.from([data.subarray(0, 70_000), data.subarray(70_000)]),
        ContentLength: data.length,
      }),
    "PutObject with SHA-256 and MD5": () =>
      new PutObjectCommand({ ...put, ChecksumAlgorithm: "SHA256", ContentMD5: "x".repeat(24) }),
    GetObject: () =>
      new GetObjectCommand({
        Bucket: "bucket",
        Key: key,
        Range: "bytes=0-1",
        ResponseContentType: "a/b; c=d",
      }),
    HeadObject: () => new HeadObjectCommand({ Bucket: "bucket", Key: key, VersionId: "null" }),
    ListObjectsV2: () =>
      new ListObjectsV2Command({ Bucket: "bucket", Prefix: "a b/&=+", Delimiter: "/", StartAfter: "ü" }),
    DeleteObjects: () => new DeleteObjectsCommand({ Bucket: "bucket", Delete: { Objects: [{ Key: key }] } }),
    CopyObject: () =>
      new CopyObjectCommand({ Bucket: "bucket", Key: key, CopySource: `bucket/${escape(key)}` }),
    CreateMultipartUpload: () => new CreateMultipartUploadCommand({ Bucket: "bucket", Key: key }),
    UploadPart: () =>
      new UploadPartCommand({ Bucket: "bucket", Key: key, PartNumber: 1, UploadId: "u/+=", Body: data }),
  };

  describe.each([true, false])("path style: %s", (forcePathStyle) => {
    test.each(Object.entries(commands))("%s is who it says, and so is its body", async (name, command) => {
      const { client, sent } = capture({ forcePathStyle });
      await expect(client.send(command() as PutObjectCommand)).rejects.toThrow("captured");
      const [request] = sent;
      const identity = await login(request!, { now: Date.now() });
      expect(identity).toMatchObject({ version: "v4", type: "AuthHeader", accessKeyId: KEY.id });
      const parsed = await target(request!);
      expect(parsed).toMatchObject({ bucket: "bucket", hostStyle: !forcePathStyle });
      expect(parsed.key).toBe(name === "ListObjectsV2" || name === "DeleteObjects" ? undefined : key);
      const body = await collect(identity.body);
      const uploads = name.startsWith("PutObject") || name === "UploadPart";
      expect(body.equals(data)).toBe(uploads);
      const trailer = identity.trailers()["x-amz-checksum-crc32"] ?? "none";
      expect(trailer).toMatch(name === "PutObject of a stream" ? /^[A-Za-z0-9+/]{6}==$/ : /^none$/);
      expect((await served({ ...request!, method: "OPTIONS" }, { now: Date.now() })).code).toBe(
        "SignatureDoesNotMatch",
      );
    });
  });

  test.each([
    ["GET", new GetObjectCommand({ Bucket: "bucket", Key: key, ResponseContentType: "a/b; c=d" }), {}],
    [
      "PUT",
      new PutObjectCommand({ Bucket: "bucket", Key: key, ACL: "private", Metadata: { a: "b  c" } }),
      { "x-amz-acl": "private", "x-amz-meta-a": "b  c" },
    ],
    ["HEAD", new HeadObjectCommand({ Bucket: "bucket", Key: key, VersionId: "null" }), {}],
  ] as const)("a presigned %s is accepted until it expires", async (method, command, hoisted) => {
    const { client } = capture({ forcePathStyle: true });
    const url = await getSignedUrl(client, command, { expiresIn: 60, signingDate: new Date(NOW) });
    const path = url.slice(`http://${HOST}`.length);
    const sent: Sent = { method, target: path, headers: [["Host", HOST]], body: [] };
    expect(await login(sent)).toMatchObject({ version: "v4", type: "QueryString" });
    expect((await served(sent, { now: NOW + 61_000 })).code).toBe("AccessDenied");
    expect((await target(sent)).headers).toMatchObject(hoisted);
  });

  test("without credentials is anonymous, and its chunks are taken out all the same", async () => {
    const { client, sent } = capture({ signer: { sign: (request) => Promise.resolve(request) } });
    await expect(client.send(commands["PutObject of a stream"]())).rejects.toThrow("captured");
    const identity = await login(sent[0]!);
    expect(identity.version).toBe("anonymous");
    expect((await collect(identity.body)).equals(data)).toBe(true);
  });
});
