"""A visitor of flask_site.py by https, with a cookie jar. Arguments: address, way, folder (not used)."""

import hashlib
import io
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from suite_checks import check, report, same

BASE, WAY = sys.argv[1:3]
STYLE = Path(__file__).parent / "flask_static/style.css"


def visitor():
    session = requests.Session()
    # The front passes bytes and adds no field: in the direct run the visitor stands in for a proxy.
    if WAY == "direct":
        session.headers["X-Forwarded-Proto"] = "https"
    return session


web = visitor()


@check("a page")
def _():
    same(web.get(BASE + "/").text, "index")


@check("the site sees https, and the host that the visitor asked")
def _():
    host = BASE.removeprefix("https://")
    same(web.get(BASE + "/who").json(), {"scheme": "https", "secure": True, "host": host, "url": BASE + "/who"})


@check("a sign-in lives in a secure cookie, and the redirection after it is followed")
def _():
    answer = web.post(BASE + "/sign-in", data={"user": "ümit"})
    same((answer.status_code, answer.url, answer.text), (200, BASE + "/home", "hello ümit"))
    line = answer.history[0].headers["Set-Cookie"]
    assert "; Secure;" in line and "SameSite=Lax" in line, line
    assert next(iter(web.cookies)).secure


@check("another visitor is not signed in")
def _():
    same(visitor().get(BASE + "/home").status_code, 401)


@check("an absolute redirection stays on https and on the visitor's host")
def _():
    same(web.get(BASE + "/absolute", allow_redirects=False).headers["Location"], BASE + "/home")


@check("a path without its slash is redirected")
def _():
    answer = web.get(BASE + "/folder")
    same((answer.history[0].status_code, answer.url, answer.text), (308, BASE + "/folder/", "the folder"))


@check("a static file, and that it has not changed since")
def _():
    answer = web.get(BASE + "/flask_static/style.css")
    same((answer.text, answer.headers["Content-Type"]), (STYLE.read_text(), "text/css; charset=utf-8"))
    again = web.get(BASE + "/flask_static/style.css", headers={"If-None-Match": answer.headers["ETag"]})
    same((again.status_code, again.content), (304, b""))


@check("a streamed answer")
def _():
    same(web.get(BASE + "/stream").text, "".join(str(part) * 10_000 for part in range(10)))


@check("a body of 4 MiB, framed by its length")
def _():
    body = os.urandom(4 << 20)
    same(web.put(BASE + "/sum", data=body).text, hashlib.sha256(body).hexdigest())


@check("an upload by a form")
def _():
    body = os.urandom(1 << 20)
    sent = web.post(BASE + "/upload", data={"field": "a b"}, files={"file": ("nam e.bin", io.BytesIO(body))})
    same(sent.json(), {"name": "nam e.bin", "sum": hashlib.sha256(body).hexdigest(), "field": "a b"})


@check("a part of a file")
def _():
    answer = web.get(BASE + "/file", headers={"Range": "bytes=1000-1999"})
    same((answer.status_code, answer.headers["Content-Range"]), (206, "bytes 1000-1999/1048576"))
    same(answer.content, (bytes(range(256)) * 4096)[1000:2000])


@check("the head alone")
def _():
    answer = web.head(BASE + "/file")
    same((answer.status_code, answer.headers["Content-Length"], answer.content), (200, "1048576", b""))


@check("the debugger's page for an exception, and what it loads")
def _():
    answer = web.get(BASE + "/fails")
    assert answer.status_code == 500 and "RuntimeError: on purpose" in answer.text, answer.text[:300]
    debugger = web.get(BASE + "/?__debugger__=yes&cmd=resource&f=debugger.js")
    assert debugger.status_code == 200 and "console" in debugger.text, debugger.status_code


@check("a path that is not there")
def _():
    same(web.get(BASE + "/none").status_code, 404)


@check("200 requests, 10 at once, each with its own answer")
def _():
    def one(index):
        body = str(index).encode() * 1000
        return web.put(BASE + "/sum", data=body).text == hashlib.sha256(body).hexdigest()

    with ThreadPoolExecutor(10) as pool:
        assert all(pool.map(one, range(200)))


report()
