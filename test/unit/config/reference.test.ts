// src/config/README.md, the reference of all settings, is made of the table of settings and of the commands' options:
// `npm test -- test/unit/config/reference.test.ts -u` writes it anew.
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { expect, test } from "vitest";
import { commands } from "../../../src/cli/main.ts";
import { keyOf } from "../../../src/config/setting.ts";
import { daemonSettings, settings, type SettingName } from "../../../src/config/settings.ts";

const file = fileURLToPath(new URL("../../../src/config/README.md", import.meta.url));
const names = Object.keys(settings) as SettingName[];

const head = `# Settings

Made of the table in [settings.ts](settings.ts) by a test; changes here are lost.

A setting is a flag of the commands that are named with it, the environment variable \`TSGI_...\`, and the key of the configuration file
that is said below its flag. A flag goes before a variable, that before the file (a group before the top level), and that before the
default. Times are \`500ms\`, \`10s\`, \`5m\`, \`1h\`, or seconds; sizes \`64k\`, \`512m\`, \`1g\`, or bytes. A switch is on as a flag alone, as
\`TSGI_...=1\`, and as \`true\` in the file.
`;

/** Which commands take a flag. */
async function takers(): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>();
  for (const [name, { load }] of Object.entries(commands)) {
    const command = new Command(name);
    (await load()).configure(command);
    for (const { long } of command.options) {
      if (long !== undefined && long !== null) found.set(long, [...(found.get(long) ?? []), name]);
    }
  }
  return found;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function row(name: SettingName, who: ReadonlyMap<string, readonly string[]>): string {
  const { flag, env, placeholder, defaultText, help } = settings[name];
  const shown = placeholder === undefined ? `--${flag}` : `--${flag} ${placeholder.toUpperCase()}`;
  const given = defaultText === undefined ? "" : `\`${defaultText}\``;
  const key = name === "configFile" ? "" : `<br>\`${keyOf(settings[name])}\``;
  const taken = (who.get(`--${flag}`) ?? []).map((command) => `\`${command}\``).join(", ");
  return `| \`${shown}\`<br>\`${env}\`${key} | ${given} | ${cell(help)} | ${taken} |`;
}

function table(title: string, text: string, rows: readonly string[]): string {
  return `\n## ${title}\n\n${text}\n\n| flag, variable, key | default | | commands |\n|---|---|---|---|\n${rows.join("\n")}\n`;
}

async function reference(): Promise<string> {
  const who = await takers();
  const rows = (wanted: readonly SettingName[]): string[] => wanted.map((name) => row(name, who));
  const perGroup = daemonSettings.filter((name) => settings[name].isPerGroup);
  const whole = daemonSettings.filter((name) => !settings[name].isPerGroup);
  return [
    head,
    table("Of a group of workers", "Each group of the configuration file may have its own.", rows(perGroup)),
    table("Of the whole daemon", "At the top of the configuration file, not in a group of it.", rows(whole)),
    table(
      "Of other commands",
      "At the top of the configuration file, where the command finds one.",
      rows(names.filter((name) => !daemonSettings.includes(name))),
    ),
  ].join("");
}

test("the reference has every setting as it is", async () => {
  await expect(await reference()).toMatchFileSnapshot(file);
});

test("no setting is without a command that takes it", async () => {
  const who = await takers();
  expect(names.filter((name) => !who.has(`--${settings[name].flag}`))).toEqual([]);
});
