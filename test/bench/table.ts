// The results as text for a terminal.
import type { Outcome } from "./goals.ts";
import type { CaseResult, PeerResult, Results } from "./results.ts";

/** Three digits that matter, with commas between thousands. */
export function figure(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

function cells(peer: PeerResult): string[] {
  const { spread, more } = peer;
  if (spread === undefined) return [peer.label, "-", "-", "-", "-", "-", "-"];
  return [
    peer.label,
    figure(spread.median) + (peer.reasons.length > 0 ? " (!)" : ""),
    `${figure(spread.min)}-${figure(spread.max)}`,
    peer.ratio === undefined ? "-" : peer.ratio.toFixed(2),
    more["p99Ms"] === undefined ? "-" : figure(more["p99Ms"]),
    more["cpuUs"] === undefined ? "-" : figure(more["cpuUs"]),
    more["apacheUs"] === undefined ? "-" : figure(more["apacheUs"]),
  ];
}

function caseTable(one: CaseResult): string {
  const head = [one.title, one.unit, "min-max", `to ${one.reference}`, "p99 ms", "CPU us", "Apache us"];
  if (one.peers.length === 0) return `${one.title}: not measured in this run`;
  const notes = one.peers.flatMap(({ label, reasons, missing, more }) => {
    const growth = more["growthMiB"];
    return [
      ...(missing === undefined ? [] : [`  ${label}: missing; install ${missing}`]),
      ...reasons.map((reason) => `  (!) ${label}: disqualified: ${reason}`),
      ...(growth === undefined ? [] : [`  ${label}: resident memory grew by ${figure(growth)} MiB`]),
    ];
  });
  const rows = one.peers.filter(({ missing }) => missing === undefined).map(cells);
  return [...columns([head, ...rows]), ...notes].join("\n");
}

function goalTable(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ goal, reached, isReached, note }) => [
    goal.title,
    reached === undefined ? "-" : `${reached.toFixed(2)}${goal.unit === undefined ? "" : ` ${goal.unit}`}`,
    `${goal.bound} ${goal.reach}`,
    `${reached === undefined ? "?" : isReached ? "reached" : "MISSED"}${note === "" ? "" : ` (${note})`}`,
  ]);
  const [head, ...rest] = columns([["figure to reach", "ratio", "wanted", "outcome"], ...rows]);
  return [head, ...rest].join("\n");
}

export function report(results: Results, outcomes: readonly Outcome[]): string {
  const { machine } = results;
  const facts = [
    `${machine.date}, ${machine.processors} x ${machine.processor}, load ${machine.load.toFixed(1)} at the start`,
    machine.versions.map(({ name, version }) => `${name} ${version}`).join(", "),
    `${results.rounds} rounds, interleaved; medians`,
  ];
  return [facts.join("\n"), ...results.cases.map(caseTable), goalTable(outcomes)].join("\n\n");
}
