/** windlass url …: signed URLs, and the keys that sign them. */
import { InvalidArgumentError, Option, type Command } from "commander";
import type { Scheme } from "../delivery/signature.ts";
import { listCommand, ownedCommand, printDocument, type OwnedFlags } from "./owned.ts";
import { SECRET_HELP, secretOf } from "./secrets.ts";
import { dataCommand, group, print, printJson, withStore, type DataFlags } from "./shared.ts";

interface SignFlags extends DataFlags {
  expires?: number;
  key?: string;
  scheme?: Scheme;
  json?: true;
}

async function sign(text: string, { expires, key: keyId, scheme, json, ...flags }: SignFlags): Promise<void> {
  await withStore(flags, async (store) => {
    const [{ locateUrl }, { signUrl }] = await Promise.all([
      import("../delivery/urls.ts"),
      import("../delivery/signature.ts"),
    ]);
    const url = await signUrl(store, { ...(await locateUrl(store, text)), scheme, keyId, expires });
    if (json) printJson({ url });
    else print(url);
  });
}

async function createKey(id: string | undefined, flags: OwnedFlags & { secret?: string }): Promise<void> {
  const { secret, owner, json } = flags;
  const value = secret === undefined ? undefined : await secretOf("--secret", secret);
  await withStore(flags, async (store) => {
    const { createUrlKey } = await import("../delivery/signature.ts");
    const { secret: shown, ...key } = await createUrlKey(store, { owner, id, secret: value });
    // Who brought a secret along has it already.
    const made = value === undefined ? { ...key, secret: shown } : key;
    if (json) return printDocument(made, true);
    print(`URL key ${key.id} of account ${key.owner} signs URLs from now on.`);
    if (value === undefined) print(`secret  ${shown}\nThe secret is shown only now.`);
  });
}

async function deleteKey(id: string, flags: OwnedFlags): Promise<void> {
  await withStore(flags, async (store) => {
    const { deleteUrlKey } = await import("../delivery/signature.ts");
    await deleteUrlKey(store, { id, owner: flags.owner });
    if (flags.json) printJson({ deleted: id });
    else print(`URL key ${id} is deleted; URLs that were signed with it are answered 401.`);
  });
}

function secondsOf(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It is a whole number of seconds from now.");
}

export function urlCommands(): Command {
  const signing = dataCommand(
    "sign",
    "sign the URL of a file; the account's first key is made when it has none",
  )
    .argument("<URL>", "with its transformation, or its path alone")
    .option("--expires <SECONDS>", "how long it is good for; without it, for ever", secondsOf)
    .option("--key <ID>", "key to sign with; the account's key named default, else its first, when not given")
    .addOption(
      new Option(
        "--scheme <SCHEME>",
        "ImageKit's ik-s and ik-t, the usual one of endpoints; or wl-sig, SHA-256 with the key's id, that of aliases",
      ).choices(["imagekit", "windlass"]),
    )
    .option("--json", "print JSON");
  const keys = group("key", "keys that sign URLs: create, list, delete", [
    ownedCommand("create", "add a key; its secret is ImageKit's private key", "key")
      .argument("[ID]", "letters, digits, dashes and underscores; a random one when not given")
      .option("--secret <SECRET>", `secret that is in use elsewhere, instead of a new one; ${SECRET_HELP}`)
      .action(createKey),
    listCommand(
      "all keys, or one account's; secrets are never shown",
      async () => (await import("../delivery/signature.ts")).listUrlKeys,
      ({ owner, id }) => [owner, id],
    ),
    ownedCommand("delete", "delete a key, and with it all URLs that it has signed", "key")
      .argument("<ID>")
      .action(deleteKey),
  ]);
  return group("url", "URLs of files: sign, key", [signing.action(sign), keys]);
}
