"""The routes of the API: what each request does to the proxies, and what it answers."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

from harness.links.server import toxics, wire
from harness.links.server.addresses import AddressError
from harness.links.server.connection import DIRECTIONS
from harness.links.server.http import TEXT_TYPE, Request, Response
from harness.links.server.proxy import Proxies, Proxy
from harness.links.server.stage import Entry
from harness.links.server.toxic import Toxic

VERSION = "2.12.0"
"""The version of the API that is spoken."""

_PROXY = {"name": "string", "listen": "string", "upstream": "string", "enabled": "bool"}
_TOXIC = {
    "attributes": "toxics.NoopToxic",
    "name": "string",
    "type": "string",
    "stream": "string",
    "toxicity": "float32",
}
# What error bodies call things that have no name in the original.
_POPULATED = r'struct { toxiproxy.Proxy; Enabled *bool "json:\"enabled\"" }'
_TOXIC_UPDATE = r'struct { Attributes interface {} "json:\"attributes\""; Toxicity float32 "json:\"toxicity\"" }'

Route: TypeAlias = Callable[..., Awaitable[Response]]


class ApiError(Exception):
    """An answer that says what was wrong."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.body = {"error": message, "status": status}
        self.status = status


class Api:
    """Answers requests. One at a time changes the proxies, so that each sees the work of the one before complete."""

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies
        self._toxic_types = toxics.load()
        self._one_at_a_time = asyncio.Lock()
        self._routes = [(re.compile(path), methods) for path, methods in self._paths().items()]

    def _paths(self) -> dict[str, dict[str, Route]]:
        """What each path answers to each method."""
        proxy = "/proxies/([^/]+)"
        toxic = proxy + "/toxics/([^/]+)"
        change, change_toxic = self._update, self._toxic_update
        return {
            "/reset": {"POST": self._reset},
            "/populate": {"POST": self._populate},
            "/proxies": {"GET": self._index, "POST": self._create},
            proxy: {"GET": self._show, "POST": change, "PATCH": change, "DELETE": self._delete},
            proxy + "/toxics": {"GET": self._toxic_index, "POST": self._toxic_create},
            toxic: {"GET": self._toxic_show, "POST": change_toxic, "PATCH": change_toxic, "DELETE": self._toxic_delete},
            "/version": {"GET": self._version},
            "/metrics": {"GET": self._metrics, "POST": self._metrics},
            "/links": {"GET": self._links},
        }

    async def answer(self, request: Request) -> Response:
        """The response to ``request``, whatever happens."""
        matches = ((pattern.fullmatch(request.path), methods) for pattern, methods in self._routes)
        match, methods = next(((m, methods) for m, methods in matches if m), (None, {}))
        if match is None:
            return Response(404, b"404 page not found\n", TEXT_TYPE)
        route = methods.get(request.method)
        if route is None:
            return Response(405, kind="")
        if request.user_agent.startswith("Mozilla/"):  # a web page must not drive the links of its reader
            return Response(403, b"User agent not allowed\n", TEXT_TYPE)
        try:
            async with self._one_at_a_time:
                return await route(request.body, *match.groups())
        except ApiError as error:
            return Response(error.status, wire.write(error.body) + b"\n", TEXT_TYPE)
        except AddressError as error:
            return Response(500, wire.write({"error": str(error), "status": 500}) + b"\n", TEXT_TYPE)
        except Exception as error:  # a bug: say so, and go on serving the other links
            traceback.print_exc()
            text = f"the link server failed: {error!r}; its log has the traceback"
            return Response(500, wire.write({"error": text, "status": 500}) + b"\n", TEXT_TYPE)

    # --- proxies ---

    async def _index(self, body: bytes) -> Response:
        shown = {name: _proxy_json(proxy) for name, proxy in sorted(self._proxies.by_name.items())}
        return Response(200, wire.write(shown))

    async def _create(self, body: bytes) -> Response:
        given = _decode(body, _PROXY, "Proxy", "Go value of type toxiproxy.Proxy")
        for needed in ("name", "upstream"):
            if not given.get(needed):
                raise ApiError(f"missing required field: {needed}", 400)
        if given["name"] in self._proxies.by_name:
            raise ApiError("proxy already exists", 409)
        proxy = self._proxies.new(given["name"], given.get("listen", ""), given["upstream"])
        await self._proxies.put(proxy, given.get("enabled", True))
        return Response(201, wire.write(_proxy_json(proxy)))

    async def _show(self, body: bytes, name: str) -> Response:
        return Response(200, wire.write(_proxy_json(self._proxy(name))))

    async def _update(self, body: bytes, name: str) -> Response:
        proxy = self._proxy(name)
        given = _decode(body, _PROXY, "Proxy", "Go value of type toxiproxy.Proxy")
        await proxy.update(
            given.get("listen", proxy.listen),
            given.get("upstream", proxy.upstream),
            given.get("enabled", proxy.enabled),
        )
        return Response(200, wire.write(_proxy_json(proxy)))

    async def _delete(self, body: bytes, name: str) -> Response:
        self._proxies.remove(self._proxy(name).name)
        return Response(204, kind="")

    async def _populate(self, body: bytes) -> Response:
        done: list[dict[str, Any]] = []
        error: dict[str, Any] = {}
        try:
            for given in _populated(body):
                proxy = self._proxies.new(given["name"], given.get("listen", ""), given["upstream"])
                done.append(_proxy_json(await self._proxies.put(proxy, given.get("enabled", True))))
        except ApiError as failed:
            error = failed.body
        except AddressError as failed:
            error = {"error": str(failed), "status": 500}
        return Response(error.get("status", 201), wire.write({**error, "proxies": done or None}))

    async def _reset(self, body: bytes) -> Response:
        for proxy in self._proxies.by_name.values():
            await proxy.start()
            for entry in proxy.toxics:
                proxy.remove_toxic(entry)
        return Response(204, kind="")

    # --- toxics ---

    async def _toxic_index(self, body: bytes, name: str) -> Response:
        return Response(200, wire.write([_toxic_json(entry) for entry in self._proxy(name).toxics]))

    async def _toxic_create(self, body: bytes, name: str) -> Response:
        proxy = self._proxy(name)
        given = _decode(body, _TOXIC, "ToxicWrapper", "Go value of type toxics.ToxicWrapper")
        kind, stream = given.get("type", ""), given.get("stream", "downstream")
        if stream.lower() not in DIRECTIONS:
            raise ApiError("stream was invalid, can be either upstream or downstream", 400)
        if kind not in self._toxic_types:
            raise ApiError("invalid toxic type", 400)
        toxic_name = given.get("name") or f"{kind}_{stream}"
        if proxy.toxic(toxic_name) is not None:
            raise ApiError("toxic already exists", 409)
        toxic = _with_attributes(self._toxic_types[kind](), given.get("attributes"))
        entry = Entry(toxic_name, kind, stream, given.get("toxicity", 1.0), toxic)
        proxy.add_toxic(entry)
        return Response(200, wire.write(_toxic_json(entry)))

    async def _toxic_show(self, body: bytes, name: str, toxic_name: str) -> Response:
        return Response(200, wire.write(_toxic_json(_toxic(self._proxy(name), toxic_name))))

    async def _toxic_update(self, body: bytes, name: str, toxic_name: str) -> Response:
        proxy = self._proxy(name)
        entry = _toxic(proxy, toxic_name)
        types = {"attributes": f"toxics.{entry.toxic.wire_name}", "toxicity": "float32"}
        given = _decode(body, types, "", f"Go value of type {_TOXIC_UPDATE}")
        entry.toxic = _with_attributes(entry.toxic, given.get("attributes"))
        entry.toxicity = given.get("toxicity", entry.toxicity)
        proxy.update_toxic(entry)
        return Response(200, wire.write(_toxic_json(entry)))

    async def _toxic_delete(self, body: bytes, name: str, toxic_name: str) -> Response:
        proxy = self._proxy(name)
        proxy.remove_toxic(_toxic(proxy, toxic_name))
        return Response(204, kind="")

    # --- the server ---

    async def _version(self, body: bytes) -> Response:
        return Response(200, f'{{"version": "{VERSION}"}}\n'.encode(), "application/json;charset=utf-8")

    async def _metrics(self, body: bytes) -> Response:
        return Response(200, self._proxies.meters.prometheus().encode(), "text/plain; version=0.0.4; charset=utf-8")

    async def _links(self, body: bytes) -> Response:
        table = {name: self._proxies.meters.table(name) for name in sorted(self._proxies.by_name)}
        return Response(200, wire.write(table))

    def _proxy(self, name: str) -> Proxy:
        found = self._proxies.by_name.get(name)
        if found is None:
            raise ApiError("proxy not found", 404)
        return found


