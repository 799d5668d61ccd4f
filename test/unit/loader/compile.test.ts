import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Installed } from "./installed.ts";

let installed: Installed;

beforeAll(async () => {
  installed = await Installed.open();
});

afterAll(() => installed.close());

const placesOf = (file: string): object => ({
  url: pathToFileURL(file).href,
  dirname: join(file, ".."),
  filename: file,
});

describe("an application of every kind of module", () => {
  let folder = "";
  let result: Record<string, unknown> = {};

  beforeAll(async () => {
    folder = installed.copyFixture("features");
    result = (await installed.call(join(folder, "app.ts"))) as Record<string, unknown>;
  });

  it("gets JSON, enums, decorators, JSX, tsconfig paths and types that vanish", () => {
    expect(result["settings"]).toEqual({ name: "settings" });
    expect(result["enums"]).toEqual([1, "high", "Green"]);
    expect(result["doubled"]).toBe(42);
    expect(result["page"]).toBe("<p>hi &amp; ho</p>");
    expect(result["greeting"]).toBe("hello world");
    expect(result["corners"]).toBe(4);
  });

  it("gets top-level await in itself and in a module that it imports later", () => {
    expect(result["late"]).toBe("late");
  });

  it("expands an import() with a computed relative name", () => {
    expect(result["computed"]).toBe("one");
  });

  it("sees the original files in import.meta", () => {
    expect(result["where"]).toEqual([placesOf(join(folder, "lib/where.js")), placesOf(join(folder, "app.ts"))]);
    expect(result["text"]).toBe("a note");
    expect(result["resolved"]).toBe(pathToFileURL(join(folder, "lib/note.txt")).href);
  });

  it("sees the original files in CommonJS, and require works from there", () => {
    expect(result["legacy"]).toEqual({
      filename: join(folder, "lib/legacy.cjs"),
      dirname: "lib",
      own: "plain",
      computed: "settings",
      indirect: "settings",
      resolved: join(folder, "lib/settings.json"),
      missing: "MODULE_NOT_FOUND",
    });
  });

  it("obeys a tsconfig.json that extends another one: experimental decorators", async () => {
    const legacy = installed.copyFixture("legacy");
    expect(await installed.call(join(legacy, "app.ts"))).toEqual([["Service.run"], "function"]);
  });
});

describe("the text of a script", () => {
  it("may begin with a byte order mark, or with a #! line", async () => {
    const marked = installed.write("home/text/marked.ts", "\uFEFFexport const application = (): string => __filename;");
    expect(await installed.call(marked)).toBe(marked);
    const hashbang = installed.write(
      "home/text/bang.ts",
      "#!/usr/bin/env x\nexport const application = () => __filename;",
    );
    expect(await installed.call(hashbang)).toBe(hashbang);
    const both = installed.write(
      "home/text/both.ts",
      "\uFEFF#!/usr/bin/env x\r\nexport const application = () => __filename;",
    );
    expect(await installed.call(both)).toBe(both);
  });

  it("may declare require, __filename and __dirname itself", async () => {
    const file = installed.write(
      "home/text/own-names.ts",
      `import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { dirname } from "node:path";
const require = createRequire(import.meta.url);
const __filename = fileURLToPath(import.meta.url);
const __dirname = dirname(__filename);
export const application = () => [require("./data.json").data, __filename, __dirname];`,
    );
    installed.write("home/text/data.json", `{ "data": 7 }`);
    expect(await installed.call(file)).toEqual([7, file, join(file, "..")]);
  });

  it("may have any extension when it is the script itself", async () => {
    const file = installed.write("home/text/app.cgi", "export const application = (): number => 1 as number;");
    expect(await installed.call(file)).toBe(1);
  });

  it("keeps code that is never used, so that side effects stay", async () => {
    installed.write("home/effects/package.json", `{ "type": "module", "sideEffects": false }`);
    installed.write("home/effects/register.ts", "(globalThis as { registered?: number }).registered = 1; export {};");
    const file = installed.write(
      "home/effects/app.ts",
      `import "./register.ts";
export const application = () => (globalThis as { registered?: number }).registered;`,
    );
    expect(await installed.call(file)).toBe(1);
  });

  it("may lie in folders with spaces, #, %, ? and letters beyond ASCII", async () => {
    const folder = "home/w#1 %41?é 日本 [x] {y}";
    installed.write(`${folder}/näme #2.ts`, "export const where = import.meta.url;");
    const file = installed.write(
      `${folder}/äpp #1.ts`,
      `import { where } from "./näme #2.ts";
export const application = () => [where, import.meta.filename];`,
    );
    const expected = [pathToFileURL(join(installed.root, folder, "näme #2.ts")).href, file];
    expect(await installed.call(file)).toEqual(expected);
  });

  it("is refused when its name has the one letter that the compiler cannot take", async () => {
    const file = installed.write("home/text/a*b.ts", "export const application = () => 1;");
    expect(await installed.failure(file)).toMatchObject({
      kind: "refused",
      message: `${file}: a file name must not contain "*"`,
    });
  });
});

