/** An ACL as requests give it: `x-amz-acl`, `x-amz-grant-*` headers or a document. */
import { cannedAcl } from "../access/access.ts";
import type { ObjectStore } from "../store/store.ts";
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
import type { AccessControlPolicy, GrantElement } from "./documents.ts";
import type { ValueOf } from "../lib/xml.ts";
import { S3Error } from "./errors.ts";

/** Grants of one ACL, as S3 has it; bounds what every later request must evaluate. */
const MAX_GRANTS = 100;

const GROUPS: ReadonlySet<string> = new Set([ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY]);

const GRANT_HEADERS: readonly (readonly [header: string, permission: Permission])[] = [
  ["x-amz-grant-full-control", "FULL_CONTROL"],
  ["x-amz-grant-read", "READ"],
  ["x-amz-grant-write", "WRITE"],
  ["x-amz-grant-read-acp", "READ_ACP"],
  ["x-amz-grant-write-acp", "WRITE_ACP"],
];

type Headers = Readonly<Record<string, string>>;

/** Who owns the resource whose ACL it is, and for an object who owns its bucket. */
export interface AclOwners {
  readonly ownerId: string;
  /** Undefined for a bucket's own ACL. */
  readonly bucketOwnerId: string | undefined;
}

function invalid(name: string, value: string, message: string): S3Error {
  return new S3Error("InvalidArgument", { ArgumentName: name, ArgumentValue: value }, { message });
}

function group(uri: string, argument: string): Grantee {
  if (!GROUPS.has(uri)) throw invalid(argument, uri, "Invalid group uri");
  return { type: "Group", uri };
}

async function canonicalUser(store: ObjectStore, id: string, argument: string): Promise<Grantee> {
  if (id !== ANONYMOUS_ID && (await store.accounts.byId(id)) === undefined) {
    throw invalid(argument, id, "Invalid id");
  }
  return { type: "CanonicalUser", id };
}

/** E-mail grantees become canonical users at once. */
async function byEmail(store: ObjectStore, email: string): Promise<Grantee> {
  const accounts = await store.accounts.byEmail(email);
  const [account] = accounts;
  if (account === undefined) throw new S3Error("UnresolvableGrantByEmailAddress", { Email: email });
  if (accounts.length > 1) throw new S3Error("AmbiguousGrantByEmailAddress", { Email: email });
  return { type: "CanonicalUser", id: account.id };
}

/** `id="…", uri="…", emailAddress="…"`, quotes optional. */
async function headerGrantees(store: ObjectStore, header: string, value: string): Promise<Grantee[]> {
  const grantees: Grantee[] = [];
  // Judged before the look-ups, so that a long header costs nothing.
  const items = value.split(",");
  if (items.length > MAX_GRANTS) throw tooMany();
  for (const item of items) {
    const match = /^\s*(id|uri|emailAddress)\s*=\s*(?:"([^"]*)"|([^"\s]*))\s*$/i.exec(item);
    if (match === null) throw invalid(header, value, "Argument format not recognized");
    const name = match[1]?.toLowerCase();
    const text = match[2] ?? match[3] ?? "";
    if (name === "uri") grantees.push(group(text, "uri"));
    else if (name === "id") grantees.push(await canonicalUser(store, text, "id"));
    else grantees.push(await byEmail(store, text));
  }
  return grantees;
}

function tooMany(): S3Error {
  return new S3Error("MalformedACLError", {}, { message: "An ACL can have at most 100 grants." });
}

/** Whether the request's headers say anything about access. */
export function hasAclHeaders(headers: Headers): boolean {
  return headers["x-amz-acl"] !== undefined || GRANT_HEADERS.some(([name]) => headers[name] !== undefined);
}

/**
 * The ACL that a request's headers ask for; the owner's FULL_CONTROL alone when they say nothing.
 * @throws S3Error InvalidArgument, InvalidRequest, MalformedACLError, UnresolvableGrantByEmailAddress, AmbiguousGrantByEmailAddress
 */
export async function aclFromHeaders(store: ObjectStore, headers: Headers, owners: AclOwners): Promise<Acl> {
  const canned = headers["x-amz-acl"];
  const grants: Grant[] = [];
  let explicit = false;
  for (const [header, permission] of GRANT_HEADERS) {
    const value = headers[header];
    if (value === undefined) continue;
    explicit = true;
    for (const grantee of await headerGrantees(store, header, value)) grants.push({ grantee, permission });
  }
  if (explicit && canned !== undefined) {
    throw new S3Error(
      "InvalidRequest",
      {},
      {
        message: "Specifying both Canned ACLs and Header Grants is not allowed",
      },
    );
  }
  if (grants.length > MAX_GRANTS) throw tooMany();
  if (explicit) return { grants };
  const acl = cannedAcl(canned ?? "private", owners);
  if (acl === undefined) throw invalid("x-amz-acl", canned ?? "", "");
  return acl;
}

function malformed(): S3Error {
  return new S3Error("MalformedACLError");
}

async function granteeOf(store: ObjectStore, { Grantee: grantee }: GrantElement): Promise<Grantee> {
  switch (grantee.Type) {
    case "CanonicalUser":
      if (grantee.ID === undefined) throw malformed();
      return await canonicalUser(store, grantee.ID, "CanonicalUser/ID");
    case "AmazonCustomerByEmail":
      if (grantee.EmailAddress === undefined) throw malformed();
      return await byEmail(store, grantee.EmailAddress);
    case "Group":
      if (grantee.URI === undefined) throw malformed();
      return group(grantee.URI, "Group/URI");
    default:
      throw malformed();
  }
}

/** The ACL of a document; its Owner is the caller's to judge. @throws S3Error as aclFromHeaders */
export async function aclFromDocument(
  store: ObjectStore,
  policy: ValueOf<typeof AccessControlPolicy>,
): Promise<Acl> {
  if (policy.AccessControlList.length > MAX_GRANTS) throw tooMany();
  const grants: Grant[] = [];
  for (const element of policy.AccessControlList) {
    grants.push({ grantee: await granteeOf(store, element), permission: element.Permission });
  }
  return { grants };
}
