// The policy of the supervisor: what is done in which situation, and what holds whatever happens.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Backoff } from "../../../src/supervisor/backoff.ts";
import type {
  Action,
  GroupView,
  Policy,
  Relief,
  RestartCause,
  WorkerState,
  WorkerView,
} from "../../../src/supervisor/plan.ts";
import { plan, reliefFor, unresponsiveMs } from "../../../src/supervisor/plan.ts";
import { Reloads } from "../../../src/supervisor/reloads.ts";

const nowMs = 100_000;

const policy: Policy = {
  processes: 2,
  startupTimeoutMs: 30_000,
  deadlockTimeoutMs: 10_000,
  queueTimeoutMs: 2000,
  gracefulTimeoutMs: 15_000,
  shutdownTimeoutMs: 5000,
  memoryLimitBytes: 0,
  inactivityTimeoutMs: 0,
};

/** A worker that is well. */
function worker(id: number, state: WorkerState, known: Partial<WorkerView> = {}): WorkerView {
  return {
    id,
    generation: 1,
    state,
    bornMs: nowMs - 20_000,
    lastPulseMs: nowMs - 100,
    drainDeadlineMs: state === "draining" ? nowMs + 10_000 : 0,
    busy: 0,
    connections: 0,
    served: 10,
    rssBytes: 100,
    idleMs: 50,
    requestLimit: 0,
    ageLimitMs: 0,
    isStopped: false,
    isFailing: false,
    ...known,
  };
}

/** A group whose first generation serves. */
function group(workers: readonly WorkerView[], known: Partial<GroupView> = {}): GroupView {
  return {
    workers,
    generation: 1,
    established: 1,
    isStopping: false,
    notBeforeMs: 0,
    crashes: 0,
    awakeSinceMs: 0,
    ...known,
  };
}

const start = (generation = 1): Action => ({ type: "start", generation });
const serve = (id: number): Action => ({ type: "serve", id });
const establish = (generation = 1): Action => ({ type: "establish", generation });
const retire = (id: number, cause: RestartCause): Action => ({ type: "retire", id, cause });
const kill = (id: number, cause: RestartCause): Action => ({ type: "kill", id, cause });
/** A drain of one that was replaced, and one for the stop. */
const drain = (id: number): Action => ({ type: "drain", id, deadlineMs: nowMs + 15_000, handsOver: true });
const end = (id: number): Action => ({ type: "drain", id, deadlineMs: nowMs + 5000, handsOver: false });

/** A name, a situation, what is done. */
type Row = [string, GroupView, readonly Action[]];

function check(_: string, view: GroupView, actions: readonly Action[]): void {
  expect(plan(view, policy, nowMs)).toEqual(actions);
  expect(plan(view, policy, nowMs)).toEqual(actions); // the same view gives the same
}

const serving = (...ids: readonly number[]): WorkerView[] => ids.map((id) => worker(id, "serving"));
/** A worker of the second generation. */
const newer = (id: number, state: WorkerState, known: Partial<WorkerView> = {}): WorkerView =>
  worker(id, state, { generation: 2, ...known });

describe("the first generation", () => {
  const first = (workers: readonly WorkerView[]): GroupView => group(workers, { established: 0 });
  test.each<Row>([
    ["starts whole, with no canary", first([]), [start(), start()]],
    ["is not started twice", first([worker(1, "booting"), worker(2, "booting")]), []],
    ["serves only when it is whole", first([worker(1, "ready"), worker(2, "booting")]), []],
    [
      "serves and is established when it is",
      first([worker(1, "ready"), worker(2, "ready")]),
      [serve(1), serve(2), establish()],
    ],
    ["is completed when one of it crashed", first([worker(1, "ready")]), [start()]],
    ["counts no worker that is being killed", first([worker(1, "ready"), worker(2, "killed")]), [start()]],
  ])("%s", check);
});

