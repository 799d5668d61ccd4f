// Two Apaches in a row, as where one is at the edge: what the edge says of the client counts, what the client says of itself
// does not. The client is 127.0.0.2, the edge reaches the inner Apache from 127.0.0.1.
import { request } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Apache } from "../harness/apache.ts";
import { Workspace } from "../harness/workspace.ts";

let workspace: Workspace;
let inner: Apache;
let edge: Apache;

const application = `
export const application = (environ, startResponse) => {
  startResponse("200 OK", [["Content-Type", "application/json"]]);
  const names = ["REMOTE_ADDR", "HTTP_X_FORWARDED_FOR", "HTTP_HOST", "HTTP_FORWARDED", "HTTP_X_FORWARDED_SERVER", "SCRIPT_NAME", "PATH_INFO"];
  return JSON.stringify([environ["wsgi.url_scheme"], ...names.map((name) => environ[name] ?? null)]);
};
`;

beforeAll(async () => {
  workspace = await Workspace.open();
  const headers = "X-Forwarded-For,X-Forwarded-Proto,X-Forwarded-Host,X-Forwarded-Prefix";
  const app = await workspace.write("app.ts", application);
  const daemon = await workspace.daemon([app, "--trusted-proxies", "127.0.0.1", "--trusted-proxy-headers", headers]);
  inner = await workspace.apache({
    modules: ["proxy", "proxy_fcgi"],
    config: `
ProxyPass "/" "unix:${daemon.socket}|fcgi://app/" enablereuse=on
<Location "/">
  ProxyFCGIBackendType GENERIC
  SetEnv TSGI_MOUNT_POINT /
</Location>`,
  });
  edge = await workspace.apache({
    modules: ["proxy", "proxy_http", "headers"],
    config: `
RequestHeader set X-Forwarded-Proto https
RequestHeader set X-Forwarded-Prefix /shop
ProxyPass "/shop/" "http://127.0.0.1:${inner.port}/"`,
  });
}, 60_000);

afterAll(() => workspace.close(), 60_000);

function asked(apache: Apache, path: string, headers: Record<string, string>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const options = { port: apache.port, host: "127.0.0.1", localAddress: "127.0.0.2", path, headers, agent: false };
    request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve(JSON.parse(Buffer.concat(chunks).toString())));
    })
      .on("error", reject)
      .end();
  });
}

const claimed = {
  Host: "shop.example",
  "X-Forwarded-For": "6.6.6.6, 127.0.0.1",
  "X-Forwarded-Proto": "http",
  "X-Forwarded-Host": "evil.example",
  "X-Forwarded-Prefix": "/evil",
  "X-Forwarded-Server": "evil.example",
  Forwarded: "for=6.6.6.6;proto=https",
};

test("through the edge: the edge's word", async () => {
  const seen = ["https", "127.0.0.2", "127.0.0.2", "shop.example", null, null, "/shop", "/a"];
  expect(await asked(edge, "/shop/a", { Host: "shop.example" })).toEqual(seen);
  expect(await asked(edge, "/shop/a", claimed)).toEqual(seen);
});

test("past the edge: nobody's word", async () => {
  const seen = ["http", "127.0.0.2", null, "shop.example", null, null, "", "/a"];
  expect(await asked(inner, "/a", claimed)).toEqual(seen);
});
