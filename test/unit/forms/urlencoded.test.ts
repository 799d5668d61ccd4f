// Urlencoded forms and queries against the URL standard as Node has it, and the form's own rules around it.
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeText, FormLimitError, parseForm, parseQuery } from "../../../src/index.ts";
import { environOf } from "../gateway/play.ts";
import { posted, readParts } from "./posted.ts";

const type = "application/x-www-form-urlencoded";
const query = (text: string): Array<readonly [string, string]> => [...parseQuery(environOf({ QUERY_STRING: text }))];

/** Texts full of what matters in the format. Node's URLSearchParams garbles other characters beside a malformed escape. */
const encoded = fc
  .array(
    fc.oneof(
      fc.constantFrom("&", "=", "+", "%", "%2", "%20", "%zz", "%e2%82%ac", "%ff", "%00", "__proto__", ";", "?", "#"),
      fc.string({ unit: "grapheme-ascii", maxLength: 5 }),
    ),
    { maxLength: 30 },
  )
  .map((texts) => texts.join(""));

test("any text, in any pieces, is what URLSearchParams makes of it", async () => {
  await fc.assert(
    fc.asyncProperty(encoded, fc.array(fc.nat(200), { maxLength: 20 }), async (text, cuts) => {
      const wanted = [...new URLSearchParams(text.replace(/^\?/, "%3f"))];
      const bytes = Buffer.from(text);
      const read = await readParts(bytes, { type, cuts: cuts.map((cut) => cut % (bytes.length + 1)) });
      expect(read.map(([name, , value]) => [name, value])).toEqual(wanted);
      expect(query(encodeText(text))).toEqual(wanted);
      expect([...(await parseForm(posted(bytes, { type })))]).toEqual(wanted);
    }),
    { numRuns: 300 },
  );
}, 60_000);

test("what URLSearchParams writes comes out as it went in", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }))), (entries) => {
      expect(query(String(new URLSearchParams(entries)))).toEqual(entries);
    }),
  );
});

const rows: ReadonlyArray<readonly [text: string, pairs: ReadonlyArray<readonly [string, string]>]> = [
  ["", []],
  ["&&", []],
  ["=", [["", ""]]],
  ["a", [["a", ""]]],
  [
    "a=1&a=2",
    [
      ["a", "1"],
      ["a", "2"],
    ],
  ],
  ["a=b=c", [["a", "b=c"]]],
  ["a+b=c%2Bd", [["a b", "c+d"]]],
  ["a=100%", [["a", "100%"]]],
  ["a=%zz%4", [["a", "%zz%4"]]],
  ["a=%E4", [["a", "\ufffd"]]],
  ["a=\xc3\xa4", [["a", "\u00e4"]]],
  ["__proto__=1", [["__proto__", "1"]]],
  ["a=1;b=2", [["a", "1;b=2"]]],
];

test.each(rows)("%j", (text, pairs) => {
  expect(query(text)).toEqual(pairs);
});

test("charsets: of the body, of _charset_, of the application", async () => {
  const values = async (text: string, given = type, charset = "utf-8") =>
    (await readParts(text, { type: given, form: { charset } })).map(([, , value]) => value);
  expect(await values("a=%80")).toEqual(["\ufffd"]);
  expect(await values("a=%80", `${type}; charset=windows-1252`)).toEqual(["\u20ac"]);
  expect(await values("a=%80", `${type};charset="ISO-8859-1";`)).toEqual(["\u20ac"]);
  expect(await values("a=%93%fa", type, "shift_jis")).toEqual(["\u65e5"]);
  expect(await values("_charset_=windows-1252&a=%80")).toEqual(["windows-1252", "\u20ac"]);
});

test("a request without a body is an empty form", async () => {
  expect((await parseForm(environOf({}))).size).toBe(0);
  expect((await parseForm(environOf({ CONTENT_LENGTH: "0" }))).size).toBe(0);
  expect((await parseForm(posted("", { type }))).size).toBe(0);
});

test("a body that is cut short is an error and no form", async () => {
  await expect(parseForm(posted("a=1&b=2", { type, length: 20 }))).rejects.toMatchObject({ status: 400 });
});

test("limits of a query", () => {
  const environ = environOf({ QUERY_STRING: "a=1&b=22&ccc=3" });
  expect(parseQuery(environ, { parts: 3, fieldBytes: 2, nameBytes: 3, totalFieldBytes: 4 }).size).toBe(3);
  for (const limits of [{ parts: 2 }, { fieldBytes: 1 }, { nameBytes: 2 }, { totalFieldBytes: 3 }]) {
    expect(() => parseQuery(environ, limits)).toThrow(FormLimitError);
  }
  expect(() => parseQuery(environOf({ QUERY_STRING: "a&".repeat(1001) }))).toThrow(FormLimitError);
});
