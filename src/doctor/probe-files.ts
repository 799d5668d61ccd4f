// The files of the probe: a small program that says what the server gives it, for CGI and for mod_fcgid.
// Rules: it answers only to its token, of which it knows no more than the hash, and to nobody after ten minutes; it changes nothing. What it
// starts in the background ends by itself.

import { createHash } from "node:crypto";
import { dirname, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { shellWord } from "../apache/htaccess.ts";

export const probeLifeMs = 600_000;

export const probeNames = {
  htaccess: ".htaccess",
  program: "probe.mjs",
  cgi: "probe.cgi",
  fcgid: "probe.fcgi",
} as const;

const fastcgi = pathToFileURL(resolve(fileURLToPath(new URL("../..", import.meta.url)), "dist/node-fastcgi.js")).href;

const program = String.raw`import { spawn } from "node:child_process";
import { createHash, timingSafeEqual } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";

const tokenHash = Buffer.from("TOKEN_HASH", "hex");
const expiresAt = EXPIRES_AT;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function isAllowed(variables) {
  const given = createHash("sha256").update(variables.HTTP_X_TSGI_PROBE ?? "").digest();
  return Date.now() < expiresAt && timingSafeEqual(given, tokenHash);
}

function facts(variables) {
  return {
    node: process.version, uid: process.geteuid(), gid: process.getegid(), cwd: process.cwd(), path: process.env.PATH,
    authorization: variables.HTTP_AUTHORIZATION ?? variables.REDIRECT_HTTP_AUTHORIZATION ?? null,
    pathInfo: variables.PATH_INFO ?? null, requestUri: variables.REQUEST_URI ?? null, software: variables.SERVER_SOFTWARE ?? null,
    limits: existsSync("/proc/self/limits") ? readFileSync("/proc/self/limits", "utf8") : null,
  };
}

function background() {
  const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 20000)", "tsgi-probe-background"], { detached: true, stdio: "ignore" });
  child.unref();
  return { pid: child.pid };
}

function isOurs(pid) {
  try {
    process.kill(pid, 0);
    return !existsSync("/proc/self/cmdline") || readFileSync("/proc/" + pid + "/cmdline", "latin1").includes("tsgi-probe-background");
  } catch {
    return false;
  }
}

async function answer(variables, input, begin, write) {
  const query = new URLSearchParams(variables.QUERY_STRING ?? "");
  let received = 0;
  for await (const chunk of input) received += chunk.length;
  if (!isAllowed(variables)) {
    begin(404);
    return;
  }
  begin(200);
  const pid = Number(query.get("pid"));
  switch (query.get("ask")) {
    case "facts":
      write(JSON.stringify(facts(variables)));
      return;
    case "length":
      write(JSON.stringify({ received }));
      return;
    case "stream":
      for (let count = 0; count < 4; count += 1) {
        write("piece " + count + "\n");
        if (count < 3) await pause(500);
      }
      return;
    case "start":
      write(JSON.stringify(background()));
      return;
    case "alive":
      write(JSON.stringify({ isAlive: isOurs(pid) }));
      return;
    case "end":
      if (isOurs(pid)) process.kill(pid, "SIGKILL");
      write("{}");
  }
}

const type = "text/plain; charset=utf-8";
if (process.argv[2] === "cgi") {
  const begin = (status) => process.stdout.write("Status: " + status + "\r\nContent-Type: " + type + "\r\nCache-Control: no-store\r\n\r\n");
  await answer(process.env, process.stdin, begin, (text) => process.stdout.write(text));
} else {
  const { default: fcgi } = await import("FASTCGI_MODULE");
  const server = fcgi.createServer(async (req, res) => {
    const begin = (status) => res.writeHead(status, { "Content-Type": type, "Cache-Control": "no-store" });
    try {
      await answer(req.cgiParams, req, begin, (text) => res.write(text));
    } finally {
      res.end();
    }
  });
  server.listen();
  setTimeout(() => process.exit(), Math.max(0, expiresAt - Date.now())).unref();
}
`;

const htaccess = `# A probe of tsgi doctor: it is gone in a moment. Remove this folder if it is not.
Options +ExecCGI
<IfModule mod_rewrite.c>
  RewriteEngine Off
</IfModule>
<Files "${probeNames.cgi}">
  SetHandler cgi-script
</Files>
<Files "${probeNames.fcgid}">
  SetHandler fcgid-script
</Files>
`;

export interface ProbeFile {
  readonly name: string;
  readonly text: string;
  readonly mode: number;
}

export function probeFiles(folder: string, token: string, now: number): ProbeFile[] {
  const hash = createHash("sha256").update(token).digest("hex");
  const text = program
    .replace("TOKEN_HASH", hash)
    .replace("EXPIRES_AT", String(now + probeLifeMs))
    .replace("FASTCGI_MODULE", fastcgi);
  const wrapper = (kind: "cgi" | "fcgid"): string =>
    [
      "#!/bin/sh",
      `PATH=${shellWord(dirname(process.execPath))}:$PATH`,
      "export PATH",
      `exec node ${shellWord(resolve(folder, probeNames.program))} ${kind}`,
      "",
    ].join("\n");
  return [
    { name: probeNames.program, text, mode: 0o644 },
    { name: probeNames.cgi, text: wrapper("cgi"), mode: 0o755 },
    { name: probeNames.fcgid, text: wrapper("fcgid"), mode: 0o755 },
    { name: probeNames.htaccess, text: htaccess, mode: 0o644 },
  ];
}
