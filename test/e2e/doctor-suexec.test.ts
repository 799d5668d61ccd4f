// `tsgi doctor` and Debian's suEXEC: each row breaks one of suEXEC's rules for CGI or mod_fcgid; the real one refuses and says why in its log,
// and the doctor names the same cause, from the folder and from the log. Only root can start such a server.
import {
  chmodSync,
  chownSync,
  copyFileSync,
  lchownSync,
  mkdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { examine } from "../../src/doctor/doctor.ts";
import { errorLogFindings } from "../../src/doctor/error-log.ts";
import { isTrouble } from "../../src/doctor/finding.ts";
import { findSubject } from "../../src/doctor/subject.ts";
import type { Apache } from "../harness/apache.ts";
import { apacheAccount } from "../harness/machine.ts";
import { account, openSuexecHome, removeSuexecHome, suexecLog } from "../harness/suexec.ts";
import { until } from "../harness/until.ts";
import { Workspace } from "../harness/workspace.ts";

const program = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n%s' \"$(id -u)\"\n";

interface Row {
  readonly name: string;
  readonly break: (folder: string, file: string) => void;
  /** In suEXEC's log. */
  readonly log: RegExp;
  /** Of the doctor, for the folder, then for the line of the log. */
  readonly codes: readonly [folder: string, line: string];
  readonly alsoFcgid?: boolean;
  readonly host?: string;
}

const rows: Row[] = [
  {
    name: "a folder that its group may write",
    break: (folder) => chmodSync(folder, 0o775),
    log: /directory is writable by others/,
    codes: ["TSGI3522", "TSGI3584"],
    alsoFcgid: true,
  },
  {
    name: "a program that everybody may write",
    break: (_, file) => chmodSync(file, 0o777),
    log: /file is writable by others/,
    codes: ["TSGI3522", "TSGI3585"],
    alsoFcgid: true,
  },
  {
    name: "a program with the setgid bit",
    break: (_, file) => chmodSync(file, 0o2755),
    log: /setuid or setgid/,
    codes: ["TSGI3526", "TSGI3590"],
  },
  {
    name: "a program of root's",
    break: (_, file) => chownSync(file, 0, 0),
    log: /target uid\/gid .* mismatch/,
    codes: ["TSGI3523", "TSGI3586"],
    alsoFcgid: true,
  },
  {
    name: "a folder of root's",
    break: (folder) => chownSync(folder, 0, 0),
    log: /target uid\/gid .* mismatch/,
    codes: ["TSGI3523", "TSGI3586"],
  },
  {
    name: "a program with another group",
    break: (_, file) => chownSync(file, account.uid, 0),
    log: /target uid\/gid .* mismatch/,
    codes: ["TSGI3523", "TSGI3586"],
  },
  {
    name: "a program without x",
    break: (_, file) => chmodSync(file, 0o644),
    log: /no execute permission/,
    codes: ["TSGI3511", "TSGI3591"],
  },
  {
    name: "a link in place of the program",
    break: (_, file) => {
      renameSync(file, `${file}.real`);
      symlinkSync(`${file}.real`, file);
      lchownSync(file, account.uid, account.gid);
    },
    log: /cannot stat program/,
    codes: ["TSGI3527", "TSGI3588"],
  },
  {
    name: "a user of the system",
    break: () => {},
    log: /cannot run as forbidden [ug]id/,
    codes: ["TSGI3525", "TSGI3592"],
    host: "system.test",
  },
];

describe.skipIf(apacheAccount() === undefined)("under suEXEC", () => {
  let workspace: Workspace;
  let apache: Apache;
  let home = "";

  /** A folder of the account with a program that works. */
  function makeFolder(folder: string, kind: "cgi" | "fcgid"): string {
    const file = join(folder, kind === "cgi" ? "app.cgi" : "app.fcgi");
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, kind === "cgi" ? program : fcgid());
    chmodSync(folder, 0o755);
    chmodSync(file, 0o755);
    for (const path of [folder, file]) chownSync(path, account.uid, account.gid);
    return file;
  }

  const fcgid = (): string =>
    `#!/bin/sh\nPATH='${dirname(process.execPath)}':$PATH; export PATH\nexec '${workspace.bin("tsgi-fcgid")}' '--cache-dir=${home}/cache' '${home}/code/app.ts'\n`;

  const folderOf = (row: Row, kind: "cgi" | "fcgid"): string => {
    const name = `${kind}-${rows.indexOf(row)}`;
    return join(home, row.host === undefined ? "site" : "system", name);
  };

  async function troubles(folder: string): Promise<string[]> {
    const options = { httpd: undefined, apacheUser: undefined, configFile: join(apache.root, "httpd.conf") };
    const findings = await examine(await findSubject(folder, options), { isLoading: false });
    return findings.filter(isTrouble).map(({ code, place, message }) => `${code} ${place}: ${message}`);
  }

  beforeAll(async () => {
    workspace = await Workspace.open();
    workspace.expectLog(/./u);
    home = openSuexecHome();
    for (const [name, mode] of [
      ["code", 0o755],
      ["cache", 0o700],
    ] as const) {
      mkdirSync(join(home, name), { mode });
      chownSync(join(home, name), account.uid, account.gid);
    }
    writeFileSync(
      join(home, "code/app.ts"),
      'export const application = (environ, startResponse) => {\n  startResponse("200 OK", [["Content-Type", "text/plain"]]);\n  return String(process.getuid());\n};\n',
    );
    for (const kind of ["cgi", "fcgid"] as const) makeFolder(join(home, "site", `fine-${kind}`), kind);
    makeFolder(workspace.path("outside"), "cgi");
    for (const row of rows) {
      for (const kind of row.alsoFcgid === true ? (["cgi", "fcgid"] as const) : (["cgi"] as const)) {
        const folder = folderOf(row, kind);
        row.break(folder, makeFolder(folder, kind));
      }
    }
    apache = await workspace.apache({
      modules: ["suexec", "cgid", "fcgid"],
      documentRoot: join(home, "site"),
      config: ({ port }) => `AllowEncodedSlashes NoDecode
FcgidMaxRequestLen 1000000
FcgidOutputBufferSize 0
FcgidMaxProcessesPerClass 1
Alias "/outside" "${workspace.path("outside")}"
<Directory "${home}">
  Require all granted
</Directory>
<Directory ~ "^(${home}|${workspace.path("outside")})">
  Require all granted
  Options +ExecCGI +FollowSymLinks
  AddHandler cgi-script .cgi
  AddHandler fcgid-script .fcgi
  CGIPassAuth On
</Directory>
<VirtualHost 127.0.0.1:${port}>
  ServerName site.test
  DocumentRoot "${home}/site"
  AllowEncodedSlashes NoDecode
  SuexecUserGroup ${account.name} ${account.group}
</VirtualHost>
<VirtualHost 127.0.0.1:${port}>
  ServerName system.test
  DocumentRoot "${home}/system"
  AllowEncodedSlashes NoDecode
  SuexecUserGroup www-data www-data
</VirtualHost>`,
    });
  }, 60_000);

  afterAll(async () => {
    try {
      await workspace.close();
    } finally {
      removeSuexecHome(home);
    }
  }, 60_000);

  test.each(["cgi", "fcgid"] as const)("nothing is wrong with a folder of %s that works", async (kind) => {
    const reply = await apache.request(`/fine-${kind}/app.${kind === "cgi" ? "cgi" : "fcgi"}`);
    expect(`${reply.status} ${reply.body.toString()}`).toBe(`200 ${account.uid}`);
    expect(await troubles(join(home, "site", `fine-${kind}`))).toEqual([]);
  });

  /** The lines that suEXEC has added for a request; other tests may write to its log meanwhile. */
  async function refusals(before: number, log: RegExp): Promise<string> {
    await until(`${String(log)} in suEXEC's log`, () => log.test(suexecLog().slice(before)));
    return suexecLog().slice(before);
  }

  const cases = rows.flatMap((row) =>
    (row.alsoFcgid === true ? (["cgi", "fcgid"] as const) : (["cgi"] as const)).map(
      (kind) => [row.name, kind, row] as const,
    ),
  );

  test.each(cases)("%s, by %s, is refused, and the doctor says why", async (_, kind, row) => {
    const folder = folderOf(row, kind);
    const before = suexecLog().length;
    const target = `/${folder.split("/").at(-1)}/app.${kind === "cgi" ? "cgi" : "fcgi"}`;
    const asked = apache.request({ target, headers: [["Host", row.host ?? "site.test"]] }).then(
      ({ status }) => status,
      () => 0,
    );
    // mod_fcgid tries again for a long while before it answers.
    if (kind === "cgi") expect(await asked).toBe(500);
    const lines = await refusals(before, row.log);
    expect((await troubles(folder)).join("\n")).toContain(row.codes[0]);
    const copy = workspace.path("suexec.log");
    writeFileSync(copy, lines);
    expect(errorLogFindings(copy).map(({ code }) => code)).toContain(row.codes[1]);
  });

  test("a program outside of suEXEC's document root is refused, and the doctor says so", async () => {
    const before = suexecLog().length;
    expect((await apache.request("/outside/app.cgi")).status).toBe(500);
    await refusals(before, /command not in docroot/);
    expect((await troubles(workspace.path("outside"))).join("\n")).toContain("TSGI3524");
    copyFileSync(join(apache.root, "error.log"), workspace.path("copy.log"));
    expect(errorLogFindings(workspace.path("copy.log")).map(({ code }) => code)).toContain("TSGI3594");
  });
});
