// bin/setup in a folder of its own, with stand-ins for node and npm on its PATH. Apache is this machine's.
import { execFile } from "node:child_process";
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const original = fileURLToPath(new URL("../../../bin/setup", import.meta.url));
let folder = "";

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function setup(): Promise<Ran> {
  const env = { PATH: `${folder}/path:/usr/sbin:/usr/bin:/sbin:/bin` };
  return new Promise((resolve) => {
    execFile(join(folder, "bin/setup"), { cwd: "/", env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

async function program(name: string, script: string): Promise<void> {
  const file = join(folder, name);
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
}

const npmCalls = (): Promise<string> => readFile(join(folder, "npm-calls"), "utf8");

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsgi-test-"));
  await mkdir(join(folder, "bin"));
  await mkdir(join(folder, "path"));
  await copyFile(original, join(folder, "bin/setup"));
  await writeFile(join(folder, "package-lock.json"), "{}\n");
  await program("path/node", "echo v20.19.0");
  await program("path/npm", 'echo "$@" >> npm-calls; mkdir -p node_modules; echo > node_modules/.package-lock.json');
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

test("installs the packages of the lock file once, without install scripts", async () => {
  expect(await setup()).toEqual({ code: 0, stdout: "bin/setup: installing npm packages\n", stderr: "" });
  expect(await npmCalls()).toMatch(/^ci --ignore-scripts --include=dev .*\n$/);
  expect(await setup()).toEqual({ code: 0, stdout: "", stderr: "" });
  expect((await npmCalls()).trimEnd().split("\n")).toHaveLength(1);
});

test("installs again when the lock file has changed", async () => {
  await setup();
  await writeFile(join(folder, "package-lock.json"), '{ "changed": true }\n');
  await utimes(join(folder, "package-lock.json"), new Date(), new Date(Date.now() + 5000));
  expect((await setup()).stdout).toBe("bin/setup: installing npm packages\n");
});

test("does not install again when the lock file only has a new time", async () => {
  await setup();
  await utimes(join(folder, "package-lock.json"), new Date(), new Date(Date.now() + 5000));
  expect((await setup()).stdout).toBe("");
});

test("leaves packages alone that npm install has put there later than the lock file", async () => {
  await mkdir(join(folder, "node_modules"));
  await utimes(join(folder, "package-lock.json"), new Date(), new Date(Date.now() - 5000));
  await writeFile(join(folder, "node_modules/.package-lock.json"), "");
  expect((await setup()).stdout).toBe("");
});

test("shows what npm printed when it fails, and tries again the next time", async () => {
  await program("path/npm", "mkdir -p node_modules; echo no such package; exit 7");
  for (let time = 0; time < 2; time++) {
    const ran = await setup();
    expect(ran.code).toBe(1);
    expect(ran.stderr).toBe("no such package\nbin/setup: npm ci failed; see above\n");
  }
});

test.each([
  ["v18.20.4", 1],
  ["v20.18.3", 1],
  ["v20.19.0", 0],
  ["v22.1.0", 0],
  ["v100.0.0", 0],
])("Node %s: exit code %i", async (version, code) => {
  await program("path/node", `echo ${version}`);
  const ran = await setup();
  expect(ran.code).toBe(code);
  expect(ran.stderr).toBe(code === 0 ? "" : `bin/setup: this is Node.js ${version}; tsgi needs 20.19 or newer\n`);
});
