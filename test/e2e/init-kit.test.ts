// The upload kit: unpacked into a folder that a real Apache serves, with the one line edited, the application answers there
// without node_modules, without a compiler and without this package.
import { mkdir, readFile, symlink } from "node:fs/promises";
import { dirname } from "node:path";
import { unzipSync } from "fflate";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import { Workspace } from "../harness/workspace.ts";

const secret = "SECRET-SOURCE";

const express = `// ${secret}
import express from "express";
import { greeting } from "./lib/greeting.js";
const app = express();
app.use(express.json());
app.get("/", (_request, response) => response.send(greeting()));
app.post("/sum", (request, response) => {
  console.log("printed, and no part of the response");
  response.json({ sum: request.body.numbers.reduce((sum, number) => sum + number, 0), at: request.originalUrl });
});
app.listen(3000);
`;

const own = `// ${secret}
import { parseForm } from "tsgi";
enum Word { Hello = "hello" }
export const other = async (environ, startResponse) => {
  const form = environ.REQUEST_METHOD === "POST" ? await parseForm(environ) : undefined;
  startResponse("200 OK", [["Content-Type", "text/plain"]]);
  return [Word.Hello, environ.SCRIPT_NAME, environ.PATH_INFO, form?.get("name") ?? ""].join("|");
};
`;

const commonJs = `// ${secret}
module.exports = (request, response) => response.end(\`\${require("node:path").basename(__dirname)} \${request.url}\`);
`;

/** Permission bits as an archive has them: from its central directory, which unzipSync does not show. */
function modesOf(zip: Buffer): Record<string, string> {
  const modes: Record<string, string> = {};
  for (
    let at = zip.indexOf("PK\u0001\u0002", 0, "latin1");
    at !== -1;
    at = zip.indexOf("PK\u0001\u0002", at + 4, "latin1")
  ) {
    const name = zip.toString("utf8", at + 46, at + 46 + zip.readUInt16LE(at + 28));
    expect(zip[at + 5], "made by Unix").toBe(3);
    modes[name] = (zip.readUInt32LE(at + 38) >>> 16).toString(8);
  }
  return modes;
}

let workspace: Workspace;
let apache: Apache;

beforeAll(async () => {
  workspace = await Workspace.open();
  workspace.expectLog(/"printed, and no part of the response"/u);
  await workspace.ownedDir("kits");
  await workspace.write("apps/express/app.js", express);
  await workspace.write("apps/express/package.json", '{ "type": "module" }');
  await workspace.write(
    "apps/express/lib/greeting.js",
    "export const greeting = () => `hello from ${import.meta.url ? 'a kit' : ''}`;\n",
  );
  await symlink(`${workspace.product.dir}/node_modules`, workspace.path("apps/express/node_modules"));
  await workspace.write("apps/own/app.ts", own);
  await workspace.write("apps/commonjs/app.cjs", commonJs);
  await mkdir(workspace.path("other place"));
  await symlink(process.execPath, workspace.path("other place/node"));
  await Promise.all([unpack("express", "app.js"), unpack("own", "app.ts#other"), unpack("commonjs", "app.cjs")]);
  apache = await workspace.apache({
    modules: ["cgid", "rewrite"],
    documentRoot: workspace.path("www"),
    config: `<Directory "${workspace.path("www")}">\n  AllowOverride FileInfo Options=ExecCGI\n</Directory>`,
    env: { PATH: "/nonexistent" },
  });
}, 60_000);

afterAll(() => workspace.close(), 60_000);

/** What a person does with a kit: unpacks it into the served folder and edits the line. */
async function unpack(name: string, app: string): Promise<void> {
  const zipFile = workspace.path("kits", `${name}.zip`);
  const program = workspace.tsgi(["init", "--upload-kit", zipFile, "--app", workspace.path("apps", name, app)]);
  await program.ended;
  expect(program.report()).toContain("ended with 0");
  const zip = await readFile(zipFile);
  const modes = modesOf(zip);
  for (const [file, bytes] of Object.entries(unzipSync(zip))) {
    const text = Buffer.from(bytes).toString("utf8");
    const lines = text.split("\n");
    if (file === "app.cgi")
      lines[2] = (lines[2] ?? "").replace(/^NODE=.*$/u, `NODE='${workspace.path("other place/node")}'`);
    expect(dirname(file)).toMatch(/^(\.|tsgi-app)$/u);
    await workspace.write(`www/${name}/${file}`, lines.join("\n"), Number.parseInt(modes[file] ?? "", 8) & 0o777);
  }
}

