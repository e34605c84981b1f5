import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../server.ts";
import { element, sdk, send, type RawAnswer } from "./client.ts";

let server: TestServer;
let s3: S3Client;
const get = (target: string): Promise<RawAnswer> => send(server, { method: "GET", target });

/** In S3's order: bytes of UTF-8, where U+FFFD comes before U+1F600, unlike in UTF-16. */
const KEYS = [
  "a",
  "a b",
  "a&b",
  "a/",
  "a/1",
  "a/2/x",
  "a/2/y",
  "b/1",
  "b::1",
  "b::2",
  "c",
  "\ufffd",
  "\u{1f600}",
];

async function fill(Bucket: string, keys: readonly string[]): Promise<void> {
  await s3.send(new CreateBucketCommand({ Bucket }));
  for (const Key of keys) await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
}

beforeAll(async () => {
  server = await startServer();
  s3 = sdk(server);
  await fill("list", KEYS);
});
afterAll(async () => {
  s3.destroy();
  await server.close();
});

const list = async (more: object = {}) => {
  const page = await s3.send(new ListObjectsCommand({ Bucket: "list", ...more }));
  return {
    keys: (page.Contents ?? []).map(({ Key }) => Key!),
    prefixes: (page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix!),
    page,
  };
};

describe("ListObjects", () => {
  test("gives all keys in the order of their bytes", async () => {
    const { keys, prefixes, page } = await list();
    expect(keys).toEqual(KEYS);
    expect(prefixes).toEqual([]);
    expect(page).toMatchObject({ Name: "list", Prefix: "", Marker: "", MaxKeys: 1000, IsTruncated: false });
    expect(page).not.toHaveProperty("NextMarker");
    expect(page).not.toHaveProperty("Delimiter");
  });

  test("says of each what there is to say", async () => {
    const { page } = await list({ Prefix: "c" });
    const account = await server.store.accounts.byName("root");
    expect(page.Contents).toEqual([
      {
        Key: "c",
        LastModified: expect.any(Date),
        ETag: '"4a8a08f09d37b73795649038408b5f33"',
        Size: 1,
        Owner: { ID: account?.id, DisplayName: "root" },
        StorageClass: "STANDARD",
        ChecksumAlgorithm: [expect.any(String)],
        ChecksumType: "FULL_OBJECT",
      },
    ]);
    expect((await get("/list?prefix=c")).text).toMatch(
      /<LastModified>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z<\/LastModified><ETag>&quot;4a8a/,
    );
  });

  test("rolls up what shares a delimiter, which may be of several characters", async () => {
    const byslash = await list({ Delimiter: "/" });
    expect(byslash.keys).toEqual(["a", "a b", "a&b", "b::1", "b::2", "c", "\ufffd", "\u{1f600}"]);
    expect(byslash.prefixes).toEqual(["a/", "b/"]);
    expect(byslash.page.Delimiter).toBe("/");
    const inside = await list({ Delimiter: "/", Prefix: "a/" });
    expect(inside).toMatchObject({ keys: ["a/", "a/1"], prefixes: ["a/2/"] });
    const colons = await list({ Delimiter: "::", Prefix: "b" });
    expect(colons).toMatchObject({ keys: ["b/1"], prefixes: ["b::"] });
  });

  test("starts after a marker, which need not exist", async () => {
    expect((await list({ Marker: "b::1" })).keys).toEqual(["b::2", "c", "\ufffd", "\u{1f600}"]);
    expect((await list({ Marker: "bz" })).keys).toEqual(["c", "\ufffd", "\u{1f600}"]);
    const skipped = await list({ Marker: "a/", Delimiter: "/" });
    expect(skipped.prefixes).toEqual(["b/"]);
  });

  test.each([1, 2, 3, 5, 12, 13, 14])(
    "visits everything once in pages of %i, with and without a delimiter",
    async (MaxKeys) => {
      const plain: string[] = [];
      for (let Marker: string | undefined = ""; Marker !== undefined;) {
        const { keys, page } = await list({ MaxKeys, Marker });
        expect(page).not.toHaveProperty("NextMarker");
        plain.push(...keys);
        Marker = page.IsTruncated === true ? keys.at(-1) : undefined;
      }
      expect(plain).toEqual(KEYS);
      const rolled: string[] = [];
      for (let Marker: string | undefined = ""; Marker !== undefined;) {
        const { keys, prefixes, page } = await list({ MaxKeys, Marker, Delimiter: "/" });
        expect(keys.length + prefixes.length).toBeLessThanOrEqual(MaxKeys);
        expect(page.IsTruncated).toBe(page.NextMarker !== undefined);
        rolled.push(...keys, ...prefixes);
        Marker = page.NextMarker;
      }
      expect(rolled.toSorted()).toEqual(
        ["a", "a b", "a&b", "a/", "b/", "b::1", "b::2", "c", "\ufffd", "\u{1f600}"].toSorted(),
      );
    },
  );

  test("of no keys is not truncated", async () => {
    const { keys, page } = await list({ MaxKeys: 0 });
    expect(keys).toEqual([]);
    expect(page).toMatchObject({ MaxKeys: 0, IsTruncated: false });
    expect((await list({ MaxKeys: 5000 })).page.MaxKeys).toBe(1000);
  });

  test.each([
    "max-keys=x",
    "max-keys=-1",
    "max-keys=2147483648",
    "max-keys=1.5",
    "encoding-type=base64",
    "list-type=3",
    "list-type=2&max-keys=x",
    "list-type=2&continuation-token=forged",
    "versions&max-keys=x",
    "versions&version-id-marker=null",
    "uploads&max-uploads=0",
    "uploads&max-uploads=x",
    "uploads&encoding-type=x",
  ])("refuses %s", async (query) => {
    const answer = await get(`/list?${query}`);
    expect(answer).toMatchObject({ status: 400, code: "InvalidArgument" });
    expect(element(answer, "ArgumentName")).toMatch(/^[a-z-]+$/);
  });

  test("escapes what XML has no room for, or encodes it when asked", async () => {
    await fill("odd", ["\u0001c", "l\nf\rt\t", "s p+%&(é)"]);
    const plain = await get("/odd");
    expect(plain.text).toContain("<Key>&#x1;c</Key>");
    expect(plain.text).toContain("<Key>l\nf&#xd;t\t</Key>");
    const query = "?encoding-type=url&prefix=s%20p&delimiter=%28&marker=%20";
    const encoded = await get(`/odd${query}`);
    expect(encoded.text).toContain("<Prefix>s%20p%2B%25%26%28</Prefix>");
    expect(element(encoded, "Delimiter")).toBe("%28");
    expect(element(encoded, "Marker")).toBe("%20");
    expect(element(encoded, "EncodingType")).toBe("url");
    const all = await get("/odd?encoding-type=url");
    expect([...all.text.matchAll(/<Key>([^<]*)</g)].map(([, key]) => key)).toEqual([
      "%01c",
      "l%0Af%0Dt%09",
      "s%20p%2B%25%26%28%C3%A9%29",
    ]);
  });
});

