// The chart of the README: hello world of all peers as bars, with where and when it was measured. Plain SVG 1.1.
// Rules: it is read on light and dark pages, so it brings its own background; a disqualified figure is a hollow bar with
// its reason, and a missing peer is named.
import type { MachineFacts } from "./machine.ts";
import type { CaseResult, PeerResult } from "./results.ts";
import { figure } from "./table.ts";

const width = 820;
const labelWidth = 240;
const barHeight = 20;
const rowHeight = 30;
const top = 62;
const barSpace = 330;

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

function text(x: number, y: number, content: string, more = ""): string {
  return `<text x="${x}" y="${y}"${more === "" ? "" : ` ${more}`}>${escaped(content)}</text>`;
}

function row(peer: PeerResult, y: number, most: number, isReference: boolean): string {
  const name = text(
    labelWidth - 10,
    y + 15,
    peer.label,
    `text-anchor="end"${isReference ? ' font-weight="bold"' : ""}`,
  );
  if (peer.spread === undefined) {
    const why = peer.missing === undefined ? (peer.reasons[0] ?? "no figure") : `missing: ${peer.missing}`;
    return name + text(labelWidth, y + 15, why, 'class="note"');
  }
  const { median, min, max } = peer.spread;
  const scale = (value: number): number => Math.round((value / most) * barSpace * 10) / 10;
  const isBad = peer.reasons.length > 0;
  const style = isBad ? "hollow" : isReference ? "ours" : "bar";
  const bar = `<rect class="${style}" x="${labelWidth}" y="${y}" width="${scale(median)}" height="${barHeight}"/>`;
  const middle = y + barHeight / 2;
  const range = `<path class="range" d="M${labelWidth + scale(min)} ${middle}H${labelWidth + scale(max)}"/>`;
  const ratio = peer.ratio === undefined ? "" : ` (${peer.ratio.toFixed(2)})`;
  const figures = isBad ? `${figure(median)}: ${peer.reasons[0]}` : figure(median) + ratio;
  return (
    name +
    bar +
    range +
    text(labelWidth + scale(Math.max(median, max)) + 8, y + 15, figures, isBad ? 'class="note"' : "")
  );
}

/** The chart of one case, best first. */
export function chart(one: CaseResult, machine: MachineFacts): string {
  const rank = (peer: PeerResult): number => (peer.spread?.median ?? 0) * (one.isMoreBetter ? -1 : 1);
  const peers = one.peers.toSorted((a, b) => rank(a) - rank(b));
  const most = Math.max(1e-9, ...peers.map(({ spread }) => spread?.max ?? 0));
  const height = top + peers.length * rowHeight + 52;
  const rows = peers.map((peer, index) => row(peer, top + index * rowHeight, most, peer.name === one.reference));
  const versions = machine.versions.map(({ name, version }) => `${name} ${version}`);
  const place = `${machine.date}, ${machine.processors} x ${machine.processor}, load ${machine.load.toFixed(1)} at the start`;
  const foot = [place, versions.slice(0, 3).join(", ")];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>${escaped(`${one.title}: ${one.unit}`)}</title>
<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.note { fill: #9a3412 } .foot { fill: #59636e; font-size: 11px }
.bar { fill: #8fa3b8 } .ours { fill: #1f6feb } .hollow { fill: none; stroke: #9a3412; stroke-dasharray: 4 3 }
.range { stroke: #1f2328; stroke-width: 1.5; opacity: 0.6 }
</style>
<rect width="${width}" height="${height}" rx="6" fill="#ffffff"/>
${text(20, 28, `${one.title}, behind Apache, one worker process`, 'style="font-size: 16px; font-weight: bold"')}
${text(20, 48, `${one.unit}, median of the rounds; the line is min to max; in brackets the ratio to tsgi`, 'class="foot"')}
${rows.join("\n")}
${text(20, height - 28, foot[0] ?? "", 'class="foot"')}
${text(20, height - 12, foot[1] ?? "", 'class="foot"')}
</svg>
`;
}