const body = async (target: string): Promise<string> => {
  const reply = await apache.request(target);
  return `${reply.status} ${reply.body.toString()}`;
};

test("an Express application answers", async () => {
  expect(await body("/express/")).toBe("200 hello from a kit");
  const reply = await apache.request({
    method: "POST",
    target: "/express/sum",
    headers: [["Content-Type", "application/json"]],
    body: '{"numbers":[1,2,3]}',
  });
  expect(JSON.parse(reply.body.toString())).toEqual({ sum: 6, at: "/express/sum" });
});

test("an application of this package, in TypeScript, answers with the export that was named", async () => {
  expect(await body("/own/a%20b?x")).toBe("200 hello|/own|/a b|");
  const reply = await apache.request({
    method: "POST",
    target: "/own/",
    headers: [["Content-Type", "application/x-www-form-urlencoded"]],
    body: "name=caf%C3%A9",
  });
  expect(Buffer.from(reply.body).toString("utf8")).toBe("hello|/own|/|café");
});

test("a CommonJS application answers", async () => {
  expect(await body("/commonjs/x?y")).toBe("200 tsgi-app /x?y");
});

test("where the line names no Node, one that is new enough is found where hosts keep it", async () => {
  const old = await workspace.write("old/node", "#!/bin/sh\nexit 1\n", 0o755);
  const text = await readFile(workspace.path("www/commonjs/app.cgi"), "utf8");
  const places = text
    .replace(/^NODE=.*$/mu, "NODE=/nonexistent/node")
    .replace(/for found in .*; do/u, `for found in /nonexistent/node* ${old} '${process.execPath}'; do`);
  expect(places).toContain(old);
  await workspace.write("www/commonjs/app.cgi", places, 0o755);
  expect(await body("/commonjs/found")).toBe("200 tsgi-app /found");
  await workspace.write("www/commonjs/app.cgi", places.replace(`'${process.execPath}'`, ""), 0o755);
  expect(await body("/commonjs/found")).toMatch(/^500 Node.js was not found/u);
  await workspace.write("www/commonjs/app.cgi", text, 0o755);
});

describe("of the kit itself", () => {
  test("a browser gets nothing, but what lies beside it", async () => {
    await workspace.write("www/own/style.css", "a stylesheet");
    expect(await body("/own/style.css")).toBe("200 a stylesheet");
    for (const path of [
      "README.html",
      "tsgi-app/app.mjs",
      "tsgi-app//app.mjs",
      "TSGI-APP/app.mjs",
      "tsgi-app/",
      ".htaccess",
    ]) {
      const answer = await body(`/own/${path}`);
      expect(answer, path).not.toContain("Upload kit");
      expect(answer, path).not.toMatch(/parseForm|createRequire|RewriteRule/u);
    }
  });

  test("the modes are those that hosts accept, and the page names the line to edit", async () => {
    const zip = await readFile(workspace.path("kits/own.zip"));
    expect(modesOf(zip)).toEqual({
      "README.html": "100644",
      ".htaccess": "100644",
      "app.cgi": "100755",
      "tsgi-app/.htaccess": "100644",
      "tsgi-app/app.mjs": "100644",
    });
    const page = Buffer.from(unzipSync(zip)["README.html"] ?? []).toString();
    expect(page).toContain("Edit line 3 of <code>app.cgi</code>, which is <code>NODE=/usr/bin/node</code>");
  });

  test("an archive that is there is not written over unless that was said", async () => {
    const args = ["init", "--upload-kit", workspace.path("kits/own.zip"), "--app", workspace.path("apps/own/app.ts")];
    const refused = workspace.tsgi(args);
    expect(await refused.ended).toMatchObject({ code: 1 });
    expect(refused.stderr).toMatch(/own\.zip is there already: .*--yes \[TSGI3102\]\n$/u);
  });
});
