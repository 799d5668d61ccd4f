import { mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Installed } from "./installed.ts";

let installed: Installed;

beforeAll(async () => {
  installed = await Installed.open();
});

afterAll(() => installed.close());

/** A package that tells which of its files was taken. */
function addTelling(folder: string, name: string, manifest: object, files: readonly string[]): void {
  const texts = files.map((file) => [
    file,
    file.endsWith(".mjs") ? `export default ${JSON.stringify(file)};` : `module.exports = ${JSON.stringify(file)};`,
  ]);
  installed.addPackage(folder, name, {
    "package.json": JSON.stringify({ name, ...manifest }),
    ...Object.fromEntries(texts),
  });
}

describe("installed packages", () => {
  it("are taken by Node's conditions: import for import, require for require, never the bundlers' own", async () => {
    const conditions = {
      module: "./module.mjs",
      browser: "./browser.mjs",
      import: "./import.mjs",
      require: "./require.cjs",
    };
    addTelling("home/a", "dual", { exports: { ".": conditions } }, [
      "module.mjs",
      "browser.mjs",
      "import.mjs",
      "require.cjs",
    ]);
    addTelling("home/a", "fields", { main: "main.js", module: "module.mjs", browser: "browser.mjs" }, [
      "main.js",
      "module.mjs",
      "browser.mjs",
    ]);
    addTelling("home/a", "@scope/node-only", { exports: { node: "./node.mjs", default: "./default.mjs" } }, [
      "node.mjs",
      "default.mjs",
    ]);
    const file = installed.write(
      "home/a/app.ts",
      `import dual from "dual";
import fields from "fields";
import node from "@scope/node-only";
export const application = () => [dual, require("dual"), fields, node];`,
    );
    expect(await installed.call(file)).toEqual(["import.mjs", "require.cjs", "main.js", "node.mjs"]);
  });

  it("stay where they are: their own import.meta.url, and one instance for all who use them", async () => {
    installed.addPackage("home/b", "place", {
      "package.json": `{ "type": "module", "exports": "./index.js" }`,
      "index.js": "export const url = import.meta.url; export const state = {};",
    });
    const file = installed.write(
      "home/b/app.ts",
      `import { state, url } from "place";
export const application = async () => [url, state === (await import("place")).state];`,
    );
    const url = pathToFileURL(join(installed.root, "home/b/node_modules/place/index.js")).href;
    expect(await installed.call(file)).toEqual([url, true]);
  });

  it("are resolved from the file that imports them, not from the script", async () => {
    addTelling("home/c", "which", { main: "outer.js" }, ["outer.js"]);
    addTelling("home/c/inner", "which", { main: "inner.js" }, ["inner.js"]);
    installed.write("home/c/inner/part.ts", `import which from "which"; export { which };`);
    const file = installed.write(
      "home/c/app.ts",
      `import which from "which";
import { which as inner } from "./inner/part.ts";
export const application = () => [which, inner];`,
    );
    expect(await installed.call(file)).toEqual(["outer.js", "inner.js"]);
  });

  it("work from folders whose names a URL must encode, and so do their JSON files", async () => {
    const folder = "home/d #1 %41 é";
    addTelling(folder, "odd", { main: "main.js", version: "1.2.3" }, ["main.js"]);
    const file = installed.write(
      `${folder}/app.ts`,
      `import odd from "odd";
import manifest from "odd/package.json";
export const application = () => [odd, manifest.version, require("odd"), require("odd/package.json").version];`,
    );
    expect(await installed.call(file)).toEqual(["main.js", "1.2.3", "main.js", "1.2.3"]);
  });

  it("that are links to a workspace folder are the application's own source, TypeScript and all", async () => {
    installed.write(
      "home/mono/packages/common/package.json",
      `{ "name": "common", "type": "module", "main": "src/index.ts" }`,
    );
    installed.write(
      "home/mono/packages/common/src/index.ts",
      `import dependency from "dependency";
export enum Kind { Common = "common" }
export const where = [import.meta.filename, dependency];`,
    );
    addTelling("home/mono/packages/common", "dependency", { main: "nested.js" }, ["nested.js"]);
    const link = join(installed.root, "home/mono/packages/app/node_modules/common");
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync("../../common", link);
    const file = installed.write(
      "home/mono/packages/app/app.ts",
      `import { Kind, where } from "common";
export const application = () => [Kind.Common, ...where];`,
    );
    const source = join(installed.root, "home/mono/packages/common/src/index.ts");
    expect(await installed.call(file)).toEqual(["common", source, "nested.js"]);
    const { inputs } = await installed.load.loadApplication(
      { file, exportName: undefined },
      { cacheDir: installed.cacheDir },
    );
    expect(inputs).toContain(source);
  });

  it("may hold the script: then its package's other files are its own", async () => {
    const folder = "home/e/node_modules/product";
    installed.write(`${folder}/lib/part.ts`, `export const part: string = "part";`);
    installed.write(`${folder}/node_modules/dep/index.js`, `module.exports = "dep";`);
    const file = installed.write(
      `${folder}/app.ts`,
      `import dep from "dep";
import { part } from "./lib/part.ts";
export const application = () => [part, dep];`,
    );
    expect(await installed.call(file)).toEqual(["part", "dep"]);
  });

  it("are found by NODE_PATH too when they are required, as Node does", async () => {
    installed.write("elsewhere/by-path/index.js", `module.exports = "by path";`);
    const file = installed.write("home/node-path/app.ts", `export const application = () => require("by-path");`);
    const env = { NODE_PATH: join(installed.root, "elsewhere") };
    const { stdout } = await installed.run(`console.log(await call(${JSON.stringify(file)}));`, env);
    expect(stdout).toBe("by path\n");
  });

  it("that are missing and only tried for do no harm until they are asked for", async () => {
    const file = installed.write(
      "home/f/app.ts",
      `const codeOf = (error: unknown) => (error as { code: string }).code;
export const application = async () => {
  const found: string[] = [];
  try { require("not-there"); } catch (error) { found.push(codeOf(error)); }
  for (const turn of [1, 2]) await import("not-there").catch((error) => found.push(codeOf(error) + turn));
  await import("./nothing.ts").catch((error) => found.push(codeOf(error)));
  return found;
};`,
    );
    const expected = ["MODULE_NOT_FOUND", "ERR_MODULE_NOT_FOUND1", "ERR_MODULE_NOT_FOUND2", "ERR_MODULE_NOT_FOUND"];
    expect(await installed.call(file)).toEqual(expected);
  });

  it("that are missing and imported fail with the specifier, the importing file and the line", async () => {
    const helper = installed.write("home/g/helper.ts", `\n  import gone from "gone-package";\nexport const x = gone;`);
    const file = installed.write("home/g/app.ts", `export { x as application } from "./helper.ts";`);
    const failure = await installed.failure(file);
    expect(failure.kind).toBe("failed-inside");
    expect(failure.message).toContain(file);
    expect(failure.message).toContain(`${helper}:2:20: cannot find package "gone-package", imported from ${helper}`);
    expect(failure.message).toContain(`\n    import gone from "gone-package";\n`);
  });

  it("that come later are found by the next load", async () => {
    const file = installed.write("home/h/app.ts", `import late from "late"; export const application = () => late;`);
    expect((await installed.failure(file)).kind).toBe("failed-inside");
    addTelling("home/h", "late", { main: "main.js" }, ["main.js"]);
    expect(await installed.call(file)).toBe("main.js");
  });

  it("that move their main file are found again", async () => {
    addTelling("home/i", "moving", { main: "one.js" }, ["one.js"]);
    const file = installed.write(
      "home/i/app.ts",
      `import moving from "moving"; export const application = () => moving;`,
    );
    expect(await installed.call(file)).toBe("one.js");
    addTelling("home/i", "moving", { main: "other.js" }, ["other.js"]);
    expect(await installed.call(file)).toBe("other.js");
  });
});

