// The rows with lint around their applications: every reply is the same, and nothing is told but of applications that
// break the contract on purpose.
import { describe, expect, test } from "vitest";
import { lint } from "../../src/gateway/lint.ts";
import type { RuleName, Violation } from "../../src/gateway/lint/rules.ts";
import { application } from "../fixtures/apps/rows.ts";
import { conform } from "./conform.ts";
import type { Row } from "./row.ts";
import { rows } from "./rows.ts";
import { direct } from "./ways.ts";

conform("direct", async () => direct("/m", lint(application)));

/** Applications of the rows that break the contract, by the rule. */
const wrong: Readonly<Partial<Record<RuleName, readonly string[]>>> = {
  "start-missing": [
    "close is called when startResponse was not",
    "no startResponse",
    "no startResponse, empty",
    "chunk before startResponse",
  ],
  "body-kind": ["undefined body", "null body", "number body"],
  "body-chunk": ["array with a number", "number after text"],
  "header-value": ["bad header after a good start"],
  "header-repeated": ["length given twice"],
  "location-status": ["Location with 200"],
  "bodyless-body": ["status 204 with a body", "status 304 with a body"],
  "content-type": ["no headers"],
  "length-excess": ["length too short", "length too short in chunks", "generator beyond its length"],
  "length-short": ["length too long", "length too long by write", "length without a body"],
  "start-once": ["startResponse twice"],
  "exc-info-trapped": ["excInfo after the head, swallowed"],
  "write-late": ["writes after the response"],
  "input-late": ["read after the response"],
};

/** The one rule that the application of a row breaks; undefined when it keeps them all. */
function ruleOf(app: string): string | RegExp | undefined {
  if (app.startsWith("refused status: ")) return "start-status";
  if (app.startsWith("refused ")) return /^(?:header-\S+|start-headers|content-length)$/u;
  return Object.entries(wrong).find(([, apps]) => apps.includes(app))?.[0];
}

async function violationsOf(row: Row): Promise<string[]> {
  const violations: Violation[] = [];
  const transport = direct("/m", lint(application, { report: (violation) => violations.push(violation) }));
  await transport.request(row);
  return violations.map(({ rule }) => rule);
}

describe("what lint tells of the rows", () => {
  test.each(rows.filter(({ deviations }) => deviations?.direct?.skip !== true))("$name", async (row) => {
    const rule = ruleOf(row.app);
    const told = rule instanceof RegExp ? expect.stringMatching(rule) : rule;
    expect(await violationsOf(row)).toEqual(rule === undefined ? [] : [told]);
  });
});
