// What visitors could fetch that is not for them: sources, secrets, packages, logs. By the configuration, without a request.
// Rules: a file counts as open only when the rules of mod_rewrite leave it alone for certain, nothing denies it, and nothing runs it.

import { join } from "node:path";
import { statusOf } from "./access.ts";
import { fileSetup } from "./file-setup.ts";
import type { Finding } from "./finding.ts";
import { followRules } from "./rewrite.ts";
import { expression } from "./setup.ts";
import type { Subject } from "./subject.ts";

const secret =
  /^(?:\.env(?:\..*)?|.*\.env|\.git|\.svn|\.hg|\.npmrc|\.ssh|id_[a-z0-9]+|.*\.pem|.*\.key|.*\.sqlite3?|.*\.sql)$/i;
const inner =
  /^(?:node_modules|package(?:-lock)?\.json|yarn\.lock|pnpm-lock\.yaml|[jt]sconfig.*\.json|Dockerfile|.*\.log|.*~|.*\.(?:bak|old|orig|swp)|.*\.[cm]?tsx?)$/i;

/** A file in a folder that nobody should get, to try the way to it. */
function sampleIn(folder: string, name: string): string {
  const samples: Record<string, string> = { ".git": ".git/config", node_modules: "node_modules/.package-lock.json" };
  return statusOf(join(folder, name))?.isDirectory() === true ? (samples[name] ?? `${name}/x`) : name;
}

function isDenied(name: string, path: string, { setup, folder }: Subject): boolean {
  if (fileSetup(setup, path.split("/").at(-1) ?? "").isDenied.value) return true;
  const sections = (setup.place?.scopes ?? []).flat();
  const full = join(folder, path);
  const byFolder = sections.some((one) => {
    const lower = one.name.toLowerCase();
    const isMatch =
      lower === "directorymatch" && expression(one.args[0] ?? "")?.test(`${join(folder, name)}/`) === true;
    const isNamed = lower === "directory" && one.args[0]?.replace(/\/+$/, "") === join(folder, name);
    const isDenying = (one.children ?? []).some(
      ({ name: word, args }) => /^require$/i.test(word) && args.join(" ").toLowerCase() === "all denied",
    );
    return (isMatch || (isNamed && full !== join(folder, name))) && isDenying;
  });
  const byAlias = sections
    .concat(setup.layers.flatMap(({ directives }) => directives))
    .some(
      ({ name: word, args }) =>
        /^redirectmatch$/i.test(word) &&
        /^(?:403|404|410|gone)$/i.test(args[0] ?? "") &&
        expression(args[1] ?? "")?.test(`${setup.place?.urlPath ?? ""}/${path}`) === true,
    );
  return byFolder || byAlias;
}

function isOpen(name: string, subject: Subject): boolean {
  const { folder, setup, own } = subject;
  const path = sampleIn(folder, name);
  const outcome = followRules(own.rewrite, { folder, urlPath: setup.place?.urlPath ?? "", path });
  if (outcome.kind !== "stays" || isDenied(name, path, subject)) return false;
  const handler = fileSetup(setup, path.split("/").at(-1) ?? "").handler?.value;
  return handler === undefined || handler === "default-handler";
}

/** `<If>` may deny what is looked at here; then nothing is claimed. */
function hasCondition({ setup }: Subject): boolean {
  return setup.layers.some(({ directives }) => directives.some(({ name }) => /^if$/i.test(name)));
}

export function leakFindings(subject: Subject): Finding[] {
  const { folder, names, setup } = subject;
  const isServed = setup.place !== undefined || setup.htaccess.some(({ file }) => file === join(folder, ".htaccess"));
  if (!isServed || hasCondition(subject)) return [];
  const open = names.filter((name) => (secret.test(name) || inner.test(name)) && isOpen(name, subject));
  return open.slice(0, 20).map((name) => ({
    code: "TSGI3550",
    severity: secret.test(name) ? "error" : "warning",
    place: join(folder, name),
    message: "visitors can fetch it: nothing keeps Apache from sending it",
    remedy: "move it out of the folder that Apache serves, or use the rules of `tsgi config htaccess-cgi`",
  }));
}
