"""A web server on this machine that takes messages, and answers them as a test says. `tests/helpers` is on the path."""

# mypy: allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "/services/T000/SECRET"


def ok(handler):
    handler.send_response(204)
    handler.end_headers()


class Server:
    """A web server on a free port that keeps what it is sent; `answer` says what it does with a request."""

    def __init__(self):
        self.bodies, self.answer = [], ok
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                site.bodies.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
                site.answer(self)

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}{SECRET}"

    def close(self):
        """Free the port."""
        self.server.shutdown()
        self.server.server_close()

    @property
    def messages(self):
        return [json.loads(body) for _, body in self.bodies]
