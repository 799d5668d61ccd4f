// The codes of mistakes of this package: TSGI4xxx.

import type { CodePage } from "./page.ts";

const report = "please report it, with the line and its stack";

export const ownPages: readonly CodePage[] = [
  {
    codes: ["TSGI4001"],
    title: "a part of tsgi was used against its rules",
    meaning: "A bug in this package, or in code that uses its inner parts.",
    causes: ["a bug"],
    remedies: [report],
  },
  {
    codes: ["TSGI4101"],
    title: "a control request failed",
    meaning: "The daemon could not do what was asked over its control socket, for a reason that it did not foresee.",
    causes: ["a bug, or a system that is out of memory or descriptors"],
    remedies: ["look at the error in the line", report],
  },
  {
    codes: ["TSGI4102"],
    title: "the error page could not be sent",
    meaning: "The response was broken off instead.",
    causes: ["a bug, or a page of --error-page that cannot be sent"],
    remedies: ["try without --error-page", report],
  },
  {
    codes: ["TSGI4103"],
    title: "the page for developers could not be made",
    meaning: "The plain page was sent in its place. The log has the failure that it was to show.",
    causes: ["an error object whose properties throw", "a bug"],
    remedies: [report],
  },
];
