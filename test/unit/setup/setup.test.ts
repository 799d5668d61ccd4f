// bin/setup in a folder of its own, with stand-ins for node and npm on its PATH. Apache is this machine's.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const original = fileURLToPath(new URL("../../../bin/setup", import.meta.url));
let folder = "";

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function setup(args: string[] = [], path = `${folder}/path:/usr/sbin:/usr/bin:/sbin:/bin`): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(join(folder, "bin/setup"), args, { cwd: "/", env: { PATH: path } }, (error, stdout, stderr) => {
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

test("an argument that it does not know is wrong usage", async () => {
  const ran = await setup(["--for-test"]);
  expect(ran).toEqual({
    code: 2,
    stdout: "",
    stderr: "bin/setup: --for-test: the arguments are --for-tests and --bench\n",
  });
});

describe("a machine that has next to nothing", () => {
  /** A PATH with the few tools of the script, and none of this machine's browsers. */
  async function bareMachine(aptGet: string | undefined): Promise<string> {
    const bare = join(folder, "bare");
    await mkdir(bare);
    for (const tool of ["cat", "chmod", "cmp", "cp", "dirname", "env", "find", "id", "mkdir"]) {
      const file = ["/usr/bin", "/bin"].map((place) => join(place, tool)).find((path) => existsSync(path));
      if (file === undefined) throw new Error(`there is no ${tool}`);
      await symlink(file, join(bare, tool));
    }
    await program("bare/sudo", '[ "$1" = -n ] && shift; exec "$@"');
    await program("bare/apache2", "exit 0");
    if (aptGet !== undefined) await program("bare/apt-get", aptGet);
    await setup();
    return `${folder}/path:${bare}`;
  }

  const installing =
    'echo "$@" >> apt-calls; [ "$1" = update ] || { echo "#!/bin/sh" > bare/chromium; chmod 755 bare/chromium; }';

  test("gets Chromium for tests, once", async () => {
    const path = await bareMachine(installing);
    expect(await setup(["--for-tests"], path)).toEqual({
      code: 0,
      stdout: "bin/setup: installing with apt-get: chromium\n",
      stderr: "",
    });
    expect(await readFile(join(folder, "apt-calls"), "utf8")).toBe(
      "update\ninstall -y --no-install-recommends chromium\n",
    );
    expect(await setup(["--for-tests"], path)).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("gets no Chromium for a run without tests", async () => {
    const path = await bareMachine(installing);
    expect(await setup([], path)).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(existsSync(join(folder, "apt-calls"))).toBe(false);
  });

  test("that nothing can be installed on is told to get Chromium, after everything else was installed", async () => {
    const path = await bareMachine(undefined);
    await rm(join(folder, "node_modules"), { recursive: true });
    const ran = await setup(["--for-tests"], path);
    expect(ran).toEqual({
      code: 1,
      stdout: "bin/setup: installing npm packages\n",
      stderr: "bin/setup: the browser tests need Chromium on the PATH\n",
    });
  });

  test("gets what the benchmark compares with, in one call", async () => {
    const path = await bareMachine('echo "$@" >> apt-calls');
    const ran = await setup(["--bench"], path);
    expect([ran.code, ran.stderr]).toEqual([0, ""]);
    const [update, install, ...more] = (await readFile(join(folder, "apt-calls"), "utf8")).trimEnd().split("\n");
    expect(update).toBe("update");
    expect(install).toMatch(/^install -y --no-install-recommends wrk gcc libc6-dev perl python3\b/u);
    expect(more).toEqual([]);
  });

  test("gets the rest of it where one package cannot be had; the next run tries again", async () => {
    const path = await bareMachine('case "$*" in *wrk*) echo "no wrk"; exit 100 ;; esac; echo "$@" >> apt-calls');
    const ran = await setup(["--bench"], path);
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain("bin/setup: apt-get could not install wrk; the benchmark goes on without it\n");
    expect(await readFile(join(folder, "apt-calls"), "utf8")).toContain("install -y --no-install-recommends gcc\n");
  });

  test("where Chromium cannot be installed fails with what apt-get said", async () => {
    const path = await bareMachine('[ "$1" = update ] || { echo "no such package"; exit 100; }');
    const ran = await setup(["--for-tests"], path);
    expect([ran.code, ran.stderr]).toEqual([
      1,
      "no such package\nbin/setup: apt-get could not install Chromium; see above\n",
    ]);
  });
});
