import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Installed } from "./installed.ts";

let installed: Installed;

beforeAll(async () => {
  installed = await Installed.open();
});

afterAll(() => installed.close());

const hello = `export const application = () => "hello";`;

const parse = (text: string): unknown => installed.load.parseAppReference(text, installed.root);
const at = (name: string): string => join(installed.root, name);

/** A script that tells how many modules like it this process has started. */
const counting = (word: string): string =>
  `const state = globalThis as { starts?: number }; state.starts = (state.starts ?? 0) + 1;
export const application = () => ${JSON.stringify(word)} + state.starts;`;

describe("parseAppReference", () => {
  it("splits at the last # that an identifier follows", () => {
    expect(parse("app.ts")).toEqual({ file: at("app.ts"), exportName: undefined });
    expect(parse("rest.ts#admin")).toEqual({ file: at("rest.ts"), exportName: "admin" });
    expect(parse("a#b/c#d.ts#été_1$")).toEqual({ file: at("a#b/c#d.ts"), exportName: "été_1$" });
    expect(parse("/abs/app.ts#default")).toEqual({ file: "/abs/app.ts", exportName: "default" });
  });

  it("does not split where no identifier follows", () => {
    for (const text of ["app.ts#", "app.ts#1a", "app.ts#a-b", "#admin", "a#b/app.ts", "app.ts#a b"]) {
      expect(parse(text), text).toEqual({ file: at(text), exportName: undefined });
    }
  });

  it("does not split the name of a file that is there", () => {
    installed.write("odd/app#admin", hello);
    installed.write("odd/folder#1/app.ts", hello);
    expect(parse("odd/app#admin")).toEqual({ file: at("odd/app#admin"), exportName: undefined });
    expect(parse("odd/app#admin#other")).toEqual({ file: at("odd/app#admin"), exportName: "other" });
    expect(parse("odd/folder#1/app.ts#x")).toEqual({ file: at("odd/folder#1/app.ts"), exportName: "x" });
  });
});

describe("the export that is the application", () => {
  it("is `application`, or the one that was named", async () => {
    const file = installed.write(
      "home/exports.ts",
      `${hello} export const admin = () => "admin"; export default () => "default";`,
    );
    expect(await installed.call(file)).toBe("hello");
    expect(await installed.call(file, "admin")).toBe("admin");
    expect(await installed.call(file, "default")).toBe("default");
    const loaded = await installed.load.loadApplication(
      { file, exportName: "admin" },
      { cacheDir: installed.cacheDir },
    );
    expect(loaded).toMatchObject({
      file,
      exportName: "admin",
      inputs: [file, join(installed.root, "home/package.json")],
    });
  });

  it("is looked for on module.exports of a CommonJS script", async () => {
    const folder = installed.copyFixture("commonjs");
    const call = (name: string, exportName?: string): Promise<unknown> =>
      installed.call(join(folder, name), exportName);
    expect(await call("object.cts")).toBe("helped by helper.js");
    expect(await call("named.ts")).toBe("helped by helper.js");
    expect(await call("transpiled.js", "admin")).toBe("the admin");
  });

  it("may be module.exports itself, or its default, when no other name was given", async () => {
    const folder = installed.copyFixture("commonjs");
    for (const exportName of [undefined, "default"]) {
      expect(await installed.call(join(folder, "function.js"), exportName)).toBe("helped by helper.js");
      expect(await installed.call(join(folder, "transpiled.js"), exportName)).toBe("the default");
    }
    expect(await installed.failure(join(folder, "function.js"), "admin")).toMatchObject({ kind: "no-export" });
  });

  it("is `application` before any other", async () => {
    const file = installed.write("home/both.ts", `${hello} export default (req, res) => res.end("default");`);
    const loaded = await installed.load.loadApplication(
      { file, exportName: undefined },
      { cacheDir: installed.cacheDir },
    );
    expect(loaded).toMatchObject({ exportName: "application", adapter: "wsgi" });
  });

  it("is reported when it is missing or no function", async () => {
    const file = installed.write("home/none.ts", `export const a = 1; export const list = []; export let later;`);
    const rest = "; none of these is an application, and no server listens";
    const messages = [];
    for (const name of [undefined, "a", "list", "later"]) messages.push((await installed.failure(file, name)).message);
    expect(messages).toEqual([
      `${file} has no export \`application\` (it exports a, later, list)${rest}`,
      `the export \`a\` of ${file} is a number, not an application`,
      `the export \`list\` of ${file} is an array, not an application`,
      `the export \`later\` of ${file} is undefined, not an application`,
    ]);
    const empty = installed.write("home/empty.ts", "");
    expect((await installed.failure(empty)).message).toBe(
      `${empty} has no export \`application\` (it exports nothing)${rest}`,
    );
  });
});

