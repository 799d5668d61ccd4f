import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { peerSecretCheck, readSecret } from "../../../src/server/peer-secret.ts";

let dir: string;
const word = "0123456789abcdef";

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "tsgi-secret-"));
});

afterAll(() => rmSync(dir, { recursive: true }));

function fileOf(text: string, mode = 0o600): string {
  const file = join(dir, "secret");
  rmSync(file, { force: true });
  writeFileSync(file, text, { mode });
  return file;
}

test.each([
  word,
  `${word}\n`,
  `ProxyFCGISetEnvIf "true" TSGI_SECRET "${word}"\n`,
  `# a word\nSetEnv TSGI_SECRET ${word}\n`,
])("the secret in %j is found", (text) => expect(readSecret(fileOf(text))).toBe(word));

test("a file that says nothing, or tells everybody, is an error without its content", () => {
  for (const text of ["", "short", "two words here of twenty letters", `# ${word}`]) {
    expect(() => readSecret(fileOf(text))).toThrow(/needs a secret of at least 16/);
  }
  expect(() => readSecret(fileOf(word, 0o644))).toThrow(/everybody may read it/);
  expect(() => readSecret(join(dir, "absent"))).toThrow(/ENOENT/);
});

test("the right secret is taken out, and anything else is refused, and taken out too", () => {
  const check = peerSecretCheck(word);
  const right = { A: "b", TSGI_SECRET: word, REDIRECT_TSGI_SECRET: word, REDIRECT_REDIRECT_TSGI_SECRET: word };
  check(right);
  expect(right).toEqual({ A: "b" });
  for (const given of [undefined, "", "0123456789abcdeF", `${word}0`, "0123"]) {
    const variables: Record<string, string> = given === undefined ? {} : { TSGI_SECRET: given };
    expect(() => check(variables)).toThrow(expect.objectContaining({ code: "TSGI1032", status: 403 }));
    expect(variables).toEqual({});
  }
});
