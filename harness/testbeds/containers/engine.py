"""The Docker engine: found as the ``docker`` command finds it, with its failures put in words that say what to do."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from harness.errors import TestbedError, UsageError

T = TypeVar("T")

OLDEST: Final = (1, 41)
"""The API version of Docker Engine 20.10."""
CALL_LIMIT_S: Final = 60
USUAL: Final = "unix:///var/run/docker.sock"
_ABSENT: Final = "no Docker engine answers at {where}; start it (`systemctl start docker`, or Docker Desktop)"
_DENIED: Final = (
    "no permission for the Docker engine at {where}; join its group (`usermod -aG docker $USER`, then log in)"
)

_BY_SSH: Final = (
    "the Docker engine at {where}: make a tunnel with `ssh -fNL /tmp/far.sock:/var/run/docker.sock USER@HOST`, then "
    "set DOCKER_HOST=unix:///tmp/far.sock, and RIFT_PUBLISH to an address of its machine that is reached from here"
)


class Engine:
    """One engine. Calls block, and are meant for threads: see :meth:`run`."""

    def __init__(self, client: docker.DockerClient, where: str) -> None:
        self.client = client
        self.where = where
        version = self.call(client.version)
        self.version: str = version["Version"]
        self.api_version = _numbers(version["ApiVersion"])
        self.architecture: str = version["Arch"]
        if self.api_version < OLDEST:
            raise TestbedError(f"the Docker engine at {where} is {self.version}; install 20.10 or newer")

    @classmethod
    def open(cls) -> Engine:
        """The engine of ``DOCKER_HOST``, else of the current context. Raises TestbedError when it cannot be used."""
        where = engine_url()
        if where.startswith("ssh:"):
            raise TestbedError(_BY_SSH.format(where=where))
        by_environment = bool(os.environ.get("DOCKER_HOST") and os.environ.get("DOCKER_TLS_VERIFY"))
        try:
            if by_environment:
                client = docker.from_env(timeout=CALL_LIMIT_S)
            else:
                client = docker.DockerClient(where, timeout=CALL_LIMIT_S, tls=_keys())
        except (DockerException, requests.RequestException, ValueError) as error:
            raise TestbedError(_in_words(error, where)) from error
        try:
            return cls(client, where)
        except BaseException:
            client.close()
            raise

    def call(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """``function(...)``; whatever the engine or the way to it breaks on comes out as TestbedError."""
        try:
            return function(*arguments, **named)
        except NotFound as error:
            raise Gone(f"{error.explanation or error}") from error
        except APIError as error:
            raise TestbedError(f"Docker: {error.explanation or error}") from error
        except (DockerException, requests.RequestException, OSError) as error:
            raise TestbedError(_in_words(error, self.where)) from error

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, so that its networks are this machine's networks."""
        return self.where.startswith("unix:")

    async def run(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """The same in a thread."""
        return await asyncio.to_thread(self.call, function, *arguments, **named)

    def close(self) -> None:
        self.client.close()


class Gone(TestbedError):
    """The engine does not know the object, or no longer."""


def engine_url() -> str:
    """Where the engine is: ``DOCKER_HOST``, else the current context's, else the usual socket."""
    if given := os.environ.get("DOCKER_HOST"):
        return given
    context = _context()
    return str(context.Host) if context is not None and context.Host else USUAL


def same_engine() -> dict[str, str]:
    """The environment that makes another program use this engine. One with keys is left to the context, which has
    them."""
    return {} if _keys() else {"DOCKER_HOST": engine_url()}


def _context() -> Any:
    """The one of ``DOCKER_CONTEXT``, else the current one; None without any. Raises UsageError for an unknown one."""
    named = os.environ.get("DOCKER_CONTEXT")
    try:
        found = docker.ContextAPI.get_context(named)
    except Exception:  # a broken context file is the docker command's to complain about
        found = None
    if found is None and named:
        raise UsageError(f"DOCKER_CONTEXT={named!r} is no context here; see `docker context ls`")
    return found


def _keys() -> Any:
    """What the context says about TLS; False without a word of it."""
    context = None if os.environ.get("DOCKER_HOST") else _context()
    return getattr(context, "TLSConfig", None) or False


def _in_words(error: Exception, where: str) -> str:
    text = str(error)
    if "Permission denied" in text or "PermissionError" in text:
        return _DENIED.format(where=where)
    if re.search(r"No such file|Connection refused|FileNotFoundError|ConnectionRefusedError", text):
        return _ABSENT.format(where=where)
    return f"the Docker engine at {where}: {text or type(error).__name__}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
