import { expect, test } from "vitest";
import { createLogger } from "../../../src/lib/log.ts";

function capture(level: "info" | "silent" = "info", name?: string) {
  const text: string[] = [];
  const stream = { write: (line: string) => void text.push(line) };
  return { text, log: createLogger({ level, stream, ...(name === undefined ? {} : { name }) }) };
}

test("a line is one JSON object with time, level by name, role, fields, error and message", () => {
  const { text, log } = capture("info", "worker 1");
  log.warn({ err: new Error("boom"), requestId: "X" }, "trouble\nhere");
  expect(text).toHaveLength(1);
  expect(text[0]!.trimEnd()).not.toContain("\n");
  expect(JSON.parse(text[0]!)).toMatchObject({
    level: "warn",
    time: expect.stringMatching(/^\d{4}-.*Z$/) as string,
    name: "worker 1",
    requestId: "X",
    err: { message: "boom" },
    msg: "trouble\nhere",
  });
});

test("lines below the level are not written", () => {
  const quiet = capture("silent");
  quiet.log.fatal("x");
  const { text, log } = capture();
  log.debug("x");
  expect([...quiet.text, ...text]).toEqual([]);
});

test("secrets are never written", () => {
  const { text, log } = capture();
  const headers = { authorization: "S3CRET", Authorization: "S3CRET", cookie: "S3CRET", host: "h" };
  log.info(
    {
      headers,
      request: { headers },
      secretKey: "S3CRET",
      config: { secretAccessKey: "S3CRET", password: "S3CRET" },
    },
    "x",
  );
  expect(text.join("")).not.toContain("S3CRET");
  expect(text.join("")).toContain('"host":"h"');
});
