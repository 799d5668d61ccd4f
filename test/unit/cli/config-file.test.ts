// Finding, trusting and reading the configuration file. What is in it is checked in test/unit/config/file.test.ts.
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readConfigFile } from "../../../src/cli/config-file.ts";
import type { ConfigFile } from "../../../src/config/file.ts";
import { ConfigError, LoadError } from "../../../src/errors.ts";

let base = "";

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-config-")));
  mkdirSync(join(base, "cache"), { mode: 0o700 });
});

afterEach(() => rmSync(base, { recursive: true }));

function write(name: string, text: string): string {
  const path = join(base, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode: 0o644 });
  return path;
}

function read(file?: string): Promise<ConfigFile | undefined> {
  const named = file === undefined ? undefined : { source: "--config", file };
  return readConfigFile({ named, folder: base, cacheDir: join(base, "cache") });
}

async function errorOf(file?: string): Promise<unknown> {
  return await read(file).then(
    () => undefined,
    (error: unknown) => error,
  );
}

const settings = "{ processes: 3, listen: 'unix:run/app.sock' }";

test.each([
  ["tsgi.config.ts", `import { defineConfig } from "tsgi";\nexport default defineConfig(${settings});`],
  [
    "tsgi.config.ts",
    `const count: number = 3;\nexport const config = { processes: count, listen: "unix:run/app.sock" };`,
  ],
  ["tsgi.config.mts", `export default ${settings};`],
  ["tsgi.config.js", `import { defineConfig } from "tsgi";\nexport const config = defineConfig(${settings});`],
  ["tsgi.config.mjs", `export default ${settings};`],
  ["tsgi.config.cjs", `module.exports = ${settings};`],
  ["tsgi.config.cjs", `const { defineConfig } = require("tsgi");\nexports.default = defineConfig(${settings});`],
  ["tsgi.config.cjs", `exports.config = ${settings};`],
  ["tsgi.config.json", '\uFEFF{ "processes": 3, "listen": "unix:run/app.sock" }'],
])("%s is found in the working folder and read: %s", async (name, text) => {
  write(name, text);
  const found = await read();
  expect(found).toMatchObject({ path: join(base, name), shown: name, issues: [] });
  expect(found?.top.values).toEqual({ processes: 3, listen: { kind: "unix", path: join(base, "run/app.sock") } });
});

test("without one there is none", async () => {
  await expect(read()).resolves.toBeUndefined();
});

test("of two in one folder none is chosen, but one can be named", async () => {
  write("tsgi.config.ts", `export default ${settings};`);
  write("tsgi.config.json", "{}");
  await expect(read()).rejects.toThrow(/has tsgi\.config\.ts and tsgi\.config\.json: remove one, or name one/);
  await expect(read("tsgi.config.json")).resolves.toMatchObject({ shown: "tsgi.config.json" });
});

test("relative paths count from the folder of a file that was named, which messages call as it was given", async () => {
  write("conf/web.json", '{ "listen": "unix:app.sock", "queueLimit": "x" }');
  const expected = { issues: ['conf/web.json: queueLimit "x": expected a number from 0 to 9999999'] };
  const found = await read("conf/web.json");
  expect(found).toMatchObject(expected);
  expect(found?.top.values.listen).toEqual({ kind: "unix", path: join(base, "conf/app.sock") });
  await expect(read(join(base, "conf/web.json"))).resolves.toMatchObject({ shown: "web.json" });
});

test("a module may import others, and is read anew when one of them changed", async () => {
  write("tsgi.config.ts", 'import { count } from "./count.ts";\nexport default { processes: count };');
  write("count.ts", "export const count = 4;");
  expect((await read())?.top.values).toEqual({ processes: 4 });
  write("count.ts", "export const count = 5 ;");
  expect((await read())?.top.values).toEqual({ processes: 5 });
});

describe("is refused", () => {
  test.each([
    ["gone.ts", /^--config "gone\.ts": there is no file \/.*gone\.ts$/],
    [".", /^--config "\.": \/.* is not a file$/],
    ["settings.yaml", /^--config "settings\.yaml": expected a file that ends in \.ts, .*\.json$/],
  ])("as %s", async (name, message) => {
    write("settings.yaml", "processes: 3");
    const error = await errorOf(name);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toHaveProperty("message", expect.stringMatching(message));
  });

  test("when it is no JSON, or exports nothing", async () => {
    write("bad.json", "{ processes: 3 }");
    write("none.ts", "export const other = 1;");
    write("empty.cjs", "");
    await expect(errorOf("bad.json")).resolves.toHaveProperty(
      "message",
      expect.stringMatching(/^bad\.json: it is not JSON: /),
    );
    await expect(errorOf("none.ts")).resolves.toHaveProperty(
      "message",
      "none.ts: it exports no configuration: expected export default defineConfig({ ... })",
    );
    expect((await read("empty.cjs"))?.top.values).toEqual({});
  });

  test("when it cannot be compiled or throws, with the place", async () => {
    write("broken.ts", "export default {\n  processes: ,\n};");
    write("throws.ts", 'throw new Error("no database");');
    const broken = await errorOf("broken.ts");
    expect(broken).toBeInstanceOf(LoadError);
    expect(broken).toHaveProperty("message", expect.stringMatching(/broken\.ts:2:14: /));
    await expect(errorOf("throws.ts")).resolves.toHaveProperty("message", expect.stringContaining("no database"));
  });
});

describe.runIf(process.getuid?.() === 0)("root", () => {
  const nobody = 65_534;
  const text = 'import { count } from "./count.ts";\nexport default { processes: count };';

  test("reads what only root can have written", async () => {
    write("tsgi.config.ts", text);
    write("count.ts", "export const count = 4;");
    expect((await read())?.top.values).toEqual({ processes: 4 });
  });

  test.each(["tsgi.config.ts", "count.ts"])(
    "runs nothing when %s belongs to somebody else, or is open to others",
    async (name) => {
      write("tsgi.config.ts", `${text}\nglobalThis.hasRun = true;`);
      write("count.ts", "export const count = 4;");
      const path = join(base, name);
      const advice = /root does not run what others could have written/;
      chownSync(path, nobody, 0);
      await expect(read()).rejects.toThrow(advice);
      chownSync(path, 0, nobody);
      chmodSync(path, 0o664);
      await expect(read()).rejects.toThrow(advice);
      chmodSync(path, 0o646);
      await expect(read()).rejects.toThrow(advice);
      expect(globalThis).not.toHaveProperty("hasRun");
      chmodSync(path, 0o644);
      await expect(read()).resolves.toBeDefined();
      Reflect.deleteProperty(globalThis, "hasRun");
    },
  );

  test("reads no JSON of somebody else either, also behind a link of its own", async () => {
    chownSync(write("theirs.json", "{}"), nobody, nobody);
    symlinkSync("theirs.json", join(base, "tsgi.config.json"));
    await expect(read()).rejects.toThrow(/theirs\.json: root does not run .* it belongs to user 65534/);
  });

  test("reads a file whose package.json is somebody else's: it only says how files are written", async () => {
    write("tsgi.config.ts", "export default { processes: 4 };");
    chownSync(write("package.json", '{ "type": "module" }'), nobody, nobody);
    await expect(read()).resolves.toMatchObject({ issues: [] });
  });
});
