"""Every path between regions of one run: built, cut, shaped, restored and measured through one link server.

One proxy stands for each (source region, remote node, port), and one for each ordered pair of regions that leads to
a beacon. The server's own answer is the only record of what a proxy is like now; what is kept here are wishes: who
(``owner``) asked for which trouble on which link. An action changes the wishes and then makes the server agree.
So overlapping troubles cannot heal each other, and an action that failed half-way is mended by the next one.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from statistics import median
from typing import Final

from harness.contracts import Address, Link, LinkProbe, Port
from harness.errors import TestbedError
from harness.finishing import finish
from harness.links.api import ProxyState, ToxiproxyApi
from harness.links.choose import LinkServer
from harness.links.lookout import Here, Looks
from harness.links.routes import STREAMS, Route, Trouble, steps, ways
from harness.model.topology import LinkProfile, Node, Topology

Pair = tuple[str, str]

TOLERANCE_MS: Final = 2.0
TOLERANCE_SHARE: Final = 0.05
_VERIFY_PAUSES_S: Final = (0, 0.1, 0.2, 0.4, 0.8, 1.6)
_METRICS: Final = {
    "bytes_up": ("toxiproxy_proxy_received_bytes_total", "upstream"),
    "bytes_down": ("toxiproxy_proxy_received_bytes_total", "downstream"),
    "connections": ("toxiproxy_proxy_connections_total", ""),
}
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]+")


class LinkFleet:
    """All links of one run. Implements ``contracts.Links``; built by :meth:`open`, removed by :meth:`close`.

    ``look`` sees what links are like: from here, unless it is said who is nearer to them.
    """

    def __init__(self, server: LinkServer, topology: Topology, prefix: str) -> None:
        self._server = server
        self._topology = topology
        self._prefix = prefix
        self._ports: tuple[Port, ...] = ()
        self._whisper: tuple[Port, Callable[[Link], Address]] | None = None
        self._then: Callable[[], Awaitable[None]] | None = None
        self._routes: dict[Link, tuple[Route, ...]] = {}
        self._beacons: dict[Pair, Route] = {}
        self._wishes: dict[Link, dict[tuple[str, str, str], Trouble]] = {}
        self._acting = asyncio.Lock()
        self.look: Looks = Here()

    @classmethod
    async def open(
        cls,
        server: LinkServer,
        topology: Topology,
        ports: Sequence[Port],
        listen_at: Callable[[str, Node, Port], Address],
        upstream_of: Callable[[str, Node, Port], Address],
        beacon_listen_at: Callable[[str, str], Address],
        beacons: Mapping[str, Address],
        prefix: str,
        look: Looks | None = None,
    ) -> LinkFleet:
        """Create every proxy with its base latency.

        ``listen_at(region, node, port)`` is where region's side of a link listens (port 0: any free one, see
        :meth:`address`), ``upstream_of(region, node, port)`` where the link finds the node.
        ``beacon_listen_at(source, target)`` and ``beacons[target]`` likewise for the measuring links. ``prefix``
        carries the run's id and starts every name.
        Raises TestbedError, and leaves no proxy, when the server cannot have it so.
        """
        whispers = [port for port in ports if port.protocol == "udp" and port.ping]
        ports = [port for port in ports if port.protocol == "tcp"]
        if not ports:
            raise TestbedError("the target has no port that speaks TCP, which links are probed over; give it one")
        for name in (prefix, *(port.name for port in ports)):
            if not _SAFE_NAME.fullmatch(name):  # names become parts of URLs
                raise TestbedError(
                    f"link name part {name!r} has other characters than letters, digits, - and _; rename it"
                )
        fleet = cls(server, topology, prefix)
        fleet._ports = tuple(ports)
        if whispers:
            fleet._whisper = whispers[0], lambda link: listen_at(link.source, link.target, whispers[0])
        fleet.look = look or fleet.look
        for source, node in ((s, n) for s in topology.region_ids for n in topology.nodes if n.region != s):
            base = topology.between(source, node.region)
            fleet._routes[Link(source, node)] = tuple(
                Route(
                    f"{prefix}.{source}.{node.id}.{p.name}",
                    listen_at(source, node, p),
                    upstream_of(source, node, p),
                    base,
                )
                for p in ports
            )
        for pair in topology.pairs:
            name = f"{prefix}.{pair[0]}.to.{pair[1]}"
            fleet._beacons[pair] = Route(name, beacon_listen_at(*pair), beacons[pair[1]], topology.between(*pair))
        fleet._wishes = {link: {} for link in fleet._routes}
        try:
            await finish(fleet._create())
        except BaseException:
            await fleet.close()
            raise
        return fleet

    @property
    def all(self) -> tuple[Link, ...]:
        return tuple(self._routes)

    @property
    def proxy_names(self) -> tuple[str, ...]:
        """The names of all proxies made here, measuring links included."""
        return tuple(route.name for route in self._every_route())

    def address(self, link: Link, port: str) -> Address:
        """Where ``link`` listens for the port called ``port``; KeyError when there is none."""
        return dict(zip((p.name for p in self._ports), self._routes[link], strict=True))[port].listen

    def beacon_address(self, source: str, target: str) -> Address:
        """Where the measuring link between two regions listens; KeyError when there is none."""
        return self._beacons[source, target].listen

    # --- trouble and its end ---------------------------------------------------------------------

    async def refuse(self, links: Iterable[Link], owner: str = "") -> None:
        await self._ask(links, owner, Trouble("refuse"))

    async def blackhole(self, links: Iterable[Link], toward: str = "both", owner: str = "") -> None:
        if toward not in ("both", *STREAMS.values()):
            raise ValueError(f"toward {toward!r} is no direction; write both, upstream or downstream")
        await self._ask(links, owner, Trouble("blackhole", toward))

    async def reset(self, links: Iterable[Link], owner: str = "") -> None:
        await self._ask(links, owner, Trouble("reset"))

    async def shape(self, links: Iterable[Link], profile: LinkProfile, owner: str = "") -> None:
        await self._ask(links, owner, Trouble("shape", profile=profile))

    async def restore(self, links: Iterable[Link], owner: str = "") -> None:
        chosen = self._known(links)
        for link in chosen:
            kept = {key: wish for key, wish in self._wishes[link].items() if owner and key[0] != owner}
            self._wishes[link] = kept
        await finish(self._settle(chosen))

    async def _ask(self, links: Iterable[Link], owner: str, trouble: Trouble) -> None:
        chosen = self._known(links)
        for link in chosen:
            key = (owner, trouble.kind, trouble.toward)
            self._wishes[link].pop(key, None)  # asked for again, it becomes the latest
            self._wishes[link][key] = trouble
        await finish(self._settle(chosen))

    def _known(self, links: Iterable[Link]) -> tuple[Link, ...]:
        chosen = tuple(dict.fromkeys(links))
        for link in chosen:
            if link not in self._routes:
                raise KeyError(str(link))
        return chosen

    async def _create(self) -> None:
        wanted = [route.under(()) for route in self._every_route()]
        if not wanted:
            return
        made = {proxy.name: proxy for proxy in await self._api.run(self._api.populate, wanted)}
        for link, routes in self._routes.items():
            self._routes[link] = tuple(_placed(route, made) for route in routes)
        self._beacons = {pair: _placed(route, made) for pair, route in self._beacons.items()}
        await self._agree(made, [route.under(()) for route in self._every_route()])

    async def _settle(self, links: Iterable[Link]) -> None:
        """Make the server agree with the wishes about ``links`` and the measuring links beside them."""
        async with self._acting:
            now = await self._api.run(self._api.proxies)
            wanted = [route.under(self._troubles(link)) for link in links for route in self._routes[link]]
            pairs = dict.fromkeys((link.source, link.target.region) for link in links)
            wanted += [self._beacons[pair].under(self._pair_troubles(pair)) for pair in pairs]
            await self._agree(now, wanted)
            if self._then is not None:
                await self._then()

    def then(self, act: Callable[[], Awaitable[None]]) -> None:
        """Do that, too, whenever a trouble began or ended: for what the link server does not carry."""
        self._then = act

    def ways(self, link: Link) -> dict[str, tuple[int, int] | None]:
        """What datagrams on ``link`` suffer now; see ``routes.ways``."""
        troubles = self._troubles(link)
        return ways(self._routes[link][0].profile_under(troubles), troubles)

    async def _agree(self, now: Mapping[str, ProxyState], wanted: Iterable[ProxyState]) -> None:
        jobs: list[Callable[[], None]] = []
        for state in wanted:
            if state.name not in now:
                raise TestbedError(
                    f"link {state.name} is no longer on {self._api.url}: somebody removed it; start the run anew"
                )
            calls = list(steps(self._api, now[state.name], state))
            if calls:
                jobs.append(partial(_in_order, calls))
        await self._api.run_all(jobs)

    def _troubles(self, link: Link) -> tuple[Trouble, ...]:
        return tuple(self._wishes[link].values())

    def _pair_troubles(self, pair: Pair) -> tuple[Trouble, ...]:
        """What all links of a pair suffer alike: that, and no more, its measuring link suffers, too."""
        members = [self._troubles(link) for link in self._routes if (link.source, link.target.region) == pair]
        return tuple(trouble for trouble in members[0] if all(trouble in other for other in members)) if members else ()

    # --- measuring -------------------------------------------------------------------------------

    async def probe(self, link: Link, limit_s: float = 1.0) -> LinkProbe:
        route = self._routes[link][0]
        limit_s = max(limit_s, _patience_s(route.profile_under(self._troubles(link))))
        probing = self.look.probe(route.listen, self._ports[0].ping, limit_s)
        if self._whisper is None:
            return await probing
        port, at = self._whisper
        found, heard = await asyncio.gather(probing, self.look.whisper(at(link), port.ping, limit_s))
        if heard == (found.state == "open"):
            return found
        return LinkProbe("half", None, f"streams: {found.state}; datagrams: {'open' if heard else 'silent'}")

    async def rtt_ms(self, source: str, target: str, samples: int = 16) -> float:
        connections = max(1, min(samples, 16))
        found = await self._rtts([(source, target)], connections, math.ceil(samples / connections))
        return _median(found[source, target])

    async def throughput_kbps(self, source: str, target: str) -> float:
        limit_s = 1.0 + self.patience_s((source, target))
        return await self.look.throughput_kbps(self._beacons[source, target].listen, limit_s)

    async def verify(self, rounds: int = len(_VERIFY_PAUSES_S)) -> dict[str, dict[str, float]]:
        """Measure every ordered pair: ``{"a>b": {"rtt_ms": ..., "preset_ms": ...}}``.

        Raises TestbedError for pairs whose round trip is off the preset by more than 5 % and more than 2 ms. Of many
        the shortest counts: a busy machine makes one longer, and nothing shorter; with jitter, the median. A pair that
        seems off is measured again in the next of at most ``rounds`` rounds, later each time.
        """
        measured_ms: dict[Pair, float] = {}
        suspects = tuple(self._beacons)
        for pause_s in _VERIFY_PAUSES_S[:rounds]:
            await asyncio.sleep(pause_s)
            found = await self._rtts(suspects, connections=16, pings=3)
            measured_ms |= {pair: self._undisturbed_ms(pair, samples) for pair, samples in found.items()}
            suspects = tuple(pair for pair in suspects if self._off(pair, measured_ms[pair]))
            if not suspects:
                break
        if suspects:
            raise TestbedError(
                f"{len(suspects)} of {len(measured_ms)} links are not as the topology says: "
                + "; ".join(self._off(pair, measured_ms[pair]) for pair in suspects)
                + " (allowed: 5 % or 2 ms). Is this machine overloaded, or does somebody else change toxics on "
                + f"{self._api.url}? End the other load, or run it again"
            )
        return {
            f"{source}>{target}": {"rtt_ms": ms, "preset_ms": self._beacons[source, target].base.rtt_ms}
            for (source, target), ms in measured_ms.items()
        }

    def _undisturbed_ms(self, pair: Pair, samples: Sequence[float]) -> float:
        median_ms = _median(samples)
        return median_ms if self._beacons[pair].base.jitter_ms or math.isinf(median_ms) else min(samples)

    def _off(self, pair: Pair, measured_ms: float) -> str:
        """Empty when the measurement agrees with the preset, else both numbers."""
        preset_ms = self._beacons[pair].base.rtt_ms
        if abs(measured_ms - preset_ms) <= max(TOLERANCE_MS, TOLERANCE_SHARE * preset_ms):
            return ""
        found = f"{measured_ms:.1f} ms" if measured_ms < math.inf else "no answer"
        return f"{pair[0]}>{pair[1]} measured {found}, preset {preset_ms:g} ms"

    async def _rtts(self, pairs: Sequence[Pair], connections: int, pings: int) -> dict[Pair, list[float]]:
        paths = {pair: self._beacons[pair].listen for pair in pairs}
        return await self.look.rtts_ms(paths, self.patience_s, connections, pings)

    def patience_s(self, pair: Pair) -> float:
        """How long an answer between two regions can take now, with a second for busy machines."""
        return _patience_s(self._beacons[pair].profile_under(self._pair_troubles(pair)))

    async def traffic(self) -> dict[str, dict[str, int]]:
        """What senders have put on each link so far, measuring links left out: ``{"a>n2": {"bytes_up": ...,
        "bytes_down": ..., "connections": ...}}``.

        Toxiproxy counts bytes when a connection ends, and no connections (the key is missing); the embedded server
        counts while they live. Empty when the server has no metrics.
        """
        counts = _counters(await self._api.run(self._api.metrics))
        found: dict[str, dict[str, int]] = {}
        for link, routes in self._routes.items():
            for key, (metric, direction) in _METRICS.items():
                known = [counts[label] for route in routes if (label := (metric, route.name, direction)) in counts]
                if known:
                    found.setdefault(str(link), {})[key] = sum(known)
        return found

    # --- the end ---------------------------------------------------------------------------------

    async def close(self) -> None:
        """Remove the proxies made here, and only those. Nothing when our own server is gone, and they with it."""
        if not self._server.gone:
            await finish(_remove(self._api, self.proxy_names))

    @property
    def _api(self) -> ToxiproxyApi:
        return self._server.api

    def _every_route(self) -> Iterator[Route]:
        yield from chain.from_iterable(self._routes.values())
        yield from self._beacons.values()


async def sweep(server: LinkServer, prefix: str) -> tuple[str, ...]:
    """Remove the proxies that a dead run with that ``prefix`` left on ``server``; their names."""
    names = tuple(name for name in await server.api.run(server.api.proxies) if name.startswith(f"{prefix}."))
    await finish(_remove(server.api, names))
    return names


async def _remove(api: ToxiproxyApi, names: Iterable[str]) -> None:
    await api.run_all([partial(api.remove_proxy, name) for name in names])


def _in_order(calls: Iterable[Callable[[], None]]) -> None:
    for call in calls:
        call()


def _counters(metrics: str) -> dict[tuple[str, str, str], int]:
    """Prometheus text as {(metric, proxy, direction): count}."""
    found: dict[tuple[str, str, str], int] = {}
    for line in re.finditer(r"^(toxiproxy_proxy_\w+)\{(.*)\} (\S+)$", metrics, re.MULTILINE):
        labels = dict(re.findall(r'(\w+)="([^"]*)"', line[2]))
        key = line[1], labels.get("proxy", ""), labels.get("direction", "")
        found[key] = found.get(key, 0) + int(float(line[3]))
    return found


def _placed(route: Route, made: Mapping[str, ProxyState]) -> Route:
    """The route with the address that the server really listens on."""
    host, _, port = made[route.name].listen.rpartition(":")
    return Route(route.name, Address(host, int(port)), route.upstream, route.base)


def _patience_s(profile: LinkProfile) -> float:
    """How long an answer can take over a link of that profile, with a second for busy machines."""
    return 1.0 + (profile.rtt_ms + profile.jitter_ms) / 1000


def _median(samples: Sequence[float]) -> float:
    return median(samples) if samples else math.inf
