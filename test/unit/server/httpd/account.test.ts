// Users and groups of the system, by name and number.
import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { describe, expect, test } from "vitest";
import { groupIdOf, lookUp, serverAccount } from "../../../../src/server/httpd/account.ts";

/** The first group of the system that has a name and is not root's. */
const [name = "", , gid = ""] =
  readFileSync("/etc/group", "utf8")
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => Number(fields[2]) > 0) ?? [];

describe("a group", () => {
  test("is found by its name, and by its number, whether or not it has a name", () => {
    expect(groupIdOf(name)).toBe(Number(gid));
    expect(groupIdOf(gid)).toBe(Number(gid));
    expect(groupIdOf("4294967000")).toBe(4_294_967_000);
  });

  test.each(["", "no-such-group-here", "-x", "--help", "two words", `${name}:`, "a\nb"])("%j is none", (group) => {
    expect(groupIdOf(group)).toBeUndefined();
  });
});

describe("a user", () => {
  test("is found with number and groups", () => {
    const { username, uid, gid: own } = userInfo();
    expect(lookUp(username)).toMatchObject({ user: username, uid, gid: own });
    expect(lookUp(username)?.groups).toContain(own);
  });

  test.each(["", "no-such-user-here", "-u", "two words", "root;id", "$(id)"])("%j is none", (user) => {
    expect(lookUp(user)).toBeUndefined();
  });

  test("that serves is never root", () => {
    expect(serverAccount().uid).not.toBe(0);
  });
});
