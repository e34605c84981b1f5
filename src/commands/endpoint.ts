/** windlass endpoint …: the URL-endpoints under which an account's origins are reached. */
import { Command } from "commander";
import { ConfigError } from "../config.ts";
import type { EndpointView } from "../delivery/origins.ts";
import { dataCommand, print, printJson, table, when, withStore, type DataFlags } from "./shared.ts";

interface Flags extends DataFlags {
  owner?: string;
  json?: true;
}
interface ChangeFlags extends Flags {
  prefix?: string;
  origin?: string[];
}

/** Options of the contract that are refused, by commander's name, until what they promise is there. */
const TO_COME: Readonly<Record<string, readonly [flag: string, doc: string]>> = {
  domain: ["--domain <HOST>", "host name of its own"],
  signedOnly: ["--signed-only", "signed URLs only"],
  namedOnly: ["--named-only", "named transformations only"],
  allowPrompts: ["--allow-prompts", "transformations by prompt"],
  defaultImage: ["--default-image <PATH>", "answered for what is missing"],
};

const publicEndpoint = (endpoint: EndpointView) => ({ ...endpoint, createdAt: when(endpoint.createdAt) });

function show(endpoint: EndpointView, json: true | undefined): void {
  if (json) return printJson(publicEndpoint(endpoint));
  print(table(Object.entries(publicEndpoint(endpoint)).map(([name, value]) => [name, String(value)])));
}

async function create(name: string, flags: ChangeFlags & Record<string, unknown>): Promise<void> {
  for (const [option, [flag]] of Object.entries(TO_COME)) {
    if (flags[option] !== undefined) throw new ConfigError(`${flag.split(" ")[0]} is not built yet.`);
  }
  await withStore(flags, async (store) => {
    const { createEndpoint } = await import("../delivery/origins.ts");
    const { owner, prefix, origin: origins = [] } = flags;
    const endpoint = await createEndpoint(store, { name, owner, prefix, origins });
    if (flags.json) return printJson(publicEndpoint(endpoint));
    print(`Endpoint ${endpoint.name} is reached under /${[endpoint.owner, endpoint.prefix].join("/")}`);
  });
}

async function list(flags: Flags): Promise<void> {
  await withStore(flags, async (store) => {
    const { listEndpoints } = await import("../delivery/origins.ts");
    const endpoints = await listEndpoints(store, { owner: flags.owner });
    if (flags.json) return printJson(endpoints.map(publicEndpoint));
    const rows = endpoints.map((one) => [one.owner, one.name, `/${one.prefix}`, one.origins.join(",")]);
    if (rows.length > 0) print(table(rows));
  });
}

async function showOne(name: string, flags: Flags): Promise<void> {
  await withStore(flags, async (store) => {
    const { showEndpoint } = await import("../delivery/origins.ts");
    show(await showEndpoint(store, { name, owner: flags.owner }), flags.json);
  });
}

async function update(name: string, flags: ChangeFlags): Promise<void> {
  await withStore(flags, async (store) => {
    const { updateEndpoint } = await import("../delivery/origins.ts");
    const { owner, prefix, origin: origins } = flags;
    show(await updateEndpoint(store, { name, owner }, { prefix, origins }), flags.json);
  });
}

async function remove(name: string, flags: Flags): Promise<void> {
  await withStore(flags, async (store) => {
    const { deleteEndpoint } = await import("../delivery/origins.ts");
    await deleteEndpoint(store, { name, owner: flags.owner });
    print(`Endpoint ${name} is deleted.`);
  });
}

const named = (name: string, description: string): Command =>
  dataCommand(name, description)
    .argument("<NAME>")
    .option("--owner <ACCOUNT>", "account that the endpoint belongs to")
    .option("--json", "print JSON");

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

export function endpointCommands(): Command {
  const group = new Command("endpoint").description(
    "URL-endpoints of accounts: create, list, show, update, delete",
  );
  const creating = named("create", "add an endpoint over one or more origins")
    .option("--prefix <PREFIX>", "in its URLs: /ACCOUNT/PREFIX/…; the endpoint's name when not given")
    .option(
      "--origin <ORIGIN>",
      "origin to read, repeatable: the next is asked for what the one before lacks",
      collect,
    );
  for (const [flag, doc] of Object.values(TO_COME)) creating.option(flag, `${doc} (not built yet)`);
  group.addCommand(creating.action(create));
  group.addCommand(
    dataCommand("list", "all endpoints, or one account's")
      .option("--owner <ACCOUNT>", "account")
      .option("--json", "print JSON")
      .action(list),
  );
  group.addCommand(named("show", "what an endpoint is").action(showOne));
  group.addCommand(
    named("update", "change an endpoint")
      .option("--prefix <PREFIX>", "new prefix")
      .option("--origin <ORIGIN>", "new origins, repeatable", collect)
      .action(update),
  );
  group.addCommand(named("delete", "delete an endpoint").action(remove));
  return group;
}
