// What Apache sends in the place of a response: a file that mod_xsendfile is told of, and another URL of the site, where the
// module in front redirects internally (mod_fcgid and mod_cgid do, mod_proxy_fcgi does not).
import { symlink } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import { headerValues, type HttpReply } from "../harness/http.ts";
import { Workspace } from "../harness/workspace.ts";

let workspace: Workspace;
let apache: Apache;
const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) & 255));

const application = (dir: string): string => `
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
const dir = ${JSON.stringify(dir)};
export const application = async (environ, startResponse) => {
  const wrap = environ["wsgi.file_wrapper"];
  const type = ["Content-Type", "application/x-test"];
  const path = environ.PATH_INFO;
  if (path === "/handle") return startResponse("200 OK", [type, ["ETag", '"a"']]), wrap(await open(dir + "/files/a b'é.bin"));
  if (path === "/stream") return startResponse("200 OK", [type]), wrap(createReadStream(dir + "/files/link.bin"));
  if (path === "/outside") return startResponse("200 OK", [type]), wrap(await open(dir + "/other.bin"));
  if (path === "/escape") return startResponse("200 OK", [type]), wrap(createReadStream(dir + "/files/out.bin"));
  if (path === "/escaped") return startResponse("200 OK", [type]), wrap(await open(dir + "/files/%41.bin"));
  if (path === "/part") return startResponse("206 Partial Content", [type]), wrap(createReadStream(dir + "/files/link.bin", { start: 5, end: 9 }));
  if (path === "/rest") {
    const handle = await open(dir + "/files/a b'é.bin");
    await handle.read(Buffer.alloc(10), 0, 10, null);
    return startResponse("200 OK", [type]), wrap(handle);
  }
  if (path === "/elsewhere") return startResponse("200 OK", [["Location", "/static/page.txt?from=app"], type]), "not this";
  return startResponse("404 Not Found", [type]), "";
};
`;

beforeAll(async () => {
  workspace = await Workspace.open();
  const app = await workspace.write("app.ts", application(workspace.dir));
  await workspace.write("files/a b'é.bin", content);
  await workspace.write("other.bin", content);
  await workspace.write("files/%41.bin", content);
  await workspace.write("static/page.txt", "the other page\n");
  await symlink("a b'é.bin", workspace.path("files/link.bin"));
  await symlink("../other.bin", workspace.path("files/out.bin"));
  const files = workspace.path("files");
  const daemon = await workspace.daemon([app, "--x-sendfile", files]);
  const fcgid = await workspace.wrapper("www/app.fcgi", "tsgi-fcgid", app);
  const cgi = await workspace.wrapper("www/app.cgi", "tsgi-cgi", app);
  apache = await workspace.apache({
    modules: ["proxy", "proxy_fcgi", "fcgid", "cgid", "xsendfile"],
    config: `
XSendFile On
XSendFilePath "${files}"
FcgidInitialEnv TSGI_X_SENDFILE "${files}"
FcgidMaxProcessesPerClass 1
Alias "/static" "${workspace.path("static")}"
Alias "/fcgid" "${fcgid}"
ScriptAlias "/cgi" "${cgi}"
ProxyPass "/proxy" "unix:${daemon.socket}|fcgi://app" enablereuse=on
<Location "/">
  Require all granted
  Options +ExecCGI
</Location>
<Location "/fcgid">
  SetHandler fcgid-script
</Location>
<Location "/proxy">
  ProxyFCGIBackendType GENERIC
  SetEnv TSGI_MOUNT_POINT /proxy
</Location>`,
  });
}, 60_000);

afterAll(() => workspace.close(), 60_000);

const get = (target: string, headers: [string, string][] = [], method = "GET"): Promise<HttpReply> =>
  apache.request({ target, headers, method });
const lengthOf = (reply: HttpReply): string[] => headerValues(reply.headers, "Content-Length");

describe.each(["/proxy", "/fcgid"])("%s, a file", (mount) => {
  test.each(["/handle", "/stream"])("inside the folder is Apache's to send: %s", async (path) => {
    const whole = await get(`${mount}${path}`);
    expect([whole.status, lengthOf(whole), headerValues(whole.headers, "X-Sendfile")]).toEqual([200, ["300000"], []]);
    expect(headerValues(whole.headers, "Content-Type")).toEqual(["application/x-test"]);
    expect(whole.body.equals(content)).toBe(true);
    const part = await get(`${mount}${path}`, [["Range", "bytes=1000-1999"]]);
    expect([part.status, lengthOf(part)]).toEqual([206, ["1000"]]);
    expect(part.body.equals(content.subarray(1000, 2000))).toBe(true);
    const head = await get(`${mount}${path}`, [], "HEAD");
    expect([head.status, head.body.length]).toEqual([200, 0]);
  });

  test.each([
    ["/outside", 200, content],
    ["/escape", 200, content],
    ["/escaped", 200, content],
    ["/part", 206, content.subarray(5, 10)],
    ["/rest", 200, content.subarray(10)],
  ])("%s is read by the application's process", async (path, status, expected) => {
    const reply = await get(`${mount}${path}`, [["Range", "bytes=1-2"]]);
    const isBySendfile = headerValues(reply.headers, "Content-Range").length > 0;
    // mod_fcgid's answers get ranges from Apache whoever made them.
    if (mount === "/proxy") {
      expect([reply.status, isBySendfile]).toEqual([status, false]);
      expect(reply.body.equals(expected)).toBe(true);
    }
    expect((await get(`${mount}${path}`)).body.equals(expected)).toBe(true);
  });
});

describe("Location with a path and status 200", () => {
  test.each(["/fcgid", "/cgi"])("is another URL of the site: %s", async (mount) => {
    const reply = await get(`${mount}/elsewhere`);
    expect([reply.status, headerValues(reply.headers, "Location")]).toEqual([200, []]);
    expect(reply.body.toString()).toBe("the other page\n");
  });

  test("is a response as any other behind mod_proxy_fcgi, which redirects nothing internally", async () => {
    const reply = await get("/proxy/elsewhere");
    expect([reply.status, reply.body.toString()]).toEqual([200, "not this"]);
  });
});
