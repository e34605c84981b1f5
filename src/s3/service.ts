/** Operations on the service. */
import type { Bucket } from "../store/types.ts";
import { ListAllMyBucketsResult, xmlAnswer } from "./documents.ts";
import { S3Error } from "./errors.ts";
import { regionOf } from "./location.ts";
import type { Answer, Context } from "./operation.ts";
import { ownerElement } from "./owners.ts";
import { afterToken, continuationToken, countParameter, invalidArgument } from "./parameters.ts";

/** Buckets of one answer; S3's own limit of an answer that is not asked for in pages. */
const MAX_BUCKETS = 10_000;
/** Buckets read from the store at once. */
const PAGE = 1000;

interface Query {
  readonly ownerId: string;
  readonly prefix: string;
  readonly after: string;
  readonly max: number;
  readonly region: string | undefined;
}

async function findBuckets(
  context: Context,
  query: Query,
): Promise<{ buckets: Bucket[]; truncated: boolean }> {
  const { store, settings } = context;
  const buckets: Bucket[] = [];
  let { after } = query;
  for (;;) {
    const page = await store.listBuckets(query.ownerId, { prefix: query.prefix, after, max: PAGE });
    for (const bucket of page.buckets) {
      if (query.region !== undefined && regionOf(bucket, settings) !== query.region) continue;
      if (buckets.length === query.max) return { buckets, truncated: true };
      buckets.push(bucket);
    }
    const last = page.buckets.at(-1);
    if (!page.truncated || last === undefined) return { buckets, truncated: false };
    after = last.name;
  }
}

export async function listBuckets(context: Context): Promise<Answer> {
  const { store, identity, request, settings } = context;
  if (identity.account === undefined) throw new S3Error("AccessDenied");
  const { query } = request;
  const ownerId = identity.account.id;
  const max = countParameter(query, "max-buckets", 1, MAX_BUCKETS);
  if (Number(query.get("max-buckets")) > MAX_BUCKETS) {
    const message = `Argument max-buckets must be an integer between 1 and ${MAX_BUCKETS}`;
    throw invalidArgument("max-buckets", query.get("max-buckets") ?? "", message);
  }
  const token = query.get("continuation-token") ?? "";
  const after = token === "" ? "" : afterToken(token);
  const prefix = query.get("prefix");
  const region = query.get("bucket-region");
  const { buckets, truncated } = await findBuckets(context, {
    ownerId,
    prefix: prefix ?? "",
    after,
    max,
    region,
  });
  // Regions are shown only to those who use today's parameters, as S3 does.
  const paged = query.size > 0;
  return xmlAnswer(ListAllMyBucketsResult, {
    Owner: await ownerElement(store, ownerId),
    Buckets: buckets.map((bucket) => ({
      Name: bucket.name,
      CreationDate: bucket.createdAt,
      BucketRegion: paged ? regionOf(bucket, settings) : undefined,
    })),
    ContinuationToken: truncated ? continuationToken(buckets.at(-1)?.name ?? "") : undefined,
    Prefix: prefix,
  });
}
