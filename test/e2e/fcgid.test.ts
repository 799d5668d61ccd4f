// mod_fcgid: the process that Apache starts, its signals, its output and its end.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import { HttpConnection } from "../harness/http.ts";
import { processesOf } from "../harness/leftovers.ts";
import { hasEnded } from "../harness/process-facts.ts";
import { until } from "../harness/until.ts";
import { Workspace } from "../harness/workspace.ts";

let workspace: Workspace;
let apache: Apache;

beforeAll(async () => {
  workspace = await Workspace.open();
  workspace.expectLog(/cleanup zombie process/u, /^app: /u, /mod_fcgid: stderr: app: /u, /^\{"level":/u);
  const wrapper = await workspace.wrapper("www/app.fcgi", "tsgi-fcgid", workspace.app("engine.ts"));
  const printing = await workspace.wrapper("www/rows.fcgi", "tsgi-fcgid", workspace.app("rows.ts"));
  const dead = await workspace.wrapper(
    "www/broken.fcgi",
    "tsgi-fcgid",
    await workspace.write("broken.ts", "export const application = (;\n"),
  );
  const reading = await workspace.wrapper(
    "www/stdin.fcgi",
    "tsgi-fcgid",
    await workspace.write(
      "stdin.ts",
      `import process from "node:process";
export const application = async (_: unknown, startResponse: Function) => {
  let bytes = 0;
  for await (const chunk of process.stdin) bytes += chunk.length;
  startResponse("200 OK", []);
  return "stdin has " + bytes;
};
`,
    ),
  );
  apache = await workspace.apache({
    modules: ["fcgid"],
    config: `
FcgidMaxRequestLen 300000000
FcgidMaxProcessesPerClass 1
FcgidOutputBufferSize 0
<Location "/">
  Require all granted
  Options +ExecCGI
  SetHandler fcgid-script
</Location>
Alias "/app" "${wrapper}"
Alias "/rows" "${printing}"
Alias "/broken" "${dead}"
Alias "/stdin" "${reading}"`,
  });
}, 60_000);

afterAll(() => workspace.close(), 60_000);

const text = async (target: string): Promise<string> => (await apache.request(target)).body.toString("latin1");
const pid = async (): Promise<number> => Number(await text("/app/pid"));

describe("the process that mod_fcgid starts", () => {
  test("serves one request after another", async () => {
    const first = await pid();
    expect(first).toBeGreaterThan(0);
    expect(await pid()).toBe(first);
  });

  test('gives the application an empty stdin, which import "node:process" looks at', async () => {
    expect(await text("/stdin")).toBe("stdin has 0");
  });

  test("survives SIGHUP", async () => {
    const first = await pid();
    process.kill(first, "SIGHUP");
    expect(await text("/app/hello")).toBe("hello");
    expect(await pid()).toBe(first);
  });

  test("ends at once on SIGTERM when idle, and the next request is served", async () => {
    const first = await pid();
    process.kill(first, "SIGTERM");
    await until("the process to end", () => hasEnded(first), 10_000);
    expect(await text("/app/hello")).toBe("hello");
  });

  test("finishes a running request on SIGTERM", async () => {
    const first = await pid();
    const file = workspace.path("gate");
    const connection = await HttpConnection.open(apache.port);
    await connection.sendRequest({ target: `/app/file-gate?${file}` });
    await apache.logged(`app: waiting for ${file}`);
    process.kill(first, "SIGTERM");
    await workspace.write("gate", "");
    const reply = await connection.readReply();
    connection.destroy();
    expect(reply.body.toString()).toBe("the file is there");
    await until("the process to end", () => hasEnded(first));
  });

  test("what it prints goes to Apache's error log and not into a response", async () => {
    for (let turn = 0; turn < 3; turn += 1) {
      const reply = await apache.request({ target: "/rows", headers: [["X-Application", "prints to stdout"]] });
      expect(reply.status).toBe(200);
      expect(reply.body.toString()).toBe("untouched by what was printed");
    }
    await apache.logged("row: console.log before the head");
    workspace.expectLog(/row: /u);
  });

  test("a large body that is not read does not block it", async () => {
    const reply = await apache.request({
      method: "POST",
      target: "/app/ignore?big",
      body: Buffer.alloc(5_000_000, "b"),
    });
    expect(reply.body.toString()).toBe("ignored big");
    expect(await text("/app/hello")).toBe("hello");
  });

  test("a large echo does not deadlock", async () => {
    const body = Buffer.alloc(5_000_000, "e");
    const reply = await apache.request({ method: "POST", target: "/app/echo", body });
    expect(reply.body.equals(body)).toBe(true);
  }, 60_000);

  test("a broken application answers 500 and says why in the log", async () => {
    const reply = await apache.request("/broken");
    expect(reply.status).toBe(500);
    expect(reply.body.toString()).not.toContain("broken.ts");
    await apache.logged(/broken\.ts/u);
    workspace.expectLog(/broken\.ts/u);
  });

  test("ends with Apache: no process is left", async () => {
    const own = await Workspace.open();
    const wrapper = await own.wrapper("www/app.fcgi", "tsgi-fcgid", own.app("engine.ts"));
    const another = await own.apache({
      modules: ["fcgid"],
      config: `Alias "/app" "${wrapper}"\n<Location "/">\n Require all granted\n Options +ExecCGI\n SetHandler fcgid-script\n</Location>`,
    });
    const started = Number((await another.request("/app/pid")).body.toString());
    expect(processesOf(own.dir).map((entry) => entry.pid)).toContain(started);
    await another.stop();
    await until("the process to end", () => hasEnded(started));
    await own.close();
  }, 60_000);
});
