// Runs every row through one transport and compares the reply with what the row promises. No row is private to a transport.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { headerValues, type HeaderLines } from "../harness/http.ts";
import { until } from "../harness/until.ts";
import { Workspace } from "../harness/workspace.ts";
import { rows } from "./rows.ts";
import { deviationOf, type Expectation, type Reply, type Row, type RowContext, type TransportName } from "./row.ts";

/** One way to reach the application of the rows. */
export interface Transport {
  /** "/m", or "" at the root. */
  readonly mount: string;
  readonly port: number;
  /** Whether a failed request is shown to the client as to a developer; default false. */
  readonly showsFailures?: boolean;
  request(row: Row): Promise<Reply>;
  /** Everything that was logged: Apache's error log and the output of our own processes. */
  log(): Promise<string>;
  /** Ends what is not the workspace's to end. */
  close?(): Promise<unknown>;
}

/** Headers of a row's request, with the one that names the application. */
export function headersOf(row: Row): HeaderLines {
  return [["X-Application", row.app], ...(row.request?.headers ?? [])];
}

/** The target of a row below the mount; ABSOLUTE at its start stands for scheme, host and mount. */
export function targetOf(row: Row, transport: Pick<Transport, "mount" | "port">): string {
  const target = row.request?.target ?? "/";
  return target.startsWith("ABSOLUTE")
    ? `http://127.0.0.1:${transport.port}${transport.mount}${target.slice("ABSOLUTE".length)}`
    : `${transport.mount}${target}`;
}

function checkHeaders(reply: Reply, wanted: NonNullable<Expectation["headers"]>): void {
  for (const [name, value] of Object.entries(wanted)) {
    const values = headerValues(reply.headers, name);
    if (value === null) expect(values, `header ${name}`).toEqual([]);
    else if (value instanceof RegExp) expect(values.join(", "), `header ${name}`).toMatch(value);
    else expect(values, `header ${name}`).toEqual(typeof value === "string" ? [value] : value);
  }
}

function checkBody(reply: Reply, wanted: NonNullable<Expectation["body"]>, context: RowContext): void {
  const body = typeof wanted === "function" ? wanted(context) : wanted;
  const got = reply.body.toString("latin1");
  if (body instanceof RegExp) {
    expect(got).toMatch(body);
    return;
  }
  const text = body.toString("latin1");
  expect(got.length, `length of the body ${JSON.stringify(got.slice(0, 200))}`).toBe(text.length);
  expect(got === text || got.slice(0, 500)).toBe(got === text || text.slice(0, 500));
}

function checkReply(reply: Reply, wanted: Expectation, context: RowContext): void {
  const shown = JSON.stringify({ ...reply, body: reply.body.toString("latin1").slice(0, 300) });
  expect([wanted.status ?? 200].flat(), shown).toContain(reply.status);
  if (wanted.reason !== undefined) expect(reply.reason, shown).toBe(wanted.reason);
  if (wanted.headers !== undefined) checkHeaders(reply, wanted.headers);
  if (wanted.body !== undefined) checkBody(reply, wanted.body, context);
  if (wanted.complete !== "either") expect(reply.complete, `complete: ${shown}`).toBe(wanted.complete ?? true);
  if (wanted.check !== undefined)
    expect(wanted.check.holds(reply, context), `${wanted.check.promise}: ${shown}`).toBe(true);
}

/** What a row promises on a transport, deviations applied. */
function expectationOf(row: Row, name: TransportName): Expectation {
  return { ...row.expect, ...deviationOf(row, name)?.expect };
}

/**
 * Declares the tests of all rows for one transport. `expectedLog`: what Apache may write because of them; `leftOut`: names of
 * rows that ask for what a transport of this name has, and this one cannot have.
 */
export function conform(
  name: TransportName,
  open: (workspace: Workspace) => Promise<Transport>,
  expectedLog: readonly RegExp[] = [],
  leftOut: readonly string[] = [],
): void {
  describe(`conformance through ${name}`, () => {
    let workspace: Workspace;
    let transport: Transport;

    beforeAll(async () => {
      workspace = await Workspace.open();
      workspace.expectLog(...expectedLog);
      transport = await open(workspace);
    }, 60_000);

    afterAll(async () => {
      await transport.close?.();
      await workspace.close();
    }, 60_000);

    for (const row of rows) {
      if (deviationOf(row, name)?.skip === true || leftOut.includes(row.name)) continue;
      test.concurrent(
        row.name,
        async () => {
          const wanted = expectationOf(row, name);
          const reply = await transport.request(row);
          const { mount, port, showsFailures = false } = transport;
          checkReply(reply, wanted, { transport: name, mount, port, showsFailures });
          for (const line of wanted.log ?? []) {
            await until(`${String(line)} in the log`, async () => {
              const log = await transport.log();
              return typeof line === "string" ? log.includes(line) : line.test(log);
            });
          }
        },
        40_000,
      );
    }

    test("nothing is in the log that a row forbids", async () => {
      const log = await transport.log();
      for (const row of rows) {
        for (const text of expectationOf(row, name).notLogged ?? []) expect(log, row.name).not.toContain(text);
      }
    });
  });
}
