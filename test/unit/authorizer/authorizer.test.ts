import { describe, expect, test } from "vitest";
import { authorizerOf } from "../../../src/authorizer/authorizer.ts";
import type { AuthorizerHooks } from "../../../src/authorizer/hooks.ts";
import { findHooks } from "../../../src/authorizer/hooks.ts";
import { withoutPassword } from "../../../src/authorizer/secret.ts";
import type { Environ } from "../../../src/spec.ts";

const latin1 = (text: string): string => Buffer.from(text).toString("latin1");

const hooks: AuthorizerHooks = {
  checkPassword: (_environ, user, password) => (user === "nobody" ? undefined : password === "s3:cr€t"),
  groupsForUser: (_environ, user) => (user === "ada" ? ["staff", "math, all", "é"] : undefined),
  allowAccess: (environ, host) => host !== "10.0.0.1" && environ.QUERY_STRING !== "no",
};

const credentials = { REMOTE_USER: "ada", REMOTE_PASSWD: latin1("s3:cr€t") };

async function ask(given: Partial<AuthorizerHooks>, variables: Record<string, unknown>, timeoutMs = 1000) {
  const all = { checkPassword: undefined, groupsForUser: undefined, allowAccess: undefined, ...given };
  let head: unknown[] = [];
  const environ = { REMOTE_ADDR: "127.0.0.1", ...variables } as unknown as Environ;
  const body = await authorizerOf(all, timeoutMs)(environ, (status, headers) => {
    head = [status, headers];
    return async () => {};
  });
  expect(body).toBe("");
  return head;
}

const ok = ["200 OK", []];
const forbidden = ["403 Forbidden", []];
const challenge = ["401 Unauthorized", [["WWW-Authenticate", 'Basic realm="Restricted", charset="UTF-8"']]];
const inGroups = ["200 OK", [["Variable-TSGI_GROUPS", latin1("staff,é")]]];

test.each<[string, Record<string, unknown>, unknown]>([
  ["the right password", { FCGI_APACHE_ROLE: "AUTHENTICATOR", ...credentials }, ok],
  ["a wrong one", { FCGI_APACHE_ROLE: "AUTHENTICATOR", ...credentials, REMOTE_PASSWD: "x" }, challenge],
  ["an unknown user", { FCGI_APACHE_ROLE: "AUTHENTICATOR", ...credentials, REMOTE_USER: "nobody" }, challenge],
  ["no password", { FCGI_APACHE_ROLE: "AUTHENTICATOR", REMOTE_USER: "ada" }, ["401 Unauthorized", []]],
  [
    "a password that is not UTF-8",
    { FCGI_APACHE_ROLE: "AUTHENTICATOR", ...credentials, REMOTE_PASSWD: "\xe9" },
    ["401 Unauthorized", []],
  ],
  [
    "a host that may not ask",
    { FCGI_APACHE_ROLE: "AUTHENTICATOR", ...credentials, REMOTE_ADDR: "10.0.0.1" },
    forbidden,
  ],
  ["the role of both without groups", { ...credentials }, ok],
  ["the role of both with a group", { ...credentials, TSGI_REQUIRE_GROUPS: "admin staff" }, inGroups],
  ["the role of both with another group", { ...credentials, TSGI_REQUIRE_GROUPS: "admin" }, forbidden],
  [
    "the role of both with a wrong password",
    { ...credentials, REMOTE_PASSWD: "x", TSGI_REQUIRE_GROUPS: "staff" },
    challenge,
  ],
  ["a group", { FCGI_APACHE_ROLE: "AUTHORIZER", REMOTE_USER: "ada", TSGI_REQUIRE_GROUPS: latin1("é,x") }, inGroups],
  [
    "a part of a group's name",
    { FCGI_APACHE_ROLE: "AUTHORIZER", REMOTE_USER: "ada", TSGI_REQUIRE_GROUPS: "all" },
    forbidden,
  ],
  [
    "a group of nobody's",
    { FCGI_APACHE_ROLE: "AUTHORIZER", REMOTE_USER: "bob", TSGI_REQUIRE_GROUPS: "staff" },
    forbidden,
  ],
  ["groups without a user", { FCGI_APACHE_ROLE: "AUTHORIZER", TSGI_REQUIRE_GROUPS: "staff" }, ["401 Unauthorized", []]],
  ["a host", { FCGI_APACHE_ROLE: "ACCESS_CHECKER", REMOTE_HOST: "a.example", REMOTE_ADDR: "10.0.0.1" }, ok],
  ["a host that is refused", { FCGI_APACHE_ROLE: "ACCESS_CHECKER", QUERY_STRING: "no" }, forbidden],
])("%s", async (_, variables, expected) => {
  expect(await ask(hooks, variables)).toEqual(expected);
});

