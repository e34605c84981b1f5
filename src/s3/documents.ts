/** THE XML shapes of S3: every document that is read or written, declared once, in the element order of the API. */
import type { ChecksumAlgorithm } from "../lib/hashes.ts";
import {
  XmlError,
  attribute,
  boolean,
  document,
  integer,
  list,
  mixed,
  oneOf,
  optional,
  present,
  quoted,
  record,
  safe,
  text,
  timestamp,
  token,
  wrapped,
  type Document,
  type Shape,
  type ValueOf,
} from "../lib/xml.ts";
import { S3Error, type S3ErrorCode } from "./errors.ts";
import type { Answer } from "./operation.ts";

const NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";
/** Elements of a document whose lists are short. */
const FEW = 2000;
/** 1000 keys with six elements each, or 10,000 parts with an ETag and a checksum. */
const MANY = 60_000;

/** A document in S3's namespace; read also in the two others that clients of 2006 to 2009 send, and in none. */
function s3Document<T>(root: string, shape: Shape<T>, maxElements = FEW): Document<T> {
  const alsoRead = ["http://s3.amazonaws.com/doc/2006-03-01", "http://doc.s3.amazonaws.com/2006-03-01"];
  return document(root, shape, { namespace: NAMESPACE, alsoRead, maxElements });
}

/**
 * What a request's document says. @throws S3Error MissingRequestBodyError for an empty one, `code` for one that is
 * not well-formed or not valid
 */
export function readDocument<T>(
  of: Document<T>,
  bytes: Buffer,
  code: S3ErrorCode & ("MalformedXML" | "MalformedACLError") = "MalformedXML",
): T {
  if (bytes.length === 0) throw new S3Error("MissingRequestBodyError");
  try {
    return of.read(bytes);
  } catch (error) {
    if (error instanceof XmlError) throw new S3Error(code, {}, { cause: error });
    throw error;
  }
}

/** The answer that carries a document. */
export function xmlAnswer<T>(of: Document<T>, value: T, headers: readonly string[] = []): Answer {
  return { headers: ["Content-Type", "application/xml", ...headers], body: of.write(value) };
}

// ---- pieces

const owner = record({ ID: token, DisplayName: optional(text) });
export type OwnerElement = ValueOf<typeof owner>;

const keyPrefix = record({ Prefix: text });

/** `ChecksumCRC32` and so on: at most one of them is there. */
const checksum = optional(token);
type ChecksumFields = Readonly<Record<`Checksum${ChecksumAlgorithm}`, typeof checksum>>;
const checksums: ChecksumFields = {
  ChecksumCRC32: checksum,
  ChecksumCRC32C: checksum,
  ChecksumCRC64NVME: checksum,
  ChecksumSHA1: checksum,
  ChecksumSHA256: checksum,
  ChecksumSHA512: checksum,
  ChecksumMD5: checksum,
  ChecksumXXHASH3: checksum,
  ChecksumXXHASH64: checksum,
  ChecksumXXHASH128: checksum,
};

const checksumType = optional(oneOf("COMPOSITE", "FULL_OBJECT"));

// ---- service and buckets

export const ListAllMyBucketsResult = s3Document(
  "ListAllMyBucketsResult",
  record({
    Owner: owner,
    Buckets: wrapped("Bucket", record({ Name: safe, CreationDate: timestamp, BucketRegion: optional(text) })),
    ContinuationToken: optional(safe),
    Prefix: optional(text),
  }),
);

/** Location, Bucket and Tags ask for what is not built; they are read so that they can be refused. */
export const CreateBucketConfiguration = s3Document(
  "CreateBucketConfiguration",
  record({
    LocationConstraint: optional(token),
    Location: optional(present),
    Bucket: optional(present),
    Tags: optional(present),
  }),
);

export const LocationConstraint = s3Document("LocationConstraint", text);

export const VersioningConfiguration = s3Document(
  "VersioningConfiguration",
  record({
    Status: optional(oneOf("Enabled", "Suspended")),
    MfaDelete: optional(oneOf("Enabled", "Disabled")),
  }),
);

// ---- listings

const object = record({
  Key: text,
  LastModified: timestamp,
  ETag: quoted,
  ChecksumAlgorithm: optional(safe),
  ChecksumType: checksumType,
  Size: integer,
  Owner: optional(owner),
  StorageClass: text,
});
export type ObjectElement = ValueOf<typeof object>;

export const ListBucketResult = s3Document(
  "ListBucketResult",
  record({
    Name: safe,
    Prefix: text,
    Marker: text,
    NextMarker: optional(text),
    MaxKeys: integer,
    Delimiter: optional(text),
    EncodingType: optional(safe),
    IsTruncated: boolean,
    Contents: list(object),
    CommonPrefixes: list(keyPrefix),
  }),
);

export const ListBucketResultV2 = s3Document(
  "ListBucketResult",
  record({
    Name: safe,
    Prefix: text,
    StartAfter: optional(text),
    ContinuationToken: optional(text),
    NextContinuationToken: optional(safe),
    KeyCount: integer,
    MaxKeys: integer,
    Delimiter: optional(text),
    EncodingType: optional(safe),
    IsTruncated: boolean,
    Contents: list(object),
    CommonPrefixes: list(keyPrefix),
  }),
);

const version = record({
  Key: text,
  VersionId: safe,
  IsLatest: boolean,
  LastModified: timestamp,
  ETag: quoted,
  ChecksumAlgorithm: optional(safe),
  ChecksumType: checksumType,
  Size: integer,
  Owner: owner,
  StorageClass: text,
});
const deleteMarker = record({
  Key: text,
  VersionId: safe,
  IsLatest: boolean,
  LastModified: timestamp,
  Owner: owner,
});

