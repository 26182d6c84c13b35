"""A receiver of webhooks: verifies each signature by the Standard Webhooks specification, and logs each request.

Arguments: port, log file, file with the mode, secret. The mode is the status of the answers, or `hang`.
"""

import base64
import hashlib
import hmac
import http.server
import json
import sys
import threading
import time

PORT, LOG, MODE, SECRET = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
LOCK = threading.Lock()


def is_signed(headers, body):
    sent = headers.get("webhook-signature")
    if sent is None:
        return None
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    code = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    is_fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    return is_fresh and any(hmac.compare_digest(it, f"v1,{code}") for it in sent.split(" "))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with open(MODE) as file:
            mode = file.read().strip()
        line = {
            "mode": mode,
            "id": self.headers["webhook-id"],
            "type": self.headers["content-type"],
            "signed": is_signed(self.headers, body),
            "path": self.path,
            "body": json.loads(body),
        }
        with LOCK, open(LOG, "a") as log:
            log.write(json.dumps(line) + "\n")
        if mode == "hang":
            threading.Event().wait()
        self.send_response(int(mode))
        if mode == "429":
            self.send_header("retry-after", "3600")
        if mode == "302":
            self.send_header("location", "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_):
        """Clients whose time is over close their connections."""


Server(("127.0.0.1", PORT), Handler).serve_forever()