test.each<[string, Partial<AuthorizerHooks>, Record<string, unknown>, RegExp]>([
  ["a hook that is not there", {}, credentials, /checkPassword, which the script does not export/],
  [
    "groups that Apache does not name",
    hooks,
    { FCGI_APACHE_ROLE: "AUTHORIZER", REMOTE_USER: "ada" },
    /TSGI_REQUIRE_GROUPS names none/,
  ],
  ["a role of the future", hooks, { ...credentials, FCGI_APACHE_ROLE: "FUTURE" }, /"FUTURE"/],
  ["a promise of something true", { checkPassword: async () => "yes" as never }, credentials, /gave a string/],
  ["a number", { checkPassword: () => 1 as never }, credentials, /gave a number/],
  [
    "groups that are a text",
    { ...hooks, groupsForUser: () => [["staff"]] as never },
    { ...credentials, TSGI_REQUIRE_GROUPS: "staff" },
    /no list of names/,
  ],
  [
    "a hook that throws",
    {
      checkPassword: () => {
        throw new TypeError("the database is down");
      },
    },
    credentials,
    /the database is down/,
  ],
])("denies with an error: %s", async (_, given, variables, message) => {
  await expect(ask(given, variables)).rejects.toThrow(message);
});

test("a group name that is text is not taken for its letters", async () => {
  const given = { ...hooks, groupsForUser: () => "s" };
  await expect(ask(given, { ...credentials, TSGI_REQUIRE_GROUPS: "s" })).rejects.toThrow(/no list of names/);
});

test("a hook that never answers is given up", async () => {
  const given = { checkPassword: () => new Promise<boolean>(() => {}) };
  await expect(ask(given, credentials, 20)).rejects.toMatchObject({ code: "TSGI2003", status: 504 });
});

test("the environ that a hook gets has no password in any variable", async () => {
  let seen: unknown;
  const checkPassword = (environ: Environ): boolean => {
    seen = { ...environ };
    return true;
  };
  const more = { HTTP_AUTHORIZATION: "Basic x", Authorization: "Basic x", REDIRECT_HTTP_AUTHORIZATION: "Basic x" };
  await ask({ checkPassword }, { ...credentials, ...more });
  expect(seen).toEqual({ REMOTE_ADDR: "127.0.0.1", REMOTE_USER: "ada" });
});

describe("an error that shows the password", () => {
  const password = 'p"ä: ss';
  const base64 = Buffer.from(`ada:${password}`).toString("base64");
  test.each([
    [new Error(`no such row: ${password}`)],
    [new Error("outer", { cause: new Error(`inner ${password}`) })],
    [Object.assign(new Error("query"), { parameters: ["ada", password] })],
    [new Error(`Basic ${base64}`)],
    [new Error(`GET /?p=${encodeURIComponent(password)}`)],
    [{ thrown: password }],
    [password],
  ])("is told without it: %#", (error) => {
    const told = withoutPassword(error, "ada", password) as Error;
    expect(told).not.toBe(error);
    expect(told.stack).not.toContain(password);
    expect(told.message).toMatch(/^the check failed with (Error|object|string);/);
  });

  test.each([
    ["behind much else", Array.from({ length: 200 }, () => "x").concat(password), password],
    ["at the end of a long text", "x".repeat(20_000) + password, password],
    ["with every quote there is", ["se'\"`cret"], "se'\"`cret"],
  ])("%s is told without it", (_, parameters, secret) => {
    const error = Object.assign(new Error("query"), { parameters });
    expect(withoutPassword(error, "ada", secret)).not.toBe(error);
  });

  test("any other stays as it is", () => {
    const error = new Error("ECONNREFUSED");
    expect(withoutPassword(error, "ada", password)).toBe(error);
    expect(withoutPassword(error, "ada", "")).toBe(error);
  });
});

test("hooks are found by their names, and one that is no function is no hook", () => {
  const reader = (exported: Record<string, unknown>) => (name: string) => exported[name];
  const checkPassword = (): boolean => true;
  expect(findHooks("/a.ts", reader({ checkPassword }))).toEqual({
    checkPassword,
    groupsForUser: undefined,
    allowAccess: undefined,
  });
  expect(() => findHooks("/a.ts", reader({ application: () => "" }))).toThrow(/exports none of checkPassword/);
  expect(() => findHooks("/a.ts", reader({ checkPassword, allowAccess: true }))).toThrow(
    /`allowAccess` of \/a.ts is a boolean/,
  );
});
