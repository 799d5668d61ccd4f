import { describe, expect, test } from "vitest";
import { addressOf, proxyTrust, proxyTrustOf } from "../../../src/server/trusted-proxies.ts";
import type { Environ } from "../../../src/spec.ts";

const everything = [
  "X-Forwarded-For",
  "X-Forwarded-Proto",
  "X-Forwarded-Host",
  "X-Forwarded-Port",
  "X-Forwarded-Prefix",
];
const trusted = ["10.0.0.0/8", "192.168.1.1", "2001:db8::/32"];

const base = {
  REMOTE_ADDR: "10.0.0.1",
  REMOTE_PORT: "4711",
  REQUEST_URI: "/x?a=1",
  SCRIPT_NAME: "",
  PATH_INFO: "/x",
  SERVER_PORT: "80",
  REQUEST_SCHEME: "http",
  HTTP_HOST: "inside",
  "wsgi.url_scheme": "http",
};

function environOf(given: Record<string, string>, headers: readonly string[] = everything): Record<string, unknown> {
  const environ: Record<string, unknown> = { ...base, ...given };
  proxyTrust({ trustedProxies: trusted, trustedProxyHeaders: headers })?.(environ as unknown as Environ);
  return environ;
}

/** The properties of `environ` that `expected` has, undefined ones too. */
function same(environ: Record<string, unknown>, expected: Record<string, unknown>): void {
  expect(Object.fromEntries(Object.keys(expected).map((name) => [name, environ[name]]))).toEqual(expected);
}

describe("the client's address", () => {
  test.each<[string, string, string, string | undefined]>([
    // peer, X-Forwarded-For, the client, what is left of the header
    ["10.0.0.1", "203.0.113.7", "203.0.113.7", "203.0.113.7"],
    ["10.0.0.1", "1.1.1.1, 203.0.113.7", "203.0.113.7", "203.0.113.7"],
    ["10.0.0.1", "1.1.1.1, 203.0.113.7, 10.0.0.2", "203.0.113.7", "203.0.113.7, 10.0.0.2"],
    ["10.0.0.1", "10.0.0.3 ,10.0.0.2", "10.0.0.3", "10.0.0.3, 10.0.0.2"],
    ["10.0.0.1", "203.0.113.7:5123", "203.0.113.7", "203.0.113.7:5123"],
    ["10.0.0.1", "[2001:db9::1]:443", "2001:db9::1", "[2001:db9::1]:443"],
    ["10.0.0.1", "2001:DB9:0:0::1", "2001:db9::1", "2001:DB9:0:0::1"],
    ["2001:db8::5", "::ffff:203.0.113.7", "203.0.113.7", "::ffff:203.0.113.7"],
    ["::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7", "203.0.113.7"],
    ["::ffff:a00:1", "203.0.113.7, ::ffff:10.9.9.9", "203.0.113.7", "203.0.113.7, ::ffff:10.9.9.9"],
    // malformed: the last proxy that is known is the client
    ["10.0.0.1", "unknown", "10.0.0.1", undefined],
    ["10.0.0.1", "", "10.0.0.1", undefined],
    ["10.0.0.1", "203.0.113.7,", "10.0.0.1", undefined],
    ["10.0.0.1", "evil, 10.0.0.2", "10.0.0.2", "10.0.0.2"],
    ["10.0.0.1", "203.0.113.999, 10.0.0.2", "10.0.0.2", "10.0.0.2"],
    ["10.0.0.1", "fe80::1%eth0", "10.0.0.1", undefined],
    ["10.0.0.1", "[203.0.113.7]", "10.0.0.1", undefined],
    // a stranger is not believed
    ["203.0.113.9", "1.1.1.1", "203.0.113.9", undefined],
    ["192.168.1.2", "10.0.0.1", "192.168.1.2", undefined],
    ["2001:db9::1", "10.0.0.1", "2001:db9::1", undefined],
    ["", "10.0.0.1", "", undefined],
  ])("of the peer %j that says %j is %j", (peer, list, client, left) => {
    const environ = environOf({ REMOTE_ADDR: peer, HTTP_X_FORWARDED_FOR: list });
    expect([environ["REMOTE_ADDR"], environ["HTTP_X_FORWARDED_FOR"]]).toEqual([client, left]);
    expect(environ["REMOTE_PORT"]).toBe(client === peer ? "4711" : undefined);
  });
});

