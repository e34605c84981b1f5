/** Operations on signed URLs and the keys that sign them. */
import { z } from "zod";
import { DeliveryError } from "../delivery/errors.ts";
import {
  checkSignature,
  createUrlKey,
  deleteUrlKey,
  EXPIRES_MAX,
  imagekitSignature,
  listUrlKeys,
  signUrl,
} from "../delivery/signature.ts";
import { locateUrl } from "../delivery/urls.ts";
import type { ObjectStore } from "../store/store.ts";
import type { Account } from "../store/types.ts";
import { ApiError } from "./errors.ts";
import { filterOf, operation, ownerOf, wire, type Operation } from "./operation.ts";
import { OWNER } from "./resource.ts";

const ID = z.string().meta({ description: "Of a key." });

export const URL_OPERATIONS: readonly Operation[] = [
  operation({
    name: "SignUrl",
    method: "POST",
    path: "/api/v1/signed-urls",
    status: 201,
    doc: "Signs the URL of a file. The account's first key is made when it has none.",
    input: z.strictObject({
      url: z.string().meta({ description: "With its transformation, or its path alone." }),
      expires: z
        .int()
        .min(1)
        .max(EXPIRES_MAX)
        .optional()
        .meta({ description: "Seconds that it is good for; for ever when left out." }),
      key: ID.optional(),
      scheme: z
        .enum(["imagekit", "windlass"])
        .optional()
        .meta({ description: "imagekit for URL-endpoints, windlass for aliases when left out." }),
    }),
    run: async (context, { url, expires, key: keyId, scheme }) => {
      const located = await locateUrl(context.store, url);
      await ownerOf(context, located.place.owner.id);
      return { url: await signUrl(context.store, { ...located, scheme, keyId, expires }) };
    },
  }),
  operation({
    name: "ListUrlKeys",
    method: "GET",
    path: "/api/v1/url-keys",
    status: 200,
    doc: "Keys that sign URLs, without their secrets.",
    input: z.strictObject({ owner: OWNER }),
    run: async (context, { owner }) =>
      (await listUrlKeys(context.store, await filterOf(context, owner))).map((one) => wire(one)),
  }),
  operation({
    name: "CreateUrlKey",
    method: "POST",
    path: "/api/v1/url-keys",
    status: 201,
    doc: "Adds a key. A secret that was made here is answered this once.",
    input: z.strictObject({
      owner: OWNER,
      id: z.string().optional().meta({ description: "A random one when left out." }),
      secret: z
        .string()
        .optional()
        .meta({ description: "One that is in use elsewhere.", writeOnly: true, format: "password" }),
    }),
    run: async (context, { owner, id, secret }) => {
      const account = await ownerOf(context, owner);
      const { secret: made, ...key } = await createUrlKey(context.store, { owner: account.id, id, secret });
      return secret === undefined ? { ...wire(key), secret: made } : wire(key);
    },
  }),
  operation({
    name: "DeleteUrlKey",
    method: "DELETE",
    path: "/api/v1/url-keys/:id",
    status: 204,
    doc: "Deletes a key: URLs that were signed with it are answered 401.",
    input: z.strictObject({ owner: OWNER, id: ID }),
    run: async (context, { owner, id }) => {
      const account = await ownerOf(context, owner);
      const keys = await listUrlKeys(context.store, { owner: account.id });
      if (!keys.some((one) => one.id === id)) {
        throw new ApiError("NotFound", `Account ${account.name} has no URL key "${id}".`);
      }
      await deleteUrlKey(context.store, { owner: account.id, id });
    },
  }),
];

/** What a private key is tried on. */
const PROBE = { grammar: "imagekit", scope: "", rawPath: "probe", rawQuery: "" } as const;

/** Whose private key it is: ImageKit's credentials are that key, here the secret of a URL key, and any password. */
export async function imagekitAccount(store: ObjectStore, privateKey: string): Promise<Account | undefined> {
  if (privateKey === "") return undefined;
  const owners = new Set((await listUrlKeys(store)).map(({ owner }) => owner));
  const rawQuery = `ik-s=${imagekitSignature(privateKey, PROBE)}`;
  for (const owner of owners) {
    const account = await store.accounts.byName(owner);
    if (account !== undefined && (await signs(store, account, rawQuery))) return account;
  }
  return undefined;
}

/** Whether one of an account's keys made that signature of the probe. */
async function signs(store: ObjectStore, { id: ownerId }: Account, rawQuery: string): Promise<boolean> {
  try {
    return (await checkSignature(store, { ...PROBE, ownerId, rawQuery, now: Date.now() })) !== undefined;
  } catch (error) {
    if (error instanceof DeliveryError && error.code === "InvalidSignature") return false;
    throw error;
  }
}
