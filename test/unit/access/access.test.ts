import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cannedAcl, decide } from "../../../src/access/access.ts";
import {
  ALL_USERS,
  ANONYMOUS_ID,
  AUTHENTICATED_USERS,
  LOG_DELIVERY,
  type Grant,
  type Grantee,
  type Permission,
} from "../../../src/store/types.ts";

const OWNER = "a".repeat(64);
const OTHER = "b".repeat(64);
const THIRD = "c".repeat(64);
const PERMISSIONS: Permission[] = ["READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"];
const group = (uri: string): Grantee => ({ type: "Group", uri });
const user = (id: string): Grantee => ({ type: "CanonicalUser", id });
const grant = (grantee: Grantee, permission: Permission): Grant => ({ grantee, permission });

/** Letters of what is held, in the order of PERMISSIONS: R W r w F. */
function held(id: string | undefined, grants: Grant[], ownerId = OWNER): string {
  const account = id === undefined ? undefined : { id };
  return PERMISSIONS.map((permission, n) =>
    decide({ account, ownerId, acl: { grants }, permission }) ? "RWrwF"[n]! : "-",
  ).join("");
}

describe("decide", () => {
  const cases: [name: string, grants: Grant[], owner: string, other: string, anonymous: string][] = [
    ["no grants at all", [], "--rw-", "-----", "-----"],
    ["the owner in full", [grant(user(OWNER), "FULL_CONTROL")], "RWrwF", "-----", "-----"],
    ["the owner's READ alone", [grant(user(OWNER), "READ")], "R-rw-", "-----", "-----"],
    ["another account's READ", [grant(user(OTHER), "READ")], "--rw-", "R----", "-----"],
    ["another account in full", [grant(user(OTHER), "FULL_CONTROL")], "--rw-", "RWrwF", "-----"],
    ["everybody's READ", [grant(group(ALL_USERS), "READ")], "R-rw-", "R----", "R----"],
    ["everybody's WRITE_ACP", [grant(group(ALL_USERS), "WRITE_ACP")], "--rw-", "---w-", "---w-"],
    ["every account's WRITE", [grant(group(AUTHENTICATED_USERS), "WRITE")], "-Wrw-", "-W---", "-----"],
    ["log delivery", [grant(group(LOG_DELIVERY), "FULL_CONTROL")], "--rw-", "-----", "-----"],
    ["a group nobody knows", [grant(group("http://example.com/all"), "READ")], "--rw-", "-----", "-----"],
    ["the anonymous user by id", [grant(user(ANONYMOUS_ID), "READ")], "--rw-", "-----", "R----"],
    [
      "four grants that make a whole",
      PERMISSIONS.slice(0, 4).map((p) => grant(user(OTHER), p)),
      "--rw-",
      "RWrwF",
      "-----",
    ],
  ];
  test.each(cases)("%s", (_name, grants, owner, other, anonymous) => {
    expect([held(OWNER, grants), held(OTHER, grants), held(undefined, grants)]).toEqual([
      owner,
      other,
      anonymous,
    ]);
    expect(
      held(
        THIRD,
        grants.filter(({ grantee }) => grantee.type === "CanonicalUser"),
      ),
    ).toBe("-----");
  });

  test("what anonymous wrote is readable by anonymous and not by the bucket's owner", () => {
    const { grants } = cannedAcl("private", { ownerId: ANONYMOUS_ID, bucketOwnerId: OWNER })!;
    expect(held(undefined, grants, ANONYMOUS_ID)).toBe("RWrwF");
    expect(held(OWNER, grants, ANONYMOUS_ID)).toBe("-----");
  });

  const anyGrant = fc.record({
    grantee: fc.constantFrom(
      user(OWNER),
      user(OTHER),
      user(THIRD),
      user(ANONYMOUS_ID),
      group(ALL_USERS),
      group(AUTHENTICATED_USERS),
      group(LOG_DELIVERY),
    ),
    permission: fc.constantFrom(...PERMISSIONS),
  });
  const anyGrants = fc.array(anyGrant, { maxLength: 8 });
  const anyId = fc.constantFrom(OWNER, OTHER, THIRD, undefined);
  const ask = (id: string | undefined, grants: Grant[], permission: Permission) =>
    decide({ account: id === undefined ? undefined : { id }, ownerId: OWNER, acl: { grants }, permission });

  test("a further grant never takes anything away, and order does not matter", () => {
    fc.assert(
      fc.property(
        anyGrants,
        anyGrant,
        anyId,
        fc.constantFrom(...PERMISSIONS),
        (grants, more, id, permission) => {
          const before = ask(id, grants, permission);
          expect(!before || ask(id, [...grants, more], permission)).toBe(true);
          expect(ask(id, grants.toReversed(), permission)).toBe(before);
        },
      ),
    );
  });

  test("full control is exactly the four permissions together", () => {
    fc.assert(
      fc.property(anyGrants, anyId, (grants, id) => {
        expect(ask(id, grants, "FULL_CONTROL")).toBe(
          PERMISSIONS.slice(0, 4).every((each) => ask(id, grants, each)),
        );
      }),
    );
  });

  test("what anybody may, every account may", () => {
    fc.assert(
      fc.property(
        anyGrants,
        fc.constantFrom(OTHER, THIRD),
        fc.constantFrom(...PERMISSIONS),
        (grants, id, permission) => {
          const others = grants.filter(({ grantee }) => grantee.type === "Group");
          expect(!ask(undefined, others, permission) || ask(id, others, permission)).toBe(true);
        },
      ),
    );
  });

  test("grants to one account say nothing about another", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...PERMISSIONS)), (permissions) => {
        expect(
          held(
            THIRD,
            permissions.map((permission) => grant(user(OTHER), permission)),
          ),
        ).toBe("-----");
      }),
    );
  });
});

