import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { BootError, LoadError } from "../../../src/errors.ts";
import type { Daemon, DaemonOptions } from "../../../src/server/daemon.ts";
import { startDaemon } from "../../../src/server/daemon.ts";
import { within } from "../../harness/until.ts";
import { collectLog } from "./collected-log.ts";
import { paramsOf, Peer } from "./served.ts";

const source = `
export function application(environ, startResponse) {
  startResponse("200 OK", []);
  if (environ.PATH_INFO === "/later") environ["tsgi.wait_until"](globalThis.tsgiDaemonTest);
  return environ.SCRIPT_NAME + " " + environ.PATH_INFO;
}
`;

let folder: string;
let daemon: Daemon | undefined;
const peers: Peer[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-daemon-"));
  writeFileSync(join(folder, "app.ts"), source);
  writeFileSync(join(folder, "broken.ts"), "export const application = (;");
});

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.destroy();
  await daemon?.close(1000);
  daemon = undefined;
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

const socketPath = (): string => join(folder, "app.sock");

function optionsFor(given: Partial<DaemonOptions> & { readonly file?: string } = {}): DaemonOptions {
  const { file = "app.ts", ...rest } = given;
  return {
    target: { kind: "application", reference: { file: join(folder, file), exportName: undefined } },
    listen: { kind: "unix", path: socketPath() },
    socketMode: 0o600,
    socketGroup: undefined,
    allow: [],
    mountPoint: undefined,
    cacheDir: join(folder, "cache"),
    log: collectLog(),
    maxParamsBytes: 2 ** 20,
    maxConnections: 10,
    paramsTimeoutMs: 10_000,
    idleTimeoutMs: 0,
    ...rest,
  };
}

function open(): Peer {
  const peer = new Peer(socketPath());
  peers.push(peer);
  return peer;
}

async function bodyOf(path: string): Promise<string> {
  const peer = open();
  peer.request({ params: paramsOf(path, { SCRIPT_NAME: path, PATH_INFO: "" }) });
  return (await peer.reply()).body.toString();
}

test("serves its application on a socket of the mode that was asked for, and removes the socket", async () => {
  daemon = await startDaemon(optionsFor({ mountPoint: "/m" }));
  expect(daemon.address).toEqual({ kind: "unix", path: socketPath() });
  expect(statSync(socketPath()).mode & 0o777).toBe(0o600);
  expect(await bodyOf("/m/x")).toBe("/m /x");
  expect(await within("the close", daemon.close())).toBe(true);
  expect(existsSync(socketPath())).toBe(false);
});

test.each(["broken.ts", "absent.ts"])(
  "does not open its socket for an application that cannot run: %s",
  async (file) => {
    await expect(startDaemon(optionsFor({ file }))).rejects.toThrow(LoadError);
    expect(existsSync(socketPath())).toBe(false);
  },
);

test("a second one on the same socket is refused, the first goes on", async () => {
  daemon = await startDaemon(optionsFor());
  await expect(startDaemon(optionsFor())).rejects.toThrow(BootError);
  expect(await bodyOf("/x")).toMatch(/x/);
});

test("takes a free TCP port and tells it; loopback may connect", async () => {
  daemon = await startDaemon(optionsFor({ listen: { kind: "tcp", host: "127.0.0.1", port: 0 } }));
  expect(daemon.address).toMatchObject({ kind: "tcp", host: "127.0.0.1" });
  expect((daemon.address as { port: number }).port).toBeGreaterThan(0);
});

test("closing waits for work after the response, within the deadline", async () => {
  let finish: () => void = () => {};
  Object.assign(globalThis, {
    tsgiDaemonTest: new Promise<void>((resolve) => {
      finish = resolve;
    }),
  });
  daemon = await startDaemon(optionsFor({ mountPoint: "" }));
  await bodyOf("/later");
  for (const peer of peers) peer.socket.end();
  let isClosed = false;
  const closed = daemon.close(10_000).then((wasWhole) => {
    isClosed = true;
    return wasWhole;
  });
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  expect(isClosed).toBe(false);
  finish();
  expect(await within("the close", closed)).toBe(true);
});

test("a list of peers that is malformed is told before anything opens", async () => {
  await expect(startDaemon(optionsFor({ allow: ["everybody"] }))).rejects.toThrow(BootError);
  expect(existsSync(socketPath())).toBe(false);
});