describe("a group that is well", () => {
  test.each<Row>([
    ["is left alone", group(serving(1, 2)), []],
    ["replaces a worker that crashed", group(serving(1)), [start()]],
    ["replaces all that crashed", group([]), [start(), start()]],
    ["starts no second replacement", group([...serving(1), worker(3, "booting")]), []],
    ["lets a replacement serve at once", group([...serving(1), worker(3, "ready")]), [serve(3)]],
    ["lets the first of two replacements serve at once", group([worker(3, "ready"), worker(4, "booting")]), [serve(3)]],
    ["does not wait for a drain to replace", group([...serving(1), worker(2, "draining")]), [start()]],
    ["does not wait for a killed process to be gone", group([...serving(1), worker(2, "killed")]), [start()]],
  ])("%s", check);
});

describe("after crashes", () => {
  test.each<Row>([
    ["nothing is started before the pause ends", group([], { notBeforeMs: nowMs + 1 }), []],
    ["what is missing is started when it ends", group([], { notBeforeMs: nowMs }), [start(), start()]],
    ["no first worker is started before the pause ends", group([], { established: 0, notBeforeMs: nowMs + 1 }), []],
    ["a worker that is ready serves all the same", group([worker(1, "ready")], { notBeforeMs: nowMs + 1 }), [serve(1)]],
    [
      "nobody is retired whom nobody could replace",
      group([worker(1, "serving", { isFailing: true }), worker(2, "serving")], { notBeforeMs: nowMs + 1 }),
      [],
    ],
    [
      "a blocked worker is killed all the same",
      group([worker(1, "serving", { lastPulseMs: 0 }), worker(2, "serving")], { notBeforeMs: nowMs + 1 }),
      [kill(1, "blocked")],
    ],
  ])("%s", check);
});

describe("a reload", () => {
  const reload = (...workers: readonly WorkerView[]): GroupView => group(workers, { generation: 2 });
  const old = serving(1, 2);
  test.each<Row>([
    ["starts one worker first, to show that the code runs", reload(...old), [start(2)]],
    ["waits for it", reload(...old, newer(3, "booting")), []],
    ["starts the others when it is ready, and lets none serve", reload(...old, newer(3, "ready")), [start(2)]],
    ["serves when it is whole, not before", reload(...old, newer(3, "ready"), newer(4, "booting")), []],
    [
      "then serves, is established, and drains the old one, all at once",
      reload(...old, newer(3, "ready"), newer(4, "ready")),
      [serve(3), serve(4), establish(2), drain(1), drain(2)],
    ],
    [
      "drains an old one that was retiring as well",
      reload(worker(1, "serving"), worker(2, "retiring"), newer(3, "ready"), newer(4, "ready")),
      [serve(3), serve(4), establish(2), drain(1), drain(2)],
    ],
    ["replaces no old worker that crashed", reload(worker(1, "serving"), newer(3, "booting")), []],
    [
      "retires no old worker",
      reload(worker(1, "serving", { isFailing: true }), worker(2, "serving"), newer(3, "booting")),
      [],
    ],
    ["whose canary crashed starts another", reload(...old, newer(3, "killed")), [start(2)]],
    [
      "serves at once when nothing else does",
      reload(worker(1, "draining"), newer(3, "ready"), newer(4, "booting")),
      [serve(3)],
    ],
    [
      "that serves already in part goes on as a whole",
      reload(newer(3, "serving"), newer(4, "ready")),
      [serve(4), establish(2)],
    ],
    ["has shown that it runs when one of it serves", reload(newer(3, "serving")), [start(2)]],
    [
      "does not take over on a worker that has just blocked",
      reload(...old, newer(3, "ready", { lastPulseMs: 0 }), newer(4, "ready")),
      [kill(3, "blocked"), start(2)],
    ],
    [
      "kills no old worker that boots: it is needed if the new code does not run",
      reload(worker(1, "serving"), worker(2, "booting"), newer(3, "booting")),
      [],
    ],
  ])("%s", check);

  test.each<Row>([
    [
      "leaves old workers that drain alone",
      group([worker(1, "draining"), newer(3, "serving"), newer(4, "serving")]),
      [],
    ],
    [
      "leaves no old worker behind that was booting",
      group([worker(1, "booting"), newer(3, "serving"), newer(4, "serving")]),
      [kill(1, "reload")],
    ],
    [
      "leaves no old worker behind that was ready and never served",
      group([worker(1, "ready"), newer(3, "serving"), newer(4, "serving")]),
      [kill(1, "reload")],
    ],
  ])("that is done %s", (name, view, actions) => {
    check(name, { ...view, generation: 2, established: 2 }, actions);
  });

  test.each<Row>([
    [
      "its workers are killed though the next reload has begun",
      group([...old, newer(3, "booting"), newer(4, "ready")], { generation: 3 }),
      [kill(3, "reload"), kill(4, "reload"), start(3)],
    ],
    [
      "its workers are killed, whether they boot or are ready",
      group([...old, newer(3, "booting"), newer(4, "ready")]),
      [kill(3, "reload"), kill(4, "reload")],
    ],
    [
      "an old worker that crashed meanwhile is replaced",
      group([worker(1, "serving"), newer(3, "ready")]),
      [kill(3, "reload"), start()],
    ],
    ["an old worker that has become ready serves", group([worker(1, "serving"), worker(2, "ready")]), [serve(2)]],
  ])("that is given up: %s", check);
});

