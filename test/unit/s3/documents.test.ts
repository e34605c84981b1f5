import { describe, expect, test } from "vitest";
import type { Document } from "../../../src/lib/xml.ts";
import * as documents from "../../../src/s3/documents.ts";
import { S3Error, type S3ErrorCode } from "../../../src/s3/errors.ts";

const HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n';
const NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
const AT = Date.UTC(2006, 0, 1, 12);
const OWNER = { ID: "7".repeat(64), DisplayName: "chris & co" };
const OWNER_XML = `<ID>${"7".repeat(64)}</ID><DisplayName>chris &amp; co</DisplayName>`;
const OBJECT = { Key: "a&b", LastModified: AT, ETag: "828ef3fd", Size: 5, StorageClass: "STANDARD" };

/** Written as S3 writes it: element order of the XSD, milliseconds and Z, quotes around ETags. */
describe("written", () => {
  test("the list of buckets", () => {
    const written = documents.ListAllMyBucketsResult.write({
      Owner: OWNER,
      Buckets: [{ Name: "quotes", CreationDate: AT }],
      ContinuationToken: "t",
      Prefix: "q",
    });
    expect(written).toBe(
      `${HEAD}<ListAllMyBucketsResult ${NS}><Owner>${OWNER_XML}</Owner><Buckets><Bucket><Name>quotes</Name>` +
        "<CreationDate>2006-01-01T12:00:00.000Z</CreationDate></Bucket></Buckets>" +
        "<ContinuationToken>t</ContinuationToken><Prefix>q</Prefix></ListAllMyBucketsResult>",
    );
  });

  test("locations", () => {
    expect(documents.LocationConstraint.write("EU")).toBe(
      `${HEAD}<LocationConstraint ${NS}>EU</LocationConstraint>`,
    );
    expect(documents.LocationConstraint.write("")).toBe(
      `${HEAD}<LocationConstraint ${NS}></LocationConstraint>`,
    );
  });

  test("a listing", () => {
    const written = documents.ListBucketResult.write({
      Name: "b",
      Prefix: "",
      Marker: "m",
      NextMarker: "p/",
      MaxKeys: 1,
      Delimiter: "/",
      IsTruncated: true,
      Contents: [{ ...OBJECT, Owner: OWNER }],
      CommonPrefixes: [{ Prefix: "p/" }],
    });
    expect(written).toBe(
      `${HEAD}<ListBucketResult ${NS}><Name>b</Name><Prefix></Prefix><Marker>m</Marker><NextMarker>p/</NextMarker>` +
        "<MaxKeys>1</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated><Contents><Key>a&amp;b</Key>" +
        "<LastModified>2006-01-01T12:00:00.000Z</LastModified><ETag>&quot;828ef3fd&quot;</ETag><Size>5</Size>" +
        `<Owner>${OWNER_XML}</Owner><StorageClass>STANDARD</StorageClass></Contents>` +
        "<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>",
    );
  });

  test("versions and delete markers, mixed as they are in the bucket", () => {
    const shared = { Key: "k", IsLatest: false, LastModified: AT, Owner: OWNER };
    const written = documents.ListVersionsResult.write({
      Name: "b",
      Prefix: "",
      KeyMarker: "",
      VersionIdMarker: "",
      MaxKeys: 1000,
      IsTruncated: false,
      Entries: [
        ["DeleteMarker", { ...shared, VersionId: "2", IsLatest: true }],
        ["Version", { ...shared, ...OBJECT, Key: "k", VersionId: "1" }],
      ],
      CommonPrefixes: [],
    });
    expect(written).toContain(
      "<IsTruncated>false</IsTruncated><DeleteMarker><Key>k</Key><VersionId>2</VersionId><IsLatest>true</IsLatest>",
    );
    expect(written).toContain(
      "</DeleteMarker><Version><Key>k</Key><VersionId>1</VersionId><IsLatest>false</IsLatest>",
    );
  });

  test("an ACL declares xsi where it uses it", () => {
    const written = documents.AccessControlPolicy.write({
      Owner: OWNER,
      AccessControlList: [
        { Grantee: { Type: "CanonicalUser", ...OWNER }, Permission: "FULL_CONTROL" },
        {
          Grantee: { Type: "Group", URI: "http://acs.amazonaws.com/groups/global/AllUsers" },
          Permission: "READ",
        },
      ],
    });
    const grantee = '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type=';
    expect(written).toBe(
      `${HEAD}<AccessControlPolicy ${NS}><Owner>${OWNER_XML}</Owner><AccessControlList>` +
        `<Grant>${grantee}"CanonicalUser">${OWNER_XML}</Grantee><Permission>FULL_CONTROL</Permission></Grant>` +
        `<Grant>${grantee}"Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>` +
        "<Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>",
    );
  });

  test("versioning that was never set is empty", () => {
    expect(documents.VersioningConfiguration.write({})).toBe(
      `${HEAD}<VersioningConfiguration ${NS}></VersioningConfiguration>`,
    );
  });
});