export const ListVersionsResult = s3Document(
  "ListVersionsResult",
  record({
    Name: safe,
    Prefix: text,
    KeyMarker: text,
    VersionIdMarker: text,
    NextKeyMarker: optional(text),
    NextVersionIdMarker: optional(safe),
    MaxKeys: integer,
    Delimiter: optional(text),
    EncodingType: optional(safe),
    IsTruncated: boolean,
    Entries: mixed({ Version: version, DeleteMarker: deleteMarker }),
    CommonPrefixes: list(keyPrefix),
  }),
);
export type VersionEntry = ValueOf<typeof ListVersionsResult>["Entries"][number];

const upload = record({
  Key: text,
  UploadId: safe,
  Initiator: owner,
  Owner: owner,
  StorageClass: text,
  Initiated: timestamp,
  ChecksumAlgorithm: optional(safe),
  ChecksumType: checksumType,
});
export type UploadElement = ValueOf<typeof upload>;

export const ListMultipartUploadsResult = s3Document(
  "ListMultipartUploadsResult",
  record({
    Bucket: safe,
    KeyMarker: text,
    UploadIdMarker: text,
    NextKeyMarker: optional(text),
    NextUploadIdMarker: optional(safe),
    Prefix: optional(text),
    Delimiter: optional(text),
    EncodingType: optional(safe),
    MaxUploads: integer,
    IsTruncated: boolean,
    Upload: list(upload),
    CommonPrefixes: list(keyPrefix),
  }),
);

// ---- access control

/** The members depend on the type: ID, EmailAddress or URI. */
const grantee = record({
  Type: attribute("xsi", "type", "http://www.w3.org/2001/XMLSchema-instance"),
  ID: optional(token),
  DisplayName: optional(text),
  EmailAddress: optional(token),
  URI: optional(token),
});
const grant = record({
  Grantee: grantee,
  Permission: oneOf("FULL_CONTROL", "WRITE", "WRITE_ACP", "READ", "READ_ACP"),
});
export type GrantElement = ValueOf<typeof grant>;

export const AccessControlPolicy = s3Document(
  "AccessControlPolicy",
  record({ Owner: owner, AccessControlList: wrapped("Grant", grant) }),
);

// ---- objects

const identifier = record({
  Key: text,
  VersionId: optional(token),
  ETag: optional(quoted),
  /** An HTTP date by the API's model, ISO 8601 from some clients. */
  LastModifiedTime: optional(token),
  Size: optional(integer),
});

/** The request of DeleteObjects. */
export const Delete = s3Document(
  "Delete",
  record({ Object: list(identifier), Quiet: optional(boolean) }),
  MANY,
);

const deleted = record({
  Key: text,
  VersionId: optional(text),
  DeleteMarker: optional(boolean),
  DeleteMarkerVersionId: optional(safe),
});
const deleteError = record({ Key: text, VersionId: optional(text), Code: safe, Message: text });
/** One entry per key asked for, in that order; quiet answers hold errors alone. */
export const DeleteResult = s3Document(
  "DeleteResult",
  record({ Entries: mixed({ Deleted: deleted, Error: deleteError }) }),
);
export type DeleteEntry = ValueOf<typeof DeleteResult>["Entries"][number];

const copyResult = record({
  LastModified: timestamp,
  ETag: quoted,
  ChecksumType: checksumType,
  ...checksums,
});
export const CopyObjectResult = s3Document("CopyObjectResult", copyResult);
export const CopyPartResult = s3Document("CopyPartResult", copyResult);

const tag = record({ Key: text, Value: text });
export const Tagging = s3Document("Tagging", record({ TagSet: wrapped("Tag", tag) }));

const attributesPart = record({ PartNumber: integer, Size: integer, ...checksums });
export const GetObjectAttributesResponse = s3Document(
  "GetObjectAttributesResponse",
  record({
    /** Without quotes here, unlike everywhere else. */
    ETag: optional(safe),
    Checksum: optional(record({ ...checksums, ChecksumType: checksumType })),
    ObjectParts: optional(
      record({
        /** Named TotalPartsCount in SDKs. */
        PartsCount: optional(integer),
        PartNumberMarker: optional(integer),
        NextPartNumberMarker: optional(integer),
        MaxParts: optional(integer),
        IsTruncated: optional(boolean),
        Part: list(attributesPart),
      }),
    ),
    StorageClass: optional(text),
    ObjectSize: optional(integer),
  }),
);

// ---- multipart uploads

export const InitiateMultipartUploadResult = s3Document(
  "InitiateMultipartUploadResult",
  record({ Bucket: safe, Key: text, UploadId: safe }),
);

const completedPart = record({ PartNumber: integer, ETag: quoted, ...checksums });
export const CompleteMultipartUpload = s3Document(
  "CompleteMultipartUpload",
  record({ Part: list(completedPart) }),
  MANY,
);

export const CompleteMultipartUploadResult = s3Document(
  "CompleteMultipartUploadResult",
  record({
    Location: text,
    Bucket: safe,
    Key: text,
    ETag: quoted,
    ...checksums,
    ChecksumType: checksumType,
  }),
);

const part = record({
  PartNumber: integer,
  LastModified: timestamp,
  ETag: quoted,
  Size: integer,
  ...checksums,
});
export const ListPartsResult = s3Document(
  "ListPartsResult",
  record({
    Bucket: safe,
    Key: text,
    UploadId: safe,
    Initiator: owner,
    Owner: owner,
    StorageClass: text,
    PartNumberMarker: integer,
    NextPartNumberMarker: optional(integer),
    MaxParts: integer,
    EncodingType: optional(safe),
    IsTruncated: boolean,
    ChecksumAlgorithm: optional(safe),
    ChecksumType: checksumType,
    Part: list(part),
  }),
);