describe("a worker is retired", () => {
  const limits: Policy = { ...policy, memoryLimitBytes: 1000, inactivityTimeoutMs: 60_000 };
  const idle = { busy: 0, served: 1, idleMs: 60_000 };
  test.each<[RestartCause, string, Partial<WorkerView>]>([
    ["uncaught-error", "for an error outside any request", { isFailing: true }],
    ["memory-limit", "when it takes more memory than it may", { rssBytes: 1001 }],
    ["maximum-requests", "after its last request", { requestLimit: 10, served: 10 }],
    ["restart-interval", "at its age", { ageLimitMs: 20_000 }],
    ["inactivity-timeout", "after nothing has happened for long", idle],
    ["uncaught-error", "for the first of several reasons", { ...idle, isFailing: true, rssBytes: 1001 }],
  ])("as %s, %s", (cause, _, known) => {
    const view = group([worker(1, "serving"), worker(2, "serving", known)]);
    expect(plan(view, limits, nowMs)).toEqual([retire(2, cause)]);
  });

  test.each<[string, Partial<WorkerView>]>([
    ["that takes just the memory it may", { rssBytes: 1000 }],
    ["that has a request left", { requestLimit: 11, served: 10 }],
    ["that is a little too young", { ageLimitMs: 20_001 }],
    ["that was busy a moment ago", { ...idle, idleMs: 59_999 }],
    ["that is busy", { ...idle, busy: 1 }],
    ["that has served nothing: a new one would be no better", { ...idle, served: 0 }],
  ])("but not one %s", (_, known) => {
    const view = group([worker(1, "serving"), worker(2, "serving", known)]);
    expect(plan(view, limits, nowMs)).toEqual([]);
  });

  test("for no limit that is 0", () => {
    const known = { rssBytes: 1e12, served: 1e9, idleMs: 1e12, bornMs: -1e12 };
    expect(plan(group([worker(1, "serving", known), ...serving(2)]), policy, nowMs)).toEqual([]);
  });

  const failing = { isFailing: true };
  test.each<Row>([
    [
      "one at a time",
      group([worker(1, "serving", failing), worker(2, "serving", failing)]),
      [retire(1, "uncaught-error")],
    ],
    [
      "and the next only when it is gone from service",
      group([worker(1, "retiring"), worker(2, "serving", failing), worker(3, "booting")]),
      [],
    ],
    ["and its replacement is started at once", group([worker(1, "retiring"), ...serving(2)]), [start()]],
    [
      "and serves until its replacement does",
      group([worker(1, "retiring"), ...serving(2), worker(3, "ready")]),
      [serve(3)],
    ],
    ["and then drains", group([worker(1, "retiring"), ...serving(2, 3)]), [drain(1)]],
    [
      "and goes on serving when the replacement is needed for another that crashed",
      group([worker(1, "retiring"), ...serving(3)]),
      [start()],
    ],
    [
      "and then the next one, while it drains",
      group([worker(1, "draining"), worker(2, "serving", failing), ...serving(3)]),
      [retire(2, "uncaught-error")],
    ],
  ])("%s", check);
});

