// Plain CGI under mod_cgid and mod_cgi: standard output belongs to the response, arguments from outside mean nothing, the
// environment of the process is clean, and the process ends when it should.
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import { HttpConnection } from "../harness/http.ts";
import { isRunning, processesOf } from "../harness/leftovers.ts";
import { until } from "../harness/until.ts";
import { Workspace } from "../harness/workspace.ts";

for (const module of ["cgid", "cgi"] as const) {
  describe(`mod_${module}`, () => {
    let workspace: Workspace;
    let apache: Apache;

    beforeAll(async () => {
      workspace = await Workspace.open();
      workspace.expectLog(
        /app: |row: /u,
        /\{"level":/u,
        // mod_cgi logs every line of stderr; and says that a program did not read a body.
        /AH01215: |AH02651: /u,
      );
      await workspace.wrapper("www/app.cgi", "tsgi-cgi", workspace.app("engine.ts"));
      await workspace.wrapper("www/rows.cgi", "tsgi-cgi", workspace.app("rows.ts"));
      await workspace.wrapper(
        "www/broken.cgi",
        "tsgi-cgi",
        await workspace.write("broken.ts", "export const application = (;\n"),
      );
      await workspace.wrapper("www/missing.cgi", "tsgi-cgi", workspace.path("no-such.ts"));
      await workspace.wrapper("www/action.cgi", "tsgi-cgi");
      await workspace.write(
        "www/script.ts",
        `#!${workspace.bin("tsgi-cgi")}\nexport { application } from ${JSON.stringify(workspace.app("engine.ts"))};\n`,
        0o755,
      );
      apache = await workspace.apache({
        modules: [module],
        config: `
SetEnvIf Request_URI . ap_trust_cgilike_cl=1
SetEnv NODE_OPTIONS --require=/nonexistent/evil.js
SetEnv NODE_EXTRA_CA_CERTS /nonexistent/ca.pem
SetEnv MY_SETTING "from Apache"
ScriptAlias "/cgi-bin/" "${workspace.path("www")}/"
<Location "/cgi-bin/">
  Require all granted
</Location>`,
      });
    }, 60_000);

    afterAll(() => workspace.close(), 60_000);

    const text = async (target: string): Promise<string> =>
      (await apache.request(`/cgi-bin${target}`)).body.toString("latin1");

    test("answers a request with one process, which ends", async () => {
      const pid = Number(await text("/app.cgi/pid"));
      expect(pid).toBeGreaterThan(0);
      await until("the process to end", () => !isRunning(pid));
    });

    test("what the application prints does not get into the response", async () => {
      const reply = await apache.request({
        target: "/cgi-bin/rows.cgi",
        headers: [["X-Application", "prints to stdout"]],
      });
      expect(reply).toMatchObject({ status: 200, complete: true });
      expect(reply.body.toString()).toBe("untouched by what was printed");
      await apache.logged("row: console.log before the head");
    });

    test("arguments from the query string are never read", async () => {
      const hostile = [
        "--require%3D/tmp/x",
        "/etc/passwd",
        "--cache-dir%3D/tmp/evil",
        "--mount-point=/x",
        "--",
        "a+b",
        "--help",
        "--eval+1",
        "%00",
        "-p",
        "%22;id",
        workspace.app("rows.ts"),
        "--script-root%3D/etc",
      ];
      for (const query of hostile) {
        for (const path of ["/app.cgi/hello", "/script.ts/hello"]) {
          const reply = await apache.request(`/cgi-bin${path}?${query}`);
          expect(`${query}: ${reply.status} ${reply.body.toString()}`).toBe(`${query}: 200 hello`);
        }
      }
      expect(existsSync("/tmp/evil")).toBe(false);
    }, 60_000);

    test("the gateway itself, asked for by its name, serves nothing that the query names", async () => {
      for (const query of ["", "/etc/passwd", workspace.app("engine.ts"), "--script-root%3D/etc+passwd"]) {
        const reply = await apache.request(`/cgi-bin/action.cgi/hello?${query}`);
        expect([403, 404]).toContain(reply.status);
        expect(reply.body.toString()).not.toContain("root:");
      }
      workspace.expectLog(/action\.cgi/u);
    });

    test("NODE_OPTIONS and its kind do not reach the application, other variables do", async () => {
      const environment = async (name: string): Promise<unknown> =>
        JSON.parse(await text(`/app.cgi/environment?${name}`)) as unknown;
      expect(await environment("NODE_OPTIONS")).toMatchObject({ NODE_OPTIONS: null, execArgv: [] });
      expect(await environment("NODE_EXTRA_CA_CERTS")).toMatchObject({ NODE_EXTRA_CA_CERTS: null });
      expect(await environment("HTTP_PROXY")).toMatchObject({ HTTP_PROXY: null });
    });

    test("HTTP_PROXY does not reach the process environment, whoever sends it", async () => {
      const reply = await apache.request({
        target: "/cgi-bin/app.cgi/environment?HTTP_PROXY",
        headers: [["Proxy", "http://evil/"]],
      });
      expect(JSON.parse(reply.body.toString())).toMatchObject({ HTTP_PROXY: null });
    });

    test("a body that is not read does not cost the response", async () => {
      for (const size of [10, 1000, 70_000, 1_000_000]) {
        const reply = await apache.request({
          method: "POST",
          target: `/cgi-bin/app.cgi/ignore?${size}`,
          body: Buffer.alloc(size, "u"),
        });
        expect(reply).toMatchObject({ status: 200, complete: true });
        expect(reply.body.toString()).toBe(`ignored ${size}`);
      }
    }, 60_000);

    test("a chunked body that is not read does not cost the response", async () => {
      const reply = await apache.request({
        method: "POST",
        target: "/cgi-bin/app.cgi/ignore?chunked",
        chunks: Array.from({ length: 50 }, () => "c".repeat(4000)),
      });
      expect(reply.body.toString()).toBe("ignored chunked");
    });

    test("a body of 3 MB comes back whole", async () => {
      const body = Buffer.alloc(3_000_000, "0123456789");
      const reply = await apache.request({ method: "POST", target: "/cgi-bin/app.cgi/echo", body });
      expect(reply.body.equals(body)).toBe(true);
    }, 60_000);

    test("a pending timer does not keep the process", async () => {
      const reply = await apache.request({
        target: "/cgi-bin/rows.cgi",
        headers: [["X-Application", "pending timer"]],
      });
      expect(reply.body.toString()).toBe("answered with a timer pending");
      await until(
        "the process to end",
        () => processesOf(workspace.product.apps).every(({ command }) => !command.includes(workspace.app("rows.ts"))),
        5000,
      );
    });

    test("tsgi.wait_until keeps the process until its work is done, not the response", async () => {
      const file = workspace.path("work-gate");
      const reply = await apache.request(`/cgi-bin/app.cgi/wait-until-file?${file}`);
      expect(reply).toMatchObject({ status: 200, complete: true });
      expect(await apache.errorLog()).not.toContain("the awaited work has ended");
      await workspace.write("work-gate", "");
      await apache.logged("the awaited work has ended");
    });

    test("streaming arrives as it is made, and the process ends when the client has gone", async () => {
      const name = `gone-${workspace.dir.replaceAll(/\W/gu, "")}`;
      const connection = await HttpConnection.open(apache.port);
      await connection.sendRequest({ target: `/cgi-bin/app.cgi/first-then-abort?${name}` });
      await connection.readHead();
      expect((await connection.readSome())?.toString()).toContain("first");
      const [running] = processesOf(name);
      expect(running).toBeDefined();
      connection.destroy();
      await until("the process to end", () => !isRunning(running?.pid ?? 0));
    });

    test("a broken application answers 500 without details and says why in the log", async () => {
      const reply = await apache.request("/cgi-bin/broken.cgi");
      expect(reply.status).toBe(500);
      expect(reply.body.toString()).not.toContain("broken.ts");
      await apache.logged(/broken\.ts/u);
      workspace.expectLog(/broken\.ts|^\s+[\d│^╵]/u);
    });

    test("a missing application answers with an error and says why in the log", async () => {
      const reply = await apache.request("/cgi-bin/missing.cgi");
      expect([404, 500]).toContain(reply.status);
      await apache.logged(/no-such\.ts/u);
      workspace.expectLog(/no-such\.ts/u);
    });

    test("60 requests, ten at a time, each with its own answer", async () => {
      let next = 0;
      const client = async (): Promise<void> => {
        for (let index = next++; index < 60; index = next++)
          expect(await text(`/app.cgi/nonce?${index}`)).toBe(`${index} `);
      };
      await Promise.all(Array.from({ length: 10 }, client));
    }, 60_000);
  });
}
