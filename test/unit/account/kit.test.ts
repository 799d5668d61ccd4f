// What cannot go into an upload kit is said with its place.
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bundleKit } from "../../../src/account/kit/bundle.ts";

let folder = "";

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "tsgi-test-")));
});

afterEach(() => rmSync(folder, { recursive: true }));

function bundle(text: string): ReturnType<typeof bundleKit> {
  writeFileSync(join(folder, "app.ts"), text);
  return bundleKit({ file: join(folder, "app.ts"), exportName: undefined, adapter: undefined });
}

test.each([
  [
    "a package that is not installed",
    'import x from "no-such-package";\nexport default x;',
    /^app\.ts:1:15: .*"no-such-package"/u,
  ],
  ["a syntax error", "\nexport default (;", /^app\.ts:2:17: /u],
  [
    "native code",
    'import x from "./x.node";\nexport default x;',
    /^app\.ts:1:15: .*Add-ons of native code cannot be bundled/u,
  ],
])("%s", async (_name, text, message) => {
  writeFileSync(join(folder, "x.node"), "");
  await expect(bundle(text)).rejects.toMatchObject({ code: "TSGI3004", message: expect.stringMatching(message) });
});

test("a package that is only asked for in a try is left out", async () => {
  const { code } = await bundle('let x; try { x = require("no-such-package"); } catch {}\nexport default () => x;');
  expect(Buffer.from(code).toString()).toContain("no-such-package");
});
