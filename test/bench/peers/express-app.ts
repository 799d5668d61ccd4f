// An Express application, as tsgi runs it. It listens only where it is started by itself (http-express.ts).
import express from "express";

const app = express();

app.get("/hello", (_request, response) => {
  response.type("text/plain").send("Hello World!");
});
app.get("/json", (request, response) => {
  const n = Number(request.query["n"]);
  response.json({ name: request.query["name"], n, doubled: 2 * n });
});

export default app;
