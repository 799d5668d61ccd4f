// The table: all rows of all topics, each name once.
import { bodyRows } from "./body-rows.ts";
import { environRows } from "./environ-rows.ts";
import { extraRows } from "./extra-rows.ts";
import { failureRows } from "./failure-rows.ts";
import { headRows } from "./head-rows.ts";
import { inputRows } from "./input-rows.ts";
import type { Row } from "./row.ts";

export const rows: readonly Row[] = [
  ...environRows,
  ...bodyRows,
  ...headRows,
  ...failureRows,
  ...inputRows,
  ...extraRows,
];
