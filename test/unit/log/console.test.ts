import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { captureConsole } from "../../../src/log/console.ts";
import { RequestScope } from "../../../src/log/scope.ts";
import { collectLog } from "../server/collected-log.ts";

let release: () => void = () => {};
afterEach(() => release());

function capture(isExclusive = false) {
  const log = collectLog();
  const scope = new RequestScope({ isExclusive });
  release = captureConsole(log, scope);
  const request = (id: string) => ({
    log: log.child({ request_id: id }),
    older: undefined,
    newer: undefined,
    isUnfollowed: false,
    progress: 0,
    waitsForClient: false,
    expire: () => {},
  });
  const told = (): string[] => log.lines.map(({ message, fields }) => `${String(fields["request_id"])} ${message}`);
  return { log, scope, request, told };
}

describe("a printed line", () => {
  test("has its level and is what Node would have printed", () => {
    const { log } = capture();
    console.log("a %s of %d", "b", 2, { c: [1] });
    console.info("info");
    console.debug("debug");
    console.warn("warn");
    console.error(new Error("oops"));
    expect(log.lines.map(({ level, message }) => `${level} ${message.split("\n")[0]}`)).toEqual([
      "info a b of 2 { c: [ 1 ] }",
      "info info",
      "debug debug",
      "warn warn",
      "error Error: oops",
    ]);
    expect(log.lines.every(({ fields }) => fields["source"] === "console")).toBe(true);
  });

  test("comes of the other methods too: nothing is left to print by itself", () => {
    const { log } = capture();
    console.dir({ a: 1 });
    console.table([{ a: 1 }]);
    console.assert(false, "asserted");
    console.count("counted");
    console.group("group");
    console.groupEnd();
    console.trace("traced");
    console.dirxml("xml");
    console.time("t");
    console.timeEnd("t");
    expect(log.lines).toHaveLength(8);
    expect(log.lines.map(({ message }) => message).join("\n")).toMatch(
      /a: 1[^]*asserted[^]*counted: 1[^]*group[^]*traced/,
    );
  });

  test("holds no secret, and has an end", () => {
    const { log } = capture();
    console.log({ headers: { authorization: "Bearer s3cr3t", cookie: "s3cr3t" } });
    console.log("x".repeat(100_000));
    expect(JSON.stringify(log.lines)).not.toContain("s3cr3t");
    expect(log.lines[1]?.message).toMatch(/x\.\.\. \(34464 more characters\)$/);
  });

  test("of a value that cannot be shown says so, and throws nothing", () => {
    const { log } = capture();
    console.log({
      [Symbol.for("nodejs.util.inspect.custom")]: () => {
        throw new Error("no");
      },
    });
    expect(log.lines[0]?.message).toBe("(what was printed cannot be shown: no)");
  });

  test("goes where it went before once the console is given back", () => {
    const before = { ...console };
    capture();
    expect({ ...console }).not.toEqual(before);
    release();
    expect({ ...console }).toEqual(before);
  });
});

describe("of requests that run at once", () => {
  test("what is printed before the first await has its request, and costs nothing", () => {
    const { scope, request, told } = capture();
    for (const id of ["a", "b"]) {
      scope.run(request(id), () => console.log("in", id));
    }
    console.log("outside");
    expect(told().slice(0, 2)).toEqual(["a in a", "b in b"]);
  });

  test("the first line after an await that finds none switches the following on, for the requests after it", async () => {
    const { scope, request, told } = capture();
    const run = async (id: string): Promise<void> => {
      const it = request(id);
      let work: Promise<void> = Promise.resolve();
      scope.run(it, () => {
        work = (async () => {
          await sleep(1);
          console.log("in", id);
        })();
      });
      await work;
      scope.ended(it);
    };
    expect(scope.isFollowing).toBe(false);
    await run("first");
    expect(scope.isFollowing).toBe(true);
    await Promise.all(["a", "b", "c"].map(run));
    console.log("outside");
    expect(told()[0]).toBe("first in first"); // no other request could have printed it
    expect(told().slice(1, 4).sort()).toEqual(["a in a", "b in b", "c in c"]);
    expect(told()[4]).toBe("undefined outside");
  });

  test("a line that may be of several requests that are not followed has none of them", () => {
    const { scope, request, told } = capture();
    const [a, b] = [request("a"), request("b")];
    scope.run(a, () => {});
    scope.run(b, () => {});
    console.log("whose?");
    scope.ended(a);
    console.log("whose?");
    scope.ended(b);
    console.log("whose?");
    expect(told()).toEqual(["undefined whose?", "b whose?", "undefined whose?"]);
  });

  test("a line that is printed while no request runs switches nothing on", () => {
    const { scope, told } = capture();
    console.log("the module is loaded");
    expect([scope.isFollowing, told()]).toEqual([false, ["undefined the module is loaded"]]);
  });
});

test("where requests come one at a time each has all lines until its end", async () => {
  const { scope, request, told } = capture(true);
  const it = request("a");
  scope.run(it, () => {});
  await sleep(1);
  console.log("later");
  scope.ended(it);
  console.log("idle");
  expect(told()).toEqual(["a later", "undefined idle"]);
  expect(scope.isFollowing).toBe(false);
});
