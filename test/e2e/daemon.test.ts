// The daemon as a program: its socket, who may connect, its end, and its messages when it cannot start.
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { FcgiPeer, type FcgiTarget, begin, params, record, request, stdin, type, variables } from "../harness/fcgi.ts";
import { freePort } from "../harness/machine.ts";
import { until } from "../harness/until.ts";
import { Workspace, accepts, type Daemon } from "../harness/workspace.ts";
import type { Program } from "../harness/program.ts";

let workspace: Workspace;
let app: string;

beforeAll(async () => {
  workspace = await Workspace.open();
  app = workspace.app("engine.ts");
}, 60_000);

afterAll(() => workspace.close(), 60_000);

async function hello(target: FcgiTarget): Promise<string> {
  const peer = await FcgiPeer.open(target);
  try {
    peer.send(request(1, variables("/hello")));
    const { stdout } = await peer.reply(1);
    return stdout.toString().split("\r\n\r\n")[1] ?? "";
  } finally {
    peer.destroy();
  }
}

/** Starts a daemon that must not start; gives what it said. */
async function refused(args: readonly string[]): Promise<{ code: number | null; said: string }> {
  const program = workspace.tsgi(["daemon", ...args]);
  const { code } = await program.ended;
  return { code, said: program.stdout + program.stderr };
}

describe("the unix socket", () => {
  test("has mode 0660", async () => {
    const { socket, program } = await workspace.daemon([app]);
    expect(statSync(socket).mode & 0o777).toBe(0o660);
    await program.stop();
  });

  test("has the mode that was asked for", async () => {
    const { socket, program } = await workspace.daemon([app, "--socket-mode", "0600"]);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    await program.stop();
  });

  test("is removed at the end", async () => {
    const { socket, program } = await workspace.daemon([app]);
    expect(await program.stop()).toEqual({ code: 0, signal: null });
    expect(existsSync(socket)).toBe(false);
  });

  test("that nobody listens on is replaced", async () => {
    const { socket, program } = await workspace.daemon([app]);
    program.kill();
    await program.ended;
    expect(existsSync(socket)).toBe(true);
    const again = workspace.tsgi(["daemon", app, "--listen", `unix:${socket}`]);
    // Not merely that somebody accepts: a worker of the first does until it knows that its supervisor is gone.
    await until("the second daemon", () => again.stdout.includes("listening on"));
    expect(await hello({ path: socket })).toBe("hello");
    await again.stop();
  });

  test("that somebody listens on is left alone", async () => {
    const first = await workspace.daemon([app]);
    const { code, said } = await refused([app, "--listen", `unix:${first.socket}`]);
    expect(code).toBe(1);
    expect(said).toContain(first.socket);
    expect(await hello({ path: first.socket })).toBe("hello");
    await first.program.stop();
  });

  test("is not put in the place of a file", async () => {
    const path = workspace.path("run", "precious.txt");
    writeFileSync(path, "precious");
    chmodSync(path, 0o666);
    const { code, said } = await refused([app, "--listen", `unix:${path}`]);
    expect(code).toBe(1);
    expect(said).toContain(path);
    expect(readFileSync(path, "utf8")).toBe("precious");
  });

  test("in a folder that is not there is one clear line", async () => {
    const { code, said } = await refused([app, "--listen", `unix:${workspace.path("no", "such", "a.sock")}`]);
    expect(code).toBe(1);
    expect(said.trim().split("\n")).toHaveLength(1);
    expect(said).toContain("a.sock");
  });
});

