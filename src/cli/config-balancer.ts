// `tsgi config balancer`: prints Apache configuration for an application on several daemons.

import { resolve } from "node:path";
import type { Command } from "commander";
import { balancerDirectives } from "../apache/balancer.ts";
import { render } from "../apache/directives.ts";
import type { SiteTarget } from "../apache/site.ts";
import type { ListenAddress } from "../config/address.ts";
import { parseListenAddress } from "../config/address.ts";
import { parseMountPath } from "../config/parsers.ts";
import type { SettingName } from "../config/settings.ts";
import { ConfigError, messageOf } from "../errors.ts";
import { programsDir } from "../server/httpd/programs.ts";
import { addSettings, readSettings } from "./options.ts";

const names = ["mountPoint", "documentRoot", "secretFile"] as const satisfies readonly SettingName[];

interface BalancerFlags {
  readonly member: readonly string[];
  readonly sticky: boolean;
  readonly manager: string | undefined;
}

function memberOf(text: string): ListenAddress {
  try {
    return parseListenAddress(text.startsWith("tcp:") ? text : `tcp:${text}`);
  } catch (error) {
    throw new ConfigError([`--member ${text}: expected a host and a port, as in 10.0.0.7:9000`, messageOf(error)]);
  }
}

function managerOf(text: string): string {
  try {
    return parseMountPath(text);
  } catch (error) {
    throw new ConfigError([`--manager ${JSON.stringify(text)}: ${messageOf(error)}`]);
  }
}

/** Writes the directives for what the command line says. */
export function configureBalancer(command: Command, targetOf: (app: string) => SiteTarget): void {
  command
    .description("print the directives for an application on several daemons, on one machine or more")
    .argument("<app>", "application (file.ts or file.ts#export), or a folder of scripts with a slash at its end")
    .option(
      "--member <address>",
      "host:port of a daemon; repeat it for each",
      (member: string, earlier: readonly string[]) => [...earlier, member],
      [],
    )
    .option("--sticky", "a visitor stays with the member that answered first, by a cookie", false)
    .option("--manager <path>", "URL path of Apache's page for draining a member, for this machine only");
  addSettings(command, names)
    .addHelpText(
      "after",
      "\nExample:\n  $ tsgi config balancer app.ts --member 10.0.0.7:9000 --member 10.0.0.8:9000 --sticky",
    )
    .action(async (app: string) => {
      const { member, sticky, manager } = command.opts<BalancerFlags>();
      const { mountPoint, documentRoot, secretFile } = await readSettings(command, names);
      const directives = balancerDirectives({
        site: {
          target: targetOf(app),
          mountPoint: mountPoint ?? "",
          documentRoot: documentRoot === undefined ? undefined : resolve(documentRoot),
        },
        members: member.map(memberOf),
        isSticky: sticky,
        secretFile: secretFile === undefined ? undefined : resolve(secretFile),
        managerPath: manager === undefined ? undefined : managerOf(manager),
        programs: programsDir,
      });
      process.stdout.write(render(directives));
    });
}
