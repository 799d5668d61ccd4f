// What a bundled worker's process starts with: evaluates its program with the machine code that V8 made of it before.
// The command line has the folder for compiled scripts, if one was chosen; the application sees nothing of it.

import { runBundled } from "../loader/bundled-program.ts";
import { importAtOnce } from "../loader/import-at-once.ts";
import type { WorkerProgram } from "./worker-program.ts";

/** Node's own `import()`, which is not there in the program: bin/bundle puts it in front of this file. */
declare const importModule: (specifier: string) => Promise<unknown>;
declare const require: NodeJS.Require;

const [cacheDir] = process.argv.splice(2);
delete process.mainModule;
const { exported, keepCode } = runBundled({
  folder: import.meta.dirname,
  name: "worker-program.cjs",
  cacheDir,
  require,
  importModule: importAtOnce(require, importModule),
});
// eslint-disable-next-line typescript/no-unsafe-type-assertion -- bin/bundle made it so
(exported as WorkerProgram).runWorker(keepCode);