const { Delete, CompleteMultipartUpload, CreateBucketConfiguration, readDocument } = documents;
const read = <T>(of: Document<T>, xml: string): T => readDocument(of, Buffer.from(xml));

function codeOf(xml: string, code?: "MalformedACLError"): S3ErrorCode {
  try {
    readDocument(Delete, Buffer.from(xml), code);
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  throw new Error("The document was read");
}

const part = (n: number) =>
  `<Part><PartNumber>${n}</PartNumber><ETag>"e"</ETag><ChecksumSHA256>c</ChecksumSHA256></Part>`;

describe("read", () => {
  test("keys to delete, with what clients add", () => {
    const xml =
      `<Delete ${NS}><Quiet>true</Quiet><Object><Key> a\n</Key></Object>` +
      '<Object><Key>&#x1;b</Key><VersionId>null</VersionId><ETag>"e"</ETag><Size>3</Size></Object></Delete>';
    expect(read(Delete, xml)).toEqual({
      Quiet: true,
      Object: [{ Key: " a\n" }, { Key: "\u0001b", VersionId: "null", ETag: "e", Size: 3 }],
    });
  });

  test("parts, their ETags with and without quotes", () => {
    const xml =
      "<CompleteMultipartUpload><Part><ETag>&quot;e1&quot;</ETag><PartNumber>1</PartNumber></Part>" +
      "<Part><PartNumber>2</PartNumber><ETag>e2</ETag><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></Part></CompleteMultipartUpload>";
    expect(read(CompleteMultipartUpload, xml)).toEqual({
      Part: [
        { PartNumber: 1, ETag: "e1" },
        { PartNumber: 2, ETag: "e2", ChecksumCRC32C: "AAAAAA==" },
      ],
    });
  });

  test.each([
    "",
    NS,
    'xmlns="http://doc.s3.amazonaws.com/2006-03-01"',
    'xmlns="http://s3.amazonaws.com/doc/2006-03-01"',
  ])("a configuration in the namespace %j", (namespace) => {
    const xml = `<CreateBucketConfiguration ${namespace}><LocationConstraint>EU</LocationConstraint></CreateBucketConfiguration>`;
    expect(read(CreateBucketConfiguration, xml)).toEqual({ LocationConstraint: "EU" });
  });

  test("what is wrong has the code of the operation", () => {
    expect(codeOf("")).toBe("MissingRequestBodyError");
    expect(codeOf("<Delete>")).toBe("MalformedXML");
    expect(codeOf('<Delete xmlns="http://other/"/>')).toBe("MalformedXML");
    expect(codeOf("<Remove/>", "MalformedACLError")).toBe("MalformedACLError");
  });

  test("10,000 parts with checksums fit, a flood of elements does not", () => {
    const parts = Array.from({ length: 10_000 }, (_, n) => part(n + 1)).join("");
    const all = readDocument(
      CompleteMultipartUpload,
      Buffer.from(`<CompleteMultipartUpload>${parts}</CompleteMultipartUpload>`),
    );
    expect(all.Part).toHaveLength(10_000);
    expect(codeOf(`<Delete>${"<Object/>".repeat(100_000)}</Delete>`)).toBe("MalformedXML");
  });
});
