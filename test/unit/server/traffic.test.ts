import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Traffic } from "../../../src/server/traffic.ts";
import { variablesOf } from "../gateway/play.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

const to = (uri: string): Record<string, string> => variablesOf({ REQUEST_URI: uri });

describe("activity", () => {
  test("is when the process begins, then when a request begins, and when it ends", () => {
    const traffic = new Traffic([]);
    const beganMs = performance.now();
    vi.advanceTimersByTime(1000);
    expect(traffic.lastActivityMs).toBe(beganMs);
    const isActivity = traffic.began(to("/a"));
    expect(traffic.lastActivityMs).toBe(beganMs + 1000);
    vi.advanceTimersByTime(1000);
    expect(traffic.lastActivityMs).toBe(beganMs + 1000);
    traffic.ended(isActivity);
    expect(traffic.lastActivityMs).toBe(beganMs + 2000);
    vi.advanceTimersByTime(1000);
    expect(traffic.lastActivityMs).toBe(beganMs + 2000);
    expect(traffic.served).toBe(1);
  });

  test.each([
    ["/health", true],
    ["/health?full=1", true],
    ["http://app.example/health", true],
    ["/health/", false],
    ["/healthy", false],
    ["/metrics/", true],
    ["/metrics/cpu?x", true],
    ["/metrics", false],
    ["/", false],
    ["*", false],
    ["", false],
  ])("a request for %s is ignored: %s", (uri, isIgnored) => {
    const traffic = new Traffic(["/health", "/metrics/*"]);
    const beganMs = traffic.lastActivityMs;
    vi.advanceTimersByTime(1000);
    traffic.ended(traffic.began(to(uri)));
    expect(traffic.lastActivityMs === beganMs).toBe(isIgnored);
    expect(traffic.served).toBe(1);
  });

  test("* ignores everything, and no pattern nothing", () => {
    expect(new Traffic(["*"]).began(to("/a"))).toBe(false);
    expect(new Traffic([]).began(variablesOf({}))).toBe(true);
  });
});
