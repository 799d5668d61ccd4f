import { describe, expect, test } from "vitest";
import { noFigures } from "../../../src/metrics/figures.ts";
import type { EndedRequest } from "../../../src/metrics/tally.ts";
import { maxScripts, Tally } from "../../../src/metrics/tally.ts";

function request(more: Partial<EndedRequest> = {}): EndedRequest {
  return { status: 200, failure: undefined, bytesIn: 10, bytesOut: 100, queuedMs: 0, script: "/srv/a.ts", ...more };
}

test("nothing was counted at first", () => {
  expect(new Tally().figures()).toEqual(noFigures);
});

test("requests are counted by class, failure and script", () => {
  const tally = new Tally();
  tally.count(request(), 5);
  tally.count(request({ status: 404, script: "/srv/b.ts", queuedMs: 20 }), 1);
  tally.count(request({ status: 500, failure: "application" }), 2);
  tally.count(request({ status: 200, failure: "aborted" }), 3);
  tally.count(request({ status: 200, failure: "timedOut" }), 4);
  tally.count(request({ status: 503, script: "" }), undefined);
  tally.count(request({ status: 0, failure: "aborted", script: "" }), undefined);
  const figures = tally.figures();
  expect(figures.responses).toEqual({ "1xx": 0, "2xx": 3, "3xx": 0, "4xx": 1, "5xx": 2 });
  expect(figures.failed).toEqual({ application: 1, aborted: 2, timedOut: 1, protocol: 0 });
  expect([figures.bytesIn, figures.bytesOut]).toEqual([70, 700]);
  expect(figures.queueMs).toMatchObject({ count: 7, max: 20 });
  expect(figures.applicationMs).toMatchObject({ count: 5, max: 5 });
  expect(figures.applications.map(({ script, requests, errors }) => [script, requests, errors])).toEqual([
    ["/srv/a.ts", 4, 2],
    ["/srv/b.ts", 1, 0],
  ]);
});

test("what is taken is handed on once, and all of it together is the whole", () => {
  const [worker, whole, supervisor] = [new Tally(), new Tally(), new Tally()];
  for (let index = 0; index < 100; index += 1) {
    const ended = request({ status: 200 + 100 * (index % 4), script: `/srv/${index % 3}.ts`, queuedMs: index });
    worker.count(ended, index * 1.5);
    whole.count(ended, index * 1.5);
    if (index % 7 === 0) supervisor.add(worker.take());
  }
  supervisor.add(worker.take());
  supervisor.add(worker.take());
  expect(supervisor.figures()).toEqual(whole.figures());
  expect(worker.figures().queueMs.count).toBe(0);
});

describe("many scripts", () => {
  test("the 50 busiest are shown, the rest as other", () => {
    const tally = new Tally();
    for (let script = 1; script <= 60; script += 1) {
      for (let index = 0; index < script; index += 1) tally.count(request({ script: `/srv/${script}.ts` }), 1);
    }
    const { applications } = tally.figures();
    expect(applications.length).toBe(51);
    expect(applications[0]).toMatchObject({ script: "/srv/60.ts", requests: 60 });
    expect(applications[49]).toMatchObject({ script: "/srv/11.ts", requests: 11 });
    expect(applications[50]).toMatchObject({ script: "other", requests: 55, applicationMs: { count: 55 } });
  });

  test("names that come without end need no more memory, and every request is counted", () => {
    const tally = new Tally();
    for (let index = 0; index < 10 * maxScripts; index += 1) tally.count(request({ script: `/srv/${index}.ts` }), 1);
    expect(tally.scripts.size).toBe(maxScripts + 1);
    const total = tally.figures().applications.reduce((sum, { requests }) => sum + requests, 0);
    expect(total).toBe(10 * maxScripts);
    const next = new Tally();
    next.add(tally.counts());
    expect(next.figures()).toEqual(tally.figures());
  });
});
