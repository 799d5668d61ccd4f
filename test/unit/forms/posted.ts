// Requests with forms for tests: an environ around a body, in pieces as a test wants them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { filesBelow } from "../../harness/leftovers.ts";
import { until } from "../../harness/until.ts";
import { RequestInput } from "../../../src/gateway/input.ts";
import type { FormOptions, FormPart } from "../../../src/index.ts";
import { parseForm } from "../../../src/index.ts";
import type { Environ } from "../../../src/spec.ts";
import { environOf } from "../gateway/play.ts";

export const boundary = "----browser7MA4YWxkTrZu0gW";

/** A part's lines as text; bytes as latin-1. */
export function part(head: string, content: string): string {
  return `--${boundary}\r\n${head}\r\n\r\n${content}\r\n`;
}

export function field(name: string, value: string): string {
  return part(`Content-Disposition: form-data; name="${name}"`, value);
}

export function file(name: string, filename: string, content: string, type = "application/octet-stream"): string {
  return part(
    `Content-Disposition: form-data; name="${name}"; filename="${filename}"\r\nContent-Type: ${type}`,
    content,
  );
}

/** Parts as a whole body. */
export function body(...parts: string[]): Buffer {
  return Buffer.from(`${parts.join("")}--${boundary}--\r\n`, "latin1");
}

export interface Posted {
  readonly type?: string;
  /** Where the body is cut; default it comes in one piece. */
  readonly cuts?: readonly number[];
  /** CONTENT_LENGTH; default the body's. */
  readonly length?: number;
}

export function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...cuts, bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end)).filter((piece) => piece.length > 0);
}

/** The environ of a request with this body. */
export function posted(bytes: Buffer | string, options: Posted = {}): Environ {
  const whole = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
  const length = options.length ?? whole.length;
  const input = new RequestInput({ pause() {}, resume() {} }, length);
  for (const piece of pieces(whole, options.cuts ?? [])) input.push(Buffer.from(piece));
  input.end();
  return environOf(
    {
      REQUEST_METHOD: "POST",
      CONTENT_TYPE: options.type ?? `multipart/form-data; boundary=${boundary}`,
      CONTENT_LENGTH: String(length),
    },
    { input },
  );
}

export type ReadPart = readonly [name: string, filename: string | undefined, content: string, mimeType: string];

/** All parts as they come, contents as latin-1 for files and as text for fields. */
export async function readAll(parts: AsyncIterable<FormPart>): Promise<ReadPart[]> {
  const read: ReadPart[] = [];
  for await (const one of parts) {
    if (one.type === "field") read.push([one.name, undefined, one.value, one.mimeType]);
    else {
      const chunks: Buffer[] = [];
      for await (const chunk of one) chunks.push(chunk);
      read.push([one.name, one.filename, Buffer.concat(chunks).toString("latin1"), one.mimeType]);
    }
  }
  return read;
}

export function readParts(bytes: Buffer | string, options: Posted & { readonly form?: FormOptions } = {}) {
  return readAll(parseForm(posted(bytes, options), options.form));
}

/** Gives this test file a folder for temporary files of its own, in which nothing may be left at the end. */
export function useOwnTemporaryFolder(): { readonly path: string; files(): string[] } {
  const path = mkdtempSync(join(tmpdir(), "tsgi-test-"));
  const before = process.env["TMPDIR"];
  const files = (): string[] => filesBelow(path, () => true);
  beforeAll(() => {
    process.env["TMPDIR"] = path;
  });
  afterAll(async () => {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
    try {
      await until("temporary files to be removed", () => files().length === 0, 5000).catch(() => undefined);
      expect(files()).toEqual([]);
    } finally {
      rmSync(path, { recursive: true, force: true });
    }
  });
  return { path, files };
}