describe("a worker is killed", () => {
  const others = serving(8, 9);
  test.each<Row>([
    [
      "when it takes too long to load the application",
      group([...others.slice(1), worker(1, "booting", { bornMs: nowMs - 30_001 })]),
      [kill(1, "startup-timeout"), start()],
    ],
    [
      "when it is blocked: it serves",
      group([...others.slice(1), worker(1, "serving", { lastPulseMs: nowMs - 10_001 })]),
      [kill(1, "blocked"), start()],
    ],
    [
      "when it is stopped and has connections, after the queue's time",
      group([...others.slice(1), worker(1, "serving", { lastPulseMs: nowMs - 2001, isStopped: true, connections: 3 })]),
      [kill(1, "blocked"), start()],
    ],
    [
      "when it is stopped without connections, later, as every blocked one",
      group([...others, worker(1, "retiring", { lastPulseMs: nowMs - 9999, isStopped: true })], { established: 1 }),
      [drain(1)],
    ],
    [
      "when it is blocked: it is ready",
      group([...others.slice(1), worker(1, "ready", { lastPulseMs: nowMs - 10_001 })]),
      [kill(1, "blocked"), start()],
    ],
    [
      "when it is blocked: it retires",
      group([...others, worker(1, "retiring", { lastPulseMs: nowMs - 10_001 })]),
      [kill(1, "blocked")],
    ],
    [
      "when it is blocked: it drains",
      group([...others, worker(1, "draining", { lastPulseMs: nowMs - 10_001 })]),
      [kill(1, "blocked")],
    ],
    [
      "when its drain does not end",
      group([...others, worker(1, "draining", { drainDeadlineMs: nowMs - 1001 })]),
      [kill(1, "graceful-timeout")],
    ],
  ])("%s", check);

  test.each<Row>([
    [
      "that has just a moment left to boot",
      group([worker(1, "booting", { bornMs: nowMs - 30_000 }), ...serving(9)]),
      [],
    ],
    [
      "that is silent while it boots",
      group([worker(1, "booting", { lastPulseMs: nowMs - 20_000 }), ...serving(9)]),
      [],
    ],
    [
      "that has just a moment left to answer",
      group([worker(1, "serving", { lastPulseMs: nowMs - 10_000 }), ...serving(9)]),
      [],
    ],
    ["whose drain has just ended", group([...others, worker(1, "draining", { drainDeadlineMs: nowMs - 1000 })]), []],
    ["that was killed before", group([...others, worker(1, "killed", { lastPulseMs: 0, bornMs: 0 })]), []],
    [
      "for what was missed while the supervisor was away: its pulse",
      group([worker(1, "serving", { lastPulseMs: 0 }), ...serving(9)], { awakeSinceMs: nowMs - 10_000 }),
      [],
    ],
    [
      "for what was missed while the supervisor was away: its start",
      group([worker(1, "booting", { bornMs: 0 }), ...serving(9)], { awakeSinceMs: nowMs - 30_000 }),
      [],
    ],
    [
      "for what was missed while the supervisor was away: its drain",
      group([...others, worker(1, "draining", { drainDeadlineMs: 0 })], { awakeSinceMs: nowMs - 1000 }),
      [],
    ],
  ])("but not one %s", check);

  test("as soon as the supervisor has been there for long enough", () => {
    const workers = [
      worker(1, "serving", { lastPulseMs: 0 }),
      worker(2, "booting", { bornMs: 0 }),
      worker(3, "draining", { drainDeadlineMs: 0 }),
    ];
    const killed = (awakeSinceMs: number): unknown[] =>
      plan(group(workers, { awakeSinceMs }), policy, nowMs).filter(({ type }) => type === "kill");
    expect(killed(nowMs - 1001)).toEqual([kill(3, "graceful-timeout")]);
    expect(killed(nowMs - 10_001)).toEqual([kill(1, "blocked"), kill(3, "graceful-timeout")]);
    expect(killed(nowMs - 30_001)).toEqual([
      kill(1, "blocked"),
      kill(2, "startup-timeout"),
      kill(3, "graceful-timeout"),
    ]);
  });

  test("never for being blocked when that is off", () => {
    const view = group([worker(1, "serving", { lastPulseMs: 0 }), ...serving(2)]);
    expect(plan(view, { ...policy, deadlockTimeoutMs: 0 }, nowMs)).toEqual([]);
  });
});