def _toxic(proxy: Proxy, name: str) -> Entry:
    found = proxy.toxic(name)
    if found is None:
        raise ApiError("toxic not found", 404)
    return found


def _bad_body(error: wire.WireError) -> NoReturn:
    raise ApiError(f"bad request body: {error}", 400) from None


def _decode(body: bytes, types: dict[str, str], struct_name: str, whole: str) -> dict[str, Any]:
    try:
        return wire.fields(wire.read(body), types, struct_name, whole)
    except wire.WireError as error:
        _bad_body(error)


def _populated(body: bytes) -> list[dict[str, Any]]:
    """The proxies of a populate request, all checked before the first is made."""
    whole = f"Go value of type {_POPULATED}"
    named = {name: kind for name, kind in _PROXY.items() if name != "enabled"}
    try:
        rows = wire.read(body)
        if rows is not None and not isinstance(rows, list):
            wire.refuse(rows, f"Go value of type []{_POPULATED}")
        found = [
            wire.fields(row, named, "", whole, "Proxy.") | wire.fields(row, {"enabled": "bool"}, "", whole)
            for row in rows or []
        ]
    except wire.WireError as error:
        _bad_body(error)
    for number, given in enumerate(found, 1):
        for needed in ("name", "upstream"):
            if not given.get(needed):
                raise ApiError(f"missing required field: {needed} at proxy {number}", 400)
    return found


