"""A model API over TLS on loopback that answers one thing, until its standard input ends. Arguments: certificate, key."""

import http.server
import ssl
import sys
import threading

ANSWER = (
    b'data: {"choices":[{"delta":{"content":"over TLS"},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)


class Api(http.server.BaseHTTPRequestHandler):
    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer("application/json", b'{"data":[]}')

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.answer("text/event-stream", ANSWER)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"https://127.0.0.1:{server.server_port}", flush=True)
sys.stdin.read()
