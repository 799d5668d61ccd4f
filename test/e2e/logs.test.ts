// What is logged, where, and what a failed request shows: through a real Apache, in every way that it reaches us.
import { chmod, mkdir, readFile, readdir, rename } from "node:fs/promises";
import { statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import type { HttpReply } from "../harness/http.ts";
import { apacheAccount } from "../harness/machine.ts";
import { Supervised } from "../harness/supervised.ts";
import { until } from "../harness/until.ts";
import { Workspace } from "../harness/workspace.ts";

let workspace: Workspace;
let names = 0;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

type Line = Readonly<Record<string, unknown>>;

async function linesOf(file: string): Promise<Line[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

/** Waits for lines of a log that are like this. */
async function waitFor(what: string, file: string, isWanted: (line: Line) => boolean, count = 1): Promise<Line[]> {
  return until(what, async () => {
    const lines = (await linesOf(file)).filter(isWanted);
    return lines.length >= count && lines;
  });
}

async function freshFile(name: string): Promise<string> {
  names += 1;
  return join(await workspace.ownedDir(`log-${names}`), name);
}

const fromLogs = /AH01071: Got error '(?:first line|second line|tsgi: Error: the row could not be shown)/u;
const ask = (apache: Apache, target: string, headers: [string, string][] = []): Promise<HttpReply> =>
  apache.request({ target, headers });

describe("the daemon", () => {
  let supervised: Supervised;
  let file: string;
  let errorPage: string;

  const start = async (...args: string[]): Promise<void> => {
    file = await freshFile("app.log");
    supervised = await Supervised.start(workspace, {
      app: workspace.app("logs.ts"),
      args: ["--log-file", file, "--access-log", ...args],
      apacheConfig: 'SetEnvIf X-Id "(.+)" UNIQUE_ID=$1', // as mod_unique_id does for every request
      expectLog: [fromLogs],
    });
  };

  test("logs under the request's id, script and worker: console, wsgi.errors, tsgi.log, failures and accesses", async () => {
    await start();
    const workers = new Set(supervised.workers());
    const of = (id: string) => (line: Line) => line["request_id"] === id;
    const id = await supervised.text("/errors");
    const written = await waitFor("the lines", file, of(id), 3);
    expect(written.map(({ msg }) => msg)).toEqual(["first line", "second line", "request"]);
    for (const line of written) {
      expect(line).toMatchObject({ script: workspace.app("logs.ts"), group: "default" });
      expect(workers.has(line["worker"] as number)).toBe(true);
    }
    expect(written[2]).toMatchObject({ method: "GET", path: "/errors", status: 200, outcome: "complete" });
    await supervised.apache.logged(/AH01071: Got error 'first line'/u);
    await supervised.apache.logged(/AH01071: Got error 'second line'/u);

    const failed = await supervised.request("/throw");
    const [, failedId = ""] = /<code>(.*)<\/code>/u.exec(failed.body.toString()) ?? [];
    const [failure] = await waitFor("the failure", file, (line) => of(failedId)(line) && line["level"] === 50);
    expect(failure).toMatchObject({ code: "TSGI2107", msg: "request failed: an error page was sent" });
    expect(JSON.stringify(failure)).toContain("logs.ts:11:");
    expect(failed.body.toString()).not.toMatch(/row|logs\.ts/u);
    await supervised.apache.logged(`the row could not be shown [TSGI2107] [request ${failedId}]`);

    const secret = await supervised.request({
      target: "/log",
      headers: [
        ["Cookie", "a=s3cr3t"],
        ["Authorization", "Basic s3cr3t"],
      ],
    });
    await waitFor("the line of the application", file, of(secret.body.toString()));
    expect(await readFile(file, "utf8")).not.toContain("s3cr3t");
    expect(supervised.log).toBe("");
  });

  test("takes the id that Apache has for the request", async () => {
    await start();
    const reply = await supervised.request({ target: "/errors", headers: [["X-Id", "id-of-apache"]] });
    expect(reply.body.toString()).toBe("id-of-apache");
    await waitFor("the lines", file, ({ request_id: id, msg }) => id === "id-of-apache" && msg === "first line");
  });

  test("gives what many requests print at once to the right one each", async () => {
    await start("--processes", "1");
    await supervised.text("/print");
    supervised.expectClients(20);
    const times = Array.from({ length: 20 }, (_, index) => String(5 + ((index * 7) % 30)));
    const ids = await Promise.all(times.map((time) => supervised.text(`/print?${time}`)));
    const printed = await waitFor(
      "all lines",
      file,
      ({ source, request_id: id }) => source === "console" && ids.includes(String(id)),
      40,
    );
    for (const id of ids) {
      const own = printed.filter((line) => line["request_id"] === id);
      expect(own.map(({ level, msg }) => `${String(level)} ${String(msg)}`)).toEqual([
        `30 before ${id}`,
        `40 after ${id} { headers: { cookie: undefined } }`,
      ]);
    }
  });

  test("shows a developer at this machine the source, and nobody else; the error page is for the others", async () => {
    errorPage = await workspace.write("error.html", "<h1>Sorry: {{status}}, {{request_id}}</h1>\n");
    await start("--debug", "--error-page", errorPage);
    const shown = await supervised.request({ target: "/throw", headers: [["Accept", "text/html"]] });
    const body = shown.body.toString();
    expect([shown.status, body.includes("&#60;script&#62;"), body.includes("<script")]).toEqual([500, true, false]);
    expect(body).toContain("async function findRow(row: Row): Promise&#60;never&#62; {");
    expect(body).toContain(`${workspace.app("logs.ts")}:11:`);
    expect(body).toContain("caused by");
    const proxied = await supervised.request({ target: "/throw", headers: [["X-Forwarded-For", "192.0.2.1"]] });
    expect(proxied.body.toString()).toMatch(/^<h1>Sorry: 500, [\w-]+<\/h1>\n$/u);
    const named = await supervised.request({ target: "/throw", headers: [["Host", "rebound.example"]] });
    expect(named.body.toString()).toMatch(/^<h1>Sorry/u);
  });

  test("refuses --debug where others could connect", async () => {
    const program = workspace.tsgi(["daemon", workspace.app("logs.ts"), "--listen", "tcp:0.0.0.0:0", "--debug"]);
    expect((await program.ended).code).toBe(2);
    expect(program.stderr).toMatch(/^tsgi: --debug does not go with tcp:0\.0\.0\.0:0: /u);
  });

  test("does not start without its log file or its error page", async () => {
    const listen = ["--listen", `unix:${workspace.path("run/none.sock")}`];
    for (const args of [
      ["--log-file", workspace.path("nowhere/app.log")],
      ["--error-page", workspace.path("nowhere.html")],
    ]) {
      const program = workspace.tsgi(["daemon", workspace.app("logs.ts"), ...listen, ...args]);
      expect((await program.ended).code).toBe(1);
      expect(program.stderr).toMatch(/^tsgi: .*(?:app\.log cannot be opened|nowhere\.html cannot be used).*TSGI3102/u);
    }
  });
});

describe.each([false, true])("log files that are rotated: workers of another user %s", (isOther) => {
  const account = apacheAccount();

  test.skipIf(isOther && account === undefined)(
    "lose no line, and are all written by the new name",
    async () => {
      names += 1;
      // A folder of the supervisor's own: the workers may enter it, and make nothing in it.
      const folder = isOther ? workspace.path(`log-${names}`) : await workspace.ownedDir(`log-${names}`);
      await mkdir(folder, { recursive: true });
      await chmod(folder, 0o755);
      const file = join(folder, "app.log");
      const supervised = await Supervised.start(workspace, {
        app: workspace.app("supervised.ts"),
        asRoot: isOther,
        args: ["--log-file", file, "--access-log", ...(isOther ? ["--user", account?.name ?? ""] : [])],
      });
      const load = supervised.load({ clients: 8 });
      const isAccess = ({ msg }: Line): boolean => msg === "request";
      const lastOf = async (): Promise<Set<unknown>> =>
        new Set((await linesOf(file)).filter(isAccess).map((line) => line["worker"]));
      for (let turn = 1; turn <= 8; turn += 1) {
        await load.more(100);
        await rename(file, `${file}.${turn}`);
        supervised.program.signal("SIGUSR1");
        await until("the workers to write to the new file", async () => (await lastOf()).size === 2);
      }
      if (isOther) expect(statSync(file).uid).toBe(account?.uid);
      // A worker by itself must neither end nor open a debugger.
      for (const pid of supervised.workers()) process.kill(pid, "SIGUSR1");
      await load.more(100);
      const { total, failed } = await load.stop();
      expect(failed, load.describe()).toBe(0);
      const files = (await readdir(folder)).map((name) => join(folder, name));
      expect(files).toHaveLength(9);
      await until("a line for every request", async () => {
        const lines = (await Promise.all(files.map(linesOf))).flat().filter(isAccess);
        return lines.length >= total;
      });
      expect(supervised.log).not.toContain("Debugger");
    },
    90_000,
  );
});

describe.each(["fcgid", "cgi"] as const)("%s", (mode) => {
  let apache: Apache;
  let file: string;

  beforeAll(async () => {
    file = await freshFile(`${mode}.log`);
    const page = await workspace.write(`${mode}.html`, "<h1>Sorry: {{status}}, {{request_id}}</h1>\n");
    const program = mode === "fcgid" ? "tsgi-fcgid" : "tsgi-cgi";
    const wrapper = await workspace.wrapper(`${mode}/app`, program, workspace.app("logs.ts"));
    const set = (name: string, value: string): string =>
      mode === "fcgid" ? `FcgidInitialEnv ${name} "${value}"` : `SetEnv ${name} "${value}"`;
    workspace.expectLog(
      /mod_fcgid: stderr: (?:first line|second line|tsgi: )/u,
      /AH01215: .*(?:first line|second line|tsgi: Error: the row)/u,
      /^(?:first line|second line|tsgi: Error: the row)/u,
    );
    apache = await workspace.apache({
      modules: mode === "fcgid" ? ["fcgid"] : ["cgid"],
      config: `
${set("TSGI_LOG_FILE", file)}
${set("TSGI_DEBUG", "on")}
${set("TSGI_ERROR_PAGE", page)}
${mode === "fcgid" ? "FcgidMaxProcessesPerClass 1" : ""}
<Location "/">
  Require all granted
  Options +ExecCGI
  SetHandler ${mode === "fcgid" ? "fcgid-script" : "cgi-script"}
</Location>
Alias "/app" "${wrapper}"`,
    });
  }, 60_000);

  test("prints into the log file under the request, before and after an await", async () => {
    const id = (await ask(apache, "/app/print")).body.toString();
    const lines = await waitFor("both lines", file, ({ request_id }) => request_id === id, 2);
    expect(lines.map(({ msg, source }) => [String(msg).split(" ")[0], source])).toEqual([
      ["before", "console"],
      ["after", "console"],
    ]);
    expect(lines[0]?.["worker"]).toBeGreaterThan(1);
  });

  test("writes wsgi.errors to Apache's error log and to its own", async () => {
    const id = (await ask(apache, "/app/errors")).body.toString();
    const lines = await waitFor("both lines", file, ({ request_id }) => request_id === id, 2);
    expect(lines.map(({ msg }) => msg)).toEqual(["first line", "second line"]);
    await apache.logged("second line");
  });

  test("shows a failure to this machine, and its page to the others", async () => {
    const shown = await ask(apache, "/app/throw", [["Accept", "text/html"]]);
    expect(shown.body.toString()).toContain("async function findRow(row: Row)");
    const proxied = await ask(apache, "/app/throw", [["X-Forwarded-For", "192.0.2.1"]]);
    expect(proxied.body.toString()).toMatch(/^<h1>Sorry: 500, [\w-]+<\/h1>\n$/u);
  });
});
