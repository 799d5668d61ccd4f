// The figures to reach, as ratios within one run.
// Rules: a goal compares medians. A peer whose figure is disqualified still sets the mark with its right answers alone,
// and the row says so.

/** One figure of the results: the case, the peer, and which of its figures ("value", "p99Ms", "growthMiB"). */
export interface FigureName {
  readonly case: string;
  readonly peer: string;
  readonly figure?: string;
}

export interface Goal {
  readonly title: string;
  readonly ours: FigureName;
  /** The best of them is compared; none: the figure itself is. */
  readonly theirs: readonly FigureName[];
  readonly bound: "at least" | "at most";
  readonly reach: number;
  readonly unit?: string;
  /** Whether what counts is how much more ours is, and not how many times theirs. */
  readonly isDifference?: boolean;
}

const hello = (peer: string): FigureName => ({ case: "hello-16", peer });

function againstHello(title: string, peer: string, reach: number): Goal {
  return {
    title: `hello, 16 clients : ${title}`,
    ours: hello("tsgi"),
    theirs: [hello(peer)],
    bound: "at least",
    reach,
  };
}

function pair(title: string, name: string, [ours, theirs]: readonly [string, string], reach: number): Goal {
  return { title, ours: { case: name, peer: ours }, theirs: [{ case: name, peer: theirs }], bound: "at least", reach };
}

function atMost(title: string, name: string, [ours, theirs]: readonly [string, string], reach: number): Goal {
  return { ...pair(title, name, [ours, theirs], reach), bound: "at most" };
}

/** A difference, ms. */
function atMostMore(title: string, [ours, theirs]: readonly [string, string], reach: number): Goal {
  return { ...atMost(title, "warm", [ours, theirs], reach), isDifference: true, unit: "ms" };
}

const upload = (peer: string): FigureName => ({ case: "upload", peer });

export const goals: readonly Goal[] = [
  againstHello("C floor", "floor", 0.9),
  againstHello("node:http", "http-node", 1),
  againstHello("mod_wsgi daemon", "wsgi-daemon", 1.4),
  againstHello("PHP-FPM", "php-fpm", 1.4),
  againstHello("Passenger (Node)", "passenger", 3),
  againstHello("node-fastcgi, reuse on", "node-fastcgi-reuse", 4),
  {
    title: "hello, 256 clients : 16 clients",
    ours: { case: "hello-256", peer: "tsgi" },
    theirs: [hello("tsgi")],
    bound: "at least",
    reach: 0.9,
  },
  {
    title: "p99 of hello, 256 clients : node:http",
    ours: { case: "hello-256", peer: "tsgi", figure: "p99Ms" },
    theirs: [{ case: "hello-256", peer: "http-node", figure: "p99Ms" }],
    bound: "at most",
    reach: 1.2,
  },
  pair("Express hello : mod_proxy_http", "express", ["tsgi-express", "http-express"], 1.15),
  pair("Express JSON : mod_proxy_http", "express-json", ["tsgi-express", "http-express"], 1.15),
  pair("Fastify hello : mod_proxy_http", "fastify", ["tsgi-fastify", "http-fastify"], 1),
  pair("Hono hello : mod_proxy_http", "hono", ["tsgi-hono", "http-hono"], 1),
  {
    title: "1 MiB : better of mod_wsgi daemon and node:http",
    ours: { case: "1m", peer: "tsgi" },
    theirs: [
      { case: "1m", peer: "wsgi-daemon" },
      { case: "1m", peer: "http-node" },
    ],
    bound: "at least",
    reach: 1.1,
  },
  {
    title: "upload of 400 MB, time : best peer",
    ours: upload("tsgi"),
    theirs: ["http-node", "wsgi-daemon", "php-fpm", "node-fastcgi"].map(upload),
    bound: "at most",
    reach: 1.05,
  },
  {
    title: "upload of 400 MB, growth of memory",
    ours: { ...upload("tsgi"), figure: "growthMiB" },
    theirs: [],
    bound: "at most",
    reach: 32,
    unit: "MiB",
  },
  pair("mod_fcgid hello, 1 client : C libfcgi", "fcgid", ["fcgid-tsgi", "fcgid-c"], 0.8),
  atMost("CGI hello, time : bare Node", "cgi", ["cgi-tsgi", "cgi-node"], 1.1),
  atMost("CGI Express, time : bundle and cache", "cgi-express", ["cgi-tsgi-express", "cgi-express-cached"], 1.1),
  atMost("CGI Express, time : require", "cgi-express", ["cgi-tsgi-express", "cgi-express"], 0.6),
  atMostMore("warm CGI hello, time - C", ["cgi-tsgi-warm", "cgi-c"], 10),
  atMostMore("warm CGI Express, time - C", ["cgi-tsgi-express-warm", "cgi-c"], 10),
  atMost("warm CGI hello, time : cold", "warm", ["cgi-tsgi-warm", "cgi-tsgi"], 1),
  atMost("warm CGI Express, time : cold", "warm", ["cgi-tsgi-express-warm", "cgi-tsgi-express"], 1),
  atMost("start to first answer : node:http", "start", ["tsgi", "http-node"], 2),
  atMost("idle worker, memory : node:http", "memory", ["tsgi", "http-node"], 1.5),
];

/** A median and what is known against it; undefined where nothing was measured. */
export type Lookup = (name: FigureName) => { readonly value: number; readonly isDisqualified: boolean } | undefined;

export interface Outcome {
  readonly goal: Goal;
  /** The ratio, or the figure itself; undefined when one of the figures is missing. */
  readonly reached: number | undefined;
  readonly isReached: boolean;
  /** What a reader must know about it. */
  readonly note: string;
}

export function judge(goal: Goal, lookup: Lookup): Outcome {
  const ours = lookup(goal.ours);
  const marks = goal.theirs.map((name) => ({ name, found: lookup(name) }));
  const missing = marks.filter(({ found }) => found === undefined).map(({ name }) => name.peer);
  const values = marks.flatMap(({ found }) => (found === undefined ? [] : [found]));
  if (ours === undefined || (goal.theirs.length > 0 && values.length === 0)) {
    return { goal, reached: undefined, isReached: false, note: "not measured" };
  }
  const best = Math[goal.bound === "at least" ? "max" : "min"](...values.map(({ value }) => value));
  const compared = goal.isDifference === true ? ours.value - best : ours.value / best;
  const reached = goal.theirs.length === 0 ? ours.value : compared;
  const isEnough = goal.bound === "at least" ? reached >= goal.reach : reached <= goal.reach;
  const notes = [
    ours.isDisqualified ? "our answers were wrong" : "",
    values.some(({ isDisqualified }) => isDisqualified) ? "the peer had wrong answers" : "",
    missing.length > 0 ? `without ${missing.join(", ")}` : "",
  ];
  return { goal, reached, isReached: isEnough && !ours.isDisqualified, note: notes.filter(Boolean).join("; ") };
}
