/** Named transformations: `tr:n-NAME` stands for a chain. Settings documents: transformation {account id}/{name}. */
import type { ObjectStore } from "../../store/store.ts";
import { DeliveryError } from "../errors.ts";
import { parseChain } from "../plan/imagekit.ts";
import { isEmpty } from "../plan/items.ts";
import {
  accountOf,
  find,
  insist,
  key,
  listed,
  taken,
  viewOf,
  wrong,
  type Reference,
  type View,
} from "./documents.ts";

/** As stored. */
export interface TransformationDocument {
  /** ImageKit's grammar, as it stands behind `tr:`. */
  chain: string;
  createdAt: number;
}
export type TransformationView = View<TransformationDocument>;

/** No dot: names stand between commas and colons of chains, and in file names of nobody. */
const NAME = /^[A-Za-z0-9_-]{1,64}$/;
/** Characters. A chain that is written in place of its name must not be longer than a URL could be. */
const CHAIN_LENGTH_MAX = 4000;
const NAMED_ITEM = /(?:^|[,:])n-/;

/** A chain as it is stored. @throws StoreError InvalidArgument that repeats what the grammar says */
function checkChain(text: string): string {
  const chain = text.trim().replace(/^tr:/, "");
  if (isEmpty(chain)) throw wrong("A named transformation needs a chain such as w-300,h-300.");
  if (chain.length > CHAIN_LENGTH_MAX) throw wrong(`A chain has at most ${CHAIN_LENGTH_MAX} characters.`);
  if (NAMED_ITEM.test(chain)) throw wrong("A named transformation can't name another one (n-…).");
  try {
    parseChain(chain);
  } catch (error) {
    if (error instanceof DeliveryError) throw wrong(error.message);
    throw error;
  }
  return chain;
}

/** @throws StoreError InvalidArgument: name malformed or taken, chain wrong */
export async function createTransformation(
  store: ObjectStore,
  { name, owner, chain }: Reference & { readonly chain: string },
): Promise<TransformationView> {
  await store.refresh();
  if (!NAME.test(name)) {
    throw wrong(`"${name}" can't name a transformation: 1 to 64 letters, digits, dashes and underscores.`);
  }
  const account = await accountOf(store, owner ?? "root");
  const value: TransformationDocument = { chain: checkChain(chain), createdAt: Date.now() };
  const document = { kind: "transformation", name: key(account.id, name), value, ifAbsent: true };
  if (!(await store.settings.change([document]))) {
    throw taken(`Account ${account.name} already has a transformation "${name}".`);
  }
  return viewOf(store, { ownerId: account.id, name, value });
}

/** All named transformations, or those of one account, in order of account and name. */
export const listTransformations = (
  store: ObjectStore,
  filter: { owner?: string | undefined } = {},
): Promise<TransformationView[]> =>
  listed<TransformationDocument, TransformationView>(store, "transformation", filter, viewOf);

/** @throws StoreError InvalidArgument: no such transformation */
export async function showTransformation(
  store: ObjectStore,
  reference: Reference,
): Promise<TransformationView> {
  return viewOf(store, await find<TransformationDocument>(store, "transformation", reference));
}

/** Every URL that names it has the new chain with the next request. @throws StoreError InvalidArgument */
export function updateTransformation(
  store: ObjectStore,
  reference: Reference,
  change: { readonly chain: string },
): Promise<TransformationView> {
  return insist(store, async () => {
    const found = await find<TransformationDocument>(store, "transformation", reference);
    const { ownerId, name, value: was } = found;
    const value: TransformationDocument = { ...was, chain: checkChain(change.chain) };
    const document = { kind: "transformation", name: key(ownerId, name), value, was };
    return (await store.settings.change([document])) ? viewOf(store, { ownerId, name, value }) : undefined;
  });
}

/** URLs that name it are answered 400 from now on. Returns what was deleted. @throws StoreError InvalidArgument */
export async function deleteTransformation(
  store: ObjectStore,
  reference: Reference,
): Promise<TransformationView> {
  const found = await find<TransformationDocument>(store, "transformation", reference);
  const name = key(found.ownerId, found.name);
  await store.settings.change([{ kind: "transformation", name, value: undefined }]);
  return viewOf(store, found);
}

/** The chains of an account's named transformations; names that it doesn't have are left out. */
export async function namedOf(
  store: ObjectStore,
  ownerId: string,
  names: readonly string[],
): Promise<Map<string, string>> {
  const named = new Map<string, string>();
  for (const name of names) {
    if (!NAME.test(name)) continue;
    const document = await store.settings.get<TransformationDocument>("transformation", key(ownerId, name));
    if (document !== undefined) named.set(name, document.chain);
  }
  return named;
}
