// Runs a TypeScript program of this folder on every Node: bundles it with esbuild and imports the result.
// Usage: node test/bench/run.mjs main|engine [options]. What is measured is dist/, as users get it.
import { build } from "esbuild";
import { mkdirSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const [program = "main", ...args] = process.argv.slice(2);
const folder = join(root, "node_modules", ".cache", "tsgi-bench");
const outfile = join(folder, `${program}-${process.pid}.mjs`);

/** Modules of src/ are those of dist/, and every module sees its own address. */
const asInCheckout = {
  name: "as-in-checkout",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\/src\/.*\.ts$/ }, ({ path, resolveDir }) => {
      const file = resolve(resolveDir, path).replace(join(root, "src/"), join(root, "dist/"));
      return { path: file.replace(/\.ts$/u, ".js"), external: true };
    });
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      return { contents: text.replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)), loader: "ts" };
    });
  },
};

mkdirSync(folder, { recursive: true });
await build({
  entryPoints: [join(root, "test", "bench", `${program}.ts`)],
  outfile,
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  target: "node20",
  logLevel: "warning",
  plugins: [asInCheckout],
});
let loaded;
try {
  loaded = await import(pathToFileURL(outfile).href);
} finally {
  rmSync(outfile, { force: true });
}
process.exitCode = await loaded.main(args);
