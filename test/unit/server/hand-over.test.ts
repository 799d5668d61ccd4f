// Live connections between two real processes: what a reload does to the connections that Apache keeps.
import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo, Server } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { SocketHandle } from "../../../src/server/socket-handle.ts";
import { releaseHandle } from "../../../src/server/socket-handle.ts";
import type { FcgiTarget } from "../../harness/fcgi.ts";
import { FcgiPeer, request, variables } from "../../harness/fcgi.ts";
import { until, within } from "../../harness/until.ts";
import type { FromWorker, ToWorker } from "./hand-over-worker.ts";

let folder: string;
let program: string;
let pool: Pool | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-hand-over-"));
  program = join(folder, "worker.mjs");
  const source = fileURLToPath(new URL("hand-over-worker.ts", import.meta.url));
  await esbuild.build({ entryPoints: [source], outfile: program, bundle: true, platform: "node", format: "esm" });
});

afterEach(async () => {
  await pool?.stop();
  pool = undefined;
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Two processes and who accepts for them: connections go to the one that is active. */
class Pool {
  readonly complaints: string[] = [];
  /** Connections that came back from a process. */
  handedOver = 0;
  readonly #workers: ChildProcess[];
  readonly #server: Server;
  #active = 0;
  #readyCount = 0;
  #drainedCount = 0;
  target: FcgiTarget = { port: 0 };

  constructor(env: Readonly<Record<string, string>>) {
    this.#workers = [0, 1].map(() => {
      const worker = fork(program, { serialization: "advanced", env: { ...process.env, ...env }, execArgv: [] });
      worker.on("message", (message, handle) =>
        this.#receive(message as FromWorker, handle as SocketHandle | undefined),
      );
      return worker;
    });
    this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) =>
      this.#give(releaseHandle(socket), undefined),
    );
  }

  static async start(kind: "unix" | "tcp", env: Readonly<Record<string, string>>): Promise<Pool> {
    const started = new Pool(env);
    pool = started;
    const path = join(folder, "socket");
    const server = started.#server;
    await new Promise<void>((resolve) => {
      if (kind === "unix") server.listen(path, resolve);
      else server.listen(0, "127.0.0.1", resolve);
    });
    started.target = kind === "unix" ? { path } : { port: (server.address() as AddressInfo).port };
    await until("both processes", () => started.#readyCount === 2);
    return started;
  }

  get pids(): ReadonlyArray<string> {
    return this.#workers.map(({ pid }) => String(pid));
  }

  /** Makes the other process the active one, and drains this one. */
  async swap(): Promise<void> {
    const old = this.#workers[this.#active];
    const due = this.#drainedCount + 1;
    this.#active = 1 - this.#active;
    old?.send({ type: "drain" } satisfies ToWorker);
    await until("the process to drain", () => this.#drainedCount === due);
  }

  async stop(): Promise<void> {
    this.#server.close();
    for (const worker of this.#workers) {
      worker.disconnect();
      await until("the process to end", () => worker.exitCode !== null || worker.signalCode !== null);
    }
  }

  #receive(message: FromWorker, handle: SocketHandle | undefined): void {
    if (message.type === "ready") this.#readyCount += 1;
    else if (message.type === "complaint") this.complaints.push(message.text);
    else if (message.type === "drained") {
      this.#drainedCount += 1;
      if (!message.isWhole) this.complaints.push("a drain cut something off");
    } else if (handle !== undefined) {
      this.handedOver += 1;
      this.#give(handle, message.bytes);
    }
  }

  #give(handle: SocketHandle, bytes: Uint8Array | undefined): void {
    const message: ToWorker = { type: "connection", bytes };
    this.#workers[this.#active]?.send(message, handle as never, {}, () => handle.close());
  }
}

interface Kind {
  readonly path: string;
  readonly maxBytes: number;
}

const kinds: readonly Kind[] = [
  { path: "/echo", maxBytes: 300 },
  { path: "/echo", maxBytes: 100_000 },
  { path: "/hash", maxBytes: 200_000 },
  { path: "/slow?1", maxBytes: 10_000 },
  { path: "/slow?12", maxBytes: 10 },
  { path: "/early", maxBytes: 100_000 },
];

