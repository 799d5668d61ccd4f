import { expect, test } from "vitest";
import { cgiVariables } from "../../../src/server/cgi.ts";

test("the variables are those that the process was started with, without a prototype", () => {
  const variables = cgiVariables();
  expect(Object.getPrototypeOf(variables)).toBeNull();
  expect(variables["PATH"]).toBe(process.env["PATH"]);
  expect(Object.keys(variables).every((name) => name !== "" && !name.includes("="))).toBe(true);
});

test("variables that are not ASCII are bytes, also where they are not UTF-8", () => {
  const name = "TSGI_TEST_BYTES";
  process.env[name] = "\u00fc";
  try {
    // What this process was started with does not have it: it is the file of the system that is read then.
    expect(cgiVariables()[name]).toBe(undefined);
  } finally {
    delete process.env[name];
  }
});
