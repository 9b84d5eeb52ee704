"""A web server on this machine that offers one file, and misbehaves as a test says. `tests/helpers` is on the path."""

# mypy: allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs

import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Handler(BaseHTTPRequestHandler):
    """Serves `site`: what it holds, and how it misbehaves."""

    protocol_version = "HTTP/1.1"

    def __init__(self, site, *arguments):
        self.site = site
        super().__init__(*arguments)

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        site = self.site
        site.requests.append(dict(self.headers) | {"path": self.path})
        behaviour = site.behaviours.pop(0) if site.behaviours else site.usual
        behaviour(self)


def serve(
    handler,
    *,
    ranges=True,
    cut=None,
    length=None,
    etag='"one"',
    chunked=False,
    extra=b"",
    drip=None,
    status=None,
    content_range=None,
    close=False,
):
    """One answer. cut: bytes after which the connection ends; length: what Content-Length says, "" for none."""
    content, start, code = handler.site.content, 0, 200
    asked = handler.headers.get("Range")
    if_range = handler.headers.get("If-Range")
    if ranges and asked and if_range in (None, etag):
        start, code = int(asked.removeprefix("bytes=").removesuffix("-")), 206
    body = content[start:] + extra
    handler.send_response(status or code)
    if etag:
        handler.send_header("ETag", etag)
    if code == 206:
        shown = content_range or f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.send_header("Content-Range", shown)
    if chunked:
        handler.send_header("Transfer-Encoding", "chunked")
    elif length != "":
        handler.send_header("Content-Length", str(len(body) if length is None else length))
    if close or length == "" or cut is not None:
        handler.send_header("Connection", "close")
        handler.close_connection = True
    handler.end_headers()
    sent = body if cut is None else body[:cut]
    try:
        if chunked:
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(sent), sent) + (b"" if cut is not None else b"0\r\n\r\n"))
        elif drip:
            for place in range(0, len(sent), drip):
                handler.wfile.write(sent[place : place + drip])
                handler.wfile.flush()
                time.sleep(0.05)
        else:
            handler.wfile.write(sent)
    except OSError:  # the client has had enough
        handler.close_connection = True


def answer(code, **headers):
    def behaviour(handler):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return behaviour


class Site:
    """A server on a free port of this machine."""

    def __init__(self):
        self.content, self.requests, self.behaviours, self.usual = CONTENT, [], [], serve
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, self))
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/flowers.tgz"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
