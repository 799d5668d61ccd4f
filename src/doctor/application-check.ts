// Whether the application can be loaded: by `tsgi check` in a process of its own, with a deadline.
// Rules: as the user whom programs run as, when root asks; what is compiled goes into a temporary folder that is removed.

import { shellWord } from "../apache/htaccess.ts";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { programsDir } from "../server/httpd/programs.ts";
import { accountOf, bits, linkStatusOf, obstacleTo, statusOf, textOf } from "./access.ts";
import type { Finding } from "./finding.ts";
import { oneLine } from "./finding.ts";
import type { Ran } from "./run.ts";
import { mayRun, run } from "./run.ts";
import type { Subject } from "./subject.ts";

const deadlineMs = 20_000;

interface Cause {
  readonly code: string;
  readonly pattern: RegExp;
  readonly remedy: (folder: string) => string;
}

/** Nearest cause first; the code that the loader itself gives is used where none of them matches. */
const causes: readonly Cause[] = [
  {
    code: "TSGI3521",
    pattern: /EACCES|permission denied/i,
    remedy: () => "let the user that programs run as read every file of it, node_modules too: chmod -R o+rX FOLDER",
  },
  {
    code: "TSGI3572",
    pattern: /tsconfig[^:\s]*\.json|Cannot find (?:base config|tsconfig)/i,
    remedy: () => "mend the tsconfig file: it must be JSON, and what it extends must be there",
  },
  {
    code: "TSGI3570",
    pattern:
      /cannot find (?:package|module) ["'](?![./])|Could not resolve "(?![./])|ERR_MODULE_NOT_FOUND.*node_modules/i,
    remedy: (folder) => `npm install, in ${shellWord(folder)}`,
  },
  {
    code: "TSGI3571",
    pattern:
      /(?:require|module|exports|__dirname|__filename) is not defined|Cannot use import statement|ERR_REQUIRE_ESM|require\(\) of ES Module|does not provide an export named|ERR_REQUIRE_ASYNC_MODULE|Unexpected token 'export'|top-level await.*"cjs"/i,
    remedy: () =>
      'import and export in files of "type": "module" (or .mts), require and module.exports in .cts: not both in one',
  },
];

const remedies: Readonly<Record<string, string>> = {
  TSGI3001: "mend the path of the application",
  TSGI3002: "export it as `application`, or name the export: app.ts#name",
  TSGI3003: "run `tsgi check FILE` as the user that programs run as, and mend the first place that it names",
  TSGI3004: "mend the place; `tsgi check FILE` tells whether it compiles",
  TSGI3005: "take the permission to write from others: chmod o-w FILE",
  TSGI3006: "make room, or name a folder of that user's own with --cache-dir",
};

function judged(reference: string, { code, stdout, stderr, isLate }: Ran): Finding[] {
  const file = reference.replace(/#[^/]*$/, "");
  if (isLate) {
    const message = `loading it takes longer than ${deadlineMs / 1000} s`;
    return [
      {
        code: "TSGI3573",
        severity: "error",
        place: file,
        message,
        remedy: "let nothing wait at the top level: connect to databases in the first request",
      },
    ];
  }
  if (code === 0)
    return [
      { code: "TSGI3575", severity: "ok", place: file, message: oneLine(stdout.replace(`${file}: `, "")), remedy: "" },
    ];
  const text = oneLine(stderr.replace(/^tsgi: /, ""), 400) || "`tsgi check` failed without a word";
  const own = /\[(TSGI\d{4})\]/.exec(stderr)?.[1];
  const cause =
    own === "TSGI3001" || own === "TSGI3002" ? undefined : causes.find(({ pattern }) => pattern.test(stderr));
  const found = cause?.code ?? own ?? "TSGI3003";
  const remedy = cause?.remedy(dirname(file)) ?? remedies[found] ?? `tsgi explain ${found}`;
  return [
    { code: found, severity: "error", place: file, message: `the application cannot be loaded: ${text}`, remedy },
  ];
}

/** Loads `reference` ("file" or "file#export") as programs do. */
export async function loadFindings(
  reference: string,
  { runner, folder }: Pick<Subject, "runner" | "folder">,
): Promise<Finding[]> {
  const isRoot = process.getuid?.() === 0;
  const owner = linkStatusOf(folder);
  const account = runner ?? (owner === undefined ? undefined : accountOf(owner.uid, owner.gid));
  if (!mayRun(account)) {
    return [
      {
        code: "TSGI3549",
        severity: "note",
        place: reference,
        message: "it was not loaded: that would run its code as root",
        remedy: "run this as another user",
      },
    ];
  }
  // That it cannot be read has been said of its program.
  if (runner !== undefined && obstacleTo(reference.replace(/#[^/]*$/, ""), runner, bits.read) !== undefined) return [];
  const cache = await mkdtemp(join(tmpdir(), "tsgi-doctor-"));
  try {
    if (isRoot && account !== undefined) await chown(cache, account.uid, account.gid);
    const args = [join(programsDir, "tsgi"), "check", reference, "--no-request", "--cache-dir", cache];
    const env = { PATH: process.env["PATH"] ?? "", LANG: "C", TMPDIR: cache, NO_COLOR: "1" };
    return judged(reference, await run(process.execPath, args, { account, env, cwd: dirname(reference), deadlineMs }));
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
}

const usual = /^(?:app|index|main|server|application)\.[cm]?[jt]sx?$/;

/** The application that was named, or what a folder without programs may hold as its own. */
export function usualApplication({ folder, names, programs, application }: Subject): string | undefined {
  if (application !== undefined) return application;
  if (programs.length > 0) return undefined;
  const name = names.find((one) => usual.test(one) && statusOf(join(folder, one))?.isFile() === true);
  if (name !== undefined) return join(folder, name);
  const main = /"main"\s*:\s*"([^"]+)"/.exec(textOf(join(folder, "package.json")) ?? "")?.[1];
  return main !== undefined && usual.test(basename(main)) ? join(folder, main) : undefined;
}
