/** What the commands on things that belong to an account have in common. */
import type { Command } from "commander";
import type { Reference } from "../delivery/origins/documents.ts";
import type { ObjectStore } from "../store/store.ts";
import { dataCommand, print, printJson, table, when, withStore, type DataFlags } from "./shared.ts";

export interface OwnedFlags extends DataFlags {
  owner?: string;
  json?: true;
}

export const ownedCommand = (name: string, description: string, what: string): Command =>
  dataCommand(name, description)
    .option("--owner <ACCOUNT>", `account that the ${what} belongs to`)
    .option("--json", "print JSON");

export const namedCommand = (name: string, description: string, what: string): Command =>
  ownedCommand(name, description, what).argument("<NAME>");

/** Without --owner another account's may be meant, where root has none of that name: whoever acts on it is told whose. */
export const ofAccount = (owner: string): string => (owner === "root" ? "" : ` of account ${owner}`);

interface Document {
  readonly createdAt: number;
  readonly updatedAt?: number;
}

function readable<T extends Document>({ createdAt, updatedAt, ...rest }: T): object {
  const dates = { createdAt: when(createdAt) };
  return { ...rest, ...dates, ...(updatedAt === undefined ? {} : { updatedAt: when(updatedAt) }) };
}

/** `load` gives the function that lists, `row` what a line says. */
export const listCommand = <T extends Document>(
  description: string,
  load: () => Promise<(store: ObjectStore, filter: { owner: string | undefined }) => Promise<readonly T[]>>,
  row: (document: T) => string[],
): Command =>
  dataCommand("list", description)
    .option("--owner <ACCOUNT>", "account")
    .option("--json", "print JSON")
    .action((flags: OwnedFlags) =>
      withStore(flags, async (store) => {
        const documents = await (await load())(store, { owner: flags.owner });
        if (flags.json) printJson(documents.map((one) => readable(one)));
        else if (documents.length > 0) print(table(documents.map((one) => row(one))));
      }),
    );

/** `load` gives the function that shows. */
export const showCommand = (
  description: string,
  what: string,
  load: () => Promise<(store: ObjectStore, reference: Reference) => Promise<Document>>,
): Command =>
  namedCommand("show", description, what).action((name: string, flags: OwnedFlags) =>
    withStore(flags, async (store) =>
      printDocument(await (await load())(store, { name, owner: flags.owner }), flags.json),
    ),
  );

export function printDocument(document: Document, json: true | undefined): void {
  if (json) return printJson(readable(document));
  print(table(Object.entries(readable(document)).map(([name, value]) => [name, textOf(value)])));
}

const textOf = (value: unknown): string =>
  typeof value === "string" ? value : Array.isArray(value) ? value.join(", ") : JSON.stringify(value);
