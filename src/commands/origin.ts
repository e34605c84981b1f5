/** windlass origin …: where delivered files come from. */
import { InvalidArgumentError, type Command } from "commander";
import { ConfigError } from "../config.ts";
import type { OriginFields, OriginView } from "../delivery/origins/origins.ts";
import {
  listCommand,
  namedCommand,
  ofAccount,
  printDocument,
  showCommand,
  type OwnedFlags,
} from "./owned.ts";
import { SECRET_HELP, secretFile, secretOf } from "./secrets.ts";
import { collect, group, print, printJson, withStore } from "./shared.ts";

type ChangeFlags = OwnedFlags &
  Omit<OriginFields, "allowHosts" | "credentials"> & { allowHost?: string[]; credentialsFile?: string };

/** Options whose values may stand elsewhere, by commander's name. */
const SECRETS = { secretKey: "--secret-key", sasToken: "--sas-token", accountKey: "--account-key" } as const;

/** What the flags say, with secrets fetched from where they stand. @throws ConfigError */
async function changeOf(flags: ChangeFlags): Promise<OriginFields> {
  const { data: _data, keyFile: _keyFile, config: _config, owner: _owner, json: _json, ...rest } = flags;
  const { allowHost, credentialsFile, ...fields } = rest;
  const fromInput = [...Object.keys(SECRETS), "credentialsFile"].filter(
    (name) => flags[name as keyof ChangeFlags] === "-",
  );
  if (fromInput.length > 1) throw new ConfigError("Only one secret can be read from standard input.");
  const change: { -readonly [Name in keyof OriginFields]: OriginFields[Name] } = { ...fields };
  for (const [name, option] of Object.entries(SECRETS) as [keyof typeof SECRETS, string][]) {
    const value = flags[name];
    if (value !== undefined) change[name] = await secretOf(option, value);
  }
  if (credentialsFile !== undefined) {
    change.credentials =
      credentialsFile === "" ? "" : await secretFile("--credentials-file", credentialsFile);
  }
  // One empty --allow-host takes all away.
  if (allowHost !== undefined) change.allowHosts = allowHost.filter((host) => host !== "");
  return change;
}

/** Where an origin's files are, in a few words. */
function placeOf({ type, folder, bucket, ...origin }: OriginView): string {
  if (type === "web") return `${origin.baseUrl}${folder}`;
  if (type === "web-proxy") return origin.allowHosts?.join(", ") ?? "";
  return type === "azure" ? `${origin.azureAccount}/${origin.container}/${folder}` : `${bucket}/${folder}`;
}

/** As a shell reads it. */
const quoted = (name: string): string => (name.includes(" ") ? `"${name}"` : name);

async function create(name: string, flags: ChangeFlags & { type: string }): Promise<void> {
  const { type, ...others } = flags;
  const change = await changeOf(others);
  await withStore(flags, async (store) => {
    const { createOrigin } = await import("../delivery/origins/origins.ts");
    const origin = await createOrigin(store, { ...change, name, owner: flags.owner, type });
    if (flags.json) return printDocument(origin, true);
    print(`Origin ${origin.name} of account ${origin.owner} reads ${origin.type} ${placeOf(origin)}`);
    if (origin.alias !== undefined) print(`Its alias: /image/${origin.alias}/…`);
    const whose = origin.owner === "root" ? "" : ` --owner ${origin.owner}`;
    print(`To see whether it can: windlass origin test ${quoted(origin.name)}${whose}`);
  });
}

async function update(name: string, flags: ChangeFlags): Promise<void> {
  const change = await changeOf(flags);
  await withStore(flags, async (store) => {
    const { updateOrigin } = await import("../delivery/origins/origins.ts");
    printDocument(await updateOrigin(store, { name, owner: flags.owner }, change), flags.json);
  });
}

async function remove(name: string, flags: OwnedFlags): Promise<void> {
  await withStore(flags, async (store) => {
    const { deleteOrigin } = await import("../delivery/origins/origins.ts");
    const { owner, endpoints } = await deleteOrigin(store, { name, owner: flags.owner });
    if (flags.json) return printJson({ deleted: name, owner, endpoints });
    print(`Origin ${name}${ofAccount(owner)} is deleted.`);
    for (const { name: endpoint, origins } of endpoints) {
      print(`Endpoint ${endpoint} has ${origins.length === 0 ? "no origin" : origins.join(", ")} now.`);
    }
  });
}

