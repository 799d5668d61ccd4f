// One measurement: a case, a peer, once.
import { readFileSync, writeFileSync } from "node:fs";
import { residentBytes } from "../harness/leftovers.ts";
import { childrenOf, processorMs } from "../harness/process-facts.ts";
import type { Case, RateCase, TimeCase, UploadCase } from "./cases.ts";
import { Client, type TimedAnswer } from "./client.ts";
import type { Ground } from "./ground.ts";
import type { Started } from "./peers.ts";
import { measureProcess } from "./processes.ts";
import { median } from "./statistics.ts";
import { difference, disqualifications } from "./verdict.ts";
import { load, warmUp } from "./wrk.ts";

export interface Measured {
  /** In the unit of the case; undefined when nothing could be measured. */
  readonly value: number | undefined;
  /** More figures: p50Ms, p99Ms, cpuUs and apacheUs (processor time for a request, of the
   * peer's processes and of Apache's), growthMiB. */
  readonly more: Readonly<Record<string, number>>;
  /** Why the figure does not count. */
  readonly reasons: readonly string[];
}

export interface Subject {
  readonly name: string;
  /** Where it is mounted, without a slash at the end. */
  readonly url: string;
  readonly started: Started;
}

export interface Bench {
  readonly ground: Ground;
  readonly apachePid: number;
  readonly isQuick: boolean;
}

const mebibyte = 1_048_576;

function pidsOf(bench: Bench, subject: Subject): readonly number[] {
  return subject.started.pids?.(bench.apachePid) ?? [];
}

/** Of all of them together, ms. */
function processorTime(pids: readonly number[]): number {
  return pids.reduce((total, pid) => total + processorMs(pid), 0);
}

/** Asks `count` times, some at once, and compares every answer. What is wrong is counted under its reason. */
async function check(subject: Subject, one: RateCase, count: number): Promise<{ reasons: string[]; size: number }> {
  const connections = Math.min(one.clients, 8);
  const client = new Client(connections);
  const found = new Map<string, number>();
  let size = 0;
  let left = count;
  const ask = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const answer = await client.ask(subject.url + one.route, one.request).catch((error: unknown) => String(error));
      const problem = typeof answer === "string" ? answer : difference(answer, one.expected);
      if (problem !== undefined) found.set(problem, (found.get(problem) ?? 0) + 1);
      else if (typeof answer !== "string") size = answer.headBytes + answer.body.length;
    }
  };
  try {
    await Promise.all(Array.from({ length: connections }, ask));
  } finally {
    client.close();
  }
  return { reasons: [...found].map(([problem, times]) => `${problem} (${times} of ${count})`), size };
}

async function measureRate(bench: Bench, subject: Subject, one: RateCase, isFirst: boolean): Promise<Measured> {
  const before = await check(subject, one, one.checks);
  const options = {
    clients: one.clients,
    seconds: bench.isQuick ? 1 : 3,
    scriptFile: bench.ground.path("tmp", "request.lua"),
  };
  if (isFirst) await warmUp(subject.url + one.route, one.request, options, bench.isQuick ? 500 : 1500);
  const pids = pidsOf(bench, subject);
  const apache = childrenOf(bench.apachePid).flatMap(({ pid }) => (pids.includes(pid) ? [] : [pid]));
  const [usedBefore, apacheBefore] = [processorTime(pids), processorTime(apache)];
  const result = await load(subject.url + one.route, one.request, options);
  const perRequest = (ms: number): number => (1000 * ms) / Math.max(result.requests, 1);
  const cpuUs = perRequest(processorTime(pids) - usedBefore);
  const apacheUs = perRequest(processorTime(apache) - apacheBefore);
  const after = await check(subject, one, Math.min(one.checks, 10));
  const size = one.hasFixedSize && before.reasons.length === 0 ? before.size : undefined;
  return {
    value: result.perSecond,
    more: {
      p50Ms: result.p50Ms,
      p99Ms: result.p99Ms,
      apacheUs,
      ...(pids.length > 0 ? { cpuUs } : {}),
    },
    reasons: [...before.reasons, ...disqualifications(result, size), ...after.reasons],
  };
}

async function measureTime(bench: Bench, subject: Subject, one: TimeCase): Promise<Measured> {
  const client = new Client(1);
  const times: number[] = [];
  const reasons: string[] = [];
  try {
    // The first is not counted: caches are filled by it.
    for (let index = bench.isQuick ? 7 : 30; index >= 0; index -= 1) {
      const answer = await client.ask(subject.url + one.route);
      const problem = difference(answer, one.expected);
      if (problem !== undefined) reasons.push(problem);
      times.push(answer.ms);
    }
  } finally {
    client.close();
  }
  return { value: median(times.slice(1)), more: { maxMs: Math.max(...times.slice(1)) }, reasons };
}

/** Most resident memory of a process since `forgetPeak`, bytes. */
function peakBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return Number(/^VmHWM:\s+(\d+) kB/mu.exec(status)?.[1] ?? Number.NaN) * 1024;
}

/** proc(5), clear_refs: 5 sets the peak to what is resident now. */
function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

async function measureUpload(bench: Bench, subject: Subject, one: UploadCase): Promise<Measured> {
  const client = new Client(1);
  const url = `${subject.url}/upload`;
  try {
    await client.upload(url, 1_000_000);
    const pids = pidsOf(bench, subject);
    const before = pids.map(residentBytes);
    for (const pid of pids) forgetPeak(pid);
    const answer: TimedAnswer = await client.upload(url, one.bytes);
    const problem = difference(answer, Buffer.from(String(one.bytes)));
    const growth = pids.map((pid, index) => (peakBytes(pid) - (before[index] ?? 0)) / mebibyte);
    return {
      value: answer.ms / 1000,
      more: growth.length === 0 ? {} : { growthMiB: Math.max(...growth) },
      reasons: problem === undefined ? [] : [problem],
    };
  } finally {
    client.close();
  }
}

/** Whatever fails is a reason, and no end of the benchmark. The first time it warms up what is measured. */
export async function measure(bench: Bench, subject: Subject, one: Case, isFirst: boolean): Promise<Measured> {
  try {
    switch (one.kind) {
      case "rate":
        return await measureRate(bench, subject, one, isFirst);
      case "time":
        return await measureTime(bench, subject, one);
      case "upload":
        return await measureUpload(bench, subject, one);
      case "start":
      case "memory":
      case "connection":
        return { more: {}, reasons: [], value: await measureProcess(bench.ground, subject.name, one.kind) };
    }
  } catch (error) {
    return { value: undefined, more: {}, reasons: [error instanceof Error ? error.message : String(error)] };
  }
}
