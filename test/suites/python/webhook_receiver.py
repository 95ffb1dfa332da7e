"""Receives signed notifications: Mercado Pago's SDK checks its own, an HMAC of request id and body the others."""

import hashlib
import hmac
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from mercadopago.webhook import InvalidWebhookSignatureError, WebhookSignatureValidator

SECRET = "the secret of both"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if self.path.startswith("/mercado-pago"):
                self.mercado_pago()
            else:
                self.signed_body(body)
            self.answer(200, "accepted")
        except (InvalidWebhookSignatureError, ValueError) as refused:
            self.answer(401, str(refused))

    def mercado_pago(self):
        data_id = parse_qs(urlsplit(self.path).query).get("data.id", [None])[0]
        WebhookSignatureValidator.validate(
            self.headers.get("x-signature"), self.headers.get("x-request-id"), data_id, SECRET
        )

    def signed_body(self, body):
        """The id stands in the signature, so a body cannot be sent again under another id."""
        ids = self.headers.get_all("X-Request-Id") or []
        if len(ids) != 1:
            raise ValueError(f"{len(ids)} fields X-Request-Id")
        signed = hmac.new(SECRET.encode(), ids[0].encode() + b"." + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signed, self.headers.get("X-Signature-256", "")):
            raise ValueError(f"the signature is not that of this body and {ids[0]}")

    def do_GET(self):
        self.answer(200, json.dumps(self.headers.get_all("X-Request-Id") or []))

    def answer(self, status, text):
        self.send_response(status)
        body = text.encode()
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Request-Id", "of the application")
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
