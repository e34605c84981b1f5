/** From an origin's document to the client that reads it. */
import { Lru } from "../../lib/lru.ts";
import type { ObjectStore } from "../../store/store.ts";
import { DeliveryError } from "../errors.ts";
import type { AddressPolicy } from "./address.ts";
import { Attempts } from "./attempts.ts";
import {
  encodedPath,
  type Fetched,
  type FetchOptions,
  type OriginClient,
  type OriginReader,
} from "./client.ts";
import { key, type Found, type OriginDocument, type OriginSecrets } from "./documents.ts";
import type { OriginHealth, OriginWatch } from "./health.ts";
import { loopMark } from "./loop.ts";

/** Seconds until an origin's first byte where its document doesn't say. */
const TIMEOUT_SECONDS = 10;

export type ForeignDocument = Exclude<OriginDocument, { type: "bucket" }>;

export interface ForeignOrigin extends Found<ForeignDocument> {
  /** As in AddressPolicy. */
  readonly discreet?: boolean;
}

export const sealContext = (ownerId: string, name: string): string => `origin/${key(ownerId, name)}`;

export const secretsOf = (
  store: ObjectStore,
  { ownerId, name, value: { sealed } }: Found<OriginDocument>,
): OriginSecrets =>
  sealed === undefined
    ? {}
    : (JSON.parse(store.settings.unseal(sealed, sealContext(ownerId, name))) as OriginSecrets);

/** A client without folder, retries, key variants and counts: what a test asks. Modules of SDKs are loaded when needed. */
export async function openPlain(store: ObjectStore, origin: ForeignOrigin): Promise<OriginClient> {
  const { value: document } = origin;
  const secrets = secretsOf(store, origin);
  const { allowHosts = [], timeout = TIMEOUT_SECONDS } = document;
  const policy: AddressPolicy = {
    allowHosts,
    publicOnly: document.publicHosts === true,
    discreet: origin.discreet === true,
    loopMark: loopMark(store),
  };
  const headMs = timeout * 1000;
  switch (document.type) {
    case "s3":
    case "s3-compatible": {
      const { openS3Origin } = await import("./s3.ts");
      const { accessKey } = document;
      const { secretKey } = secrets;
      return openS3Origin({
        bucket: document.bucket,
        region: document.region,
        endpointUrl: document.type === "s3" ? undefined : document.endpointUrl,
        pathStyle: document.type === "s3-compatible" && document.pathStyle === true,
        credentials:
          accessKey === undefined || secretKey === undefined
            ? undefined
            : { accessKeyId: accessKey, secretAccessKey: secretKey },
        policy,
        headMs,
      });
    }
    case "azure": {
      const { openAzureOrigin } = await import("./azure.ts");
      const { azureAccount: account, container, azureEndpoint: endpoint } = document;
      const { sasToken, accountKey } = secrets;
      return openAzureOrigin({ account, container, endpoint, sasToken, accountKey, policy, headMs });
    }
    case "gcs": {
      const { openGcsOrigin } = await import("./gcs.ts");
      const { bucket, endpointUrl, clientEmail } = document;
      const { privateKey } = secrets;
      const account =
        clientEmail === undefined || privateKey === undefined ? undefined : { clientEmail, privateKey };
      return openGcsOrigin({ bucket, endpointUrl, account, policy, headMs });
    }
    case "web":
    case "web-proxy":
      break;
  }
  const { openWebOrigin } = await import("./web.ts");
  const web = document.type === "web";
  return openWebOrigin({
    baseUrl: web ? document.baseUrl : undefined,
    forwardHost: web && document.forwardHost === true,
    policy: web ? policy : { ...policy, onlyAllowed: true },
    headMs,
    ...(web ? { sort: asBucket } : {}),
  });
}

/** The web server may be a public bucket that nobody may list: of what it lacks it says the same as S3 itself. */
const asBucket = (status: number, code: string | undefined): Fetched | undefined =>
  status === 403 && code === "AccessDenied" ? { kind: "missing" } : undefined;

const spaced = (text: string): string => text.replaceAll("+", " ");
/** How a file's name may be stored: percent-encoded in the ways in which uploaders do it, and as asked for. */
const SPELLINGS: readonly ((segment: string) => string)[] = [
  encodeURIComponent,
  (segment) => segment.replaceAll(" ", "+"),
  spaced,
  (segment) => encodeURIComponent(spaced(segment)),
  (segment) => segment,
];

