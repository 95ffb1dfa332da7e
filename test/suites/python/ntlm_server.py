"""A server that asks for NTLM as IIS does: a connection, not a request, is signed in. pyspnego checks the sign-in.

NTLM_USER_FILE names a file of lines `DOMAIN:USER:PASSWORD`.
"""

import base64
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import spnego
import spnego.exceptions


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One instance serves one connection.
    user = None
    context = None
    requests = 0

    def do_GET(self):
        self.requests += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/open":
            return self.answer(200, "open")
        if self.user is None and not self.sign_in():
            return None
        if self.path == "/sum":
            return self.answer(200, hashlib.sha256(body).hexdigest())
        return self.answer(200, f"{self.command} by {self.user}, request {self.requests} of its connection")

    do_POST = do_PUT = do_GET

    def sign_in(self):
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        if scheme.upper() != "NTLM":
            self.answer(401, "who are you?", "NTLM")
            return False
        if self.context is None:
            self.context = spnego.server(protocol="ntlm")
        try:
            reply = self.context.step(base64.b64decode(token))
        except spnego.exceptions.SpnegoError:
            self.context = None
            self.answer(401, "not you", "NTLM")
            return False
        if not self.context.complete:
            self.answer(401, "prove it", "NTLM " + base64.b64encode(reply).decode())
            return False
        self.user = self.context.client_principal
        return True

    def answer(self, status, text, challenge=None):
        self.send_response(status)
        if challenge is not None:
            self.send_header("WWW-Authenticate", challenge)
        body = text.encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100


server = Server(("127.0.0.1", 0), Handler)
print(f"127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
