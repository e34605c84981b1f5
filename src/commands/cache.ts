/** windlass cache …: forgetting what was fetched and made. */
import type { Command } from "commander";
import { ConfigError } from "../config.ts";
import type { Purge, Scope } from "../delivery/cache/purge.ts";
import type { ObjectStore } from "../store/store.ts";
import { ofAccount, ownedCommand, type OwnedFlags } from "./owned.ts";
import { group, print, printJson, when, withStore } from "./shared.ts";

interface PurgeFlags extends OwnedFlags {
  url?: string;
  origin?: string;
  prefix?: string;
}

async function request(store: ObjectStore, { url, origin, prefix, owner }: PurgeFlags): Promise<Purge> {
  const [{ locateUrl, purgeUrl }, { requestPurge }, { showOrigin }] = await Promise.all([
    import("../delivery/urls.ts"),
    import("../delivery/cache/purge.ts"),
    import("../delivery/origins/origins.ts"),
  ]);
  if (url !== undefined) return purgeUrl(store, await locateUrl(store, url));
  const { ownerId, name } = await showOrigin(store, { name: origin!, owner });
  return requestPurge(store, { ownerId, origin: name, ...(prefix === undefined ? {} : { prefix }) });
}

async function show(store: ObjectStore, { id, at, scope }: Purge, json: true | undefined): Promise<void> {
  // A mark is in force for every node's next request as soon as it is stored.
  if (json) return printJson({ id, state: "done", scope, createdAt: when(at) });
  const { ownerName } = await import("../delivery/origins/documents.ts");
  const whose = ofAccount(await ownerName(store, scope.ownerId));
  print(`Purge ${id} of ${wordsFor(scope)}${whose} is done; it was asked for at ${when(at)}.`);
}

function wordsFor({ origin, prefix, path }: Scope): string {
  const what = path ?? (prefix === undefined ? "everything" : `${prefix}*`);
  return origin === undefined ? `${what} of all origins` : `${what} of origin ${origin}`;
}

async function purge(flags: PurgeFlags): Promise<void> {
  const { url, origin, prefix } = flags;
  if ((url === undefined) === (origin === undefined) || (url !== undefined && prefix !== undefined)) {
    throw new ConfigError("Give --url, or --origin and perhaps --prefix.");
  }
  await withStore(flags, async (store) => show(store, await request(store, flags), flags.json));
}

async function status(id: string, flags: OwnedFlags): Promise<void> {
  await withStore(flags, async (store) => {
    const { listPurges } = await import("../delivery/cache/purge.ts");
    const found = (await listPurges(store)).find((one) => one.id === id);
    if (found === undefined) throw new ConfigError(`There is no purge "${id}".`);
    await show(store, found, flags.json);
  });
}

export function cacheCommands(): Command {
  return group("cache", "results and copies of foreign files: purge, status", [
    ownedCommand("purge", "forget what was fetched and made, on every node, with the next request", "origin")
      .option(
        "--url <URL>",
        "of a file, with or without a transformation; with * at its end, of all that begin so",
      )
      .option("--origin <ORIGIN>", "everything of an origin")
      .option("--prefix <PREFIX>", "only paths of the origin that begin so")
      .action(purge),
    ownedCommand("status", "how far a purge is", "purge").argument("<ID>").action(status),
  ]);
}
