// The global names of the light classes, in a process in which nobody has asked for one yet.
import { expect, test } from "vitest";
import { fetchClasses, hasFetchClasses } from "../../../src/adapters/fetch-classes.ts";
import { installLightClasses } from "../../../src/adapters/fetch-globals.ts";
import { fromFetchHandler } from "../../../src/adapters/fetch-handler.ts";
import { runDirect } from "../../../src/server/direct.ts";

test("what an application puts in the place of one stays there, and Node's are loaded for none of this", () => {
  installLightClasses();
  const Own = Map;
  Object.assign(globalThis, { Response: Own });
  Object.defineProperty(globalThis, "Headers", { value: Own, configurable: true, writable: true });
  expect([globalThis.Response, globalThis.Headers]).toEqual([Own, Own]);
  const { Request: known } = globalThis;
  expect([globalThis.Request === known, globalThis.Response, globalThis.Headers]).toEqual([true, Own, Own]);
  expect(hasFetchClasses()).toBe(false);
  expect(new Request("http://localhost/") instanceof known).toBe(true);
  expect([globalThis.Request === known, globalThis.Response, globalThis.Headers]).toEqual([true, Own, Own]);
});

test("a class that an application puts in the place of Request is that of its requests", async () => {
  const Before = globalThis.Request;
  class Traced extends Before {
    get traceId(): string | null {
      return this.headers.get("x-trace");
    }
  }
  Object.assign(globalThis, { Request: Traced, Headers: fetchClasses().Headers });
  const seen: unknown[] = [];
  const handler = (request: Request): never => {
    seen.push(request instanceof Request, (request as Traced).traceId);
    throw new Error("no answer is needed");
  };
  await runDirect(fromFetchHandler(handler), { method: "GET", url: "/", headers: [["X-Trace", "7"]] });
  globalThis.Request = Before;
  expect(seen).toEqual([true, "7"]);
});
