/** The pages of docs/reference that the tables are the source of. */
import { ERRORS } from "./errors.ts";
import type { Operation, Who } from "./operation.ts";
import { OPERATIONS } from "./operations.ts";

const PATHS: Readonly<Record<Operation["on"], string>> = {
  service: "/",
  bucket: "/BUCKET",
  bucketName: "/BUCKET",
  object: "/BUCKET/KEY",
};

function requestLine({ method, on, when = [] }: Operation): string {
  const query = when.filter((demand) => demand.startsWith("?")).map((demand) => demand.slice(1));
  const headers = when.filter((demand) => !/^[?/]/.test(demand));
  const path = when.find((demand) => demand.startsWith("/")) ?? PATHS[on];
  const target = path + (query.length === 0 ? "" : `?${query.join("&")}`);
  return [`\`${method} ${target}\``, ...headers.map((name) => `with \`${name}\``)].join(" ");
}

function permission(who: Who): string {
  if (who === "anybody") return "anybody";
  if (who === "account") return "any account";
  if ("object" in who) return `${who.object} on the object`;
  return who.bucket === "OWNER" ? "the bucket's owner" : `${who.bucket} on the bucket`;
}

/** docs/reference/operations.md */
export function operationsMarkdown(): string {
  const rows = Object.entries<Operation>(OPERATIONS).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const built = rows.filter(([, { run }]) => run !== "NotImplemented");
  const missing = rows.filter(([, { run }]) => run === "NotImplemented");
  return [
    "# Operations",
    "",
    "Generated from `src/s3/operations.ts`; a test compares them.",
    "",
    `## Served (${built.length})`,
    "",
    "| operation | request | who may | policy action | access log |",
    "| --- | --- | --- | --- | --- |",
    ...built.map(([name, row]) =>
      [`| ${name}`, requestLine(row), permission(row.who), `\`${row.action}\``, `\`${row.log}\` |`].join(
        " | ",
      ),
    ),
    "",
    `## Not built yet (${missing.length})`,
    "",
    "Each answers 501 `NotImplemented` under its own name and does nothing.",
    "",
    "| operation | request |",
    "| --- | --- |",
    ...missing.map(([name, row]) => `| ${name} | ${requestLine(row)} |`),
    "",
  ].join("\n");
}

/** docs/reference/errors.md */
export function errorsMarkdown(): string {
  const rows = Object.entries(ERRORS).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [
    "# Errors",
    "",
    "Generated from `src/s3/errors.ts`; a test compares them. Messages of single answers may say more.",
    "",
    "| code | status | SOAP fault | message |",
    "| --- | --- | --- | --- |",
    ...rows.map(
      ([code, { status, soap, message }]) => `| ${code} | ${status} | \`${soap}.${code}\` | ${message} |`,
    ),
    "",
  ].join("\n");
}
