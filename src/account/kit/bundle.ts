// Bundles an application, all that it imports, and our CGI program into one JavaScript file that needs nothing else.
// Rules: what both sides import is in it once, since a class that exists twice is two; node's own modules stay outside; what
// cannot be bundled is an error that names its place, never a surprise on the host.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import type { BuildFailure, BuildOptions, Plugin } from "esbuild";
import { LoadError, messageOf } from "../../errors.ts";
import type { AdapterName } from "../../adapters/names.ts";
import { libraryMain, packageRoot } from "../../loader/package.ts";

export interface Bundled {
  /** An ES module that serves one CGI request when it is run. */
  readonly code: Uint8Array;
  /** What esbuild thinks should be known, a line each. */
  readonly warnings: readonly string[];
}

export interface BundleOptions {
  /** Real path. */
  readonly file: string;
  readonly exportName: string | undefined;
  readonly adapter: AdapterName | undefined;
}

const distFolder = join(packageRoot, "dist");

/** CommonJS modules in the bundle have what they would have had, with the bundle's own place. */
const banner = [
  'import { createRequire as __tsgi_createRequire } from "node:module";',
  "const require = __tsgi_createRequire(import.meta.url);",
  "const __tsgi_filename = import.meta.filename, __tsgi_dirname = import.meta.dirname;",
].join("\n");

function mainText({ file, exportName, adapter }: BundleOptions, moduleFormat: "esm" | "cjs"): string {
  const word = (value: string | undefined): string => JSON.stringify(value) ?? "undefined";
  return [
    `import { runKit } from ${word(join(distFolder, "account/kit/main.js"))};`,
    `await runKit({ importApplication: () => import(${word(file)}), file: import.meta.filename,`,
    `  moduleFormat: ${word(moduleFormat)}, exportName: ${word(exportName)}, adapter: ${word(adapter)} });`,
  ].join("\n");
}

/** Where our own modules look for packages at run time, the bundler has to find them now. */
async function ownLogger(path: string): Promise<string> {
  const text = await readFile(path, "utf8");
  const bundled = text.replace("const require = createRequire(import.meta.url);", "");
  if (bundled === text) throw new Error(`${path} does not load its packages as it did`);
  return bundled;
}

function kitPlugin(options: BundleOptions, moduleFormat: "esm" | "cjs"): Plugin {
  return {
    name: "tsgi-kit",
    setup(build) {
      build.onResolve({ filter: /^tsgi-kit:main$/ }, ({ path }) => ({ path, namespace: "tsgi-kit" }));
      build.onLoad({ filter: /.*/, namespace: "tsgi-kit" }, () => ({
        contents: mainText(options, moduleFormat),
        resolveDir: distFolder,
      }));
      build.onResolve({ filter: /^tsgi(\/.*)?$/ }, ({ path }) => ({
        path: path === "tsgi" ? libraryMain : createRequire(join(packageRoot, "package.json")).resolve(path),
      }));
      build.onLoad({ filter: /\/dist\/log\.js$/ }, async ({ path }) =>
        path === join(distFolder, "log.js") ? { contents: await ownLogger(path) } : undefined,
      );
      // The compiler stays at home.
      build.onLoad({ filter: /\/dist\/loader\/compile\.js$/ }, ({ path }) =>
        path === join(distFolder, "loader/compile.js") ? { contents: "export const compile = undefined;" } : undefined,
      );
    },
  };
}

function failure(file: string, error: unknown): LoadError {
  const [first] = (error as Partial<BuildFailure>).errors ?? [];
  if (first === undefined) return new LoadError("compile", `${file}: ${messageOf(error)}`, error);
  const { location, text } = first;
  const place = location === null ? file : `${location.file}:${location.line}:${location.column + 1}`;
  const advice = /\.node"/.test(text)
    ? ". Add-ons of native code cannot be bundled: the host needs a shell for them"
    : "";
  return new LoadError("compile", `${place}: ${text}${advice}`, error);
}

/** Makes the bundle. Rejects with LoadError "compile" for what cannot be bundled. */
export async function bundleKit(options: BundleOptions): Promise<Bundled> {
  const { file } = options;
  const esbuild = await import("esbuild");
  const settings: BuildOptions & { write: false; metafile: true } = {
    absWorkingDir: dirname(file),
    banner: { js: banner },
    bundle: true,
    charset: "utf8",
    define: { __dirname: "__tsgi_dirname", __filename: "__tsgi_filename" },
    external: ["pino-pretty"],
    format: "esm",
    logLevel: "silent",
    metafile: true,
    entryPoints: ["tsgi-kit:main"],
    outfile: "/app.mjs",
    platform: "node",
    target: "node20.19",
    write: false,
  };
  const build = (moduleFormat: "esm" | "cjs") =>
    esbuild.build({ ...settings, plugins: [kitPlugin(options, moduleFormat)] });
  try {
    let result = await build("esm");
    if (result.metafile.inputs[basename(file)]?.format === "cjs") result = await build("cjs");
    const [output] = result.outputFiles;
    return {
      code: output?.contents ?? new Uint8Array(),
      warnings: result.warnings.map(({ text, location }) => `${location?.file ?? file}: ${text}`),
    };
  } catch (error) {
    throw failure(file, error);
  } finally {
    await esbuild.stop();
  }
}
