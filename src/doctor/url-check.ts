// A site as a visitor sees it: does it answer, with what, and what can be fetched that nobody should get.
// Rules: only GET; a file counts as open when the reply looks like that file and not like the page for any other name.

import { randomBytes } from "node:crypto";
import { basename } from "node:path";
import type { Finding, Severity } from "./finding.ts";
import { oneLine } from "./finding.ts";
import type { Reply } from "./http-ask.ts";
import { askUrl, pathUnder } from "./http-ask.ts";

const maxRedirects = 10;

const statusAdvice: Readonly<Record<number, readonly [meaning: string, remedy: string]>> = {
  401: ["a name and password are asked for", "nothing, if that is meant"],
  403: ["Apache denies it: Require, permissions of a folder, ExecCGI or links", "tsgi doctor DIR, or --error-log FILE"],
  404: [
    "Apache finds nothing there, or the application answers so, or its file is missing",
    "compare the URL with DocumentRoot and Alias",
  ],
  500: ["the program failed or could not be started, or .htaccess is wrong", "tsgi doctor DIR, or --error-log FILE"],
  502: ["what is behind a proxy answered with something else", "tsgi doctor --error-log FILE"],
  503: ["the daemon does not answer, or there is no free process", "tsgi status; tsgi doctor DIR"],
  504: ["the program took too long", "look into the program's log; raise the timeout"],
  508: ["the host's limit for processes or memory is reached", "fewer processes: one daemon in place of CGI"],
};

