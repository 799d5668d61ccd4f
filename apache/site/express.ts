// An Express application as it is: exported, and it needs no port. express.ts/hello/Ada
import express from "express";
import { frontPage, greetingPage, visitAfter } from "./lib/framework-page.ts";

const app = express();

app.get("/", (req, res) => {
  res.send(frontPage("Express", req.baseUrl));
});

app.post("/", express.urlencoded(), (req, res) => {
  const visit = visitAfter(/(?:^|; )express=(\d+)/.exec(req.headers.cookie ?? "")?.[1]);
  const form: Readonly<Record<string, unknown>> = req.body ?? {};
  res.cookie("express", visit, { sameSite: "lax" });
  res.send(greetingPage(String(form["name"]), visit));
});

app.get("/hello/:name", (req, res) => {
  res.json({ hello: req.params.name, from: req.socket.remoteAddress, framework: "Express" });
});

export default app;