const listV2 = (more: object = {}) => s3.send(new ListObjectsV2Command({ Bucket: "list", ...more }));

describe("ListObjectsV2", () => {
  test.each([1, 4, 13])("visits everything once in pages of %i", async (MaxKeys) => {
    const keys: string[] = [];
    let ContinuationToken: string | undefined;
    do {
      const page = await listV2({ MaxKeys, ContinuationToken });
      expect(page.KeyCount).toBe(page.Contents?.length);
      expect(page.ContinuationToken).toBe(ContinuationToken);
      expect(page.IsTruncated).toBe(page.NextContinuationToken !== undefined);
      keys.push(...page.Contents!.map(({ Key }) => Key!));
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken !== undefined);
    expect(keys).toEqual(KEYS);
  });

  test("counts keys and prefixes together", async () => {
    const page = await listV2({ Delimiter: "/", MaxKeys: 4 });
    expect(page).toMatchObject({ KeyCount: 4, IsTruncated: true });
    expect(page.Contents!.map(({ Key }) => Key!)).toEqual(["a", "a b", "a&b"]);
    expect(page.CommonPrefixes).toEqual([{ Prefix: "a/" }]);
    const rest = await listV2({ Delimiter: "/", ContinuationToken: page.NextContinuationToken });
    expect(rest.CommonPrefixes).toEqual([{ Prefix: "b/" }]);
  });

  test("starts after a key, and shows owners only when asked", async () => {
    const page = await listV2({ StartAfter: "c" });
    expect(page.StartAfter).toBe("c");
    expect(page.Contents!.map(({ Key, Owner }) => [Key, Owner])).toEqual([
      ["\ufffd", undefined],
      ["\u{1f600}", undefined],
    ]);
    const [first] = (await listV2({ FetchOwner: true, MaxKeys: 1 })).Contents!;
    expect(first!.Owner).toMatchObject({ DisplayName: "root" });
  });
});

