/** windlass endpoint …: the URL-endpoints under which an account's origins are reached. */
import { InvalidArgumentError, type Command } from "commander";
import type { EndpointChange, EndpointView } from "../delivery/origins/endpoints.ts";
import type { ObjectStore } from "../store/store.ts";
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

/** Rules that keep files from somebody, as the command line has them. */
const KEEPING = { signedOnly: "--signed-only", namedOnly: "--named-only", privateFiles: "--private-files" };

/**
 * Says where an endpoint's files are reached by those whom it keeps them from: under the default endpoint, and under their
 * origins' aliases, which obey its rules.
 */
async function printElsewhere(store: ObjectStore, { owner, origins, ...rules }: EndpointView): Promise<void> {
  const { DEFAULT_ENDPOINT } = await import("../delivery/origins/documents.ts");
  const { showEndpoint } = await import("../delivery/origins/endpoints.ts");
  const { showOrigin } = await import("../delivery/origins/origins.ts");
  const usual = await showEndpoint(store, { name: DEFAULT_ENDPOINT, owner });
  const keeping = Object.entries(KEEPING) as [keyof typeof KEEPING, string][];
  const own = keeping
    .filter(([rule]) => rules[rule] === true && usual[rule] !== true)
    .map(([, flag]) => flag);
  const asked = await Promise.all(origins.map((name) => showOrigin(store, { name, owner })));
  const ways = [
    ...(origins.some((origin) => usual.origins.includes(origin)) ? [`/${owner}/…`] : []),
    ...asked.flatMap(({ alias }) => (alias === undefined ? [] : [`/image/${alias}/…`])),
  ];
  if (own.length === 0 || ways.length === 0) return;
  print(
    `Without its ${own.length === 1 ? "rule" : "rules"} ${listed(own)} its files are also reached under ${listed(ways)}:\n` +
      `give the default endpoint the same, or take its origins and their aliases away.`,
  );
}

const listed = (words: readonly string[]): string =>
  [words.slice(0, -1).join(", "), words.at(-1)].filter((one) => one !== "").join(" and ");

async function create(name: string, flags: ChangeFlags): Promise<void> {
  await withStore(flags, async (store) => {
    const { createEndpoint } = await import("../delivery/origins/endpoints.ts");
    const { origins = [], ...change } = changeOf(flags);
    const endpoint = await createEndpoint(store, { ...change, name, owner: flags.owner, origins });
    if (flags.json) return printDocument(endpoint, true);
    print(`Endpoint ${endpoint.name} is reached under ${address(endpoint)}`);
    await printElsewhere(store, endpoint);
  });
}

async function update(name: string, flags: ChangeFlags): Promise<void> {
  await withStore(flags, async (store) => {
    const { updateEndpoint } = await import("../delivery/origins/endpoints.ts");
    const reference = { name, owner: flags.owner };
    const endpoint = await updateEndpoint(store, reference, changeOf(flags));
    printDocument(endpoint, flags.json);
    if (!flags.json) await printElsewhere(store, endpoint);
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
