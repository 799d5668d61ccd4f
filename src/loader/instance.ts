// Runs bundles: one running instance per script and bundle in this process.
// Rules: Node keeps every module for ever under its address, also one that failed. So a bundle that comes back after another
// one had its place, or whose code threw, gets a new address (a number after `?`) and runs afresh. Old instances stay in
// memory and whatever they started (timers, servers, handlers) goes on: nothing can undo that but a new process.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import type { ListenCapture } from "../adapters/listen-capture.ts";
import { captureListen } from "../adapters/listen-capture.ts";
import { LoadError } from "../errors.ts";
import type { Log } from "../spec.ts";

/** What a module exports. */
export type Namespace = Readonly<Record<string, unknown>>;

/** A bundle that has run. */
export interface RunBundle {
  readonly namespace: Namespace;
  /** The server that its code let listen, now or later. Whoever has decided what the application is ends it. */
  readonly capture: ListenCapture;
}

interface Instance {
  readonly bundle: string;
  readonly address: string;
  readonly capture: ListenCapture;
  isBroken: boolean;
}

/** The module system below us is one per process as well, so this state cannot be anywhere else. */
const current = new Map<string, Instance>();
const timesStarted = new Map<string, number>();

/** Runs a bundle, or gives the instance of it that runs already. Rejects with what the module threw, or a LoadError late. */
export async function importBundle(
  { slot, bundle, log }: { readonly slot: string; readonly bundle: string; readonly log?: Log | undefined },
  deadlineMs: number,
): Promise<RunBundle> {
  const instance = instanceOf(slot, bundle, log);
  process.setSourceMapsEnabled(true);
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => {
    const seconds = Math.round(deadlineMs / 1000);
    const text = `it did not finish within ${seconds} s; is there an await at its top level that never settles?`;
    timer = setTimeout(() => reject(new LoadError("failed-inside", text)), deadlineMs);
  });
  try {
    const namespace = await Promise.race([import(instance.address) as Promise<Namespace>, tooLate]);
    return { namespace, capture: instance.capture };
  } catch (error) {
    instance.isBroken = true;
    instance.capture.end();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Of a bundle that can have no server. */
const noCapture: ListenCapture = { server: undefined, captured: new Promise(() => {}), end() {} };

/** Whether code may let a server listen. Code that imports nothing gets hold of none: node:net need not be loaded for it. */
export function mayListen(code: string): boolean {
  return /\b(?:import|require|process|globalThis|eval|Function)\b/.test(code);
}

/** Looks out for a server that the code of `file` lets listen, if it may. */
export function captureFor(file: string, isPossible: boolean, log: Log | undefined): ListenCapture {
  return isPossible ? captureListen(file, log) : noCapture;
}

function readCode(bundle: string): string {
  try {
    return readFileSync(bundle, "utf8");
  } catch {
    return "import"; // gone: the import says so
  }
}

function instanceOf(slot: string, bundle: string, log: Log | undefined): Instance {
  const known = current.get(slot);
  if (known?.bundle === bundle && !known.isBroken) return known;
  const count = timesStarted.get(bundle) ?? 0;
  timesStarted.set(bundle, count + 1);
  const url = pathToFileURL(bundle).href;
  const address = count === 0 ? url : `${url}?${count}`;
  const instance: Instance = {
    bundle,
    address,
    capture: captureFor(bundle, mayListen(readCode(bundle)), log),
    isBroken: false,
  };
  current.set(slot, instance);
  return instance;
}