def _attribute_fields(toxic: Toxic) -> dict[str, dataclasses.Field[Any]]:
    """A toxic's attributes by their name in the API."""
    return {field.metadata.get("key", field.name): field for field in dataclasses.fields(toxic)}


def _with_attributes(toxic: Toxic, given: Any) -> Toxic:
    """A copy of ``toxic`` with the attributes of a request's object ``given``."""
    known = _attribute_fields(toxic)
    types = {
        key: "string" if "choices" in field.metadata else field.metadata.get("wire_type", "int64")
        for key, field in known.items()
    }
    try:
        values = wire.fields(given, types, toxic.wire_name, "", "attributes.")
    except wire.WireError as error:
        _bad_body(error)
    for key, value in values.items():
        choices = known[key].metadata.get("choices", (value,))
        if value not in choices:
            raise ApiError(f"bad request body: {key} {value!r} is unknown, use one of {', '.join(choices)}", 400)
    return dataclasses.replace(toxic, **{known[key].name: value for key, value in values.items()})


def _toxic_json(entry: Entry) -> dict[str, Any]:
    # An attribute that the original lacks is shown only when it was set.
    attributes = {
        key: getattr(entry.toxic, field.name)
        for key, field in _attribute_fields(entry.toxic).items()
        if "choices" not in field.metadata or getattr(entry.toxic, field.name) != field.default
    }
    return {
        "attributes": attributes,
        "name": entry.name,
        "type": entry.type,
        "stream": entry.stream,
        "toxicity": float(entry.toxicity),
    }


def _proxy_json(proxy: Proxy) -> dict[str, Any]:
    return {
        "name": proxy.name,
        "listen": proxy.listen,
        "upstream": proxy.upstream,
        "enabled": proxy.enabled,
        "Logger": {},  # the original shows it, always empty
        "toxics": [_toxic_json(entry) for entry in proxy.toxics],
    }
