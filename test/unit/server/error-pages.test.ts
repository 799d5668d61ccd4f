import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { debugProblem } from "../../../src/config/debug.ts";
import { parseListenAddress } from "../../../src/config/address.ts";
import { BootError, LoadError } from "../../../src/errors.ts";
import { errorPagesOf, errorPagesOfEnvironment, errorPagesWhenNeeded } from "../../../src/server/error-pages.ts";
import { variablesOf } from "../gateway/play.ts";
import { collectLog } from "./collected-log.ts";

let folder = "";
let file = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-pages-"));
  file = join(folder, "error.html");
  writeFileSync(file, "<p>{{status}} {{ reason }} {{request_id}} {{other}}</p>");
});

afterAll(() => rmSync(folder, { recursive: true }));

const failure = (error: unknown, remote = "127.0.0.1") => ({
  error,
  requestId: "<id>",
  script: "",
  variables: variablesOf({ REMOTE_ADDR: remote }),
});

describe("--error-page", () => {
  test("has status, reason and request id in it, escaped, and nothing of the failure", async () => {
    const log = collectLog();
    const pages = await errorPagesOf({ errorPage: file, isDebug: false });
    const page = pages?.(failure(new LoadError("not-found", "secret")), log);
    expect(page).toMatchObject({ status: "404 Not Found", body: "<p>404 Not Found &#60;id&#62; {{other}}</p>" });
  });

  test("goes with --debug to those who may see no more", async () => {
    const pages = await errorPagesOf({ errorPage: file, isDebug: true });
    expect(pages?.(failure(new Error("secret"), "192.0.2.1"), collectLog())?.body).toContain("<p>500");
    expect(pages?.(failure(new Error("secret")), collectLog())?.body).toContain("secret");
  });

  test.each(["gone.html", ""])("that cannot be read is told at the start: %j", async (name) => {
    await expect(errorPagesOf({ errorPage: join(folder, name), isDebug: false })).rejects.toThrow(BootError);
  });

  test("that is huge is no page", async () => {
    const huge = join(folder, "huge.html");
    writeFileSync(huge, "x".repeat(300_000));
    await expect(errorPagesOf({ errorPage: huge, isDebug: false })).rejects.toThrow(/larger than/);
  });

  test("is read with the first failure where failures are seldom; without a file that can be used there is none", () => {
    const late = join(folder, "late.html");
    const pages = errorPagesWhenNeeded(late);
    writeFileSync(late, "<p>{{status}}</p>");
    const log = collectLog();
    expect(pages?.(failure(new LoadError("not-found", "secret")), log)?.body).toBe("<p>404</p>");
    rmSync(late);
    expect(pages?.(failure(new LoadError("not-found", "secret")), log)?.body).toBe("<p>404</p>");
    const gone = errorPagesWhenNeeded(late);
    for (let count = 0; count < 2; count += 1) expect(gone?.(failure(new Error("secret")), log)).toBeUndefined();
    expect(log.lines.map(({ fields }) => fields["code"])).toEqual(["TSGI3219"]);
    expect(errorPagesWhenNeeded(undefined)).toBeUndefined();
  });

  test("of a program that Apache starts takes nothing with it when it cannot be read", async () => {
    const log = collectLog();
    const pages = await errorPagesOfEnvironment({ TSGI_ERROR_PAGE: "/nonexistent", TSGI_DEBUG: "off" }, log);
    expect([pages, log.lines.length, log.lines[0]?.fields["code"]]).toEqual([undefined, 1, "TSGI3219"]);
  });
});

test("without settings there is nothing to make pages", async () => {
  expect(await errorPagesOf({ errorPage: undefined, isDebug: false })).toBeUndefined();
});

test.each([
  ["unix:/run/x.sock", true],
  ["tcp:127.0.0.1:9000", true],
  ["tcp:127.5.5.5:9000", true],
  ["tcp:[::1]:9000", true],
  ["tcp:localhost:9000", true],
  ["tcp:0.0.0.0:9000", false],
  ["tcp:[::]:9000", false],
  ["tcp:10.0.0.1:9000", false],
  ["tcp:example.com:9000", false],
  ["fd:0", false],
])("--debug with --listen %s: allowed is %s", (address, isAllowed) => {
  expect(debugProblem(parseListenAddress(address)) === undefined).toBe(isAllowed);
});
