"""Just enough HTTP/1.1 server for the API: h11 reads requests, one task per connection answers them in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

import h11

_READ_BYTES = 64 * 1024
_MAX_BODY_BYTES = 16 * 1024 * 1024

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """``path`` is decoded and without a query."""

    method: str
    path: str
    user_agent: str
    body: bytes


@dataclass(frozen=True)
class Response:
    """``kind`` is the content type; empty for an answer without one."""

    status: int
    body: bytes = b""
    kind: str = JSON_TYPE


Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


async def serve(host: str, port: int, handler: Handler) -> asyncio.Server:
    """Listen and answer; raises OSError when the address cannot be had."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, h11.RemoteProtocolError, asyncio.CancelledError):
            await _converse(reader, writer, handler)
        writer.close()

    return await asyncio.start_server(connected, host, port)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
    """Answer the requests of one connection until either side wants no more."""
    http = h11.Connection(h11.SERVER)
    while True:
        try:
            request = await _receive(http, reader, writer)
        except h11.RemoteProtocolError as error:
            if http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                await _send(http, writer, Response(error.error_status_hint, b"400 Bad Request", TEXT_TYPE), close=True)
            return
        if request is None:
            return
        await _send(http, writer, await handler(request))
        if (http.our_state, http.their_state) != (h11.DONE, h11.DONE):
            return
        http.start_next_cycle()


async def _receive(http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """The next request; None when the peer has gone."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            if http.they_are_waiting_for_100_continue:
                writer.write(http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            http.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _MAX_BODY_BYTES:
                raise h11.RemoteProtocolError("body too large", error_status_hint=413)
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            return _request(head, bytes(body))
        else:
            return None


def _request(head: h11.Request, body: bytes) -> Request:
    agent = next((value.decode("latin-1") for name, value in head.headers if name == b"user-agent"), "")
    path = unquote(urlsplit("//x" + head.target.decode("latin-1")).path, errors="replace")
    return Request(head.method.decode("ascii"), path, agent, body)


async def _send(http: h11.Connection, writer: asyncio.StreamWriter, response: Response, close: bool = False) -> None:
    headers = [("Date", formatdate(usegmt=True))]
    if response.kind:
        headers.append(("Content-Type", response.kind))
    if response.kind == TEXT_TYPE:
        headers.append(("X-Content-Type-Options", "nosniff"))
    if response.status != HTTPStatus.NO_CONTENT:
        headers.append(("Content-Length", str(len(response.body))))
    if close:
        headers.append(("Connection", "close"))
    reason = HTTPStatus(response.status).phrase
    out = http.send(h11.Response(status_code=response.status, headers=headers, reason=reason)) or b""
    out += http.send(h11.Data(data=response.body)) or b""
    out += http.send(h11.EndOfMessage()) or b""
    writer.write(out)
    await writer.drain()
