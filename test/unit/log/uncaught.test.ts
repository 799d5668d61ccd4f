// What becomes of the requests that run when an error comes that nobody caught.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ScopedRequest } from "../../../src/log/scope.ts";
import { RequestScope } from "../../../src/log/scope.ts";
import { failRequest } from "../../../src/log/uncaught.ts";
import { collectLog } from "../server/collected-log.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

class FakeRequest implements ScopedRequest {
  readonly log = collectLog();
  older: ScopedRequest | undefined;
  newer: ScopedRequest | undefined;
  progress: number | undefined = 0;
  readonly errors: unknown[] = [];

  expire(error: unknown): void {
    this.errors.push(error);
    this.progress = undefined;
  }
}

const error = new Error("on purpose");

function running(scope: RequestScope, count: number): FakeRequest[] {
  const requests = Array.from({ length: count }, () => new FakeRequest());
  for (const request of requests) scope.run(request, () => {});
  return requests;
}

const failed = (requests: readonly FakeRequest[]): number[] => requests.map(({ errors }) => errors.length);

test("requests that run and are not followed are known, in the order in which they began", () => {
  const scope = new RequestScope({ isExclusive: false });
  const all = running(scope, 4);
  const known = (): string => scope.suspects.map((one) => "abcd"[all.indexOf(one as FakeRequest)]).join("");
  const told = [known()];
  for (const index of [1, 3, 0, 2]) {
    const one = all[index];
    if (one !== undefined) scope.ended(one);
    told.push(known());
  }
  expect(told).toEqual(["abcd", "acd", "ac", "c", ""]);
});

describe("an error whose request is not known", () => {
  test("is after a while that of the only request without an answer", () => {
    const scope = new RequestScope({ isExclusive: false });
    const requests = running(scope, 3);
    const [waiting, streaming, silent] = requests;
    Object.assign(streaming ?? {}, { progress: 100 });
    Object.assign(silent ?? {}, { progress: 100 });
    expect(failRequest(scope, error)).toBe(false);
    vi.advanceTimersByTime(2900);
    expect(failed(requests)).toEqual([0, 0, 0]);
    vi.advanceTimersByTime(200);
    expect([failed(requests), waiting?.errors]).toEqual([[1, 0, 0], [error]]);
    Object.assign(streaming ?? {}, { progress: 101 });
    vi.advanceTimersByTime(7000);
    expect(failed(requests)).toEqual([1, 0, 1]);
  });

  test("is later that of all that could be meant, but not of those that went on, ended or came later", () => {
    const scope = new RequestScope({ isExclusive: false });
    const requests = running(scope, 4);
    failRequest(scope, error);
    requests.push(...running(scope, 1));
    Object.assign(requests[1] ?? {}, { progress: 5 });
    Object.assign(requests[2] ?? {}, { progress: undefined });
    vi.advanceTimersByTime(9900);
    expect(failed(requests)).toEqual([0, 0, 0, 0, 0]);
    vi.advanceTimersByTime(200);
    expect(failed(requests)).toEqual([1, 0, 0, 1, 0]);
  });

  test("is nobody's in a process that follows its requests", () => {
    const scope = new RequestScope({ isExclusive: false, isFollowing: true });
    const requests = running(scope, 2);
    expect(failRequest(scope, error)).toBe(false);
    vi.advanceTimersByTime(60_000);
    expect(failed(requests)).toEqual([0, 0]);
  });
});

describe("an error whose request is known", () => {
  test("is answered at once", () => {
    const scope = new RequestScope({ isExclusive: true });
    const requests = running(scope, 1);
    expect([failRequest(scope, error), failed(requests)]).toEqual([true, [1]]);
  });

  test("breaks a response off that has begun and stands still", () => {
    const scope = new RequestScope({ isExclusive: true });
    const requests = running(scope, 1);
    Object.assign(requests[0] ?? {}, { progress: 7 });
    expect([failRequest(scope, error), failed(requests)]).toEqual([false, [0]]);
    vi.advanceTimersByTime(10_100);
    expect(failed(requests)).toEqual([1]);
  });
});
