// What the server passes: every key of the environ, as PEP 3333 "environ Variables" and src/spec.ts have them.
// Rules: nothing is changed or made for the check alone, and every fault is reported, not only the first.

import type { Environ } from "../../spec.ts";
import type { Report } from "./rules.ts";

const required = [
  "REQUEST_METHOD",
  "SCRIPT_NAME",
  "PATH_INFO",
  "QUERY_STRING",
  "SERVER_NAME",
  "SERVER_PORT",
  "SERVER_PROTOCOL",
] as const;

const inputMethods = ["read", "readline", "readlines", "lines", "stream", "text", "json", "bytes"] as const;
const errorMethods = ["write", "writelines", "flush"] as const;
const logMethods = ["trace", "debug", "info", "warn", "error", "fatal", "child"] as const;

function hasMethods(value: unknown, names: readonly (string | symbol)[]): boolean {
  if (typeof value !== "object" || value === null) return false;
  return names.every((name) => typeof (value as Record<string | symbol, unknown>)[name] === "function");
}

type Test = (value: unknown) => boolean;

const isBoolean: Test = (value) => typeof value === "boolean";
const isFunction: Test = (value) => typeof value === "function";

const wsgiKeys: Readonly<Record<string, readonly [test: Test, wanted: string]>> = {
  "wsgi.version": [(value) => Array.isArray(value) && value[0] === 1 && value[1] === 0, "[1, 0]"],
  "wsgi.url_scheme": [(value) => value === "http" || value === "https", '"http" or "https"'],
  "wsgi.input": [(value) => hasMethods(value, [...inputMethods, Symbol.asyncIterator]), "an InputStream"],
  "wsgi.errors": [(value) => hasMethods(value, errorMethods), "an ErrorStream"],
  "wsgi.file_wrapper": [isFunction, "a function"],
  "wsgi.multithread": [isBoolean, "a boolean"],
  "wsgi.multiprocess": [isBoolean, "a boolean"],
  "wsgi.run_once": [isBoolean, "a boolean"],
};

const tsgiKeys: Readonly<Record<string, readonly [test: Test, wanted: string]>> = {
  "tsgi.request_id": [(value) => typeof value === "string" && value !== "", "a string that is not empty"],
  "tsgi.signal": [(value) => value instanceof AbortSignal, "an AbortSignal"],
  "tsgi.log": [(value) => hasMethods(value, logMethods), "a logger"],
  "tsgi.transport": [(value) => value === "fastcgi" || value === "cgi" || value === "http", "fastcgi, cgi or http"],
  "tsgi.wait_until": [isFunction, "a function"],
  "tsgi.script": [(value) => typeof value === "string", "a string"],
};

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return value === null ? "null" : typeof value;
}

/** A value that the server makes when it is first asked for; most requests never ask. */
function isMadeLater(environ: Environ, name: string): boolean {
  return Object.getOwnPropertyDescriptor(environ, name)?.get !== undefined;
}

function checkTyped(environ: Environ, report: Report): void {
  for (const [rule, keys] of [
    ["environ-wsgi", wsgiKeys],
    ["environ-tsgi", tsgiKeys],
  ] as const) {
    for (const [name, [test, wanted]] of Object.entries(keys)) {
      if (isMadeLater(environ, name)) continue;
      const value = environ[name];
      if (!test(value)) report(rule, `${name} is ${shown(value)}, not ${wanted}`);
    }
  }
}

// eslint-disable-next-line no-control-regex -- every byte is allowed, and nothing beyond
const latin1 = /^[\0-\xff]*$/;

/** A name with a dot is an extension of somebody's, of any type. */
function checkStrings(environ: Environ, report: Report): void {
  for (const name of Object.keys(environ)) {
    if (name.includes(".") && !name.startsWith("tsgi.original.")) continue;
    const value = environ[name];
    if (typeof value !== "string") report("environ-string", `environ.${name} is ${shown(value)}, not a string`);
    else if (!latin1.test(value)) report("environ-string", `environ.${name} has a character beyond latin-1`);
  }
}

function checkPath(environ: Environ, report: Report): void {
  const { SCRIPT_NAME: mount, PATH_INFO: rest } = environ;
  if (typeof mount === "string" && (/^[^/]/.test(mount) || mount.endsWith("/"))) {
    report("environ-path", `SCRIPT_NAME is ${shown(mount)}: it is "" or begins, and does not end, with a slash`);
  }
  if (typeof rest === "string" && /^[^/]/.test(rest) && !(rest === "*" && environ.REQUEST_METHOD === "OPTIONS")) {
    report("environ-path", `PATH_INFO is ${shown(rest)}: it is "" or begins with a slash`);
  }
}

function checkHeaders(environ: Environ, report: Report): void {
  for (const name of ["HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_PROXY"]) {
    if (name in environ) report("environ-header", `environ has ${name}`);
  }
  const length = environ.CONTENT_LENGTH;
  if (typeof length === "string" && !/^[0-9]+$/.test(length)) {
    report("environ-length", `CONTENT_LENGTH is ${shown(length)}, not a number of bytes`);
  }
}

/** Reports what is wrong with an environ. False when it is no object at all. */
export function checkEnviron(environ: unknown, report: Report): environ is Environ {
  if (typeof environ !== "object" || environ === null) {
    report("environ-missing", `environ is ${shown(environ)}, not an object`);
    return false;
  }
  if (Object.getPrototypeOf(environ) !== null) report("environ-prototype", "environ has a prototype");
  const given = environ as Environ;
  for (const name of required) if (given[name] === undefined) report("environ-missing", `environ has no ${name}`);
  checkStrings(given, report);
  checkPath(given, report);
  checkHeaders(given, report);
  checkTyped(given, report);
  return true;
}
