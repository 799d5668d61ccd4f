// Slow requests on their way: told of once while they run, and once when they end.
import { expect, test } from "vitest";
import type { MeasuredRequest } from "../../../../src/metrics/meter.ts";
import { RequestMeter } from "../../../../src/metrics/meter.ts";
import { SlowLog } from "../../../../src/server/slow/slow-log.ts";
import { begun } from "../../metrics/measured.ts";
import { collectLog } from "../collected-log.ts";

function begunAgo(meter: RequestMeter, id: string, agoMs: number): MeasuredRequest {
  return begun(meter, { id, target: `/${id}?page=2`, startedMs: performance.now() - agoMs, calledMs: undefined });
}

test("what is fast is not told of, what is slow is: when it is noticed, and when it ends", () => {
  const meter = new RequestMeter();
  const log = collectLog();
  const slow = new SlowLog({ slowMs: 1000, meter, log });
  const old = begunAgo(meter, "old", 1500);
  const young = begunAgo(meter, "young", 100);
  slow.look();
  slow.look();
  expect(log.lines.map(({ fields }) => fields)).toMatchObject([
    { code: "TSGI2131", request_id: "old", path: "/old?page=2", state: "waiting" },
  ]);
  expect(slow.nextMs).toBeGreaterThan(800);
  expect(slow.nextMs).toBeLessThanOrEqual(900);
  meter.ended(young, performance.now());
  meter.ended(old, performance.now());
  expect(log.lines.map(({ fields }) => fields)).toMatchObject([
    { state: "waiting" },
    { request_id: "old", state: "ended", status: 200 },
  ]);
  expect(slow.nextMs).toBeUndefined();
});

test("those that the watchdog took are not told of again, but for their end", () => {
  const meter = new RequestMeter();
  const log = collectLog();
  const slow = new SlowLog({ slowMs: 1000, meter, log });
  const requests = Array.from({ length: 8 }, (_, index) => begunAgo(meter, `r${index}`, 2000 - index));
  expect(slow.takeBlocked().map(({ request_id }) => request_id)).toEqual(["r0", "r1", "r2", "r3", "r4"]);
  expect(slow.takeBlocked()).toEqual([]);
  slow.look();
  expect(log.lines).toEqual([]);
  for (const request of requests) meter.ended(request, performance.now());
  expect(log.lines).toHaveLength(8);
});
