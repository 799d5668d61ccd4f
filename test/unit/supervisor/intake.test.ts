// Where connections go that no worker accepted.
import { expect, test } from "vitest";
import { createLog } from "../../../src/log.ts";
import type { SocketHandle } from "../../../src/server/socket-handle.ts";
import { Intake } from "../../../src/supervisor/intake.ts";
import type { Listener } from "../../../src/supervisor/listener.ts";
import type { WorkerState } from "../../../src/supervisor/plan.ts";
import type { Held } from "../../../src/supervisor/relief.ts";
import { Relief, waitedMs } from "../../../src/supervisor/relief.ts";
import type { WorkerHandle } from "../../../src/supervisor/worker-handle.ts";

const log = createLog({ level: "silent" });

class FakeWorker {
  readonly given: SocketHandle[] = [];
  readonly waited: number[] = [];
  state: WorkerState;
  silentSinceMs: number;
  load: number;
  isReachable = true;

  constructor(state: WorkerState, { isSilent = false, load = 0 } = {}) {
    this.state = state;
    this.load = load;
    this.silentSinceMs = isSilent ? -Infinity : Infinity;
  }

  give(held: Held, failed: () => void): void {
    if (!this.isReachable) {
      failed();
      return;
    }
    this.given.push(held.handle);
    this.waited.push(Math.round(waitedMs(held) / 1000));
  }
}

const listener = { isAccepting: true } as unknown as Listener;

function connection(): SocketHandle {
  return { close: () => {} };
}

function intakeOf(...workers: FakeWorker[]): Intake {
  const relief = new Relief({
    queueLimit: 10,
    queueTimeoutMs: 60_000,
    maxParamsBytes: 1000,
    paramsTimeoutMs: 1000,
    errorPage: undefined,
    log,
  });
  const intake = new Intake({
    relief,
    workers: () => workers as unknown as WorkerHandle[],
    isAllowed: () => true,
    log,
  });
  intake.set("off", listener, 0);
  return intake;
}

test("the serving worker with the fewest connections gets it", () => {
  const [full, free] = [new FakeWorker("serving", { load: 3 }), new FakeWorker("serving", { load: 1 })];
  const intake = intakeOf(full, free);
  const handle = connection();
  intake.givenBack(handle, undefined, 0);
  expect(full.given).toEqual([]);
  expect(free.given).toEqual([handle]);
  expect(intake).toMatchObject({ waiting: 0, handedOver: 1 });
});

test("one that is being replaced gets it only where no other serves", () => {
  const [retiring, serving] = [new FakeWorker("retiring"), new FakeWorker("serving", { load: 9 })];
  intakeOf(retiring, serving).givenBack(connection(), undefined, 0);
  expect([retiring.given.length, serving.given.length]).toEqual([0, 1]);
  intakeOf(retiring, new FakeWorker("booting"), new FakeWorker("draining")).givenBack(connection(), undefined, 0);
  expect(retiring.given).toHaveLength(1);
});

test("what came while every worker was silent goes to the first that is heard of again", () => {
  const worker = new FakeWorker("serving", { isSilent: true });
  const intake = intakeOf(worker);
  intake.givenBack(connection(), undefined, 0);
  intake.set("off", listener, 0);
  expect([worker.given.length, intake.waiting]).toEqual([0, 1]);
  worker.silentSinceMs = Infinity;
  intake.set("off", listener, 0);
  expect([worker.given.length, intake.waiting]).toEqual([1, 0]);
});

test("a worker whose process has just ended gets none: they wait for one that can be reached", () => {
  const workers = [new FakeWorker("serving"), new FakeWorker("serving"), new FakeWorker("serving")] as const;
  for (const worker of workers) worker.isReachable = false;
  const intake = intakeOf(...workers);
  intake.givenBack(connection(), undefined, 0);
  expect(intake.waiting).toBe(1);
  workers[1].isReachable = true;
  intake.set("off", listener, 0);
  expect(workers.map(({ given }) => given.length)).toEqual([0, 1, 0]);
  expect(intake.waiting).toBe(0);
});

test("while none serves connections wait, and are released when one does", () => {
  const worker = new FakeWorker("booting");
  const intake = intakeOf(worker);
  intake.set("hold", listener, 0);
  intake.givenBack(connection(), undefined, 0);
  intake.givenBack(connection(), undefined, 0);
  expect(intake.waiting).toBe(2);
  worker.state = "serving";
  intake.set("off", listener, 0);
  expect([worker.given.length, intake.waiting]).toEqual([2, 0]);
});

test("what a request has waited is told to whoever gets it, and nothing where there is no request", () => {
  const worker = new FakeWorker("serving");
  const intake = intakeOf(worker);
  intake.givenBack(connection(), Buffer.from("a request"), 5000);
  intake.givenBack(connection(), Buffer.from("a request"), 0);
  intake.givenBack(connection(), undefined, 0);
  intake.set("hold", listener, 0);
  intake.givenBack(connection(), undefined, 7000);
  intake.set("off", listener, 0);
  expect(worker.waited).toEqual([5, 0, 0, 7]);
});
