"""One HTTP/1.1 connection that knows what a failure means: whether the request can have left this process.

The difference between ``fail`` and ``info`` is decided here for every client that speaks HTTP. Before the first
byte is written the operation certainly did not happen (Refused); afterwards nobody knows (Unsure). General
HTTP clients hide that moment behind pools and retries, and cost ten times the CPU per request.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import msgspec

from harness.contracts import Address
from harness.errors import Refused, Unsure

_HEAD_LIMIT = 64 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n")
_UNUSUAL = re.compile(rb"\r\n(?:connection|transfer-encoding):")


class HttpWire:
    """A kept-alive connection to one address, opened when first needed. One request at a time."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        """POST ``body`` as JSON; the answer's status and JSON. See :meth:`request` for errors."""
        return await self.request("POST", path, json.dumps(body, separators=(",", ":")).encode())

    async def get(self, path: str) -> tuple[int, Any]:
        """GET ``path``; the answer's status and JSON. See :meth:`request` for errors."""
        return await self.request("GET", path)

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
        """One exchange; the answer's status and JSON. For errors see :meth:`exchange`; no JSON is no answer."""
        status, data = await self.exchange(method, path, body)
        try:
            return status, _value(data) if data else None
        except ValueError as error:
            self.drop()
            raise Unsure(f"{self.address}: no whole answer ({type(error).__name__}: {error})") from error

    async def exchange(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """One exchange; the answer's status and bytes. Refused: nothing was sent. Unsure: something was, and no whole
        answer came back.

        After any failure, cancellation included, the connection is dropped: an answer that comes late must
        never be taken for the answer to the next request.
        """
        reader, writer = await self._connected()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.address}\r\nContent-Type: application/json\r\n"
        try:
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            status, data, keep = await _answer(reader)
        except (OSError, EOFError, ValueError) as error:
            self.drop()
            raise Unsure(f"{self.address}: no whole answer ({type(error).__name__}: {error})") from error
        except BaseException:
            self.drop()
            raise
        if not keep:
            self.drop()
        return status, data

    def drop(self) -> None:
        """Close at once, without waiting for anything."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # A connection that the other side closed while it was idle is replaced before anything is written.
        if self._writer is not None and (self._writer.is_closing() or (self._reader and self._reader.at_eof())):
            self.drop()
        if self._reader is None or self._writer is None:
            try:
                self._reader, self._writer = await asyncio.open_connection(
                    self.address.host, self.address.port, limit=_HEAD_LIMIT
                )
            except OSError as error:
                raise Refused(f"{self.address}: no connection ({error.strerror or error})") from error
        return self._reader, self._writer


def _value(data: bytes) -> Any:
    """The JSON value in ``data``. Raises ValueError. What the strict decoder does not take, NaN for one, the standard
    library may; it takes five times as long."""
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        return json.loads(data)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """Status, body and whether the connection may be used again. Raises EOFError, OSError or ValueError."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise ValueError(f"answer's head is longer than {_HEAD_LIMIT} bytes") from error
    lower = raw.lower()
    length = _LENGTH.search(lower)
    if length and lower.startswith(b"http/1.1 ") and not _UNUSUAL.search(lower):  # nearly always, and much quicker
        return int(raw[9:12]), await reader.readexactly(int(length[1])), True
    first, *lines = raw.decode("latin-1").split("\r\n")
    parts = first.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1."):
        raise ValueError(f"not an HTTP answer: {first[:80]!r}")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    keep = headers.get("connection", "").lower() != "close" and parts[0] == "HTTP/1.1"
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return int(parts[1]), await _chunks(reader), keep
    if "content-length" in headers:
        return int(parts[1]), await reader.readexactly(int(headers["content-length"])), keep
    return int(parts[1]), await reader.read(), False


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers say nothing that matters here
    return b"".join(parts)
