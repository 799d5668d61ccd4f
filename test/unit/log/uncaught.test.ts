// What becomes of the requests that run when an error comes that nobody caught.
import { AsyncResource } from "node:async_hooks";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ClientGoneError, RequestOverError, StrandedError } from "../../../src/errors.ts";
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
  isUnfollowed = false;
  progress: number | undefined = 0;
  waitsForClient = false;
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

test("requests that run are known, in the order in which they began", () => {
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
  test.each([false, true])("is after a while that of all that stand still: following %j", (isFollowing) => {
    const scope = new RequestScope({ isExclusive: false, isFollowing });
    const requests = running(scope, 6);
    const [unanswered, goesOn, ends, begins, stands, waits] = requests;
    Object.assign(waits ?? {}, { waitsForClient: true });
    Object.assign(goesOn ?? {}, { progress: 100 });
    Object.assign(stands ?? {}, { progress: 100 });
    expect(failRequest(scope, error)).toBe(false);
    requests.push(...running(scope, 1));
    Object.assign(goesOn ?? {}, { progress: 101 });
    Object.assign(ends ?? {}, { progress: undefined });
    Object.assign(begins ?? {}, { progress: 5 });
    vi.advanceTimersByTime(9900);
    expect(failed(requests)).toEqual([0, 0, 0, 0, 0, 0, 0]);
    vi.advanceTimersByTime(200);
    expect(failed(requests)).toEqual([1, 0, 0, 0, 1, 0, 0]);
    // Never with the status of an error that may be another's.
    expect(unanswered?.errors).toEqual([new StrandedError(error)]);
    expect(unanswered?.errors[0]).toMatchObject({ code: "TSGI2111", status: 500 });
  });

  test("is nobody's when it is that of a request that was given up", () => {
    const scope = new RequestScope({ isExclusive: false });
    const requests = running(scope, 2);
    for (const over of [new ClientGoneError(), new RequestOverError("read")]) {
      expect(failRequest(scope, over)).toBe(false);
    }
    vi.advanceTimersByTime(60_000);
    expect(failed(requests)).toEqual([0, 0]);
  });

  test("is nobody's when it comes of what a request left behind that is over", () => {
    const scope = new RequestScope({ isExclusive: false, isFollowing: true });
    const requests = [new FakeRequest(), new FakeRequest()];
    const [first, second] = requests;
    let fail = (): void => {};
    if (first !== undefined) scope.run(first, () => (fail = AsyncResource.bind(() => void failRequest(scope, error))));
    Object.assign(first ?? {}, { progress: undefined });
    if (first !== undefined) scope.ended(first);
    if (second !== undefined) scope.run(second, () => {});
    fail();
    vi.advanceTimersByTime(10_100);
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
