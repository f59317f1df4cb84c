"""Power ``packets``: what becomes of packets, told to the filter beside the link server (``inside/packets.py``)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from harness.contracts import Address, Link, PacketsSeen, Port
from harness.finishing import finish
from harness.links.control import LinkFleet
from harness.links.routes import STREAMS
from harness.model.topology import Node

KINDS: Final = ("lose", "duplicate", "reorder", "corrupt", "police")
_PATIENCE_S: Final = 1.5
"""Beyond the round trip: a lost segment is sent again after a fifth of a second, and then after two more."""

Pair = tuple[str, str]
Trouble = tuple[str, str, float]
"""Kind, direction (``both``, ``upstream``, ``downstream``), amount; ``drop`` on both halves of the path is amount 1."""
Order = tuple[str, str, str, str, float]


class PacketFilter:
    """Implements ``contracts.Packets``. ``tell(*words)`` runs ``inside/packets.py`` where the link server is, and
    returns what it prints. ``behind(region, node)`` is where a link finds its node."""

    def __init__(
        self,
        links: LinkFleet,
        ports: tuple[Port, ...],
        behind: Callable[[str, Node], dict[str, Address]],
        tell: Callable[..., Awaitable[str]],
    ) -> None:
        self._links = links
        self._port = next(port.name for port in ports if port.protocol == "tcp")
        self._behind = behind
        self._tell = tell
        self._wishes: dict[Link, dict[tuple[str, str, str], Trouble]] = {link: {} for link in links.all}
        self._acting = asyncio.Lock()

    async def drop(self, links: Iterable[Link], toward: str = "both", owner: str = "") -> None:
        await self._ask(links, owner, ("drop", toward, 1.0))

    async def disturb(self, links: Iterable[Link], kind: str, amount: float, owner: str = "") -> None:
        if kind not in KINDS:
            raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
        await self._ask(links, owner, (kind, "both", amount))

    async def restore(self, links: Iterable[Link], owner: str = "") -> None:
        for link in links:
            kept = {key: wish for key, wish in self._wishes[link].items() if owner and key[0] != owner}
            self._wishes[link] = kept
        await finish(self._settle())

    async def notice(self, pairs: Iterable[Pair], bulk: bool = False) -> dict[Pair, PacketsSeen]:
        some = tuple(pairs)
        if bulk:
            rates = await asyncio.gather(*(self._links.throughput_kbps(*pair) for pair in some))
            return {pair: PacketsSeen(kbps=rate) for pair, rate in zip(some, rates, strict=True)}
        before = int(await self._tell("spoiled"))
        seen = await asyncio.gather(*(self._notice(pair) for pair in some))
        spoiled = int(await self._tell("spoiled")) - before
        return {pair: replace(one, spoiled=spoiled) for pair, one in zip(some, seen, strict=True)}

    async def _notice(self, pair: Pair) -> PacketsSeen:
        limit_s = _PATIENCE_S + self._links.patience_s(pair)
        return await self._links.look.notice(self._links.beacon_address(*pair), limit_s)

    async def _ask(self, links: Iterable[Link], owner: str, trouble: Trouble) -> None:
        if trouble[1] not in ("both", *STREAMS.values()):
            raise ValueError(f"toward {trouble[1]!r} is no direction; write both, upstream or downstream")
        for link in links:
            self._wishes[link][owner, *trouble[:2]] = trouble
        await finish(self._settle())

    async def _settle(self) -> None:
        """Make the filter agree with all wishes; one call, whatever changed."""
        async with self._acting:
            await self._tell("set", json.dumps(list(dict.fromkeys(self._orders()))))

    def _orders(self) -> Iterator[Order]:
        for link, wishes in self._wishes.items():
            address = self._links.address(link, self._port).host
            behind = next(iter(self._behind(link.source, link.target).values())).host
            for trouble in wishes.values():
                yield from _orders(address, behind, trouble)
        for pair in dict.fromkeys((link.source, link.target.region) for link in self._wishes):
            for trouble in self._of_pair(pair):
                yield from _orders(self._links.beacon_address(*pair).host, "", trouble)

    def _of_pair(self, pair: Pair) -> list[Trouble]:
        members = [
            wishes.values() for link, wishes in self._wishes.items() if (link.source, link.target.region) == pair
        ]
        return [trouble for trouble in members[0] if all(trouble in other for other in members)]


def _orders(address: str, behind: str, trouble: Trouble) -> Iterator[Order]:
    kind, toward, amount = trouble
    for direction in STREAMS.values() if toward == "both" else (toward,):
        yield address, behind if kind == "drop" else "", direction, "lose" if kind == "drop" else kind, amount
