// What a Node application gets as `url`: the raw target without the mount point.
import { describe, expect, test } from "vitest";
import { requestTargetOf } from "../../../src/adapters/request-target.ts";
import type { Environ } from "../../../src/spec.ts";

function targetOf(
  REQUEST_URI: string | undefined,
  SCRIPT_NAME: string,
  PATH_INFO: string,
  QUERY_STRING = "",
): { url: string; originalUrl: string } {
  const environ = { REQUEST_URI, SCRIPT_NAME, PATH_INFO, QUERY_STRING } as unknown as Environ;
  return requestTargetOf(environ);
}

describe("the URL below the mount point", () => {
  test.each([
    ["/", "", "/", "/"],
    ["/a%20b?x=%zz", "", "/a b", "/a%20b?x=%zz"],
    ["/m/a%2Fb?x", "/m", "/a/b", "/a%2Fb?x"],
    ["/m", "/m", "", "/"],
    ["/m?x=1", "/m", "", "/?x=1"],
    ["/m/", "/m", "/", "/"],
    ["/m//a", "/m", "//a", "//a"],
    ["/%6D/a", "/m", "/a", "/a"],
    ["/%6d?x", "/m", "", "/?x"],
    ["//m/a", "/m", "/a", "/a"],
    ["/m/n/a", "/m/n", "/a", "/a"],
    ["/m%2Fn/a", "/m/n", "/a", "/a"],
    ["/mm/a", "/mm", "/a", "/a"],
    ["http://host:1/m/a?x", "/m", "/a", "http://host:1/a?x"],
    ["http://host/a", "", "/a", "http://host/a"],
    ["*", "", "", "*"],
  ])("%s below %s", (target, mount, pathInfo, wanted) => {
    const query = target.split("?")[1] ?? "";
    expect(targetOf(target, mount, pathInfo, query)).toEqual({ url: wanted, originalUrl: target });
  });

  test.each([
    ["/other/place?q=1", "/m", "/rewritten b", "/rewritten%20b?q=1"],
    ["/other", "/m", "", "/?q=1"],
    ["/mm/a", "/m", "/x", "/x?q=1"],
  ])("%s, rewritten to %s%s, is made of PATH_INFO", (target, mount, pathInfo, wanted) => {
    expect(targetOf(target, mount, pathInfo, "q=1")).toEqual({ url: wanted, originalUrl: target });
  });

  test("is made of the variables where there is no target", () => {
    expect(targetOf(undefined, "/m", "/a\u00e9?", "q")).toEqual({ url: "/a%E9%3F?q", originalUrl: "/m/a%E9%3F?q" });
  });
});
