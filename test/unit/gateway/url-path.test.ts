import { expect, test } from "vitest";
import { cutAt, fold, isUnder, percentDecode, rawPathOf, urlPathOf } from "../../../src/gateway/url-path.ts";

test.each([
  ["/", "/"],
  ["/a/b", "/a/b"],
  ["/a?x=/y", "/a"],
  ["/a%3Fb?c", "/a%3Fb"],
  ["//host/a", "//host/a"],
  ["http://host/a/b?c", "/a/b"],
  ["HTTP://user@host:8080/a", "/a"],
  ["https://[::1]:8443/a", "/a"],
  ["http://host", "/"],
  ["http://host?x=1", "/"],
  ["*", undefined],
  ["host:443", undefined],
  ["", undefined],
  ["a/b", undefined],
])("the path of the request target %j is %j", (target, path) => {
  expect(rawPathOf(target)).toBe(path);
});

test.each([
  ["/plain", "/plain"],
  ["/a%20b", "/a b"],
  ["/%E6%97%A5", "/\xe6\x97\xa5"],
  ["/%e6%97%a5", "/\xe6\x97\xa5"],
  ["/raw\xe9", "/raw\xe9"],
  ["/%zz%4", "/%zz%4"],
  ["/%2541", "/%41"],
  ["/a+b", "/a+b"],
  ["/%00", "/\0"],
])("decodes %j to %j, once", (text, decoded) => {
  expect(percentDecode(text)).toBe(decoded);
});

test.each([
  ["/a/./b", "/a/b"],
  ["/a/../b", "/b"],
  ["/a/b/..", "/a/"],
  ["/a/.", "/a/"],
  ["/..", "/"],
  ["/../../a", "/a"],
  ["/%2e%2e/a", "/a"],
  ["/a/%2E/b", "/a/b"],
  ["/a/.b/..c/...", "/a/.b/..c/..."],
  ["/a//b", "/a//b"],
  ["/a/b/", "/a/b/"],
  ["http://host/a/../b?x", "/b"],
  ["/a%2Fb", "/a/b"],
  ["/a%252Fb", "/a%2Fb"],
  ["/a%252fb/%2541", "/a%2fb/%41"],
  ["/a%25252Fb", "/a%252Fb"],
  ["/a%252F..%252Fb", "/a%2F..%2Fb"],
])("the decoded path of %j is %j", (target, path) => {
  expect(urlPathOf(target)?.text).toBe(path);
});

test("a dot segment behind an encoded slash is not one: Apache, with AllowEncodedSlashes NoDecode, guards the path as it is", () => {
  expect(urlPathOf("/public%2F..%2Fsecret")?.text).not.toBe("/secret");
});

test.each([
  ["/a//b", "/a/b"],
  ["///", "/"],
  ["/a%2Fb", "/a/b"],
  ["/a%2f/%2Fb", "/a/b"],
  ["/a%252Fb", "/a%252Fb"],
  ["/a%20b", "/a%20b"],
])("%j is compared as %j", (path, folded) => {
  expect(fold(path)).toBe(folded);
});

test.each([
  ["/m/x", 2, "/m", "/x"],
  ["/m", 2, "/m", ""],
  ["/m/x", 0, "", "/m/x"],
  ["//m//x", 2, "//m", "//x"],
  ["/m///x", 2, "/m", "///x"],
  ["///m", 0, "", "///m"],
  ["/a//b//c", 4, "/a//b", "//c"],
  ["/m/x//", 2, "/m", "/x//"],
])("cuts %j where its folded form has %i characters: %j and %j", (text, length, scriptName, pathInfo) => {
  expect(cutAt({ text, folded: fold(text) }, length)).toEqual({ scriptName, pathInfo });
});

test("cuts a path with a literal %2F, which Apache left, at whole slashes", () => {
  const text = "/m%2F%2Fx/y";
  expect(cutAt({ text, folded: fold(text) }, 2)).toEqual({ scriptName: "/m", pathInfo: "%2F%2Fx/y" });
});

test("the two halves are the path again, wherever it is cut", () => {
  for (const text of ["/", "//", "/a//b/c%2Fd///", "%2F%2f/x", "/a/b"]) {
    const path = { text, folded: fold(text) };
    for (let length = 0; length <= path.folded.length; length += 1) {
      const { scriptName, pathInfo } = cutAt(path, length);
      expect(scriptName + pathInfo).toBe(text);
      expect(fold(scriptName)).toHaveLength(length);
    }
  }
});

test.each([
  ["/m/x", "/m", true],
  ["/m", "/m", true],
  ["/mx", "/m", false],
  ["/m/x", "", true],
  ["/x/m", "/m", false],
])("isUnder(%j, %j) is %j", (path, prefix, isIt) => {
  expect(isUnder(path, prefix)).toBe(isIt);
});

/** The shortest of a few runs, ms. */
function timeOf(run: () => void): number {
  return Math.min(
    ...Array.from({ length: 3 }, () => {
      const start = performance.now();
      run();
      return performance.now() - start;
    }),
  );
}

test.each([
  ["slashes", (size: number) => "/".repeat(size)],
  ["slashes before a name", (size: number) => `${"/".repeat(size)}a`],
  ["encoded slashes", (size: number) => `/${"%2F".repeat(size / 3)}`],
  ["doubly encoded slashes", (size: number) => `/${"%252F".repeat(size / 5)}x`],
  ["dots", (size: number) => "/..".repeat(size / 3)],
  ["slashes and dots", (size: number) => "//./../".repeat(size / 7)],
  ["percent signs", (size: number) => `/${"%".repeat(size)}`],
])("eight times as many %s take about eight times as long", (_, make) => {
  const work = (size: number): void => {
    const path = urlPathOf(make(size));
    if (path !== undefined) cutAt(path, Math.floor(path.folded.length / 2));
  };
  const [small, large] = [make(4000).length, make(32_000).length];
  work(small);
  // Quadratic work takes 64 times as long; half a millisecond is the least that is trusted.
  expect(timeOf(() => work(large))).toBeLessThan(
    24 *
      Math.max(
        timeOf(() => work(small)),
        0.5,
      ),
  );
});
