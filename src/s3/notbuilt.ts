/** The operations of S3 that are not built yet: each answers NotImplemented under its own name, and nothing else. */
import type { Operation, Who } from "./operation.ts";

type Method = Operation["method"];
type Action = Operation["action"];

const OWNER: Who = { bucket: "OWNER" };
const READ: Who = { object: "READ" };
const WRITE: Who = { bucket: "WRITE" };

/** A setting of a bucket that is not built yet; the owner's alone. */
function setting(method: Method, when: readonly string[], action: Action, log: string): Operation {
  return {
    on: "bucket",
    method,
    when,
    action,
    who: OWNER,
    log: `REST.${method}.${log}`,
    run: "NotImplemented",
  };
}

/** An operation on objects that is not built yet. */
function later(method: Method, when: readonly string[], action: Action, who: Who, log: string): Operation {
  return { on: "object", method, when, action, who, log: `REST.${method}.${log}`, run: "NotImplemented" };
}

export const NOT_BUILT = {
  // ---- the service
  /** Told from ListBuckets by its parameter; S3 serves it at another host. */
  ListDirectoryBuckets: {
    on: "service",
    method: "GET",
    when: ["?max-directory-buckets"],
    action: "s3:ListAllMyDirectoryBuckets",
    who: "account",
    log: "REST.GET.DIRECTORY_BUCKETS",
    run: "NotImplemented",
  },
  // ---- forms
  PostObject: {
    on: "bucket",
    method: "POST",
    action: "s3:PutObject",
    who: { bucket: "WRITE" },
    log: "REST.POST.BUCKET",
    run: "NotImplemented",
  },
  // The guide's endpoint; a bucket of that name keeps all that is asked of it with a query.
  Soap: {
    on: "bucketName",
    method: "POST",
    when: ["/soap"],
    action: "s3:*",
    who: "anybody",
    log: "SOAP",
    run: "NotImplemented",
  },
  // ---- settings of buckets
  GetBucketAbac: setting("GET", ["?abac"], "s3:GetBucketAbac", "ABAC"),
  PutBucketAbac: setting("PUT", ["?abac"], "s3:PutBucketAbac", "ABAC"),
  GetBucketAccelerateConfiguration: setting(
    "GET",
    ["?accelerate"],
    "s3:GetAccelerateConfiguration",
    "ACCELERATE",
  ),
  PutBucketAccelerateConfiguration: setting(
    "PUT",
    ["?accelerate"],
    "s3:PutAccelerateConfiguration",
    "ACCELERATE",
  ),
  ListBucketAnalyticsConfigurations: setting(
    "GET",
    ["?analytics"],
    "s3:GetAnalyticsConfiguration",
    "ANALYTICS",
  ),
  GetBucketAnalyticsConfiguration: setting(
    "GET",
    ["?analytics", "?id"],
    "s3:GetAnalyticsConfiguration",
    "ANALYTICS",
  ),
  PutBucketAnalyticsConfiguration: setting(
    "PUT",
    ["?analytics"],
    "s3:PutAnalyticsConfiguration",
    "ANALYTICS",
  ),
  DeleteBucketAnalyticsConfiguration: setting(
    "DELETE",
    ["?analytics"],
    "s3:PutAnalyticsConfiguration",
    "ANALYTICS",
  ),
  ListBucketIntelligentTieringConfigurations: setting(
    "GET",
    ["?intelligent-tiering"],
    "s3:GetIntelligentTieringConfiguration",
    "INTELLIGENT_TIERING",
  ),
  GetBucketIntelligentTieringConfiguration: setting(
    "GET",
    ["?intelligent-tiering", "?id"],
    "s3:GetIntelligentTieringConfiguration",
    "INTELLIGENT_TIERING",
  ),
  PutBucketIntelligentTieringConfiguration: setting(
    "PUT",
    ["?intelligent-tiering"],
    "s3:PutIntelligentTieringConfiguration",
    "INTELLIGENT_TIERING",
  ),
  DeleteBucketIntelligentTieringConfiguration: setting(
    "DELETE",
    ["?intelligent-tiering"],
    "s3:PutIntelligentTieringConfiguration",
    "INTELLIGENT_TIERING",
  ),
  ListBucketInventoryConfigurations: setting(
    "GET",
    ["?inventory"],
    "s3:GetInventoryConfiguration",
    "INVENTORY",
  ),
  GetBucketInventoryConfiguration: setting(
    "GET",
    ["?inventory", "?id"],
    "s3:GetInventoryConfiguration",
    "INVENTORY",
  ),
  PutBucketInventoryConfiguration: setting(
    "PUT",
    ["?inventory"],
    "s3:PutInventoryConfiguration",
    "INVENTORY",
  ),
  DeleteBucketInventoryConfiguration: setting(
    "DELETE",
    ["?inventory"],
    "s3:PutInventoryConfiguration",
    "INVENTORY",
  ),
  ListBucketMetricsConfigurations: setting("GET", ["?metrics"], "s3:GetMetricsConfiguration", "METRICS"),
  GetBucketMetricsConfiguration: setting("GET", ["?metrics", "?id"], "s3:GetMetricsConfiguration", "METRICS"),
  PutBucketMetricsConfiguration: setting("PUT", ["?metrics"], "s3:PutMetricsConfiguration", "METRICS"),
  DeleteBucketMetricsConfiguration: setting("DELETE", ["?metrics"], "s3:PutMetricsConfiguration", "METRICS"),
  GetBucketCors: setting("GET", ["?cors"], "s3:GetBucketCORS", "CORS"),
  PutBucketCors: setting("PUT", ["?cors"], "s3:PutBucketCORS", "CORS"),
  DeleteBucketCors: setting("DELETE", ["?cors"], "s3:PutBucketCORS", "CORS"),
  GetBucketEncryption: setting("GET", ["?encryption"], "s3:GetEncryptionConfiguration", "ENCRYPTION"),
  PutBucketEncryption: setting("PUT", ["?encryption"], "s3:PutEncryptionConfiguration", "ENCRYPTION"),
  DeleteBucketEncryption: setting("DELETE", ["?encryption"], "s3:PutEncryptionConfiguration", "ENCRYPTION"),
  GetBucketLifecycleConfiguration: setting(
    "GET",
    ["?lifecycle"],
    "s3:GetLifecycleConfiguration",
    "LIFECYCLE",
  ),
  PutBucketLifecycleConfiguration: setting(
    "PUT",
    ["?lifecycle"],
    "s3:PutLifecycleConfiguration",
    "LIFECYCLE",
  ),
  DeleteBucketLifecycle: setting("DELETE", ["?lifecycle"], "s3:PutLifecycleConfiguration", "LIFECYCLE"),
  GetBucketLogging: setting("GET", ["?logging"], "s3:GetBucketLogging", "LOGGING_STATUS"),
  PutBucketLogging: setting("PUT", ["?logging"], "s3:PutBucketLogging", "LOGGING_STATUS"),
  CreateBucketMetadataConfiguration: setting(
    "POST",
    ["?metadataConfiguration"],
    "s3:CreateBucketMetadataTableConfiguration",
    "METADATA",
  ),
  GetBucketMetadataConfiguration: setting(
    "GET",
    ["?metadataConfiguration"],
    "s3:GetBucketMetadataTableConfiguration",
    "METADATA",
  ),
  DeleteBucketMetadataConfiguration: setting(
    "DELETE",
    ["?metadataConfiguration"],
    "s3:DeleteBucketMetadataTableConfiguration",
    "METADATA",
  ),
  CreateBucketMetadataTableConfiguration: setting(
    "POST",
    ["?metadataTable"],
    "s3:CreateBucketMetadataTableConfiguration",
    "METADATA",
  ),
  GetBucketMetadataTableConfiguration: setting(
    "GET",
    ["?metadataTable"],
    "s3:GetBucketMetadataTableConfiguration",
    "METADATA",
  ),
  DeleteBucketMetadataTableConfiguration: setting(
    "DELETE",
    ["?metadataTable"],
    "s3:DeleteBucketMetadataTableConfiguration",
    "METADATA",
  ),
  UpdateBucketMetadataAnnotationTableConfiguration: setting(
    "PUT",
    ["?metadataAnnotationTable"],
    "s3:UpdateBucketMetadataAnnotationTableConfiguration",
    "METADATA",
  ),
  UpdateBucketMetadataInventoryTableConfiguration: setting(
    "PUT",
    ["?metadataInventoryTable"],
    "s3:UpdateBucketMetadataInventoryTableConfiguration",
    "METADATA",
  ),
  UpdateBucketMetadataJournalTableConfiguration: setting(
    "PUT",
    ["?metadataJournalTable"],
    "s3:UpdateBucketMetadataJournalTableConfiguration",
    "METADATA",
  ),
  GetBucketNotificationConfiguration: setting(
    "GET",
    ["?notification"],
    "s3:GetBucketNotification",
    "NOTIFICATION",
  ),
  PutBucketNotificationConfiguration: setting(
    "PUT",
    ["?notification"],
    "s3:PutBucketNotification",
    "NOTIFICATION",
  ),
  GetObjectLockConfiguration: setting(
    "GET",
    ["?object-lock"],
    "s3:GetBucketObjectLockConfiguration",
    "OBJECT_LOCK",
  ),
  PutObjectLockConfiguration: setting(
    "PUT",
    ["?object-lock"],
    "s3:PutBucketObjectLockConfiguration",
    "OBJECT_LOCK",
  ),
  GetBucketOwnershipControls: setting(
    "GET",
    ["?ownershipControls"],
    "s3:GetBucketOwnershipControls",
    "OWNERSHIP_CONTROLS",
  ),
  PutBucketOwnershipControls: setting(
    "PUT",
    ["?ownershipControls"],
    "s3:PutBucketOwnershipControls",
    "OWNERSHIP_CONTROLS",
  ),
  DeleteBucketOwnershipControls: setting(
    "DELETE",
    ["?ownershipControls"],
    "s3:PutBucketOwnershipControls",
    "OWNERSHIP_CONTROLS",
  ),
  GetBucketPolicy: setting("GET", ["?policy"], "s3:GetBucketPolicy", "BUCKETPOLICY"),
  PutBucketPolicy: setting("PUT", ["?policy"], "s3:PutBucketPolicy", "BUCKETPOLICY"),
  DeleteBucketPolicy: setting("DELETE", ["?policy"], "s3:DeleteBucketPolicy", "BUCKETPOLICY"),
  GetBucketPolicyStatus: setting("GET", ["?policyStatus"], "s3:GetBucketPolicyStatus", "BUCKETPOLICYSTATUS"),
  GetPublicAccessBlock: setting(
    "GET",
    ["?publicAccessBlock"],
    "s3:GetBucketPublicAccessBlock",
    "PUBLIC_ACCESS_BLOCK",
  ),
  PutPublicAccessBlock: setting(
    "PUT",
    ["?publicAccessBlock"],
    "s3:PutBucketPublicAccessBlock",
    "PUBLIC_ACCESS_BLOCK",
  ),
  DeletePublicAccessBlock: setting(
    "DELETE",
    ["?publicAccessBlock"],
    "s3:PutBucketPublicAccessBlock",
    "PUBLIC_ACCESS_BLOCK",
  ),
  GetBucketReplication: setting("GET", ["?replication"], "s3:GetReplicationConfiguration", "REPLICATION"),
  PutBucketReplication: setting("PUT", ["?replication"], "s3:PutReplicationConfiguration", "REPLICATION"),
  DeleteBucketReplication: setting(
    "DELETE",
    ["?replication"],
    "s3:PutReplicationConfiguration",
    "REPLICATION",
  ),
  GetBucketRequestPayment: setting(
    "GET",
    ["?requestPayment"],
    "s3:GetBucketRequestPayment",
    "REQUEST_PAYMENT",
  ),
  PutBucketRequestPayment: setting(
    "PUT",
    ["?requestPayment"],
    "s3:PutBucketRequestPayment",
    "REQUEST_PAYMENT",
  ),
  GetBucketTagging: setting("GET", ["?tagging"], "s3:GetBucketTagging", "TAGGING"),
  PutBucketTagging: setting("PUT", ["?tagging"], "s3:PutBucketTagging", "TAGGING"),
  DeleteBucketTagging: setting("DELETE", ["?tagging"], "s3:PutBucketTagging", "TAGGING"),
  GetBucketWebsite: setting("GET", ["?website"], "s3:GetBucketWebsite", "WEBSITE"),
  PutBucketWebsite: setting("PUT", ["?website"], "s3:PutBucketWebsite", "WEBSITE"),
  DeleteBucketWebsite: setting("DELETE", ["?website"], "s3:DeleteBucketWebsite", "WEBSITE"),
  CreateSession: setting("GET", ["?session"], "s3:CreateSession", "SESSION"),
  // ---- objects
  ListObjectAnnotations: later("GET", ["?annotation"], "s3:ListObjectAnnotations", READ, "ANNOTATION"),
  GetObjectAnnotation: later(
    "GET",
    ["?annotation", "?annotationName"],
    "s3:GetObjectAnnotation",
    READ,
    "ANNOTATION",
  ),
  PutObjectAnnotation: later("PUT", ["?annotation"], "s3:PutObjectAnnotation", WRITE, "ANNOTATION"),
  DeleteObjectAnnotation: later("DELETE", ["?annotation"], "s3:DeleteObjectAnnotation", WRITE, "ANNOTATION"),
  GetObjectLegalHold: later("GET", ["?legal-hold"], "s3:GetObjectLegalHold", OWNER, "OBJECT_LOCK_LEGALHOLD"),
  PutObjectLegalHold: later("PUT", ["?legal-hold"], "s3:PutObjectLegalHold", OWNER, "OBJECT_LOCK_LEGALHOLD"),
  GetObjectRetention: later("GET", ["?retention"], "s3:GetObjectRetention", OWNER, "OBJECT_LOCK_RETENTION"),
  PutObjectRetention: later("PUT", ["?retention"], "s3:PutObjectRetention", OWNER, "OBJECT_LOCK_RETENTION"),
  GetObjectTorrent: later("GET", ["?torrent"], "s3:GetObjectTorrent", READ, "TORRENT"),
  RenameObject: later("PUT", ["?renameObject"], "s3:PutObject", WRITE, "RENAME"),
  RestoreObject: later("POST", ["?restore"], "s3:RestoreObject", WRITE, "RESTORE"),
  SelectObjectContent: later("POST", ["?select"], "s3:GetObject", READ, "SELECT"),
  UpdateObjectEncryption: later("PUT", ["?encryption"], "s3:UpdateObjectEncryption", WRITE, "ENCRYPTION"),
  /** S3 serves it at a host of its own, whose path looks like a bucket here. */
  WriteGetObjectResponse: {
    on: "bucketName",
    method: "POST",
    when: ["x-amz-request-route"],
    action: "s3:WriteGetObjectResponse",
    who: "account",
    log: "REST.POST.WRITEGETOBJECTRESPONSE",
    run: "NotImplemented",
  },
} as const satisfies Readonly<Record<string, Operation>>;