describe("cannedAcl", () => {
  const full = grant(user(OWNER), "FULL_CONTROL");
  const forBucket = (name: string) => cannedAcl(name, { ownerId: OWNER, bucketOwnerId: undefined })?.grants;
  const forObject = (name: string, bucketOwnerId = OTHER) =>
    cannedAcl(name, { ownerId: OWNER, bucketOwnerId })?.grants;

  test.each<[name: string, more: Grant[]]>([
    ["private", []],
    ["public-read", [grant(group(ALL_USERS), "READ")]],
    ["public-read-write", [grant(group(ALL_USERS), "READ"), grant(group(ALL_USERS), "WRITE")]],
    ["authenticated-read", [grant(group(AUTHENTICATED_USERS), "READ")]],
  ])("%s is the same for buckets and objects", (name, more) => {
    expect(forBucket(name)).toEqual([full, ...more]);
    expect(forObject(name)).toEqual([full, ...more]);
  });

  test("log-delivery-write is for buckets only", () => {
    expect(forBucket("log-delivery-write")).toEqual([
      full,
      grant(group(LOG_DELIVERY), "WRITE"),
      grant(group(LOG_DELIVERY), "READ_ACP"),
    ]);
    expect(forObject("log-delivery-write")).toBeUndefined();
  });

  test("the bucket's owner gets a part in an object that another writes, and no second one in his own", () => {
    expect(forObject("bucket-owner-read")).toEqual([full, grant(user(OTHER), "READ")]);
    expect(forObject("bucket-owner-full-control")).toEqual([full, grant(user(OTHER), "FULL_CONTROL")]);
    expect(forObject("bucket-owner-full-control", OWNER)).toEqual([full]);
    expect(forBucket("bucket-owner-full-control")).toEqual([full]);
  });

  test("aws-exec-read opens nothing to anybody here", () => {
    const grants = forObject("aws-exec-read")!;
    expect(grants).toHaveLength(2);
    expect([held(OTHER, grants), held(undefined, grants)]).toEqual(["-----", "-----"]);
  });

  test.each(["", "public", "Private", "constructor", "toString", "__proto__"])(
    "%j is no canned ACL",
    (name) => {
      expect(forBucket(name)).toBeUndefined();
      expect(forObject(name)).toBeUndefined();
    },
  );
});
