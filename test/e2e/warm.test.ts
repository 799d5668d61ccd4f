// Warm CGI: one daemon answers for processes that only relay, however many ask first, whatever happens to it, and nobody
// else can take its place. With the relay in Perl and, where there is no Perl, in Node.
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import { begin, params, stdin, variables } from "../harness/fcgi.ts";
import { HttpConnection } from "../harness/http.ts";
import { isRunning, processesOf } from "../harness/leftovers.ts";
import { until } from "../harness/until.ts";
import { endWarmDaemons, pathWithoutPerl, warmDaemons, warmWrapper } from "../harness/warm.ts";
import { Workspace } from "../harness/workspace.ts";

/** Relays that wait for a response. */
function relayCount(workspace: Workspace): number {
  return processesOf(workspace.dir).filter(({ command }) => command.includes("tsgi-relay.pl")).length;
}

const source = (version: string): string => `
let served = 0;
export const application = async (environ: any, startResponse: any): Promise<any> => {
  const [path, query] = [environ.PATH_INFO, environ.QUERY_STRING];
  const answer = (text: string): string => (startResponse("200 OK", [["Content-Type", "text/plain"]]), text);
  if (path === "/version") return answer(${JSON.stringify(version)});
  if (path === "/pid") return answer(String(process.pid));
  if (path === "/served") return answer(String(++served));
  if (path === "/cwd") return answer(process.cwd());
  if (path === "/variable") return answer(JSON.stringify([process.env[query] ?? null, environ[query] ?? null]));
  if (path === "/log") { console.log("printed " + query); environ["wsgi.errors"].write("reported " + query + "\\n"); return answer("logged"); }
  if (path === "/echo") { startResponse("200 OK", [["Content-Type", "application/octet-stream"]]); return environ["wsgi.input"]; }
  if (path === "/ignore") return answer("x".repeat(Number(query)));
  if (path === "/throw") { setTimeout(() => { throw new Error("row: thrown later"); }, 20); await new Promise(() => {}); }
  if (path === "/exit") process.exit(3);
  if (path === "/slow") { await new Promise((resolve) => setTimeout(resolve, Number(query))); return answer("slow"); }
  if (path === "/grow") { (globalThis as any).kept = Buffer.alloc(Number(query), 1); return answer("grown"); }
  if (path === "/kill") { process.kill(process.pid, "SIGKILL"); await new Promise(() => {}); }
  if (path === "/kill-once") { if (environ["wsgi.run_once"]) return answer("once"); process.kill(process.pid, "SIGKILL"); await new Promise(() => {}); }
  if (path === "/wait") {
    const write = startResponse("200 OK", [["Content-Type", "text/plain"]]);
    await write("first\\n");
    while (!environ["tsgi.signal"].aborted) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await write("more\\n").catch(() => {});
    }
    console.error("row: the client has gone");
    return [];
  }
  return answer("hello");
};
`;

