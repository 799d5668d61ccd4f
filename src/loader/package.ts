// Where this package is installed, which version it is, and on which Node it runs.
// Rules: found from the address of this file, which lies two folders below the package in src/ and in dist/ alike.
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** Folder of this package, without a separator at the end. */
export const packageRoot: string = dirname(dirname(import.meta.dirname));

/** The file that `tsgi` stands for in an application: of the same build as what runs, so that each class is there once. */
export const libraryMain: string =
  basename(import.meta.dirname) === "bundled"
    ? join(import.meta.dirname, "index.js")
    : join(packageRoot, "dist", "index.js");

/** The files of what this package exports, by the names that applications import. */
export const libraryFiles: Readonly<Record<string, string | undefined>> = {
  tsgi: libraryMain,
  "tsgi/node-fastcgi": join(dirname(libraryMain), "node-fastcgi.js"),
};

/** Major version of the running Node. */
export const nodeMajor: string = process.versions.node.split(".", 1)[0] ?? "";

/** Version in a package.json. Throws when the file cannot be read. */
export function readVersion(folder: string): string {
  const value: unknown = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const isNamed = typeof value === "object" && value !== null && "version" in value;
  return isNamed && typeof value.version === "string" ? value.version : "unknown";
}
