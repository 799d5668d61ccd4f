// `npm run bench`: every peer behind one private Apache, cases in interleaved rounds, a table, results.json and a chart.
// Rules: everything is started before the first measurement and nothing but the one that is measured has work to do. All
// processes and files are gone at the end, however it comes.
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Apache } from "../harness/apache.ts";
import { cases, type Case } from "./cases.ts";
import { chart } from "./chart.ts";
import { goals, judge } from "./goals.ts";
import { Ground } from "./ground.ts";
import { machineFacts } from "./machine.ts";
import { measure, type Bench, type Measured, type Subject } from "./measure.ts";
import { apacheThreads, peers } from "./peers.ts";
import { Progress } from "./progress.ts";
import { caseResult, lookupIn, type Results } from "./results.ts";
import { report } from "./table.ts";
import { hasWrk } from "./wrk.ts";

const usage = `Usage: npm run bench -- [options]

Measures tsgi and its peers behind one private Apache.

  --quick        the cases and peers that matter most, in less than two minutes
  --rounds N     rounds; default 5, with --quick 2
  --cases A,B    only these cases
  --peers A,B    only these peers
  --out DIR      where results.json and chart.svg go (default test/bench/out)
  --help         print this

Peers that are not installed are named; bin/setup --bench installs them.`;

interface Options {
  readonly isQuick: boolean;
  readonly rounds: number;
  readonly cases: readonly Case[];
  /** Undefined: all of the cases. */
  readonly peers: readonly string[] | undefined;
  readonly out: string;
}

/** With --quick no further round of a case begins so long after the start of the program. */
const quickBudgetMs = 90_000;

function readOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      cases: { type: "string" },
      peers: { type: "string" },
      out: { type: "string", default: join("test", "bench", "out") },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const rounds = Number(values.rounds ?? (values.quick ? 2 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds ${values.rounds}: not a number of rounds`);
  const names = chosen("--cases", values.cases, cases);
  const wanted = chosen("--peers", values.peers, peers);
  const measured = cases.filter(({ name }) => names === undefined || names.includes(name));
  return { isQuick: values.quick, rounds, cases: measured, peers: wanted, out: resolve(values.out) };
}

/** The names of a list with commas; throws for one that is not among `known`. */
function chosen(option: string, list: string | undefined, known: readonly { name: string }[]): string[] | undefined {
  const names = list?.split(",");
  const unknown = names?.find((name) => !known.some((one) => one.name === name));
  if (unknown === undefined) return names;
  throw new Error(`${option} ${unknown}: there are ${known.map(({ name }) => name).join(", ")}`);
}

function peersOf(one: Case, options: Options): readonly string[] {
  const all = options.isQuick ? one.quick : one.peers;
  return options.peers === undefined ? all : all.filter((name) => options.peers?.includes(name));
}

interface Running {
  readonly bench: Bench;
  readonly subjects: ReadonlyMap<string, Subject>;
  readonly apache: Apache;
}

/** Starts whoever takes part in `options.cases`. */
async function startAll(ground: Ground, options: Options): Promise<Running> {
  const wanted = new Set(options.cases.flatMap((one) => peersOf(one, options)));
  const present = peers.filter(({ name, missing }) => wanted.has(name) && missing === undefined);
  const started = await Promise.all(present.map(async (peer) => [peer, await peer.start(ground)] as const));
  const modules = [...new Set(["cgid", ...present.flatMap((peer) => peer.modules)])];
  const config = started.map(([, one]) => one.config).join("\n");
  const apache = await Apache.start({
    dir: ground.dir,
    modules,
    config: `${common}\n${config}`,
    threadsPerChild: apacheThreads,
  });
  const subjects = new Map(
    started.map(([{ name }, one]) => [name, { name, url: `${apache.url}/${name}${one.path ?? ""}`, started: one }]),
  );
  return { bench: { ground, apachePid: apache.program.pid, isQuick: options.isQuick }, subjects, apache };
}

const common = "KeepAlive On\nMaxKeepAliveRequests 0\nKeepAliveTimeout 30";

/** Some at the start of the list are not always first. */
function rotated<T>(values: readonly T[], by: number): T[] {
  const at = values.length === 0 ? 0 : by % values.length;
  return [...values.slice(at), ...values.slice(0, at)];
}

async function measureAll(running: Running, options: Options): Promise<Results["cases"]> {
  const { bench, subjects } = running;
  const subjectsOf = (one: Case): Subject[] => peersOf(one, options).flatMap((name) => subjects.get(name) ?? []);
  const measured = new Map<string, Measured[]>();
  const warm = new Set<string>();
  const total = options.rounds * options.cases.reduce((sum, one) => sum + subjectsOf(one).length, 0);
  const progress = new Progress(total);
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const one of options.cases) {
      if (options.isQuick && round > 1 && performance.now() > quickBudgetMs) break;
      for (const subject of rotated(subjectsOf(one), round - 1)) {
        progress.step(`round ${round} of ${options.rounds}, ${one.title}`, subject.name);
        const key = `${one.name} ${subject.name}`;
        const place = `${subject.name} ${"route" in one ? one.route : ""}`;
        measured.set(key, [...(measured.get(key) ?? []), await measure(bench, subject, one, !warm.has(place))]);
        warm.add(place);
      }
    }
  }
  progress.end();
  return options.cases.map((one) =>
    caseResult(
      one,
      peersOf(one, options).flatMap((name) => {
        const peer = peers.find((candidate) => candidate.name === name);
        if (peer === undefined) throw new Error(`${one.name}: there is no peer ${name}`);
        const { label, missing } = peer;
        return [{ name, label, missing, measured: measured.get(`${one.name} ${name}`) ?? [] }];
      }),
    ),
  );
}

/** Runs `work` on a ground that is cleared at its end, at an error, and at a signal. */
async function onGround<T>(work: (ground: Ground) => Promise<T>): Promise<T> {
  const ground = await Ground.open();
  const leave = (signal: NodeJS.Signals): void => {
    ground.clearNow();
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.once(signal, leave);
  try {
    return await work(ground);
  } finally {
    await ground.clear();
    for (const signal of signals) process.removeListener(signal, leave);
  }
}

async function run(options: Options): Promise<Results> {
  return await onGround(async (ground) => {
    const machine = machineFacts();
    const running = await startAll(ground, options);
    try {
      return { machine, rounds: options.rounds, cases: await measureAll(running, options) };
    } finally {
      await running.apache.stop().catch(() => running.apache.program.kill());
    }
  });
}

/** The exit code: 1 when an answer of ours was wrong or missing, 2 for wrong usage. */
export async function main(args: readonly string[]): Promise<number> {
  let options: Options | undefined;
  try {
    options = readOptions(args);
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
  if (options === undefined) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  if (!hasWrk()) {
    process.stderr.write("bench: wrk is missing, and it is the client: run bin/setup --bench, or install wrk\n");
    return 1;
  }
  const results = await run(options);
  const outcomes = goals.map((goal) => judge(goal, lookupIn(results.cases)));
  const shown = outcomes.filter(({ goal }) => results.cases.some(({ name }) => name === goal.ours.case));
  await mkdir(options.out, { recursive: true });
  await writeFile(join(options.out, "results.json"), `${JSON.stringify({ ...results, goals: shown }, undefined, 2)}\n`);
  const first = results.cases.find(({ name }) => name === "hello-16") ?? results.cases[0];
  if (first !== undefined) await writeFile(join(options.out, "chart.svg"), chart(first, results.machine));
  process.stdout.write(`${report(results, shown)}\n\nwritten: ${join(options.out, "results.json")} and chart.svg\n`);
  const ours = results.cases.flatMap((one) => one.peers.filter(({ name }) => /\btsgi\b/u.test(name)));
  return ours.some(({ reasons, spread }) => reasons.length > 0 || spread === undefined) ? 1 : 0;
}
