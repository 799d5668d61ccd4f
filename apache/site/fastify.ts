// A Fastify application that listens by itself, as an unmodified server does: the first `listen` of a script is taken over,
// whatever its port. fastify.ts/hello/Ada
import type { IncomingMessage } from "node:http";
import { fastify } from "fastify";
import { frontPage, greetingPage, visitAfter } from "./lib/framework-page.ts";

const app = fastify();

app.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string" }, (_request, body, done) => {
  done(null, new URLSearchParams(body.toString()));
});

app.get("/", (request, reply) => {
  const { baseUrl = "" } = request.raw as IncomingMessage & { baseUrl?: string };
  return reply.type("text/html; charset=utf-8").send(frontPage("Fastify", baseUrl));
});

app.post<{ Body: URLSearchParams }>("/", (request, reply) => {
  const visit = visitAfter(/(?:^|; )fastify=(\d+)/.exec(request.headers.cookie ?? "")?.[1]);
  return reply
    .header("Set-Cookie", `fastify=${visit}; SameSite=Lax`)
    .type("text/html; charset=utf-8")
    .send(greetingPage(request.body.get("name") ?? "", visit));
});

app.get<{ Params: { name: string } }>("/hello/:name", (request, reply) =>
  reply.send({ hello: request.params.name, from: request.ip, framework: "Fastify" }),
);

await app.listen({ port: 3000 });
