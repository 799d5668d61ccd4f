// What bin/tsgi starts for `tsgi daemon`, bundled: has the first worker's process begin at once, then evaluates the command line's
// program with the machine code that V8 made of it before.
// Rules: what is wrong with the command line is for the program to tell; nothing is left behind when it ends for that.

import { isatty } from "node:tty";
import { runBundled } from "../loader/bundled-program.ts";
import { beginHeadStart } from "../supervisor/head-start.ts";
import type { DaemonProgram } from "./daemon-program.ts";

/** Node's own `import()`, which is not there in the program: bin/bundle puts it in front of this file. */
declare const importModule: (specifier: string) => Promise<unknown>;
declare const require: NodeJS.Require;

const argv = process.argv.slice(2);

/** The folder for compiled scripts that was chosen, as far as it can be told so early. */
function chosenCacheDir(): string | undefined {
  const flag = "--cache-dir";
  const word = argv.findLastIndex((each) => each === flag || each.startsWith(`${flag}=`));
  if (word === -1) return process.env["TSGI_CACHE_DIR"] || undefined;
  return argv[word] === flag ? argv[word + 1] : argv[word]?.slice(flag.length + 1);
}

const cacheDir = chosenCacheDir();
const headStart = beginHeadStart(cacheDir);
// A reload, or new log files, before there is anything to reload: the start does just that.
const signals: NodeJS.Signals[] = isatty(0) ? ["SIGUSR1", "SIGUSR2"] : ["SIGHUP", "SIGUSR1", "SIGUSR2"];
for (const signal of signals) process.on(signal, () => {});
delete process.mainModule;
const source = { folder: import.meta.dirname, name: "daemon-program.cjs", cacheDir, require, importModule };
const { exported, keepCode } = runBundled(source);
// eslint-disable-next-line typescript/no-unsafe-type-assertion -- bin/bundle made it so
void (exported as DaemonProgram).runDaemon(argv, headStart, keepCode);
