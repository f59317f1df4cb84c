"""The HTTP API of a Toxiproxy-compatible link server, driven through the library ``toxiproxy-python``.

The library is synchronous, knows no time limits, opens a connection per call and keeps the server's address in
a class attribute that all its users in a process share. :class:`ToxiproxyApi` keeps what is good of it (its calls
and their bodies) and mends the rest: every instance has the library's classes for itself, speaking through a
session of its own. Calls that the library lacks go through the same session.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
import requests
from requests.adapters import HTTPAdapter

from harness.errors import TestbedError

T = TypeVar("T")

CONNECT_LIMIT_S: Final = 2.0
READ_LIMIT_S: Final = 15.0
"""Removing a toxic may take 5 s per connection in Toxiproxy, when the receiver does not read."""
WORKERS: Final = 4
_BARE_VERSION = re.compile(r"v?\d+(\.\d+)+[\w.+-]*|git-[0-9a-f]+")


class Toxic(msgspec.Struct, frozen=True, kw_only=True):
    """A toxic of a proxy. ``attributes`` carry Toxiproxy's units: ms for times, KB/s (1 KB = 1000 bytes) for a rate."""

    name: str
    type: str
    stream: str
    attributes: dict[str, int | float]
    toxicity: float = 1.0

    def same_as(self, other: Toxic) -> bool:
        """Whether ``other`` does the same; a server may report more attributes than were given."""
        return (self.type, self.stream, self.toxicity) == (
            other.type,
            other.stream,
            other.toxicity,
        ) and self.attributes.items() <= other.attributes.items()


class ProxyState(msgspec.Struct, frozen=True, kw_only=True):
    """A proxy as the server reports it, or as we ask for it. Addresses are ``host:port``."""

    name: str
    listen: str
    upstream: str
    enabled: bool = True
    toxics: tuple[Toxic, ...] = ()


