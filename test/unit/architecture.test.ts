// The rings: which folder may import which. Imports point inwards only.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const src = fileURLToPath(new URL("../../src", import.meta.url));
const contract = ["spec", "errors"];
const pure = ["fastcgi", "gateway", "apache", "codes"];
const inner = [...contract, ...pure, "config", "adapters", "loader", "forms", "log", "metrics", "events", "tracing"];

/** What a file, or every file of a folder, may import beside its own folder. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  spec: [],
  errors: [],
  fastcgi: contract,
  gateway: contract,
  codes: [],
  apache: contract, // and config/address.ts, which is pure
  log: contract,
  config: [...contract, ...pure, "log"], // and adapters/names.ts, which is a list
  authorizer: [...contract, "gateway"],
  loader: [...contract, "gateway", "log", "adapters", "authorizer"],
  adapters: [...contract, "gateway", "log"],
  metrics: contract,
  events: [...contract, "metrics"],
  tracing: [...contract, "gateway"],
  forms: [...contract, "gateway"],
  "node-fastcgi": [...contract, "fastcgi"],
  server: [...inner, "node-fastcgi"],
  supervisor: [...inner, "server"],
  doctor: [...inner, "server"],
  account: [...inner, "server"],
  cli: [...inner, "server", "supervisor", "account", "doctor"],
  index: [...inner, "server"],
};
const nodeModules: Readonly<Record<string, readonly string[]>> = {
  spec: ["node:stream"],
  errors: [],
  fastcgi: [],
  gateway: ["node:stream"],
  codes: [],
  apache: ["node:crypto"], // a hash is a computation
};

const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
const ringOf = (file: string): string => file.split("/")[0]?.replace(/\.ts$/, "") ?? "";
const textOf = (file: string): string =>
  readFileSync(resolve(src, file), "utf8").replace(/^\s*(?:\/\/|\/?\*).*$/gm, "");

test.each(files)("%s imports only what its ring may", (file) => {
  const ring = ringOf(file);
  const found = [...textOf(file).matchAll(/(?:\bfrom|\bimport|\bimport\()\s*"([^"]+)"/g)].map(([, name = ""]) => name);
  const wrong = found.filter((name) => {
    if (!name.startsWith(".")) return nodeModules[ring] !== undefined && !nodeModules[ring].includes(name);
    const target = ringOf(relative(src, resolve(src, dirname(file), name)));
    if (ring === "apache" && name === "../config/address.ts") return false;
    if (ring === "config" && name === "../adapters/names.ts") return false;
    return !name.endsWith(".ts") || (target !== ring && allowed[ring]?.includes(target) !== true);
  });
  expect(wrong).toEqual([]);
});

const entries = new Set(["index.ts", "node-fastcgi.ts"]);

test.each(files.filter((file) => !entries.has(file)))("%s re-exports nothing and has no default export", (file) => {
  expect(textOf(file).match(/^export (?:type )?(?:\*|\{[^}]*\}) from |^export default /m)).toBeNull();
});

test.each(files.filter((file) => [...contract, ...pure].includes(ringOf(file))))(
  "%s has no clock, timer or process",
  (file) => {
    expect(
      textOf(file).match(/\b(?:process\.\w|set(?:Timeout|Interval|Immediate)\(|Date\.now|Math\.random|performance\.)/),
    ).toBeNull();
  },
);
