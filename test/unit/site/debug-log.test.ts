import { describe, expect, onTestFinished, test, vi } from "vitest";
import { application } from "../../../apache/site/debug.ts";
import { createDebugLog } from "../../../apache/site/lib/debug-log.ts";
import { runDirect } from "../../../src/server/direct.ts";
import type { Application } from "../../../src/spec.ts";
import { collectLog } from "../server/collected-log.ts";

async function get(variables: Record<string, string> = {}, asked: Application = application) {
  const log = collectLog();
  const reply = await runDirect(asked, { method: "GET", url: "/debug.ts", variables, log });
  return { page: reply.body.toString(), lines: log.lines };
}

describe("develop mode", () => {
  test("off, the default, keeps only the lines that must be kept", async () => {
    const { page, lines } = await get({ UNIQUE_ID: "<id-7>" });
    expect(page).toContain("Develop mode is <strong>off</strong>");
    expect(page).toContain("<code>&lt;id-7&gt;</code>");
    expect(lines).toMatchObject([
      { message: "this line is always kept", level: "info", fields: { request_id: "<id-7>", source: "debugLog" } },
    ]);
  });

  test("is switched on by Apache's SetEnv or by the process's environment", async () => {
    const bySetEnv = await get({ DEVELOP_MODE: "on" });
    expect(bySetEnv.page).toContain("Develop mode is <strong>on</strong>");
    vi.stubEnv("DEVELOP_MODE", "on");
    onTestFinished(() => void vi.unstubAllEnvs());
    expect([bySetEnv.lines.length, (await get()).lines.length]).toEqual([2, 2]);
  });

  test("of the process is overruled by Apache's", async () => {
    vi.stubEnv("DEVELOP_MODE", "on");
    onTestFinished(() => void vi.unstubAllEnvs());
    expect((await get({ DEVELOP_MODE: "off" })).lines).toHaveLength(1);
  });
});

test("a message is one line, whatever is in it, and tells whether it was kept", async () => {
  const kept: boolean[] = [];
  const { lines } = await get({}, (environ, startResponse) => {
    const debugLog = createDebugLog(environ);
    kept.push(debugLog("one\r\n2021-01-01 00:00:00 forged", true), debugLog("not kept"));
    startResponse("200 OK", []);
    return "";
  });
  expect(kept).toEqual([true, false]);
  expect(lines.map(({ message }) => message)).toEqual(["one\r\n2021-01-01 00:00:00 forged"]);
});
