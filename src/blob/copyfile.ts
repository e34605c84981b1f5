import { constants } from "node:fs";
import { copyFile, mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { BlobMissing } from "./blob.ts";
import { blobPath } from "./folders.ts";

/**
 * Copies a blob's file from one root into another, as a clone that shares the disk's blocks where the file system can.
 * The bytes are on stable storage when this resolves; `syncFolders` does the directories. `size` is what the
 * copy has, which is the caller's to compare.
 * @throws BlobMissing
 */
export async function copyBlobFile(
  fromRoot: string,
  toRoot: string,
  id: string,
): Promise<{ folder: string; size: number }> {
  const [from, to] = [blobPath(fromRoot, id), blobPath(toRoot, id)];
  if (from === undefined || to === undefined) throw new BlobMissing(`${id} is no blob id`);
  const folder = dirname(to);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw new BlobMissing(`${id} is missing`, { cause: error });
    throw error;
  }
  await syncPath(to);
  return { folder, size: (await stat(to)).size };
}

/** Makes the entries of the folders, and of those above them up to the root, durable. */
export async function syncFolders(root: string, folders: Iterable<string>): Promise<void> {
  const all = new Set<string>([root]);
  for (const folder of folders)
    for (let path = folder; path.length > root.length; path = dirname(path)) all.add(path);
  for (const path of all) await syncPath(path);
}

export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
