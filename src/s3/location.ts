/** Where buckets are: locations as clients name them and the regions they stand for. */
import type { Bucket } from "../store/types.ts";
import type { S3Settings } from "./operation.ts";

/** The guide's only location and today's name for it. */
const OLD_NAME = "EU";
const TODAYS_NAME = "eu-west-1";

/** The region of `x-amz-bucket-region`: one whose signatures are accepted here, since clients then sign for it. */
export function regionOf(bucket: Bucket, settings: S3Settings): string {
  const region = bucket.location === OLD_NAME ? TODAYS_NAME : bucket.location;
  return settings.locations.includes(region) ? region : settings.region;
}

/**
 * The location to store for a constraint: "" for the default one, else the constraint as given.
 * Undefined: there is no such location here.
 */
export function locationFor(constraint: string, settings: S3Settings): string | undefined {
  if (constraint === "" || constraint === settings.region) return "";
  if (settings.locations.includes(constraint)) return constraint;
  const other = constraint === OLD_NAME ? TODAYS_NAME : constraint === TODAYS_NAME ? OLD_NAME : undefined;
  return other !== undefined && settings.locations.includes(other) ? constraint : undefined;
}
