/** windlass account …: who may use the server. */
import type { Command } from "commander";
import { ConfigError } from "../config.ts";
import type { ObjectStore } from "../store/store.ts";
import type { Account, Bucket, Credential } from "../store/types.ts";
import { SECRET_HELP, secretOf } from "./secrets.ts";
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
  email?: string;
  id?: string;
  accessKey?: string;
  secretKey?: string;
  json?: true;
}

/** The pair that two options give. @throws ConfigError for half a pair */
export async function pairOf(flags: {
  accessKey?: string;
  secretKey?: string;
}): Promise<{ accessKeyId: string; secretAccessKey: string } | undefined> {
  const { accessKey, secretKey } = flags;
  if ((accessKey === undefined) !== (secretKey === undefined)) {
    throw new ConfigError("--access-key and --secret-key belong together: give both.");
  }
  if (accessKey === undefined || secretKey === undefined) return undefined;
  return { accessKeyId: accessKey, secretAccessKey: await secretOf("--secret-key", secretKey) };
}

/** The one moment at which a secret is shown. */
export function printCredential(key: Credential): void {
  print(`access key  ${key.accessKeyId}\nsecret key  ${key.secretAccessKey}\nThe secret is shown only now.`);
}

const publicAccount = ({ id, name, email, status, createdAt }: Account) => ({
  id,
  name,
  ...(email === undefined ? {} : { email }),
  status,
  createdAt: when(createdAt),
});

async function create(name: string, flags: CreateFlags): Promise<void> {
  const pair = await pairOf(flags);
  await withStore(flags, async (store) => {
    const { account, key } = await store.accounts.create({
      name,
      ...(flags.email === undefined ? {} : { email: flags.email }),
      ...(flags.id === undefined ? {} : { id: flags.id }),
      ...pair,
    });
    const { accessKeyId, secretAccessKey } = key;
    if (flags.json) printJson({ ...publicAccount(account), accessKeyId, secretAccessKey });
    else {
      print(`Account ${account.name}, canonical user id ${account.id}`);
      printCredential(key);
    }
  });
}

/** All buckets of an account, page by page. */
async function bucketsOf(store: ObjectStore, ownerId: string): Promise<Bucket[]> {
  const all: Bucket[] = [];
  for (;;) {
    const page = await store.listBuckets(ownerId, { prefix: "", after: all.at(-1)?.name ?? "", max: 1000 });
    all.push(...page.buckets);
    if (!page.truncated) return all;
  }
}

async function show(name: string, flags: DataFlags & { json?: true }): Promise<void> {
  await withStore(flags, async (store) => {
    const account = await findAccount(store, name);
    const total = { objects: 0, bytes: 0, versions: 0, versionBytes: 0 };
    const buckets = [];
    for (const bucket of await bucketsOf(store, account.id)) {
      const usage = await store.usage(bucket);
      for (const what of ["objects", "bytes", "versions", "versionBytes"] as const)
        total[what] += usage[what];
      buckets.push({ name: bucket.name, ...usage });
    }
    const keys = (await store.accounts.keys(account.id)).map(({ accessKeyId, enabled }) => ({
      accessKeyId,
      enabled,
    }));
    if (flags.json) return printJson({ ...publicAccount(account), keys, buckets, ...total });
    for (const [label, value] of Object.entries(publicAccount(account)))
      print(`${label.padEnd(10)}  ${value}`);
    for (const key of keys) print(`access key  ${key.accessKeyId}${key.enabled ? "" : " (disabled)"}`);
    const rows = buckets.map((row) =>
      [row.name, row.objects, row.bytes, row.versions, row.versionBytes].map(String),
    );
    const sum = ["total", total.objects, total.bytes, total.versions, total.versionBytes].map(String);
    print(table([["bucket", "objects", "bytes", "versions", "version bytes"], ...rows, sum]));
  });
}

async function list(flags: DataFlags & { json?: true }): Promise<void> {
  await withStore(flags, async (store) => {
    const accounts = await store.accounts.list();
    if (flags.json) printJson(accounts.map(publicAccount));
    else print(table(accounts.map(({ name, id, status, email }) => [name, id, status, email ?? ""])));
  });
}

async function update(name: string, flags: DataFlags & { email?: string; name?: string }): Promise<void> {
  const { email, name: newName } = flags;
  if (email === undefined && newName === undefined)
    throw new ConfigError("Nothing to change: give --email or --name.");
  await withStore(flags, async (store) => {
    const account = await findAccount(store, name);
    const change = {
      ...(email === undefined ? {} : { email }),
      ...(newName === undefined ? {} : { name: newName }),
    };
    const changed = await store.accounts.update(account.id, change);
    print(`Account ${changed.name} is updated.`);
  });
}

async function setStatus(name: string, flags: DataFlags, status: "active" | "suspended"): Promise<void> {
  await withStore(flags, async (store) => {
    const account = await findAccount(store, name);
    await store.accounts.update(account.id, { status });
    print(`Account ${account.name} is ${status}.`);
  });
}

async function remove(name: string, flags: DataFlags): Promise<void> {
  await withStore(flags, async (store) => {
    const account = await findAccount(store, name);
    await store.accounts.delete(account.id);
    print(`Account ${account.name} is deleted.`);
  });
}

export function accountCommands(): Command {
  return group("account", "accounts: create, show, list, update, suspend, resume, delete", [
    dataCommand("create", "make an account with a first access key")
      .argument("<NAME>", "1 to 64 of letters, digits, dot, dash and underscore")
      .option("--email <ADDRESS>", "by which others can name the account in a grant")
      .option("--id <ID>", "canonical user id, 64 hexadecimal characters")
      .option("--access-key <KEY>", "access key, instead of a generated one")
      .option("--secret-key <SECRET>", `its secret; ${SECRET_HELP}`)
      .option("--json", "print JSON")
      .action(create),
    dataCommand("show", "what an account is and holds: buckets, objects and bytes")
      .argument("<NAME>")
      .option("--json", "print JSON")
      .action(show),
    dataCommand("list", "all accounts").option("--json", "print JSON").action(list),
    dataCommand("update", "change an account's e-mail address or name")
      .argument("<NAME>")
      .option("--email <ADDRESS>", "new address; an empty one removes it")
      .option("--name <NAME>", "new name")
      .action(update),
    dataCommand("suspend", "refuse an account's requests; its data stays")
      .argument("<NAME>")
      .action((name: string, flags: DataFlags) => setStatus(name, flags, "suspended")),
    dataCommand("resume", "serve a suspended account again")
      .argument("<NAME>")
      .action((name: string, flags: DataFlags) => setStatus(name, flags, "active")),
    dataCommand(
      "delete",
      "delete an account that owns no buckets, with its origins, endpoints, transformations and keys",
    )
      .argument("<NAME>")
      .action(remove),
  ]);
}