describe("a script that cannot be loaded", () => {
  it("is not-found when there is no such file, or a folder", async () => {
    const gone = join(installed.root, "home/gone.ts");
    expect(await installed.failure(gone)).toMatchObject({ kind: "not-found", message: `there is no file ${gone}` });
    installed.write("home/plain.txt", "");
    expect(await installed.failure(join(installed.root, "home/plain.txt/app.ts"))).toMatchObject({ kind: "not-found" });
    mkdirSync(join(installed.root, "home/folder.ts"));
    const folder = join(installed.root, "home/folder.ts");
    expect(await installed.failure(folder)).toMatchObject({
      kind: "not-found",
      message: `${folder} is a folder, not an application's file`,
    });
  });

  it("is refused when it is no regular file", async () => {
    const pipe = join(installed.root, "home/pipe.ts");
    execFileSync("mkfifo", [pipe]);
    expect(await installed.failure(pipe)).toMatchObject({ kind: "refused", message: `${pipe} is not a regular file` });
  });

  it("tells file, line, column, text and source line of a syntax error", async () => {
    const file = installed.write("home/syntax.ts", `import "node:fs";\n\nconst é = "日本"; const = 5;\n`);
    const failure = await installed.failure(file);
    expect(failure.kind).toBe("compile");
    expect(failure.message).toBe(
      `${file}:3:23: Expected identifier but found "="\n  const é = "日本"; const = 5;\n${" ".repeat(24)}^`,
    );
  });

  it("tells the place of an error on the first line as the author sees it", async () => {
    const file = installed.write("home/first-line.ts", "const url = import.meta.url; const = 5;\n");
    expect((await installed.failure(file)).message).toContain(
      `${file}:1:36: Expected identifier but found "="\n  const url = import.meta.url; const = 5;\n`,
    );
  });

  it("tells the error of a module that it imports, and how many more there are", async () => {
    const helper = installed.write("home/two/helper.ts", "export const a = ;\nexport const b = 1;");
    const file = installed.write(
      "home/two/app.ts",
      `import { a } from "./helper.ts";\nimport { c } from "./other.ts"; let let = 1;`,
    );
    installed.write("home/two/other.ts", "export const c = 08n;");
    const failure = await installed.failure(file);
    expect(failure.kind).toBe("compile");
    expect(failure.message).toMatch(/^\/.*\.ts:\d+:\d+: /);
    expect(failure.message).toContain("more error");
    expect(failure.message).not.toContain(helper.replace("helper", "nothing"));
  });

  it("is failed-inside when a file that it imports is missing", async () => {
    const file = installed.write("home/lost.ts", `import { a } from "./nowhere.ts"; export const application = a;`);
    const failure = await installed.failure(file);
    expect(failure.kind).toBe("failed-inside");
    expect(failure.message).toContain(`${file}:1:19: cannot find file "./nowhere.ts", imported from ${file}`);
  });

  it("is failed-inside when its own code throws: with the cause and the place", async () => {
    const file = installed.write(
      "home/throws.ts",
      `interface A { a: 1 }\nexport const application = 1;\nthrow new RangeError("too much");`,
    );
    const failure = await installed.failure(file);
    expect(failure.kind).toBe("failed-inside");
    expect(failure.message).toContain(`${file} failed while it was loaded: RangeError: too much`);
    expect(failure.cause).toBeInstanceOf(Error);
    const text = installed.write("home/throws-text.ts", `throw "a text";`);
    expect((await installed.failure(text)).message).toBe(`${text} failed while it was loaded: a text`);
  });

  it("says in its message at which line of TypeScript it threw", async () => {
    const file = installed.write("home/throws-place.ts", `interface A {\n  a: 1;\n}\n\nJSON.parse("{");`);
    const { stdout } = await installed.run(
      `await call(${JSON.stringify(file)}).catch((error) => console.log(error.message));`,
    );
    expect(stdout).toMatch(new RegExp(`failed while it was loaded: SyntaxError: .*\\(at ${file}:5:\\d+\\)\n$`));
  });

  it("is failed-inside when an installed package has no such export", async () => {
    installed.addPackage("home/noexport", "thing", {
      "package.json": `{ "type": "module" }`,
      "index.js": "export const a = 1;",
    });
    const file = installed.write(
      "home/noexport/app.ts",
      `import { b } from "thing"; export const application = () => b;`,
    );
    const failure = await installed.failure(file);
    expect(failure.kind).toBe("failed-inside");
    expect(failure.message).toContain(file);
    expect(failure.message).toContain("does not provide an export named 'b'");
  });

  it("runs again after it threw, although Node remembers the failure", async () => {
    const file = installed.write(
      "home/again.ts",
      `const state = globalThis as { turns?: number };
state.turns = (state.turns ?? 0) + 1;
if (state.turns === 1) throw new Error("first turn");
export const application = () => state.turns;`,
    );
    expect((await installed.failure(file)).kind).toBe("failed-inside");
    expect(await installed.call(file)).toBe(2);
    expect(await installed.call(file)).toBe(2);
  });

  it("is failed-inside when its top level never settles", async () => {
    const bundle = installed.write("home/never.mjs", "await new Promise(() => {});");
    const load = installed.instance.importBundle({ slot: "never", bundle }, 30);
    await expect(load).rejects.toMatchObject({
      kind: "failed-inside",
      message: expect.stringContaining("never settles"),
    });
  });
});

