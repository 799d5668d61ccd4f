// Three daemons, on 127.0.0.2 to 127.0.0.4, behind mod_proxy_balancer as `tsgi config balancer` prints it. One at a time is
// drained, stopped, cut off and killed under load: only what was in its hands is lost, and nobody is told a lie.
import { existsSync, readFileSync } from "node:fs";
import { chown } from "node:fs/promises";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import { headerValues } from "../harness/http.ts";
import { isRunning } from "../harness/leftovers.ts";
import { Load, type LoadReport } from "../harness/load.ts";
import { apacheAccount, freePort } from "../harness/machine.ts";
import { childrenOf } from "../harness/process-facts.ts";
import type { Program } from "../harness/program.ts";
import { until } from "../harness/until.ts";
import { Workspace } from "../harness/workspace.ts";

let workspace: Workspace;
let apache: Apache;
let port: number;
let app: string;
let secret: string;
/** The daemons by the last number of their address. */
const daemons = new Map<number, Program>();
const clients = 8;
/** Connections that the system keeps for a daemon that does not accept them. */
const backlog = Math.min(4096, Number(readFileSync("/proc/sys/net/core/somaxconn", "utf8")));

const source = (load: string, file: string): string => `
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { answerLoad } from ${JSON.stringify(load)};
const file = ${JSON.stringify(file)};
export const application = async (environ, startResponse) => {
  const answer = answerLoad(environ, startResponse);
  if (answer !== undefined) return answer;
  if (environ.PATH_INFO === "/pay") {
    const body = environ.REQUEST_METHOD === "POST" ? await environ["wsgi.input"].text() : "";
    const isFirst = !existsSync(file) || !readFileSync(file, "utf8").includes(environ.REQUEST_METHOD);
    appendFileSync(file, [environ.REQUEST_METHOD, process.pid, body].join(" ") + "\\n");
    if (isFirst) await new Promise(() => {});
  }
  startResponse("200 OK", [["Content-Type", "text/plain"]]);
  return [process.pid, environ.TSGI_SECRET, environ.BALANCER_WORKER_ROUTE].join(" ");
};
`;

async function startMember(number: number): Promise<void> {
  const listen = `tcp:127.0.0.${number}:${port}`;
  const control = workspace.path("run", `${number}.control`);
  const words = ["daemon", app, "--listen", listen, "--processes", "1", "--control", `unix:${control}`];
  const program = workspace.tsgi([...words, "--secret-file", secret]);
  daemons.set(number, program);
  await until("the member to serve", () => {
    if (program.end !== undefined) throw new Error(program.report());
    return program.stdout.includes("tsgi: listening on ");
  });
}

function member(number: number): Program {
  const program = daemons.get(number);
  if (program === undefined) throw new Error(`there is no member ${number}`);
  return program;
}

/** The supervisor and its workers, these first: none shall do anything about the others. */
function signal(number: number, name: "SIGKILL" | "SIGSTOP" | "SIGCONT"): number[] {
  const { pid } = member(number);
  const pids =
    name === "SIGKILL"
      ? [pid, ...childrenOf(pid).map((child) => child.pid)]
      : [...childrenOf(pid).map((child) => child.pid), pid];
  for (const each of pids) process.kill(each, name);
  return pids;
}

beforeAll(async () => {
  workspace = await Workspace.open();
  workspace.expectLog(/AH\d{5}/u, /proxy_hcheck|proxy_balancer|proxy_fcgi|lbmethod/u);
  app = await workspace.write("app.ts", source(workspace.app("load.ts"), workspace.path("run/paid")));
  secret = await workspace.write("run/secret.conf", 'ProxyFCGISetEnvIf "true" TSGI_SECRET "0123456789abcdef"\n', 0o640);
  const account = apacheAccount();
  if (account !== undefined) await chown(secret, account.uid, account.gid);
  port = await freePort();
  await Promise.all([2, 3, 4].map(startMember));
  const members = [2, 3, 4].flatMap((number) => ["--member", `127.0.0.${number}:${port}`]);
  const words = ["config", "balancer", app, ...members, "--sticky", "--manager", "/manager", "--secret-file", secret];
  const printing = workspace.tsgi(words);
  if ((await printing.ended).code !== 0) throw new Error(printing.report());
  // As printed, but for times that a test cannot wait for.
  const config = printing.stdout
    .replaceAll("timeout=300", "timeout=2")
    .replaceAll("connectiontimeout=2", "connectiontimeout=1")
    .replaceAll("retry=5", "retry=1")
    .replaceAll("hcinterval=5", "hcinterval=1");
  apache = await workspace.apache({
    modules: [
      "proxy",
      "proxy_fcgi",
      "proxy_balancer",
      "proxy_hcheck",
      "lbmethod_bybusyness",
      "slotmem_shm",
      "headers",
      "authz_host",
    ],
    config,
  });
}, 60_000);