describe("TCP", () => {
  test("serves the loopback interface", async () => {
    const { port, program } = await workspace.daemon([app], { tcp: true });
    expect(await hello({ port })).toBe("hello");
    await program.stop();
  });

  test("on an outer interface serves the loopback, and others only when --allow lists them", async () => {
    const outer = Object.values(networkInterfaces())
      .flat()
      .find((entry) => entry !== undefined && !entry.internal && entry.family === "IPv4")?.address;
    for (const allow of [[], ["--allow", `192.0.2.1,${outer ?? "192.0.2.2"}`]]) {
      const port = await freePort();
      const program = workspace.tsgi(["daemon", app, "--listen", `tcp:0.0.0.0:${port}`, ...allow]);
      await until("the daemon to listen", () => accepts({ port, host: "127.0.0.1" }));
      expect(await hello({ port })).toBe("hello");
      if (outer !== undefined) {
        const asking = hello({ port, host: outer });
        if (allow.length > 0) expect(await asking).toBe("hello");
        else await expect(asking).rejects.toThrow("ended before END_REQUEST");
      }
      await program.stop();
    }
  });

  test("a port in use is one clear line", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as { port: number };
    const { code, said } = await refused([app, "--listen", `tcp:127.0.0.1:${port}`]);
    await new Promise((resolve) => other.close(resolve));
    expect(code).toBe(1);
    expect(said.trim().split("\n"), said).toHaveLength(1);
    expect(said).toContain(String(port));
  });
});

describe("starting", () => {
  const broken: ReadonlyArray<readonly [string, string, RegExp]> = [
    ["a file that is not there", "", /not found|no such|there is no/iu],
    ["a syntax error", "export const = 1;\n", /broken\.ts/u],
    ["no application", "export const a = 1;\nexport const b = 2;\n", /a, b/u],
    ["a failure at import", 'throw new Error("at import on purpose");\n', /at import on purpose/u],
  ];
  for (const [name, source, message] of broken) {
    test(`with ${name}: exit code 1 and the reason`, async () => {
      const dir = `broken-${name.replaceAll(/\W/gu, "-")}`;
      const path = source === "" ? workspace.path(dir, "broken.ts") : await workspace.write(`${dir}/broken.ts`, source);
      const { code, said } = await refused([path, "--listen", `unix:${workspace.path("run", "never.sock")}`]);
      expect(code, said).toBe(1);
      expect(said).toMatch(message);
      expect(said).toContain("broken.ts");
    });
  }

  test("with wrong usage: exit code 2 and what to do", async () => {
    for (const args of [["--no-such-option"], [app, "--listen", "nonsense"], [app, "--socket-mode", "rwx"]]) {
      const { code, said } = await refused(args);
      expect(code, said).toBe(2);
      expect(said.length).toBeGreaterThan(10);
    }
  });
});

describe("ending", () => {
  /** A request whose body is not complete, so that it runs until we send the rest. */
  async function inFlight(daemon: Daemon, keep: boolean): Promise<FcgiPeer> {
    const peer = await FcgiPeer.open({ path: daemon.socket });
    peer.send(
      begin(1, keep),
      params(1, variables("/truncated", { REQUEST_METHOD: "POST", CONTENT_LENGTH: "8" })),
      record(type.stdin, 1, "half"),
    );
    await hello({ path: daemon.socket });
    return peer;
  }

  async function refusesConnections(daemon: Daemon): Promise<void> {
    await until("the daemon to stop accepting", async () => !(await accepts({ path: daemon.socket })));
  }

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`${signal}: a running request is finished, then the daemon ends with 0`, async () => {
      const daemon = await workspace.daemon([app]);
      const peer = await inFlight(daemon, true);
      daemon.program.signal(signal);
      await refusesConnections(daemon);
      expect(daemon.program.end).toBeUndefined();
      peer.send(stdin(1, "half"));
      expect((await peer.reply(1)).stdout.toString()).toContain("a body");
      await peer.closed();
      peer.destroy();
      expect(await daemon.program.ended).toEqual({ code: 0, signal: null });
      expect(existsSync(daemon.socket)).toBe(false);
    });
  }

  test("idle kept connections do not hold the end up", async () => {
    const daemon = await workspace.daemon([app]);
    const peers = await Promise.all(Array.from({ length: 20 }, () => FcgiPeer.open({ path: daemon.socket })));
    onTestFinished(() => {
      for (const peer of peers) peer.destroy();
    });
    for (const peer of peers) {
      peer.send(request(1, variables("/hello"), { keep: true }));
      await peer.reply(1);
    }
    daemon.program.signal("SIGTERM");
    await Promise.all(peers.map((peer) => peer.closed()));
    // Apache does not close its side either: it sees ours when it next uses the connection.
    await until("the daemon to end", () => daemon.program.end, 3000);
    expect(daemon.program.end).toEqual({ code: 0, signal: null });
  });

  test("SIGTERM twice does no harm", async () => {
    const daemon = await workspace.daemon([app]);
    daemon.program.signal("SIGTERM");
    daemon.program.signal("SIGTERM");
    expect(await daemon.program.ended).toEqual({ code: 0, signal: null });
  });
});

