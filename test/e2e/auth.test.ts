// A script that says who may come in, asked by a real Apache: mod_authnz_fcgi with the daemon, mod_fcgid with its own process.
// The configuration is what `tsgi config auth` prints. Whatever goes wrong, nobody comes in, and no log has a password.
import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import { headerValues, type HttpReply } from "../harness/http.ts";
import { Workspace, type Daemon } from "../harness/workspace.ts";

let workspace: Workspace;
let daemon: Daemon;
let apache: Apache;

const password = `p€ss:wörd "'%41\\`;
const long = "L".repeat(5000);

const script = `
const passwords = { ada: ${JSON.stringify(password)}, bob: ${JSON.stringify(long)} };
export const checkPassword = async (environ, user, password) => {
  if (user === "broken") throw new Error("the database does not know " + password);
  if (user === "slow") await new Promise(() => {});
  if (user === "odd") return "yes";
  return Object.hasOwn(passwords, user) ? passwords[user] === password : undefined;
};
export const groupsForUser = (environ, user) => (user === "ada" ? new Set(["staff", "math"]) : ["guests"]);
export const allowAccess = (environ, host) => host === "127.0.0.1" && environ.QUERY_STRING !== "stranger";
`;

const application = `
let count = 0;
export const application = (environ, startResponse) => {
  startResponse("200 OK", [["Content-Type", "text/plain"]]);
  if (environ.PATH_INFO === "/count") return String(count);
  count += 1;
  return JSON.stringify([environ.REMOTE_USER, environ.TSGI_GROUPS, environ.REMOTE_PASSWD]);
};
`;

/** What `tsgi config auth` prints. */
function configured(...args: readonly string[]): string {
  return execFileSync(process.execPath, [workspace.bin("tsgi"), "config", "auth", ...args], {
    env: workspace.env(),
    encoding: "utf8",
  });
}

beforeAll(async () => {
  workspace = await Workspace.open();
  workspace.expectLog(
    // What Apache says of those who do not come in.
    /AH025(?:0\d|1\d)|AH016(?:17|18|14)|AH10422|AH0249\d/u,
    /mod_fcgid: (?:A|a)uth|mod_fcgid: (?:User|Access check)|mod_fcgid: stderr: tsgi: /u,
    /"(?:warn|error)"|^\{"level":/u,
  );
  const auth = await workspace.write("auth.ts", script);
  const app = await workspace.write("app.ts", application);
  daemon = await workspace.daemon([app, "--auth-script", auth, "--request-timeout", "500ms"], { tcp: true });
  const listen = `tcp:127.0.0.1:${daemon.port}`;
  const asked = configured(auth, "--path", "/staff", "--group", "staff", "--group", "admins", "--listen", listen);
  const anybody = configured(auth, "--path", "/users", "--listen", listen).replace(/^AuthnzFcgiDefine.*$/m, "");
  const byFcgid = configured(auth, "--path", "/fcgid", "--group", "staff", "--module", "fcgid", "--access-check");
  apache = await workspace.apache({
    modules: ["authn_core", "authn_file", "authz_user", "auth_basic", "authnz_fcgi", "fcgid", "proxy", "proxy_fcgi"],
    // The first two as every configuration has them that tsgi prints for an application.
    config: `
AllowEncodedSlashes NoDecode
MergeSlashes Off
FcgidMaxProcessesPerClass 4
FcgidIOTimeout 10
ProxyPass "/" "fcgi://127.0.0.1:${daemon.port}/" enablereuse=on
<Location "/">
  ProxyFCGIBackendType GENERIC
  SetEnv TSGI_MOUNT_POINT /
</Location>
${asked}${anybody}${byFcgid}
`,
  });
}, 60_000);

afterAll(() => workspace.close(), 60_000);

async function get(target: string, user?: string, secret?: string): Promise<HttpReply> {
  const credentials = Buffer.from(`${user}:${secret}`).toString("base64");
  const headers: [string, string][] = user === undefined ? [] : [["Authorization", `Basic ${credentials}`]];
  return await apache.request({ target, headers });
}

const count = async (): Promise<number> => Number((await get("/count")).body.toString());
const passed = async (target: string, user: string, secret: string): Promise<unknown> => {
  const reply = await get(target, user, secret);
  return reply.status === 200 ? (JSON.parse(reply.body.toString()) as unknown) : reply.status;
};

describe.each(["/staff", "/fcgid"])("%s, for a group", (place) => {
  test("lets in who has the password and the group, and tells the application of both", async () => {
    expect(await passed(place, "ada", password)).toEqual(["ada", "staff,math", null]);
  });

  test("lets in nobody else, and the application hears of none of them", async () => {
    const before = await count();
    const denied = [
      await get(place),
      await get(place, "ada", password.slice(0, -1)),
      await get(place, "ada", password.split(":")[0]),
      await get(place, "ada", ""),
      await get(place, "eve", password),
      await get(place, "bob", long),
      await get(`${place}?stranger`, "ada", password),
      await get(place, "odd", "x"),
      await get(place, "broken", "hunter2"),
    ];
    expect(denied.map(({ status }) => status).filter((status) => status !== 401 && status !== 500)).toEqual([]);
    expect(denied.slice(0, 6).map(({ status }) => status)).toEqual([401, 401, 401, 401, 401, 401]);
    // However the path is written that the application sees.
    const spellings = [`/${place}/x`, `${place}%2Fx`, `${place}%2fx`, `//.${place}`, `/%2F${place}`, `/y/..${place}`];
    for (const target of spellings) expect([target, (await get(target)).status]).toEqual([target, 401]);
    for (const reply of denied.slice(1, 6)) {
      expect(headerValues(reply.headers, "WWW-Authenticate")).toEqual(['Basic realm="Restricted"']);
    }
    expect(await count()).toBe(before);
  });
});

describe("/users, for everybody with a password", () => {
  test("lets in whoever has one, however long it is", async () => {
    expect(await passed("/users", "bob", long)).toEqual(["bob", null, null]);
    expect(await passed("/users", "bob", `${long}L`)).toBe(401);
  });

  test("lets nobody in whose check never ends", async () => {
    expect(await passed("/users", "slow", "x")).toBe(401);
  });

  test("a password in bytes that are no UTF-8 is nobody's", async () => {
    const credentials = Buffer.from("ada:\xe9", "latin1").toString("base64");
    const reply = await apache.request({ target: "/users", headers: [["Authorization", `Basic ${credentials}`]] });
    expect(reply.status).toBe(401);
  });
});

test("an application that says nothing of access lets nobody in", async () => {
  const other = await workspace.daemon([await workspace.write("plain.ts", application)], { tcp: true });
  const second = await workspace.apache({
    modules: ["authn_core", "authz_user", "auth_basic", "authnz_fcgi"],
    config: configured(workspace.path("plain.ts"), "--listen", `tcp:127.0.0.1:${other.port}`),
  });
  const headers: [string, string][] = [["Authorization", `Basic ${Buffer.from("ada:x").toString("base64")}`]];
  expect((await second.request({ target: "/", headers })).status).toBe(500);
  expect(other.program.stderr).toContain("answers for no access: it exports none of checkPassword");
  await other.program.stop();
  expect((await second.request({ target: "/", headers })).status).toBe(500);
});

test("no log has a password", async () => {
  const log = `${daemon.program.stderr}${await apache.errorLog()}`;
  expect(log).toContain("the password stands in it");
  expect(log).toContain("TSGI2003");
  for (const secret of [password, "hunter2", "LLLLLLLL", Buffer.from("broken:hunter2").toString("base64")]) {
    expect(log).not.toContain(secret);
  }
});
