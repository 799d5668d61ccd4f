// `npm run test:compose`: builds the images of docker-compose.yml, runs them and looks whether they do what its head says.
// Rules: a copy of what the images are made of is used, with a project name and ports of its own, and all of it is removed at
// the end. Without a Docker engine nothing is tested, and that is a failure. Needs no package of this project.
// Other base images: NODE_IMAGE=... HTTPD_IMAGE=... npm run test:compose
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const checkout = resolve(import.meta.dirname, "../..");
const copied = [
  "docker-compose.yml",
  ".dockerignore",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "apache",
  "bin",
  "src",
];

function run(command, args, options = {}) {
  return spawnSync(command, args, { encoding: "utf8", maxBuffer: 2 ** 26, ...options });
}

function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

async function until(what, isSo, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  let problem = "";
  while (Date.now() < end) {
    try {
      if (await isSo()) return console.log(`ok: ${what}`);
    } catch (error) {
      problem = ` (${error.cause?.code ?? error.message})`;
    }
    await new Promise((done) => setTimeout(done, 200));
  }
  throw new Error(`waited ${seconds} s in vain: ${what}${problem}`);
}

if (run("docker", ["info"]).status !== 0) {
  console.error("test:compose: no Docker engine answers here, so nothing was tested");
  process.exit(1);
}
const compose = run("docker", ["compose", "version"]).status === 0 ? ["docker", "compose"] : ["docker-compose"];
if (run(compose[0], [...compose.slice(1), "version"]).status !== 0) {
  console.error("test:compose: there is neither `docker compose` nor docker-compose, so nothing was tested");
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), "tsgi-compose-"));
for (const name of copied) cpSync(join(checkout, name), join(folder, name), { recursive: true });
const [port, fcgidPort, cgiPort] = [await freePort(), await freePort(), await freePort()];
const project = `tsgitest${process.pid}`;
const env = {
  ...process.env,
  COMPOSE_PROJECT_NAME: project,
  PORT: String(port),
  FCGID_PORT: String(fcgidPort),
  CGI_PORT: String(cgiPort),
};

function inProject(...args) {
  const { status, stdout, stderr } = run(compose[0], [...compose.slice(1), ...args], { cwd: folder, env });
  if (status !== 0)
    throw new Error(`compose ${args.join(" ")} ended with ${status}:\n${stdout.slice(-3000)}\n${stderr.slice(-3000)}`);
  return stdout;
}

const get = async (path, from = port) => {
  const response = await fetch(`http://127.0.0.1:${from}${path}`, { signal: AbortSignal.timeout(10_000) });
  return { status: response.status, text: await response.text() };
};

const page = (word) => `import { hostname } from "node:os";
export const application = (environ, startResponse) => {
  startResponse("200 OK", [["Content-Type", "text/plain"]]);
  return [${JSON.stringify(word)}, hostname(), process.pid, typeof environ.TSGI_SECRET].join(" ");
};
`;
const edit = (word) => writeFileSync(join(folder, "apache/site/compose.ts"), page(word), { mode: 0o644 });
const answer = async () => (await get("/compose.ts")).text.split(" ");

/** Asks all the time until it is told to stop; gives what was no 200. */
function askAllTheTime() {
  const over = new AbortController();
  let count = 0;
  const problems = [];
  const asking = (async () => {
    while (!over.signal.aborted) {
      const { status } = await get("/compose.ts").catch((error) => ({ status: error.cause?.code ?? error.message }));
      count += 1;
      if (status !== 200) problems.push(status);
    }
  })();
  return async () => {
    over.abort();
    await asking;
    return { count, problems };
  };
}

let failure;
try {
  edit("one");
  inProject("build");
  console.log("ok: the images are built");
  inProject("up", "-d");
  await until("the site answers", async () => (await get("/")).status === 200, 120);
  await until(
    "a script runs, and sees no secret",
    async () => (await answer()).join(" ").match(/^one \w+ \d+ undefined$/) !== null,
  );
  edit("two");
  await until("an edit shows", async () => (await answer())[0] === "two");

  const [, container, pid] = await answer();
  const killed = run("docker", ["exec", container, "sh", "-c", `kill -9 ${pid}`], { env });
  if (killed.status !== 0) throw new Error(`kill: ${killed.stderr}`);
  await until("another worker serves after one was killed", async () => {
    const [word, , now] = await answer();
    return word === "two" && now !== pid;
  });

  const stopAsking = askAllTheTime();
  inProject("up", "-d", "--no-recreate", "--scale", "app=3");
  const hosts = new Set();
  await until("three daemons serve", async () => hosts.add((await answer())[1]).size === 3);
  const { count, problems } = await stopAsking();
  if (problems.length > 0)
    throw new Error(`${problems.length} of ${count} requests failed while it was scaled: ${problems.join()}`);
  console.log(`ok: none of ${count} requests failed meanwhile`);

  inProject("--profile", "fcgid", "--profile", "cgi", "up", "-d", "--no-deps", "fcgid", "cgi");
  await until("mod_fcgid serves", async () => (await get("/compose.ts", fcgidPort)).text.startsWith("two "));
  await until("CGI serves", async () => (await get("/compose.ts", cgiPort)).text.startsWith("two "));

  inProject("--profile", "fcgid", "--profile", "cgi", "stop", "-t", "20");
  const all = run("docker", ["ps", "-aq", "--filter", `label=com.docker.compose.project=${project}`], { env })
    .stdout.trim()
    .split("\n");
  const codes = run("docker", ["inspect", "-f", "{{.Name}} {{.State.ExitCode}}", ...all], { env })
    .stdout.trim()
    .split("\n");
  const unclean = codes.filter((line) => !line.endsWith(" 0"));
  if (unclean.length > 0) throw new Error(`not stopped cleanly: ${unclean.join(", ")}`);
  console.log("ok: all stopped cleanly");
} catch (error) {
  failure = error;
  console.error(`failed: ${error.message}`);
  const { stdout } = run(compose[0], [...compose.slice(1), "logs", "--tail=40"], { cwd: folder, env });
  console.error(stdout.slice(-6000));
} finally {
  run(
    compose[0],
    [...compose.slice(1), "--profile", "fcgid", "--profile", "cgi", "down", "-v", "--rmi", "local", "-t", "5"],
    { cwd: folder, env },
  );
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failure === undefined ? 0 : 1;
