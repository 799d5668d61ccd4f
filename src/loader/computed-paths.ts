// What esbuild makes of `require("./models/" + name)` and of import(`./locales/${name}.ts`): a table of the files that there are, and
// a helper that looks a path up in it.
// Rules: the helper is replaced by one that takes the names which Node would try, whatever way the path is written, and fails as
// Node does: `import()` by a promise, both with Node's codes; on as many lines, so that the source map holds.

const esbuildsHelper =
  /^var __glob = \(map\) => \(path\) => \{\n.*\n.*\n.*"Module not found in bundle: " \+ path\);\n\};$/m;

const helper = `
var __globFind = (map, path, ends) => {
  const parts = [];
  for (const part of String(path).split("/")) {
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  const name = (parts[0] === ".." ? "" : "./") + parts.join("/");
  const found = ends.find((end) => Object.hasOwn(map, name + end));
  return found === undefined ? undefined : map[name + found];
};
var __globMissing = (path, code) => Object.assign(new Error("Cannot find module '" + path + "'"), { code });
var __globEndings = [".js", ".json", ".node", ".ts", ".cts", ".tsx", ".jsx", ".cjs"];
var __globEnds = ["", ...__globEndings, ...__globEndings.map((end) => "/index" + end)];
var __globImport = (map) => async (path) => {
  const load = __globFind(map, path, [""]);
  if (load === undefined) throw __globMissing(path, "ERR_MODULE_NOT_FOUND");
  return load();
};
var __glob = (map) => (path) => {
  const load = __globFind(map, path, __globEnds);
  if (load === undefined) throw __globMissing(path, "MODULE_NOT_FOUND");
  return load();
};`;

/** The code of a bundle with that helper; as it is where none of it is needed. */
export function withNodesLookup(code: string): string {
  const found = esbuildsHelper.exec(code)?.[0];
  if (found === undefined) return code;
  const lines = found.split("\n").length;
  const replaced = helper.trim().replaceAll(/\n\s*/g, " ") + "\n".repeat(lines - 1);
  return code
    .replace(found, () => replaced)
    .replaceAll(/^(var globImport\w* = )__glob\(/gm, (_, start: string) => `${start}__globImport(`);
}