describe("limits", () => {
  test("PARAMS that do not end in time: the peer is dropped, and only that one", async () => {
    const daemon: Daemon = await workspace.daemon([app, "--params-timeout", "1"]);
    const slow = await FcgiPeer.open({ path: daemon.socket });
    slow.send(begin(1), record(type.params, 1, "\x01"));
    const idle = await FcgiPeer.open({ path: daemon.socket });
    await slow.closed();
    slow.destroy();
    idle.send(request(1, variables("/hello")));
    expect((await idle.reply(1)).stdout.toString()).toContain("hello");
    idle.destroy();
    await endsCleanly(daemon.program);
  });

  test("a connection beyond the limit gets a real 503, and the others go on", async () => {
    const daemon = await workspace.daemon([app, "--max-connections", "2", "--processes", "1"]);
    const peers = await Promise.all([1, 2].map(() => FcgiPeer.open({ path: daemon.socket })));
    for (const peer of peers) {
      peer.send(request(1, variables("/hello"), { keep: true }));
      expect((await peer.reply(1)).stdout.toString()).toContain("hello");
    }
    const third = await FcgiPeer.open({ path: daemon.socket });
    third.send(request(1, variables("/hello"), { keep: true }));
    expect((await third.reply(1)).stdout.toString()).toMatch(/^Status: 503 /u);
    third.destroy();
    for (const peer of peers) {
      peer.send(request(1, variables("/hello")));
      expect((await peer.reply(1)).stdout.toString()).toContain("hello");
      peer.destroy();
    }
    expect(await until("room again", async () => (await hello({ path: daemon.socket })) === "hello")).toBe(true);
    await endsCleanly(daemon.program);
  });

  test("a kept connection without a request is closed after the idle time, a busy one is not", async () => {
    const daemon = await workspace.daemon([app, "--processes", "1", "--idle-timeout", "300ms"]);
    const busy = await FcgiPeer.open({ path: daemon.socket });
    busy.send(request(1, variables("/gate?busy"), { keep: true }));
    const idle = await FcgiPeer.open({ path: daemon.socket });
    idle.send(request(1, variables("/hello"), { keep: true }));
    await idle.reply(1);
    await idle.closed();
    idle.destroy();
    const opener = await FcgiPeer.open({ path: daemon.socket });
    opener.send(request(1, variables("/open?busy")));
    expect((await opener.reply(1)).stdout.toString()).toContain("opened");
    opener.destroy();
    expect((await busy.reply(1)).stdout.toString()).toContain("the gate was opened");
    busy.destroy();
    await endsCleanly(daemon.program);
  });
});

describe("accidents", () => {
  test("an error that is thrown or rejected outside every request is logged and ends nothing", async () => {
    const daemon = await workspace.daemon([app]);
    const peer = await FcgiPeer.open({ path: daemon.socket });
    peer.send(request(1, variables("/throw-later")));
    expect((await peer.reply(1)).stdout.toString()).toContain("answered");
    peer.destroy();
    await until("both in the log", () =>
      ["thrown outside every request", "rejected outside every request"].every((text) =>
        daemon.program.stderr.includes(text),
      ),
    );
    expect(await hello({ path: daemon.socket })).toBe("hello");
    await endsCleanly(daemon.program);
  });
});

async function endsCleanly(program: Program): Promise<void> {
  expect(await program.stop()).toEqual({ code: 0, signal: null });
}