afterAll(() => workspace.close(), 60_000);

function load(): Load {
  const running = Load.start({ port: apache.port, clients, pauseMs: 5 });
  onTestFailed(() => {
    process.stderr.write(`${running.describe()}\n`);
  });
  return running;
}

async function allIsWell(): Promise<void> {
  const report = await Load.run({ port: apache.port, clients, requests: 150 });
  expect(report.outcomes).toEqual({ ok: 150 });
}

/** At most one request of each client was with the member, and Apache said so or broke it off. */
function lostOnly(report: LoadReport, most: number, outcomes: readonly string[]): void {
  expect(report.ok).toBeGreaterThan(50);
  expect(report.failed).toBeLessThanOrEqual(most);
  for (const outcome of Object.keys(report.outcomes)) expect(["ok", ...outcomes]).toContain(outcome);
}

/** As a person does in Apache's page. */
async function setStatus(number: number, flag: "N" | "D", isOn: boolean): Promise<void> {
  const page = (await apache.request("/manager")).body.toString("latin1");
  const nonce = /nonce=([0-9a-f-]+)/u.exec(page)?.[1] ?? "";
  const fields = { b: "tsgi", w: `fcgi://127.0.0.${number}:${port}`, nonce, [`w_status_${flag}`]: isOn ? "1" : "0" };
  const body = new URLSearchParams(fields).toString();
  const headers: [string, string][] = [
    ["Content-Type", "application/x-www-form-urlencoded"],
    ["Referer", `${apache.url}/manager`],
  ];
  const reply = await apache.request({ method: "POST", target: "/manager", headers, body });
  expect(reply.status).toBe(200);
}

test("each member serves, whom Apache has sent the secret, and which the application does not see", async () => {
  await allIsWell();
  const seen = new Set<string>();
  const ask = async (): Promise<void> => {
    const reply = await apache.request("/");
    seen.add(reply.body.toString().replace(/^\d+ /, ""));
  };
  // Where each answer is there before the next request comes, the first member may have them all.
  await until("every member to have answered", async () => {
    await Promise.all(Array.from({ length: 12 }, ask));
    return seen.size >= 3;
  });
  expect(seen).toEqual(new Set([" m1", " m2", " m3"]));
});

test("a peer without the secret is refused", async () => {
  const plain = await workspace.apache({
    modules: ["proxy", "proxy_fcgi"],
    config: `
ProxyPass "/" "fcgi://127.0.0.2:${port}/"
<Location "/wrong">
  ProxyFCGISetEnvIf "true" TSGI_SECRET "0123456789abcdeF"
</Location>`,
  });
  expect((await plain.request("/")).status).toBe(403);
  expect((await plain.request("/wrong")).status).toBe(403);
  expect(member(2).stderr).toContain("TSGI1032");
  expect(member(2).stderr).not.toContain("0123456789abcde");
});

test("a visitor stays with a member, and goes to another one when that is gone", async () => {
  const first = await apache.request("/");
  const [cookie = ""] = headerValues(first.headers, "Set-Cookie").map((value) => value.split(";")[0]);
  const route = first.body.toString().split(" ").at(-1) ?? "";
  expect(cookie).toBe(`TSGI_ROUTE=.${route}`);
  for (let turn = 0; turn < 6; turn += 1) {
    const reply = await apache.request({ target: "/", headers: [["Cookie", cookie]] });
    expect([reply.body.toString().split(" ").at(-1), headerValues(reply.headers, "Set-Cookie")]).toEqual([route, []]);
  }
  const number = Number(route.slice(1)) + 1;
  await setStatus(number, "D", true);
  const elsewhere = await apache.request({ target: "/", headers: [["Cookie", cookie]] });
  expect(elsewhere.body.toString().split(" ").at(-1)).not.toBe(route);
  expect(headerValues(elsewhere.headers, "Set-Cookie")).toHaveLength(1);
  await setStatus(number, "D", false);
});

