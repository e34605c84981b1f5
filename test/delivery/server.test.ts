/** From an upload over S3 to a picture over the delivery listener, through the whole server. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { createOrigin } from "../../src/delivery/origins/origins.ts";
import { startServer, type TestServer } from "../server.ts";
import { signedFetch } from "../signed.ts";
import { colourAt, noise, quadrants, sizeOf } from "./site.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
  await put("/photos", undefined);
  await createOrigin(server.store, { name: "photos", type: "bucket", bucket: "photos" });
});
afterAll(() => server.close());

async function put(target: string, body: Buffer | undefined): Promise<void> {
  const headers = { "content-type": "image/jpeg" };
  const answer = await signedFetch(server, {
    method: "PUT",
    target,
    headers,
    ...(body === undefined ? {} : { body }),
  });
  expect([target, answer.status, await answer.text()]).toEqual([target, 200, ""]);
}

async function get(
  path: string,
): Promise<{ status: number; type: string | null; cache: string | null; body: Buffer }> {
  const answer = await fetch(server.deliveryUrl + path);
  const body = Buffer.from(await answer.arrayBuffer());
  return {
    status: answer.status,
    type: answer.headers.get("content-type"),
    cache: answer.headers.get("x-cache"),
    body,
  };
}

test("an uploaded picture is delivered as it is and resized, and its successor with the next request", async () => {
  const first = await noise(400, 300);
  await put("/photos/trip/a%20b.jpg", first);
  expect((await get("/root/tr:orig-true/trip/a%20b.jpg")).body.equals(first)).toBe(true);
  const resized = await get("/root/tr:w-100,h-100/trip/a%20b.jpg");
  expect([resized.type, resized.cache, await sizeOf(resized.body)]).toEqual([
    "image/jpeg",
    "MISS",
    "jpeg 100x100",
  ]);
  expect((await get("/image/photos/trip/a%20b.jpg?w=100&h=100&f=jpg")).status).toBe(200);
  await put("/photos/trip/a%20b.jpg", await quadrants(200, 200).jpeg().toBuffer());
  const changed = await get("/root/tr:w-100,h-100/trip/a%20b.jpg");
  expect([changed.cache, await colourAt(changed.body, 0.2, 0.2)]).toEqual(["MISS", "red"]);
});

test("a picture whose owner's READ is taken away over S3 is 403 with the next request", async () => {
  await put("/photos/secret.jpg", await noise(100, 100));
  expect((await get("/root/tr:w-10/secret.jpg")).status).toBe(200);
  const acl = `<AccessControlPolicy><Owner><ID>${(await server.store.accounts.byName("root"))!.id}</ID></Owner><AccessControlList/></AccessControlPolicy>`;
  await signedFetch(server, {
    method: "PUT",
    target: "/photos/secret.jpg?acl",
    headers: {},
    body: Buffer.from(acl),
  });
  expect([(await get("/root/tr:w-10/secret.jpg")).status, (await get("/root/secret.jpg")).status]).toEqual([
    403, 403,
  ]);
});
