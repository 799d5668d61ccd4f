// Multipart bodies that are broken: each is an error with the right status, however it is cut into pieces, and nothing of
// it is a form. busboy 1.6 by itself takes 60 of these 99 without a word.
import { expect, test } from "vitest";
import { FormSyntaxError, FormTypeError, parseForm } from "../../../src/index.ts";
import { end, malformed, one, unknown } from "./broken-bodies.ts";
import { body, field, file, part, posted, readAll, useOwnTemporaryFolder } from "./posted.ts";

useOwnTemporaryFolder();

function cutsOf(text: string): ReadonlyArray<readonly number[]> {
  const everywhere = Array.from({ length: Math.min(text.length, 2000) }, (_, index) => index + 1);
  return [[], [Math.floor(text.length / 2)], everywhere, everywhere.filter((at) => at % 7 === 0)];
}

async function failureOf(text: string, cuts: readonly number[], isWhole: boolean): Promise<unknown> {
  const form = parseForm(posted(text, { cuts }));
  try {
    if (isWhole) await form;
    else await readAll(form);
  } catch (error) {
    return error;
  }
  return undefined;
}

test("the table has enough rows", () => {
  expect(malformed.length + unknown.length).toBeGreaterThanOrEqual(60);
});

test.each(malformed)("%s: 400", async (_, text) => {
  for (const cuts of cutsOf(text)) {
    for (const isWhole of [true, false]) {
      const error = await failureOf(text, cuts, isWhole);
      expect(error).toBeInstanceOf(FormSyntaxError);
      expect(error).toMatchObject({ status: 400, fault: "peer" });
    }
  }
});

test.each(unknown)("%s: 415", async (_, text) => {
  for (const cuts of cutsOf(text)) {
    const error = await failureOf(text, cuts, true);
    expect(error).toBeInstanceOf(FormTypeError);
    expect(error).toMatchObject({ status: 415, fault: "peer" });
  }
});

const types: ReadonlyArray<readonly [type: string, status: number]> = [
  ["multipart/form-data", 400],
  ["multipart/form-data; boundary", 400],
  ["multipart/form-data; boundary=", 400],
  ['multipart/form-data; boundary=""', 400],
  ['multipart/form-data; boundary=" "', 400],
  ['multipart/form-data; boundary="a ', 400],
  ['multipart/form-data; boundary="a "', 400],
  ["multipart/form-data; boundary=a; boundary=b", 400],
  ["multipart/form-data; boundary=a, multipart/form-data; boundary=b", 400],
  [`multipart/form-data; boundary=${"b".repeat(71)}`, 400],
  ['multipart/form-data; boundary="a<b"', 400],
  ["multipart/form-data; boundary=\u00e4", 400],
  ["multipart/form-data boundary=a", 400],
  [";", 400],
  ["", 415],
  ["multipart/mixed; boundary=a", 415],
  ["multipart/form-data-x; boundary=a", 415],
  ["multipart; boundary=a", 415],
  ["text/plain", 415],
  ["application/json", 415],
  ["multipart/form-data; boundary=a; charset=x-none", 415],
  ["application/x-www-form-urlencoded; charset=x-none", 415],
  ["application/x-www-form-urlencoded; charset=utf-16le", 415],
];

test.each(types)("Content-Type %j: %i", async (type, status) => {
  const error = await parseForm(posted("--a--\r\n", { type }))
    .collect()
    .catch((failure: unknown) => failure);
  expect(error).toMatchObject({ status, fault: "peer" });
});

test("every body that is cut short is an error, whatever CONTENT_LENGTH says", async () => {
  const whole = body(field("a", "1"), file("f", "x.txt", "content\r\n--"), field("b", "2"));
  // The line end after the last boundary may be missing.
  for (let length = 0; length < whole.length - 2; length += 1) {
    const cut = whole.subarray(0, length);
    await expect(parseForm(posted(cut)), `${length} bytes`).rejects.toBeInstanceOf(FormSyntaxError);
    const announced = parseForm(posted(cut, { length: whole.length })).collect();
    await expect(announced, `${length} bytes of more`).rejects.toMatchObject({ code: "TSGI1003", status: 400 });
  }
});

test("parts that were whole before an error come first", async () => {
  const names: string[] = [];
  const text = one + field("b", "2") + file("f", "x", "3") + part("nonsense", "4") + end;
  const read = (async () => {
    for await (const { name } of parseForm(posted(text))) names.push(name);
  })();
  await expect(read).rejects.toBeInstanceOf(FormSyntaxError);
  expect(names).toEqual(["a", "b", "f"]);
});
