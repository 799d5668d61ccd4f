import { expect, test } from "vitest";
import { spanAttributes, variableGetter } from "../../../src/tracing/attributes.ts";
import { variablesOf } from "../gateway/play.ts";

test("a method that anybody made up has the common name", () => {
  const { name, attributes } = spanAttributes(variablesOf({ REQUEST_METHOD: "SMUGGLE", REQUEST_URI: "/a" }));
  expect(name).toBe("HTTP");
  expect(attributes).toMatchObject({ "http.request.method": "_OTHER", "http.request.method_original": "SMUGGLE" });
});

test("what Apache does not tell is not there, and what is long is cut", () => {
  const { attributes } = spanAttributes(
    variablesOf({ REQUEST_URI: `/${"x".repeat(5000)}?`, SERVER_PORT: "", HTTPS: "on" }),
  );
  expect(Object.keys(attributes)).not.toContain("server.port");
  expect(Object.keys(attributes)).not.toContain("url.query");
  expect(attributes["url.scheme"]).toBe("https");
  expect(String(attributes["url.path"]).length).toBe(1024);
});

test("a propagator finds request headers by their names", () => {
  const variables = variablesOf({ HTTP_TRACEPARENT: "00-1", HTTP_X_B3_TRACEID: "2", CONTENT_TYPE: "text/plain" });
  expect(variableGetter.get(variables, "traceparent")).toBe("00-1");
  expect(variableGetter.get(variables, "X-B3-TraceId")).toBe("2");
  expect(variableGetter.get(variables, "tracestate")).toBeUndefined();
  expect(variableGetter.keys(variables)).toEqual(expect.arrayContaining(["traceparent", "x-b3-traceid"]));
  expect(variableGetter.keys(variables)).not.toContain("content-type");
});
