import { expect, test } from "vitest";
import { decodeText, encodeText } from "../../../src/gateway/text.ts";

test("an environ string carries the bytes of UTF-8 as latin-1", () => {
  expect(encodeText("日本 é €")).toBe("\xe6\x97\xa5\xe6\x9c\xac \xc3\xa9 \xe2\x82\xac");
  expect(decodeText("\xe6\x97\xa5\xe6\x9c\xac \xc3\xa9 \xe2\x82\xac")).toBe("日本 é €");
});

test("the bytes 0x80 to 0x9f are themselves, not windows-1252", () => {
  const text = String.fromCharCode(...Array.from({ length: 64 }, (_, index) => 0x80 + index));
  expect(decodeText(encodeText(text))).toBe(text);
});

test("bytes that are not UTF-8 become the replacement character", () => {
  expect(decodeText("a\xe9b")).toBe("a\ufffdb");
});
