// Multipart forms that are well-formed: what comes out is what went in, however the body is cut into pieces.
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseForm } from "../../../src/index.ts";
import { body, boundary, field, file, part, posted, readAll, readParts, useOwnTemporaryFolder } from "./posted.ts";

const folder = useOwnTemporaryFolder();
const utf8 = (bytes: string): string => Buffer.from(bytes, "latin1").toString("utf8");
const latin1 = (text: string): string => Buffer.from(text).toString("latin1");

/** Contents that come close to a delimiter. */
const nearly = fc.constantFrom(
  "\r",
  "\n",
  "\r\n",
  "--",
  "\r\n--",
  `\r\n--${boundary.slice(0, -1)}`,
  `--${boundary}`,
  `\n--${boundary}`,
  `\r\n-${boundary}`,
  "\0",
  "\u00ff",
);
const content = fc
  .array(fc.oneof(nearly, fc.string({ unit: "binary-ascii", maxLength: 20 }), fc.constant("x".repeat(500))), {
    maxLength: 8,
  })
  .map((texts) => texts.join(""))
  // What a client may not send: its own delimiter in a content.
  .filter((text) => !`\r\n${text}\r\n`.includes(`\r\n--${boundary}`));
const name = fc.string({ minLength: 0, maxLength: 12 }).map((text) => text.replace(/["\\]|%(?=22|0[AD])/gi, "_"));
const anyPart = fc.record({
  name,
  filename: fc.option(
    name.map((text) => text.replace(/[/\\]/g, "_")).filter((text) => text !== "." && text !== ".."),
    { nil: undefined },
  ),
  content,
});
const anyBody = fc.record({
  parts: fc.array(anyPart, { maxLength: 6 }),
  preamble: fc.constantFrom("", "\r\n", "This is a form.\r\n", "x\r\n\r\n"),
  epilogue: fc.constantFrom("", "\r\n", "\r\nbye", "\r\n\r\n--", " \t\r\n"),
  padding: fc.constantFrom("", " ", "\t \t"),
});

function written(form: typeof anyBody extends fc.Arbitrary<infer T> ? T : never): Buffer {
  const parts = form.parts.map(({ name, filename, content }) => {
    const given = filename === undefined ? "" : `; filename="${filename}"`;
    const head = `content-disposition:  FORM-data;name="${name}"${given}\r\nX-Other: a\r\n folded`;
    return `--${boundary}${form.padding}\r\n${head}\r\n\r\n${content}\r\n`;
  });
  return Buffer.from(`${form.preamble}${parts.join("")}--${boundary}--${form.epilogue}`, "latin1");
}

test("any parts, in any pieces, come out as they went in and in order", async () => {
  await fc.assert(
    fc.asyncProperty(anyBody, fc.array(fc.nat(5000), { maxLength: 40 }), async (form, cuts) => {
      const bytes = written(form);
      const wanted = form.parts.map((one) =>
        one.filename === undefined
          ? [one.name, undefined, utf8(one.content), "text/plain"]
          : [one.name, one.filename, one.content, "application/octet-stream"],
      );
      expect(await readParts(bytes, { cuts: cuts.map((cut) => cut % (bytes.length + 1)) })).toEqual(wanted);
    }),
    { numRuns: 300 },
  );
}, 60_000);

test("byte by byte it is the same", async () => {
  await fc.assert(
    fc.asyncProperty(anyBody, async (form) => {
      const bytes = written(form);
      const cuts = Array.from({ length: bytes.length }, (_, index) => index);
      expect(await readParts(bytes, { cuts })).toEqual(await readParts(bytes));
    }),
    { numRuns: 30 },
  );
}, 60_000);

test("a collected form has the same fields and files as the iterated one", async () => {
  await fc.assert(
    fc.asyncProperty(anyBody, fc.array(fc.nat(5000), { maxLength: 10 }), async (form, cuts) => {
      const bytes = written(form);
      const collected = await parseForm(posted(bytes, { cuts: cuts.map((cut) => cut % (bytes.length + 1)) }));
      const fields = form.parts.filter(({ filename }) => filename === undefined);
      const files = form.parts.filter(({ filename, content }) => filename !== undefined && filename + content !== "");
      expect([...collected]).toEqual(fields.map((one) => [one.name, utf8(one.content)]));
      expect(collected.files.map((one) => [one.name, one.filename, one.size])).toEqual(
        files.map((one) => [one.name, one.filename, one.content.length]),
      );
      for (const [index, one] of collected.files.entries()) {
        expect((await one.bytes()).toString("latin1")).toBe(files[index]?.content);
      }
      await collected.close();
      expect(folder.files()).toEqual([]);
    }),
    { numRuns: 50 },
  );
}, 60_000);

/** What Node's own FormData makes of a form: the encoding of the HTML standard. */
async function encoded(form: FormData): Promise<{ bytes: Buffer; type: string }> {
  const response = new Response(form);
  return { bytes: Buffer.from(await response.arrayBuffer()), type: response.headers.get("content-type") ?? "" };
}

test("what FormData writes comes out as it went in, names with any characters", async () => {
  // A backslash before a quote or another one is an escape of other clients; "%22" cannot be told from a quote.
  const anyName = fc.string({ unit: "grapheme", maxLength: 10 }).map((text) => `n${text.replace(/[\\%]/g, "_")}`);
  const line = (text: string): string => text.replace(/\r\n|\r|\n/g, "\r\n");
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(anyName, fc.string({ unit: "grapheme" }), fc.boolean()), { maxLength: 5 }),
      async (entries) => {
        const form = new FormData();
        for (const [name, value, isFile] of entries) {
          if (isFile) form.append(name, new Blob([value], { type: "text/plain" }), `${name.replaceAll("/", "_")}.txt`);
          else form.append(name, value);
        }
        const { bytes, type } = await encoded(form);
        expect(await readParts(bytes, { type })).toEqual(
          entries.map(([name, value, isFile]) =>
            isFile
              ? [
                  line(name),
                  line(`${name.replaceAll("/", "_")}.txt`).replace(/^.*[/]/s, ""),
                  latin1(value),
                  "text/plain",
                ]
              : [line(name), undefined, line(value), "text/plain"],
          ),
        );
      },
    ),
    { numRuns: 100 },
  );
}, 60_000);

