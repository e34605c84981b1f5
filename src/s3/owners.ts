/** Who owns what, as documents show it. */
import type { ObjectStore } from "../store/store.ts";
import type { OwnerElement } from "./documents.ts";

/** The id with the account's name; without one for the anonymous user and for accounts that are gone. */
export async function ownerElement(store: ObjectStore, id: string): Promise<OwnerElement> {
  const account = await store.accounts.byId(id);
  return account === undefined ? { ID: id } : { ID: id, DisplayName: account.name };
}

/** `ownerElement` for a listing: each account is looked up once. */
export function ownerCache(store: ObjectStore): (id: string) => Promise<OwnerElement> {
  const known = new Map<string, Promise<OwnerElement>>();
  return (id) => {
    let found = known.get(id);
    if (found === undefined) known.set(id, (found = ownerElement(store, id)));
    return found;
  };
}
