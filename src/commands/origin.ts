/** windlass origin …: where delivered files come from. */
import { Command } from "commander";
import type { OriginView } from "../delivery/origins.ts";
import { dataCommand, print, printJson, table, when, withStore, type DataFlags } from "./shared.ts";

interface Flags extends DataFlags {
  owner?: string;
  json?: true;
}
interface ChangeFlags extends Flags {
  alias?: string;
  folder?: string;
  bucket?: string;
}

/** Options of `create` that only other types of origin have, as the flag is written, by commander's name for it. */
const FOREIGN: Readonly<Record<string, readonly [flag: string, doc: string]>> = {
  region: ["--region <NAME>", "s3: region of the bucket"],
  endpointUrl: ["--endpoint-url <URL>", "s3-compatible: address of the server"],
  pathStyle: ["--path-style", "s3-compatible: bucket in the path"],
  accessKey: ["--access-key <KEY>", "s3, s3-compatible, gcs: access key"],
  secretKey: ["--secret-key <SECRET>", "its secret"],
  azureAccount: ["--azure-account <NAME>", "azure: storage account"],
  container: ["--container <NAME>", "azure: container"],
  sasToken: ["--sas-token <TOKEN>", "azure: shared access signature"],
  accountKey: ["--account-key <KEY>", "azure: account key"],
  azureEndpoint: ["--azure-endpoint <URL>", "azure: address of the service"],
  credentialsFile: ["--credentials-file <FILE>", "gcs: service account"],
  baseUrl: ["--base-url <URL>", "web: what a path is added to"],
  allowHost: ["--allow-host <HOST...>", "web, web-proxy: hosts that may be asked"],
  canonicalBase: ["--canonical-base <URL>", "web: address named in Link headers"],
  encodeKeys: ["--encode-keys", "web: keys are sent percent-encoded"],
};

const publicOrigin = (origin: OriginView) => ({ ...origin, createdAt: when(origin.createdAt) });

function show(origin: OriginView, json: true | undefined): void {
  if (json) printJson(publicOrigin(origin));
  else print(table(Object.entries(publicOrigin(origin)).map(([name, value]) => [name, value])));
}

async function create(
  name: string,
  flags: ChangeFlags & { type: string } & Record<string, unknown>,
): Promise<void> {
  const foreign = Object.keys(FOREIGN).filter((option) => flags[option] !== undefined);
  await withStore(flags, async (store) => {
    const { createOrigin } = await import("../delivery/origins.ts");
    const { type, owner, bucket, folder, alias } = flags;
    const flagNames = foreign.map((option) => FOREIGN[option]![0].split(" ")[0]!);
    const origin = await createOrigin(store, {
      name,
      type,
      owner,
      bucket,
      folder,
      alias,
      foreign: flagNames,
    });
    if (flags.json) return printJson(publicOrigin(origin));
    print(`Origin ${origin.name} of account ${origin.owner} reads bucket ${origin.bucket}.`);
  });
}

async function list(flags: Flags): Promise<void> {
  await withStore(flags, async (store) => {
    const { listOrigins } = await import("../delivery/origins.ts");
    const origins = await listOrigins(store, { owner: flags.owner });
    if (flags.json) return printJson(origins.map(publicOrigin));
    const rows = origins.map((one) => [
      one.owner,
      one.name,
      one.type,
      `${one.bucket}/${one.folder}`,
      one.alias ?? "",
    ]);
    if (rows.length > 0) print(table(rows));
  });
}

async function showOne(name: string, flags: Flags): Promise<void> {
  await withStore(flags, async (store) => {
    const { showOrigin } = await import("../delivery/origins.ts");
    show(await showOrigin(store, { name, owner: flags.owner }), flags.json);
  });
}

async function update(name: string, flags: ChangeFlags): Promise<void> {
  await withStore(flags, async (store) => {
    const { updateOrigin } = await import("../delivery/origins.ts");
    const { owner, bucket, folder, alias } = flags;
    show(await updateOrigin(store, { name, owner }, { bucket, folder, alias }), flags.json);
  });
}

async function remove(name: string, flags: Flags): Promise<void> {
  await withStore(flags, async (store) => {
    const { deleteOrigin } = await import("../delivery/origins.ts");
    await deleteOrigin(store, { name, owner: flags.owner });
    print(`Origin ${name} is deleted.`);
  });
}

const named = (name: string, description: string): Command =>
  dataCommand(name, description)
    .argument("<NAME>")
    .option("--owner <ACCOUNT>", "account that the origin belongs to")
    .option("--json", "print JSON");

function createCommand(): Command {
  const command = named("create", "add an origin; an account's first is reached through its default endpoint")
    .requiredOption(
      "--type <TYPE>",
      "bucket (s3, s3-compatible, azure, gcs, web and web-proxy are not built yet)",
    )
    .option("--alias <ALIAS>", "name in /image/ALIAS/… URLs; the origin's own name when that is free")
    .option("--folder <PATH>", "put before the path of a URL")
    .option("--bucket <BUCKET>", "bucket to read");
  for (const [flag, doc] of Object.values(FOREIGN)) command.option(flag, doc);
  return command.action(create);
}

async function test(name: string, flags: Flags): Promise<void> {
  await withStore(flags, async (store) => {
    const { testOrigin } = await import("../delivery/origins.ts");
    const { ok, findings } = await testOrigin(store, { name, owner: flags.owner });
    if (flags.json) printJson({ ok, findings });
    else for (const finding of findings) print(finding);
    if (!ok) process.exitCode = 1;
  });
}

export function originCommands(): Command {
  const group = new Command("origin").description(
    "origins of delivered files: create, list, show, update, delete, test",
  );
  group.addCommand(createCommand());
  group.addCommand(
    dataCommand("list", "all origins, or one account's")
      .option("--owner <ACCOUNT>", "account")
      .option("--json", "print JSON")
      .action(list),
  );
  group.addCommand(named("show", "what an origin is").action(showOne));
  group.addCommand(
    named("update", "change an origin")
      .option("--alias <ALIAS>", "new alias; an empty one takes it away")
      .option("--folder <PATH>", "new folder")
      .option("--bucket <BUCKET>", "new bucket")
      .action(update),
  );
  group.addCommand(named("delete", "delete an origin").action(remove));
  group.addCommand(
    named("test", "say whether an origin's files can be read; ends with 1 when not").action(test),
  );
  return group;
}
