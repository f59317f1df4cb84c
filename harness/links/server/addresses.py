"""Host and port texts to sockets, with the error texts of the API (those of Go's ``net`` package)."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket

_BACKLOG = 4096


class AddressError(Exception):
    """An address that cannot be used; the text is what the API answers."""


def split(address: str) -> tuple[str, str]:
    """Host and port of ``host:port`` or ``[ipv6]:port``; an empty address is any host and port 0."""
    if not address:
        return "", "0"
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket:
            raise AddressError(f"address {address}: missing ']' in address")
        if not rest.startswith(":"):
            raise AddressError(f"address {address}: missing port in address")
        port = rest[1:]
    else:
        host, colon, port = address.rpartition(":")
        if not colon:
            raise AddressError(f"address {address}: missing port in address")
    if ":" in port or (":" in host and not address.startswith("[")):
        raise AddressError(f"address {address}: too many colons in address")
    return host, port


def join(host: str, port: int) -> str:
    """The text of an address; IPv6 hosts get brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def port_number(port: str) -> int:
    """A port's number; service names are known, and an empty port is 0."""
    if not port:
        return 0
    if port.isascii() and port.isdigit():
        if int(port) > 0xFFFF:
            raise AddressError(f"address {port}: invalid port")
        return int(port)
    try:
        return socket.getservbyname(port, "tcp")
    except OSError:
        raise AddressError(f"lookup tcp/{port}: unknown port") from None


async def resolve(address: str) -> list[tuple[str, int]]:
    """Numeric hosts with the port, IPv4 first; the empty host stays empty."""
    host, port_text = split(address)
    port = port_number(port_text)
    if not host:
        return [("", port)]
    try:
        return [(str(ipaddress.ip_address(host)), port)]
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError):  # ValueError: not even the form of a name
        raise AddressError(f"lookup {host}: no such host") from None
    hosts = dict.fromkeys(str(sockaddr[0]) for _, _, _, _, sockaddr in sorted(found, key=lambda info: info[0]))
    return [(name, port) for name in hosts]


async def normal(address: str) -> str:
    """The address with a numeric host and port, the form that a proxy's ``listen`` has; raises AddressError."""
    host, port = (await resolve(address))[0]
    return join(host, port)


async def listen(address: str) -> socket.socket:
    """A listening socket; AddressError says why not. No host, ``0.0.0.0`` and ``::`` mean every address."""
    try:
        host, port = (await resolve(address))[0]
    except AddressError as error:
        raise AddressError(f"listen tcp: {error}") from None
    wildcard = host in ("", "0.0.0.0", "::")
    if wildcard and socket.has_dualstack_ipv6():
        host = "::"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not wildcard)
        server.bind((host, port))
        server.listen(_BACKLOG)
    except OSError as error:
        server.close()
        why = os.strerror(error.errno or 0).lower()
        shown = join("" if wildcard else host, port)
        raise AddressError(f"listen tcp {shown}: bind: {why}") from None
    server.setblocking(False)
    return server


async def dial(address: str) -> socket.socket:
    """A connected socket, from the first of the address's hosts that answers; raises OSError or AddressError."""
    loop = asyncio.get_running_loop()
    failed: OSError = ConnectionRefusedError()
    for host, port in await resolve(address):
        client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        client.setblocking(False)
        try:
            await loop.sock_connect(client, (host or "127.0.0.1", port))
        except OSError as error:
            client.close()
            failed = error
        except BaseException:
            client.close()
            raise
        else:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return client
    raise failed
