// A Hono application, as tsgi runs it: a fetch handler. It gets the URL of the client, mount point included.
import { Hono } from "hono";

const api = new Hono();

api.get("/hello", (context) => context.text("Hello World!"));
api.get("/json", (context) => {
  const n = Number(context.req.query("n"));
  return context.json({ name: context.req.query("name"), n, doubled: 2 * n });
});

export default new Hono().route("/", api).route("/:mount", api);
