/**
 * Where requests of ours may go. Whenever a name is looked up, every address that it has is judged, and the socket goes to
 * an address that was judged: who answers differently the second time (DNS rebinding) gains nothing.
 */
import { lookup as systemLookup, type LookupAddress } from "node:dns";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { DeliveryError } from "../errors.ts";
import { OutsideOrigin, plainHost } from "./client.ts";

/** As node:dns has it, with `all`. Given by tests. */
export type Resolve = (host: string) => Promise<LookupAddress[]>;

const resolveBySystem: Resolve = (host) =>
  new Promise((resolve, reject) => {
    systemLookup(host, { all: true, verbatim: true }, (error, addresses) => {
      if (error === null) resolve(addresses);
      else reject(error);
    });
  });

/**
 * Whether an address is one of the open internet. Everything that is special by any registry is not: private, loopback,
 * link-local, carrier-grade NAT, unique local, multicast, documentation, benchmarks; nor is IPv6 that stands for an IPv4
 * address (mapped, compatible, 6to4, NAT64, Teredo), whatever that address is.
 */
export function isPublic(address: string): boolean {
  const plain = address.replace(/%.*$/, "");
  if (isIP(plain) === 0) return false;
  const parsed = ipaddr.parse(plain);
  if (parsed.kind() === "ipv4") return isPublicV4(parsed as ipaddr.IPv4);
  // Global unicast is 2000::/3; ipaddr.js knows the special parts of it.
  return parsed.range() === "unicast" && parsed.match(GLOBAL_UNICAST, 3);
}
const GLOBAL_UNICAST = ipaddr.IPv6.parse("2000::");

/** What ipaddr.js takes for ordinary. */
const MORE_SPECIAL_V4: readonly (readonly [string, number])[] = [
  ["192.0.0.0", 24], // protocol assignments
  ["192.31.196.0", 24], // AS112
  ["192.52.193.0", 24], // AMT
  ["192.88.99.0", 24], // 6to4 relays
  ["192.175.48.0", 24], // AS112
  ["198.18.0.0", 15], // benchmarks
  ["240.0.0.0", 4], // reserved
];

const isPublicV4 = (address: ipaddr.IPv4): boolean =>
  address.range() === "unicast" &&
  !MORE_SPECIAL_V4.some(([network, bits]) => address.match(ipaddr.IPv4.parse(network), bits));

/** What an operator allows. */
export interface AddressPolicy {
  /** Hosts whose addresses may be private: `host`, `host:port`, `*.example.com`. */
  readonly allowHosts: readonly string[];
  /** No other host is asked at all, and a star allows no private address (web proxies). */
  readonly onlyAllowed?: boolean;
  /** The list only says which hosts are asked: it allows no private address. */
  readonly publicOnly?: boolean;
  /** Refusals don't say what address a name has: to accounts that the network is none of the business of. */
  readonly discreet?: boolean;
  readonly resolve?: Resolve;
  /** What requests carry as CDN-Loop. */
  readonly loopMark?: string;
}

/** Whether a list names a host, and whether it does so without a star. `port` is "" where it was judged before. */
function listed(
  allowHosts: readonly string[],
  host: string,
  port: string,
): "exactly" | "by star" | undefined {
  let byStar = false;
  for (const allowed of allowHosts) {
    const match = /^(\[[^\]]+\]|[^:]+|[0-9a-f:]+)(?::(\d+))?$/i.exec(allowed.trim());
    const name = plainHost(match?.[1] ?? allowed);
    if (match?.[2] !== undefined && port !== "" && match[2] !== port) continue;
    if (name === host) return "exactly";
    if (name.startsWith("*.") && host.endsWith(name.slice(1))) byStar = true;
  }
  return byStar ? "by star" : undefined;
}

const portOf = ({ port, protocol }: URL): string => port || (protocol === "https:" ? "443" : "80");

/**
 * Judges a URL before a connection is made; returns the addresses that may be connected to.
 * @throws DeliveryError OriginRefused; OriginFailed when the name can't be looked up
 */
export async function judge(url: URL, policy: AddressPolicy): Promise<LookupAddress[]> {
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new DeliveryError("OriginRefused", `Origins are asked over http and https, not ${url.protocol}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new DeliveryError("OriginRefused", "URLs of origins hold no user names and passwords.");
  }
  return judgeHost(url.hostname, portOf(url), policy);
}

/** @throws DeliveryError OriginRefused, OriginFailed */
export async function judgeHost(
  hostname: string,
  port: string,
  policy: AddressPolicy,
): Promise<LookupAddress[]> {
  const host = plainHost(hostname);
  const named = listed(policy.allowHosts, host, port);
  if (policy.onlyAllowed === true && named === undefined) {
    throw new OutsideOrigin(
      "OriginRefused",
      `${host} is not among the hosts that may be asked (--allow-host).`,
    );
  }
  const addresses = await addressesOf(host, policy.resolve ?? resolveBySystem);
  const refused = addresses.find(({ address }) => !isPublic(address));
  // Whoever may name any URL must not reach whatever a star happens to cover.
  const allowed =
    policy.publicOnly !== true &&
    (named === "exactly" || (named === "by star" && policy.onlyAllowed !== true));
  if (refused !== undefined && !allowed) {
    throw new DeliveryError(
      "OriginRefused",
      "The origin's address is not one that may be asked; a test of the origin says which it is.",
      [],
      policy.discreet === true
        ? `${host} has an address that is not on the open internet.`
        : `${host} has the address ${refused.address}, which is not on the open internet: allow it with --allow-host ${host}.`,
    );
  }
  return addresses;
}

async function addressesOf(host: string, resolve: Resolve): Promise<LookupAddress[]> {
  const family = isIP(host);
  if (family !== 0) return [{ address: host, family }];
  let found: LookupAddress[];
  try {
    found = await resolve(host);
  } catch (error) {
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    throw unknownName(host, code);
  }
  if (found.length > 0) return found;
  throw unknownName(host, "no address");
}

/** @returns for its message says what, and for its detail which name */
export const unknownName = (host: string, why: string): DeliveryError =>
  new DeliveryError(
    "OriginFailed",
    `The origin's name can't be looked up (${why}).`,
    [],
    `The name ${host} can't be looked up (${why}).`,
  );

/** What sockets of node:net and node:tls take as their `lookup`. */
export type SocketLookup = (
  hostname: string,
  options: { all?: boolean | undefined },
  callback: (error: Error | null, address: string | LookupAddress[], family?: number) => void,
) => void;

/**
 * A lookup that judges: whatever opens a socket through it reaches only what the policy allows. Sockets to literal
 * addresses do no lookup, so URLs are judged before as well.
 */
export const guardedLookup =
  (policy: AddressPolicy): SocketLookup =>
  (hostname, options, callback) => {
    void lookup(hostname, policy, options.all === true, callback);
  };

async function lookup(
  hostname: string,
  policy: AddressPolicy,
  all: boolean,
  callback: Parameters<SocketLookup>[2],
): Promise<void> {
  let addresses: LookupAddress[];
  try {
    addresses = await judgeHost(hostname, "", policy);
  } catch (error) {
    return callback(error as Error, []);
  }
  if (all) callback(null, addresses);
  else callback(null, addresses[0]!.address, addresses[0]!.family);
}
