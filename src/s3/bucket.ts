/** Create, find and delete buckets. */
import { StoreError } from "../store/errors.ts";
import type { Acl } from "../store/types.ts";
import { isDnsName, isLegacyName, isModernName } from "./bucketname.ts";
import { CreateBucketConfiguration, LocationConstraint, readDocument, xmlAnswer } from "./documents.ts";
import { S3Error } from "./errors.ts";
import { aclFromHeaders } from "./grants.ts";
import { locationFor } from "./location.ts";
import { compatibilityOf, type Answer, type BucketContext, type Context } from "./operation.ts";

/** The constraint that the body asks for; "" when there is none. */
function constraintOf({ document }: Context): string {
  if (document.length === 0) return "";
  const wanted = readDocument(CreateBucketConfiguration, document);
  for (const name of ["Location", "Bucket", "Tags"] as const) {
    if (wanted[name] !== undefined) {
      throw new S3Error(
        "NotImplemented",
        { Element: name },
        { message: `${name} of a bucket is not implemented.` },
      );
    }
  }
  return wanted.LocationConstraint ?? "";
}

/** Refuses what would be promised and not done. */
function refuseUnbuilt({ request: { headers } }: Context): void {
  const lock = headers["x-amz-bucket-object-lock-enabled"];
  if (lock !== undefined && lock.toLowerCase() !== "false") {
    throw new S3Error("NotImplemented", { Header: "x-amz-bucket-object-lock-enabled" });
  }
  const ownership = headers["x-amz-object-ownership"];
  if (ownership !== undefined && ownership !== "ObjectWriter") {
    throw new S3Error("NotImplemented", { Header: "x-amz-object-ownership" });
  }
}

function checkName(name: string, located: boolean, context: Context): void {
  const legacy = compatibilityOf(context) === "2006-03-01";
  const valid = legacy ? isLegacyName(name) && (!located || isDnsName(name)) : isModernName(name);
  if (!valid) throw new S3Error("InvalidBucketName", { BucketName: name });
}

/**
 * One's own bucket again: in the default location it succeeds and sets the ACL, as S3 does in us-east-1; elsewhere,
 * and always by the guide, it is an error. What the bucket holds is never touched.
 */
async function createAgain(context: Context, name: string, location: string, acl: Acl): Promise<void> {
  const bucket = await context.store.bucket(name);
  const refused = () => new S3Error("BucketAlreadyOwnedByYou", { BucketName: name });
  // It was there a moment ago; if it is gone now, or new and someone else's, the answer was true then.
  if (bucket === undefined || bucket.ownerId !== context.identity.account?.id) throw refused();
  const legacy = compatibilityOf({ settings: context.settings, bucket }) === "2006-03-01";
  if (legacy || location !== "" || bucket.location !== "") throw refused();
  await context.store.updateBucket(bucket, { acl });
}

export async function createBucket(context: Context): Promise<Answer> {
  const { store, settings, identity, request } = context;
  const name = request.bucket ?? "";
  const owner = identity.account;
  if (owner === undefined) throw new S3Error("AccessDenied");
  const constraint = constraintOf(context);
  const location = locationFor(constraint, settings);
  checkName(name, constraint !== "", context);
  if (location === undefined) {
    throw new S3Error("InvalidLocationConstraint", { LocationConstraint: constraint });
  }
  refuseUnbuilt(context);
  const acl = await aclFromHeaders(store, request.headers, { ownerId: owner.id, bucketOwnerId: undefined });
  try {
    const maxBuckets = settings.maxBucketsPerAccount;
    await store.createBucket({ name, ownerId: owner.id, location, acl, maxBuckets });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.code === "BucketAlreadyExists") throw new S3Error("BucketAlreadyExists", { BucketName: name });
    if (error.code !== "BucketAlreadyOwnedByYou") throw error;
    await createAgain(context, name, location, acl);
  }
  return { headers: ["Location", `/${name}`] };
}

/** Its existence and region are in the headers that every answer about a bucket carries. */
export async function headBucket(): Promise<Answer> {
  return { headers: ["Content-Type", "application/xml"] };
}

export async function deleteBucket({ store, bucket }: BucketContext): Promise<Answer> {
  try {
    await store.deleteBucket(bucket);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "BucketNotEmpty") throw error;
    throw new S3Error("BucketNotEmpty", { BucketName: bucket.name });
  }
  return { status: 204 };
}

/** Empty for the default location where clients take that for us-east-1, as they all do. */
export async function getBucketLocation(context: BucketContext): Promise<Answer> {
  const { bucket, settings } = context;
  const unnamed = settings.region === "us-east-1" || compatibilityOf(context) === "2006-03-01";
  return xmlAnswer(LocationConstraint, bucket.location !== "" || unnamed ? bucket.location : settings.region);
}
