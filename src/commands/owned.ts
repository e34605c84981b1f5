/** What the commands on things that belong to an account have in common. */
import type { Command } from "commander";
import { dataCommand, print, printJson, table, when, type DataFlags } from "./shared.ts";

export interface OwnedFlags extends DataFlags {
  owner?: string;
  json?: true;
}

/** For options that may be given several times. */
export const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

export const ownedCommand = (name: string, description: string, what: string): Command =>
  dataCommand(name, description)
    .option("--owner <ACCOUNT>", `account that the ${what} belongs to`)
    .option("--json", "print JSON");

export const namedCommand = (name: string, description: string, what: string): Command =>
  ownedCommand(name, description, what).argument("<NAME>");

export const listCommand = (description: string): Command =>
  dataCommand("list", description).option("--owner <ACCOUNT>", "account").option("--json", "print JSON");

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

export function printDocument(document: Document, json: true | undefined): void {
  if (json) return printJson(readable(document));
  print(table(Object.entries(readable(document)).map(([name, value]) => [name, textOf(value)])));
}

export function printDocuments<T extends Document>(
  documents: readonly T[],
  json: true | undefined,
  row: (document: T) => string[],
): void {
  if (json) printJson(documents.map((one) => readable(one)));
  else if (documents.length > 0) print(table(documents.map((one) => row(one))));
}

const textOf = (value: unknown): string =>
  typeof value === "string" ? value : Array.isArray(value) ? value.join(", ") : JSON.stringify(value);
