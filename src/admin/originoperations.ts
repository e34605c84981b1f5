/** Operations on origins. */
import { z } from "zod";
import { ORIGIN_TYPES } from "../delivery/origins/originfields.ts";
import {
  createOrigin,
  deleteOrigin,
  listOrigins,
  showOrigin,
  testOrigin,
  updateOrigin,
} from "../delivery/origins/origins.ts";
import { operation, type Operation } from "./operation.ts";
import { existing, NAME, operationsOn, OWNER } from "./resource.ts";

const text = (description: string) => z.string().optional().meta({ description });
const toggle = (description: string) => z.boolean().optional().meta({ description });
/** Never answered, logged or listed. */
const secret = (description: string) =>
  z.string().optional().meta({ description, writeOnly: true, format: "password" });

const FIELDS = {
  alias: text("Name in /image/ALIAS/… URLs, unique on the server."),
  folder: text("Put before the path of a URL."),
  bucket: text("bucket, s3, s3-compatible, gcs: what to read."),
  region: text("s3: learned from the bucket when left out."),
  endpointUrl: text("s3-compatible, gcs: address of the service."),
  pathStyle: toggle("s3-compatible: the bucket stands in the path."),
  accessKey: text("s3, s3-compatible: access key id."),
  secretKey: secret("s3, s3-compatible: its secret."),
  azureAccount: text("azure: storage account."),
  container: text("azure: container."),
  sasToken: secret("azure: shared access signature, beginning with ?."),
  accountKey: secret("azure: account key, instead of a token."),
  azureEndpoint: text("azure: address of the service."),
  credentials: secret("gcs: content of a service account's JSON file."),
  baseUrl: text("web: what a path is added to."),
  forwardHost: toggle("web: the server gets the client's Host header."),
  allowHosts: z.array(z.string()).optional().meta({
    description:
      "web-proxy: hosts that may be asked. Root's may have private addresses, for all types but bucket.",
  }),
  canonicalBase: text("Answers name their source below this in a Link header."),
  encodeKeys: toggle("Look for keys in their percent-encoded form first."),
  timeout: z.number().positive().nullish().meta({ description: "Seconds that the origin may take." }),
};

export const ORIGIN_OPERATIONS: readonly Operation[] = [
  ...operationsOn({
    kind: "origin",
    noun: "Origin",
    segment: "origins",
    words: { one: "an origin", many: "origins" },
    create: z.object({
      type: z.enum(ORIGIN_TYPES).meta({ description: "Where the files are." }),
      ...FIELDS,
    }),
    change: z.object(FIELDS),
    // With others an account could read what only the server's own network can reach.
    guard: ({ caller }, input) => (caller.isRoot ? input : { ...input, publicHosts: true }),
    functions: {
      create: createOrigin,
      list: listOrigins,
      show: showOrigin,
      update: updateOrigin,
      delete: deleteOrigin,
    },
  }),
  operation({
    name: "TestOrigin",
    method: "POST",
    path: "/api/v1/origins/:name/test",
    status: 200,
    doc: "Says whether an origin's files can be read, and else what is wrong.",
    input: z.strictObject({ owner: OWNER, name: NAME }),
    // The server's network is the operator's business alone.
    run: async (context, input) =>
      testOrigin(context.store, await existing(context, "origin", input), !context.caller.isRoot),
  }),
];
