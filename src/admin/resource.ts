/** The five operations that origins, URL-endpoints and named transformations have alike. */
import { z } from "zod";
import type { Reference } from "../delivery/origins/documents.ts";
import type { ObjectStore } from "../store/store.ts";
import { ApiError } from "./errors.ts";
import { filterOf, operation, ownerOf, wire, type Context, type Operation } from "./operation.ts";

interface View {
  readonly name: string;
  readonly createdAt: number;
}

export interface Resource<Create extends z.ZodObject, Change extends z.ZodObject> {
  /** In the settings. */
  readonly kind: "origin" | "endpoint" | "transformation";
  /** As in `CreateOrigin`. */
  readonly noun: string;
  /** As in /api/v1/origins. */
  readonly segment: string;
  /** As in "a named transformation". */
  readonly words: { readonly one: string; readonly many: string };
  /** What of the input creates and changes, besides name and owner. */
  readonly create: Create;
  readonly change: Change;
  /** What the input is when that caller says it. @throws ApiError AccessDenied for what the caller may not set */
  readonly guard?: <Input extends z.output<Create> | z.output<Change>>(
    context: Context,
    input: Input,
  ) => Input;
  readonly functions: {
    create: (store: ObjectStore, input: Reference & z.output<Create>) => Promise<View>;
    list: (store: ObjectStore, filter: { owner?: string }) => Promise<View[]>;
    show: (store: ObjectStore, reference: Reference) => Promise<View>;
    update: (store: ObjectStore, reference: Reference, change: z.output<Change>) => Promise<View>;
    delete: (store: ObjectStore, reference: Reference) => Promise<unknown>;
  };
}

export const OWNER = z
  .string()
  .optional()
  .meta({ description: "Account, by name or canonical id. Root's choice; others mean themselves." });
export const NAME = z.string().meta({ description: "Unique within its account." });

/** Which one is meant. @throws ApiError NotFound, AccessDenied */
export async function existing(
  context: Context,
  kind: "origin" | "endpoint" | "transformation",
  { name, owner }: { name: string; owner?: string | undefined },
): Promise<Reference> {
  const account = await ownerOf(context, owner);
  if ((await context.store.settings.get(kind, `${account.id}/${name}`)) === undefined) {
    throw new ApiError("NotFound", `Account ${account.name} has no ${kind} "${name}".`);
  }
  return { name, owner: account.id };
}

export function operationsOn<Create extends z.ZodObject, Change extends z.ZodObject>(
  resource: Resource<Create, Change>,
): Operation[] {
  const { kind, noun, segment, words, functions } = resource;
  const path = `/api/v1/${segment}`;
  const reference = z.strictObject({ owner: OWNER, name: NAME });
  return [
    operation({
      name: `List${noun}s`,
      method: "GET",
      path,
      status: 200,
      doc: `All ${words.many}: the caller's; root's view shows those of all accounts, or of one.`,
      input: z.strictObject({ owner: OWNER }),
      run: async (context, { owner }) =>
        (await functions.list(context.store, await filterOf(context, owner))).map((one) => wire(one)),
    }),
    creation(resource, path),
    operation({
      name: `Show${noun}`,
      method: "GET",
      path: `${path}/:name`,
      status: 200,
      doc: `What ${words.one} is. Secrets are never shown.`,
      input: reference,
      run: async (context, input) =>
        wire(await functions.show(context.store, await existing(context, kind, input))),
    }),
    updating(resource, path),
    operation({
      name: `Delete${noun}`,
      method: "DELETE",
      path: `${path}/:name`,
      status: 204,
      doc: `Deletes ${words.one}.`,
      input: reference,
      run: async (context, input) => functions.delete(context.store, await existing(context, kind, input)),
    }),
  ];
}

/** The input of a row, taken apart: zod has checked it as `schema` together with owner and name. */
type Named<Fields> = { owner?: string | undefined; name: string } & Fields;

function creation<Create extends z.ZodObject, Change extends z.ZodObject>(
  { noun, words, create, guard, functions }: Resource<Create, Change>,
  path: string,
): Operation {
  return operation({
    name: `Create${noun}`,
    method: "POST",
    path,
    status: 201,
    doc: `Adds ${words.one}.`,
    input: z.strictObject({ owner: OWNER, name: NAME, ...create.shape }),
    run: async (context, input) => {
      const { owner, name, ...rest } = input as Named<z.output<Create>>;
      const given = rest as unknown as z.output<Create>;
      const fields = guard?.(context, given) ?? given;
      const { id } = await ownerOf(context, owner);
      return wire(await functions.create(context.store, { ...fields, name, owner: id }));
    },
  });
}

function updating<Create extends z.ZodObject, Change extends z.ZodObject>(
  { kind, noun, words, change, guard, functions }: Resource<Create, Change>,
  path: string,
): Operation {
  return operation({
    name: `Update${noun}`,
    method: "PATCH",
    path: `${path}/:name`,
    status: 200,
    doc: `Changes what is given of ${words.one}; "" takes away, as does null where it is allowed.`,
    input: z.strictObject({ owner: OWNER, name: NAME, ...change.shape }),
    run: async (context, input) => {
      const { owner, name, ...rest } = input as Named<z.output<Change>>;
      const given = rest as unknown as z.output<Change>;
      const fields = guard?.(context, given) ?? given;
      const reference = await existing(context, kind, { owner, name });
      return wire(await functions.update(context.store, reference, fields));
    },
  });
}
