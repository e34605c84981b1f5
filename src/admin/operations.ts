/** THE table of the admin API. Routes, their checks, OpenAPI and the names in metrics are derived from the rows. */
import { ENDPOINT_OPERATIONS, TRANSFORMATION_OPERATIONS } from "./endpointoperations.ts";
import type { Operation } from "./operation.ts";
import { ORIGIN_OPERATIONS } from "./originoperations.ts";
import { PURGE_OPERATIONS } from "./purgeoperations.ts";
import { URL_OPERATIONS } from "./urloperations.ts";

export const OPERATIONS: readonly Operation[] = [
  ...ORIGIN_OPERATIONS,
  ...ENDPOINT_OPERATIONS,
  ...TRANSFORMATION_OPERATIONS,
  ...URL_OPERATIONS,
  ...PURGE_OPERATIONS,
];
