// What a configuration file says, checked: from the value that it exports to values of settings, groups and applications.
// Rules: its keys are the flags in camelCase and its values go through the same parsers as flags; relative paths count from
// the file's folder; every problem is found and named with its place, and a key that nobody knows is a problem too. Pure:
// who reads the file, and whether it may be trusted, is not decided here.

import { resolve } from "node:path";
import { messageOf } from "../errors.ts";
import type { ConfigValues } from "./load.ts";
import { parseGiven } from "./load.ts";
import { nearestWord } from "./near.ts";
import { parseMountPoint, parseText } from "./parsers.ts";
import type { Setting } from "./setting.ts";
import { keyOf } from "./setting.ts";
import { placeText } from "./setting.ts";
import type { SettingName } from "./settings.ts";
import { settings } from "./settings.ts";

/** An application and where it is mounted. */
export interface GroupApplication {
  /** "" for the root, "/x" without a slash at its end; undefined where Apache says it for each request. */
  readonly mountPoint: string | undefined;
  /** Absolute: "file.ts" or "file.ts#export". */
  readonly app: string;
}

/** The file's top level, or one of its groups. */
export interface FileGroup {
  readonly name: string;
  /** What messages call it, such as `tsgi.config.ts: groups.shop`. */
  readonly source: string;
  /** What they call something in it. */
  readonly at: (key: string) => string;
  readonly values: ConfigValues;
  /** Absolute, with the export behind "#" when one is named. */
  readonly app: string | undefined;
  readonly applications: readonly GroupApplication[] | undefined;
  readonly env: Readonly<Record<string, string>>;
}

export interface ConfigFile {
  /** Absolute. */
  readonly path: string;
  /** What messages call it. */
  readonly shown: string;
  readonly top: FileGroup;
  /** undefined when the file does not speak of groups. */
  readonly groups: readonly FileGroup[] | undefined;
  /** What is wrong with it, a sentence each. */
  readonly issues: readonly string[];
}

export interface FilePlace {
  readonly path: string;
  readonly shown: string;
  /** What relative paths count from. */
  readonly folder: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** The name of a group when a file has none. */
export const defaultGroupName = "default";

const fileSettings = new Map(
  (Object.entries(settings) as [SettingName, Setting<unknown>][])
    .filter(([name]) => name !== "configFile")
    .map(([name, setting]) => [keyOf(setting), name]),
);
const targetKeys = ["app", "applications"];
const perGroupKeys = [...fileSettings].filter(([, name]) => settings[name].isPerGroup).map(([key]) => key);
const groupKeys = [...perGroupKeys, ...targetKeys, "env"];
const topKeys = [...fileSettings.keys(), ...targetKeys, "env", "groups"];

/** Variables that Node reads to find out what a process is for. */
const ownVariables = new Set(["NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID"]);

/** The text of a variable for workers. Throws an Error that says what is expected. */
function parseVariable(name: string, value: unknown): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new Error("expected a name of letters, digits and _");
  if (name === "NODE_OPTIONS") throw new Error("use the setting nodeOption");
  if (ownVariables.has(name)) throw new Error("Node needs this variable for itself");
  const isPlain = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
  if (!isPlain || String(value).includes("\0")) throw new Error("expected text, a number or a boolean");
  return String(value);
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const maxShown = 200;

/** A value as a message shows it. */
function show(value: unknown): string {
  if (typeof value === "function" || typeof value === "symbol") return `(a ${typeof value})`;
  if (
    isFields(value) &&
    !(Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null)
  ) {
    return "(an object of a class)";
  }
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    text = undefined; // it holds itself, or a bigint
  }
  const shown = text ?? String(value);
  return shown.length > maxShown ? `${shown.slice(0, maxShown)}...` : shown;
}

/** A value as the text that a flag would have. Throws an Error that says what is expected. */
function textOf(setting: Setting<unknown>, value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "boolean" && typeof setting.default === "boolean") return String(value);
  if (typeof value === "number") {
    if (setting.isOctal !== true) return String(value);
    throw new Error('expected text such as "0022": a number could be meant as octal or as decimal');
  }
  throw new Error(typeof setting.default === "boolean" ? "expected true or false" : "expected text or a number");
}

/** Part of a sentence about an unknown name. */
function suggestion(name: string, known: readonly string[]): string {
  const near = nearestWord(name, known);
  return near === undefined ? "" : ` (did you mean ${near}?)`;
}

/** The file's top level or a group: its name, and what messages call it and its keys. */
interface Level {
  readonly name: string;
  readonly source: string;
  readonly at: (key: string) => string;
  /** The settings that may stand there. */
  readonly keys: readonly string[];
}

class FileReader {
  readonly issues: string[] = [];
  readonly #place: FilePlace;

  constructor(place: FilePlace) {
    this.#place = place;
  }

  read(value: unknown): ConfigFile {
    const { path, shown } = this.#place;
    const fields = this.#fields(value, shown, "the settings, as in export default defineConfig({ ... })");
    for (const key of Object.keys(fields)) {
      if (!topKeys.includes(key)) this.#report(`${shown}: ${key}`, `unknown setting${suggestion(key, topKeys)}`);
    }
    const keys = [...fileSettings.keys()];
    const top = this.#group(fields, { name: defaultGroupName, source: shown, at: (key) => `${shown}: ${key}`, keys });
    const groups = fields["groups"] === undefined ? undefined : this.#groups(fields);
    return { path, shown, top, groups, issues: this.issues };
  }

