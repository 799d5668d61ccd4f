// What `tsgi init` writes runs under Debian's suEXEC, as CGI and under mod_fcgid, as the unprivileged user who wrote it; and
// suEXEC is what runs it. Only root can start such a server: nothing of this can be tried by anybody else.
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import { apacheAccount } from "../harness/machine.ts";
import { Program } from "../harness/program.ts";
import { account, openSuexecHome, removeSuexecHome, suexecLog } from "../harness/suexec.ts";
import { Workspace } from "../harness/workspace.ts";

const source = `
export const application = (environ, startResponse) => {
  startResponse("200 OK", [["Content-Type", "text/plain"]]);
  const { uid, gid } = { uid: process.getuid(), gid: process.getgid() };
  return [uid, gid, environ.SCRIPT_NAME, environ.PATH_INFO, process.env.NODE_ENV, environ["tsgi.transport"]].join("|");
};
`;

describe.skipIf(apacheAccount() === undefined)("under suEXEC", () => {
  let workspace: Workspace;
  let apache: Apache;
  let home = "";

  beforeAll(async () => {
    workspace = await Workspace.open();
    workspace.expectLog(/AH01232: suEXEC mechanism enabled/u);
    home = openSuexecHome();
    for (const folder of ["", "app", "public_html", "public_html/cgi", "public_html/fcgid"]) own(folder);
    own("cache", 0o700);
    writeFileSync(join(home, "app/app.ts"), source);
    await Promise.all([init("cgi"), init("fcgid")]);
    apache = await workspace.apache({
      modules: ["suexec", "cgid", "fcgid", "rewrite"],
      documentRoot: join(home, "public_html"),
      config: `SuexecUserGroup ${account.name} ${account.group}
<Directory "${home}/public_html">
  AllowOverride FileInfo Options=ExecCGI
</Directory>`,
    });
  }, 60_000);

  afterAll(async () => {
    try {
      await workspace.close();
    } finally {
      removeSuexecHome(home);
    }
  }, 60_000);

  function own(name: string, mode = 0o755): void {
    const folder = join(home, name);
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, mode);
    chownSync(folder, account.uid, account.gid);
  }

  async function init(transport: "cgi" | "fcgid"): Promise<void> {
    const folder = join(home, "public_html", transport);
    const options = ["--app", join(home, "app/app.ts"), "--transport", transport, "--cache-dir", join(home, "cache")];
    const command = ["sh", "-c", 'umask 002; exec "$@"', "sh", process.execPath, workspace.bin("tsgi"), "init", folder];
    const program = new Program("tsgi init", [...command, ...options], { cwd: "/", env: workspace.env(), account });
    await program.ended;
    expect(program.report()).toContain("ended with 0");
  }

  const body = async (target: string): Promise<string> => {
    const reply = await apache.request(target);
    return `${reply.status} ${reply.body.toString()}`;
  };

  test.each([
    ["cgi", "cgi"],
    ["fcgid", "fastcgi"],
  ])("%s runs as the folder's owner", async (transport, name) => {
    const { uid, gid } = account;
    expect(await body(`/${transport}/a%20b`)).toBe(`200 ${uid}|${gid}|/${transport}|/a b|production|${name}`);
    expect(suexecLog()).toMatch(/uid: \(65534\/nobody\) gid: \(65534\/(65534|nogroup)\) cmd: app/u);
  });

  test("a wrapper that its group may write is refused, which shows that suEXEC looks", async () => {
    workspace.expectLog(/suexec policy violation|End of script output before headers/u);
    chmodSync(join(home, "public_html/cgi/app.cgi"), 0o775);
    expect(await body("/cgi/")).toMatch(/^500 /u);
    expect(suexecLog()).toMatch(/file is writable by others: \(.*app\.cgi\)/u);
  });
});
