/** A bucket's versioning. */
import { VersioningConfiguration, readDocument, xmlAnswer } from "./documents.ts";
import { S3Error } from "./errors.ts";
import type { Answer, BucketContext } from "./operation.ts";

export async function getBucketVersioning({ bucket }: BucketContext): Promise<Answer> {
  return xmlAnswer(VersioningConfiguration, bucket.versioning === "Off" ? {} : { Status: bucket.versioning });
}

export async function putBucketVersioning({ store, bucket, document }: BucketContext): Promise<Answer> {
  const wanted = readDocument(VersioningConfiguration, document);
  if (wanted.MfaDelete === "Enabled") {
    throw new S3Error(
      "NotImplemented",
      { Element: "MfaDelete" },
      { message: "MfaDelete is not implemented." },
    );
  }
  if (wanted.Status === undefined) {
    const message = "The Versioning element must be specified";
    throw new S3Error("IllegalVersioningConfigurationException", {}, { message });
  }
  await store.updateBucket(bucket, { versioning: wanted.Status });
  return {};
}
