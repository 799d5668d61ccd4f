// A Koa application as it is. `ctx.req.environ` is the gateway's environ: here its form is read with tsgi's own parser.
// koa.ts/hello/Ada
import type { IncomingMessage } from "node:http";
import Koa from "koa";
import { parseForm } from "tsgi";
import type { Environ } from "tsgi";
import { frontPage, greetingPage, visitAfter } from "./lib/framework-page.ts";

const app = new Koa();

app.use(async (ctx, next) => {
  const { environ, baseUrl = "" } = ctx.req as IncomingMessage & { environ: Environ; baseUrl?: string };
  if (ctx.path !== "/") return await next();
  ctx.type = "html";
  if (ctx.method !== "POST") {
    ctx.body = frontPage("Koa", baseUrl);
    return undefined;
  }
  const form = await parseForm(environ);
  const visit = visitAfter(ctx.cookies.get("koa"));
  ctx.cookies.set("koa", String(visit), { sameSite: "lax" });
  ctx.body = greetingPage(form.get("name") ?? "", visit);
  return undefined;
});

app.use((ctx) => {
  const [, name] = /^\/hello\/([^/]+)$/.exec(ctx.path) ?? [];
  if (name === undefined) return;
  ctx.body = { hello: decodeURIComponent(name), from: ctx.ip, framework: "Koa" };
});

export default app;
