/** Query parameters that several operations share, and their judgements. */
import { S3Error } from "./errors.ts";

type Query = ReadonlyMap<string, string>;

export function invalidArgument(name: string, value: string, message: string): S3Error {
  return new S3Error("InvalidArgument", { ArgumentName: name, ArgumentValue: value }, { message });
}

/** Largest number that S3 takes in such parameters. */
const MAX_INTEGER = 2_147_483_647;

/** A count such as `max-keys`: `most` when missing or greater. @throws S3Error InvalidArgument */
export function countParameter(query: Query, name: string, least: number, most: number): number {
  const value = query.get(name);
  if (value === undefined || value === "") return most;
  if (!/^[+-]?\d{1,12}$/.test(value)) {
    throw invalidArgument(name, value, `Provided ${name} not an integer or within integer range`);
  }
  const count = Number(value);
  if (count < least || count > MAX_INTEGER) {
    throw invalidArgument(
      name,
      value,
      `Argument ${name} must be an integer between ${least} and ${MAX_INTEGER}`,
    );
  }
  return Math.min(count, most);
}

const TOKEN_VERSION = "1";

/** Where a listing goes on, opaque to clients. */
export function continuationToken(after: string): string {
  return Buffer.from(TOKEN_VERSION + after).toString("base64url");
}

/** What `continuationToken` was made from. @throws S3Error InvalidArgument */
export function afterToken(token: string): string {
  const text = Buffer.from(token, "base64url").toString();
  if (!text.startsWith(TOKEN_VERSION) || Buffer.from(text).toString("base64url") !== token) {
    throw invalidArgument("continuation-token", token, "The continuation token provided is incorrect");
  }
  return text.slice(TOKEN_VERSION.length);
}
