/** windlass key …: the access keys of an account. */
import type { Command } from "commander";
import { pairOf, printCredential } from "./account.ts";
import { SECRET_HELP } from "./secrets.ts";
import {
  dataCommand,
  findAccount,
  group,
  print,
  printJson,
  table,
  when,
  withStore,
  type DataFlags,
} from "./shared.ts";

interface CreateFlags extends DataFlags {
  accessKey?: string;
  secretKey?: string;
  json?: true;
}

async function create(name: string, flags: CreateFlags): Promise<void> {
  const pair = await pairOf(flags);
  await withStore(flags, async (store) => {
    const account = await findAccount(store, name);
    const key = await store.accounts.createKey(account.id, pair);
    const { accessKeyId, secretAccessKey } = key;
    if (flags.json) printJson({ account: account.name, accessKeyId, secretAccessKey });
    else printCredential(key);
  });
}

async function list(name: string, flags: DataFlags & { json?: true }): Promise<void> {
  await withStore(flags, async (store) => {
    const account = await findAccount(store, name);
    const keys = await store.accounts.keys(account.id);
    if (flags.json) {
      return printJson(
        keys.map(({ accessKeyId, enabled, createdAt }) => ({
          accessKeyId,
          enabled,
          createdAt: when(createdAt),
        })),
      );
    }
    const rows = keys.map((key) => [
      key.accessKeyId,
      key.enabled ? "enabled" : "disabled",
      when(key.createdAt),
    ]);
    if (rows.length > 0) print(table(rows));
  });
}

async function setEnabled(accessKeyId: string, flags: DataFlags, enabled: boolean): Promise<void> {
  await withStore(flags, async (store) => {
    await store.accounts.setKeyEnabled(accessKeyId, enabled);
    print(`Access key ${accessKeyId} is ${enabled ? "enabled" : "disabled"}.`);
  });
}

async function remove(accessKeyId: string, flags: DataFlags): Promise<void> {
  await withStore(flags, async (store) => {
    await store.accounts.deleteKey(accessKeyId);
    print(`Access key ${accessKeyId} is deleted.`);
  });
}

export function keyCommands(): Command {
  return group("key", "access keys: create, list, enable, disable, delete", [
    dataCommand("create", "give an account a further access key")
      .argument("<ACCOUNT>")
      .option("--access-key <KEY>", "access key, instead of a generated one")
      .option("--secret-key <SECRET>", `its secret; ${SECRET_HELP}`)
      .option("--json", "print JSON")
      .action(create),
    dataCommand("list", "an account's access keys")
      .argument("<ACCOUNT>")
      .option("--json", "print JSON")
      .action(list),
    dataCommand("enable", "take a disabled access key back into use")
      .argument("<KEY>")
      .action((key: string, flags: DataFlags) => setEnabled(key, flags, true)),
    dataCommand("disable", "refuse what is signed with an access key")
      .argument("<KEY>")
      .action((key: string, flags: DataFlags) => setEnabled(key, flags, false)),
    dataCommand("delete", "delete an access key").argument("<KEY>").action(remove),
  ]);
}