describe("the stop", () => {
  const stopping = (...workers: readonly WorkerView[]): GroupView => group(workers, { isStopping: true });
  test.each<Row>([
    ["starts nothing", stopping(), []],
    ["drains all that serve", stopping(...serving(1), worker(2, "retiring")), [end(1), end(2)]],
    [
      "kills what does not serve yet",
      stopping(worker(1, "booting"), worker(2, "ready")),
      [kill(1, "reload"), kill(2, "reload")],
    ],
    [
      "gives a drain no longer than itself",
      stopping(worker(1, "draining", { drainDeadlineMs: nowMs + 5001 })),
      [end(1)],
    ],
    ["leaves a shorter drain alone", stopping(worker(1, "draining", { drainDeadlineMs: nowMs + 5000 })), []],
    ["kills a worker that is blocked", stopping(worker(1, "serving", { lastPulseMs: 0 })), [kill(1, "blocked")]],
    [
      "kills a worker whose drain does not end",
      stopping(worker(1, "draining", { drainDeadlineMs: nowMs - 1001 })),
      [kill(1, "graceful-timeout")],
    ],
    ["waits for killed processes", stopping(worker(1, "killed")), []],
  ])("%s", check);

  test("ends a reload: both generations drain or are killed", () => {
    const view = group([...serving(1), newer(2, "serving"), newer(3, "ready")], { generation: 2, isStopping: true });
    expect(plan(view, policy, nowMs)).toEqual([kill(3, "reload"), end(1), end(2)]);
  });
});

describe("connections that no worker accepts", () => {
  const silent = { lastPulseMs: nowMs - unresponsiveMs };
  const crashed = { crashes: 3 };
  test.each<[Relief, string, GroupView]>([
    ["off", "a worker serves", group(serving(1))],
    ["off", "a worker serves until it is replaced", group([worker(1, "retiring")])],
    ["off", "one worker of two answers", group([worker(1, "serving", silent), ...serving(2)])],
    ["off", "a worker serves, whatever has crashed", group(serving(1), crashed)],
    [
      "off",
      "the supervisor has just woken up",
      group([worker(1, "serving", { lastPulseMs: 0 })], { awakeSinceMs: nowMs }),
    ],
    ["off", "the daemon stops", group([], { isStopping: true, ...crashed })],
    ["hold", "there is no worker", group([])],
    [
      "hold",
      "workers boot, are ready or drain",
      group([worker(1, "booting"), worker(2, "ready"), worker(3, "draining")]),
    ],
    ["hold", "all workers are silent", group([worker(1, "serving", silent), worker(2, "retiring", silent)])],
    ["hold", "two workers have crashed in a row", group([worker(1, "booting")], { crashes: 2 })],
    ["hold", "a worker is silent, though many have crashed", group([worker(1, "serving", silent)], crashed)],
    ["refuse", "three have crashed in a row and none serves", group([worker(1, "booting")], crashed)],
  ])("%s when %s", (relief, _, view) => {
    expect(reliefFor(view, nowMs)).toBe(relief);
  });
});

/** A worker whose process this test plays. */
interface Played extends Omit<{ -readonly [Key in keyof WorkerView]: WorkerView[Key] }, "lastPulseMs"> {
  lastPulseMs: number;
  servingSinceMs: number;
  isBlocked: boolean;
}

const processEvents = ["boots", "crashes", "drains", "dies", "blocks", "fails", "serves a lot"] as const;

type Happening =
  | { readonly type: (typeof processEvents)[number]; readonly pick: number }
  | { readonly type: "reload" }
  | { readonly type: "stop" }
  | { readonly type: "time"; readonly ms: number }
  | { readonly type: "gap"; readonly ms: number };

/** What a worker may be for an action. */
const mayBe: Readonly<Record<"serve" | "retire" | "drain" | "kill", readonly WorkerState[]>> = {
  serve: ["ready"],
  retire: ["serving"],
  drain: ["serving", "retiring", "draining"],
  kill: ["booting", "ready", "serving", "retiring", "draining"],
};