test("a drained member gets nothing new and can be stopped, and nothing is lost", async () => {
  const running = load();
  await running.more(50);
  await setStatus(4, "N", true);
  await running.more(50);
  const [worker] = childrenOf(member(4).pid);
  const before = running.report.workers.get(worker?.pid ?? 0);
  await running.more(100);
  expect(running.report.workers.get(worker?.pid ?? 0)).toBe(before);
  await member(4).stop();
  await running.more(100);
  await startMember(4);
  await setStatus(4, "N", false);
  const [next] = childrenOf(member(4).pid);
  await until("the member to serve again", () => (running.report.workers.get(next?.pid ?? 0) ?? 0) > 0);
  const report = await running.stop();
  expect(report.failed).toBe(0);
});

test("a member that is killed: what it held gets 503 or breaks, the rest goes on", async () => {
  const running = load();
  await running.more(100);
  const pids = signal(2, "SIGKILL");
  await until("the member to be gone", () => pids.every((pid) => !isRunning(pid)));
  await running.more(200);
  lostOnly(await running.stop(), clients, ["503", "broken"]);
  await allIsWell();
  await startMember(2);
});

test("a POST whose member died is not run again with nothing in it; a GET is run again", async () => {
  const file = workspace.path("run/paid");
  const lines = (method: string): string[] =>
    existsSync(file)
      ? readFileSync(file, "utf8")
          .split("\n")
          .filter((line) => line.startsWith(method))
      : [];
  for (const [method, body, status, times] of [
    ["POST", "12 euros", 503, 1],
    ["GET", undefined, 200, 2],
  ] as const) {
    const held = apache.request({ method, target: "/pay", ...(body === undefined ? {} : { body }) });
    await until("a member to have it", () => lines(method).length === 1);
    const worker = Number(lines(method)[0]?.split(" ")[1]);
    const number = [2, 3, 4].find((each) => childrenOf(member(each).pid).some(({ pid }) => pid === worker)) ?? 0;
    signal(number, "SIGKILL");
    expect([method, (await held).status, lines(method).length]).toEqual([method, status, times]);
    const isRefused = (): boolean => [2, 3, 4].some((each) => member(each).stderr.includes("TSGI1031"));
    if (method === "POST") await until("the other member's word on it", isRefused);
    await startMember(number);
  }
});

test("a member that stands still: what it is given times out with 504, and later it serves again", async () => {
  const running = load();
  await running.more(100);
  signal(3, "SIGSTOP");
  await running.more(200);
  signal(3, "SIGCONT");
  await running.more(100);
  lostOnly(await running.stop(), 4 * clients, ["504", "broken", "503"]);
  await allIsWell();
});

test("a member that cannot be reached: the others serve as soon as Apache knows, and it comes back", async () => {
  const running = load();
  await running.more(100);
  signal(4, "SIGSTOP");
  // Connections that nobody accepts, until the system answers no more: as with a cable that was pulled.
  const waiting = Array.from({ length: backlog + 50 }, () => connect({ host: "127.0.0.4", port }));
  for (const socket of waiting) socket.on("error", () => {});
  try {
    await until("Apache's health check to find out", async () =>
      (await apache.request("/manager")).body.includes("HcFl"),
    );
    await running.more(100);
    await allIsWell();
  } finally {
    for (const socket of waiting) socket.destroy();
    signal(4, "SIGCONT");
  }
  lostOnly(await running.stop(), 4 * clients, ["504", "broken", "503"]);
  const again = load();
  const [worker] = childrenOf(member(4).pid);
  await until("the member to serve again", () => (again.report.workers.get(worker?.pid ?? 0) ?? 0) > 0);
  expect((await again.stop()).failed).toBe(0);
});
