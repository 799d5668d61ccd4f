// With a program in the place of systemd-notify that writes down how it was called.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { ServiceNotifier, watchdogIntervalMs } from "../../../src/supervisor/notify.ts";
import { until } from "../../harness/until.ts";
import type { CollectedLog } from "../server/collected-log.ts";
import { collectLog } from "../server/collected-log.ts";

let folder: string;
let record: string;
let log: CollectedLog;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-notify-"));
  record = join(folder, "record");
  log = collectLog();
});

afterEach(() => rmSync(folder, { recursive: true }));

/** Puts a `systemd-notify` into the folder: a shell script that records its arguments, one per line, and then goes on. */
function install(more = ""): void {
  const helper = join(folder, "systemd-notify");
  writeFileSync(helper, `#!/bin/sh\nprintf '%s\\n' "[$NOTIFY_SOCKET]" "$@" >> '${record}'\n${more}\n`);
  chmodSync(helper, 0o755);
}

function notifier(env: Record<string, string> = {}): ServiceNotifier {
  const made = new ServiceNotifier({
    env: { PATH: `${folder}:/usr/bin:/bin`, NOTIFY_SOCKET: "/run/notify", ...env },
    log,
    pid: 4711,
  });
  onTestFinished(() => made.close());
  return made;
}

const recorded = (): string[] => (existsSync(record) ? readFileSync(record, "utf8").trimEnd().split("\n") : []);

describe("messages", () => {
  test("go to the service manager's socket with what it wants to know", async () => {
    install();
    const service = notifier();
    expect(service.isActive).toBe(true);
    await service.ready();
    expect(recorded()).toEqual(["[/run/notify]", "READY=1", "MAINPID=4711", "STATUS=serving"]);
    await service.status("4 workers");
    expect(recorded().slice(4)).toEqual(["[/run/notify]", "STATUS=4 workers"]);
    await service.stopping();
    expect(recorded().slice(6)).toEqual(["[/run/notify]", "STOPPING=1", "STATUS=stopping"]);
  });

  test("of a reload carry the time of the clock that systemd goes by", async () => {
    install();
    const before = process.hrtime.bigint() / 1000n;
    await notifier().reloading("generation 4 starts");
    const after = process.hrtime.bigint() / 1000n;
    const [, reloading, time = "", status] = recorded();
    expect([reloading, status]).toEqual(["RELOADING=1", "STATUS=generation 4 starts"]);
    const given = BigInt(/^MONOTONIC_USEC=(\d+)$/.exec(time)?.[1] ?? "0");
    expect(given >= before && given <= after).toBe(true);
  });

  test("leave one after the other, in their order", async () => {
    install("sleep 0.05; echo done >> $0.ends");
    const service = notifier();
    await Promise.all([service.status("1"), service.reloading(), service.ready(), service.stopping()]);
    expect(recorded().filter((line) => /^[A-Z]+=1|^STATUS=1/.test(line))).toEqual([
      "STATUS=1",
      "RELOADING=1",
      "READY=1",
      "STOPPING=1",
    ]);
    expect(readFileSync(join(folder, "systemd-notify.ends"), "utf8")).toBe("done\n".repeat(4));
  });

  test("are one line each, whatever the text says", async () => {
    install();
    await notifier().status(`Error: boom\nREADY=1\u0000${"x".repeat(1000)}`);
    expect(recorded()).toHaveLength(2);
    expect(recorded()[1]).toMatch(/^STATUS=Error: boom READY=1 x{180,200}$/);
  });

  test("are none without a service manager, or when its socket is empty", async () => {
    install();
    for (const env of [{}, { NOTIFY_SOCKET: "" }]) {
      const service = new ServiceNotifier({ env: { PATH: folder, WATCHDOG_USEC: "2000", ...env }, log, pid: 4711 });
      expect(service.isActive).toBe(false);
      await service.ready();
      await service.reloading();
      await service.stopping();
      await service.close();
    }
    expect(recorded()).toEqual([]);
  });
});

