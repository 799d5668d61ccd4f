// One fresh process by itself, without Apache: how soon it answers, what it takes, and what a kept connection adds.
import { connect, type Socket } from "node:net";
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { begin, FcgiPeer, params, stdin, variables } from "../harness/fcgi.ts";
import { residentBytes } from "../harness/leftovers.ts";
import { childrenOf } from "../harness/process-facts.ts";
import type { Program } from "../harness/program.ts";
import { within } from "../harness/until.ts";
import { nodeFile, type Ground } from "./ground.ts";
import { daemonCommand } from "./peers.ts";

/** A connection that has had an answer and is kept. */
interface Kept {
  destroy(): void;
}

interface Kind {
  readonly command: (ground: Ground, socket: string) => Promise<string[]>;
  readonly ask: (socket: string) => Promise<Kept>;
  readonly worker: (program: Program) => number;
}

async function askFastCgi(path: string): Promise<Kept> {
  const peer = await FcgiPeer.open({ path });
  const request = [begin(1, true), params(1, variables("/hello", { SCRIPT_NAME: "" })), stdin(1)];
  peer.send(Buffer.concat(request));
  const reply = await peer.reply(1);
  if (!reply.stdout.includes("Hello World!")) throw new Error(`answered ${reply.stdout.toString("latin1")}`);
  return peer;
}

async function askHttp(path: string): Promise<Kept> {
  const socket: Socket = connect(path);
  const answered = new Promise<void>((resolve, reject) => {
    let text = "";
    socket.once("error", reject);
    socket.on("data", (data: Buffer) => {
      text += data.toString("latin1");
      if (text.endsWith("Hello World!")) resolve();
    });
  });
  socket.write("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await within("an answer", answered);
  return socket;
}

const itself = (program: Program): number => program.pid;

const kinds: Readonly<Record<string, Kind>> = {
  tsgi: {
    command: async (ground, socket) => daemonCommand(ground, ground.path("hello.ts"), socket, 1),
    ask: askFastCgi,
    worker: (program) => childrenOf(program.pid)[0]?.pid ?? -1,
  },
  "http-node": {
    command: async (ground, socket) => [nodeFile, await ground.bundle("http-node.ts"), socket],
    ask: askHttp,
    worker: itself,
  },
  "node-fastcgi": {
    command: async (ground, socket) => [nodeFile, await ground.bundle("node-fastcgi.ts"), socket],
    ask: askFastCgi,
    worker: itself,
  },
};

let count = 0;

async function firstAnswer(kind: Kind, program: Program, socket: string): Promise<Kept> {
  const end = performance.now() + 20_000;
  for (;;) {
    try {
      return await kind.ask(socket);
    } catch (error) {
      if (program.end !== undefined || performance.now() > end) throw new Error(program.report(), { cause: error });
      await sleep(1);
    }
  }
}

async function keptConnectionKiB(kind: Kind, worker: number, socket: string): Promise<number> {
  const open: Kept[] = [];
  const most = 500;
  try {
    // The first ones warm up what all share.
    for (let index = 0; index < 100; index += 1) open.push(await kind.ask(socket));
    const before = residentBytes(worker);
    for (let index = 0; index < most; index += 1) open.push(await kind.ask(socket));
    return (residentBytes(worker) - before) / most / 1024;
  } finally {
    for (const one of open) one.destroy();
  }
}

/** ms to the first answer, MiB of the worker after it, or KiB for each kept connection. */
export async function measureProcess(
  ground: Ground,
  name: string,
  what: "start" | "memory" | "connection",
): Promise<number> {
  const kind = kinds[name];
  if (kind === undefined) throw new Error(`${name} is not measured by itself`);
  count += 1;
  const socket = ground.socket(`fresh-${count}`);
  const command = await kind.command(ground, socket);
  const started = performance.now();
  const program = ground.start(`${name}, fresh`, command);
  let first: Kept | undefined;
  try {
    first = await firstAnswer(kind, program, socket);
    if (what === "start") return performance.now() - started;
    const worker = kind.worker(program);
    if (what === "connection") return await keptConnectionKiB(kind, worker, socket);
    return residentBytes(worker) / 1_048_576;
  } finally {
    first?.destroy();
    await ground.stop(program);
    rmSync(socket, { force: true });
  }
}
