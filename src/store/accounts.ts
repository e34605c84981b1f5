/** Accounts, their access keys, and small settings documents of the modules above. */
import { randomBytes } from "node:crypto";
import type { Check, Entry, Key, KeyRange, Write } from "../meta/meta.ts";
import { decodeKey, keyAfter } from "../meta/tuple.ts";
import type { Cache } from "./cache.ts";
import { commit, NOTHING, type Core } from "./core.ts";
import { StoreError } from "./errors.ts";
import { KEYS } from "./keys.ts";
import { decode, encode, type AccessKeyRecord, type AccountRecord } from "./records.ts";
import type { Secrets } from "./secrets.ts";
import type { AccessKey, Account, Credential } from "./types.ts";
import type { Accounts, Settings } from "./store.ts";

/** Delivery paths begin with these words or with an account's name. */
const RESERVED_NAMES = new Set(["image", "video", "file"]);
const ATTEMPTS_MAX = 16;
const PAGE = 1000;
/** Nothing that is stored has a longer name; a client may ask for one of kilobytes, which no key could hold. */
const NAME_LENGTH_MAX = 255;

const toAccount = (id: string, record: AccountRecord): Account => ({
  id,
  name: record.name,
  ...(record.email === undefined ? {} : { email: record.email }),
  status: record.status,
  createdAt: record.created,
});
const toAccessKey = (accessKeyId: string, record: AccessKeyRecord): AccessKey => ({
  accessKeyId,
  accountId: record.account,
  enabled: record.enabled,
  createdAt: record.created,
});

function invalid(name: string, value: string, message: string): StoreError {
  return new StoreError("InvalidArgument", { ArgumentName: name, ArgumentValue: value }, message);
}

function validateName(name: string): void {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(name) || RESERVED_NAMES.has(name) || /^\.+$/.test(name)) {
    throw invalid(
      "name",
      name,
      "An account's name is 1 to 64 of A-Z a-z 0-9 . _ - and not image, video or file",
    );
  }
}
function validateEmail(email: string): void {
  if (email.length > 254 || !/^[^\s@]+@[^\s@]+$/.test(email))
    throw invalid("email", email, "This is no e-mail address");
}
function validatePair(pair: { accessKeyId: string; secretAccessKey: string }): void {
  if (!/^[\w.-]{3,128}$/.test(pair.accessKeyId)) {
    throw invalid("accessKeyId", pair.accessKeyId, "An access key id is 3 to 128 of A-Z a-z 0-9 . _ -");
  }
  if (pair.secretAccessKey.length < 8 || pair.secretAccessKey.length > 256) {
    throw invalid("secretAccessKey", "", "A secret access key has 8 to 256 characters");
  }
}

const ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/** 20 characters for the id, 40 for the secret, as Amazon's have (the guide, page 28). */
function newPair(): { accessKeyId: string; secretAccessKey: string } {
  const id = Array.from(randomBytes(18), (byte) => ALPHANUMERIC[byte & 31]).join("");
  return { accessKeyId: `WL${id}`, secretAccessKey: randomBytes(30).toString("base64") };
}

/** All entries of a range that is known to be small enough to hold. */
async function scanAll(core: Core, range: KeyRange): Promise<Entry[]> {
  const all: Entry[] = [];
  for (let start: Key = range.start; ;) {
    const entries = await core.meta.scan({ start, end: range.end }, { limit: PAGE });
    all.push(...entries);
    if (entries.length < PAGE) return all;
    start = keyAfter(entries.at(-1)!.key);
  }
}

export class AccountStore implements Accounts {
  readonly #core: Core;
  readonly #cache: Cache;
  readonly #secrets: Secrets;
  readonly #epoch: Write = { key: KEYS.epoch(), add: 1 };

  constructor(core: Core, cache: Cache, secrets: Secrets) {
    this.#core = core;
    this.#cache = cache;
    this.#secrets = secrets;
  }