class Rejected(TestbedError):
    """The link server understood the call and said no. ``status`` is its HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _Populated(msgspec.Struct):
    proxies: tuple[ProxyState, ...] | None = None


class _Session:
    """Takes the place of the library's ``APIConsumer``: one server, connections kept alive, time limits, our errors."""

    def __init__(self, url: str, explain: Callable[[], str]) -> None:
        self.url = url
        self.host, self.port = urlsplit(url).hostname, urlsplit(url).port  # the library's `running()` reads them
        self._explain = explain
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment must not come between us and our link server
        self._session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=WORKERS))

    def get(self, url: str, **kwargs: Any) -> requests.Response:
        return self._send("GET", url, **kwargs)

    def post(self, url: str, **kwargs: Any) -> requests.Response:
        return self._send("POST", url, **kwargs)

    def delete(self, url: str, **kwargs: Any) -> requests.Response:
        return self._send("DELETE", url, **kwargs)

    def close(self) -> None:
        self._session.close()

    def _send(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        what = f"{method} {path}"
        try:
            response = self._session.request(
                method, self.url + path, timeout=(CONNECT_LIMIT_S, READ_LIMIT_S), allow_redirects=False, **kwargs
            )
        except requests.Timeout as problem:
            limits = f"{CONNECT_LIMIT_S:g} s to connect, {READ_LIMIT_S:g} s to answer"
            raise TestbedError(f"{self._explain()}: {what} got no answer in time ({limits})") from problem
        except requests.RequestException as problem:
            raise TestbedError(f"{self._explain()}: {what} failed ({problem})") from problem
        if response.status_code >= 300:
            said = _message_of(response)
            raise Rejected(
                f"link server {self.url} answered {response.status_code} to {what}: {said}", response.status_code
            )
        return response


class ToxiproxyApi:
    """One link server's API. Methods block, raise TestbedError and may be called from several threads;
    :meth:`run` and :meth:`run_all` call them without blocking the event loop.

    ``url`` is like ``http://127.0.0.1:8474``. ``explain`` is asked, when the server does not answer, for the start of
    the error message: who that server is and how it fares.
    """

    def __init__(self, url: str, explain: Callable[[], str] | None = None) -> None:
        self.url = url.rstrip("/")
        self._session = _Session(self.url, explain or (lambda: f"link server {self.url}"))
        self._library, self._proxy_class = _library_for(self._session)
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="link-api")

    def version(self) -> str:
        """The server's version; TestbedError when whatever answers is no link server."""
        text = self._session.get("/version").text.strip()
        try:
            return str(msgspec.json.decode(text)["version"])
        except (msgspec.DecodeError, TypeError, KeyError):
            if _BARE_VERSION.fullmatch(text):  # releases before 2.1.5
                return text
        raise TestbedError(f"{self.url} is no link server: GET /version answered {text[:80]!r}; check the URL")

    def proxies(self) -> dict[str, ProxyState]:
        """Every proxy of the server with its toxics, by name; other people's too."""
        return msgspec.json.decode(self._session.get("/proxies").content, type=dict[str, ProxyState])

    def populate(self, wanted: Sequence[ProxyState]) -> tuple[ProxyState, ...]:
        """Create proxies in one request and return them as the server has them. Toxiproxy takes no toxics here."""
        body = [{"name": p.name, "listen": p.listen, "upstream": p.upstream, "enabled": p.enabled} for p in wanted]
        answer = self._session.post("/populate", json=body)
        return msgspec.json.decode(answer.content, type=_Populated).proxies or ()

    def set_enabled(self, proxy: str, enabled: bool) -> None:
        handle = self._proxy(proxy)
        if enabled:
            handle.enable()
        else:
            handle.disable()

    def add_toxic(self, proxy: str, toxic: Toxic) -> None:
        self._proxy(proxy).add_toxic(**msgspec.to_builtins(toxic))

    def update_toxic(self, proxy: str, toxic: Toxic) -> None:
        """Give the toxic of that name other attributes; its type and stream cannot change."""
        body = {"attributes": toxic.attributes, "toxicity": toxic.toxicity}
        self._session.post(f"/proxies/{proxy}/toxics/{toxic.name}", json=body)

    def remove_toxic(self, proxy: str, name: str) -> None:
        self._proxy(proxy).destroy_toxic(name)

    def remove_proxy(self, proxy: str) -> None:
        """Remove the proxy; nothing when there is none."""
        try:
            self._proxy(proxy).destroy()
        except Rejected as answer:
            if answer.status != 404:
                raise

    def reset(self) -> None:
        """Enable every proxy of the server and remove every toxic, other people's too."""
        self._library.reset()

    def metrics(self) -> str:
        """Prometheus text; empty when the server was started without metrics."""
        try:
            return self._session.get("/metrics").text
        except Rejected as answer:
            if answer.status != 404:
                raise
            return ""

    async def run(self, call: Callable[..., T], *args: Any) -> T:
        """``call(*args)`` in one of this server's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *args)

    async def run_all(self, calls: Iterable[Callable[[], None]]) -> None:
        """All calls at once. Waits for every one, then raises the first failure with the number of the others."""
        waits: list[Awaitable[None]] = [self.run(call) for call in calls]
        results = await asyncio.gather(*waits, return_exceptions=True)
        problems = [result for result in results if isinstance(result, BaseException)]
        if len(problems) > 1 and isinstance(problems[0], TestbedError):
            raise TestbedError(f"{problems[0]} (and {len(problems) - 1} more of {len(results)} calls)") from problems[0]
        if problems:
            raise problems[0]

    def close(self) -> None:
        self._pool.shutdown(wait=False)
        self._session.close()

    def _proxy(self, name: str) -> Any:
        return self._proxy_class(name=name, listen="", upstream="", enabled=True)


def _library_for(session: _Session) -> tuple[Any, Any]:
    """The library's ``Toxiproxy`` object and ``Proxy`` class, speaking through ``session``.

    Its modules find the server in a global name. Fresh copies of the modules, known to nobody else, get a global
    of their own; so two servers in one process cannot mix, and other users of the library see no change.
    """
    proxy, server = _fresh_copy("toxiproxy.proxy"), _fresh_copy("toxiproxy.server")
    proxy.__dict__["APIConsumer"] = session
    server.__dict__.update(APIConsumer=session, Proxy=proxy.Proxy)
    return server.Toxiproxy(), proxy.Proxy


def _fresh_copy(name: str) -> ModuleType:
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        raise TestbedError(f"library module {name} is missing; install it with `pip install toxiproxy-python`")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _message_of(response: requests.Response) -> str:
    try:
        return str(msgspec.json.decode(response.content)["error"])
    except (msgspec.DecodeError, TypeError, KeyError):
        return response.text.strip()[:200] or "no text"
