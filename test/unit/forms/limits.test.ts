// Every limit of a form: at the limit it passes, one beyond it is an error with the limit's name and a status.
import { expect, test } from "vitest";
import type { FormLimits } from "../../../src/index.ts";
import { ContractError, FormLimitError, parseForm } from "../../../src/index.ts";
import { body, field, file, part, posted, readParts, useOwnTemporaryFolder } from "./posted.ts";

const folder = useOwnTemporaryFolder();
const kib = 1024;
const mib = 1024 * kib;

const many = (count: number, make: (index: number) => string): string[] =>
  Array.from({ length: count }, (_, i) => make(i));
const header = (bytes: number): string => {
  const disposition = 'Content-Disposition: form-data; name="a"\r\nX: ';
  return part(disposition + "h".repeat(bytes - disposition.length), "1");
};

/** The limit, a body with just as much, one with too much, and the status for it. */
const limits: ReadonlyArray<readonly [name: keyof FormLimits, most: Buffer, beyond: Buffer, status: number]> = [
  ["parts", body(...many(1000, (i) => field(`f${i}`, ""))), body(...many(1001, (i) => field(`f${i}`, ""))), 413],
  ["files", body(...many(100, (i) => file(`f${i}`, "f", ""))), body(...many(101, (i) => file(`f${i}`, "f", ""))), 413],
  ["fieldBytes", body(field("a", "x".repeat(mib))), body(field("a", "x".repeat(mib + 1))), 413],
  [
    "totalFieldBytes",
    body(...many(10, (i) => field(`f${i}`, "x".repeat(mib)))),
    body(...many(10, (i) => field(`f${i}`, "x".repeat(mib))), field("last", "x")),
    413,
  ],
  ["fileBytes", body(file("f", "f", "x".repeat(100 * mib))), body(file("f", "f", "x".repeat(100 * mib + 1))), 413],
  ["headerBytes", body(header(16 * kib)), body(header(16 * kib + 1)), 400],
  ["nameBytes", body(field("n".repeat(kib), "")), body(field("n".repeat(kib + 1), "")), 400],
  ["nameBytes", body(file("f", "n".repeat(kib), "x")), body(file("f", "n".repeat(kib + 1), "x")), 400],
];

test.each(limits)(
  "%s: as many as may be pass, more do not",
  async (name, most, beyond, status) => {
    const cuts = many(Math.floor(beyond.length / 65_536), String).map((_, index) => index * 65_536);
    for (const pieces of [[], cuts]) {
      const form = await parseForm(posted(most, { cuts: pieces.filter((cut) => cut < most.length) }));
      expect(form.size + form.files.length).toBeGreaterThan(0);
      await form.close();
      const error = await parseForm(posted(beyond, { cuts: pieces }))
        .collect()
        .catch((failure: unknown) => failure);
      expect(error).toBeInstanceOf(FormLimitError);
      expect(error).toMatchObject({ limit: name, status, fault: "peer", code: "TSGI1022" });
      expect(folder.files()).toEqual([]);
    }
  },
  60_000,
);

test("an application's own limits, and none", async () => {
  const two = body(field("a", "12345"), file("f", "f", "123"));
  const ok = { parts: 2, files: 1, fieldBytes: 5, totalFieldBytes: 5, fileBytes: 3, headerBytes: 100, nameBytes: 1 };
  expect(await readParts(two, { form: ok })).toHaveLength(2);
  for (const name of Object.keys(ok) as Array<keyof FormLimits>) {
    const form = { ...ok, [name]: name === "headerBytes" ? 30 : ok[name] - 1 };
    await expect(readParts(two, { form }), name).rejects.toMatchObject({ limit: name, most: form[name] });
  }
  const lifted = { fieldBytes: Infinity, totalFieldBytes: Infinity, parts: Infinity, nameBytes: Infinity };
  expect(await readParts(body(field("a", "x".repeat(11 * mib))), { form: lifted })).toHaveLength(1);
});

test("a limit of urlencoded fields holds before the field is whole, escaped or not", async () => {
  const type = "application/x-www-form-urlencoded";
  const read = (text: string) => readParts(text, { type, cuts: many(50, String).map((_, i) => i * 65_536) });
  expect(await read(`a=${"x".repeat(mib)}`)).toHaveLength(1);
  expect(await read(`a=${"%41".repeat(mib)}`)).toHaveLength(1);
  for (const [text, limit] of [
    [`a=${"x".repeat(mib + 1)}`, "fieldBytes"],
    [`a=${"%41".repeat(mib + 1)}`, "fieldBytes"],
    ["x".repeat(4 * mib), "fieldBytes"],
    ["n".repeat(kib + 1), "nameBytes"],
    ["a&".repeat(1001), "parts"],
    [`${`a=${"x".repeat(mib)}&`.repeat(10)}b=1`, "totalFieldBytes"],
  ] as const) {
    await expect(read(text), limit).rejects.toMatchObject({ limit });
  }
});

test("a limit that is none is the application's fault, and told at once", () => {
  for (const value of [-1, Number.NaN, "5" as unknown as number]) {
    expect(() => parseForm(posted(body()), { parts: value })).toThrow(ContractError);
  }
  expect(() => parseForm(posted(body()), { directory: "relative" })).not.toThrow();
});

test("a charset or a folder that is none is the application's fault", async () => {
  const bytes = body(file("f", "f", "1"));
  await expect(parseForm(posted(bytes), { charset: "x-none" })).rejects.toBeInstanceOf(ContractError);
  await expect(parseForm(posted(bytes), { directory: "relative" })).rejects.toBeInstanceOf(ContractError);
});
