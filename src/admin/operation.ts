/** What an operation of the admin API is; operations.ts lists them. */
import type { z } from "zod";
import type { ObjectStore } from "../store/store.ts";
import type { Account } from "../store/types.ts";
import { ApiError } from "./errors.ts";
import type { Caller } from "./gate.ts";

export interface Context {
  readonly store: ObjectStore;
  readonly caller: Caller;
}

export interface Operation {
  readonly name: string;
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** `:name` stands for one segment. */
  readonly path: string;
  /** Of a success. 204: nothing is answered. */
  readonly status: 200 | 201 | 204;
  readonly doc: string;
  /** Of the path's segments together with the query (GET, DELETE) or the JSON body (POST, PATCH). */
  readonly input: z.ZodObject;
  /** ImageKit's API: a private key may stand in place of the access key id. */
  readonly imagekit: boolean;
  /** `input` has been checked. What it returns is answered as JSON. */
  readonly run: (context: Context, input: unknown) => Promise<unknown>;
}

/** What makes something isn't done on a mere request, even where no field is required. */
export const needsBody = ({ method, path }: Operation): boolean => method === "POST" && !path.includes(":");

interface Row<Input extends z.ZodObject> extends Omit<Operation, "input" | "run" | "imagekit"> {
  readonly input: Input;
  readonly imagekit?: true;
  readonly run: (context: Context, input: z.output<Input>) => Promise<unknown>;
}

/** A row of the table: `run` gets what `input` lets through. */
export function operation<Input extends z.ZodObject>({ run, imagekit, ...row }: Row<Input>): Operation {
  return {
    ...row,
    imagekit: imagekit === true,
    run: (context, input) => run(context, input as z.output<Input>),
  };
}

/**
 * The account that an operation is about: the caller's own, or for root whichever is named.
 * @throws ApiError NotFound, AccessDenied
 */
export async function ownerOf({ store, caller }: Context, nameOrId: string | undefined): Promise<Account> {
  const { account, isRoot } = caller;
  if (nameOrId === undefined || nameOrId === account.name || nameOrId === account.id) return account;
  if (!isRoot) throw new ApiError("AccessDenied", "Only the root account may act for other accounts.");
  const owner = (await store.accounts.byName(nameOrId)) ?? (await store.accounts.byId(nameOrId));
  if (owner === undefined) throw new ApiError("NotFound", `There is no account "${nameOrId}".`);
  return owner;
}

/** Whose things are listed: the caller's, or for root those of all accounts or of one. @throws ApiError as `ownerOf` */
export const filterOf = async (context: Context, owner: string | undefined): Promise<{ owner?: string }> =>
  context.caller.isRoot && owner === undefined ? {} : { owner: (await ownerOf(context, owner)).id };

/** @throws ApiError AccessDenied for what only the operator may decide */
export function rootOnly({ caller }: Context, what: string, given: unknown): void {
  if (given === undefined || caller.isRoot) return;
  throw new ApiError("AccessDenied", `Only the root account may set ${what}.`);
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** As JSON: moments as text. */
export function wire<T extends { createdAt: number; updatedAt?: number }>(value: T): object {
  const { createdAt, updatedAt, ...rest } = value;
  return {
    ...rest,
    createdAt: iso(createdAt),
    ...(updatedAt === undefined ? {} : { updatedAt: iso(updatedAt) }),
  };
}
