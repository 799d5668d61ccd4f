// Finds the application among the exports of a script.
// Rule: the name after `#` is an export of the script, `application` without one. A CommonJS script has one export only, its
// `module.exports`: there the name is looked for on `module.exports`, then on `module.exports.default`; and when no name was
// given, or the name is `default`, a function that is `module.exports` itself (or its `default`) is the application.
// In an ES module only `#default` finds a default export.
import { LoadError } from "../errors.ts";
import type { Application } from "../spec.ts";
import type { ModuleFormat } from "./entry.ts";
import type { Namespace } from "./instance.ts";

/** The name that is looked for when none was given. */
export const defaultExportName = "application";

/** The application; throws LoadError "no-export" when there is none of that name or when it is no function. */
export function pickApplication(
  namespace: Namespace,
  { file, exportName, moduleFormat }: { file: string; exportName: string | undefined; moduleFormat: ModuleFormat },
): Application {
  const name = exportName ?? defaultExportName;
  const value = moduleFormat === "esm" ? namespace[name] : findInCommonJs(namespace["default"], exportName);
  if (typeof value === "function") return value as Application;
  const names = moduleFormat === "esm" ? Object.keys(namespace) : namesOf(namespace["default"]);
  if (value === undefined && !names.includes(name)) {
    throw new LoadError("no-export", `${file} has no export \`${name}\` (it exports ${names.join(", ") || "nothing"})`);
  }
  throw new LoadError("no-export", `the export \`${name}\` of ${file} is ${kindOf(value)}, not a function`);
}

function findInCommonJs(exported: unknown, exportName: string | undefined): unknown {
  const holders = [exported, propertyOf(exported, "default")];
  const name = exportName ?? defaultExportName;
  const named = holders.map((holder) => propertyOf(holder, name)).find((value) => value !== undefined);
  if (named !== undefined && name !== "default") return named;
  const itself = exportName === undefined || name === "default";
  return (itself ? holders.find((holder) => typeof holder === "function") : undefined) ?? named;
}

function propertyOf(holder: unknown, name: string): unknown {
  const isHolder = (typeof holder === "object" && holder !== null) || typeof holder === "function";
  return isHolder && Object.hasOwn(holder, name) ? (holder as Record<string, unknown>)[name] : undefined;
}

function namesOf(exported: unknown): string[] {
  const isHolder = (typeof exported === "object" && exported !== null) || typeof exported === "function";
  return isHolder ? Object.keys(exported) : [];
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
