// Applications of frameworks where Apache starts the program: a process for each request under CGI, one that stays under
// mod_fcgid. The same replies as on node:http.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import { ask, isFetch, withoutGuessedType } from "../harness/comparable.ts";
import { requests } from "../harness/framework-requests.ts";
import { copyFrameworks, startOracle } from "../harness/frameworks.ts";
import { Workspace } from "../harness/workspace.ts";

const files = ["express5.mjs", "fastify.mjs", "hono.mjs", "listen-commonjs.cjs", "listen-await.mjs", "listen-late.mjs"];
const names = new Set(["a text", "HEAD", "JSON", "nothing there", "an echo", "418", "pieces with time between them"]);
const some = requests.filter(([name]) => names.has(name));

let workspace: Workspace;
let oracle: Readonly<Record<string, number>>;
let folder: string;

beforeAll(async () => {
  workspace = await Workspace.open();
  folder = await copyFrameworks(workspace);
  oracle = await startOracle(workspace, folder, files);
}, 120_000);

afterAll(() => workspace.close(), 60_000);

async function cgi(file: string): Promise<Apache> {
  const wrapper = await workspace.wrapper(`${file}.cgi`, "tsgi-cgi", "--mount-point=/", `${folder}/${file}`);
  return await workspace.apache({
    modules: ["cgid"],
    config: `SetEnv NODE_ENV production
SetEnvIf Request_URI . ap_trust_cgilike_cl=1
ScriptAlias "/" "${wrapper}/"
<Location "/">
  Require all granted
</Location>`,
  });
}

async function fcgid(file: string): Promise<Apache> {
  const wrapper = await workspace.wrapper(`${file}.fcgi`, "tsgi-fcgid", "--mount-point=/", `${folder}/${file}`);
  return await workspace.apache({
    modules: ["fcgid"],
    config: `FcgidInitialEnv NODE_ENV production
FcgidMaxRequestLen 10000000
FcgidMaxProcessesPerClass 1
FcgidOutputBufferSize 0
Alias "/" "${wrapper}/"
<Location "/">
  Require all granted
  SetHandler fcgid-script
  Options +ExecCGI
</Location>`,
  });
}

describe.each([
  ["mod_cgid", cgi],
  ["mod_fcgid", fcgid],
] as const)("%s", (_name, startApache) => {
  test.each(files)("%s", async (file) => {
    const apache = await startApache(file);
    for (const [name, request] of some) {
      const wanted = await ask(oracle[file], request);
      const got = await ask(apache.port, request);
      expect(got, name).toEqual(isFetch(file) ? withoutGuessedType(wanted, got) : wanted);
    }
    await apache.stop();
  });
});

test("the adapter may be named: to the program, or in its environment", async () => {
  const app = await workspace.write("named/app.mjs", `export default (a, b) => new Response("fetched");\n`);
  const byOption = await workspace.wrapper("option.cgi", "tsgi-cgi", "--adapter=fetch", app);
  const byVariable = await workspace.wrapper("variable.cgi", "tsgi-cgi", app);
  const apache = await workspace.apache({
    modules: ["cgid"],
    config: `ScriptAlias "/option" "${byOption}"
ScriptAlias "/variable" "${byVariable}"
<Location "/">
  Require all granted
</Location>
<Location "/variable">
  SetEnv TSGI_ADAPTER fetch
</Location>`,
  });
  for (const path of ["/option", "/variable"]) {
    expect((await apache.request(path)).body.toString()).toBe("fetched");
  }
});
