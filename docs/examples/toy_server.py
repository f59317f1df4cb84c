"""A key-value server of forty lines to try Rift on: one process, state in memory, `python toy_server.py HOST:PORT`.

GET /KEY reads; PUT /KEY writes the body; POST /KEY with "old new" compares and sets. A kill loses everything.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

VALUES: dict[str, str] = {}
LOCK = Lock()


class Handler(BaseHTTPRequestHandler):
    """One request, under the one lock."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        with LOCK:
            self.answer(200, VALUES.get(self.path, ""))

    def do_PUT(self) -> None:
        with LOCK:
            VALUES[self.path] = self.body()
            self.answer(200)

    def do_POST(self) -> None:
        old, new = self.body().split()
        with LOCK:
            if VALUES.get(self.path) != old:
                return self.answer(409)
            VALUES[self.path] = new
            return self.answer(200)

    def body(self) -> str:
        return self.rfile.read(int(self.headers["Content-Length"])).decode()

    def answer(self, status: int, text: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


host, port = sys.argv[1].split(":")
ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