describe("other headers", () => {
  test.each<[Record<string, string>, Record<string, unknown>]>([
    [{ HTTP_X_FORWARDED_PROTO: "https" }, { "wsgi.url_scheme": "https", HTTPS: "on", REQUEST_SCHEME: "https" }],
    [
      { HTTP_X_FORWARDED_PROTO: "HTTP", HTTPS: "on" },
      { "wsgi.url_scheme": "http", HTTPS: undefined },
    ],
    [{ HTTP_X_FORWARDED_PROTO: "gopher" }, { "wsgi.url_scheme": "http", HTTP_X_FORWARDED_PROTO: undefined }],
    [{ HTTP_X_FORWARDED_PROTO: "https, http" }, { "wsgi.url_scheme": "http" }],
    [
      { HTTP_X_FORWARDED_PROTO: "https, http", HTTP_X_FORWARDED_FOR: "203.0.113.7, 10.0.0.2" },
      { "wsgi.url_scheme": "https", HTTP_X_FORWARDED_PROTO: "https" },
    ],
    [
      { HTTP_X_FORWARDED_HOST: "evil, shop.example, inner", HTTP_X_FORWARDED_FOR: "6.6.6.6, 203.0.113.7, 10.0.0.2" },
      { HTTP_HOST: "shop.example", "tsgi.original.HTTP_HOST": "inside" },
    ],
    [{ HTTP_X_FORWARDED_HOST: "[2001:db8::1]:8443" }, { HTTP_HOST: "[2001:db8::1]:8443" }],
    [{ HTTP_X_FORWARDED_HOST: "a/b" }, { HTTP_HOST: "inside", HTTP_X_FORWARDED_HOST: undefined }],
    [{ HTTP_X_FORWARDED_PORT: "8443" }, { SERVER_PORT: "8443" }],
    [{ HTTP_X_FORWARDED_PORT: "0" }, { SERVER_PORT: "80" }],
    [{ HTTP_X_FORWARDED_PORT: "70000" }, { SERVER_PORT: "80" }],
    [{ HTTP_X_FORWARDED_PREFIX: "/shop/" }, { SCRIPT_NAME: "/shop", REQUEST_URI: "/shop/x?a=1", PATH_INFO: "/x" }],
    [{ HTTP_X_FORWARDED_PREFIX: "/a%20b" }, { SCRIPT_NAME: "/a b", REQUEST_URI: "/a%20b/x?a=1" }],
    [{ HTTP_X_FORWARDED_PREFIX: "/" }, { SCRIPT_NAME: "", REQUEST_URI: "/x?a=1" }],
    ...["shop", "//evil", "/a/../b", "/a?b", "/%zz", "/a b"].map(
      (prefix): [Record<string, string>, Record<string, unknown>] => [
        { HTTP_X_FORWARDED_PREFIX: prefix },
        { SCRIPT_NAME: "", REQUEST_URI: "/x?a=1", HTTP_X_FORWARDED_PREFIX: undefined },
      ],
    ),
  ])("%j", (given, expected) => {
    same(environOf(given), expected);
  });

  test("replace the script's name where the proxy mounts it elsewhere", () => {
    const given = {
      HTTP_X_SCRIPT_NAME: "/shop",
      SCRIPT_NAME: "/inner",
      REQUEST_URI: "/inner/x",
      "tsgi.original.SCRIPT_NAME": "/inner/x",
    };
    expect(environOf(given, ["X-Script-Name"])).toMatchObject({ SCRIPT_NAME: "/shop", REQUEST_URI: "/shop/x" });
  });

  test("that are not named are taken out, whoever sends them", () => {
    const given = { HTTP_X_FORWARDED_PROTO: "https", HTTP_X_REAL_IP: "1.1.1.1", HTTP_FORWARDED: "for=1.1.1.1" };
    for (const peer of ["10.0.0.1", "203.0.113.9"]) {
      const environ = environOf({ ...given, REMOTE_ADDR: peer }, ["X-Forwarded-For"]);
      const originals = Object.entries(given).map(([name, value]) => [`tsgi.original.${name}`, value]);
      expect(environ).toEqual({ ...base, ...Object.fromEntries(originals), REMOTE_ADDR: peer });
    }
  });

  test("of one address take no list", () => {
    expect(environOf({ HTTP_X_REAL_IP: "203.0.113.7" }, ["X-Real-IP"])["REMOTE_ADDR"]).toBe("203.0.113.7");
    expect(environOf({ HTTP_X_REAL_IP: "1.1.1.1, 203.0.113.7" }, ["X-Real-IP"])["REMOTE_ADDR"]).toBe("10.0.0.1");
  });
});

