/** Grammars of option values: one text form for flags, environment and file, each with its limits. */
import { isIP } from "node:net";

/** What an option's value may be. `parse` throws an Error whose message completes "--name …". */
export interface Kind<T> {
  /** How the value is called in usage lines. */
  readonly label: string;
  /** May be given several times, or as a list with commas. */
  readonly many: boolean;
  parse(text: string): T;
  show(value: T): string;
}

export const text = (label: string): Kind<string> => ({
  label,
  many: false,
  parse(value) {
    if (value === "") throw new Error("must not be empty");
    return value;
  },
  show: (value) => value,
});

/** `text`, or nothing when the option is not given. */
export const optional = <T>(kind: Kind<T>): Kind<T | undefined> => ({
  ...kind,
  parse: (value) => kind.parse(value),
  show: (value) => (value === undefined ? "" : kind.show(value)),
});

export function choice<const T extends string>(...values: T[]): Kind<T> {
  return {
    label: values.join("|"),
    many: false,
    parse(value) {
      const found = values.find((known) => known === value);
      if (found === undefined) throw new Error(`must be one of ${values.join(", ")}, not "${value}"`);
      return found;
    },
    show: (value) => value,
  };
}

function within(value: number, min: number, max: number, show: (value: number) => string): number {
  if (value < min || value > max) throw new Error(`must be from ${show(min)} to ${show(max)}`);
  return value;
}

export const integer = (min: number, max: number): Kind<number> => ({
  label: "N",
  many: false,
  parse(value) {
    if (!/^\d{1,15}$/.test(value)) throw new Error(`must be a whole number, not "${value}"`);
    return within(Number(value), min, max, String);
  },
  show: String,
});

const SIZE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 1024,
  kib: 1024,
  m: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gib: 1024 ** 3,
  t: 1024 ** 4,
  tib: 1024 ** 4,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
};

function showBytes(value: number): string {
  const steps = ["B", "KiB", "MiB", "GiB", "TiB"];
  let step = 0;
  let rest = value;
  while (rest >= 1024 && rest % 1024 === 0 && step < steps.length - 1) {
    rest /= 1024;
    step++;
  }
  return step === 0 ? String(rest) : `${rest} ${steps[step]}`;
}

/** A number of bytes: `32768`, `32 KiB`, `1.5GB`. */
export const bytes = (min: number, max: number): Kind<number> => ({
  label: "SIZE",
  many: false,
  parse(value) {
    const match = /^(\d{1,15}(?:\.\d{1,6})?)\s*([a-z]{0,3})$/i.exec(value.trim());
    const unit = match === null ? undefined : SIZE_UNITS[match[2]!.toLowerCase()];
    if (match === null || unit === undefined)
      throw new Error(`must be a size such as 32 KiB, not "${value}"`);
    return within(Math.round(Number(match[1]) * unit), min, max, showBytes);
  },
  show: showBytes,
});

const TIME_UNITS: Readonly<Record<string, number>> = { "": 1, s: 1, m: 60, min: 60, h: 3600, d: 86_400 };

function showSeconds(value: number): string {
  for (const unit of ["d", "h", "m"]) {
    const seconds = TIME_UNITS[unit]!;
    if (value >= seconds && value % seconds === 0) return `${value / seconds}${unit}`;
  }
  return `${value}s`;
}

/** A number of seconds: `90`, `90s`, `15m`, `1h`, `7d`. */
export const seconds = (min: number, max: number): Kind<number> => ({
  label: "TIME",
  many: false,
  parse(value) {
    const match = /^(\d{1,10})\s*(s|m|min|h|d|)$/.exec(value.trim());
    if (match === null) throw new Error(`must be a time such as 90s, 15m or 1h, not "${value}"`);
    return within(Number(match[1]) * TIME_UNITS[match[2]!]!, min, max, showSeconds);
  },
  show: showSeconds,
});

/** Where a listener listens. Host names are looked up when it opens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** @throws Error for what is not HOST:PORT */
export function parseAddress(value: string): Address {
  const match = /^(?:\[([0-9A-Fa-f:.%a-z]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new Error(`must be HOST:PORT such as 127.0.0.1:9000 or [::1]:9000, not "${value}"`);
  }
  if (match[1] !== undefined && isIP(match[1].replace(/%.*$/, "")) !== 6) {
    throw new Error(`"${match[1]}" is no IPv6 address`);
  }
  return { host: match[1] ?? match[2]!, port };
}

function checkEach(check: (value: string) => void): (value: string) => string {
  return (value) => {
    check(value);
    return value;
  };
}

/** A list, each item checked by `check`, which throws for what is wrong. */
export function list(
  label: string,
  check: (value: string) => void = () => undefined,
): Kind<readonly string[]> {
  const item = checkEach(check);
  return {
    label,
    many: true,
    parse: (value) =>
      value
        .split(",")
        .map((part) => part.trim())
        .filter((part) => part !== "")
        .map(item),
    show: (values) => values.join(","),
  };
}

/** Listening addresses; `off` for none. */
export const addresses: Kind<readonly string[]> = {
  ...list("HOST:PORT", parseAddress),
  parse: (value) => (value.trim() === "off" ? [] : list("HOST:PORT", parseAddress).parse(value)),
};

/** @throws Error for what is neither an address nor a block of addresses */
export function checkNetwork(value: string): void {
  const [address = "", bits, ...rest] = value.split("/");
  const version = isIP(address);
  const most = version === 4 ? 32 : 128;
  const wrongBits = bits !== undefined && (!/^\d{1,3}$/.test(bits) || Number(bits) > most);
  if (version === 0 || wrongBits || rest.length > 0) {
    throw new Error(`must be an IP address or a block such as 10.0.0.0/8, not "${value}"`);
  }
}

/** @throws Error for what is not an http or https URL without query */
export function checkUrl(value: string): void {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "") {
    throw new Error(`must be a URL such as https://s3.example.com, not "${value}"`);
  }
}

/** @throws Error for what is not a DNS name */
export function checkHostName(value: string): void {
  if (value.length > 253 || !/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(value)) {
    throw new Error(`must be a host name in lower case such as s3.example.com, not "${value}"`);
  }
}

export const url: Kind<string> = {
  ...text("URL"),
  parse(value) {
    checkUrl(value);
    return value;
  },
};