async function test(name: string, flags: OwnedFlags): Promise<void> {
  await withStore(flags, async (store) => {
    const { showOrigin, testOrigin } = await import("../delivery/origins/origins.ts");
    const { owner, ownerId } = await showOrigin(store, { name, owner: flags.owner });
    const { ok, findings } = await testOrigin(store, { name, owner: ownerId });
    if (flags.json) printJson({ ok, findings });
    else {
      if (owner !== "root") print(`Origin ${name}${ofAccount(owner)}:`);
      for (const finding of findings) print(finding);
    }
    if (!ok) process.exitCode = 1;
  });
}

function secondsOf(text: string): number | null {
  if (text === "") return null;
  if (/^\d{1,4}(\.\d{1,3})?$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It is a number of seconds.");
}

const FIELDS: readonly (readonly [flag: string, doc: string])[] = [
  ["--folder <PATH>", "put before the path of a URL; Weekerp's BasePath"],
  ["--bucket <BUCKET>", "bucket, s3, s3-compatible, gcs: bucket to read"],
  ["--region <NAME>", "s3: region of the bucket; learned from the bucket when not given"],
  ["--endpoint-url <URL>", "s3-compatible, gcs: address of the service"],
  ["--access-key <KEY>", "s3, s3-compatible: access key id"],
  ["--secret-key <SECRET>", `its secret; ${SECRET_HELP}`],
  ["--azure-account <NAME>", "azure: storage account"],
  ["--container <NAME>", "azure: container"],
  ["--sas-token <TOKEN>", `azure: shared access signature, beginning with ?; ${SECRET_HELP}`],
  ["--account-key <KEY>", `azure: account key; ${SECRET_HELP}`],
  ["--azure-endpoint <URL>", "azure: address of the service"],
  ["--credentials-file <FILE>", "gcs: a service account's JSON; - reads standard input"],
  ["--base-url <URL>", "web: what a path is added to"],
  ["--canonical-base <URL>", 'answers name their source below this: Link: <…>; rel="canonical"'],
];
const SWITCHES: readonly (readonly [flag: string, doc: string])[] = [
  ["path-style", "s3-compatible: the bucket stands in the path and not in the host name"],
  ["forward-host", "web: the server gets the client's Host header"],
  ["encode-keys", "look for keys in their percent-encoded form first"],
];

function withChanges(command: Command): Command {
  for (const [flag, doc] of FIELDS) command.option(flag, doc);
  for (const [flag, doc] of SWITCHES) command.option(`--${flag}`, doc).option(`--no-${flag}`, "the opposite");
  return command
    .option(
      "--allow-host <HOST>",
      "host that may be asked although its address is private, and for web-proxy: that may be asked; repeatable",
      collect,
    )
    .option("--timeout <SECONDS>", "how long the origin may take to answer", secondsOf);
}

export function originCommands(): Command {
  const what = "origin";
  const creating = namedCommand("create", "add an origin; an account's first is reached at once", what)
    .requiredOption("--type <TYPE>", "bucket, s3, s3-compatible, azure, gcs, web or web-proxy")
    .option(
      "--alias <ALIAS>",
      "name in /image/ALIAS/… URLs; the origin's own name, with hyphens for blanks, when that is free",
    );
  const updating = namedCommand("update", "change what is given; an empty value takes away", what).option(
    "--alias <ALIAS>",
    "new alias",
  );
  return group("origin", "origins of delivered files: create, list, show, update, delete, test", [
    withChanges(creating).action(create),
    listCommand(
      "all origins, or one account's",
      async () => (await import("../delivery/origins/origins.ts")).listOrigins,
      (one) => [one.owner, one.name, one.type, placeOf(one), one.alias ?? ""],
    ),
    showCommand(
      "what an origin is; secrets are never shown",
      what,
      async () => (await import("../delivery/origins/origins.ts")).showOrigin,
    ),
    withChanges(updating).action(update),
    namedCommand("delete", "delete an origin", what).action(remove),
    namedCommand(
      "test",
      "say whether its files can be read, and else what is wrong; ends with 1",
      what,
    ).action(test),
  ]);
}
