/**
 * Purges. A purge is a mark in the settings, so that every node sees it with its next request: what was made before is
 * never asked for again, because the marks that a file falls under are part of its keys. Each node removes the bytes
 * in the background.
 */
import { randomBytes } from "node:crypto";
import type { ObjectStore } from "../../store/store.ts";
import { DeliveryError } from "../errors.ts";
import type { Provenance } from "./entries.ts";

/** What is purged: everything of an account or an origin, a folder, or a file. */
export interface Scope {
  readonly ownerId: string;
  /** Name; all of the account's when left out. */
  readonly origin?: string;
  /** Beginning of paths, whether or not with a slash in front. */
  readonly prefix?: string;
  /** One path, with all that was made of it. */
  readonly path?: string;
}

export interface Purge {
  readonly id: string;
  readonly scope: Scope;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** As stored. */
type PurgeDocument = Omit<Purge, "id">;

const KIND = "purge";
/**
 * Marks that are kept. Beyond it the oldest become one that covers everything of their account: more is purged than was
 * asked for, never less. Stops a loop of purges from filling the settings and every request's work.
 */
const MARKS_MAX = 500;

/** Takes effect before it returns. */
export async function requestPurge(store: ObjectStore, scope: Scope): Promise<Purge> {
  const marks = (await listPurges(store)).filter(({ scope: { ownerId } }) => ownerId === scope.ownerId);
  // Behind all others, also where another node's clock is ahead of ours.
  const at = Math.max(Date.now(), (marks.at(-1)?.at ?? 0) + 1);
  const purge = { id: `${at.toString(36).padStart(9, "0")}${randomBytes(6).toString("hex")}`, scope, at };
  await collapse(store, scope.ownerId, marks);
  await store.settings.change([
    {
      kind: KIND,
      name: `${scope.ownerId}/${purge.id}`,
      value: { scope, at: purge.at } satisfies PurgeDocument,
    },
  ]);
  return purge;
}

/** The oldest half of an account's marks becomes one. */
async function collapse(store: ObjectStore, ownerId: string, marks: readonly Purge[]): Promise<void> {
  if (marks.length < MARKS_MAX) return;
  const old = marks.slice(0, MARKS_MAX / 2);
  const last = old.at(-1)!;
  await store.settings.change([
    ...old.slice(0, -1).map(({ id }) => ({ kind: KIND, name: `${ownerId}/${id}`, value: undefined })),
    {
      kind: KIND,
      name: `${ownerId}/${last.id}`,
      value: { scope: { ownerId }, at: last.at } satisfies PurgeDocument,
    },
  ]);
}

/** All marks, each account's in the order in which they were made. */
export async function listPurges(store: ObjectStore): Promise<Purge[]> {
  const documents = await store.settings.list<PurgeDocument>(KIND);
  return documents.map(({ name, value }) => ({ id: name.slice(name.indexOf("/") + 1), ...value }));
}

/** @throws DeliveryError NotFound */
export async function showPurge(
  store: ObjectStore,
  ownerId: string,
  id: string,
): Promise<Purge & { state: "done" }> {
  const found = await store.settings.get<PurgeDocument>(KIND, `${ownerId}/${id}`);
  if (found === undefined) throw new DeliveryError("NotFound", `There is no purge "${id}".`);
  return { id, ...found, state: "done" };
}

/** Web servers' paths have no slash in front, nor have most keys, and people write one. */
const bare = (path: string): string => path.replace(/^\/+/, "");

const covers = (scope: Scope, originId: string, path: string): boolean =>
  (scope.origin === undefined
    ? originId.startsWith(`${scope.ownerId}/`)
    : originId === `${scope.ownerId}/${scope.origin}`) &&
  (scope.path === undefined || scope.path === path) &&
  (scope.prefix === undefined || bare(path).startsWith(bare(scope.prefix)));

/** What is kept of files: pictures and films, streams. */
export interface Kept {
  /** Resolves to how many went. */
  remove(match: (about: Provenance, createdAt: number) => boolean): Promise<number>;
}

/** The marks as this process knows them. */
export class Epochs {
  readonly #store: ObjectStore;
  readonly #kept: readonly Kept[];
  /** By account. */
  #marks = new Map<string, Purge[]>();
  /** Marks whose bytes this process has removed, or which are older than it. */
  #swept: string | undefined;
  #sweeping = false;

  constructor(store: ObjectStore, kept: readonly Kept[]) {
    this.#store = store;
    this.#kept = kept;
  }

  /** To be called by each request, after the store's own `refresh`: costs nothing while no setting changes. */
  async refresh(): Promise<void> {
    const marks = await this.#store.settings.all<PurgeDocument>(KIND);
    if (marks === this.#known) return;
    this.#known = marks;
    this.#marks = new Map();
    for (const { name, value } of marks) {
      const id = name.slice(name.indexOf("/") + 1);
      const own = this.#marks.get(value.scope.ownerId);
      if (own === undefined) this.#marks.set(value.scope.ownerId, [{ id, ...value }]);
      else own.push({ id, ...value });
    }
    void this.#sweep();
  }
  #known: unknown;

  /** Names the purges that a file falls under with everything that was made of it. */
  of(originId: string, path: string): string {
    const marks = this.#marks.get(originId.slice(0, originId.indexOf("/"))) ?? [];
    const found = marks.filter(({ scope }) => covers(scope, originId, path));
    // With their number: of two that are made at the same moment the earlier one may be seen later.
    return found.length === 0 ? "" : `${found.at(-1)!.id}/${found.length}`;
  }

  /**
   * Removes the bytes of what can't be asked for any more. One look through everything is for all marks that came during the
   * one before. Stops a thousand purges from having it looked through a thousand times.
   */
  async #sweep(): Promise<void> {
    if (this.#sweeping) return;
    this.#sweeping = true;
    for (;;) {
      const before = this.#swept;
      const all = [...this.#marks.values()].flat();
      this.#swept = all.reduce((last, { id }) => (id > last ? id : last), before ?? "");
      // At its start a process knows of no mark that another has not swept.
      const fresh = before === undefined ? [] : all.filter(({ id }) => id > before);
      if (fresh.length === 0) break;
      const gone = ({ origin, path }: Provenance, createdAt: number): boolean =>
        fresh.some(({ scope, at }) => createdAt <= at && covers(scope, origin, path));
      // What can't be removed now goes with the least recently used.
      await Promise.allSettled(this.#kept.map((kept) => kept.remove(gone)));
    }
    this.#sweeping = false;
  }
}
