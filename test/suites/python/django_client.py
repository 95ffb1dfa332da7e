"""A visitor of django_site.py by https, with a cookie jar. Arguments: address, way, folder (not used)."""

import hashlib
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor

import requests
from suite_checks import check, report, same

BASE, WAY = sys.argv[1:3]
LOGIN = BASE + "/admin/login/?next=/admin/"


def visitor():
    session = requests.Session()
    # The front passes bytes and adds no field: in the direct run the visitor stands in for a proxy.
    if WAY == "direct":
        session.headers["X-Forwarded-Proto"] = "https"
    return session


web = visitor()


def sign_in(session, **fields):
    page = session.get(LOGIN).text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    form = {"csrfmiddlewaretoken": token, "username": "admin", "password": "pass word", "next": "/admin/"}
    return session.post(LOGIN, data=form, headers=fields)


@check("the site sees https, and the host that the visitor asked")
def _():
    same(web.get(BASE + "/who/").json(), {"secure": True, "url": BASE + "/who/"})


@check("a path without its slash is redirected")
def _():
    answer = web.get(BASE + "/who")
    same((answer.history[0].status_code, answer.url), (301, BASE + "/who/"))


@check("what needs a sign-in is redirected to it")
def _():
    answer = web.get(BASE + "/admin/")
    same((answer.history[0].status_code, answer.url), (302, LOGIN))


@check("the form sets a secure cookie against forged requests")
def _():
    web.get(LOGIN)
    assert web.cookies and all(cookie.secure for cookie in web.cookies), list(web.cookies)


@check("a form without its token is refused")
def _():
    same(web.post(LOGIN, data={"username": "admin", "password": "pass word"}).status_code, 403)


@check("a form from another site is refused")
def _():
    answer = sign_in(visitor(), Origin="https://elsewhere.test")
    same(answer.status_code, 403)
    assert "Origin checking failed" in answer.text, answer.text[:500]


@check("a form by https without Referer and Origin is refused")
def _():
    answer = sign_in(visitor())
    same(answer.status_code, 403)
    assert "no Referer" in answer.text, answer.text[:500]


@check("a form with the Referer of this site alone signs in")
def _():
    answer = sign_in(visitor(), Referer=LOGIN)
    same((answer.status_code, answer.url), (200, BASE + "/admin/"))


@check("a form with the Origin of this site signs in; its cookies are secure")
def _():
    answer = sign_in(web, Origin=BASE, Referer=LOGIN)
    same((answer.status_code, answer.url), (200, BASE + "/admin/"))
    assert "Site administration" in answer.text
    assert {cookie.name for cookie in web.cookies} == {"csrftoken", "sessionid"}
    assert all(cookie.secure for cookie in web.cookies)


@check("another visitor is not signed in")
def _():
    same(visitor().get(BASE + "/admin/").url, LOGIN)


@check("a record is made and removed in the administration, by forms with tokens")
def _():
    add = BASE + "/admin/auth/group/add/"
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', web.get(add).text)[1]
    form = {"csrfmiddlewaretoken": token, "name": "grüppe", "_save": "Save"}
    answer = web.post(add, data=form, headers={"Origin": BASE, "Referer": add})
    same((answer.history[0].status_code, answer.url), (302, BASE + "/admin/auth/group/"))
    assert "grüppe" in answer.text and "was added successfully" in answer.text
    change = BASE + re.search(r'href="(/admin/auth/group/\d+/)change/', answer.text)[1] + "delete/"
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', web.get(change).text)[1]
    gone = web.post(change, data={"csrfmiddlewaretoken": token, "post": "yes"}, headers={"Origin": BASE, "Referer": change})
    assert "was deleted successfully" in gone.text


@check("every stylesheet and script of the administration")
def _():
    page = web.get(BASE + "/admin/").text
    files = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page))
    assert len(files) >= 5, files
    for name in files:
        answer = web.get(BASE + name)
        same(answer.status_code, 200)
        same(int(answer.headers["Content-Length"]), len(answer.content))
        again = web.get(BASE + name, headers={"If-Modified-Since": answer.headers["Last-Modified"]})
        same((again.status_code, again.content), (304, b""))


@check("a streamed answer")
def _():
    same(web.get(BASE + "/stream/").text, "".join(str(part) * 10_000 for part in range(10)))


@check("a file")
def _():
    assert "def file(_request)" in web.get(BASE + "/file/").text


@check("a body of 2 MiB")
def _():
    body = os.urandom(2 << 20)
    same(web.put(BASE + "/sum/", data=body).text, hashlib.sha256(body).hexdigest())


@check("the debugging page for an exception")
def _():
    answer = web.get(BASE + "/fails/")
    same(answer.status_code, 500)
    assert "RuntimeError" in answer.text and "Traceback" in answer.text


@check("the debugging page for a path that is not there")
def _():
    answer = web.get(BASE + "/none/")
    assert answer.status_code == 404 and "URLconf" in answer.text


@check("100 requests, 10 at once, each with its own answer")
def _():
    def one(index):
        body = str(index).encode() * 1000
        return web.put(BASE + "/sum/", data=body).text == hashlib.sha256(body).hexdigest()

    with ThreadPoolExecutor(10) as pool:
        assert all(pool.map(one, range(100)))


report()