describe("a helper", () => {
  test("that is missing is one warning", async () => {
    const service = notifier({ PATH: folder });
    await service.ready();
    await service.stopping();
    expect(log.lines).toEqual([
      {
        level: "warn",
        message: "the service manager cannot be notified",
        fields: { code: "TSGI3216", reason: "spawn systemd-notify ENOENT" },
      },
    ]);
  });

  test("that fails is a warning with what it said", async () => {
    install("echo 'no such socket' >&2; exit 3");
    await notifier().ready();
    expect(log.lines[0]?.fields).toMatchObject({ reason: "systemd-notify ended with 3: no such socket" });
  });

  test("that hangs is ended at its deadline, and the next message goes out", async () => {
    install('test "$1" = STOPPING=1 || exec sleep 60');
    const env = { PATH: `${folder}:/usr/bin:/bin`, NOTIFY_SOCKET: "/run/notify" };
    const service = new ServiceNotifier({ env, log, pid: 4711, deadlineMs: 200 });
    await service.ready();
    await service.stopping();
    expect(log.lines.map(({ fields }) => fields)).toMatchObject([{ reason: "systemd-notify took longer than 200 ms" }]);
    expect(recorded()).toContain("STOPPING=1");
  });

  test("that hangs does not keep the daemon from ending", async () => {
    install("exec sleep 60");
    const env = { PATH: `${folder}:/usr/bin:/bin`, NOTIFY_SOCKET: "/run/notify" };
    const service = new ServiceNotifier({ env, log, pid: 4711, deadlineMs: 200 });
    const sent = Array.from({ length: 5 }, () => service.status("again"));
    await service.close();
    expect(log.lines.length).toBeLessThan(sent.length);
    await Promise.all(sent);
  });

  test("gets nothing else of our environment", async () => {
    install(`env >> '${record}'`);
    await notifier({ SECRET: "x" }).ready();
    expect(recorded().join("\n")).not.toContain("SECRET");
  });
});

describe("the watchdog", () => {
  test("hears of us every half of its limit, from the first readiness until the end", async () => {
    install();
    const service = notifier({ WATCHDOG_USEC: "40000", WATCHDOG_PID: "4711" });
    await service.status("starting");
    expect(recorded()).not.toContain("WATCHDOG=1");
    const pings = (): number => recorded().filter((line) => line === "WATCHDOG=1").length;
    await service.ready();
    await service.ready();
    await until("some messages", () => pings() >= 3);
    await service.close();
    const count = pings();
    await service.status("a message more, by which later ones would be seen");
    expect(pings()).toBe(count);
  });

  test("is sent one message at a time", async () => {
    install(`echo begin >> '${record}'; sleep 0.1; echo end >> '${record}'`);
    const service = notifier({ WATCHDOG_USEC: "2000" });
    await service.ready();
    await until("some messages", () => recorded().filter((line) => line === "end").length >= 3);
    await service.close();
    const marks = recorded().filter((line) => line === "begin" || line === "end");
    expect(marks.join(" ")).toBe("begin end ".repeat(marks.length / 2).trimEnd());
  });

  test.each([
    [{}, undefined],
    [{ WATCHDOG_USEC: "30000000" }, 15_000],
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "4711" }, 15_000],
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "4712" }, undefined],
    [{ WATCHDOG_USEC: "0" }, undefined],
    [{ WATCHDOG_USEC: "abc" }, undefined],
    [{ WATCHDOG_USEC: "-5" }, undefined],
    [{ WATCHDOG_USEC: "1" }, 1],
    [{ WATCHDOG_USEC: "999999999999999" }, 2 ** 31 - 1],
  ])("with %j is sent a message every %s ms", (env, interval) => {
    expect(watchdogIntervalMs(env, 4711)).toBe(interval);
  });
});

const perl = `
use Socket;
socket(my $s, PF_UNIX, SOCK_DGRAM, 0) or die; bind($s, pack_sockaddr_un($ARGV[0])) or die;
$| = 1; print "listening\\n";
while (defined recv($s, my $text, 65536, 0)) { $text =~ s/\\n/|/g; print "$text\\n"; }
`;

/** Whether systemd's own helper and a receiver for its datagrams are there. */
const hasSystemd = ["/usr/bin/systemd-notify", "/usr/bin/perl"].every((file) => existsSync(file));

test.runIf(hasSystemd)("systemd's own helper sends the datagrams", async () => {
  const socket = join(folder, "notify.sock");
  const receiver = spawn("/usr/bin/perl", ["-e", perl, socket], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void receiver.kill("SIGKILL"));
  let text = "";
  receiver.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  await once(receiver.stdout, "data");
  const service = new ServiceNotifier({
    env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "100000" },
    log,
    pid: process.pid,
  });
  onTestFinished(() => service.close());
  await service.reloading();
  await service.ready("generation 4 serves");
  await until("a watchdog's message", () => text.includes("WATCHDOG=1"));
  await service.stopping();
  await until("the last message", () => text.includes("STOPPING=1"));
  expect(log.lines).toEqual([]);
  expect(text).toMatch(/^RELOADING=1\|MONOTONIC_USEC=\d+\|STATUS=reloading/m);
  expect(text).toContain(`READY=1|MAINPID=${process.pid}|STATUS=generation 4 serves`);
});
