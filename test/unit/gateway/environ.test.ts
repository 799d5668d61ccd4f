import { expect, test } from "vitest";
import { fileWrapper } from "../../../src/gateway/file-wrapper.ts";
import { environOf, silentLog } from "./play.ts";

test("has every key that PEP 3333 requires, also when nothing was passed", () => {
  const environ = environOf({});
  for (const name of ["REQUEST_METHOD", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL"]) {
    expect(environ[name]).toEqual(expect.stringMatching(/./));
  }
  expect(environ).toMatchObject({ SCRIPT_NAME: "", PATH_INFO: "", QUERY_STRING: "" });
  expect(environ["wsgi.version"]).toEqual([1, 0]);
  expect(environ["wsgi.url_scheme"]).toBe("http");
  expect(environ["wsgi.multithread"]).toBe(false);
  expect(environ["wsgi.multiprocess"]).toBe(false);
  expect(environ["wsgi.run_once"]).toBe(false);
  expect(environ["wsgi.file_wrapper"]).toBe(fileWrapper);
  expect(environ["tsgi.transport"]).toBe("fastcgi");
  expect(environ["tsgi.script"]).toBe("/srv/app.ts");
});

test("passes every other variable as it is, odd names included", () => {
  const values = { "HUGE2 x": "y", lower: "1", "a-b": "", SSL_CIPHER: "x", HTTP_X_EMPTY: "", HTTP_COOKIE: "a=\xe9" };
  expect(environOf(values)).toMatchObject(values);
});

test("has no prototype, and names that objects have anyway are ordinary ones", () => {
  expect(Object.getPrototypeOf(environOf({}))).toBeNull();
  expect(environOf({})["toString"]).toBeUndefined();
  const given = JSON.parse('{"__proto__":"p","constructor":"c","hasOwnProperty":"h","toString":"t"}') as Record<
    string,
    string
  >;
  const variables = Object.create(null) as Record<string, string>;
  for (const name of Object.keys(given)) variables[name] = given[name]!;
  const environ = environOf(variables);
  expect(Object.getPrototypeOf(environ)).toBeNull();
  expect(Object.keys(given).map((name) => environ[name])).toEqual(["p", "c", "h", "t"]);
});

test("no variable replaces a key of the gateway", () => {
  const own = Object.keys(environOf({})).filter((name) => /^(?:wsgi|tsgi)\./.test(name));
  expect(own.length).toBeGreaterThan(10);
  const environ = environOf(Object.fromEntries(own.map((name) => [name, "forged"])));
  for (const name of own) expect(environ[name], name).not.toBe("forged");
});

test("HTTP_PROXY never gets in, nor headers that CGI has other names for", () => {
  const environ = environOf({ HTTP_PROXY: "http://evil/", HTTP_CONTENT_TYPE: "a/b", HTTP_CONTENT_LENGTH: "9" });
  expect(Object.keys(environ).filter((name) => name.startsWith("HTTP_"))).toEqual([]);
});

test("an empty CONTENT_TYPE or CONTENT_LENGTH is none; QUERY_STRING comes from the target when it is missing", () => {
  const environ = environOf({ CONTENT_TYPE: "", CONTENT_LENGTH: "", REQUEST_URI: "/a?x=1?2" });
  expect("CONTENT_TYPE" in environ).toBe(false);
  expect("CONTENT_LENGTH" in environ).toBe(false);
  expect(environ.QUERY_STRING).toBe("x=1?2");
  expect(environOf({ QUERY_STRING: "", REQUEST_URI: "/a?x" }).QUERY_STRING).toBe("");
  expect(environOf({ CONTENT_LENGTH: "0" }).CONTENT_LENGTH).toBe("0");
});

test("keeps the original of what it mended, and of nothing else", () => {
  const mended = environOf({
    REQUEST_URI: "/m/x",
    SCRIPT_NAME: "/m/app.cgi",
    PATH_INFO: "/x",
    SCRIPT_FILENAME: "proxy:fcgi://app//srv/app.ts",
  });
  expect(mended).toMatchObject({
    SCRIPT_NAME: "/m",
    PATH_INFO: "/x",
    SCRIPT_FILENAME: "/srv/app.ts",
    "tsgi.original.SCRIPT_NAME": "/m/app.cgi",
    "tsgi.original.SCRIPT_FILENAME": "proxy:fcgi://app//srv/app.ts",
  });
  expect("tsgi.original.PATH_INFO" in mended).toBe(false);
  const whole = environOf({ REQUEST_URI: "/m/x", SCRIPT_NAME: "/m", PATH_INFO: "/x", SCRIPT_FILENAME: "/srv/app.ts" });
  expect(Object.keys(whole).filter((name) => name.startsWith("tsgi.original."))).toEqual([]);
});

test("a variable that was absent has no original", () => {
  const environ = environOf({ REQUEST_URI: "/m/x", SCRIPT_NAME: "/m/x" }, { mountPoint: "/m" });
  expect(environ.PATH_INFO).toBe("/x");
  expect("tsgi.original.PATH_INFO" in environ).toBe(false);
});

test.each([
  [{ HTTP_AUTHORIZATION: "Basic a" }, "Basic a"],
  [{ REDIRECT_HTTP_AUTHORIZATION: "Basic a" }, "Basic a"],
  [{ REDIRECT_REDIRECT_HTTP_AUTHORIZATION: "Basic a" }, "Basic a"],
  [{ Authorization: "Bearer a" }, "Bearer a"],
  [{ REMOTE_USER: "Basic a" }, "Basic a"],
  [{ REDIRECT_REMOTE_USER: "basic a" }, "basic a"],
  [{ HTTP_AUTHORIZATION: "", REDIRECT_HTTP_AUTHORIZATION: "Basic a" }, "Basic a"],
  [{ HTTP_AUTHORIZATION: "Basic own", REDIRECT_HTTP_AUTHORIZATION: "Basic a" }, "Basic own"],
  [{ HTTP_AUTHORIZATION: "Basic own", Authorization: "Basic a" }, "Basic own"],
  [{ HTTP_AUTHORIZATION: "" }, undefined],
  [{ REDIRECT_HTTP_AUTHORIZATION: "" }, undefined],
  [{ REMOTE_USER: "basically" }, undefined],
  [{ REMOTE_USER: "bob" }, undefined],
  [{}, undefined],
])("finds the Authorization header in %j: %j", (variables: Record<string, string>, value) => {
  expect(environOf(variables)["HTTP_AUTHORIZATION"]).toBe(value);
});

test.each([
  [{ HTTPS: "on" }, "https"],
  [{ HTTPS: "ON" }, "https"],
  [{ HTTPS: "1" }, "https"],
  [{ HTTPS: "off" }, "http"],
  [{ HTTPS: "" }, "http"],
  [{ REQUEST_SCHEME: "https" }, "https"],
  [{ REQUEST_SCHEME: "http" }, "http"],
  [{ HTTP_X_FORWARDED_PROTO: "https" }, "http"],
  [{}, "http"],
])("the scheme of %j is %s", (variables: Record<string, string>, scheme) => {
  expect(environOf(variables)["wsgi.url_scheme"]).toBe(scheme);
});

test("the request id is Apache's where there is one", () => {
  expect(environOf({ UNIQUE_ID: "apache-id" }, { requestId: "ours" })["tsgi.request_id"]).toBe("apache-id");
  expect(environOf({}, { requestId: "ours" })["tsgi.request_id"]).toBe("ours");
  expect(environOf({ UNIQUE_ID: "" }, { requestId: "ours" })["tsgi.request_id"]).toBe("ours");
});

test("costly values are made when first read, once, and are ordinary ones then", () => {
  let signals = 0;
  let logs = 0;
  const lazy = {
    signal: () => {
      signals += 1;
      return new AbortController().signal;
    },
    log: () => {
      logs += 1;
      return silentLog;
    },
    atEnd: () => expect.unreachable(),
  };
  const environ = environOf({}, { lazy });
  expect(Object.keys(environ)).toEqual(expect.arrayContaining(["tsgi.signal", "tsgi.log"]));
  expect([signals, logs]).toEqual([0, 0]);
  const { "tsgi.signal": signal } = environ;
  expect(environ["tsgi.signal"]).toBe(signal);
  expect(environ["tsgi.log"]).toBe(silentLog);
  expect({ ...environ }["tsgi.signal"]).toBe(signal);
  expect([signals, logs]).toEqual([1, 1]);
});

test("an application may replace or delete any key, as middleware does", () => {
  const environ = environOf({}, { lazy: { signal: () => expect.unreachable(), log: () => silentLog, atEnd() {} } });
  const signal = new AbortController().signal;
  environ["tsgi.signal"] = signal;
  environ["wsgi.url_scheme"] = "https";
  environ["my.key"] = 1;
  expect(environ["tsgi.signal"]).toBe(signal);
  expect(environ["wsgi.url_scheme"]).toBe("https");
  expect(environ["my.key"]).toBe(1);
  const { PATH_INFO: _, ...rest } = environ;
  expect("PATH_INFO" in rest).toBe(false);
});

test("one application cannot change what another one sees", () => {
  const version = environOf({})["wsgi.version"] as unknown as number[];
  try {
    version[0] = 9;
  } catch {
    // frozen
  }
  expect(environOf({})["wsgi.version"]).toEqual([1, 0]);
});