describe("import() and require() of names that only the running program knows", () => {
  it("are answered from the module that asks", async () => {
    installed.addPackage("home/computed/sub", "near", { "index.js": `module.exports = "near";` });
    installed.write("home/computed/sub/data.mjs", `export default "data";`);
    installed.write(
      "home/computed/sub/ask.ts",
      `export const ask = async (name: string) => { try { return (await import(name)).default; } catch (error) { return (error as { code: string }).code; } };
export const demand = (name: string) => require(name);`,
    );
    const file = installed.write(
      "home/computed/app.ts",
      `import { ask, demand } from "./sub/ask.ts";
export const application = async () => [await ask("./data.mjs"), await ask("near"), typeof (await ask("fs")).readFileSync, await ask("nowhere"), demand("near")];`,
    );
    expect(await installed.call(file)).toEqual(["data", "near", "function", "MODULE_NOT_FOUND", "near"]);
  });

  it("may name any file below a folder without dragging foreign files into the compilation", async () => {
    installed.write("home/wide/.env", "NOT=JavaScript at all");
    installed.write("home/wide/README.md", "# not JavaScript either");
    installed.addPackage("home/wide", "broken", { "index.js": "this is { not JavaScript" });
    installed.write("home/wide/other.ts", `export const other: string = "other";`);
    const file = installed.write(
      "home/wide/app.ts",
      `const load = (name: string) => import("./" + name);
export const application = async () => (await load("other.ts")).other;`,
    );
    expect(await installed.call(file)).toBe("other");
  });
});

describe("stack traces", () => {
  it("point at the line of the TypeScript file, in the script and in a module", async () => {
    const folder = "home/stack é #1";
    const helper = installed.write(
      `${folder}/helper.ts`,
      `enum Filler {\n  A,\n  B,\n}\ninterface Gone {\n  a: Filler;\n}\nexport const fail = (gone?: Gone): never => {\n  throw new Error("on purpose " + gone);\n};\n`,
    );
    const file = installed.write(
      `${folder}/app.ts`,
      `import { fail } from "./helper.ts";\ninterface Gone {\n  a: 1;\n}\nexport const application = (gone?: Gone): unknown => {\n  const place = import.meta.url;\n  return fail() ?? [gone, place];\n};\n`,
    );
    for (const start of ["cold", "warm"]) {
      const { stdout, stderr } = await installed.run(
        `try { await call(${JSON.stringify(file)}); } catch (error) { console.log(decodeURI(error.stack).replaceAll("%23", "#")); }`,
      );
      expect(stderr, start).toBe("");
      expect(stdout, start).toContain("Error: on purpose undefined");
      expect(stdout, start).toContain(`${helper}:9:`);
      expect(stdout, start).toContain(`${file}:7:`);
    }
  });
});
