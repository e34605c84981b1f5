import { expect, test } from "vitest";
import { startServer } from "../server.ts";
import { describeWithTool, run } from "./tools.ts";

const JOBS = [
  "multipart_200_mib",
  "pages_of_2500_keys",
  "odd_keys",
  "presigned",
  "two_accounts",
  "versions",
  "conditions_and_checksums",
];

describeWithTool("python", ["-c", "import boto3"], (python) => {
  test("boto3 does a day's work", { timeout: 240_000 }, async () => {
    const server = await startServer();
    try {
      const { account, key } = await server.store.accounts.create({
        name: "other",
        email: "other@example.com",
      });
      const setup = {
        endpoint: server.url,
        root: server.rootKey,
        other: { id: account.id, accessKeyId: key.accessKeyId, secretAccessKey: key.secretAccessKey },
      };
      const ran = await run(python, ["test/clients/python/boto3_work.py", JSON.stringify(setup)]);
      expect(ran.stderr).toBe("");
      expect(ran.stdout.trim().split("\n")).toEqual(JOBS.map((job) => `${job}: done`));
      expect(ran.code).toBe(0);
    } finally {
      await server.close();
    }
  });
});
