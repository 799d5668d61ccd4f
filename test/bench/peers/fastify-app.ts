// A Fastify application, as tsgi runs it. It listens only where it is started by itself (http-fastify.ts).
import Fastify from "fastify";

const app = Fastify();

app.get("/hello", (_request, reply) => reply.type("text/plain").send("Hello World!"));

export default app;
