import { appendFileSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Inputs } from "../../../src/loader/inputs.ts";
import { checkWatch, fingerprint, signatureOf, watchFile } from "../../../src/loader/watch.ts";

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tsgi-watch-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

describe("a watch", () => {
  it("sees a write, a removal, a replacement and an appearance", () => {
    const file = write("a", "1");
    const later = join(folder, "b");
    const watch = { files: [watchFile(file, Date.now())], absent: [later] };
    const change = (): string | undefined => checkWatch(watch, Date.now()).change;
    expect(change()).toBeUndefined();
    write("b", "");
    expect(change()).toBe(later);
    rmSync(later);
    expect(change()).toBeUndefined();
    appendFileSync(file, "2");
    expect(change()).toBe(file);
    rmSync(file);
    expect(change()).toBe(file);
    write("a", "1");
    expect(change()).toBe(file);
  });

  it("sees other content of a young file although its status is the same", () => {
    const file = write("a", "one");
    const { young } = watchFile(file, Date.now());
    write("a", "two");
    const sameStatus = { path: file, signature: signatureOf(file) };
    expect(young).toBe(fingerprint("one"));
    expect(checkWatch({ files: [{ ...sameStatus, young: fingerprint("one") }], absent: [] }, Date.now()).change).toBe(
      file,
    );
    expect(
      checkWatch({ files: [{ ...sameStatus, young: fingerprint("two") }], absent: [] }, Date.now()).change,
    ).toBeUndefined();
    expect(checkWatch({ files: [sameStatus], absent: [] }, Date.now()).change).toBeUndefined();
  });

  it("stops comparing contents when a file has aged", () => {
    const file = write("a", "one");
    const watch = { files: [watchFile(file, Date.now())], absent: [] };
    expect(checkWatch(watch, Date.now()).settled).toBeUndefined();
    const later = statSync(file).ctimeMs + 5_000;
    const { change, settled } = checkWatch(watch, later);
    expect(change).toBeUndefined();
    expect(settled).toEqual({ files: [{ path: file, signature: signatureOf(file) }], absent: [] });
    expect(watchFile(file, later)).toEqual({ path: file, signature: signatureOf(file) });
  });

  it("takes a file whose time lies in the future as young", () => {
    const file = write("a", "one");
    const future = new Date(Date.now() + 3_600_000);
    utimesSync(file, future, future);
    expect(watchFile(file, Date.now()).young).toBe(fingerprint("one"));
  });

  it("sees a new file in a folder", () => {
    const watch = { files: [watchFile(folder, Date.now())], absent: [] };
    expect(checkWatch(watch, Date.now()).change).toBeUndefined();
    write("new", "");
    expect(checkWatch(watch, Date.now()).change).toBe(folder);
  });

  it("takes a file that cannot be read as absent", () => {
    expect(signatureOf(join(folder, "none"))).toBe("");
    expect(signatureOf(join(write("plain", ""), "below"))).toBe("");
    expect(signatureOf("a\0b")).toBe("");
  });
});

describe("the inputs of a compilation", () => {
  it("are the source, the settings that apply to it, and the settings that are absent", () => {
    mkdirSync(join(folder, "sub"));
    const source = write("sub/app.ts", "");
    const settings = write("tsconfig.json", `{ // "extends": "./old"\n "extends": ["./one", "@scope/base"] }`);
    const one = write("one.json", `{}`);
    const inputs = new Inputs();
    inputs.addSource(source);
    const paths = inputs.watch.files.map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining([source, settings, one]));
    expect(inputs.watch.absent).toEqual(
      expect.arrayContaining([
        join(folder, "sub/tsconfig.json"),
        join(folder, "sub/package.json"),
        join(folder, "package.json"),
        join(folder, "node_modules/@scope/base/package.json"),
      ]),
    );
    expect(inputs.findChange()).toBeUndefined();
    write("sub/tsconfig.json", "{}");
    expect(inputs.findChange()).toBe(join(folder, "sub/tsconfig.json"));
  });

  it("are what an import without an answer looked for", () => {
    const inputs = new Inputs();
    inputs.addMissing("./page.js", folder);
    inputs.addMissing("@scope/package/part", folder);
    expect(inputs.watch.absent).toEqual(
      expect.arrayContaining([
        join(folder, "page.js"),
        join(folder, "page.ts"),
        join(folder, "page.js/index.ts"),
        join(folder, "node_modules/@scope/package/package.json"),
      ]),
    );
  });

  it("have changed when a file was written after it was recorded", () => {
    const source = write("app.ts", "one");
    const inputs = new Inputs();
    inputs.addSource(source);
    writeFileSync(source, "three");
    inputs.addSource(source);
    expect(inputs.findChange()).toBe(source);
  });
});

describe("a fingerprint", () => {
  it("differs for texts that differ in one letter, and is 28 hexadecimal digits", () => {
    const prints = new Set(Array.from({ length: 2_000 }, (_, index) => fingerprint(`/srv/app-${index}.ts`)));
    expect(prints.size).toBe(2_000);
    for (const print of prints) expect(print).toMatch(/^[\da-f]{28}$/);
  });
});
