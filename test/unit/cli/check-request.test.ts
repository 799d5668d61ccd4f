import { afterEach, expect, test, vi } from "vitest";
import { tryRequest } from "../../../src/cli/check-request.ts";
import type { Application } from "../../../src/spec.ts";

afterEach(() => {
  vi.useRealTimers();
});

const never = (): Promise<never> => new Promise(() => {});

test.each<[string, Application, boolean, string]>([
  ["no answer", never, false, "GET / had no answer after 10 s"],
  [
    "a stream of events",
    async (_, startResponse) => {
      await startResponse("200 OK", [["Content-Type", "text/event-stream"]])("data: 1\n\n");
      return await never();
    },
    true,
    "GET / had not ended after 10 s: no rule of the contract is broken",
  ],
])("%s by the deadline", async (_, application, isFine, line) => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const trying = tryRequest(application, { url: "/", script: "app.ts" });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await trying).toEqual({ lines: [line], isFine });
});
