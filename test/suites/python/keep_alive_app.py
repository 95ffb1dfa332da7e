"""Answers each request at the instant that it names, as a WSGI and as an ASGI application, and counts deliveries and connections."""

import asyncio
import json
import threading
import time
from urllib.parse import parse_qs

_lock = threading.Lock()
_deliveries = {}
_connections = set()


def _note(query, connection):
    """Returns the seconds to wait."""
    with _lock:
        _connections.add(connection)
        _deliveries[query["id"][0]] = _deliveries.get(query["id"][0], 0) + 1
    return max(0, float(query["until"][0]) / 1000 - time.time())


def _tally():
    with _lock:
        return json.dumps({"connections": len(_connections), "deliveries": _deliveries}).encode()


def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/tally":
        body = _tally()
    else:
        environ["wsgi.input"].read()
        time.sleep(_note(parse_qs(environ["QUERY_STRING"]), environ["REMOTE_PORT"]))
        body = b"here"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


async def asgi(scope, receive, send):
    if scope["path"] == "/tally":
        body = _tally()
    else:
        while (await receive()).get("more_body"):
            pass
        await asyncio.sleep(_note(parse_qs(scope["query_string"].decode()), scope["client"][1]))
        body = b"here"
    fields = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