/** As `expect`, which is too slow for what is asked a million times. */
function must(holds: boolean, promise: string): void {
  if (!holds) throw new Error(promise);
}

/** The group without its processes: it does what the plan says, and checks what must hold after each step. */
class Simulation {
  readonly workers: Played[] = [];
  readonly #reloads = new Reloads();
  readonly #backoff = new Backoff();
  readonly #policy: Policy;
  #nowMs = 0;
  #awakeSinceMs = 0;
  #lastId = 0;
  #isStopping = false;

  constructor(processes: number) {
    this.#policy = { ...policy, processes, startupTimeoutMs: 3000, deadlockTimeoutMs: 2000, gracefulTimeoutMs: 2000 };
    this.#step();
  }

  get view(): GroupView {
    const { wanted, established } = this.#reloads;
    const { notBeforeMs, crashes } = this.#backoff;
    const workers = this.workers.map((one) => ({ ...one }));
    const [isStopping, awakeSinceMs] = [this.#isStopping, this.#awakeSinceMs];
    return { workers, generation: wanted, established, isStopping, notBeforeMs, crashes, awakeSinceMs };
  }

  get next(): readonly Action[] {
    return plan(this.view, this.#policy, this.#nowMs);
  }

  happen(event: Happening): void {
    if (event.type === "time") {
      for (let passedMs = 0; passedMs < event.ms; passedMs += 100) this.#pass(100);
    } else if (event.type === "gap") {
      this.#nowMs += event.ms;
      this.#awakeSinceMs = this.#nowMs;
    } else if (event.type === "reload") {
      if (!this.#isStopping) void this.#reloads.ask();
    } else if (event.type === "stop") {
      this.#isStopping = true;
      this.#reloads.stop();
    } else {
      const one = this.workers[event.pick % Math.max(1, this.workers.length)];
      if (one !== undefined) this.#play(one, event.type);
    }
    this.#step();
  }

  /** Nothing bad happens any more: what boots is ready, what drains ends, what was killed is gone. */
  leaveAlone(ms: number): void {
    for (let passedMs = 0; passedMs < ms; passedMs += 100) {
      const present = [...this.workers]; // some go
      for (const one of present) {
        if (one.state === "killed") this.#play(one, "dies");
        else if (!one.isBlocked) this.#play(one, one.state === "booting" ? "boots" : "drains");
      }
      this.#pass(100);
    }
  }

  #pass(ms: number): void {
    this.#nowMs += ms;
    for (const one of this.workers) if (!one.isBlocked && one.state !== "killed") one.lastPulseMs = this.#nowMs;
    this.#step();
  }

  #play(one: Played, event: (typeof processEvents)[number]): void {
    const { state } = one;
    if (event === "boots" && state === "booting" && !one.isBlocked) one.state = "ready";
    else if (event === "crashes" || (event === "drains" && state === "draining")) this.#end(one, event === "drains");
    else if (event === "dies" && state === "killed") this.#end(one, true);
    else if (event === "blocks") one.isBlocked = true;
    else if (event === "fails" && state !== "booting") one.isFailing = true;
    else if (event === "serves a lot" && state === "serving") one.served += 60;
  }

  /** As in group.ts. */
  #end(one: Played, isExpected: boolean): void {
    this.workers.splice(this.workers.indexOf(one), 1);
    if (this.#isStopping) return;
    const hasBooted = one.servingSinceMs > 0 || one.state === "ready";
    if (hasBooted && isExpected) return;
    if (hasBooted) {
      const servedMs = this.#nowMs - (one.servingSinceMs || this.#nowMs);
      this.#backoff.crashed(this.#nowMs, servedMs, 0.5);
    } else if (one.generation === this.#reloads.wanted) {
      const isServing = this.workers.some((other) => other.generation === one.generation && other.state === "serving");
      if (this.#reloads.isUnderWay && !isServing) this.#reloads.abandon("broken");
      else this.#backoff.crashed(this.#nowMs, 0, 0.5);
    }
  }

  #step(): void {
    const draining = this.workers.filter(({ state }) => state === "draining").length;
    if (!this.#isStopping && draining < 2 * this.#policy.processes && this.#reloads.begin()) this.#backoff.reset();
    const actions = this.next;
    for (const action of actions) this.#apply(action);
    this.#check(actions);
  }

  #apply(action: Action): void {
    if (action.type === "start") this.#start(action.generation);
    else if (action.type === "establish") {
      must(action.generation === this.#reloads.wanted, "the wanted generation is established");
      this.#reloads.establish();
    } else {
      const one = this.workers.find(({ id }) => id === action.id);
      if (one === undefined) throw new Error(`there is no worker ${action.id}`);
      must(mayBe[action.type].includes(one.state), `no ${action.type} of a worker that is ${one.state}`);
      if (action.type === "serve") one.servingSinceMs = this.#nowMs;
      if (action.type === "drain") one.drainDeadlineMs = action.deadlineMs;
      one.state = ({ serve: "serving", retire: "retiring", drain: "draining", kill: "killed" } as const)[action.type];
    }
  }

  #start(generation: number): void {
    this.#lastId += 1;
    const [bornMs, lastPulseMs] = [this.#nowMs, this.#nowMs];
    const made = worker(this.#lastId, "booting", { generation, bornMs, lastPulseMs, served: 0, requestLimit: 100 });
    this.workers.push({ ...made, servingSinceMs: 0, isBlocked: false });
  }

  #check(actions: readonly Action[]): void {
    const { processes } = this.#policy;
    const count = (...states: readonly WorkerState[]): number =>
      this.workers.filter(({ state }) => states.includes(state)).length;
    const ids = actions.flatMap((action) => ("id" in action ? [action.id] : []));
    must(new Set(ids).size === ids.length, "one action for each worker");
    // One at a time may retire, and it is no more than about to drain.
    must(count("retiring") <= 1, "no more than one retires");
    must(count("booting", "ready", "serving") <= 2 * processes, "no more than two generations");
    if (this.#isStopping) {
      must(
        actions.every(({ type }) => type === "drain" || type === "kill"),
        "nothing begins during the stop",
      );
    } else if (actions.some(({ type }) => type === "drain")) {
      must(count("serving", "retiring") >= processes, "enough others serve when a worker drains");
    }
  }
}

describe("whatever happens", () => {
  const picked = fc.record({ type: fc.constantFrom(...processEvents), pick: fc.nat(11) });
  const boots = fc.record({ type: fc.constant("boots" as const), pick: fc.nat(11) });
  const event: fc.Arbitrary<Happening> = fc.oneof(
    { weight: 6, arbitrary: picked },
    { weight: 6, arbitrary: boots },
    { weight: 2, arbitrary: fc.constant({ type: "reload" } as const) },
    {
      weight: 3,
      arbitrary: fc.record({ type: fc.constant("time" as const), ms: fc.integer({ min: 100, max: 5000 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant("gap" as const), ms: fc.integer({ min: 500, max: 60_000 }) }),
    },
  );
  const events = fc.array(event, { maxLength: 60, size: "max" });
  const processes = fc.integer({ min: 1, max: 4 });

  test("there are never too many workers nor too few that serve, and left alone exactly the wanted ones do", () => {
    fc.assert(
      fc.property(processes, events, (wanted, happenings) => {
        const simulation = new Simulation(wanted);
        for (const happening of happenings) simulation.happen(happening);
        simulation.leaveAlone(60_000);
        const { generation, established, workers } = simulation.view;
        expect(workers.map(({ state }) => state)).toEqual(Array.from({ length: wanted }, () => "serving"));
        expect(new Set([established, ...workers.map((one) => one.generation)])).toEqual(new Set([generation]));
        expect(simulation.next).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test("a stop ends every worker, and starts none", () => {
    fc.assert(
      fc.property(processes, events, events, (wanted, before, after) => {
        const simulation = new Simulation(wanted);
        for (const happening of [...before, { type: "stop" } as const, ...after]) simulation.happen(happening);
        simulation.leaveAlone(20_000);
        expect(simulation.workers).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});
