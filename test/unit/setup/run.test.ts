// test/run.mjs in a folder of its own, with stand-ins for the tools that it runs.
import { execFile } from "node:child_process";
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const original = fileURLToPath(new URL("../../run.mjs", import.meta.url));
const tools = ["tsc", "oxlint", "oxfmt", "knip", "vitest"];
let folder = "";

function run(...args: string[]): Promise<{ code: number; lines: string[] }> {
  const env = { ...process.env, TMPDIR: join(folder, "tmp") };
  return new Promise((resolve) => {
    execFile(process.execPath, [join(folder, "test/run.mjs"), ...args], { env }, (error, stdout) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), lines: stdout.trimEnd().split("\n") });
    });
  });
}

async function program(name: string, script: string): Promise<void> {
  const file = join(folder, name);
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
}

/** A vitest that writes this report and ends with this exit code. */
function vitest(report: object, code: number): Promise<void> {
  const find = 'for arg; do case $arg in --outputFile.json=*) file="${arg#*=}";; esac; done';
  return program("node_modules/.bin/vitest", `${find}\nprintf %s '${JSON.stringify(report)}' > "$file"\nexit ${code}`);
}

function report(passed: number, failed: number, testResults: object[] = []): object {
  return { numPassedTests: passed, numFailedTests: failed, numPendingTests: 0, numTodoTests: 0, testResults };
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsgi-test-"));
  for (const name of ["bin", "test", "tmp", "node_modules/.bin"]) await mkdir(join(folder, name), { recursive: true });
  await copyFile(original, join(folder, "test/run.mjs"));
  for (const tool of tools) await program(`node_modules/.bin/${tool}`, "exit 0");
  await program("bin/setup", "exit 0");
  await program("bin/bundle", "exit 0");
  await vitest(report(3, 0), 0);
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

test("ends with the number of passed tests when all is well", async () => {
  const { code, lines } = await run();
  expect([code, lines.at(-1)]).toEqual([0, "3 passed, 0 failed"]);
  expect(await readdir(join(folder, "tmp"))).toEqual([]);
});

test("counts each failed step and each failed test, and runs all steps", async () => {
  await program("node_modules/.bin/oxlint", "exit 1");
  await program("node_modules/.bin/knip", "exit 1");
  await vitest(report(3, 2), 1);
  const { code, lines } = await run();
  expect([code, lines.at(-1)]).toEqual([1, "3 passed, 4 failed"]);
});

test("counts a test file that could not be loaded", async () => {
  const broken = {
    name: join(folder, "test/a.test.ts"),
    status: "failed",
    message: "no such\n  module",
    assertionResults: [],
  };
  const wrong = { status: "failed", fullName: "adds up", failureMessages: ["1 is not 2\n    at somewhere"] };
  const failing = { name: join(folder, "test/b.test.ts"), status: "failed", message: "", assertionResults: [wrong] };
  const second = { status: "passed", fullName: "goes on", failureMessages: ["was busy"] };
  const retried = { name: join(folder, "test/c.test.ts"), status: "passed", message: "", assertionResults: [second] };
  await vitest(report(3, 1, [broken, failing, retried]), 1);
  const { lines } = await run();
  expect(lines.at(-1)).toBe("3 passed, 2 failed");
  expect(lines).toContain("FAILED test/a.test.ts: no such module");
  expect(lines).toContain("FAILED test/b.test.ts: adds up: 1 is not 2");
  expect(lines).toContain("passed later test/c.test.ts: goes on: was busy");
});

test.each([
  ["crashed before its report", "exit 1"],
  ["was killed", "kill -9 $$"],
  ["wrote no report", "exit 0"],
])("counts a test run that %s as a failure", async (_what, script) => {
  await program("node_modules/.bin/vitest", script);
  const { code, lines } = await run();
  expect([code, lines.at(-1)]).toEqual([1, "0 passed, 1 failed"]);
});

test("counts a run without any test, and one that failed outside of its tests", async () => {
  await vitest(report(0, 0), 0);
  expect((await run()).lines.at(-1)).toBe("0 passed, 1 failed");
  await vitest(report(3, 0), 1);
  expect((await run()).lines.at(-1)).toBe("3 passed, 1 failed");
});

test("stops after the set-up when it left no tools", async () => {
  await program("bin/setup", "exit 1");
  await rm(join(folder, "node_modules"), { recursive: true });
  const { code, lines } = await run();
  expect([code, lines.at(-1)]).toEqual([1, "0 passed, 1 failed"]);
});

test("leaves no process of a step behind", async () => {
  await program("node_modules/.bin/oxlint", `sleep 300 >/dev/null 2>&1 & echo $! > ${folder}/sleeper`);
  await run();
  const pid = (await readFile(join(folder, "sleeper"), "utf8")).trim();
  expect(pid).toMatch(/^\d+$/);
  // Gone, or dead and only waiting for init to notice.
  const state = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "gone");
  expect(state).toMatch(/^gone$|\) Z /);
});

test("hands its arguments to vitest", async () => {
  await program("node_modules/.bin/vitest", 'for last; do :; done; echo "last: $last"');
  expect((await run("test/unit/site")).lines).toContain("last: test/unit/site");
});
