/** windlass endpoint …: the URL-endpoints under which an account's origins are reached. */
import { InvalidArgumentError, type Command } from "commander";
import type { EndpointChange, EndpointView } from "../delivery/origins/endpoints.ts";
import {
  listCommand,
  namedCommand,
  ofAccount,
  printDocument,
  showCommand,
  type OwnedFlags,
} from "./owned.ts";
import { collect, group, print, printJson, withStore } from "./shared.ts";

type ChangeFlags = OwnedFlags &
  Omit<EndpointChange, "origins" | "formats" | "cacheSeconds"> & {
    origin?: string[];
    format?: string[];
    cacheSeconds?: number | "";
  };

/** What the flags change. */
function changeOf({ origin, format, ...flags }: ChangeFlags): EndpointChange {
  return {
    prefix: flags.prefix,
    origins: origin,
    domain: flags.domain,
    signedOnly: flags.signedOnly,
    namedOnly: flags.namedOnly,
    allowPrompts: flags.allowPrompts,
    privateFiles: flags.privateFiles,
    defaultImage: flags.defaultImage,
    cacheSeconds: flags.cacheSeconds === "" ? null : flags.cacheSeconds,
    // One empty --format takes the restriction away.
    formats: format?.flatMap((one) => one.split(",")).filter((one) => one !== ""),
    rewriter: flags.rewriter,
  };
}

const address = ({ owner, prefix, domain }: EndpointView): string =>
  [`/${[owner, prefix].join("/")}`, ...(domain === undefined ? [] : [`http://${domain}/`])].join(" and ");

async function create(name: string, flags: ChangeFlags): Promise<void> {
  await withStore(flags, async (store) => {
    const { createEndpoint } = await import("../delivery/origins/endpoints.ts");
    const { origins = [], ...change } = changeOf(flags);
    const endpoint = await createEndpoint(store, { ...change, name, owner: flags.owner, origins });
    if (flags.json) printDocument(endpoint, true);
    else print(`Endpoint ${endpoint.name} is reached under ${address(endpoint)}`);
  });
}

async function update(name: string, flags: ChangeFlags): Promise<void> {
  await withStore(flags, async (store) => {
    const { updateEndpoint } = await import("../delivery/origins/endpoints.ts");
    const reference = { name, owner: flags.owner };
    printDocument(await updateEndpoint(store, reference, changeOf(flags)), flags.json);
  });
}

async function remove(name: string, flags: OwnedFlags): Promise<void> {
  await withStore(flags, async (store) => {
    const { deleteEndpoint } = await import("../delivery/origins/endpoints.ts");
    const { owner } = await deleteEndpoint(store, { name, owner: flags.owner });
    if (flags.json) printJson({ deleted: name, owner });
    else print(`Endpoint ${name}${ofAccount(owner)} is deleted.`);
  });
}

/** "": the endpoint sets no lifetime. */
function secondsOrNone(text: string): number | "" {
  if (text === "") return "";
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It is a whole number of seconds.");
}

const SWITCHES = [
  ["signed-only", "serve signed URLs only"],
  ["named-only", "serve named transformations only, unless the URL is signed"],
  ["allow-prompts", "let unsigned URLs ask the language model that the server is configured with"],
  ["private-files", "files are private: only signed URLs and named transformations have them"],
] as const;

const withChanges = (command: Command): Command => {
  command
    .option(
      "--origin <ORIGIN>",
      "origin to read, repeatable: the next is asked for what the one before lacks",
      collect,
    )
    .option("--domain <HOST>", "host name of its own, without account and prefix in its URLs");
  for (const [flag, doc] of SWITCHES) command.option(`--${flag}`, doc).option(`--no-${flag}`, "the opposite");
  return command
    .option("--default-image <PATH>", "served where no origin has the file")
    .option("--cache-seconds <N>", "how long answers may be kept", secondsOrNone)
    .option(
      "--format <FORMAT>",
      "format that URLs may ask for, repeatable: jpeg, png, webp, avif, gif, tiff; clients that read none of them get JPEG or PNG",
      collect,
    )
    .option(
      "--rewriter <NAME>",
      "understand URLs of cloudinary, imgix or akamai, too; with cloudinary-preserve-types, image/upload is part of the file's path",
    );
};

export function endpointCommands(): Command {
  const what = "endpoint";
  return group("endpoint", "URL-endpoints of accounts: create, list, show, update, delete", [
    withChanges(
      namedCommand("create", "add an endpoint over one or more origins", what).option(
        "--prefix <PREFIX>",
        "in its URLs: /ACCOUNT/PREFIX/…; the endpoint's name when not given",
      ),
    ).action(create),
    listCommand(
      "all endpoints, or one account's",
      async () => (await import("../delivery/origins/endpoints.ts")).listEndpoints,
      ({ owner, name, prefix, origins, domain = "" }) => [
        owner,
        name,
        `/${prefix}`,
        origins.join(","),
        domain,
      ],
    ),
    showCommand(
      "what an endpoint is",
      what,
      async () => (await import("../delivery/origins/endpoints.ts")).showEndpoint,
    ),
    withChanges(
      namedCommand("update", "change what is given; an empty value takes away", what).option(
        "--prefix <PREFIX>",
        "new prefix",
      ),
    ).action(update),
    namedCommand("delete", "delete an endpoint", what).action(remove),
  ]);
}
