// The daemon follows its files: an edit is served soon, a broken edit leaves the old code serving and says so.
import { rename, utimes, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FcgiPeer, request, variables } from "../harness/fcgi.ts";
import { httpRequest } from "../harness/http.ts";
import { freePort } from "../harness/machine.ts";
import { until } from "../harness/until.ts";
import { Workspace, type Daemon } from "../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

const application = (text: string): string => `
import { part } from "./part.ts";
export const application = (_environ: unknown, startResponse: (status: string, headers: [string, string][]) => unknown) => {
  startResponse("200 OK", [["Content-Type", "text/plain"]]);
  return ${JSON.stringify(text)} + part;
};
`;

async function ask(daemon: Daemon): Promise<string> {
  const peer = await FcgiPeer.open({ path: daemon.socket });
  peer.send(request(1, variables("/")));
  const { stdout } = await peer.reply(1);
  peer.destroy();
  const text = stdout.toString();
  return `${/^Status: (\d+)/u.exec(text)?.[1]} ${text.slice(text.indexOf("\r\n\r\n") + 4)}`;
}

async function site(name: string): Promise<{ app: string; part: string; edit: (text: string) => Promise<void> }> {
  const part = await workspace.write(`${name}/part.ts`, 'export const part: string = "1";\n');
  const app = await workspace.write(`${name}/app.ts`, application("first"));
  return { app, part, edit: (text) => writeFile(app, text) };
}

test("an edit, of the script or of a module beside it, is served", async () => {
  const { app, part, edit } = await site("edit");
  const daemon = await workspace.daemon([app, "--reload"]);
  expect(await ask(daemon)).toBe("200 first1");
  await edit(application("second"));
  await until("the edited script", async () => (await ask(daemon)) === "200 second1");
  await writeFile(part, 'export const part: string = "2";\n');
  await until("the edited module", async () => (await ask(daemon)) === "200 second2");
});

test("a file that is replaced by renaming, with an old time, is noticed", async () => {
  const { app } = await site("rename");
  const daemon = await workspace.daemon([app, "--reload"]);
  expect(await ask(daemon)).toBe("200 first1");
  const next = await workspace.write("rename/next.tmp", application("renamed"));
  await utimes(next, 1000, 1000);
  await rename(next, app);
  await until("the new file", async () => (await ask(daemon)) === "200 renamed1");
});

test("a broken edit leaves the old code serving, is logged, and its repair is served", async () => {
  const { app, edit } = await site("broken");
  const daemon = await workspace.daemon([app, "--reload"]);
  expect(await ask(daemon)).toBe("200 first1");
  await edit("export const application = (;\n");
  await until("the line in the log", async () => {
    expect(await ask(daemon)).toBe("200 first1");
    return daemon.program.stderr.includes("app.ts");
  });
  for (let count = 0; count < 20; count += 1) expect(await ask(daemon)).toBe("200 first1");
  await edit(application("repaired"));
  await until("the repair", async () => (await ask(daemon)) === "200 repaired1");
});

test("an edit that fails at import, or exports nothing, leaves the old code serving", async () => {
  const { app, edit } = await site("inside");
  const daemon = await workspace.daemon([app, "--reload"]);
  await edit('throw new Error("import failed on purpose");\n');
  await until("the line in the log", async () => {
    expect(await ask(daemon)).toBe("200 first1");
    return daemon.program.stderr.includes("import failed on purpose");
  });
  await edit("export const nothing = 1;\n");
  await until("the line in the log", async () => {
    expect(await ask(daemon)).toBe("200 first1");
    return daemon.program.stderr.includes("exports nothing");
  });
});

test("requests during edits always get one version or the other", async () => {
  const { app, edit } = await site("during");
  const daemon = await workspace.daemon([app, "--reload"]);
  const seen = new Set<string>();
  for (const version of ["a", "b", "c"]) {
    await edit(application(version));
    await until(`version ${version}`, async () => {
      const answers = await Promise.all(Array.from({ length: 10 }, () => ask(daemon)));
      for (const answer of answers) seen.add(answer);
      return answers.includes(`200 ${version}1`);
    });
  }
  for (const answer of seen) expect(answer).toMatch(/^200 (?:first|a|b|c)1$/u);
});

test("a script of a folder follows its file, and one that was broken is served once it is repaired", async () => {
  const { app, edit } = await site("folder");
  await edit("export const application = (;\n");
  const daemon = await workspace.daemon([`--script-root=${workspace.path("folder")}`, "--reload"]);
  const get = async (): Promise<string> => {
    const peer = await FcgiPeer.open({ path: daemon.socket });
    peer.send(request(1, variables("/app.ts", { SCRIPT_FILENAME: app })));
    const { stdout } = await peer.reply(1);
    peer.destroy();
    return stdout.toString();
  };
  expect(await get()).toMatch(/^Status: 500 /u);
  await edit(application("whole"));
  await until("the repaired script", async () => (await get()).endsWith("whole1"));
});

test("tsgi dev: the next request after a save runs the new code", async () => {
  const { app, edit } = await site("dev");
  const port = await freePort();
  const program = workspace.tsgi(["dev", app, "--port", String(port)]);
  await until("tsgi dev to answer", () => httpRequest(port, "/").catch(() => program.end !== undefined));
  expect((await httpRequest(port, "/")).body.toString(), program.report()).toBe("first1");
  await edit(application("saved"));
  expect((await httpRequest(port, "/")).body.toString()).toBe("saved1");
  await edit("export const application = (;\n");
  const broken = await httpRequest(port, "/");
  expect([200, 500]).toContain(broken.status);
  await edit(application("again"));
  expect((await httpRequest(port, "/")).body.toString()).toBe("again1");
  expect(await program.stop()).toMatchObject({ code: 0 });
});
