/** Who asks the admin API: HTTP Basic with an access key id and its secret, and a brake on guessing. */
import { createHash, timingSafeEqual } from "node:crypto";
import ipaddr from "ipaddr.js";
import { Lru } from "../lib/lru.ts";
import type { ObjectStore } from "../store/store.ts";
import type { Account } from "../store/types.ts";
import { ApiError } from "./errors.ts";

/**
 * Failed attempts of one address within the window, at all workers together; then it waits. Stops guessing and the load
 * that it makes.
 */
const FAILURES_MAX = 20;
/** At one worker, however many there are: people mistype. */
const FAILURES_MIN = 3;
const WINDOW_MS = 60_000;
/** Addresses whose failures are remembered. Stops an attacker with many addresses from filling the memory. */
const ADDRESSES_MAX = 10_000;

const CHALLENGE = { "www-authenticate": 'Basic realm="Windlass", charset="UTF-8"' };

export interface Caller {
  readonly account: Account;
  /** May act for every account, and do what only the operator may. */
  readonly isRoot: boolean;
}

/** Looks a caller up by credentials that are no access key. */
export type OtherCredentials = (user: string) => Promise<Account | undefined>;

export interface GateOptions {
  readonly store: ObjectStore;
  /** Processes that a client may reach. */
  readonly workers: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** What of a request the gate looks at. */
export interface Visitor {
  readonly authorization: string | undefined;
  /** Of the client. */
  readonly address: string;
}

export class Gate {
  readonly #store: ObjectStore;
  readonly #now: () => number;
  /** This process's share: who guesses comes to each of them in turn. */
  readonly #failuresMax: number;
  readonly #failures = new Lru<string, { count: number; until: number }>({ maxEntries: ADDRESSES_MAX });

  constructor({ store, workers, now = Date.now }: GateOptions) {
    this.#store = store;
    this.#failuresMax = Math.max(FAILURES_MIN, Math.floor(FAILURES_MAX / workers));
    this.#now = now;
  }

  /** @throws ApiError Unauthenticated, AccessDenied, TooManyAttempts */
  async admit({ authorization, address }: Visitor, others?: OtherCredentials): Promise<Caller> {
    const network = networkOf(address);
    this.#checkAttempts(network);
    const pair = basicOf(authorization);
    if (pair === undefined) {
      throw new ApiError(
        "Unauthenticated",
        "Send an access key id and its secret as HTTP Basic credentials.",
        CHALLENGE,
      );
    }
    await this.#store.refresh();
    const credential = await this.#store.accounts.credential(pair.id);
    // Compared in any case: an unknown id must not be told by the time that the answer takes.
    const matches = same(pair.secret, credential?.secretAccessKey ?? "");
    const known = matches && credential !== undefined ? credential : undefined;
    const account = known?.account ?? (await others?.(pair.id));
    if (account === undefined) {
      this.#remember(network);
      throw new ApiError("Unauthenticated", "The access key id or its secret is wrong.", CHALLENGE);
    }
    if (known?.enabled === false) throw new ApiError("AccessDenied", "The access key is disabled.");
    if (account.status !== "active") throw new ApiError("AccessDenied", "The account is suspended.");
    return { account, isRoot: account.name === "root" };
  }

  #checkAttempts(network: string): void {
    const failures = this.#failures.get(network);
    if (failures === undefined || failures.count < this.#failuresMax) return;
    const left = failures.until - this.#now();
    if (left <= 0) return;
    throw new ApiError("TooManyAttempts", "Too many failed attempts from this address: wait a minute.", {
      "retry-after": String(Math.ceil(left / 1000)),
    });
  }

  #remember(network: string): void {
    const now = this.#now();
    const before = this.#failures.get(network);
    const running =
      before !== undefined && before.until > now ? before : { count: 0, until: now + WINDOW_MS };
    this.#failures.set(network, { ...running, count: running.count + 1 });
  }
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Takes the same time wherever two texts differ. */
function same(one: string, other: string): boolean {
  return timingSafeEqual(digest(one), digest(other)) && other !== "";
}

function basicOf(authorization: string | undefined): { id: string; secret: string } | undefined {
  const encoded = /^basic +([A-Za-z0-9+/_=-]+) *$/i.exec(authorization ?? "")?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const at = text.indexOf(":");
  return at < 0 ? undefined : { id: text.slice(0, at), secret: text.slice(at + 1) };
}

/** One client has a whole /64 of IPv6 at its disposal. */
function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  return parsed.kind() === "ipv4" ? parsed.toString() : parsed.toByteArray().slice(0, 8).join(".");
}

/**
 * The address that stands for the client: the connection's, or the last one in X-Forwarded-For that is not a trusted
 * proxy's. `trusted` has addresses and blocks.
 */
export function clientAddress(
  remote: string,
  forwardedFor: string | undefined,
  trusted: readonly string[],
): string {
  const blocks = trusted.flatMap((one) => blockOf(one));
  const isTrusted = (address: string): boolean => {
    if (!ipaddr.isValid(address)) return false;
    const parsed = ipaddr.process(address);
    return blocks.some(([block, bits]) => block.kind() === parsed.kind() && parsed.match(block, bits));
  };
  let client = remote;
  for (const hop of (forwardedFor ?? "").split(",").toReversed()) {
    if (!isTrusted(client) || !ipaddr.isValid(hop.trim())) break;
    client = hop.trim();
  }
  return client;
}

function blockOf(text: string): [ipaddr.IPv4 | ipaddr.IPv6, number][] {
  if (text.includes("/")) return [ipaddr.parseCIDR(text)];
  if (!ipaddr.isValid(text)) return [];
  const address = ipaddr.process(text);
  return [[address, address.kind() === "ipv4" ? 32 : 128]];
}