for (const relay of ["Perl", "Node"] as const) {
  describe(`with the relay in ${relay}`, () => {
    let workspace: Workspace;
    let apache: Apache;
    let folder: string;

    beforeAll(async () => {
      workspace = await Workspace.open();
      workspace.expectLog(/row: |printed |reported |tsgi: |\{"level":/u, /AH00484: /u); // more first requests than Apache has threads
      const path = relay === "Node" ? await pathWithoutPerl(workspace) : undefined;
      const cache = await workspace.ownedDir("cache");
      chmodSync(cache, 0o700);
      folder = join(cache, "warm");
      const app = await workspace.write("warm/app.ts", source("1"));
      const wrapper = (name: string, ...args: string[]): Promise<string> =>
        warmWrapper(workspace, "tsgi-cgi", [`--cache-dir=${cache}`, ...args], { name: `warm/${name}`, path });
      await wrapper("app.cgi", app);
      await wrapper("idle.cgi", "--idle-timeout=300ms", app);
      await wrapper("small.cgi", "--memory-limit=120m", app);
      await wrapper("broken.cgi", await workspace.write("warm/broken.ts", "export const application = (;\n"));
      apache = await workspace.apache({
        modules: ["cgid"],
        config: `
SetEnv MY_SETTING "from Apache"
SetEnv TSGI_WARM_ENV "MY_SETTING HTTP_X_EVIL"
ScriptAlias "/forbidden/" "${workspace.path("warm")}/"
ScriptAlias "/" "${workspace.path("warm")}/"
<Location "/">
  Require all granted
</Location>
<Location "/forbidden">
  SetEnv TSGI_WARM 0
</Location>`,
      });
    }, 60_000);

    beforeEach(async () => {
      await endWarmDaemons(workspace);
      for (const name of existsSync(folder) ? readdirSync(folder) : []) {
        if (name !== ".htaccess") rmSync(join(folder, name)); // what daemons that were killed left
      }
    });

    afterAll(async () => {
      await endWarmDaemons(workspace);
      await workspace.close();
    }, 60_000);

    const text = async (target: string): Promise<string> => {
      const reply = await apache.request(target);
      return `${reply.status === 200 ? "" : `${reply.status} `}${reply.body.toString("latin1")}`;
    };
    const sockets = (): string[] => readdirSync(folder).filter((name) => /^[0-9a-f]{16}\.\d+$/u.test(name));

    /** What is the daemon's doing is the same whatever the relay is. */
    const testDaemon = (name: string, run: () => Promise<void>, deadlineMs?: number): void => {
      if (relay === "Perl") test(name, run, deadlineMs);
    };

    test("first requests at once start one daemon, and all are answered by it", async () => {
      const count = relay === "Perl" ? 100 : 20;
      const pids = await Promise.all(Array.from({ length: count }, () => text("/app.cgi/pid")));
      expect(new Set(pids).size).toBe(1);
      expect(warmDaemons(workspace).map(({ pid }) => String(pid))).toEqual([pids[0]]);
      expect(sockets()).toHaveLength(1);
    }, 60_000);

    testDaemon("the socket is for us alone, in a folder for us alone", async () => {
      await text("/app.cgi/");
      const [name = ""] = sockets();
      expect(lstatSync(join(folder, name)).mode & 0o777).toBe(0o600);
      expect(lstatSync(folder).mode & 0o7777).toBe(0o700);
      expect(readFileSync(join(folder, ".htaccess"), "utf8")).toContain("denied");
    });

    test("a daemon that was killed is followed by another one", async () => {
      const first = await text("/app.cgi/pid");
      process.kill(Number(first), "SIGKILL");
      const second = await text("/app.cgi/pid");
      expect([second, isRunning(Number(second))]).toEqual([expect.not.stringMatching(`^${first}$`), true]);
    });

    test("a daemon that is killed again and again is not started for a while; requests are answered all the same", async () => {
      for (let round = 0; round < 6; round += 1) {
        const pid = await text("/app.cgi/pid");
        expect(Number(pid)).toBeGreaterThan(0);
        for (const daemon of warmDaemons(workspace)) process.kill(daemon.pid, "SIGKILL");
      }
      expect(warmDaemons(workspace)).toEqual([]);
      await apache.logged("no warm daemon for 60 s");
      const failed = readdirSync(folder).find((name) => name.endsWith(".failed")) ?? "";
      const [dead = ""] = sockets();
      for (const name of [failed, dead]) utimesSync(join(folder, name), 1, 1); // as if it had been long ago
      await text("/app.cgi/");
      expect(warmDaemons(workspace)).toHaveLength(1);
    }, 60_000);

    test("changed files are served at once, by a new daemon", async () => {
      const [first, one] = [await text("/app.cgi/pid"), await text("/app.cgi/version")];
      await workspace.write("warm/app.ts", source("two"));
      const two = await text("/app.cgi/version");
      const second = await text("/app.cgi/pid");
      await workspace.write("warm/app.ts", source("1"));
      expect([one, two, await text("/app.cgi/version")]).toEqual(["1", "two", "1"]);
      expect(second).not.toBe(first);
      await until("the old daemons to end", () => warmDaemons(workspace).length === 1);
    });

    testDaemon("it ends when nobody asks for a while, and its socket goes with it", async () => {
      await text("/idle.cgi/");
      await until("the daemon to end", () => warmDaemons(workspace).length === 0);
      expect(sockets()).toEqual([]);
    });

    testDaemon("one that uses too much memory makes place, after its requests", async () => {
      const first = await text("/small.cgi/pid");
      expect(await text("/small.cgi/grow?200000000")).toBe("grown");
      await until("the daemon to end", () => !isRunning(Number(first)));
      expect(await text("/small.cgi/pid")).not.toBe(first);
    });

    test("forbidden, each request has a process of its own, as without", async () => {
      const [one, two] = [await text("/forbidden/app.cgi/pid"), await text("/forbidden/app.cgi/pid")];
      expect(one).not.toBe(two);
      expect(warmDaemons(workspace)).toEqual([]);
    });

    test("a folder that others may enter, or that is another account's, is not used", async () => {
      await text("/app.cgi/");
      await endWarmDaemons(workspace);
      chmodSync(folder, 0o711);
      expect(await text("/app.cgi/")).toBe("hello");
      expect(warmDaemons(workspace)).toEqual([]);
      chmodSync(folder, 0o700);
      const away = `${folder}-away`;
      renameSync(folder, away);
      mkdirSync(folder, { mode: 0o777 }); // as root, another account than Apache's
      chmodSync(folder, 0o777);
      expect(await text("/app.cgi/")).toBe("hello");
      expect(warmDaemons(workspace)).toEqual([]);
      rmSync(folder, { recursive: true });
      renameSync(away, folder);
    });

    test("of the environment only what is named reaches the daemon; a request has all of its own", async () => {
      expect(JSON.parse(await text("/app.cgi/variable?MY_SETTING"))).toEqual(["from Apache", "from Apache"]);
      expect(JSON.parse(await text("/app.cgi/variable?REMOTE_ADDR"))).toEqual([null, "127.0.0.1"]);
      const evil = await apache.request({ target: "/app.cgi/variable?HTTP_X_EVIL", headers: [["X-Evil", "evil"]] });
      expect(JSON.parse(evil.body.toString())).toEqual([null, "evil"]);
      expect(await text("/app.cgi/cwd")).toBe(workspace.path("warm"));
      expect(warmDaemons(workspace)).toHaveLength(1);
    });

    test("the words of a query neither start a daemon nor change what it is", async () => {
      const pid = await text("/app.cgi/pid");
      for (const query of ["--idle-timeout", "--warm", "a+b", "--cache-dir", "%2Fetc%2Fpasswd"]) {
        expect(await text(`/app.cgi/pid?${query}`)).toBe(pid);
      }
      expect(warmDaemons(workspace)).toHaveLength(1);
    });

    testDaemon("what is printed and reported is in Apache's log", async () => {
      await text(`/app.cgi/log?${relay}`);
      await apache.logged(`printed ${relay}`);
      await apache.logged(`reported ${relay}`);
    });

    test("8 MB come back whole, whatever is read first; a body that is not read costs no response", async () => {
      const body = Buffer.alloc(8_000_000, "0123456789");
      const reply = await apache.request({ method: "POST", target: "/app.cgi/echo", body });
      expect(reply.body.equals(body)).toBe(true);
      for (const size of [10, 3_000_000]) {
        const ignored = await apache.request({ method: "POST", target: `/app.cgi/ignore?${size}`, body });
        expect([ignored.status, ignored.complete, ignored.body.length]).toEqual([200, true, size]);
      }
    }, 60_000);

    test("a stream arrives as it is made, and the daemon learns that the client has gone, and lives on", async () => {
      const pid = await text("/app.cgi/pid");
      const connection = await HttpConnection.open(apache.port);
      await connection.sendRequest({ target: "/app.cgi/wait" });
      await connection.readHead();
      expect((await connection.readSome())?.toString()).toContain("first");
      expect(await text("/app.cgi/pid")).toBe(pid);
      for (const { pid: one } of warmDaemons(workspace)) expect(isRunning(one)).toBe(true);
      connection.destroy();
      await apache.logged("row: the client has gone");
      expect(await text("/app.cgi/pid")).toBe(pid);
    });

    test("a daemon that dies under a request costs a safe one nothing, and another one a 500", async () => {
      expect(await text("/app.cgi/kill-once")).toBe("once");
      const reply = await apache.request({ method: "POST", target: "/app.cgi/kill", body: "x" });
      expect([reply.status, reply.body.toString()]).toEqual([500, expect.stringContaining("Internal Server Error")]);
      await apache.logged("the warm daemon ended before the request");
      expect(await text("/app.cgi/")).toBe("hello");
    });

    testDaemon("an error that nobody caught is a 500 of its request at once", async () => {
      for (let round = 0; round < 2; round += 1) expect(await text("/app.cgi/throw")).toMatch(/^500 /u);
      expect(await text("/app.cgi/")).toBe("hello");
    });

    testDaemon("process.exit is a 500 of its request; others end, and the next one has another daemon", async () => {
      const pid = await text("/app.cgi/pid");
      const slow = apache.request({ method: "POST", target: "/app.cgi/slow?1000", body: "x" });
      await until("the request to be in the daemon", () => relayCount(workspace) > 0);
      expect(await text("/app.cgi/exit")).toMatch(/^500 /u);
      expect(await text("/app.cgi/pid")).not.toBe(pid);
      expect(await slow).toMatchObject({ status: 200, complete: true });
    });

    testDaemon("a package that changes is served by a new daemon", async () => {
      await workspace.write("warm/node_modules/dep/package.json", `{ "name": "dep", "main": "index.js" }`);
      await workspace.write("warm/node_modules/dep/index.js", `module.exports = require("./part");`);
      await workspace.write("warm/node_modules/dep/part.js", `module.exports = "one";`);
      await workspace.write(
        "warm/dep.ts",
        `import dep from "dep";\nexport const application = (_: any, startResponse: any) => (startResponse("200 OK", []), dep);\n`,
      );
      await warmWrapper(workspace, "tsgi-cgi", [`--cache-dir=${join(folder, "..")}`, workspace.path("warm/dep.ts")], {
        name: "warm/dep.cgi",
      });
      expect([await text("/dep.cgi/"), await text("/dep.cgi/")]).toEqual(["one", "one"]);
      await workspace.write("warm/node_modules/dep/part.js", `module.exports = "another";`);
      await until("the new package", async () => (await text("/dep.cgi/")) === "another");
    });

    testDaemon("a connection that was greeted is served, though the daemon makes place meanwhile", async () => {
      expect(await text("/app.cgi/version")).toBe("1");
      const [name = ""] = sockets();
      const socket = connect(join(folder, name));
      const [greeting] = (await once(socket, "data")) as [Buffer];
      expect(greeting.toString()).toBe("R");
      await workspace.write("warm/app.ts", source("new"));
      expect(await text("/app.cgi/version")).toBe("new");
      socket.end(Buffer.concat([begin(1), params(1, variables("/version")), stdin(1)]));
      let answer = "";
      for await (const bytes of socket) answer += (bytes as Buffer).toString("latin1");
      await workspace.write("warm/app.ts", source("1"));
      expect(answer).toContain("Status: 200 OK");
    });

    testDaemon(
      "a broken application answers 500 each time, and serves as soon as it is mended",
      async () => {
        workspace.expectLog(/broken\.ts|^\s+[\d│^╵]/u);
        for (let round = 0; round < 3; round += 1) expect(await text("/broken.cgi/")).toMatch(/^500 /u);
        writeFileSync(workspace.path("warm/broken.ts"), source("mended"));
        expect(await text("/broken.cgi/version")).toBe("mended");
      },
      60_000,
    );
  });
}
