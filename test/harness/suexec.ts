// What Debian's suEXEC runs programs from, and for whom.
// Rules: only root can start a server with it; it is missing where bin/setup --for-tests has not run, and then a test fails.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

/** The only folder below which suEXEC runs anything: the first line of its own configuration. */
const configuration = "/etc/apache2/suexec/www-data";
const log = "/var/log/apache2/suexec.log";

/** Everybody's user without rights; suEXEC takes ids from 100. */
export const account = { name: "nobody", group: "nogroup", uid: 65_534, gid: 65_534 };

/** A new folder below the one that suEXEC allows, which only Debian's package of the whole server makes. Remove it afterwards. */
export function openSuexecHome(): string {
  if (!existsSync(configuration)) throw new Error("this test needs suEXEC: run bin/setup --for-tests");
  const [root = ""] = readFileSync(configuration, "latin1").split("\n", 1);
  for (const folder of [root, dirname(log)]) mkdirSync(folder, { recursive: true });
  const home = mkdtempSync(join(root, "tsgi-test-"));
  chmodSync(home, 0o755);
  return home;
}

export function removeSuexecHome(home: string): void {
  if (home !== "") rmSync(home, { recursive: true, force: true });
}

export function suexecLog(): string {
  return readFileSync(log, "latin1");
}
