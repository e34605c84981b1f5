/** windlass transformation …: names for chains of transformations. */
import type { Command } from "commander";
import {
  listCommand,
  namedCommand,
  ofAccount,
  printDocument,
  showCommand,
  type OwnedFlags,
} from "./owned.ts";
import { group, print, printJson, withStore } from "./shared.ts";

async function create(name: string, chain: string, flags: OwnedFlags): Promise<void> {
  await withStore(flags, async (store) => {
    const { createTransformation } = await import("../delivery/origins/transformations.ts");
    const created = await createTransformation(store, { name, owner: flags.owner, chain });
    if (flags.json) printDocument(created, true);
    else print(`In URLs of account ${created.owner}, tr:n-${created.name} now stands for ${created.chain}`);
  });
}

async function update(name: string, chain: string, flags: OwnedFlags): Promise<void> {
  await withStore(flags, async (store) => {
    const { updateTransformation } = await import("../delivery/origins/transformations.ts");
    const changed = await updateTransformation(store, { name, owner: flags.owner }, { chain });
    printDocument(changed, flags.json);
  });
}

async function remove(name: string, flags: OwnedFlags): Promise<void> {
  await withStore(flags, async (store) => {
    const { deleteTransformation } = await import("../delivery/origins/transformations.ts");
    const { owner } = await deleteTransformation(store, { name, owner: flags.owner });
    if (flags.json) printJson({ deleted: name, owner });
    else print(`Transformation ${name}${ofAccount(owner)} is deleted; URLs that name it are answered 400.`);
  });
}

export function transformationCommands(): Command {
  const what = "transformation";
  return group("transformation", "named transformations: create, list, show, update, delete", [
    namedCommand("create", "give a chain such as w-300,h-300 a name: tr:n-NAME", what)
      .argument("<CHAIN>")
      .action(create),
    listCommand(
      "all named transformations, or one account's",
      async () => (await import("../delivery/origins/transformations.ts")).listTransformations,
      ({ owner, name, chain }) => [owner, name, chain],
    ),
    showCommand(
      "what a named transformation stands for",
      what,
      async () => (await import("../delivery/origins/transformations.ts")).showTransformation,
    ),
    namedCommand("update", "give a name another chain", what).argument("<CHAIN>").action(update),
    namedCommand("delete", "delete a named transformation", what).action(remove),
  ]);
}
