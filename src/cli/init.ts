// `tsgi init`: makes a folder of an account at a host serve an application, and `--remove` undoes it.
// Rules: an .htaccess file that is there is changed only after its diff was shown and somebody agreed, on the terminal or
// with --yes; without either, nothing changes and the exit code is 1.

import { statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import type { FileChange } from "../account/change.ts";
import { applyChanges, diffOf } from "../account/change.ts";
import type { Layout } from "../account/layout.ts";
import { layoutOf, readPlaced, servedFolder } from "../account/layout.ts";
import { homeOf, likelyMountPoint, ownershipNotes } from "../account/owner.ts";
import type { Plan } from "../account/plan.ts";
import { foreignText, newFileMode, planInit, planRemove } from "../account/plan.ts";
import { placeOfSources } from "../account/sources.ts";
import type { ChosenTransport } from "../account/transport.ts";
import { chooseTransport, knownModules } from "../account/transport.ts";
import { wrapperText } from "../account/wrapper.ts";
import { fronts } from "../apache/htaccess.ts";
import type { SourcePlace } from "../apache/account.ts";
import { transports } from "../apache/account.ts";
import { shellWord } from "../apache/htaccess.ts";
import { programArguments, referenceText } from "../apache/site.ts";
import { formatListenAddress } from "../config/address.ts";
import type { Config, SettingName } from "../config/settings.ts";
import { BootError, ConfigError } from "../errors.ts";
import { findScriptFile, parseAppReference } from "../loader/load.ts";
import { programsDir } from "../server/httpd/programs.ts";
import { addSettings, readSettings } from "./options.ts";

const names = ["mountPoint", "listen", "cacheDir", "adapter"] as const satisfies readonly SettingName[];
const wantedTransports = ["auto", ...transports] as const;

interface InitFlags {
  readonly app?: string;
  readonly transport: string;
  readonly node?: string;
  readonly remove?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly uploadKit?: string;
}

type Target = { readonly kind: "application"; readonly file: string; readonly exportName: string | undefined };

function print(...lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}

/** The application that the command line names, else that of the last time. */
function readTarget(app: string | undefined, known: string | undefined): Target {
  const given = app ?? known;
  if (given === undefined) throw new ConfigError(["name the application with --app: file.ts or file.ts#export"]);
  const { file, exportName } = parseAppReference(given, process.cwd());
  return { kind: "application", file: findScriptFile(file), exportName };
}

/** On a terminal asks for a yes; false where nobody can be asked. */
async function agreed(question: string): Promise<boolean> {
  const { stdin, stdout } = process;
  if (!stdin.isTTY || !stdout.isTTY) return false;
  const asking = createInterface({ input: stdin, output: stdout });
  try {
    // Nobody but this person waits for the answer: there is no deadline.
    return /^y(es)?$/i.test((await asking.question(`${question} [y/N] `)).trim());
  } finally {
    asking.close();
  }
}

/** Whether a change needs somebody's word: it touches lines that are not ours, or that somebody made his own. */
function needsConsent({ changes, edited }: Plan, isRemoval: boolean): boolean {
  const touches = ({ path, before }: FileChange): boolean => before !== undefined && path.endsWith("/.htaccess");
  return edited.length > 0 || (!isRemoval && changes.some(touches));
}

/** Shows the plan and carries it out. Gives undefined when all was done, else the exit code. */
async function carryOut(plan: Plan, flags: InitFlags): Promise<number | undefined> {
  const isRemoval = flags.remove === true;
  for (const part of plan.edited)
    print(`tsgi: ${part} were edited by hand: that is lost`.replace(/^(tsgi: \/.*) were/, "$1 was"));
  const mustAsk = needsConsent(plan, isRemoval);
  if (mustAsk || flags.dryRun === true) for (const change of plan.changes) print(diffOf(change).trimEnd(), "");
  if (flags.dryRun === true) {
    print("tsgi: nothing was changed, since --dry-run was given");
    return 0;
  }
  if (mustAsk && flags.yes !== true && !(await agreed("Make these changes?"))) {
    print("tsgi: nothing was changed: run it again with --yes to make these changes");
    return 1;
  }
  applyChanges(plan.changes);
  return undefined;
}

function listChanges(changes: readonly FileChange[]): string[] {
  return changes.map(({ path, before, after, mode }) => {
    if (after === undefined) return `  removed:    ${path}`;
    return `  ${before === undefined ? "wrote:  " : "changed:"}    ${path} (mode 0${mode.toString(8)})`;
  });
}

const sourceLines: Readonly<Record<SourcePlace["kind"], string>> = {
  outside: "outside this folder, which is the safest place",
  below: "in a folder of their own, of which nothing is sent",
  here:
    "in the served folder. Browsers get what is in public/, static/, css/, images/, img/ and fonts/, pages and images of the " +
    "folder itself, and nothing else. Safer: move the application to a folder that is not served",
};

interface Described {
  readonly layout: Layout;
  readonly target: Target;
  readonly chosen: ChosenTransport;
  readonly sources: SourcePlace;
  readonly plan: Plan;
  readonly config: Config;
  readonly mountPoint: string;
}

function daemonLines({ target, config, layout, mountPoint }: Described): string[] {
  const listen = formatListenAddress(config.listen ?? defaultListen(layout.folder));
  const words = ["daemon", referenceText(target), "--listen", listen, "--mount-point", mountPoint || "/"];
  if (listen.startsWith("unix:")) words.push("--socket-mode", "0666");
  return [
    "  keep this running, under this account; Apache's user must be able to open the socket:",
    `    ${[join(programsDir, "tsgi"), ...words].map(shellWord).join(" ")}`,
  ];
}

function report(described: Described): string[] {
  const { layout, chosen, sources, plan, mountPoint } = described;
  const notes = [
    ...ownershipNotes(layout.folder),
    ...plan.notes,
    ...(chosen.warning === undefined ? [] : [chosen.warning]),
  ];
  return [
    ...listChanges(plan.changes),
    `  transport:  ${chosen.transport}, since ${chosen.why}`,
    `  sources:    ${sourceLines[sources.kind]}`,
    ...notes.map((note) => `  note:       ${note}`),
    ...(chosen.transport === "proxy" ? daemonLines(described) : []),
    `  try:        ${mountPoint}/ (the URL path of this folder${mountPoint === "" ? ", if it is a site of its own" : ""})`,
    `  next:       tsgi doctor ${shellWord(layout.folder)}`,
  ];
}

function defaultListen(folder: string): NonNullable<Config["listen"]> {
  return { kind: "unix", path: join(dirname(folder), "tsgi.sock") };
}

async function describe(folder: string, flags: InitFlags, config: Config): Promise<Described> {
  const wanted = wantedTransports.find((name) => name === flags.transport);
  if (wanted === undefined) {
    const given = JSON.stringify(flags.transport);
    throw new ConfigError([`--transport ${given}: expected one of ${wantedTransports.join(", ")}`]);
  }
  const layout = layoutOf(folder);
  const target = readTarget(flags.app, layout.block?.facts.app);
  const chosen = chooseTransport(wanted, await knownModules(process.env["PATH"] ?? ""));
  const { transport } = chosen;
  const sources = await placeOfSources(target.file, folder);
  const mountPoint = config.mountPoint ?? likelyMountPoint(folder);
  const site = { target, mountPoint: config.mountPoint ?? "", documentRoot: undefined, adapter: config.adapter };
  const wrapper =
    transport === "proxy"
      ? undefined
      : wrapperText({
          transport,
          node: flags.node ?? process.execPath,
          programs: programsDir,
          args: programArguments(site, config.cacheDir === undefined ? undefined : resolve(config.cacheDir)),
          workingFolder: dirname(target.file),
          home: homeOf(statSync(folder).uid),
        });
  const listen = config.listen ?? defaultListen(folder);
  const app = referenceText(target);
  const plan = planInit(layout, { app, transport, sources, wrapper, listen, mountPoint });
  return { layout, target, chosen, sources, plan, config, mountPoint };
}

async function init(folder: string, flags: InitFlags, config: Config): Promise<number> {
  const described = await describe(folder, flags, config);
  const { plan, target } = described;
  if (plan.changes.length === 0) {
    print(`tsgi: ${folder} already serves ${referenceText(target)}: nothing to change`, ...report(described));
    return 0;
  }
  const ended = await carryOut(plan, flags);
  if (ended !== undefined) return ended;
  print(`tsgi: ${folder} serves ${referenceText(target)}`, ...report(described));
  return 0;
}

async function remove(folder: string, flags: InitFlags): Promise<number> {
  const plan = planRemove(layoutOf(folder));
  if (plan.changes.length === 0) {
    print(`tsgi: there is nothing of tsgi init in ${folder}`);
    return 0;
  }
  const ended = await carryOut(plan, flags);
  if (ended !== undefined) return ended;
  print(`tsgi: ${folder} is as it was before tsgi init`, ...listChanges(plan.changes));
  return 0;
}

async function uploadKit(out: string, dir: string | undefined, flags: InitFlags, config: Config): Promise<number> {
  if (flags.transport !== "auto" && flags.transport !== "cgi") {
    throw new ConfigError([`--transport ${flags.transport}: an upload kit is for CGI`]);
  }
  const path = resolve(out);
  const placed = readPlaced(path);
  if (placed !== undefined && flags.yes !== true) {
    throw new BootError(`${path} is there already: remove it, or write over it with --yes`);
  }
  const layout = dir === undefined ? undefined : layoutOf(servedFolder(resolve(dir)));
  const { file, exportName } = readTarget(flags.app, layout?.block?.facts.app);
  const { makeKit } = await import("../account/kit/kit.ts");
  const htaccess = layout === undefined ? undefined : foreignText(layout);
  const { zip, files, warnings, nodeLine } = await makeKit({
    file,
    exportName,
    adapter: config.adapter,
    node: flags.node,
    htaccess,
  });
  if (flags.dryRun !== true) {
    applyChanges([{ path, before: placed?.bytes, after: Buffer.from(zip), mode: newFileMode, owner: placed }]);
  }
  const list = files.map(
    ({ name, mode, sizeBytes }) => `  0${mode.toString(8)} ${String(sizeBytes).padStart(8)}  ${name}`,
  );
  print(
    `tsgi: ${flags.dryRun === true ? "would write" : "wrote"} ${path}, files to upload into the folder that the host serves`,
    ...list,
    ...warnings.map((warning) => `  note: ${warning}`),
    `  edit: line ${nodeLine} of ${fronts.cgi.file} says where Node.js is on the host; README.html says the rest`,
  );
  return 0;
}

async function run(dir: string | undefined, command: Command): Promise<number> {
  const flags = command.opts<InitFlags>();
  if (flags.uploadKit !== undefined) {
    return await uploadKit(flags.uploadKit, dir, flags, await readSettings(command, names));
  }
  const folder = servedFolder(resolve(dir ?? "."));
  if (flags.remove === true) return await remove(folder, flags);
  return await init(folder, flags, await readSettings(command, names));
}

export function configure(command: Command): void {
  command
    .argument("[dir]", "the folder that the host serves, such as public_html; else the working folder")
    .option("--app <file>", "application: file.ts, or file.ts#export; else that of the last time")
    .option("--transport <name>", `how Apache reaches it: ${wantedTransports.join(", ")}`, "auto")
    .option("--node <file>", "the Node.js that is to run it, on the host; else this one")
    .option("--upload-kit <file.zip>", "write an archive of files to upload, for a host without a shell")
    .option("--remove", "take out what init put in")
    .option("--dry-run", "show what would change, and change nothing")
    .option("--yes", "change an existing .htaccess without asking");
  addSettings(command, names)
    .addHelpText(
      "after",
      "\nExamples:\n  $ tsgi init ~/public_html --app ~/app/app.ts\n  $ tsgi init ~/public_html --remove",
    )
    .action(async (dir: string | undefined) => {
      process.exitCode = await run(dir, command);
    });
}
