// Finds the pages for what somebody has copied from a log: a code, or a whole line.

import { apacheFolderPages } from "./apache-folder.ts";
import { apachePages } from "./apache.ts";
import { applicationPages } from "./application.ts";
import { doctorProgramPages } from "./doctor-program.ts";
import { doctorServerPages } from "./doctor-server.ts";
import { doctorSitePages } from "./doctor-site.ts";
import { operatorPages } from "./operator.ts";
import { ownPages } from "./own.ts";
import type { CodePage } from "./page.ts";
import { peerPages } from "./peer.ts";
import { suexecPages } from "./suexec.ts";

export const allPages: readonly CodePage[] = [
  ...peerPages,
  ...applicationPages,
  ...operatorPages,
  ...ownPages,
  ...doctorProgramPages,
  ...doctorServerPages,
  ...doctorSitePages,
  ...apachePages,
  ...apacheFolderPages,
  ...suexecPages,
];

const codePattern = /\b(?:TSGI\d{4}|AH\d{5})\b/gi;

/** The pages of the codes in a text, those of Apache's lines without a code, or none. */
export function findPages(text: string): readonly CodePage[] {
  const named = new Set([...text.matchAll(codePattern)].map(([code]) => code.toUpperCase()));
  return allPages.filter(({ codes, pattern }) => codes.some((code) => named.has(code)) || pattern?.test(text) === true);
}