/** By name: what the content of the real file looks like. */
const sensitive: readonly (readonly [name: string, looks: RegExp, severity: Severity])[] = [
  [".env", /^\s*(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=/m, "error"],
  [".env.local", /^\s*(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=/m, "error"],
  [".env.production", /^\s*(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=/m, "error"],
  [".git/config", /^\s*\[core\]/m, "error"],
  [".git/HEAD", /^(?:ref: |[0-9a-f]{40})/, "error"],
  [".npmrc", /^\s*[\w@:/.-]+\s*=/m, "error"],
  [".htaccess", /^\s*(?:Options|Rewrite|AddHandler|SetHandler|<)/m, "note"],
  ["package.json", /^\s*\{[^]*"(?:name|dependencies|scripts|type)"\s*:/, "warning"],
  ["package-lock.json", /"lockfileVersion"/, "warning"],
  ["tsconfig.json", /"compilerOptions"|"extends"/, "warning"],
  ["node_modules/.package-lock.json", /"lockfileVersion"/, "warning"],
  ["node_modules/typescript/package.json", /"name"\s*:\s*"typescript"/, "warning"],
  ...["error.log", "error_log", "app.log", "access.log", "npm-debug.log", "logs/app.log", "log/app.log"].map(
    (name): readonly [string, RegExp, Severity] => [name, /\d{2}:\d{2}:\d{2}|"level"|Error/, "warning"],
  ),
  ...[
    "app.ts",
    "index.ts",
    "server.ts",
    "main.ts",
    "src/index.ts",
    "src/app.ts",
    "app.mts",
    "app.js",
    "server.js",
    "app.cgi",
    "app.fcgi",
    "index.cgi",
  ].map((name): readonly [string, RegExp, Severity] => [
    name,
    /^#!|\bexport (?:const|default|function|async)|\bimport .* from ["']|\brequire\(["']/m,
    "warning",
  ]),
];

function isHtml({ headers, body }: Reply): boolean {
  return /html/i.test(headers["content-type"] ?? "") || /^\s*<(?:!doctype|html)/i.test(body);
}

function looksLikeSource({ body, headers }: Reply): boolean {
  if (/html|json/i.test(headers["content-type"] ?? "")) return false;
  return (
    /^#!\s*\//.test(body) ||
    (/\bexport (?:const|default|function|async function) /.test(body) &&
      /application|startResponse|express|import /.test(body))
  );
}

function frontFindings(url: string, reply: Reply): Finding[] {
  const [meaning, remedy] = statusAdvice[reply.status] ?? [];
  const found: Finding[] = [];
  const isApaches = isHtml(reply) && /<address>Apache|<title>\d{3} /i.test(reply.body);
  if (meaning !== undefined && (reply.status !== 404 || isApaches)) {
    const severity = reply.status === 401 ? "note" : "error";
    const id = /request[ -]id[^A-Za-z0-9]{1,40}([\w-]{6,40})/i.exec(reply.body.replace(/<[^>]+>/g, " "))?.[1];
    const trace = id === undefined ? "" : ` (request id ${id}: the log has the reason)`;
    found.push({
      code: "TSGI3564",
      severity,
      place: url,
      message: `the answer is ${reply.status}: ${meaning}${trace}`,
      remedy: remedy ?? "",
    });
  }
  if (looksLikeSource(reply)) {
    found.push({
      code: "TSGI3565",
      severity: "error",
      place: url,
      message: "the program's source is sent as text: no handler runs it",
      remedy: "AddHandler cgi-script .cgi (or fcgid-script .fcgi), and load the module for it",
    });
  }
  if (/<title>Index of /i.test(reply.body)) {
    found.push({
      code: "TSGI3567",
      severity: "warning",
      place: url,
      message: "the list of the folder's files is shown",
      remedy: "Options -Indexes, and DirectoryIndex or rules that lead to the application",
    });
  }
  if (reply.status >= 500 && /\n\s+at .*(?:file:\/\/|\.[cm]?[jt]s:\d+)/.test(reply.body)) {
    found.push({
      code: "TSGI3576",
      severity: "warning",
      place: url,
      message: "the error page shows places in the sources to every visitor",
      remedy: "switch debugging off (--debug, NODE_ENV=production)",
    });
  }
  return found;
}

function nextUrl(url: URL, { status, headers }: Reply): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(status) || headers.location === undefined) return undefined;
  try {
    return new URL(headers.location, url);
  } catch {
    return undefined; // no URL
  }
}

interface Front {
  readonly findings: readonly Finding[];
  readonly isReached: boolean;
}

async function front(start: URL): Promise<Front> {
  let url = start;
  const seen = new Set<string>();
  for (let count = 0; count <= maxRedirects && !seen.has(url.href); count += 1) {
    seen.add(url.href);
    const reply = await askUrl(url, url.pathname + url.search);
    if ("problem" in reply) {
      const message = `it cannot be reached: ${oneLine(reply.problem)}`;
      return {
        isReached: false,
        findings: [
          {
            code: "TSGI3563",
            severity: "error",
            place: url.href,
            message,
            remedy: "compare host and port with Listen and ServerName; is Apache running?",
          },
        ],
      };
    }
    const next = nextUrl(url, reply);
    if (next === undefined) return { isReached: true, findings: frontFindings(url.href, reply) };
    // Another site is not ours to look at.
    if (next.hostname !== start.hostname || !/^https?:$/.test(next.protocol)) return { isReached: true, findings: [] };
    url = next;
  }
  const message = `redirects lead in a circle (the last one to ${url.href})`;
  return {
    isReached: true,
    findings: [
      {
        code: "TSGI3566",
        severity: "error",
        place: start.href,
        message,
        remedy: "mend the Redirect or RewriteRule with R, or the redirect in the application",
      },
    ],
  };
}

async function leaks(url: URL, names: readonly string[], other: Reply | undefined): Promise<Finding[]> {
  const known = new Map(sensitive.map((entry) => [entry[0], entry]));
  const own = names
    .filter((name) => !known.has(name))
    .map((name): (typeof sensitive)[number] => [name, /^/, /^\.|\.env|\.git/.test(name) ? "error" : "warning"]);
  const found: Finding[] = [];
  for (const [name, looks, severity] of [...known.values(), ...own]) {
    const path = pathUnder(url, name.split("/").map(encodeURIComponent).join("/"));
    const reply = await askUrl(url, path, { deadlineMs: 5_000 });
    if ("problem" in reply || reply.status !== 200 || isHtml(reply) || !looks.test(reply.body)) continue;
    if (other !== undefined && other.status === 200 && other.body === reply.body) continue;
    // An application may well answer such a path with something of its own.
    if (
      /\.[cm]?[jt]s$|\.f?cgi$/.test(name) &&
      !looksLikeSource(reply) &&
      !reply.body.startsWith("#!") &&
      !known.has(name)
    )
      continue;
    const message = `visitors can fetch ${basename(name)} (200, ${reply.body.length} bytes)`;
    found.push({
      code: "TSGI3551",
      severity,
      place: `${url.origin}${path}`,
      message,
      remedy: "move it out of the folder that Apache serves, or deny it as `tsgi config htaccess-cgi` does",
    });
  }
  return found;
}

/** Apache's own 404 for %2F, where the same path without it comes through. */
async function slashes(url: URL, plain: Reply | undefined): Promise<Finding[]> {
  const reply = await askUrl(url, pathUnder(url, "tsgi%2Fdoctor"));
  if (plain === undefined || "problem" in reply || reply.status !== 404) return [];
  const isApaches = (one: Reply): boolean =>
    one.status === 404 && /<address>Apache|The requested URL was not found on this server/.test(one.body);
  if (!isApaches(reply) || isApaches(plain)) return [];
  const message = "a path with %2F is answered with 404 before the program sees it";
  return [
    {
      code: "TSGI3546",
      severity: "note",
      place: url.href,
      message,
      remedy: "AllowEncodedSlashes NoDecode in the server's configuration; .htaccess cannot",
    },
  ];
}

/** `names` are files that are known to lie in the folder behind the URL. */
export async function urlFindings(url: URL, names: readonly string[] = []): Promise<Finding[]> {
  const { findings, isReached } = await front(url);
  if (!isReached) return [...findings];
  const reply = await askUrl(url, pathUnder(url, `tsgi-doctor-${randomBytes(4).toString("hex")}`));
  const other = "problem" in reply ? undefined : reply;
  return [...findings, ...(await leaks(url, names, other)), ...(await slashes(url, other))];
}
