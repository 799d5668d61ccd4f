// What programs of Node's do that a bundle would change: files by a computed path, modules that others load again, and the question
// which module is the program.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Installed } from "./installed.ts";

let installed: Installed;

beforeAll(async () => {
  installed = await Installed.open();
});

afterAll(() => installed.close());

/** What the application of these files gives, `app` being its script. */
async function call(name: string, files: Readonly<Record<string, string>>, app = "app.js"): Promise<unknown> {
  for (const [file, text] of Object.entries(files)) installed.write(`${name}/${file}`, text);
  return await installed.call(`${installed.root}/${name}/${app}`);
}

describe("a computed path", () => {
  it("is looked up by require as Node does", async () => {
    const result = await call("config", {
      "package.json": `{ "type": "commonjs" }`,
      "config/production.js": `module.exports = "production";`,
      "config/data.json": `{ "is": "data" }`,
      "config/folder/index.js": `module.exports = "folder";`,
      "app.js": `
const load = (name) => require("./config/" + name);
const attempt = (name) => { try { return load(name); } catch (error) { return error.code; } };
exports.application = () => [load("production"), load("data").is, load("folder/index"), load("../config/production"), attempt("missing")];`,
    });
    expect(result).toEqual(["production", "data", "folder", "production", "MODULE_NOT_FOUND"]);
  });

  it("is taken as it is by import(), which rejects", async () => {
    const result = await call(
      "locales",
      {
        "package.json": `{ "type": "module" }`,
        "locales/de.ts": `export default "hallo";`,
        "locales/en.ts": `export default "hello";`,
        "app.ts": `
const load = (name: string) => import(\`./locales/\${name}.ts\`);
const attempt = (name: string) => load(name).then((one) => one.default, (error) => error.code);
export const application = async () => [
  await attempt("de"),
  await attempt("xx"),
  await attempt("../locales/de"),
  (await load("xx").catch(() => import("./locales/en.ts"))).default,
];`,
      },
      "app.ts",
    );
    expect(result).toEqual(["hallo", "ERR_MODULE_NOT_FOUND", "hallo", "hello"]);
  });

  it("of a CommonJS file that requires one of the application's gives it the same one", async () => {
    const result = await call("shared", {
      "package.json": `{ "type": "commonjs" }`,
      "db.js": `exports.isConnected = false; exports.connect = () => { exports.isConnected = true; };`,
      "routes/users.js": `const db = require("../db"); module.exports = () => db.isConnected;`,
      "app.js": `
const { readdirSync } = require("node:fs");
const { join } = require("node:path");
const db = require("./db");
db.connect();
const folder = join(__dirname, "routes");
const routes = readdirSync(folder).map((name) => require(join(folder, name)));
exports.application = () => [routes.map((route) => route()), require.cache[require.resolve("./db")].exports === db];`,
    });
    expect(result).toEqual([[true], true]);
  });
});

describe("which module is the program", () => {
  it("is told by require.main and module.parent, in CommonJS", async () => {
    const part = `module.exports = [require.main === module, module.parent === null, require.main.filename];`;
    const result = (await call("main", {
      "package.json": `{ "type": "commonjs" }`,
      "part.js": part.replace("module.parent === null", "!module.parent"),
      "app.js": `
const part = require("./part");
const own = [require.main === module, !module.parent, require.main.filename === __filename];
exports.application = () => [own, part];`,
    })) as unknown[];
    expect(result).toEqual([
      [true, true, true],
      [false, false, `${installed.root}/main/app.js`],
    ]);
  });

  it("is told in TypeScript that imports, too", async () => {
    const source = `import { sep } from "node:path";
let isMain = "no";
if (require.main === module) isMain = "yes";
export const application = () => [isMain, sep];`;
    const result = await call("mixed", { "package.json": `{ "type": "commonjs" }`, "app.ts": source }, "app.ts");
    expect(result).toEqual(["yes", "/"]);
  });

  it("hurts no ES module that only speaks of it", async () => {
    const text = `// module.parent, module.exports and exports.x are of CommonJS
export const application = () => typeof module;`;
    const result = await call("esm", { "package.json": `{ "type": "module" }`, "app.js": text });
    expect(result).toBe("undefined");
  });
});