  #groups(fields: Fields): FileGroup[] {
    const { shown } = this.#place;
    for (const key of [...targetKeys, "scriptRoot"]) {
      if (fields[key] !== undefined)
        this.#report(`${shown}: ${key}`, "it cannot stand beside groups: move it into one");
    }
    const at = `${shown}: groups`;
    const groups = Object.entries(
      this.#fields(fields["groups"], at, "groups by name, as in groups: { shop: { ... } }"),
    );
    if (isFields(fields["groups"]) && groups.length === 0) this.#report(at, "expected at least one group");
    return groups.map(([name, value]) => this.#namedGroup(name, value));
  }

  #namedGroup(name: string, value: unknown): FileGroup {
    const source = `${this.#place.shown}: groups.${name}`;
    const at = (key: string): string => `${source}.${key}`;
    if (!/^[A-Za-z][A-Za-z0-9_-]{0,31}$/.test(name)) {
      this.#report(source, "expected a plain word of at most 32 letters, digits, - and _ for a name");
    }
    const fields = this.#fields(value, source, "the settings of a group");
    for (const key of Object.keys(fields)) {
      if (groupKeys.includes(key)) continue;
      const isOfTop = topKeys.includes(key);
      const why = `unknown setting${suggestion(key, groupKeys)}`;
      this.#report(at(key), isOfTop ? "a setting of the whole file: move it out of the group" : why);
    }
    const hasTarget = [...targetKeys, "scriptRoot"].some((key) => fields[key] !== undefined);
    if (isFields(value) && !hasTarget) this.#report(source, "one of app, applications and scriptRoot is needed");
    return this.#group(fields, { name, source, at, keys: perGroupKeys });
  }

  #group(fields: Fields, level: Level): FileGroup {
    const { name, source, at, keys } = level;
    const { app, applications, env } = fields;
    const targets = [...targetKeys, "scriptRoot"].filter((key) => fields[key] !== undefined);
    if (targets.length > 1) this.#report(source, `${targets.join(" and ")} do not go together: give one of them`);
    if (applications !== undefined && fields["mountPoint"] !== undefined) {
      this.#report(at("mountPoint"), "it does not go with applications, which have mount points of their own");
    }
    return {
      name,
      source,
      at,
      values: Object.fromEntries(keys.flatMap((key) => this.#setting(key, fields[key], at(key)))),
      app: app === undefined ? undefined : this.#app(app, at("app")),
      applications: applications === undefined ? undefined : this.#applications(applications, at("applications")),
      env: env === undefined ? {} : this.#env(env, at("env")),
    };
  }

  /** The entry for the values of a level: none when nothing was given, or when it is wrong. */
  #setting(key: string, given: unknown, at: string): [SettingName, unknown][] {
    const name = fileSettings.get(key);
    if (given === undefined || name === undefined) return [];
    const setting: Setting<unknown> = settings[name];
    const value = this.#attempt(at, given, () => {
      const { folder } = this.#place;
      if (!Array.isArray(given)) return parseGiven(setting, placeText(setting, textOf(setting, given), folder));
      return parseGiven(
        setting,
        given.map((item) => textOf(setting, item)),
      );
    });
    return value === undefined ? [] : [[name, value]];
  }

  #app(given: unknown, at: string): string | undefined {
    return this.#attempt(at, given, () => {
      if (typeof given !== "string")
        throw new Error('expected a file\'s name as text, such as "app.ts" or "app.ts#admin"');
      return resolve(this.#place.folder, parseText(given));
    });
  }

  #applications(given: unknown, at: string): GroupApplication[] {
    const entries = Object.entries(this.#fields(given, at, 'files by mount point, as in { "/shop": "shop.ts" }'));
    if (isFields(given) && entries.length === 0) this.#report(at, "expected at least one application");
    const found = entries.flatMap(([mount, file]) => {
      const place = `${at}[${JSON.stringify(mount)}]`;
      const mountPoint = this.#attempt(place, mount, () => parseMountPoint(mount));
      const app = this.#app(file, place);
      return mountPoint === undefined || app === undefined ? [] : [{ mountPoint, app }];
    });
    const mounts = found.map(({ mountPoint }) => mountPoint);
    for (const mount of new Set(mounts.filter((mount, index) => mounts.indexOf(mount) !== index))) {
      this.#report(`${at}[${JSON.stringify(mount || "/")}]`, "it is there twice");
    }
    return found;
  }

  #env(given: unknown, at: string): Record<string, string> {
    const entries = Object.entries(this.#fields(given, at, "variables by name"));
    return Object.fromEntries(
      entries.flatMap(([name, value]) => {
        if (value === undefined) return [];
        const text = this.#attempt(`${at}.${name}`, value, () => parseVariable(name, value));
        return text === undefined ? [] : [[name, text]];
      }),
    );
  }

  #fields(value: unknown, at: string, expected: string): Fields {
    if (isFields(value)) return value;
    this.issues.push(`${at} ${show(value)}: expected ${expected}`);
    return {};
  }

  #attempt<Value>(at: string, given: unknown, parse: () => Value): Value | undefined {
    try {
      return parse();
    } catch (error) {
      this.issues.push(`${at} ${show(given)}: ${messageOf(error)}`);
      return undefined;
    }
  }

  #report(at: string, why: string): void {
    this.issues.push(`${at}: ${why}`);
  }
}

/** Checks the value that a configuration file exports. */
export function readConfigValue(value: unknown, place: FilePlace): ConfigFile {
  return new FileReader(place).read(value);
}
