/** Who may do what: the one decision about an ACL, and the ACLs that have names. Pure; nothing here reads or writes. */
import {
  ALL_USERS,
  ANONYMOUS_ID,
  AUTHENTICATED_USERS,
  LOG_DELIVERY,
  type Acl,
  type Grant,
  type Grantee,
  type Permission,
} from "../store/types.ts";

export interface AccessQuestion {
  /** Who asks; undefined: anybody, unsigned. */
  readonly account: { readonly id: string } | undefined;
  /** Of the bucket or object whose ACL it is. */
  readonly ownerId: string;
  readonly acl: Acl;
  readonly permission: Permission;
}

/** One bit each, so that FULL_CONTROL is the four others together, asked for or granted. */
const BITS: Readonly<Record<Permission, number>> = {
  READ: 1,
  WRITE: 2,
  READ_ACP: 4,
  WRITE_ACP: 8,
  FULL_CONTROL: 15,
};
const IMPLICIT_FOR_OWNER = BITS.READ_ACP | BITS.WRITE_ACP;

/**
 * Whether the ACL grants the permission. Grants only ever allow. The owner may always read and write the ACL, and
 * beyond that is subject to it as all others are: without READ in it he is refused. What unsigned requests wrote
 * belongs to the anonymous user, who is everybody that does not sign; the bucket's owner has no part in the ACLs of
 * others' objects, and deletes them by WRITE on the bucket.
 */
export function decide({ account, ownerId, acl, permission }: AccessQuestion): boolean {
  const id = account?.id ?? ANONYMOUS_ID;
  let held = id === ownerId ? IMPLICIT_FOR_OWNER : 0;
  for (const grant of acl.grants) {
    if (includes(grant.grantee, id, account !== undefined)) held |= BITS[grant.permission];
  }
  return (held & BITS[permission]) === BITS[permission];
}

function includes(grantee: Grantee, id: string, signed: boolean): boolean {
  if (grantee.type === "CanonicalUser") return grantee.id === id;
  // LogDelivery has no member that sends requests.
  return grantee.uri === ALL_USERS || (signed && grantee.uri === AUTHENTICATED_USERS);
}

/** Amazon EC2 in AWS's own ACLs (`za-team`). Nobody here can sign as it, so the grant is kept and shown, and opens nothing. */
const EC2_ID = "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c";

const toGroup = (uri: string, permission: Permission): Grant => ({
  grantee: { type: "Group", uri },
  permission,
});
const toUser = (id: string, permission: Permission): Grant => ({
  grantee: { type: "CanonicalUser", id },
  permission,
});

/** What each name grants beside the owner's FULL_CONTROL; the same for buckets and objects. */
const CANNED: Readonly<Record<string, readonly Grant[]>> = {
  private: [],
  "public-read": [toGroup(ALL_USERS, "READ")],
  "public-read-write": [toGroup(ALL_USERS, "READ"), toGroup(ALL_USERS, "WRITE")],
  "authenticated-read": [toGroup(AUTHENTICATED_USERS, "READ")],
  "aws-exec-read": [toUser(EC2_ID, "READ")],
};
const CANNED_FOR_BUCKETS: Readonly<Record<string, readonly Grant[]>> = {
  "log-delivery-write": [toGroup(LOG_DELIVERY, "WRITE"), toGroup(LOG_DELIVERY, "READ_ACP")],
  // S3 takes these two for a bucket and ignores them: its owner is the bucket's owner.
  "bucket-owner-read": [],
  "bucket-owner-full-control": [],
};
const CANNED_FOR_OBJECTS: Readonly<Record<string, Permission>> = {
  "bucket-owner-read": "READ",
  "bucket-owner-full-control": "FULL_CONTROL",
};

/**
 * The ACL that `x-amz-acl` names, the owner's FULL_CONTROL first; undefined for a name that S3 does not have, or not
 * for this. `bucketOwnerId` is undefined for the ACL of a bucket itself.
 */
export function cannedAcl(
  name: string,
  owners: { readonly ownerId: string; readonly bucketOwnerId: string | undefined },
): Acl | undefined {
  const { ownerId, bucketOwnerId } = owners;
  const full = toUser(ownerId, "FULL_CONTROL");
  const forBoth = own(CANNED, name);
  if (forBoth !== undefined) return { grants: [full, ...forBoth] };
  if (bucketOwnerId === undefined) {
    const forBucket = own(CANNED_FOR_BUCKETS, name);
    return forBucket === undefined ? undefined : { grants: [full, ...forBucket] };
  }
  const permission = own(CANNED_FOR_OBJECTS, name);
  if (permission === undefined) return undefined;
  return { grants: ownerId === bucketOwnerId ? [full] : [full, toUser(bucketOwnerId, permission)] };
}

/** Names come from headers: `constructor` must not find what every object has. */
function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