describe("loading", () => {
  it("runs a script once for all that ask at the same time", async () => {
    const file = installed.write(
      "home/once.ts",
      `const state = globalThis as { runs?: number };
state.runs = (state.runs ?? 0) + 1;
await new Promise((resolve) => setImmediate(resolve));
export const application = () => state.runs;
export const other = () => state.runs;`,
    );
    const names = [undefined, "other", undefined, "application", "other"];
    expect(await Promise.all(names.map((name) => installed.call(file, name)))).toEqual([1, 1, 1, 1, 1]);
  });

  it("compiles a script once for all that ask at the same time, and writes the result once", async () => {
    const file = installed.write("home/once-written.ts", hello);
    const { stdout } = await installed.run(
      `import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
const { renameSync } = fs;
let renames = 0;
fs.renameSync = (...names) => { renames += 1; renameSync(...names); };
syncBuiltinESMExports();
const file = ${JSON.stringify(file)};
console.log(await Promise.all([call(file), call(file), call(file)]), renames);`,
    );
    expect(stdout).toBe("[ 'hello', 'hello', 'hello' ] 2\n");
  });

  it("knows a script by its real path", async () => {
    const file = installed.write("home/real/app.ts", `export const application = () => import.meta.filename;`);
    symlinkSync("real/app.ts", join(installed.root, "home/link.ts"));
    expect(await installed.call(join(installed.root, "home/link.ts"))).toBe(file);
  });

  it("leaves no compiler running and keeps no process alive", async () => {
    const file = installed.write("home/ends.ts", hello);
    const { code, stdout, stderr } = await installed.run(
      `import { readFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
const children = () => readFileSync("/proc/self/task/" + process.pid + "/children", "utf8").trim();
console.log(await call(${JSON.stringify(file)}));
const deadline = Date.now() + 10_000;
while (children() !== "" && Date.now() < deadline) await setImmediate();
console.log("children:" + children());`,
    );
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "hello\nchildren:\n", stderr: "" });
  });

  it("works from a working directory that is gone, or goes later", async () => {
    const file = installed.write("home/cwd.ts", hello);
    const later = installed.write("home/cwd-later.ts", hello);
    const { stdout } = await installed.run(
      `import { mkdirSync, rmdirSync } from "node:fs";
const folder = ${JSON.stringify(join(installed.root, "soon-gone"))};
mkdirSync(folder); process.chdir(folder);
console.log(await call(${JSON.stringify(file)}), process.cwd() === folder);
rmdirSync(folder);
console.log(await call(${JSON.stringify(later)}));`,
    );
    expect(stdout).toBe("hello true\nhello\n");
    const fresh = installed.write("home/cwd-fresh.ts", hello);
    const second = await installed.run(
      `import { mkdirSync, rmdirSync } from "node:fs";
const folder = ${JSON.stringify(join(installed.root, "gone-already"))};
mkdirSync(folder); process.chdir(folder); rmdirSync(folder);
console.log(await call(${JSON.stringify(fresh)}));`,
    );
    expect(second.stdout).toBe("hello\n");
  });

  it("gives the changed code to the next load, and the old instance never comes back for old text", async () => {
    const file = installed.write("home/turns.ts", counting("a"));
    const seen: unknown[] = [];
    for (const word of ["a", "b", "a", "a", "c"]) {
      writeFileSync(file, counting(word));
      seen.push(await installed.call(file));
    }
    expect(seen).toEqual(["a1", "b2", "a3", "a3", "c4"]);
  });
});
