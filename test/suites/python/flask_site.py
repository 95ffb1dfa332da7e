"""A site by Flask as its pages on deployment advise: behind one proxy, with debugging on."""

import hashlib
import io

from flask import Flask, Response, jsonify, redirect, request, send_file, session, stream_with_context, url_for
from werkzeug.middleware.proxy_fix import ProxyFix

app = Flask(__name__, static_folder="flask_static")
app.secret_key = "not secret"
app.config.update(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE="Lax", PREFERRED_URL_SCHEME="http")
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)


@app.get("/")
def index():
    return "index"


@app.get("/who")
def who():
    return jsonify(scheme=request.scheme, secure=request.is_secure, host=request.host, url=request.url)


@app.post("/sign-in")
def sign_in():
    session["user"] = request.form["user"]
    return redirect(url_for("home"))


@app.get("/home")
def home():
    return f"hello {session['user']}" if "user" in session else ("not signed in", 401)


@app.get("/absolute")
def absolute():
    return redirect(url_for("home", _external=True), 302)


@app.get("/folder/")
def folder():
    return "the folder"


@app.get("/stream")
def stream():
    return Response(stream_with_context(str(part) * 10_000 for part in range(10)), mimetype="text/plain")


@app.put("/sum")
def digest():
    return hashlib.sha256(request.get_data()).hexdigest()


@app.post("/upload")
def upload():
    sent = request.files["file"]
    return jsonify(name=sent.filename, sum=hashlib.sha256(sent.read()).hexdigest(), field=request.form["field"])


@app.get("/file")
def file():
    return send_file(io.BytesIO(bytes(range(256)) * 4096), mimetype="application/octet-stream", conditional=True, etag="e1")


@app.get("/fails")
def fails():
    raise RuntimeError("on purpose")
