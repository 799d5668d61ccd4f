// How the status page looks: light and dark as the system has it, one column on a phone.

export const styles = `
:root {
  color-scheme: light dark;
  --page: #f4f5f7; --card: #fff; --line: #dfe2e7; --text: #1b2330; --soft: #5a6575;
  --one: #1f6feb; --two: #b35900; --three: #b4235a; --good: #17743b; --warn: #8f5a00; --bad: #b3261e;
  --good-back: #e2f4e8; --warn-back: #fdf0d5; --bad-back: #fbe4e2; --accent: #1f5fd0; --on-accent: #fff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10151c; --card: #181f29; --line: #2c3644; --text: #e4e9f0; --soft: #9aa7b8;
    --one: #6ea8ff; --two: #f0a24b; --three: #f27aa2; --good: #6fd394; --warn: #f0bd5c; --bad: #ff8a80;
    --good-back: #173423; --warn-back: #3a2d10; --bad-back: #43201e; --accent: #3b7cf0; --on-accent: #fff;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
header, main, footer { max-width: 1240px; margin: 0 auto; padding: 0 20px; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 14px; padding-top: 18px; padding-bottom: 14px; }
h1 { margin: 0; font-size: 22px; }
h2 { margin: 0; font-size: 15px; font-weight: 600; }
header p { margin: 0; color: var(--soft); flex: 1 1 18em; }
button { font: inherit; font-weight: 600; color: var(--on-accent); background: var(--accent); border: 1px solid transparent; border-radius: 8px; padding: 7px 16px; cursor: pointer; }
button.plain { color: var(--text); background: transparent; border-color: var(--line); }
button:disabled { opacity: .55; cursor: default; }
:focus-visible { outline: 3px solid var(--one); outline-offset: 2px; }
.pill { display: inline-block; border-radius: 99px; padding: 1px 10px; font-size: 13px; font-weight: 600; background: var(--line); white-space: nowrap; }
.good { color: var(--good); background: var(--good-back); }
.warn { color: var(--warn); background: var(--warn-back); }
.bad { color: var(--bad); background: var(--bad-back); }
.notice { margin: 0 0 14px; padding: 10px 14px; border-radius: 10px; white-space: pre-wrap; overflow-wrap: anywhere; }
.notice:empty { display: none; }
.tiles { display: grid; grid-template-columns: repeat(6, 1fr); gap: 12px; margin: 0 0 14px; }
.tiles div, .card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.tiles div { padding: 11px 14px; min-width: 0; }
.tiles dt { color: var(--soft); font-size: 13px; }
.tiles dd { margin: 0; font-size: 23px; font-weight: 650; font-variant-numeric: tabular-nums; }
.tiles small { display: block; font-size: 13px; font-weight: 400; color: var(--soft); }
.charts { display: grid; grid-template-columns: 1fr 1fr; gap: 14px; margin-bottom: 14px; }
figure { margin: 0; padding: 12px 14px 8px; min-width: 0; }
figcaption { display: flex; flex-wrap: wrap; gap: 2px 16px; align-items: baseline; font-size: 13px; }
figcaption h2 { flex: 1 1 auto; }
.legend { display: inline-flex; gap: 6px; align-items: baseline; color: var(--soft); }
.legend b { color: var(--text); font-variant-numeric: tabular-nums; min-width: 4em; }
.legend::before { content: ""; width: 14px; border-top: 3px solid; align-self: center; }
.legend.c1::before { color: var(--one); } .legend.c2::before { color: var(--two); border-top-style: dashed; } .legend.c3::before { color: var(--three); border-top-style: dotted; }
svg { display: block; width: 100%; height: 150px; margin-top: 6px; touch-action: pan-y; }
svg text { fill: var(--soft); font-size: 11px; }
svg .grid { stroke: var(--line); }
svg .cursor { stroke: var(--soft); stroke-dasharray: 3 3; }
svg path { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
svg .c1 { stroke: var(--one); } svg .c2 { stroke: var(--two); stroke-dasharray: 6 4; } svg .c3 { stroke: var(--three); stroke-dasharray: 1.5 4; }
svg path.area { stroke: none; fill: var(--one); opacity: .13; }
section.card { margin-bottom: 14px; padding: 12px 0 4px; }
section h2 { padding: 0 14px 6px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { padding: 6px 14px; text-align: left; border-top: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
thead th { border-top: 0; color: var(--soft); font-weight: 500; font-size: 13px; padding-top: 2px; }
tbody th { font-weight: 600; }
tr > .number:first-child { width: 1%; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.wide { white-space: normal; overflow-wrap: anywhere; min-width: 11em; }
td.none { color: var(--soft); }
code, pre { font: 13px/1.45 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
pre { margin: 4px 0; white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; }
dialog { color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 20px; width: min(30em, calc(100vw - 32px)); }
dialog::backdrop { background: rgb(0 0 0 / .45); }
dialog p { margin: 10px 0; overflow-wrap: anywhere; }
dialog input { font: inherit; width: 100%; padding: 8px 10px; margin-top: 4px; border: 1px solid var(--soft); border-radius: 8px; color: inherit; background: var(--page); }
dialog .actions { display: flex; justify-content: flex-end; gap: 10px; margin-top: 16px; }
footer { padding-bottom: 24px; color: var(--soft); font-size: 13px; }
@media (max-width: 900px) { .tiles { grid-template-columns: repeat(3, 1fr); } }
@media (max-width: 720px) {
  header, main, footer { padding-left: 12px; padding-right: 12px; }
  .charts { grid-template-columns: 1fr; }
  figcaption h2 { flex-basis: 100%; }
  .tiles { grid-template-columns: 1fr 1fr; gap: 8px; }
  th, td { padding: 6px 10px; }
}
@media (prefers-reduced-motion: no-preference) { .pill { transition: background-color .3s; } }
`;
