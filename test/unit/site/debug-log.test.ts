import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { application } from "../../../apache/site/debug.ts";
import { createDebugLog, debugLogFile } from "../../../apache/site/lib/debug-log.ts";
import { runDirect } from "../../../src/server/direct.ts";
import type { DirectReply } from "../../../src/server/direct.ts";
import type { Application } from "../../../src/spec.ts";
import { usePrivateTemp } from "./private-temp.ts";

usePrivateTemp();

function get(variables: Record<string, string> = {}, asked: Application = application): Promise<DirectReply> {
  return runDirect(asked, { method: "GET", url: "/debug.ts", variables });
}

function logLines(): string[] {
  return readFileSync(debugLogFile(), "utf8").trimEnd().split("\n");
}

/** Logs one message, always. */
function logging(message: string): Application {
  return (environ, startResponse) => {
    createDebugLog(environ)(message, true);
    startResponse("200 OK", [["Content-Type", "text/plain"]]);
    return "done";
  };
}

describe("develop mode", () => {
  test("off, the default, keeps only the lines that must be kept", async () => {
    const reply = await get();
    expect(reply.body.toString()).toContain("Develop mode is <strong>off</strong>");
    expect(logLines()).toEqual([expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d this line is always kept$/)]);
    expect(reply.errors).toBe("debug: this line is always kept");
  });

  test("is switched on by Apache's SetEnv or by the process's environment", async () => {
    const bySetEnv = await get({ DEVELOP_MODE: "on" });
    expect(bySetEnv.body.toString()).toContain("Develop mode is <strong>on</strong>");
    vi.stubEnv("DEVELOP_MODE", "on");
    await get();
    expect(logLines()).toHaveLength(4);
  });

  test("of the process is overruled by Apache's", async () => {
    vi.stubEnv("DEVELOP_MODE", "on");
    await get({ DEVELOP_MODE: "off" });
    expect(logLines()).toHaveLength(1);
  });
});

describe("the log file", () => {
  test("lies outside the site, and only its user may read it", async () => {
    await get();
    expect(dirname(dirname(debugLogFile()))).toBe(tmpdir());
    expect(statSync(dirname(debugLogFile())).mode & 0o777).toBe(0o700);
    expect(statSync(debugLogFile()).mode & 0o777).toBe(0o600);
  });

  test("has one line for a message, whatever is in it", async () => {
    await get({}, logging("one\r\n2021-01-01 00:00:00 forged\u0000\u001b[31m"));
    expect(logLines()).toEqual([expect.stringContaining(" one\\r\\n2021-01-01 00:00:00 forged\\u0000\\u001b[31m")]);
  });

  test("is set aside when it is full", async () => {
    await get();
    writeFileSync(debugLogFile(), "x".repeat(1024 * 1024));
    await get();
    expect(logLines()).toHaveLength(1);
    expect(statSync(`${debugLogFile()}.1`).size).toBe(1024 * 1024);
  });

  test("is not written into a folder that others may enter, and the page still answers", async () => {
    mkdirSync(dirname(debugLogFile()));
    chmodSync(dirname(debugLogFile()), 0o777);
    const reply = await get();
    expect(reply.status).toBe(200);
    expect(reply.errors).toContain("is not a private folder of this user");
    expect(existsSync(debugLogFile())).toBe(false);
  });

  test("is not written through a link that somebody else laid", async () => {
    const elsewhere = join(tmpdir(), "elsewhere");
    mkdirSync(elsewhere, { mode: 0o700 });
    symlinkSync(elsewhere, dirname(debugLogFile()));
    const reply = await get();
    expect(reply.status).toBe(200);
    expect(reply.errors).toContain("is not a private folder of this user");
    expect(existsSync(join(elsewhere, "debug.log"))).toBe(false);
  });
});
