// What a watchdog tells of a blocked worker, as the supervisor reads it.
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import type { StuckReport } from "../../../src/supervisor/stuck.ts";
import { onStuckReport, stuckRequests } from "../../../src/supervisor/stuck.ts";

const record = {
  id: "a-1",
  method: "GET",
  path: "/report",
  script: "/srv/app.ts",
  startedAt: "2026-01-02T03:04:05.000Z",
  elapsedMs: 1200,
  status: null,
};
const report: StuckReport = { type: "stuck", requests: [record], stack: ["spin (/srv/app.ts:4:3)"] };

async function read(...chunks: readonly string[]): Promise<StuckReport[]> {
  const stream = new PassThrough();
  const reports: StuckReport[] = [];
  onStuckReport(stream, (one) => reports.push(one));
  const ended = new Promise((resolve) => stream.once("end", resolve));
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  await ended;
  return reports;
}

test("a report is read in whatever pieces it comes", async () => {
  const line = `${JSON.stringify(report)}\n`;
  expect(await read(line)).toEqual([report]);
  expect(await read(...line.split(""))).toEqual([report]);
  expect(await read(line + line.slice(0, 20), line.slice(20))).toEqual([report, report]);
});

test("whatever is none is left out, and the next one is read", async () => {
  const wrong = [
    "",
    "{",
    "null",
    "[]",
    '{"type":"ready"}',
    '{"type":"stuck","requests":1,"stack":[]}',
    '{"type":"stuck"}',
  ];
  expect(await read(`${wrong.join("\n")}\n${JSON.stringify(report)}\n`)).toEqual([report]);
  expect(await read(`${"x".repeat(2 ** 20)}\n${JSON.stringify(report)}\n`)).toEqual([report]);
});

test("lists and texts have limits, and fields are of their types", async () => {
  const huge = {
    type: "stuck",
    requests: Array.from({ length: 100 }, () => ({ ...record, path: 7, elapsedMs: "long" })),
    stack: [...Array.from({ length: 200 }, () => "x".repeat(5000)), 4],
  };
  const [one] = await read(`${JSON.stringify(huge).replaceAll("x".repeat(5000), "x".repeat(1100))}\n`);
  expect(one?.requests.length).toBe(10);
  expect(one?.requests[0]).toMatchObject({ path: "", elapsedMs: 0 });
  expect(one?.stack.length).toBe(50);
  expect(one?.stack[0]?.length).toBe(1024);
});

test("its requests go on being older, and are all in the stack", () => {
  expect(stuckRequests(report, 300, [])).toEqual([{ ...record, elapsedMs: 1500, where: report.stack }]);
  const told = { ...record, id: "told before" };
  expect(stuckRequests({ ...report, requests: [] }, 300, [told])).toEqual([{ ...told, where: report.stack }]);
});
