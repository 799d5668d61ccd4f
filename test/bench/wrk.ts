// wrk as the client: one run against one URL. Its script sets the request up and prints the figures at the end; nothing of
// it runs per request.
import { execFileSync, spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { within } from "../harness/until.ts";
import type { Answers } from "./verdict.ts";

export interface LoadRequest {
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface LoadResult extends Answers {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Lua takes C's escapes; everything but plain characters is written as \ddd. */
function luaText(text: string): string {
  const bytes = Buffer.from(text);
  const parts = [...bytes].map((byte) => {
    const char = String.fromCharCode(byte);
    return /[\w /&=:;.,%+-]/u.test(char) ? char : `\\${String(byte).padStart(3, "0")}`;
  });
  return `"${parts.join("")}"`;
}

function scriptOf(request: LoadRequest): string {
  const headers = Object.entries(request.headers ?? {});
  return [
    `wrk.method = ${luaText(request.method ?? "GET")}`,
    ...headers.map(([name, value]) => `wrk.headers[${luaText(name)}] = ${luaText(value)}`),
    request.body === undefined ? "" : `wrk.body = ${luaText(request.body)}`,
    "function done(summary, latency)",
    "  local errors = summary.errors",
    "  local failed = errors.connect + errors.read + errors.write + errors.timeout",

    `  io.write(string.format('@{"requests":%d,"us":%d,"bytes":%d,"notOk":%d,"failed":%d,"p50":%d,"p99":%d}\\n',`,
    "    summary.requests, summary.duration, summary.bytes, errors.status, failed,",
    "    latency:percentile(50), latency:percentile(99)))",
    "end",
  ].join("\n");
}

/** wrk's own figures. Throws when it printed none. */
function parse(output: string, clients: number): LoadResult {
  const found = /^@(\{.*\})$/mu.exec(output)?.[1];
  if (found === undefined) throw new Error(`wrk gave no figures:\n${output}`);
  const figures = JSON.parse(found) as Record<"requests" | "us" | "bytes" | "notOk" | "failed" | "p50" | "p99", number>;
  return {
    requests: figures.requests,
    clients,
    notOk: figures.notOk,
    failed: figures.failed,
    bytes: figures.bytes,
    perSecond: figures.requests / (figures.us / 1e6),
    p50Ms: figures.p50 / 1000,
    p99Ms: figures.p99 / 1000,
  };
}

export function hasWrk(): boolean {
  try {
    execFileSync("wrk", ["-v"], { stdio: "ignore" });
  } catch (error) {
    return (error as { code?: string }).code !== "ENOENT"; // wrk -v ends with 1
  }
  return true;
}

export interface LoadOptions {
  readonly clients: number;
  /** A whole number: wrk knows no other. */
  readonly seconds: number;
  /** Is written. */
  readonly scriptFile: string;
}

async function startWrk(
  url: string,
  request: LoadRequest,
  options: LoadOptions,
): Promise<ChildProcessWithoutNullStreams> {
  await writeFile(options.scriptFile, scriptOf(request));
  const times = [`-d${options.seconds}s`, "--timeout", "10s"];
  return spawn("wrk", ["-t1", `-c${options.clients}`, ...times, "-s", options.scriptFile, url]);
}

/** The same without figures, for a shorter time: compilers and caches get warm. */
export async function warmUp(url: string, request: LoadRequest, options: LoadOptions, ms: number): Promise<void> {
  const child = await startWrk(url, request, options);
  const closed = new Promise((resolve) => child.once("error", resolve).once("close", resolve));
  await sleep(ms);
  child.kill("SIGKILL");
  await closed;
}

/** Keeps some connections busy and says what came of it. */
export async function load(url: string, request: LoadRequest, options: LoadOptions): Promise<LoadResult> {
  const child = await startWrk(url, request, options);
  try {
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
    const ended = new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", () => resolve());
    });
    await within("wrk to end", ended, options.seconds * 1000 + 30_000);
    return parse(output, options.clients);
  } finally {
    child.kill("SIGKILL");
  }
}