describe("Forwarded", () => {
  test.each<[string, Record<string, unknown>]>([
    [
      "for=203.0.113.7;proto=https;host=shop.example",
      { REMOTE_ADDR: "203.0.113.7", "wsgi.url_scheme": "https", HTTP_HOST: "shop.example" },
    ],
    ['For="[2001:db9::1]:47", for=10.0.0.2;proto=http', { REMOTE_ADDR: "2001:db9::1", "wsgi.url_scheme": "http" }],
    [
      "for=1.1.1.1;host=evil, for=203.0.113.7;host=a.example, for=10.0.0.2",
      { REMOTE_ADDR: "203.0.113.7", HTTP_HOST: "a.example" },
    ],
    ["for=_hidden;proto=https", { REMOTE_ADDR: "10.0.0.1", "wsgi.url_scheme": "https" }],
    ["for=203.0.113.7, for=", { REMOTE_ADDR: "10.0.0.1" }],
    ['for="203.0.113.7', { REMOTE_ADDR: "10.0.0.1" }],
    // what a client wrote so that the proxy's word is not understood
    ["@, for=203.0.113.7;proto=https", { REMOTE_ADDR: "203.0.113.7", "wsgi.url_scheme": "https" }],
    ['for="1.1.1.1, for="[2001:db9::1]:47";proto=https', { REMOTE_ADDR: "2001:db9::1", "wsgi.url_scheme": "https" }],
    ['for=1.1.1.1;x="a, b", for=203.0.113.7, for=10.0.0.2', { REMOTE_ADDR: "203.0.113.7" }],
  ])("%s", (text, expected) => {
    same(environOf({ HTTP_FORWARDED: text }, ["Forwarded"]), { ...expected, HTTP_FORWARDED: undefined });
  });
});

test("nobody is trusted unless somebody is listed", () => {
  expect(proxyTrust({ trustedProxies: [], trustedProxyHeaders: everything })).toBeUndefined();
  expect(proxyTrustOf({})).toBeUndefined();
  expect(() => proxyTrust({ trustedProxies: ["10.0.0.0/33"], trustedProxyHeaders: [] })).toThrow(
    /^--trusted-proxies: /,
  );
});

test("a program that Apache starts has it from its environment", () => {
  const environ = { ...base, HTTP_X_FORWARDED_FOR: "203.0.113.7" } as unknown as Environ;
  proxyTrustOf({ TSGI_TRUSTED_PROXIES: "10.0.0.0/8, ::1" })?.(environ);
  expect(environ.REMOTE_ADDR).toBe("203.0.113.7");
});

test.each([
  ["1.2.3.4", "1.2.3.4"],
  ["1.2.3.4:80", "1.2.3.4"],
  ["1.2.3", undefined],
  ["[::1]", "::1"],
  ["::1:80x", undefined],
  ["a.example", undefined],
])("the address in %j is %j", (text, address) => {
  expect(addressOf(text)).toBe(address);
});
