// An import by `require`: what comes of it, and what is told of a failure, is what `import()` gives.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { importAtOnce } from "../../../src/loader/import-at-once.ts";

Reflect.deleteProperty(Error, "prepareStackTrace"); // stacks as node writes them, and not as the test runner does

const folder = mkdtempSync(join(tmpdir(), "tsgi-at-once-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const require = createRequire(import.meta.url);
writeFileSync(join(folder, "import.cjs"), "module.exports = (name) => import(name);");
// eslint-disable-next-line typescript/no-unsafe-type-assertion -- node's own, not that of the test runner
const nodeImport = require(join(folder, "import.cjs")) as (name: string) => Promise<unknown>;

const imported: string[] = [];
const importModule = async (name: string): Promise<unknown> => {
  imported.push(name);
  return await nodeImport(name);
};
const atOnce = importAtOnce(require, importModule);

let count = 0;

/** Writes a module, and gives its address and the global in which it counts how often it ran. */
function write(text: (counter: string) => string): { readonly address: string; readonly runs: () => unknown } {
  count += 1;
  const counter = `ran${process.pid}_${count}`;
  const file = join(folder, `m${count}.mjs`);
  writeFileSync(file, `globalThis.${counter} = (globalThis.${counter} ?? 0) + 1;\n${text(counter)}\n`);
  return { address: pathToFileURL(file).href, runs: () => Reflect.get(globalThis, counter) };
}

async function failureOf(attempt: Promise<unknown>): Promise<Error> {
  const outcome = await attempt.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(outcome instanceof Error)) throw new Error("it did not fail");
  return outcome;
}

test("gives the module that import() gives", async () => {
  const { address, runs } = write(() => "export const a = 1;");
  imported.length = 0;
  const module = await atOnce(address);
  expect(imported).toEqual([]);
  expect(await nodeImport(address)).toBe(module);
  expect(runs()).toBe(1);
});

test.for([
  ["a default export", "export default 5; export const a = 1;"],
  ["what it shall be for require", 'const x = 5; export { x as "module.exports" };'],
  ["an await at its top level", "await 1; export const a = 2;"],
])("gives the module that import() gives, with %s", async ([, text = ""]) => {
  const { address, runs } = write(() => text);
  const module = await atOnce(address);
  expect(await nodeImport(address)).toBe(module);
  expect(Object.keys(module as object)).not.toContain("__esModule");
  expect(runs()).toBe(1);
});

test("gives the module that import() gives, where an import of it waits", async () => {
  const waiting = write(() => "await 1; export const a = 2;");
  const { address, runs } = write(() => `export { a } from ${JSON.stringify(waiting.address)};`);
  expect(await atOnce(address)).toMatchObject({ a: 2 });
  expect([runs(), waiting.runs()]).toEqual([1, 1]);
});

test("what throws has run once, and the stack begins there", async () => {
  const { address, runs } = write(() => 'throw new SyntaxError("of mine");');
  const error = await failureOf(atOnce(address));
  expect(error.message).toBe("of mine");
  expect(error.stack?.split("\n")[1]).toContain(address);
  expect(runs()).toBe(1);
});

test.for([
  ["a package that is missing", 'import "there-is-none";', "Cannot find package 'there-is-none'"],
  ["an export that is missing", 'import { none } from "node:fs";', "does not provide an export named 'none'"],
  ["no JavaScript", "let a = ;", "Unexpected token"],
  ["an export of CommonJS that is missing", 'import { none } from "./old.cjs";', "Named export 'none' not found"],
])("tells of %s as import() does", async ([, text = "", told]) => {
  writeFileSync(join(folder, "old.cjs"), "exports.a = 1;");
  const { address, runs } = write(() => text);
  expect((await failureOf(atOnce(address))).message).toContain(told);
  expect(runs()).toBeUndefined();
});

test("leaves packages, and later instances of a file, to import()", async () => {
  const { address } = write(() => "export const a = 1;");
  imported.length = 0;
  await atOnce("node:fs");
  await atOnce(`${address}?1`);
  expect(imported).toEqual(["node:fs", `${address}?1`]);
});

test("a module that fails since what it requires does not fit has run once", async () => {
  const bad = write(() => 'import { none } from "node:fs"; export { none };');
  const required = JSON.stringify(bad.address.slice("file://".length));
  const { address, runs } = write(
    () => `import { createRequire } from "node:module"; createRequire(import.meta.url)(${required});`,
  );
  expect((await failureOf(atOnce(address))).message).toContain("none");
  expect(runs()).toBe(1);
});
