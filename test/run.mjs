// The whole test run: sets up, builds, checks and tests, and prints "N passed, N failed" as its last line.
// Rules: plain JavaScript, since it runs before anything is installed or built. Every step runs even when another one
// failed; each failed step counts as one failure beside the failed tests, and so does a test run that crashed or ran
// nothing. Every step has a deadline and a process group of its own, so nothing is left behind.
// Arguments go to vitest: npm test -- test/unit/site
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const tool = (name) => join(root, "node_modules", ".bin", name);
const minute = 60_000;
const report = [];
let stopped = false;
let running;

process.chdir(root);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    stopped = true;
    killGroup(running);
  });
}

function killGroup(child) {
  if (child?.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}

/** Runs one command to its end; resolves to what went wrong, or undefined. */
function run(command, args, deadlineMs) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit"], detached: true });
    running = child;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      killGroup(child);
    }, deadlineMs);
    const done = (problem) => {
      clearTimeout(timer);
      // Whatever the step started and did not end itself ends here.
      killGroup(child);
      running = undefined;
      resolve(problem);
    };
    child.once("error", (error) => done(error.message));
    child.once("exit", (code, signal) => {
      if (late) done(`not done after ${deadlineMs / minute} minutes`);
      else if (code === 0) done();
      else done(signal === null ? `exit code ${code}` : `ended by ${signal}`);
    });
  });
}

async function step(name, command, args = [], deadlineMs = 10 * minute) {
  if (stopped) return "stopped";
  console.log(`\n--- ${name}`);
  const started = performance.now();
  const problem = await run(command, args, deadlineMs);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  report.push(`${problem === undefined ? "ok    " : "FAILED"} ${name} (${seconds} s)${problem ? `: ${problem}` : ""}`);
  return problem;
}

/** One failure on one line, so that the end of a long output still says what failed. */
function failureLine(file, test, message, outcome = "FAILED") {
  const said = stripVTControlCharacters(message).split("\n    at ", 1)[0].replaceAll(/\s+/gu, " ");
  const words = [relative(root, file), test, said];
  return `${outcome} ${words.filter((word) => word !== "").join(": ")}`.slice(0, 400);
}

/** Counts of vitest's JSON report. A file that could not even be loaded has no failed test, but counts as one. */
function readResults(file) {
  const results = JSON.parse(readFileSync(file, "utf8"));
  const brokenFiles = results.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && !assertionResults.some((one) => one.status === "failed"),
  );
  return {
    passed: results.numPassedTests,
    failed: results.numFailedTests + brokenFiles.length,
    skipped: results.numPendingTests + results.numTodoTests,
    failures: [
      ...brokenFiles.map(({ name, message }) => failureLine(name, "", message)),
      ...results.testResults.flatMap(({ name, assertionResults }) =>
        assertionResults
          // A test that passed in its second attempt is said to have done so.
          .filter(({ status, failureMessages = [] }) => status === "failed" || failureMessages.length > 0)
          .map(({ status, fullName, failureMessages }) =>
            failureLine(name, fullName, failureMessages.join(" | "), status === "failed" ? "FAILED" : "passed later"),
          ),
      ),
    ],
  };
}

async function test(args) {
  const folder = mkdtempSync(join(tmpdir(), "tsgi-results-"));
  const file = join(folder, "results.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const config = join("test", "vitest.config.ts");
  try {
    const problem = await step(
      "tests",
      tool("vitest"),
      ["run", "--config", config, ...reporters, ...args],
      60 * minute,
    );
    const results = existsSync(file) ? readResults(file) : { passed: 0, failed: 0, skipped: 0, failures: [] };
    report.push(...results.failures.slice(0, 20));
    const ranNothing = results.passed + results.failed === 0;
    if (ranNothing) report.push("FAILED no test ran");
    if (results.skipped > 0) report.push(`       ${results.skipped} tests skipped`);
    // vitest also fails for an error outside of any test: that is a failure of its own.
    if (results.failed === 0 && (ranNothing || problem !== undefined)) results.failed = 1;
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const steps = [
  ["build", tool("tsc"), ["-b", "src"]],
  ["bundle", join("bin", "bundle")],
  ["types", tool("tsc")],
  ["lint", tool("oxlint")],
  ["format", tool("oxfmt"), ["--check", "."]],
  ["unused code", tool("knip"), ["--config", "test/knip.json"]],
];

const problems = [await step("setup", join(root, "bin", "setup"), ["--for-tests"])];
let results = { passed: 0, failed: 0 };
if (existsSync(tool("vitest"))) {
  for (const [name, command, args] of steps) problems.push(await step(name, command, args));
  results = await test(process.argv.slice(2));
}
const failed = results.failed + problems.filter((problem) => problem !== undefined).length;
console.log(`\n${report.join("\n")}\n`);
process.exitCode = failed === 0 ? 0 : 1;
console.log(`${results.passed} passed, ${failed} failed`);
