// `tsgi status --watch` in a real terminal of 80 columns, and without one.
import { afterAll, beforeAll, expect, test } from "vitest";
import { Supervised } from "../harness/supervised.ts";
import type { Program } from "../harness/program.ts";
import { until } from "../harness/until.ts";
import { Workspace } from "../harness/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.open();
}, 60_000);

afterAll(() => workspace.close(), 60_000);

/** What is on the screen when everything so far was written. */
function screenOf({ stdout }: Program): string[] {
  const last = stdout.split("\x1b[H").at(-1) ?? "";
  const frame = last.slice(0, last.indexOf("\x1b[J"));
  return frame
    .split("\x1b[K")
    .map((line) => line.replace(/^[\r\n]+/u, ""))
    .slice(0, -1);
}

/** The watch in a terminal, made by script(1). */
function watch(control: string): Program {
  const command = `stty cols 80 rows 24; echo pid $$; exec ${process.execPath} ${workspace.bin("tsgi")} status --watch --control unix:${control}`;
  const env = { TERM: "xterm", LANG: "C.UTF-8" };
  return workspace.program("tsgi status --watch", ["script", "-qec", command, "/dev/null"], { env, stdin: "pipe" });
}

const reset = /\x1b\[\?25h\x1b\[\?1049l/u; // oxlint-disable-line no-control-regex -- that is what is looked for

test("draws itself anew, reloads and quits by a key, and gives the terminal back", async () => {
  const app = workspace.app("supervised.ts");
  const supervised = await Supervised.start(workspace, { app });
  const gate = workspace.path("gates", "open");
  const blocked = supervised.request(`/block-file?${gate}`);
  const program = watch(supervised.control);
  await until("the figures", () => screenOf(program).some((line) => /^tsgi .*: running, pid/u.test(line)));
  await until("the blocked worker, and where it hangs", () => {
    const text = screenOf(program).join("\n");
    return /\bblocked\b/u.test(text) && /GET \/block-file\n +in spinWithoutEnd \(/u.test(text);
  });
  await workspace.write("gates/open", "");
  expect((await blocked).status).toBe(200);
  expect(screenOf(program)).toHaveLength(24);
  expect(screenOf(program).filter((line) => line.length > 80)).toEqual([]);
  program.child.stdin?.write("r");
  await until("the reload", () => screenOf(program).join("\n").includes("reload: generation 2 serves"), 30_000);
  expect(program.stdout).not.toMatch(reset);
  program.child.stdin?.write("q");
  expect(await program.ended).toEqual({ code: 0, signal: null });
  expect(program.stdout).toMatch(reset);

  // Ended from outside: the same.
  const other = watch(supervised.control);
  await until("the figures again", () => screenOf(other).some((line) => line.startsWith("rate")));
  process.kill(Number(/^pid (\d+)/u.exec(other.stdout)?.[1]), "SIGTERM");
  expect(await other.ended).toEqual({ code: 0, signal: null });
  expect(other.stdout).toMatch(reset);

  const piped = workspace.tsgi(["status", "--watch", "--control", `unix:${supervised.control}`]);
  await until("two tables", () => (piped.stdout.match(/^\S+Z tsgi .*: running/gmu) ?? []).length >= 2);
  expect(piped.stdout).not.toContain("\x1b");
  expect(await piped.stop()).toEqual({ code: 0, signal: null });
}, 60_000);