describe("ListObjectVersions", () => {
  const Bucket = "versions";
  let ids: string[];

  beforeAll(async () => {
    await s3.send(new CreateBucketCommand({ Bucket }));
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "null" }));
    const VersioningConfiguration = { Status: "Enabled" } as const;
    await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    const put = async (Key: string) =>
      (await s3.send(new PutObjectCommand({ Bucket, Key, Body: "v" }))).VersionId!;
    const first = await put("k");
    const marker = (await s3.send(new DeleteObjectCommand({ Bucket, Key: "k" }))).VersionId!;
    ids = [marker, first, "null", await put("l"), await put("p/1"), await put("p/2")];
  });

  async function pages(
    query: string,
  ): Promise<{ entries: string[]; prefixes: string[]; pages: RawAnswer[] }> {
    const result = { entries: [] as string[], prefixes: [] as string[], pages: [] as RawAnswer[] };
    for (let markers: string | undefined = ""; markers !== undefined;) {
      const answer = await get(`/${Bucket}?versions${query}${markers}`);
      expect(answer.status).toBe(200);
      result.pages.push(answer);
      for (const [, kind, id] of answer.text.matchAll(
        /<(Version|DeleteMarker)><Key>[^<]*<\/Key><VersionId>([^<]*)</g,
      )) {
        result.entries.push(`${kind} ${id}`);
      }
      for (const [, prefix] of answer.text.matchAll(/<CommonPrefixes><Prefix>([^<]*)</g))
        result.prefixes.push(prefix!);
      const key = element(answer, "NextKeyMarker");
      const id = element(answer, "NextVersionIdMarker");
      expect(element(answer, "IsTruncated")).toBe(String(key !== undefined));
      markers =
        key === undefined
          ? undefined
          : `&key-marker=${encodeURIComponent(key)}${id === undefined ? "" : `&version-id-marker=${encodeURIComponent(id)}`}`;
    }
    return result;
  }

  test("gives versions and delete markers, the newest of a key first", async () => {
    const { Versions, DeleteMarkers } = await s3.send(new ListObjectVersionsCommand({ Bucket }));
    expect(Versions!.map(({ Key, VersionId, IsLatest }) => [Key, VersionId, IsLatest])).toEqual([
      ["k", ids[1], false],
      ["k", "null", false],
      ["l", ids[3], true],
      ["p/1", ids[4], true],
      ["p/2", ids[5], true],
    ]);
    expect(DeleteMarkers).toEqual([
      {
        Key: "k",
        VersionId: ids[0],
        IsLatest: true,
        LastModified: expect.any(Date),
        Owner: expect.objectContaining({ DisplayName: "root" }),
      },
    ]);
  });

  test.each([1, 2, 3, 5, 6, 7])("visits everything once in pages of %i", async (max) => {
    const kinds = ["DeleteMarker", "Version", "Version", "Version", "Version", "Version"];
    const all = await pages(`&max-keys=${max}`);
    expect(all.entries).toEqual(ids.map((id, n) => `${kinds[n]} ${id}`));
    expect(all.pages).toHaveLength(Math.ceil(6 / max));
    const rolled = await pages(`&max-keys=${max}&delimiter=%2F`);
    expect(rolled.entries).toEqual(ids.slice(0, 4).map((id, n) => `${kinds[n]} ${id}`));
    expect(rolled.prefixes).toEqual(["p/"]);
  });
});

describe("ListMultipartUploads", () => {
  const Bucket = "uploads";
  let ids: string[];

  beforeAll(async () => {
    await s3.send(new CreateBucketCommand({ Bucket }));
    const start = async (Key: string) =>
      (await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }))).UploadId!;
    ids = [await start("a"), await start("a"), await start("p/1"), await start("p/2"), await start("z")];
  });
  const listUploads = (more: object = {}) => s3.send(new ListMultipartUploadsCommand({ Bucket, ...more }));

  test("gives each with who began it, in the order of keys", async () => {
    const page = await listUploads();
    expect(page.Uploads!.map(({ Key }) => Key!)).toEqual(["a", "a", "p/1", "p/2", "z"]);
    expect(page.Uploads!.map(({ UploadId }) => UploadId!).toSorted()).toEqual(ids.toSorted());
    expect(page.Uploads![0]).toMatchObject({
      Initiated: expect.any(Date),
      Initiator: { DisplayName: "root" },
      Owner: { DisplayName: "root" },
      StorageClass: "STANDARD",
    });
    expect(page).toMatchObject({
      Bucket,
      KeyMarker: "",
      UploadIdMarker: "",
      MaxUploads: 1000,
      IsTruncated: false,
    });
  });

  test.each([1, 2, 3, 5])("visits everything once in pages of %i", async (MaxUploads) => {
    const seen: string[] = [];
    let KeyMarker: string | undefined;
    let UploadIdMarker: string | undefined;
    do {
      const page = await listUploads({ MaxUploads, KeyMarker, UploadIdMarker });
      seen.push(...(page.Uploads ?? []).map(({ UploadId }) => UploadId!));
      KeyMarker = page.NextKeyMarker;
      UploadIdMarker = page.NextUploadIdMarker;
      expect(page.IsTruncated).toBe(KeyMarker !== undefined);
    } while (KeyMarker !== undefined);
    expect(seen.toSorted()).toEqual(ids.toSorted());
  });

  test("goes by prefix and delimiter", async () => {
    const rolled = await listUploads({ Delimiter: "/" });
    expect(rolled.Uploads!.map(({ Key }) => Key!)).toEqual(["a", "a", "z"]);
    expect(rolled.CommonPrefixes).toEqual([{ Prefix: "p/" }]);
    expect((await listUploads({ Prefix: "p" })).Uploads!.map(({ Key }) => Key!)).toEqual(["p/1", "p/2"]);
  });
});
