# The cases as a WSGI application, for mod_wsgi.
import json
from urllib.parse import parse_qs

BODIES = {"/bytes/64k": b"x" * 65536, "/bytes/1m": b"x" * 1048576}
CHUNKS = [b"chunk %04d of a streamed response, with some text to fill a line\n" % number for number in range(1000)]


def plain(start_response, body, more=()):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *more])
    return [body]


def stream(start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield from CHUNKS


def upload(environ):
    size = 0
    while piece := environ["wsgi.input"].read(65536):
        size += len(piece)
    return size


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/hello":
        return plain(start_response, b"Hello World!")
    if path == "/json":
        query = parse_qs(environ["QUERY_STRING"])
        number = int(query["n"][0])
        answer = {"name": query["name"][0], "n": number, "doubled": 2 * number}
        body = json.dumps(answer, separators=(",", ":")).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]
    if path == "/form":
        text = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        fields = parse_qs(text.decode())
        return plain(start_response, b"%d %d" % (len(fields), len(fields["text"][0])))
    if path in BODIES:
        return plain(start_response, BODIES[path])
    if path == "/stream":
        return stream(start_response)
    if path == "/upload":
        return plain(start_response, b"%d" % upload(environ))
    if path == "/headers":
        sent = sum(1 for name in environ if name.startswith("HTTP_X_BENCH_"))
        cookies = len(environ["HTTP_COOKIE"].split("; "))
        return plain(start_response, b"%d %d" % (sent, cookies), [("Set-Cookie", "seen=1; Path=/"), ("X-Seen", "yes")])
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"not found"]
