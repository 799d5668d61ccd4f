// The global names of the light classes, in a process in which nobody has asked for one yet.
import { expect, test } from "vitest";
import { hasFetchClasses } from "../../../src/adapters/fetch-classes.ts";
import { installLightClasses } from "../../../src/adapters/fetch-globals.ts";

test("what an application puts in the place of one stays there, and Node's are loaded for none of this", () => {
  installLightClasses();
  const Own = Map;
  Object.assign(globalThis, { Response: Own });
  expect(globalThis.Response).toBe(Own);
  const { Request: known } = globalThis;
  expect([globalThis.Request === known, globalThis.Response as unknown]).toEqual([true, Own]);
  expect(hasFetchClasses()).toBe(false);
  expect(new Request("http://localhost/") instanceof known).toBe(true);
  expect([globalThis.Request === known, globalThis.Response as unknown]).toEqual([true, Own]);
  Object.assign(globalThis, { Headers: Own });
  expect(globalThis.Headers).toBe(Own);
});
