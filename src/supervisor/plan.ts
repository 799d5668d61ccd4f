// What to do next: the whole policy of the supervisor, as one pure function of what is known and the time.
// Rules: no clock, no process, no randomness; times are those of one monotonic clock, in ms. The same view and time give
// the same actions, and an action changes the view, so that it is not asked for again. A worker is replaced before it is
// drained, one at a time; a new generation serves only when it is whole, and only then does the old one drain.

/** Why a worker was ended or ended itself; the keys of "restarts" in the status. */
export type RestartCause =
  | "crash"
  | "signal"
  | "exit"
  | "out-of-memory"
  | "uncaught-error"
  | "blocked"
  | "boot-failed"
  | "startup-timeout"
  | "graceful-timeout"
  | "maximum-requests"
  | "restart-interval"
  | "memory-limit"
  | "inactivity-timeout"
  | "reload";

export type WorkerState =
  /** Loads the application. */
  | "booting"
  /** Has loaded it and waits for the rest of its generation. */
  | "ready"
  | "serving"
  /** Serves until its replacement does. */
  | "retiring"
  /** Accepts no more; ends what it has. */
  | "draining"
  /** Was sent SIGKILL. */
  | "killed";

export interface WorkerView {
  readonly id: number;
  readonly generation: number;
  readonly state: WorkerState;
  readonly bornMs: number;
  readonly lastPulseMs: number;
  /** When a drain has to be over. */
  readonly drainDeadlineMs: number;
  readonly busy: number;
  /** FastCGI connections that it has: a peer may send on them, and nobody else can answer. */
  readonly connections: number;
  readonly served: number;
  readonly rssBytes: number;
  readonly idleMs: number;
  /** Requests after which it is replaced, jitter included; 0: never. */
  readonly requestLimit: number;
  /** Age at which it is replaced, ms, jitter included; 0: never. */
  readonly ageLimitMs: number;
  /** The system says that it is stopped, as by SIGSTOP: it computes nothing, however long one waits. */
  readonly isStopped: boolean;
  /** It reported an error outside any request. */
  readonly isFailing: boolean;
}

export interface GroupView {
  readonly workers: readonly WorkerView[];
  /** The generation that is wanted. */
  readonly generation: number;
  /** The newest one that has served; 0 before the first. Less than `generation` while a reload is under way. */
  readonly established: number;
  readonly isStopping: boolean;
  /** No worker is started before: the pause after crashes. */
  readonly notBeforeMs: number;
  /** How many workers crashed without a healthy one between. */
  readonly crashes: number;
  /** Since when the supervisor has been running without a gap: what was missed before is nobody's fault. */
  readonly awakeSinceMs: number;
}

export interface Policy {
  readonly processes: number;
  readonly startupTimeoutMs: number;
  /** 0: a blocked worker is left alone. */
  readonly deadlockTimeoutMs: number;
  /** A stopped worker with connections is given up after this long, as a request that waits for a worker is. */
  readonly queueTimeoutMs: number;
  readonly gracefulTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  /** 0: no limit. */
  readonly memoryLimitBytes: number;
  /** 0: never. */
  readonly inactivityTimeoutMs: number;
}

export type Action =
  | { readonly type: "start"; readonly generation: number }
  /** Gives it the listening socket. */
  | { readonly type: "serve"; readonly id: number }
  /** Every worker of the wanted generation serves: the reload is done. */
  | { readonly type: "establish"; readonly generation: number }
  | { readonly type: "retire"; readonly id: number; readonly cause: RestartCause }
  | { readonly type: "drain"; readonly id: number; readonly deadlineMs: number; readonly handsOver: boolean }
  | { readonly type: "kill"; readonly id: number; readonly cause: RestartCause };

/** A worker that has been silent this long takes no connections, ms: more than three pulses. */
export const unresponsiveMs = 700;
/** How long a worker may take to say that its drain has ended at the deadline, ms. */
const drainSlackMs = 1000;
/** Crashes in a row after which nobody waits for the next worker. */
const hopelessCrashes = 3;

