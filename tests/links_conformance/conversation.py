"""The recorded conversation: requests in order, each with the answer that the real server gave.

``conversation.txt`` holds a request line, an answer line (status, kind of text, body) and an empty line for each
exchange. ``BUSY_PORT`` is a port that is taken, ``FREE_PORT_1`` and ``_2`` are free ones, ``PORT`` one that the
server chose, ``[::]`` also stands for ``0.0.0.0`` where a machine has no IPv6.

Record it again with ``TOXIPROXY_SERVER=... python -m tests.links_conformance.conversation``.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path

from tests.links_conformance import bed

FILE = Path(__file__).with_name("conversation.txt")
_KINDS = {"application/json": "json", "text/plain; charset=utf-8": "text", "": "none"}


def recorded() -> list[tuple[str, str]]:
    """Request and answer of every exchange."""
    blocks = FILE.read_text(encoding="utf-8").strip().split("\n\n")
    return [(request, answer) for request, answer in (block.split("\n") for block in blocks)]


def held(server: bed.Server, requests: list[str]) -> list[tuple[str, str]]:
    """The same requests asked of a fresh server, with its answers."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        ports = {
            "BUSY_PORT": str(busy.getsockname()[1]),
            "FREE_PORT_1": str(bed.free_port()),
            "FREE_PORT_2": str(bed.free_port()),
        }
        return [(request, _answer(server, request, ports)) for request in requests]


def _answer(server: bed.Server, request: str, ports: dict[str, str]) -> str:
    for name, port in ports.items():
        request = request.replace(name, port)
    method, path, *rest = request.split(" ", 2)
    status, kind, text = server.ask(method, path, rest[0] if rest else None)
    for name, port in ports.items():
        text = text.replace(f":{port}", f":{name}")
    text = re.sub(r"(127\.0\.0\.1|\[::\]|0\.0\.0\.0):[1-9]\d+", r"\1:PORT", text).replace("0.0.0.0", "[::]")
    return f"{status} {_KINDS.get(kind, kind)} {text.strip()}".strip()


if __name__ == "__main__":
    with bed.start("toxiproxy") as real:
        exchanges = held(real, [request for request, _ in recorded()])
    FILE.write_text("\n\n".join("\n".join(exchange) for exchange in exchanges) + "\n", encoding="utf-8")