describe('the specifier "tsgi"', () => {
  it("is the running package, far away from any node_modules and for import and require alike", async () => {
    const file = installed.write(
      "far/away/app.ts",
      `import { decodeText } from "tsgi";
import { extra } from "tsgi/extra";
import type { Application } from "tsgi";
export const application = (() => [decodeText(), extra, require("tsgi").decodeText()]) as unknown as Application;`,
    );
    expect(await installed.call(file)).toEqual(["the running one", "an extra", "the running one"]);
  });

  it("is the running package even beside an installed one and a tsconfig.json that names another", async () => {
    installed.addPackage("home/j", "tsgi", { "index.js": `exports.decodeText = () => "the installed one";` });
    installed.write("home/j/tsconfig.json", `{ "compilerOptions": { "paths": { "tsgi": ["./mine.ts"] } } }`);
    installed.write("home/j/mine.ts", `export const decodeText = () => "the aliased one";`);
    const file = installed.write(
      "home/j/app.ts",
      `import { decodeText } from "tsgi"; export const application = () => decodeText();`,
    );
    expect(await installed.call(file)).toBe("the running one");
  });

  it("has no other doors than the package opens", async () => {
    const file = installed.write(
      "home/k/app.ts",
      `import x from "tsgi/dist/loader/load.js"; export const application = x;`,
    );
    const failure = await installed.failure(file);
    expect(failure.kind).toBe("failed-inside");
    expect(failure.message).toContain('cannot find package "tsgi/dist/loader/load.js"');
  });
});
