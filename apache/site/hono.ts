// A Hono application as it is. Its URLs are whole, as the client sees them, so it is told where its own part of the path
// begins: `env` is the gateway's environ. hono.ts/hello/Ada
import { Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { decodeText } from "tsgi";
import type { Environ } from "tsgi";
import { frontPage, greetingPage, visitAfter } from "./lib/framework-page.ts";

const mountOf = (env: Environ | undefined): string => decodeText(env?.SCRIPT_NAME ?? "");

const app = new Hono<{ Bindings: Environ }>({
  getPath: (request, options) => new URL(request.url).pathname.slice(encodeURI(mountOf(options?.env)).length) || "/",
});

app.get("/", (c) => c.html(frontPage("Hono", mountOf(c.env))));

app.post("/", async (c) => {
  const { name } = await c.req.parseBody();
  const visit = visitAfter(getCookie(c, "hono"));
  setCookie(c, "hono", String(visit), { sameSite: "Lax" });
  return c.html(greetingPage(typeof name === "string" ? name : "", visit));
});

app.get("/hello/:name", (c) => c.json({ hello: c.req.param("name"), from: c.env.REMOTE_ADDR, framework: "Hono" }));

export default app;