test("an empty FormData is an empty form", async () => {
  const { bytes, type } = await encoded(new FormData());
  expect(await readParts(bytes, { type })).toEqual([]);
});

test("what a browser sends: text, a list, an empty file input, two files of one input", async () => {
  const bytes = body(
    field("user", latin1("Zo\u00eb")),
    field("tag", "one"),
    field("tag", "two"),
    field("empty", ""),
    file("none", "", ""),
    file("photos", latin1("s\u00fc\u00df.jpg"), "\xff\xd8\xff", "image/jpeg"),
    file("photos", "quote%22.jpg", "second", "image/jpeg"),
  );
  const form = await parseForm(posted(bytes));
  expect(form.get("user")).toBe("Zo\u00eb");
  expect(form.getAll("tag")).toEqual(["one", "two"]);
  expect(form.get("empty")).toBe("");
  expect(form.get("missing")).toBeUndefined();
  expect(form.getAll("missing")).toEqual([]);
  expect([form.has("tag"), form.has("photos"), form.size]).toEqual([true, false, 4]);
  expect(form.files.map(({ filename, mimeType, size }) => [filename, mimeType, size])).toEqual([
    ["s\u00fc\u00df.jpg", "image/jpeg", 3],
    ['quote".jpg', "image/jpeg", 6],
  ]);
  expect(form.file("photos")?.filename).toBe("s\u00fc\u00df.jpg");
  expect(form.file("none")).toBeUndefined();
  await form.close();
  expect((await readParts(bytes))[4]).toEqual(["none", "", "", "application/octet-stream"]);
});

