"""The HTTP wire: what a failure says about whether the request can have left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from harness.contracts import Address
from harness.errors import Refused, Unsure
from harness.wire import HttpWire

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[Address]:
    """A real server on a free port that treats every connection with ``talk``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield Address("127.0.0.1", listener.sockets[0].getsockname()[1])


async def request_of(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """The next request's first line and body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = int(next(line.split(":")[1] for line in head.split("\r\n") if line.lower().startswith("content-length")))
    return head.split("\r\n")[0], await reader.readexactly(length)


def answer(body: bytes, status: str = "200 OK", extra: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body


async def test_requests_share_one_connection() -> None:
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            _, body = await request_of(reader)
            writer.write(answer(body))

    async with server(talk) as address:
        wire = HttpWire(address)
        assert [await wire.post("/echo", {"n": n}) for n in range(3)] == [(200, {"n": n}) for n in range(3)]
        assert connections == 1
        wire.drop()


async def test_a_connection_that_cannot_be_made_is_refused() -> None:
    async with server(_hang) as address:
        pass  # closed again: nobody listens there now

    with pytest.raises(Refused, match="no connection"):
        await HttpWire(address).get("/")


async def test_a_connection_that_ends_after_the_request_leaves_doubt() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)

    async with server(talk) as address:
        with pytest.raises(Unsure, match="no whole answer"):
            await HttpWire(address).post("/", {})


@pytest.mark.parametrize(
    "torn",
    [b"HTTP/1.1 200 OK\r\nContent-Le", answer(b"{}")[:-1], b"220 mail.example ESMTP\r\n\r\n", answer(b"not json")],
    ids=["head", "body", "other protocol", "no json"],
)
async def test_an_answer_that_is_not_whole_leaves_doubt(torn: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(torn)

    async with server(talk) as address:
        with pytest.raises(Unsure):
            await HttpWire(address).post("/", {})


async def test_a_late_answer_is_never_taken_for_the_next_one() -> None:
    hold = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await request_of(reader)
        if body == b'"slow"':
            await hold.wait()
        writer.write(answer(body))
        await reader.read()

    async with server(talk) as address:
        wire = HttpWire(address)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await wire.post("/", "slow")
        hold.set()

        assert await wire.post("/", "next") == (200, "next")
        wire.drop()


async def test_an_idle_connection_that_the_server_closed_is_replaced() -> None:
    closed = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await request_of(reader)
        writer.write(answer(body))
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with server(talk) as address:
        wire = HttpWire(address)
        assert await wire.post("/", 1) == (200, 1)
        await closed.wait()
        await asyncio.sleep(0.05)  # the end of the connection has to cross the loopback
        assert await wire.post("/", 2) == (200, 2)


async def test_chunked_answers_are_put_together() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await request_of(reader)
            writer.write(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n[1\r\n3\r\n,2]\r\n0\r\nA: b\r\n\r\n"
            )

    async with server(talk) as address:
        wire = HttpWire(address)
        assert await wire.get("/") == (200, [1, 2])
        assert await wire.get("/") == (200, [1, 2])


async def test_an_answer_without_length_ends_with_the_connection() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.0 503 Busy\r\n\r\n{}")

    async with server(talk) as address:
        wire = HttpWire(address)
        assert await wire.get("/") == (503, {})
        assert await wire.get("/") == (503, {}), "a connection that cannot be used again was kept"


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize(
    ("head", "shared"),
    [
        ("Content-Length: 7\r\n", True),
        ("CONTENT-LENGTH:7  \r\nX-More: Connection: close\r\n", True),
        ("x-content-length: 3\r\ncontent-length:\t7\r\n", True),
        ("Connection: close\r\nContent-Length: 7\r\n", False),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", True),
    ],
)
async def test_heads_are_read_however_they_are_written(head: str, shared: bool) -> None:
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        body = b"7\r\n[1,2,3]\r\n0\r\n\r\n" if "chunked" in head else b"[1,2,3]"
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                await request_of(reader)
                writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body)

    async with server(talk) as address:
        wire = HttpWire(address)
        assert [await wire.get("/") for _ in range(2)] == [(200, [1, 2, 3])] * 2
        assert (connections == 1) is shared
        wire.drop()


async def test_numbers_that_json_has_not_are_read_too() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(answer(b'{"age": Infinity, "big": 123456789012345678901234567890}'))

    async with server(talk) as address:
        wire = HttpWire(address)
        assert await wire.get("/") == (200, {"age": float("inf"), "big": 123456789012345678901234567890})
        wire.drop()
