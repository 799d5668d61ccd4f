// `tsgi doctor`: why an application does not work behind Apache, one line for each cause with its remedy.

import type { Command } from "commander";
import { examine, programFolders } from "../doctor/doctor.ts";
import { errorLogFindings } from "../doctor/error-log.ts";
import type { Finding } from "../doctor/finding.ts";
import { findingLine, isTrouble, withoutRepeats } from "../doctor/finding.ts";
import { askProbe, probeFindings } from "../doctor/probe-check.ts";
import { probePaths } from "../doctor/probe.ts";
import { findSubject } from "../doctor/subject.ts";
import { urlFindings } from "../doctor/url-check.ts";
import { ConfigError } from "../errors.ts";

interface DoctorOptions {
  readonly url?: string;
  readonly probe?: string;
  readonly probeToken?: string;
  readonly errorLog?: string;
  readonly apacheConfig?: string;
  readonly apacheUser?: string;
  readonly httpd?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
  /** False with --no-load. */
  readonly load: boolean;
}

function isUrl(text: string): boolean {
  return /^https?:\/\//i.test(text);
}

function parseUrl(text: string): URL {
  if (!isUrl(text) || !URL.canParse(text))
    throw new ConfigError([`${JSON.stringify(text)}: expected http://host/path`]);
  return new URL(text);
}

async function folderFindings(
  folder: string,
  options: DoctorOptions,
): Promise<{ findings: Finding[]; names: readonly string[] }> {
  const { httpd, apacheConfig: configFile, apacheUser, load: isLoading } = options;
  const subject = await findSubject(folder, { httpd, configFile, apacheUser });
  const findings = await examine(subject, { isLoading });
  for (const inner of programFolders(subject)) {
    findings.push(...(await examine(await findSubject(inner, { httpd, configFile, apacheUser }), { isLoading })));
  }
  return { findings: withoutRepeats(findings), names: subject.names };
}

/** What is to be looked at: without any word, this folder. */
function targets(target: string | undefined, { url, errorLog }: DoctorOptions): { folder?: string; url?: URL } {
  if (target !== undefined && isUrl(target)) return { url: parseUrl(target) };
  const isNothingElse = url === undefined && errorLog === undefined;
  const folder = target ?? (isNothingElse ? "." : undefined);
  return { ...(folder === undefined ? {} : { folder }), ...(url === undefined ? {} : { url: parseUrl(url) }) };
}

/** What a probe says: one that is put there for a moment, or one that is there. undefined: none was asked for. */
async function probed(
  { probe, probeToken: token }: DoctorOptions,
  url: URL | undefined,
): Promise<Finding[] | undefined> {
  if (probe === undefined && token === undefined) return undefined;
  if (url === undefined) throw new ConfigError(["a probe needs --url with the address of its folder"]);
  if (probe !== undefined) return await probeFindings(probe, url);
  return token === undefined ? undefined : await askProbe(url, { token, paths: probePaths("") });
}

async function collect(target: string | undefined, options: DoctorOptions): Promise<Finding[]> {
  const { folder, url } = targets(target, options);
  const log = options.errorLog === undefined ? [] : errorLogFindings(options.errorLog);
  const byProbe = await probed(options, url);
  if (byProbe !== undefined) return [...byProbe, ...log];
  const { findings, names } =
    folder === undefined ? { findings: [], names: [] } : await folderFindings(folder, options);
  const overHttp = url === undefined ? [] : await urlFindings(url, names);
  return [...findings, ...overHttp, ...log];
}

function print(findings: readonly Finding[], { json, verbose }: DoctorOptions): void {
  const shown = findings.filter(({ severity }) => severity !== "ok" || verbose === true);
  const trouble = findings.filter(isTrouble);
  if (json === true) {
    process.stdout.write(
      `${JSON.stringify({ findings: shown, errors: trouble.filter(({ severity }) => severity === "error").length, warnings: trouble.filter(({ severity }) => severity === "warning").length }, undefined, 2)}\n`,
    );
    return;
  }
  for (const finding of shown) process.stdout.write(`${findingLine(finding)}\n`);
  if (trouble.length === 0) process.stdout.write("nothing wrong was found\n");
}

export function configure(command: Command): void {
  command
    .argument("[target]", "a folder, an application's file, or a URL (default: this folder)")
    .option("--url <url>", "ask this address too, as a visitor does")
    .option("--probe <dir>", "put a program into this folder for a moment, and ask it at --url what reaches it")
    .option("--probe-token <token>", "ask the probe that lies at the URL, with the token that it was made with")
    .option("--error-log <file>", "say what the lines of Apache's or suEXEC's log mean")
    .option("--apache-config <file>", "Apache's main file (default: of the Apache that runs, else the system's)")
    .option("--apache-user <name>", "whom Apache runs as, where its configuration does not tell")
    .option("--httpd <program>", "Apache's program")
    .option("--no-load", "do not load the application, which runs its code")
    .option("--json", "print JSON")
    .option("--verbose", "show what is fine, too")
    .addHelpText(
      "after",
      "\nExamples:\n  $ tsgi doctor ~/public_html\n  $ tsgi doctor ~/public_html --url https://example.org/\n  $ tsgi doctor --error-log /var/log/apache2/error.log\n  $ tsgi doctor --probe ~/public_html --url https://example.org/",
    )
    .action(async (target: string | undefined, options: DoctorOptions) => {
      const findings = await collect(target, options);
      print(findings, options);
      process.exitCode = findings.some(isTrouble) ? 1 : 0;
    });
}