function silentMs(worker: WorkerView, view: GroupView, nowMs: number): number {
  return nowMs - Math.max(worker.lastPulseMs, view.awakeSinceMs);
}

function serves({ state }: WorkerView): boolean {
  return state === "serving" || state === "retiring";
}

function isBlocked(worker: WorkerView, view: GroupView, policy: Policy, nowMs: number): boolean {
  const { deadlockTimeoutMs, queueTimeoutMs } = policy;
  if (deadlockTimeoutMs === 0) return false;
  const isHolding = worker.isStopped && worker.connections > 0;
  const limitMs = isHolding ? Math.min(deadlockTimeoutMs, queueTimeoutMs) : deadlockTimeoutMs;
  return silentMs(worker, view, nowMs) > limitMs;
}

/** Why a worker that lives must be killed now. */
function killCause(worker: WorkerView, view: GroupView, policy: Policy, nowMs: number): RestartCause | undefined {
  switch (worker.state) {
    case "killed":
      return undefined;
    case "booting": {
      if (view.isStopping || isForlorn(worker, view)) return "reload";
      const bootedMs = nowMs - Math.max(worker.bornMs, view.awakeSinceMs);
      return bootedMs > policy.startupTimeoutMs ? "startup-timeout" : undefined;
    }
    case "ready":
      if (view.isStopping || isForlorn(worker, view)) return "reload";
      break;
    case "draining":
      if (nowMs > Math.max(worker.drainDeadlineMs, view.awakeSinceMs) + drainSlackMs) return "graceful-timeout";
      break;
    case "serving":
    case "retiring":
      break;
  }
  return isBlocked(worker, view, policy, nowMs) ? "blocked" : undefined;
}

/** Why a worker that is well should be replaced. */
function retireCause(worker: WorkerView, policy: Policy, nowMs: number): RestartCause | undefined {
  if (worker.isFailing) return "uncaught-error";
  const { memoryLimitBytes, inactivityTimeoutMs } = policy;
  if (memoryLimitBytes > 0 && worker.rssBytes > memoryLimitBytes) return "memory-limit";
  if (worker.requestLimit > 0 && worker.served >= worker.requestLimit) return "maximum-requests";
  if (worker.ageLimitMs > 0 && nowMs - worker.bornMs >= worker.ageLimitMs) return "restart-interval";
  const isQuiet = worker.busy === 0 && worker.served > 0 && worker.idleMs >= inactivityTimeoutMs;
  return inactivityTimeoutMs > 0 && isQuiet ? "inactivity-timeout" : undefined;
}

function kills(view: GroupView, policy: Policy, nowMs: number): Action[] {
  return view.workers.flatMap((worker): Action[] => {
    const cause = killCause(worker, view, policy, nowMs);
    return cause === undefined ? [] : [{ type: "kill", id: worker.id, cause }];
  });
}

/** A draining worker of an earlier reload gets no longer than the stop allows. */
function stop({ workers }: GroupView, policy: Policy, nowMs: number): Action[] {
  const deadlineMs = nowMs + policy.shutdownTimeoutMs;
  return workers.flatMap((worker): Action[] => {
    const isDue = serves(worker) || (worker.state === "draining" && worker.drainDeadlineMs > deadlineMs);
    return isDue ? [{ type: "drain", id: worker.id, deadlineMs, handsOver: false }] : [];
  });
}

/** Starts what is missing of the wanted generation. After a reload one worker shows first that the new code runs. */
function starts(view: GroupView, policy: Policy, alive: readonly WorkerView[], nowMs: number): Action[] {
  if (nowMs < view.notBeforeMs) return [];
  const isProven = view.established === view.generation || view.established === 0;
  const hasShown = isProven || alive.some(({ state }) => state !== "booting");
  const wanted = hasShown ? policy.processes : 1;
  const counted = alive.filter(({ state }) => state !== "retiring" && state !== "killed").length;
  const missing = Math.max(0, wanted - counted);
  return Array.from({ length: missing }, () => ({ type: "start", generation: view.generation }));
}

