/** Operations on URL-endpoints and named transformations. */
import { z } from "zod";
import { FORMATS, REWRITERS } from "../delivery/origins/endpointrules.ts";
import {
  createEndpoint,
  deleteEndpoint,
  listEndpoints,
  showEndpoint,
  updateEndpoint,
} from "../delivery/origins/endpoints.ts";
import {
  createTransformation,
  deleteTransformation,
  listTransformations,
  showTransformation,
  updateTransformation,
} from "../delivery/origins/transformations.ts";
import { rootOnly, type Operation } from "./operation.ts";
import { operationsOn } from "./resource.ts";

const ORIGINS = z
  .array(z.string())
  .meta({ description: "Origins in order of preference; replaces the order." });
const FIELDS = {
  prefix: z.string().optional().meta({ description: "First segment of its URLs; its name when left out." }),
  domain: z
    .string()
    .nullable()
    .optional()
    .meta({ description: "Host name of its own; root alone gives them." }),
  signedOnly: z.boolean().optional().meta({ description: "Refuse unsigned URLs." }),
  namedOnly: z.boolean().optional().meta({ description: "Refuse transformations that are not named ones." }),
  allowPrompts: z.boolean().optional().meta({ description: "Let unsigned URLs ask the language model." }),
  privateFiles: z.boolean().optional().meta({ description: "Files are for signed URLs only." }),
  defaultImage: z
    .string()
    .nullable()
    .optional()
    .meta({ description: "Path of what is served for what is missing." }),
  cacheSeconds: z.int().min(0).nullable().optional().meta({ description: "How long answers may be kept." }),
  formats: z
    .array(z.enum(FORMATS))
    .nullable()
    .optional()
    .meta({ description: "What URLs may ask for; clients that read none of them get JPEG or PNG." }),
  rewriter: z.enum(REWRITERS).nullable().optional().meta({ description: "Whose URLs are understood, too." }),
};

export const ENDPOINT_OPERATIONS: readonly Operation[] = operationsOn({
  kind: "endpoint",
  noun: "Endpoint",
  segment: "endpoints",
  words: { one: "a URL-endpoint", many: "URL-endpoints" },
  create: z.object({ origins: ORIGINS, ...FIELDS }),
  change: z.object({ origins: ORIGINS.optional(), ...FIELDS }),
  // Whoever has the server's own host name for a domain has everybody's URLs.
  guard: (context, input) => {
    rootOnly(context, "domain", input.domain);
    return input;
  },
  functions: {
    create: createEndpoint,
    list: listEndpoints,
    show: showEndpoint,
    update: updateEndpoint,
    delete: deleteEndpoint,
  },
});

const CHAIN = z.string().meta({ description: "Steps as they stand behind tr: in a URL." });

export const TRANSFORMATION_OPERATIONS: readonly Operation[] = operationsOn({
  kind: "transformation",
  noun: "Transformation",
  segment: "transformations",
  words: { one: "a named transformation", many: "named transformations" },
  create: z.object({ chain: CHAIN }),
  change: z.object({ chain: CHAIN }),
  functions: {
    create: createTransformation,
    list: listTransformations,
    show: showTransformation,
    update: updateTransformation,
    delete: deleteTransformation,
  },
});
