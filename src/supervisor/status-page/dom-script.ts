// The part of the page's script that writes text into elements, and says numbers as people read them.
// Rules: text goes in as text, never as markup, wherever it came from; an element is changed only when what it shows is
// another one, so that focus, selection and open details stay.

export const domScript = String.raw`
const $ = (id) => document.getElementById(id);

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function make(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

function formatCount(value) {
  return isNumber(value) ? Math.round(value).toLocaleString("en") : "-";
}

function formatRate(value) {
  if (!isNumber(value)) return "-";
  return value === 0 ? "0" : value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
}

function formatMs(value) {
  if (!isNumber(value)) return "-";
  if (value === 0) return "0 ms";
  if (value < 9.95) return value.toFixed(value < 0.095 ? 2 : 1) + " ms";
  if (value < 1000) return Math.round(value) + " ms";
  return value < 60000 ? (value / 1000).toFixed(1) + " s" : formatAge(value / 1000);
}

function formatBytes(value) {
  if (!isNumber(value) || value <= 0) return "-";
  const mebibytes = value / 2 ** 20;
  return mebibytes < 1024 ? Math.round(mebibytes) + " MB" : (mebibytes / 1024).toFixed(1) + " GB";
}

function formatAge(seconds) {
  if (!isNumber(seconds)) return "-";
  const units = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
  let left = Math.max(0, Math.floor(seconds));
  const parts = [];
  for (const [unit, size] of units) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0 || (unit === "s" && parts.length === 0)) parts.push(count + unit);
  }
  return parts.slice(0, 2).join(" ");
}

function formatTime(text) {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? "-" : date.toLocaleTimeString();
}

/* A cell is what its column needs: {text}, with number, wide or pill, or {stack: lines}. */
function fillCell(element, cell) {
  element.className = [cell.number && "number", cell.wide && "wide", cell.none && "none"].filter(Boolean).join(" ");
  if (cell.stack !== undefined) fillStack(element, cell.stack);
  else if (cell.pill !== undefined) {
    const pill = element.firstElementChild ?? element.appendChild(make("span"));
    pill.className = "pill " + cell.pill;
    setText(pill, cell.text);
  } else setText(element, cell.text);
}

function fillStack(element, lines) {
  const text = lines.join("\n");
  if (element.dataset.stack === text) return;
  element.dataset.stack = text;
  const wasOpen = element.querySelector("details")?.open === true;
  const details = make("details");
  details.open = wasOpen;
  details.append(make("summary", "", lines[0]), make("pre", "", text));
  element.replaceChildren(details);
}

/* Rows by a key: those that are there stay where they are. The first cell of a row is its head. */
function fillTable(id, rows, nothing) {
  const body = $(id);
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const wanted = rows.length > 0 ? rows : [{ key: "", cells: [{ text: nothing, none: true }] }];
  wanted.forEach(({ key, cells }, index) => {
    let row = known.get(key);
    known.delete(key);
    if (row === undefined || row.cells.length !== cells.length) {
      row?.remove();
      row = make("tr");
      row.dataset.key = key;
      cells.forEach((cell, column) => {
        const element = row.appendChild(make(column === 0 && key !== "" ? "th" : "td"));
        if (element.tagName === "TH") element.scope = "row";
        if (key === "") element.colSpan = body.parentElement.tHead.rows[0].cells.length;
      });
    }
    cells.forEach((cell, column) => fillCell(row.cells[column], cell));
    if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] ?? null);
  });
  for (const row of known.values()) row.remove();
}
`;