test("names of objects' own properties are names like any other", async () => {
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty", ""];
  const form = await parseForm(posted(body(...names.map((one) => field(one, `value of ${one}`)))));
  for (const one of names) expect(form.getAll(one)).toEqual([`value of ${one}`]);
  expect(form.get("valueOf")).toBeUndefined();
  expect(({} as Record<string, unknown>)["value of __proto__"]).toBeUndefined();
});

test("a part without content and without its empty line is empty", async () => {
  const text = `--${boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n--${boundary}--\r\n`;
  expect(await readParts(text)).toEqual([["a", undefined, "", "text/plain"]]);
});

const fileNames: ReadonlyArray<readonly [parameters: string, filename: string]> = [
  ['filename="a.txt"', "a.txt"],
  ["filename=a.txt", "a.txt"],
  ['FileName="a.txt"', "a.txt"],
  ['filename="/etc/passwd"', "passwd"],
  ['filename="../../etc/passwd"', "passwd"],
  ['filename="C:\\Users\\me\\a.txt"', "a.txt"],
  ['filename="..\\..\\a.txt"', "a.txt"],
  ['filename=".."', ""],
  ['filename="../.."', ""],
  ['filename="."', ""],
  ['filename="a/"', ""],
  ['filename="a\\"b.txt"', 'a"b.txt'],
  ['filename="a%22b%0d%0Ac.txt"', 'a"b\r\nc.txt'],
  ['filename="100%.txt"', "100%.txt"],
  ['filename="a%2Fb.txt"', "a%2Fb.txt"],
  ['filename="a;b=c.txt"', "a;b=c.txt"],
  [`filename="${latin1("\u65e5\u672c.txt")}"`, "\u65e5\u672c.txt"],
  ['filename="a\xffb.txt"', "a\ufffdb.txt"],
  ["filename*=UTF-8''%e2%82%ac%20rates.txt", "\u20ac rates.txt"],
  ["filename*=utf-8'en'na%C3%AFve.txt", "na\u00efve.txt"],
  ["filename*=iso-8859-1''%A3.txt", "\u00a3.txt"],
  ["filename*=windows-1252''%80.txt", "\u20ac.txt"],
  ["filename*=UTF-8''..%2f..%2Fetc%2fpasswd", "passwd"],
  ["filename*=UTF-8''a%5Cb.txt", "b.txt"],
  ["filename=\"plain.txt\"; filename*=UTF-8''better.txt", "better.txt"],
  ["filename*=UTF-8''better.txt; filename=\"plain.txt\"", "better.txt"],
  ["filename*=UTF-8''", ""],
];

test.each(fileNames)("%s is the file name %j", async (parameters, filename) => {
  const text = body(part(`Content-Disposition: form-data; name="f"; ${parameters}`, "x"));
  expect(await readParts(text)).toEqual([["f", filename, "x", "application/octet-stream"]]);
});

const types: ReadonlyArray<readonly [header: string, file: string, field: string]> = [
  ["Content-Type: Text/HTML; charset=utf-8", "text/html", "text/html"],
  ["Content-Type: application/octet-stream", "application/octet-stream", "application/octet-stream"],
  ["Content-Type: multipart/related; boundary=x", "multipart/related", ""],
  ["Content-Type: nonsense", "application/octet-stream", "text/plain"],
  ["Content-Type:", "application/octet-stream", "text/plain"],
  ["Content-Transfer-Encoding: binary", "application/octet-stream", "text/plain"],
  ["Content-Length: 1", "application/octet-stream", "text/plain"],
];

test.each(types)("with %s a file is %s, a field %s", async (header, fileType, fieldType) => {
  const disposition = 'Content-Disposition: form-data; name="a"';
  const asFile = await readParts(body(part(`${disposition}; filename="f"\r\n${header}`, "x")));
  expect(asFile).toEqual([["a", "f", "x", fileType]]);
  if (fieldType === "") return;
  expect(await readParts(body(part(`${disposition}\r\n${header}`, "x")))).toEqual([["a", undefined, "x", fieldType]]);
});

const boundaries = ["x", "b".repeat(70), "----=_Part_1.2", "a b", "'()+_,-./:=?", "--", "-", "1--"];

