// An `import()` that does not wait: node reads a file by `require` without the parts of it that read in the background, which
// take longer to load than most applications.
// Rules: what comes of it is what `import()` gives, and code runs once. Where that is in doubt, and for every failure,
// `import()` has the last word: of a module that was required already it gives the same instance, or the same error. Hooks of
// node's (module.register) need not see what is required: a worker whose node is given something to load first has no use of it.

import { fileURLToPath } from "node:url";
import { types } from "node:util";

type ImportModule = (specifier: string) => Promise<unknown>;

/** Whether modules did not fit each other: those here, or some that one of them required while it ran. */
function isMisfit(error: unknown): error is SyntaxError {
  return error instanceof SyntaxError && error.message.startsWith("The requested module '");
}

/** Whether the stack shows that no module has run: nothing but node's own code, down to whoever waits for it here. */
function hasRunNothing({ stack = "" }: SyntaxError): boolean {
  const frames = stack.match(/^ {4}at .*/gm) ?? [];
  const first = frames.findIndex((frame) => !frame.includes("node:internal/"));
  const isWaiting = frames[first]?.startsWith("    at async ") === true;
  return isWaiting || frames[first - 1]?.includes("processTicksAndRejections") === true;
}

/** Node's own frames of a `require`, and one more: whose it was. */
const framesToSee = 12;

/** As `import()`, for the address of a file at its first import. What waits at its top level is imported as ever. */
export function importAtOnce(require: NodeJS.Require, importModule: ImportModule): ImportModule {
  return async (specifier) => {
    if (!specifier.startsWith("file:") || specifier.includes("?")) return await importModule(specifier);
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = framesToSee;
    try {
      // By a promise: the stacks of what it throws begin with the module.
      const module = await Promise.resolve(fileURLToPath(specifier)).then(require);
      // With a default export it is a copy that has an __esModule.
      if (types.isModuleNamespaceObject(module) && !("__esModule" in module)) return module;
    } catch (error) {
      if (isMisfit(error)) {
        if (hasRunNothing(error)) return await importModule(`${specifier}?0`); // which tells the place too
        throw error;
      }
    } finally {
      if (Error.stackTraceLimit === framesToSee) Error.stackTraceLimit = stackTraceLimit; // or what the module has set
    }
    return await importModule(specifier);
  };
}
