// The part of the page's script that asks for the figures and shows them, and that asks for a reload.
// Rules: one question at a time, each with a deadline; nothing is asked while the page is hidden; a daemon that does not
// answer is said to, and asked again; the token is kept nowhere.

export const pageScript = String.raw`
const base = location.pathname.replace(/\/*$/, "/");
const statusEveryMs = 1000;
const historyEveryMs = 5000;
const deadlineMs = 5000;

const charts = [
  new Chart("rate-chart", { format: formatRate, least: 1, series: [{ name: "requests", key: "rate" }] }),
  new Chart("latency-chart", { format: formatMs, isLog: true, series: [
    { name: "p50", key: "p50" }, { name: "p95", key: "p95" }, { name: "p99", key: "p99" }] }),
  new Chart("error-chart", { format: formatRate, least: 1, series: [
    { name: "failed", key: "errorRate" }, { name: "shed", key: "shedRate" }] }),
  new Chart("memory-chart", { format: formatBytes, least: 1048576, base: 1024, series: [
    { name: "resident", key: "rssBytes" }, { name: "heap", key: "heapBytes" }] }),
];

async function ask(path, options) {
  const response = await fetch(base + path, { cache: "no-store", signal: AbortSignal.timeout(deadlineMs), ...options });
  const answer = await response.json();
  return { response, answer };
}

async function get(path) {
  const { response, answer } = await ask(path);
  if (!response.ok) throw new Error(answer.message ?? "status " + response.status);
  return answer;
}

const states = { serving: "good", ready: "good", running: "good", booting: "warn", starting: "warn", retiring: "warn",
  draining: "warn", stopping: "warn", killed: "bad", unavailable: "bad", blocked: "bad" };
const number = (text) => ({ text, number: true });
const words = (text) => ({ text: text ?? "" });
const long = (text) => ({ text: text ?? "", wide: true });
const state = (text) => ({ text, pill: states[text] ?? "warn" });
const script = (text) => ({ text: (text ?? "").split("/").slice(-2).join("/") || "-", wide: true });
const quantile = (quantiles, name) => number(quantiles?.count > 0 ? formatMs(quantiles[name]) : "-");

/* A worker that has not been heard of for a while does nothing else. */
function stateOf(worker) {
  return worker.silentMs > 900 && worker.state !== "booting" && worker.state !== "killed" ? "blocked" : worker.state;
}

function showWorkers(status) {
  const rows = status.workers.map((worker) => ({
    key: String(worker.pid),
    cells: [number(String(worker.pid)), words(worker.group), state(stateOf(worker)), number(String(worker.generation)),
      number(formatCount(worker.busy)), number(formatCount(worker.waiting)), number(formatCount(worker.connections)),
      number(formatCount(worker.served)), quantile(worker.figures?.applicationMs, "p50"),
      quantile(worker.figures?.applicationMs, "p95"), number(formatBytes(worker.rss)),
      number(formatBytes(worker.heapUsedBytes)), number(formatMs(worker.lagMs)), number(formatAge(worker.ageSeconds))],
  }));
  fillTable("workers", rows, "No worker runs.");
}

function showGroups(status) {
  const rows = status.groups.map((group) => {
    const causes = Object.entries(group.restarts).map(([cause, count]) => count + " " + cause).join(", ");
    const { done, failed } = group.reloads;
    return {
      key: group.name,
      cells: [words(group.name), state(group.state), number(group.workers.length + " of " + group.processes),
        number(String(group.generation)), number(formatCount(group.served)),
        number(group.queue.waiting + " of " + group.queue.limit), number(formatCount(group.shed)),
        number(formatCount(group.timedOut)), number(failed > 0 ? done + ", " + failed + " failed" : String(done)), long(causes || "none"), long(group.listen)],
    };
  });
  fillTable("groups", rows, "There is no group.");
}

function showApplications(status) {
  const rows = status.groups.flatMap((group) =>
    (group.figures?.applications ?? []).map(({ script: file, requests, errors, applicationMs }) => ({
      key: group.name + " " + file,
      cells: [long(file || "-"), words(group.name), number(formatCount(requests)), number(formatCount(errors)),
        quantile(applicationMs, "p50"), quantile(applicationMs, "p95"), quantile(applicationMs, "p99"),
        quantile(applicationMs, "max")],
    })));
  fillTable("applications", rows, "No request has ended yet.");
}

/* Workers report once a second, so what runs for a shorter time may have ended. */
const shownMs = 1000;

/* The records of all workers, each with its worker. */
function recordsOf(status, name) {
  return status.workers.flatMap((worker) => (worker[name] ?? []).map((record) => ({ ...record, worker })))
    .sort((one, other) => other.elapsedMs - one.elapsedMs).slice(0, 10);
}

function showRequests(status) {
  const running = recordsOf(status, "running").filter(({ elapsedMs }) => elapsedMs >= shownMs).map((record) => ({
    key: record.worker.pid + " " + record.id,
    cells: [number(formatMs(record.elapsedMs)), long(record.method + " " + record.path),
      record.where?.length > 0 ? { stack: record.where, wide: true } : words(stateOf(record.worker) === "blocked" ? "blocked" : "waiting"),
      script(record.script), number(String(record.worker.pid))],
  }));
  fillTable("running", running, "No request has been running for more than a second.");
  const past = status.groups.flatMap((group) => group.slowest ?? [])
    .sort((one, other) => other.elapsedMs - one.elapsedMs).slice(0, 10);
  const slowest = past.map((record) => ({
    key: record.id,
    cells: [number(formatMs(record.elapsedMs)), long(record.method + " " + record.path),
      words(record.status > 0 ? String(record.status) : "none"), words(formatTime(record.startedAt)), script(record.script)],
  }));
  fillTable("slowest", slowest, "No request has ended yet.");
}

function showTile(id, value, more) {
  const element = $(id);
  const text = value + (more ? " " + more : "");
  if (element.textContent === text) return;
  element.textContent = value;
  if (more) element.append(" ", make("small", "", more));
}

/* Rates come from the last seconds' counts. */
const seen = [];

function showTiles(status, reading) {
  const { failed } = reading;
  seen.push({ at: performance.now(), served: status.served, failed });
  while (seen.length > 6) seen.shift();
  const [first] = seen;
  const last = seen[seen.length - 1];
  const seconds = (last.at - first.at) / 1000;
  const rate = (key) => formatRate(seconds > 0 ? Math.max(0, last[key] - first[key]) / seconds : 0);
  showTile("rate", rate("served"), formatCount(status.served) + " in all");
  showTile("errors", rate("failed"), formatCount(failed) + " in all");
  showTile("busy", formatCount(reading.busy) + " / " + formatCount(reading.waiting));
  showTile("memory", formatBytes(reading.rssBytes), status.workers.length + (status.workers.length === 1 ? " worker" : " workers"));
  showTile("lag", formatMs(reading.lagMs));
}

function showHistory({ samples }) {
  for (const chart of charts) chart.show(samples);
  const last = samples.findLast(({ p95 }) => isNumber(p95));
  showTile("p95", last === undefined ? "-" : formatMs(last.p95));
}

function showStatus(status) {
  const pill = $("state");
  pill.className = "pill " + (states[status.state] ?? "warn");
  setText(pill, status.state);
  setText($("about"), "version " + status.version + ", process " + status.pid + ", up " + formatAge(status.uptimeSeconds));
  setText($("now"), formatTime(status.now));
  setText($("token-file"), status.tokenFile ?? "");
  $("reload").disabled = status.tokenFile === null || isReloading;
  $("reload").title = status.tokenFile === null ? "This daemon has no control token." : "";
  const broken = status.lastBootError;
  setText($("boot-error"), broken ? "A start failed at " + formatTime(broken.at) + ", generation " + broken.generation + ":\n" + broken.message : "");
  showTiles(status, status.reading);
  showWorkers(status);
  showGroups(status);
  showApplications(status);
  showRequests(status);
}

let lostSince;

function lose(error) {
  lostSince ??= new Date();
  $("state").className = "pill bad";
  setText($("state"), "no answer");
  setText($("lost"), "No answer since " + lostSince.toLocaleTimeString() + " (" + error.message + "). It is asked again.");
}

let nextHistoryMs = 0;

async function turn() {
  if (!document.hidden) {
    try {
      const status = await get("status.json");
      lostSince = undefined;
      setText($("lost"), "");
      showStatus(status);
      if (performance.now() >= nextHistoryMs) {
        showHistory(await get("history.json"));
        nextHistoryMs = performance.now() + historyEveryMs;
      }
    } catch (error) {
      lose(error);
    }
  }
  setTimeout(turn, statusEveryMs);
}

let isReloading = false;

function tell(text, kind) {
  $("told").className = "notice " + kind;
  setText($("told"), text);
}

async function reload(token) {
  isReloading = true;
  $("reload").disabled = true;
  tell("New workers are being started.", "warn");
  try {
    const headers = { "Tsgi-Control-Token": token };
    const { answer } = await ask("reload", { method: "POST", headers, signal: AbortSignal.timeout(600000) });
    tell((answer.ok ? "Reloaded: " : "Not reloaded: ") + answer.message, answer.ok ? "good" : "bad");
  } catch (error) {
    tell("Not reloaded, as far as is known: " + error.message, "bad");
  }
  isReloading = false;
  $("reload").disabled = false;
}

$("reload").addEventListener("click", () => {
  $("form").reset();
  $("dialog").showModal();
});
$("cancel").addEventListener("click", () => $("dialog").close());
$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = $("token").value.trim();
  $("form").reset();
  $("dialog").close();
  if (/^[!-~]+$/.test(token)) reload(token);
  else tell("Not reloaded: this is not the control token.", "bad");
});
turn();
`;