test.each(boundaries)("the boundary %j", async (given) => {
  const text = body(field("a", "1"), file("f", "f", "2"))
    .toString("latin1")
    .replaceAll(boundary, given);
  const type = `Multipart/Form-Data; charset=utf-8; boundary="${given}"`;
  expect((await readParts(text, { type })).map(([name]) => name)).toEqual(["a", "f"]);
  const bare = `multipart/form-data;boundary=${given};`;
  if (!/[ ,]/.test(given)) expect((await readParts(text, { type: bare })).map(([name]) => name)).toEqual(["a", "f"]);
});

test("charsets: of the field, of _charset_, of the body, of the application, UTF-8", async () => {
  const typed = (type: string, value: string): string =>
    part(`Content-Disposition: form-data; name="\xe9"\r\nContent-Type: ${type}`, value);
  const value = async (bytes: Buffer, type = "", charset?: string) => {
    const options = type === "" ? {} : { type: `multipart/form-data; boundary=${boundary}; ${type}` };
    const read = await readParts(bytes, { ...options, form: charset === undefined ? {} : { charset } });
    return read.map(([name, , text]) => `${name}=${text}`);
  };
  expect(await value(body(typed("text/plain", "\x80")))).toEqual(["\ufffd=\ufffd"]);
  expect(await value(body(typed("text/plain;charset=windows-1252", "\x80")))).toEqual(["\ufffd=\u20ac"]);
  expect(await value(body(typed("text/plain;charset=shift_jis", "\x93\xfa")))).toEqual(["\ufffd=\u65e5"]);
  expect(await value(body(typed("text/plain;charset=utf-16le", "a\0")))).toEqual(["\ufffd=a"]);
  expect(await value(body(typed("text/plain", "\x80")), "charset=iso-8859-1")).toEqual(["\u00e9=\u20ac"]);
  expect(await value(body(typed("text/plain", "\x80")), "", "latin1")).toEqual(["\u00e9=\u20ac"]);
  const chosen = body(typed("text/plain", "\x80"), field("_charset_", "windows-1252"), typed("text/plain", "\x80"));
  expect(await value(chosen)).toEqual(["\ufffd=\ufffd", "_charset_=windows-1252", "\u00e9=\u20ac"]);
  const unknown = body(field("_charset_", "utf-16le"), typed("text/plain", latin1("\u20ac")));
  expect((await value(unknown))[1]).toBe("\ufffd=\u20ac");
  // A byte order mark is text, as in the standard.
  expect(await value(body(field("bom", "\xef\xbb\xbfx")))).toEqual(["bom=\ufeffx"]);
});

test("parts are read without waiting for those behind them", async () => {
  const names: string[] = [];
  const whole = body(field("a", "1"), file("f", "f", "x".repeat(300_000)), field("b", "2"));
  for await (const one of parseForm(posted(whole, { cuts: [200] }))) names.push(one.name); // the file is not read
  expect(names).toEqual(["a", "f", "b"]);
});

test("leaving the iteration early leaves nothing waiting", async () => {
  const whole = body(field("a", "1"), file("f", "f", "x".repeat(300_000)), field("b", "2"));
  for await (const one of parseForm(posted(whole))) if (one.type === "file") break;
  for await (const one of parseForm(posted(whole))) {
    if (one.type !== "file") continue;
    for await (const chunk of one) {
      expect(chunk.length).toBeGreaterThan(0);
      break; // the rest of the file is dropped, and the next part comes
    }
  }
});

test("a form that is read twice says so, and awaited twice is the same", async () => {
  const environ = posted(body(field("a", "1")));
  const form = await parseForm(environ);
  expect(await parseForm(environ)).toBe(form);
  expect(() => parseForm(environ)[Symbol.asyncIterator]()).toThrow(/read as a whole/);
  const other = posted(body(field("a", "1")));
  expect(await readAll(parseForm(other))).toHaveLength(1);
  await expect(parseForm(other).collect()).rejects.toMatchObject({ code: "TSGI2001" });
});
