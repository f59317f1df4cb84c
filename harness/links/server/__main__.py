"""``python -m harness.links.server``: serve until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from harness.errors import TestbedError
from harness.links.server import http
from harness.links.server.api import VERSION, Api
from harness.links.server.proxy import Proxies
from harness.model.seeds import fresh_seed

try:
    from uvloop import run as run_loop
except ImportError:  # no wheel for this platform: slower, otherwise the same
    run_loop: Callable[[Coroutine[Any, Any, None]], None] = asyncio.run  # type: ignore[no-redef]


def main() -> int:
    """Parse the command line and serve; the exit code is 0 after a signal, 3 when the address cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m harness.links.server", description="The embedded link server.")
    parser.add_argument("--host", default="localhost", help="where the API listens (default: localhost)")
    parser.add_argument("--port", type=_port, default=8474, help="its port (default: 8474); 0 takes a free one")
    parser.add_argument("--seed", type=int, default=None, help="decides jitter, toxicity and slices (default: random)")
    parser.add_argument("--version", action="version", version=f"link server, API of Toxiproxy {VERSION}")
    args = parser.parse_args()
    _allow_many_connections()
    try:
        run_loop(_serve(args.host, args.port, fresh_seed() if args.seed is None else args.seed))
    except TestbedError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 0xFFFF:
        raise argparse.ArgumentTypeError(f"{text} is not a port; give 0 to 65535")
    return number


def _allow_many_connections() -> None:
    """Every connection takes two file descriptors; the usual soft limit of 1024 would end at 500 connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(host: str, port: int, seed: int) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    proxies = Proxies(seed)
    try:
        server = await http.serve(host, port, Api(proxies).answer)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise TestbedError(
            f"the link server cannot listen on {host}:{port}: {reason}; choose another --host or --port"
        ) from None
    # What exists now lives as long as the process; a collection that walks it would delay links.
    gc.collect()
    gc.freeze()
    print(f"link server listening on {host}:{server.sockets[0].getsockname()[1]}", flush=True)
    await stopped.wait()
    server.close()
    proxies.close()


if __name__ == "__main__":
    sys.exit(main())
