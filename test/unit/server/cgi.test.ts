import { expect, test } from "vitest";
import { cgiVariables } from "../../../src/server/cgi.ts";

test("the variables are those that the process was started with, without a prototype", () => {
  const variables = cgiVariables();
  expect(Object.getPrototypeOf(variables)).toBeNull();
  expect(variables["PATH"]).toBe(process.env["PATH"]);
  expect(Object.keys(variables).every((name) => name !== "" && !name.includes("="))).toBe(true);
});