  async #load(id: string): Promise<{ value: Buffer; record: AccountRecord }> {
    const value = await this.#core.meta.get(KEYS.account(id));
    if (value === undefined) throw invalid("account", id, "There is no such account");
    return { value, record: decode<AccountRecord>(value) };
  }

  #keyWrites(accountId: string, pair: { accessKeyId: string; secretAccessKey: string }): Write[] {
    const record: AccessKeyRecord = {
      r: 1,
      account: accountId,
      sealed: this.#secrets.seal(pair.secretAccessKey, pair.accessKeyId),
      enabled: true,
      created: this.#core.now(),
    };
    return [
      { key: KEYS.accessKey(pair.accessKeyId), value: encode(record) },
      { key: KEYS.accountKey(accountId, pair.accessKeyId), value: NOTHING },
    ];
  }

  async #changeKey(accessKeyId: string, change: (record: AccessKeyRecord) => Write[]): Promise<void> {
    const key = KEYS.accessKey(accessKeyId);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const value = await this.#core.meta.get(key);
      if (value === undefined) throw invalid("accessKeyId", accessKeyId, "There is no such access key");
      const writes = [...change(decode<AccessKeyRecord>(value)), this.#epoch];
      if (await commit(this.#core, { checks: [{ key, value }], writes })) return;
    }
    throw new StoreError("SlowDown");
  }

  byId(id: string): Promise<Account | undefined> {
    return this.#cache.get("account", id, async () => {
      if (id.length > NAME_LENGTH_MAX) return undefined;
      const value = await this.#core.meta.get(KEYS.account(id));
      return value === undefined ? undefined : toAccount(id, decode<AccountRecord>(value));
    });
  }

  async create(input: Parameters<Accounts["create"]>[0]): ReturnType<Accounts["create"]> {
    validateName(input.name);
    if (input.email !== undefined) validateEmail(input.email);
    const id = input.id ?? randomBytes(32).toString("hex");
    if (!/^[0-9a-f]{64}$/.test(id))
      throw invalid("id", id, "A canonical user id is 64 hex digits in lower case");
    const { accessKeyId, secretAccessKey } = input;
    if ((accessKeyId === undefined) !== (secretAccessKey === undefined)) {
      throw invalid("accessKeyId", accessKeyId ?? "", "An access key id and its secret are given together");
    }
    const pair =
      accessKeyId === undefined || secretAccessKey === undefined
        ? newPair()
        : { accessKeyId, secretAccessKey };
    validatePair(pair);
    const record: AccountRecord = {
      r: 1,
      name: input.name,
      ...(input.email === undefined ? {} : { email: input.email }),
      status: "active",
      created: this.#core.now(),
    };
    const absent = [KEYS.account(id), KEYS.accountName(input.name), KEYS.accessKey(pair.accessKeyId)];
    const done = await commit(this.#core, {
      checks: absent.map((key) => ({ key, absent: true as const })),
      writes: [
        { key: KEYS.account(id), value: encode(record) },
        { key: KEYS.accountName(input.name), value: Buffer.from(id) },
        ...(input.email === undefined ? [] : [{ key: KEYS.accountEmail(input.email, id), value: NOTHING }]),
        ...this.#keyWrites(id, pair),
        this.#epoch,
      ],
    });
    if (!done) throw invalid("name", input.name, "The name, the id or the access key id is taken");
    const account = toAccount(id, record);
    return { account, key: { ...pair, accountId: id, enabled: true, createdAt: record.created, account } };
  }

  async byName(name: string): Promise<Account | undefined> {
    if (name.length > NAME_LENGTH_MAX) return undefined;
    const id = await this.#cache.get("account-name", name, () => this.#core.meta.get(KEYS.accountName(name)));
    return id === undefined ? undefined : this.byId(id.toString());
  }

  async byEmail(email: string): Promise<Account[]> {
    if (email.length > NAME_LENGTH_MAX) return [];
    const ids = (await scanAll(this.#core, KEYS.accountEmails(email))).map(
      ({ key }) => decodeKey(key)[2] as string,
    );
    const accounts = await Promise.all(ids.map((id) => this.byId(id)));
    return accounts.filter((account) => account !== undefined);
  }

  async list(): Promise<Account[]> {
    const entries = await scanAll(this.#core, KEYS.accounts());
    return entries.map(({ key, value }) =>
      toAccount(decodeKey(key)[1] as string, decode<AccountRecord>(value)),
    );
  }

  async update(id: string, change: Parameters<Accounts["update"]>[1]): Promise<Account> {
    if (change.name !== undefined) validateName(change.name);
    if (change.email !== undefined) validateEmail(change.email);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const { value, record } = await this.#load(id);
      const changed: AccountRecord = { ...record, ...change };
      const checks: { key: Key; value: Buffer }[] = [{ key: KEYS.account(id), value }];
      const writes: Write[] = [{ key: KEYS.account(id), value: encode(changed) }, this.#epoch];
      if (changed.name !== record.name) {
        if ((await this.#core.meta.get(KEYS.accountName(changed.name))) !== undefined) {
          throw invalid("name", changed.name, "The name is taken");
        }
        writes.push({ key: KEYS.accountName(record.name), delete: true });
        writes.push({ key: KEYS.accountName(changed.name), value: Buffer.from(id) });
      }
      if (changed.email !== record.email) {
        if (record.email !== undefined)
          writes.push({ key: KEYS.accountEmail(record.email, id), delete: true });
        if (changed.email !== undefined)
          writes.push({ key: KEYS.accountEmail(changed.email, id), value: NOTHING });
      }
      const absent =
        changed.name === record.name ? [] : [{ key: KEYS.accountName(changed.name), absent: true as const }];
      if (await commit(this.#core, { checks: [...checks, ...absent], writes })) return toAccount(id, changed);
    }
    throw new StoreError("SlowDown");
  }

  async delete(id: string): Promise<void> {
    const { value, record } = await this.#load(id);
    if (record.name === "root")
      throw new StoreError("InvalidRequest", {}, "The root account can't be deleted");
    const keyIds = (await scanAll(this.#core, KEYS.accountKeys(id))).map(
      ({ key }) => decodeKey(key)[2] as string,
    );
    const settings = (await scanAll(this.#core, KEYS.allSettings())).filter((entry) => isOf(id, entry));
    const done = await commit(this.#core, {
      checks: [{ key: KEYS.account(id), value }, { empty: KEYS.bucketsOf(id) }, ...settings],
      writes: [
        ...settings.map(({ key }) => ({ key, delete: true as const })),
        { key: KEYS.account(id), delete: true },
        { key: KEYS.accountName(record.name), delete: true },
        ...(record.email === undefined
          ? []
          : [{ key: KEYS.accountEmail(record.email, id), delete: true as const }]),
        ...keyIds.flatMap((keyId) => [
          { key: KEYS.accessKey(keyId), delete: true as const },
          { key: KEYS.accountKey(id, keyId), delete: true as const },
        ]),
        this.#epoch,
      ],
    });
    if (done) return;
    throw new StoreError("BucketNotEmpty", {}, "The account owns buckets, or was changed at the same moment");
  }

  async createKey(
    accountId: string,
    given?: { accessKeyId: string; secretAccessKey: string },
  ): Promise<Credential> {
    const pair = given ?? newPair();
    validatePair(pair);
    const { record } = await this.#load(accountId);
    const done = await commit(this.#core, {
      checks: [
        { key: KEYS.account(accountId), present: true },
        { key: KEYS.accessKey(pair.accessKeyId), absent: true },
      ],
      writes: [...this.#keyWrites(accountId, pair), this.#epoch],
    });
    if (!done) throw invalid("accessKeyId", pair.accessKeyId, "The access key id is taken");
    return {
      ...pair,
      accountId,
      enabled: true,
      createdAt: this.#core.now(),
      account: toAccount(accountId, record),
    };
  }

  async keys(accountId: string): Promise<AccessKey[]> {
    const ids = (await scanAll(this.#core, KEYS.accountKeys(accountId))).map(
      ({ key }) => decodeKey(key)[2] as string,
    );
    const values = await this.#core.meta.getMany(ids.map((id) => KEYS.accessKey(id)));
    return ids.flatMap((id, n) => {
      const value = values[n];
      return value === undefined ? [] : [toAccessKey(id, decode<AccessKeyRecord>(value))];
    });
  }

  setKeyEnabled(accessKeyId: string, enabled: boolean): Promise<void> {
    return this.#changeKey(accessKeyId, (record) => [
      { key: KEYS.accessKey(accessKeyId), value: encode({ ...record, enabled }) },
    ]);
  }

  deleteKey(accessKeyId: string): Promise<void> {
    return this.#changeKey(accessKeyId, (record) => [
      { key: KEYS.accessKey(accessKeyId), delete: true },
      { key: KEYS.accountKey(record.account, accessKeyId), delete: true },
    ]);
  }

  credential(accessKeyId: string): Promise<Credential | undefined> {
    return this.#cache.get("credential", accessKeyId, async () => {
      if (accessKeyId.length > NAME_LENGTH_MAX) return undefined;
      const value = await this.#core.meta.get(KEYS.accessKey(accessKeyId));
      if (value === undefined) return undefined;
      const record = decode<AccessKeyRecord>(value);
      const account = await this.byId(record.account);
      if (account === undefined) return undefined;
      const secretAccessKey = this.#secrets.unseal(record.sealed, accessKeyId);
      return { ...toAccessKey(accessKeyId, record), secretAccessKey, account };
    });
  }
}

/** Whether a settings document is an account's; see Settings. */
function isOf(id: string, { key, value }: Entry): boolean {
  if ((decodeKey(key)[2] as string).startsWith(`${id}/`)) return true;
  return decode<{ ownerId?: unknown } | null>(value)?.ownerId === id;
}

/** The account that a settings document is kept for, by its name. */
const ownerIn = (name: string): string | undefined => /^([0-9a-f]{64})\//.exec(name)?.[1];

/** A document that was read and is written again has the same bytes: JSON keeps the order of names. */
const encodeDocument = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

export function createSettings(core: Core, cache: Cache, secrets: Secrets): Settings {
  const list = async <T>(kind: string): Promise<{ name: string; value: T }[]> => {
    const entries = await scanAll(core, KEYS.settings(kind));
    return entries.map(({ key, value }) => ({ name: decodeKey(key)[2] as string, value: decode<T>(value) }));
  };
  return {
    seal: (secret, context) => secrets.seal(secret, context),
    unseal: (sealed, context) => secrets.unseal(sealed, context),
    derive: (purpose) => secrets.derive(purpose),
    get: <T>(kind: string, name: string) =>
      cache.get("setting", `${kind}/${name}`, async () => {
        if (name.length > NAME_LENGTH_MAX) return undefined;
        const value = await core.meta.get(KEYS.setting(kind, name));
        return value === undefined ? undefined : decode<T>(value);
      }),
    list,
    all: <T>(kind: string) => cache.get("settings", kind, () => list<T>(kind)),
    change: (changes) =>
      commit(core, {
        checks: changes.flatMap(({ kind, name, value, ifAbsent, was }): Check[] => {
          const key = KEYS.setting(kind, name);
          const owner = value === undefined ? undefined : ownerIn(name);
          const checks: Check[] = owner === undefined ? [] : [{ key: KEYS.account(owner), present: true }];
          if (ifAbsent === true) return [...checks, { key, absent: true }];
          return was === undefined ? checks : [...checks, { key, value: encodeDocument(was) }];
        }),
        writes: [
          ...changes.map(({ kind, name, value }): Write => {
            const key = KEYS.setting(kind, name);
            return value === undefined ? { key, delete: true } : { key, value: encodeDocument(value) };
          }),
          { key: KEYS.epoch(), add: 1 },
        ],
      }),
  };
}
