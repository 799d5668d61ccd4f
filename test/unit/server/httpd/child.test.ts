// A child and everything that it started come to an end.
import { expect, test } from "vitest";
import { Child } from "../../../../src/server/httpd/child.ts";
import { until } from "../../../harness/until.ts";

function start(script: string): { child: Child; output: () => string } {
  const child = new Child("sh", ["/bin/sh", "-c", script], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.process.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  return { child, output: () => text };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function printedPid(output: () => string): Promise<number> {
  return await until("the script to print a process id", () =>
    /^(\d+)\n/.test(output()) ? Number.parseInt(output(), 10) : undefined,
  );
}

test("its end is told in words", async () => {
  await expect(start("exit 3").child.ended).resolves.toBe("exit code 3");
  await expect(start("kill -KILL $$").child.ended).resolves.toBe("killed by SIGKILL");
  await expect(new Child("none", ["/nonexistent/program"], {}).ended).resolves.toMatch(/ENOENT/);
});

test("stopping ends what it left in its group", async () => {
  const { child, output } = start("sleep 600 & echo $!; trap 'exit 0' TERM; wait");
  const grandchild = await printedPid(output);
  await child.stop("SIGTERM", 5000);
  expect(child.ending).toBe("exit code 0");
  await until("the grandchild to end", () => !isAlive(grandchild));
});

test("a child that does not listen is killed at the deadline", async () => {
  const { child, output } = start("trap '' TERM; echo $$; while :; do sleep 600 & wait; done");
  await printedPid(output);
  await child.stop("SIGTERM", 100);
  expect(child.ending).toBe("killed by SIGKILL");
});

test("stopping one that has ended, or never started, is nothing", async () => {
  const { child } = start("exit 0");
  await child.ended;
  await child.stop("SIGTERM", 1000);
  await new Child("none", ["/nonexistent/program"], {}).stop("SIGTERM", 1000);
  expect(child.ending).toBe("exit code 0");
});

test("kill reaches the whole group", async () => {
  const { child, output } = start("sleep 600 & echo $!; wait");
  const grandchild = await printedPid(output);
  child.kill();
  await expect(child.ended).resolves.toBe("killed by SIGKILL");
  await until("the grandchild to end", () => !isAlive(grandchild));
});