/** Drains a worker: its connections go on with the others. */
function replace(worker: WorkerView, policy: Policy, nowMs: number): Action {
  return { type: "drain", id: worker.id, deadlineMs: nowMs + policy.gracefulTimeoutMs, handsOver: true };
}

/** A new generation takes over as a whole; should nothing else serve, each of it serves at once. */
function takeOver(view: GroupView, policy: Policy, nowMs: number): Action[] {
  const current = view.workers.filter(
    ({ generation, state }) => generation === view.generation && state !== "draining",
  );
  const ready = current.filter(({ state }) => state === "ready");
  const standing = ready.length + current.filter(({ state }) => state === "serving").length;
  const isWhole = standing >= policy.processes;
  if (!isWhole && (view.established === 0 || view.workers.some(serves))) return [];
  const serving: Action[] = ready.map(({ id }) => ({ type: "serve", id }));
  if (!isWhole) return serving;
  const old = view.workers.filter((worker) => worker.generation < view.generation && serves(worker));
  const drains = old.map((worker) => replace(worker, policy, nowMs));
  return [...serving, { type: "establish", generation: view.generation }, ...drains];
}

/** One generation, as it should be: replacements serve at once, and whom they replace drains. */
function maintain(view: GroupView, policy: Policy, nowMs: number): Action[] {
  const current = view.workers.filter(({ generation }) => generation === view.generation);
  const ready = current.filter(({ state }) => state === "ready");
  if (ready.length > 0) return ready.map(({ id }) => ({ type: "serve", id }));
  const serving = current.filter(({ state }) => state === "serving");
  const retiring = view.workers.filter(({ state }) => state === "retiring");
  const spare = serving.length - policy.processes + retiring.length;
  const drained = retiring.slice(0, Math.max(0, spare)).map((worker) => replace(worker, policy, nowMs));
  if (retiring.length > 0) return drained;
  for (const worker of serving) {
    const cause = retireCause(worker, policy, nowMs);
    if (cause !== undefined && nowMs >= view.notBeforeMs) return [{ type: "retire", id: worker.id, cause }];
  }
  return [];
}

/** What has to be done now. */
export function plan(view: GroupView, policy: Policy, nowMs: number): Action[] {
  const killed = kills(view, policy, nowMs);
  const doomed = new Set(killed.map((action) => (action.type === "kill" ? action.id : 0)));
  const rest: GroupView = { ...view, workers: view.workers.filter(({ id }) => !doomed.has(id)) };
  if (view.isStopping) return [...killed, ...stop(rest, policy, nowMs)];
  const alive = rest.workers.filter(
    ({ generation, state }) => generation === view.generation && state !== "draining" && state !== "killed",
  );
  const changes = view.established === view.generation ? maintain : takeOver;
  return [...killed, ...changes(rest, policy, nowMs), ...starts(rest, policy, alive, nowMs)];
}

/** What becomes of connections that no worker accepts: they wait for one, or are told at once to come again. */
export type Relief = "off" | "hold" | "refuse";

/** Whether the supervisor has to accept connections itself, and what to do with them. */
export function reliefFor(view: GroupView, nowMs: number): Relief {
  const takes = view.workers.some((worker) => serves(worker) && silentMs(worker, view, nowMs) < unresponsiveMs);
  if (takes || view.isStopping) return "off";
  const isHopeless = view.crashes >= hopelessCrashes && !view.workers.some(serves);
  return isHopeless ? "refuse" : "hold";
}

/** Of a generation that neither serves nor is wanted. */
function isForlorn({ generation }: WorkerView, view: GroupView): boolean {
  return generation !== view.generation && generation !== view.established;
}
