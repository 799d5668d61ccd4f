// The exports of a script that answer for Apache who may come in.
// Rules: an export counts by its name alone, and one that is no function is an error, since an export that is left out would
// be a check that is not made.

import { LoadError } from "../errors.ts";
import type { AllowAccess, CheckPassword, GroupsForUser } from "../spec.ts";

export interface AuthorizerHooks {
  readonly checkPassword: CheckPassword | undefined;
  readonly groupsForUser: GroupsForUser | undefined;
  readonly allowAccess: AllowAccess | undefined;
}

export const hookNames = ["checkPassword", "groupsForUser", "allowAccess"] as const;

/** Gives the value of an export, undefined where there is none. */
export type ExportReader = (name: string) => unknown;

/**
 * The hooks among the exports of a script. Throws LoadError "no-hooks" where there is none, "no-export"
 * where one is no function.
 */
export function findHooks(file: string, exported: ExportReader): AuthorizerHooks {
  const found = hookNames.map((name) => ({ name, value: exported(name) })).filter(({ value }) => value !== undefined);
  const wrong = found.find(({ value }) => typeof value !== "function");
  if (wrong !== undefined) {
    throw new LoadError(
      "no-export",
      `the export \`${wrong.name}\` of ${file} is a ${typeof wrong.value}, not a function`,
    );
  }
  if (found.length === 0) {
    throw new LoadError("no-hooks", `${file} answers for no access: it exports none of ${hookNames.join(", ")}`);
  }
  const hooks = Object.fromEntries(found.map(({ name, value }) => [name, value]));
  return { checkPassword: undefined, groupsForUser: undefined, allowAccess: undefined, ...hooks };
}
