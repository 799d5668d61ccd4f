// Those that Apache starts itself: a process for each request (CGI), and mod_fcgid's processes.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { nodeFile, type Ground } from "./ground.ts";
import type { Peer } from "./peers.ts";

function cgi(name: string, label: string, file: (ground: Ground) => Promise<string>, missing?: string): Peer {
  return {
    name,
    label,
    missing,
    modules: ["cgid"],
    start: async (ground) => ({
      config: `ScriptAlias /${name} "${await file(ground)}"
<Directory "${ground.dir}">
  Require all granted
</Directory>`,
    }),
  };
}

/** With `isWarm` the request goes to a daemon that the first one started. */
function tsgiCgi(name: string, label: string, app: string, isWarm = false): Peer {
  return {
    name,
    label,
    modules: ["cgid", "rewrite"],
    start: async (ground) => {
      const program = join(ground.product.dir, "bin", "tsgi-cgi");
      const args = `${isWarm ? "--warm " : ""}--cache-dir=${ground.product.cacheDir} --mount-point=/${name}`;
      const script = await ground.write(
        `${name}.cgi`,
        `#!/bin/sh\nexec ${program} ${args} ${ground.path(app)}\n`,
        0o755,
      );
      const config = await ground.tsgi("config", "cgi", ground.path(app), "--mount-point", `/${name}`);
      return { config: config.replaceAll(/"?\S*\/[\w-]+\.cgi"?$/gmu, `"${script}"`) };
    },
  };
}

/** The whole application in one file, and what V8 made of it beside it: read by a script of a few lines. */
async function cachedScript(ground: Ground, source: string): Promise<string> {
  const file = await ground.bundle(source, "cjs", true);
  const script = await ground.write(
    source.replace(/\.ts$/u, ".cached.cjs"),
    `#!${nodeFile}
const { existsSync, readFileSync, writeFileSync } = require("node:fs");
const { Script } = require("node:vm");
const filename = ${JSON.stringify(file)};
const cache = filename + ".cache";
const text = "(function (exports, require, module, __filename, __dirname) {" + readFileSync(filename, "utf8") + "\\n})";
const cachedData = existsSync(cache) ? readFileSync(cache) : undefined;
const script = new Script(text, { filename, cachedData });
script.runInThisContext()(exports, require, module, filename, __dirname);
if (cachedData === undefined || script.cachedDataRejected) {
  process.once("exit", () => writeFileSync(cache, script.createCachedData()));
}
`,
    0o755,
  );
  await ground.give("."); // the first request writes the cache
  return script;
}

function fcgid(name: string, label: string, file: (ground: Ground) => Promise<string>, missing?: string): Peer {
  return {
    name,
    label,
    missing,
    modules: ["fcgid"],
    start: async (ground) => {
      const program = await file(ground);
      return {
        config: `Alias /${name} "${program}"
<Directory "${ground.dir}">
  Require all granted
  <Files "${program.slice(program.lastIndexOf("/") + 1)}">
    Options +ExecCGI
    SetHandler fcgid-script
  </Files>
</Directory>`,
      };
    },
  };
}

const fcgidTsgi: Peer = {
  name: "fcgid-tsgi",
  label: "tsgi, mod_fcgid",
  modules: ["fcgid", "rewrite"],
  start: async (ground) => ({
    config: await ground.tsgi(
      "config",
      "fcgid",
      ground.path("hello.ts"),
      "--mount-point=/fcgid-tsgi",
      `--cache-dir=${ground.product.cacheDir}`,
    ),
  }),
};

export function cgiPeers(compiler: string | undefined, libfcgi: string | undefined): Peer[] {
  const needs = (file: string, what: string): string | undefined => (existsSync(file) ? undefined : what);
  return [
    fcgidTsgi,
    fcgid(
      "fcgid-c",
      "C, libfcgi, mod_fcgid",
      (ground) => ground.compile("libfcgi.c", ["-lfcgi", "-lpthread"]),
      libfcgi,
    ),
    tsgiCgi("cgi-tsgi", "tsgi, CGI", "hello.ts"),
    tsgiCgi("cgi-tsgi-warm", "tsgi, warm CGI", "hello.ts", true),
    cgi("cgi-c", "C, CGI", (ground) => ground.compile("cgi-hello.c"), compiler),
    cgi("cgi-sh", "sh, CGI", (ground) => ground.copy("cgi-hello.sh", 0o755)),
    cgi("cgi-perl", "Perl, CGI", (ground) => ground.copy("cgi-hello.pl", 0o755), needs("/usr/bin/perl", "perl")),
    cgi(
      "cgi-python",
      "Python wsgiref, CGI",
      (ground) => ground.copy("cgi-hello.py", 0o755),
      needs("/usr/bin/python3", "python3"),
    ),
    cgi("cgi-node", "bare Node, CGI", (ground) => ground.bundle("cgi-node.ts", "cjs")),
    tsgiCgi("cgi-tsgi-express", "tsgi, Express, CGI", "express-app.ts"),
    tsgiCgi("cgi-tsgi-express-warm", "tsgi, Express, warm CGI", "express-app.ts", true),
    cgi("cgi-express", "Express, require, CGI", (ground) => ground.bundle("cgi-express.ts", "cjs")),
    cgi("cgi-express-cached", "Express, bundle and code cache, CGI", (ground) =>
      cachedScript(ground, "cgi-express.ts"),
    ),
  ];
}
