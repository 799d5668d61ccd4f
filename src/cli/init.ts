// `tsgi init`: makes a folder of an account at a host serve an application, and `--remove` undoes it.

import { statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import type { Layout } from "../account/layout.ts";
import { layoutOf, servedFolder } from "../account/layout.ts";
import { homeOf, likelyMountPoint } from "../account/owner.ts";
import { planInit, planRemove } from "../account/plan.ts";
import { placeOfSources } from "../account/sources.ts";
import { chooseTransport, knownModules } from "../account/transport.ts";
import { wrapperText } from "../account/wrapper.ts";
import { transports } from "../apache/account.ts";
import { programArguments, referenceText } from "../apache/site.ts";
import { placeText } from "../config/setting.ts";
import type { SettingName } from "../config/settings.ts";
import { settings } from "../config/settings.ts";
import { ConfigError } from "../errors.ts";
import { programsDir } from "../server/httpd/programs.ts";
import { carryOut } from "./init-consent.ts";
import { putProbe, takeProbes } from "./init-probe.ts";
import type { Described } from "./init-report.ts";
import { defaultListen, listChanges, print, report } from "./init-report.ts";
import type { InitFlags } from "./init-target.ts";
import { nodeOption, readTarget } from "./init-target.ts";
import { addSettings, readSettings } from "./options.ts";

const names = ["mountPoint", "listen", "cacheDir", "adapter"] as const satisfies readonly SettingName[];
const wantedTransports = ["auto", ...transports] as const;

/** What was not said this time is what was said the last time. */
function recall(command: Command, { block }: Layout): void {
  if (block === undefined) return;
  const { app, transport, options } = block.facts;
  for (const [name, value] of Object.entries({ ...options, app, transport })) {
    if (command.getOptionValueSource(name) !== "cli") command.setOptionValueWithSource(name, value, "config");
  }
}

/** Flags that are worth remembering: paths as they are from any folder. */
function toRemember(command: Command): Record<string, string> {
  const given: Readonly<Record<string, unknown>> = command.opts();
  const named = names.flatMap((name) => {
    const value = given[name];
    return typeof value === "string" ? [[name, placeText(settings[name], value, process.cwd())]] : [];
  });
  const { node, warm } = command.opts<InitFlags>();
  const own = [...(node === undefined ? [] : [["node", node]]), ...(isWarm({ warm }) ? [["warm", "yes"]] : [])];
  return Object.fromEntries([...named, ...own]) as Record<string, string>;
}

function isWarm({ warm }: Pick<InitFlags, "warm">): boolean {
  return warm === true || warm === "yes";
}

function wantedTransport({ transport }: InitFlags): (typeof wantedTransports)[number] {
  const wanted = wantedTransports.find((name) => name === transport);
  if (wanted !== undefined) return wanted;
  throw new ConfigError([`--transport ${JSON.stringify(transport)}: expected one of ${wantedTransports.join(", ")}`]);
}

async function describe(folder: string, command: Command): Promise<Described> {
  const layout = layoutOf(folder);
  recall(command, layout);
  const flags = command.opts<InitFlags>();
  const config = await readSettings(command, names);
  const wanted = wantedTransport(flags);
  const target = readTarget(flags.app);
  const chosen = chooseTransport(wanted, await knownModules(process.env["PATH"] ?? ""));
  const { transport } = chosen;
  if (isWarm(flags) && transport === "proxy") {
    throw new ConfigError(["--warm does not go with the transport proxy: a daemon answers there anyway"]);
  }
  const sources = await placeOfSources(target.file, folder);
  const mountPoint = config.mountPoint ?? likelyMountPoint(folder);
  const site = { target, mountPoint: config.mountPoint ?? "", documentRoot: undefined, adapter: config.adapter };
  const wrapper =
    transport === "proxy"
      ? undefined
      : wrapperText({
          transport,
          node: nodeOption(flags) ?? process.execPath,
          programs: programsDir,
          args: [
            ...(isWarm(flags) ? ["--warm"] : []),
            ...programArguments(site, config.cacheDir === undefined ? undefined : resolve(config.cacheDir)),
          ],
          workingFolder: dirname(target.file),
          home: homeOf(statSync(folder).uid),
        });
  const listen = config.listen ?? defaultListen(folder);
  const app = referenceText(target);
  const options = toRemember(command);
  const plan = planInit(layout, { app, transport, options, sources, wrapper, listen, mountPoint });
  return { layout, target, chosen, sources, plan, config, mountPoint };
}

async function init(folder: string, command: Command): Promise<number> {
  const described = await describe(folder, command);
  const { plan, target } = described;
  if (plan.changes.length === 0) {
    print(`tsgi: ${folder} already serves ${referenceText(target)}: nothing to change`, ...report(described));
    return 0;
  }
  const ended = await carryOut(plan, command.opts());
  if (ended !== undefined) return ended;
  print(`tsgi: ${folder} serves ${referenceText(target)}`, ...report(described));
  return 0;
}

/** What there is of a left probe goes, too; with --probe nothing else. */
async function remove(folder: string, flags: InitFlags): Promise<number> {
  const plan = flags.probe === true ? undefined : planRemove(layoutOf(folder));
  const changes = plan?.changes ?? [];
  const ended = plan === undefined || changes.length === 0 ? undefined : await carryOut(plan, flags);
  if (ended !== undefined) return ended;
  const probes = flags.dryRun === true ? [] : takeProbes(folder);
  if (changes.length === 0 && probes.length === 0) print(`tsgi: there is nothing of tsgi init in ${folder}`);
  else if (plan === undefined) print(`tsgi: ${folder} has no probe any more`, ...probes);
  else print(`tsgi: ${folder} is as it was before tsgi init`, ...listChanges(changes), ...probes);
  return 0;
}

async function run(dir: string | undefined, command: Command): Promise<number> {
  const flags = command.opts<InitFlags>();
  if (flags.uploadKit !== undefined) {
    if (flags.probe === true) throw new ConfigError(["--probe: an upload kit has none; give either"]);
    if (isWarm(flags)) throw new ConfigError(["--warm: an upload kit has no daemon; give either"]);
    const { uploadKit } = await import("./init-kit.ts");
    return await uploadKit(flags.uploadKit, dir, flags, await readSettings(command, names));
  }
  const folder = servedFolder(resolve(dir ?? "."));
  if (flags.remove === true) return await remove(folder, flags);
  const ended = flags.probe === true && flags.app === undefined ? 0 : await init(folder, command);
  if (flags.probe === true && ended === 0) putProbe(folder, flags);
  return ended;
}

export function configure(command: Command): void {
  command
    .argument("[dir]", "the folder that the host serves, such as public_html; else the working folder")
    .option("--app <file>", "application: file.ts, or file.ts#export; else that of the last time")
    .option("--transport <name>", `how Apache reaches it: ${wantedTransports.join(", ")}`, "auto")
    .option("--node <file>", "the Node.js that is to run it, on the host; else this one")
    .option("--warm", "have a daemon of this account answer, where the host lets one live")
    .option("--no-warm", "no longer")
    .option("--upload-kit <file.zip>", "write an archive of files to upload, for a host without a shell")
    .option("--remove", "take out what init put in")
    .option(
      "--probe",
      "put a program into the folder that tsgi doctor asks what reaches it; without --app nothing else",
    )
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
