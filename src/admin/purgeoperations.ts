/** Operations on purges, ours and those of ImageKit's API. */
import { z } from "zod";
import { requestPurge, showPurge, type Purge } from "../delivery/cache/purge.ts";
import { locateUrl, purgeUrl } from "../delivery/urls.ts";
import { ApiError } from "./errors.ts";
import { operation, ownerOf, type Context, type Operation } from "./operation.ts";
import { existing, OWNER } from "./resource.ts";

const view = ({ id, scope, at }: Purge): object => ({
  id,
  // A mark is in force for every node's next request as soon as it is stored.
  state: "done",
  scope,
  createdAt: new Date(at).toISOString(),
});

/** @throws ApiError AccessDenied for another account's URL */
async function purge(context: Context, url: string): Promise<Purge> {
  const located = await locateUrl(context.store, url);
  await ownerOf(context, located.place.owner.id);
  return purgeUrl(context.store, located);
}

const URL_FIELD = z.string().meta({
  description: "Of a file, with or without a transformation; with * at its end, of all that begin so.",
});

export const PURGE_OPERATIONS: readonly Operation[] = [
  operation({
    name: "CreatePurge",
    method: "POST",
    path: "/api/v1/purges",
    status: 201,
    doc: "Forgets everything that was fetched and made of a URL's file, or of an origin or one of its folders.",
    input: z.strictObject({
      owner: OWNER,
      url: URL_FIELD.optional(),
      origin: z.string().optional().meta({ description: "Instead of a URL: name of an origin." }),
      prefix: z.string().optional().meta({ description: "Of paths below the origin's folder." }),
    }),
    run: async (context, { owner, url, origin, prefix }) => {
      if (url !== undefined && origin === undefined && prefix === undefined) {
        return view(await purge(context, url));
      }
      if (url !== undefined || origin === undefined) {
        throw new ApiError("InvalidInput", "Give url, or origin and perhaps prefix.");
      }
      await existing(context, "origin", { owner, name: origin });
      const { id: ownerId } = await ownerOf(context, owner);
      const scope = { ownerId, origin, ...(prefix === undefined ? {} : { prefix }) };
      return view(await requestPurge(context.store, scope));
    },
  }),
  operation({
    name: "ShowPurge",
    method: "GET",
    path: "/api/v1/purges/:id",
    status: 200,
    doc: "How far a purge is.",
    input: z.strictObject({ owner: OWNER, id: z.string() }),
    run: async (context, { owner, id }) =>
      view(await showPurge(context.store, (await ownerOf(context, owner)).id, id)),
  }),
  operation({
    name: "ImageKitPurge",
    imagekit: true,
    method: "POST",
    path: "/v1/files/purge",
    status: 201,
    doc: "As ImageKit's API has it, for tools that know that one.",
    input: z.object({ url: URL_FIELD }),
    run: async (context, { url }) => ({ requestId: (await purge(context, url)).id }),
  }),
  operation({
    name: "ImageKitPurgeStatus",
    imagekit: true,
    method: "GET",
    path: "/v1/files/purge/:requestId",
    status: 200,
    doc: "As ImageKit's API has it.",
    input: z.object({ requestId: z.string() }),
    run: async ({ store, caller }, { requestId }) => {
      await showPurge(store, caller.account.id, requestId);
      return { status: "Completed" };
    },
  }),
];
