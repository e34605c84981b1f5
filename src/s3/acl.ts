/** Get and put the ACL of a bucket or an object. */
import type { ObjectStore } from "../store/store.ts";
import type { Acl } from "../store/types.ts";
import { AccessControlPolicy, readDocument, xmlAnswer, type GrantElement } from "./documents.ts";
import { S3Error } from "./errors.ts";
import { aclFromDocument, aclFromHeaders, hasAclHeaders, type AclOwners } from "./grants.ts";
import { existingVersion, pushVersionId } from "./object.ts";
import { compatibilityOf, type Answer, type BucketContext, type ObjectContext } from "./operation.ts";
import { ownerCache } from "./owners.ts";

async function aclAnswer(store: ObjectStore, ownerId: string, acl: Acl, headers: string[]): Promise<Answer> {
  const ownerOf = ownerCache(store);
  const grants: GrantElement[] = [];
  for (const { grantee, permission } of acl.grants) {
    const shown =
      grantee.type === "Group"
        ? { Type: "Group", URI: grantee.uri }
        : { Type: "CanonicalUser", ...(await ownerOf(grantee.id)) };
    grants.push({ Grantee: shown, Permission: permission });
  }
  const policy = { Owner: await ownerOf(ownerId), AccessControlList: grants };
  return xmlAnswer(AccessControlPolicy, policy, headers);
}

/** The new ACL: from the headers or from the document, never both. */
async function requestedAcl(context: BucketContext, owners: AclOwners): Promise<Acl> {
  const { store, document, request } = context;
  if (hasAclHeaders(request.headers)) {
    if (document.length > 0) throw new S3Error("UnexpectedContent");
    return await aclFromHeaders(store, request.headers, owners);
  }
  const policy = readDocument(AccessControlPolicy, document, "MalformedACLError");
  // The guide ignores the Owner of the document; today one that is not the owner's is refused.
  if (compatibilityOf(context) === "modern" && policy.Owner.ID !== owners.ownerId) {
    throw new S3Error("AccessDenied");
  }
  return await aclFromDocument(store, policy);
}

export function getBucketAcl({ store, bucket }: BucketContext): Promise<Answer> {
  return aclAnswer(store, bucket.ownerId, bucket.acl, []);
}

export async function putBucketAcl(context: BucketContext): Promise<Answer> {
  const { store, bucket } = context;
  const acl = await requestedAcl(context, { ownerId: bucket.ownerId, bucketOwnerId: undefined });
  await store.updateBucket(bucket, { acl });
  return {};
}

export async function getObjectAcl(context: ObjectContext): Promise<Answer> {
  const version = await existingVersion(context);
  const headers: string[] = [];
  pushVersionId(headers, context.bucket, version.versionId);
  return await aclAnswer(context.store, version.ownerId, version.acl, headers);
}

export async function putObjectAcl(context: ObjectContext): Promise<Answer> {
  const { store, bucket, key } = context;
  const version = await existingVersion(context);
  const acl = await requestedAcl(context, { ownerId: version.ownerId, bucketOwnerId: bucket.ownerId });
  // By its id: what was authorized is this version, not one that may have replaced it meanwhile.
  await store.updateObject(bucket, key, version.versionId, { acl });
  const headers: string[] = [];
  pushVersionId(headers, bucket, version.versionId);
  return { headers };
}
