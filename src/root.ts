/** The root account, and the buckets that the operator wants to find at the first request. */
import { ConfigError, type Config } from "./config.ts";
import { StoreError } from "./store/errors.ts";
import type { ObjectStore } from "./store/store.ts";
import type { Account } from "./store/types.ts";

export interface RootKey {
  accessKeyId: string;
  secretAccessKey: string;
}

const ROOT = "root";

/**
 * Makes the root account at the first start, and the buckets that are missing. Gives the key when it was generated just
 * now: the only moment at which it can be shown. A pair in the configuration works from then on; earlier keys stay.
 * @throws ConfigError
 */
export async function ensureRoot(store: ObjectStore, config: Config): Promise<RootKey | undefined> {
  const pair = configuredPair(config);
  const root = await store.accounts.byName(ROOT);
  if (root === undefined) {
    const { account, key } = await store.accounts.create({ name: ROOT, ...pair });
    await ensureBuckets(store, account, config);
    return pair === undefined
      ? { accessKeyId: key.accessKeyId, secretAccessKey: key.secretAccessKey }
      : undefined;
  }
  if (pair !== undefined) await ensurePair(store, root, pair);
  await ensureBuckets(store, root, config);
  return undefined;
}

function configuredPair(config: Config): RootKey | undefined {
  const { rootAccessKeyId: accessKeyId, rootSecretAccessKey: secretAccessKey } = config;
  return accessKeyId === undefined || secretAccessKey === undefined
    ? undefined
    : { accessKeyId, secretAccessKey };
}

async function ensurePair(store: ObjectStore, root: Account, pair: RootKey): Promise<void> {
  const known = await store.accounts.credential(pair.accessKeyId);
  if (known !== undefined && known.accountId !== root.id) {
    throw new ConfigError("WINDLASS_ROOT_ACCESS_KEY_ID is the access key of another account.");
  }
  if (known?.secretAccessKey === pair.secretAccessKey) {
    // Somebody disabled it and then asked for it again: the configuration is the later word.
    if (!known.enabled) await store.accounts.setKeyEnabled(pair.accessKeyId, true);
    return;
  }
  if (known !== undefined) await store.accounts.deleteKey(pair.accessKeyId);
  await store.accounts.createKey(root.id, pair);
}

/** The rules for new names: 3 to 63 of lower-case letters, digits, dots and dashes, as in a host name. */
const BUCKET_NAME = /^(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,61}[a-z0-9]$/;

async function ensureBuckets(store: ObjectStore, root: Account, config: Config): Promise<void> {
  for (const name of config.buckets) {
    if (!BUCKET_NAME.test(name))
      throw new ConfigError(`"${name}" is no bucket name: use 3 to 63 of a-z, 0-9, dot and dash.`);
    const existing = await store.bucket(name);
    if (existing !== undefined && existing.ownerId !== root.id) {
      throw new ConfigError(`The bucket "${name}" is another account's.`);
    }
    if (existing !== undefined) continue;
    const acl = {
      grants: [{ grantee: { type: "CanonicalUser", id: root.id }, permission: "FULL_CONTROL" }],
    } as const;
    try {
      await store.createBucket({
        name,
        ownerId: root.id,
        location: "",
        acl: { grants: [...acl.grants] },
        maxBuckets: config.maxBuckets,
      });
    } catch (error) {
      if (error instanceof StoreError && error.code === "TooManyBuckets") {
        throw new ConfigError(`The bucket "${name}" is one more than --max-buckets allows.`);
      }
      throw error;
    }
  }
}
