import { expect, test } from "vitest";
import type { HttpRequest } from "../../../src/server/http-variables.ts";
import { httpVariables } from "../../../src/server/http-variables.ts";

function variablesOf(given: Partial<HttpRequest>): Record<string, string> {
  return httpVariables({
    method: "GET",
    target: "/",
    protocol: "HTTP/1.1",
    scheme: "http",
    serverName: "localhost",
    serverPort: 8000,
    remoteAddress: "127.0.0.1",
    headers: [],
    ...given,
  });
}

test("are those that Apache would pass", () => {
  expect(variablesOf({ method: "POST", target: "/a%20b/%E6%97%A5?x=%20&y", scheme: "https" })).toEqual({
    GATEWAY_INTERFACE: "CGI/1.1",
    SERVER_SOFTWARE: "tsgi",
    SERVER_PROTOCOL: "HTTP/1.1",
    SERVER_NAME: "localhost",
    SERVER_PORT: "8000",
    REMOTE_ADDR: "127.0.0.1",
    REQUEST_METHOD: "POST",
    REQUEST_SCHEME: "https",
    HTTPS: "on",
    REQUEST_URI: "/a%20b/%E6%97%A5?x=%20&y",
    QUERY_STRING: "x=%20&y",
    SCRIPT_NAME: "",
    PATH_INFO: "/a b/\xe6\x97\xa5",
  });
});

test.each([
  ["/", "/", ""],
  ["/?", "/", ""],
  ["/a?b?c", "/a", "b?c"],
  ["//a", "//a", ""],
  ["http://host/a?b", "/a", "b"],
  ["*", "", ""],
])("of the target %j have the path %j and the query %j", (target, path, query) => {
  expect(variablesOf({ target })).toMatchObject({ PATH_INFO: path, QUERY_STRING: query, REQUEST_URI: target });
});

test("name headers as CGI does; doubles are joined, cookies as cookies are", () => {
  const variables = variablesOf({
    headers: [
      ["Host", "example.org:81"],
      ["content-type", "text/plain"],
      ["Content-Length", "3"],
      ["X-A", "1"],
      ["x-a", "2"],
      ["Cookie", "a=1"],
      ["cookie", "b=2"],
      ["X-Latin", "\xe9"],
      ["X-Empty", ""],
    ],
  });
  expect(variables).toMatchObject({
    HTTP_HOST: "example.org:81",
    CONTENT_TYPE: "text/plain",
    CONTENT_LENGTH: "3",
    HTTP_X_A: "1, 2",
    HTTP_COOKIE: "a=1; b=2",
    HTTP_X_LATIN: "\xe9",
    HTTP_X_EMPTY: "",
  });
  expect("HTTP_CONTENT_TYPE" in variables).toBe(false);
});

test.each(["X_A", "X.A", "X A", "X-É", "", "__proto__"])("drop the header %j, as Apache does", (name) => {
  const before = Object.keys(variablesOf({}));
  expect(Object.keys(variablesOf({ headers: [[name, "forged"]] }))).toEqual(before);
});

test("have no prototype", () => {
  const variables = variablesOf({ headers: [["constructor", "x"]] });
  expect(Object.getPrototypeOf(variables)).toBeNull();
  expect(variables["HTTP_CONSTRUCTOR"]).toBe("x");
});