/** Names under which a file may be stored. `isWeb`: its name is percent-encoded, and so are they. */
function variantsOf(name: string, isWeb: boolean): string[] {
  const segments = name.split("/");
  const spelled = SPELLINGS.map((spell) =>
    segments.map((one) => (isWeb ? encodeURIComponent(spell(decodeURIComponent(one))) : spell(one))),
  );
  return [...new Set(spelled.map((one) => one.join("/")))];
}

/** Hosts whose health is known apart from each other. Stops strangers' flood of names from filling the memory. */
const HEALTH_MAX = 1000;

/**
 * Hosts that strangers name, a proxy's and those that a web server is told, are ill one by one and not worth a word each;
 * other origins are one service.
 */
function healthOf(
  type: OriginDocument["type"],
  { turned }: OriginWatch,
): (name: string, told: string | undefined) => Attempts {
  const hosts = new Lru<string, Attempts>({ maxEntries: HEALTH_MAX });
  return (name, told) => {
    const host = type === "web-proxy" && URL.canParse(name) ? new URL(name).host : told;
    const attempts = hosts.get(host ?? "") ?? new Attempts(host === undefined ? turned : undefined);
    hosts.set(host ?? "", attempts);
    return attempts;
  };
}

/** A reader for a document: loads its parts at the first request, knows the folder, tries again. */
function openReader(store: ObjectStore, origin: ForeignOrigin, watch: OriginWatch): OriginReader {
  let plain: Promise<OriginClient> | undefined;
  // What failed at one time, such as for want of descriptors, is tried again.
  const opened = (): Promise<OriginClient> =>
    (plain ??= openPlain(store, origin).catch((error: unknown) => {
      plain = undefined;
      throw error;
    }));
  const { folder, encodeKeys = false, type } = origin.value;
  const isWeb = type === "web";
  const health = healthOf(type, watch);
  const front = isWeb ? encodedPath(folder) : folder;
  return {
    async fetch(name: string, options: FetchOptions): Promise<Fetched> {
      // Some service or server on the way would take them for steps out of the folder.
      if (type !== "web-proxy" && /(^|\/)\.{1,2}(\/|$)/.test(isWeb ? decodeURIComponent(name) : name)) {
        throw new DeliveryError("InvalidPath", "The path climbs out of its origin.");
      }
      const client = await opened();
      for (const variant of encodeKeys ? variantsOf(name, isWeb) : [name]) {
        const once = (): Promise<Fetched> => client.fetch(front + variant, options);
        const fetched = await watch.ask(() => health(name, options.host).run(once));
        if (fetched.kind !== "missing") return fetched;
      }
      return { kind: "missing" };
    },
    // One that could not be opened has nothing to close.
    close: () =>
      void plain?.then(
        (client) => client.close(),
        () => undefined,
      ),
  };
}

/** Clients kept per process: sockets and signing keys are worth keeping, and nobody has thousands of origins. */
const CLIENTS_MAX = 1000;

/**
 * Clients by origin; a changed document gets a new one. The one before ends what it has begun, however long that takes; its
 * sockets close once nobody has used them for some seconds.
 */
export class OriginClients {
  readonly #health: OriginHealth;
  readonly #clients = new Map<
    string,
    { readonly document: ForeignDocument; readonly client: OriginReader }
  >();

  constructor(health: OriginHealth) {
    this.#health = health;
  }

  /** `title`: what the operator calls it. */
  get(store: ObjectStore, origin: ForeignOrigin, title: string): OriginReader {
    const { value: document } = origin;
    const id = key(origin.ownerId, origin.name);
    const kept = this.#clients.get(id);
    if (kept?.document === document) return kept.client;
    const same = kept !== undefined && JSON.stringify(kept.document) === JSON.stringify(document);
    const client = same ? kept.client : openReader(store, origin, this.#health.of(title));
    if (kept === undefined && this.#clients.size >= CLIENTS_MAX) this.#clients.clear();
    this.#clients.set(id, { document, client });
    return client;
  }

  /** Instead of asking it; the log says so. @throws DeliveryError OriginFailed */
  refuseLoop(title: string): never {
    const error = new DeliveryError("OriginFailed", "The origin leads back to this server.");
    this.#health.say(title, error);
    throw error;
  }

  close(): void {
    for (const { client } of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}