/** What a web server does: request after request, each answer checked byte for byte. */
class Client {
  served = 0;
  readonly processes = new Set<string>();
  readonly #target: FcgiTarget;
  readonly #keep: boolean;
  #peer: FcgiPeer | undefined;

  constructor(target: FcgiTarget, keep: boolean) {
    this.#target = target;
    this.#keep = keep;
  }

  async run(isOver: () => boolean): Promise<void> {
    for (let count = 0; !isOver(); count += 1) {
      await this.#ask(kinds[count % kinds.length]!);
      if (count % 5 === 4) await new Promise((resolve) => setImmediate(resolve));
    }
    this.#peer?.destroy();
  }

  async #ask({ path, maxBytes }: Kind): Promise<void> {
    this.#peer ??= await FcgiPeer.open(this.#target);
    const body = randomBytes(Math.floor(Math.random() * maxBytes));
    const values = variables(path, { REQUEST_METHOD: "POST", CONTENT_LENGTH: String(body.length) });
    this.#peer.send(request(1, values, { keep: this.#keep, body }));
    const { stdout, stderr, protocolStatus } = await this.#peer.reply(1);
    const blank = stdout.indexOf("\r\n\r\n");
    const head = stdout.subarray(0, blank).toString("latin1");
    const answer = stdout.subarray(blank + 4);
    expect([head.split("\r\n", 1), stderr, protocolStatus]).toEqual([["Status: 200 OK"], "", 0]);
    expect(answer.equals(expectedOf(path, body))).toBe(true);
    this.processes.add(/X-Process: (\d+)/.exec(head)?.[1] ?? "");
    this.served += 1;
    if (this.#keep) return;
    this.#peer.destroy();
    this.#peer = undefined;
  }
}

function expectedOf(path: string, body: Buffer): Buffer {
  if (path === "/early") return Buffer.from("early");
  return path === "/hash" ? Buffer.from(createHash("sha256").update(body).digest("hex")) : body;
}

const swaps = 40;

test.each<["unix" | "tcp", Readonly<Record<string, string>>, string]>([
  ["unix", {}, "any number of requests at once"],
  ["tcp", {}, "any number of requests at once"],
  ["unix", { MAX: "3" }, "three requests at once, the others waiting"],
  ["tcp", { MAX: "3" }, "three requests at once, the others waiting"],
])(
  "over a %s socket, 40 reloads under load lose no request and no byte (%j: %s)",
  async (kind, env) => {
    const { target } = await Pool.start(kind, env);
    const clients = Array.from({ length: 16 }, (_, index) => new Client(target, index % 4 !== 3));
    let isOver = false;
    const running = Promise.all(clients.map(async (client) => client.run(() => isOver)));
    let failure: Error | undefined;
    running.catch((error: unknown) => {
      failure = error instanceof Error ? error : new Error(String(error));
    });
    for (let count = 0; count < swaps; count += 1) {
      const before = clients.map(({ served }) => served);
      await pool!.swap();
      await until("each client to be served again", () => {
        if (failure !== undefined) throw failure;
        return clients.every(({ served }, index) => served > (before[index] ?? 0));
      });
    }
    isOver = true;
    await within("the clients", running);
    expect(pool!.complaints).toEqual([]);
    // Every kept connection went through both processes, again and again.
    expect(pool!.handedOver).toBeGreaterThan(swaps * 6);
    for (const { processes } of clients) expect([...processes].sort()).toEqual([...pool!.pids].sort());
  },
  60_000,
);

test("an idle connection survives any number of reloads, and its peer notices nothing", async () => {
  const { target } = await Pool.start("unix", {});
  const peer = await FcgiPeer.open(target);
  for (let count = 0; count < 25; count += 1) {
    await pool!.swap();
    if (count % 5 !== 0) continue;
    peer.send(request(1, variables("/echo", { CONTENT_LENGTH: "4" }), { keep: true, body: "ping" }));
    expect((await peer.reply(1)).stdout.toString()).toMatch(/\r\n\r\nping$/);
  }
  expect([peer.pending, pool!.complaints]).toEqual([0, []]);
  peer.end();
  await peer.closed();
});
