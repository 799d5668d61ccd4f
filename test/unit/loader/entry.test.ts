import { randomUUID } from "node:crypto";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Installed } from "./installed.ts";

const constant = (word: string): string => `export const application = () => ${JSON.stringify(word)};`;

const withPart = (turn: number): string =>
  `import { part } from "./part.ts"; export const application = () => part + ${turn};`;

const aliasTo = (folder: string): string =>
  JSON.stringify({ compilerOptions: { paths: { "#alias/*": [`./${folder}/*`] } } });

const printing = (file: string): string => `console.log(await call(${JSON.stringify(file)}));`;

/** A program's line that says whether it compiled: starting esbuild needs child processes. */
const sayCompiled = `console.log(process.moduleLoadList.some((name) => name.includes("child_process")) ? "compiled" : "warm");`;

describe("the cache of compiled scripts", () => {
  let installed: Installed;

  beforeAll(async () => {
    installed = await Installed.open();
  });

  afterAll(() => installed.close());

  const files = (ending: string): string[] => readdirSync(installed.cacheDir).filter((name) => name.endsWith(ending));
  const newest = (names: readonly string[]): string =>
    join(installed.cacheDir, [...names].sort((one, other) => mtime(other) - mtime(one)).at(0) ?? "");
  const mtime = (name: string): number => lstatSync(join(installed.cacheDir, name)).mtimeMs;

  it("serves a warm start that neither runs nor imports the compiler", async () => {
    const file = installed.copyFixture("features") + "/app.ts";
    const program = `const { greeting } = await call(${JSON.stringify(file)}); console.log(greeting); ${sayCompiled}`;
    expect((await installed.run(program)).stdout).toBe("hello world\ncompiled\n");
    expect((await installed.run(program)).stdout).toBe("hello world\nwarm\n");
    installed.removeEsbuild();
    try {
      const { stdout, stderr, code } = await installed.run(program);
      expect({ stdout, stderr, code }).toEqual({ stdout: "hello world\nwarm\n", stderr: "", code: 0 });
      const other = installed.write("home/needs-compiler.ts", "export const application = () => 1;");
      const failing = `await call(${JSON.stringify(other)}).catch((error) => console.log(error.kind, error.message));`;
      expect((await installed.run(failing)).stdout).toContain("compile the compiler esbuild cannot be used: ");
    } finally {
      installed.provideEsbuild();
    }
  });

  it("is readable for its owner alone and holds no temporary file", async () => {
    const file = installed.write("home/modes.ts", "export const application = () => 1;");
    await installed.call(file);
    for (const name of readdirSync(installed.cacheDir)) {
      expect(statSync(join(installed.cacheDir, name)).mode & 0o777, name).toBe(0o600);
    }
    expect(files(".tmp")).toEqual([]);
  });

  it("is compiled anew after a change of a data file, of a module or of how modules are compiled", async () => {
    installed.write("home/felt/part.json", `{ "part": "one" }`);
    installed.write("home/felt/sub/module.ts", `export const value = 1;`);
    const file = installed.write(
      "home/felt/sub/app.ts",
      `import data from "../part.json";
import { value } from "./module.ts";
const seen: string[] = [];
const mark = (_target: unknown, second: unknown): void => void seen.push(typeof second);
class Marked { @mark method(): void {} }
export const application = () => [data.part, value, ...seen, typeof Marked].join();`,
    );
    expect(await installed.call(file)).toBe("one,1,object,function");
    installed.write("home/felt/part.json", `{ "part": "two" }`);
    expect(await installed.call(file)).toBe("two,1,object,function");
    installed.write("home/felt/sub/module.ts", `export const value = 2;`);
    expect(await installed.call(file)).toBe("two,2,object,function");
    installed.write("home/felt/tsconfig.json", `{ "compilerOptions": { "experimentalDecorators": true } }`);
    expect(await installed.call(file)).toBe("two,2,string,function");
    rmSync(join(installed.root, "home/felt/tsconfig.json"));
    expect(await installed.call(file)).toBe("two,2,object,function");
  });

  it("never claims to hold what was written while it was compiled", async () => {
    const file = installed.write("home/meanwhile/app.ts", withPart(0));
    const part = installed.write("home/meanwhile/part.ts", `export const part = 0;`);
    for (let turn = 1; turn <= 25; turn += 1) {
      const load = installed.call(file);
      for (let step = 0; step < turn % 9; step += 1) await new Promise((resolve) => setImmediate(resolve));
      writeFileSync(part, `export const part = ${1000 * turn};`);
      writeFileSync(file, withPart(turn));
      await load;
      expect(await installed.call(file)).toBe(1001 * turn);
    }
  });

  it("is compiled anew when a tsconfig.json appears above the script, changes, or is extended by a changed one", async () => {
    const file = installed.write(
      "home/settings/deep/app.ts",
      `import { value } from "#alias/value"; export const application = () => value;`,
    );
    installed.write("home/settings/one/value.ts", `export const value = "one";`);
    installed.write("home/settings/two/value.ts", `export const value = "two";`);
    expect((await installed.failure(file)).kind).toBe("failed-inside");
    installed.write("home/settings/tsconfig.json", aliasTo("one"));
    expect(await installed.call(file)).toBe("one");
    installed.write("home/settings/tsconfig.json", aliasTo("two"));
    expect(await installed.call(file)).toBe("two");
    installed.write("home/settings/base.json", aliasTo("one"));
    installed.write("home/settings/tsconfig.json", `{ "extends": "./base" }`);
    expect(await installed.call(file)).toBe("one");
    installed.write("home/settings/base.json", aliasTo("two"));
    expect(await installed.call(file)).toBe("two");
  });

  it("is not mistaken for fresh when a file changes but keeps its size and its time of change", async () => {
    const file = installed.write("home/instant.ts", constant("one"));
    const when = new Date();
    utimesSync(file, when, when);
    const seen: unknown[] = [];
    for (const word of ["one", "two", "six", "ten"]) {
      writeFileSync(file, constant(word));
      utimesSync(file, when, when);
      seen.push(await installed.call(file));
    }
    expect(seen).toEqual(["one", "two", "six", "ten"]);
  });

  it("is written anew when it is damaged in any way", async () => {
    const word = randomUUID();
    const file = installed.write("home/damaged.ts", `export const application = () => ${JSON.stringify(word)};`);
    await installed.call(file);
    const index = newest(files(".json"));
    const whole = readFileSync(index, "utf8");
    const entry = JSON.parse(whole) as { bundle: string };
    const bundle = join(installed.cacheDir, entry.bundle);
    const damages: [string, () => void][] = [
      ["an empty index", () => writeFileSync(index, "")],
      ["half an index", () => writeFileSync(index, whole.slice(0, whole.length / 2))],
      ["an index that is no object", () => writeFileSync(index, "null")],
      [
        "an index of the wrong shape",
        () => writeFileSync(index, whole.replace('"watch":{', '"watch":{"files":7,"x":{') + "}"),
      ],
      ["an index of another format", () => writeFileSync(index, whole.replace('"format":1', '"format":0'))],
      ["an index of another script", () => writeFileSync(index, whole.replace(/damaged\.ts"/, 'other.ts"'))],
      ["an index that points elsewhere", () => writeFileSync(index, whole.replace(entry.bundle, "../evil.mjs"))],
      ["a bundle that is gone", () => rmSync(bundle)],
      ["a bundle that was cut", () => writeFileSync(bundle, readFileSync(bundle).subarray(0, 10))],
      ["an empty bundle", () => writeFileSync(bundle, "")],
    ];
    for (const [name, damage] of damages) {
      damage();
      const result = await installed.run(printing(file) + sayCompiled);
      expect(result.stdout, name).toBe(`${word}\ncompiled\n`);
      expect((await installed.run(printing(file) + sayCompiled)).stdout, name).toBe(`${word}\nwarm\n`);
    }
  });

  it("is made anew by another version of this package or of the compiler", async () => {
    const file = installed.write("home/versions.ts", "export const application = () => 1;");
    const program = printing(file) + sayCompiled;
    expect((await installed.run(program)).stdout).toBe("1\ncompiled\n");
    const manifest = join(installed.packageFolder, "package.json");
    writeFileSync(manifest, readFileSync(manifest, "utf8").replace("0.0.0-test", "0.0.1-test"));
    expect((await installed.run(program)).stdout).toBe("1\ncompiled\n");
    expect((await installed.run(program)).stdout).toBe("1\nwarm\n");
  });

  it("keeps the current bundle of a script and the one before, however often the script is edited", async () => {
    const file = installed.write("home/edited.ts", "");
    const before = files(".mjs").length;
    for (let turn = 0; turn < 6; turn += 1) {
      writeFileSync(file, `export const application = () => ${turn};`);
      expect(await installed.call(file)).toBe(turn);
      expect(files(".mjs").length - before).toBe(Math.min(turn + 1, 2));
    }
    expect(files(".tmp")).toEqual([]);
  });

  it("loses what nobody used for a long time, and what a crash left behind", async () => {
    const old = installed.write("home/old.ts", "export const application = () => 1;");
    await installed.call(old);
    const index = newest(files(".json"));
    const { bundle } = JSON.parse(readFileSync(index, "utf8")) as { bundle: string };
    const rest = join(installed.cacheDir, `${bundle}.123.abc.tmp`);
    writeFileSync(rest, "");
    const longAgo = new Date(Date.now() - 40 * 24 * 3_600_000);
    for (const path of [index, join(installed.cacheDir, bundle), rest]) utimesSync(path, longAgo, longAgo);
    await installed.call(installed.write("home/new.ts", "export const application = () => 1;"));
    expect([existsSync(index), existsSync(join(installed.cacheDir, bundle)), existsSync(rest)]).toEqual([
      false,
      false,
      false,
    ]);
    expect(await installed.call(old)).toBe(1);
  });

  it("survives ten processes that start at once, on a cold cache and while the script changes", async () => {
    const file = installed.write("home/crowd/app.ts", withPart(0));
    installed.write("home/crowd/part.ts", `export const part: string = "part ";`);
    const crowd = (): Promise<string[]> =>
      Promise.all(
        Array.from({ length: 10 }, async () => {
          const { stdout, stderr } = await installed.run(printing(file));
          return stdout + stderr;
        }),
      );
    expect(new Set(await crowd())).toEqual(new Set(["part 0\n"]));
    const changing = crowd();
    for (let turn = 1; turn <= 20; turn += 1) {
      writeFileSync(`${file}.new`, withPart(turn));
      renameSync(`${file}.new`, file);
      await installed.call(file);
    }
    for (const result of await changing) expect(result).toMatch(/^part \d+\n$/);
    expect((await installed.run(printing(file))).stdout).toBe("part 20\n");
    expect(files(".tmp")).toEqual([]);
  });

  it("is not used when it is a folder that a neighbour made", async () => {
    const file = installed.write("home/neighbour.ts", "export const application = () => 1;");
    const cacheDir = join(installed.root, "theirs");
    mkdirSync(cacheDir);
    chmodSync(cacheDir, 0o777);
    const load = installed.load.loadApplication({ file, exportName: undefined }, { cacheDir });
    await expect(load).rejects.toMatchObject({ kind: "no-cache", message: expect.stringContaining(cacheDir) });
    expect(readdirSync(cacheDir)).toEqual([]);
  });
});
