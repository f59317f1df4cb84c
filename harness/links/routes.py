"""What a proxy has to be like under the troubles that are asked for, and the calls that make it so. Does no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final

from harness.contracts import Address
from harness.links.api import ProxyState, Toxic, ToxiproxyApi
from harness.model.topology import LinkProfile

STREAMS: Final = {"up": "upstream", "down": "downstream"}


@dataclass(frozen=True)
class Trouble:
    """What an owner asks for on a link. ``kind`` is ``refuse``, ``blackhole``, ``reset`` or ``shape``."""

    kind: str
    toward: str = "both"
    profile: LinkProfile | None = None


@dataclass(frozen=True)
class Route:
    """One proxy of ours: where it listens and what its undisturbed network is."""

    name: str
    listen: Address
    upstream: Address
    base: LinkProfile

    def under(self, troubles: Sequence[Trouble]) -> ProxyState:
        """The proxy as it has to be under ``troubles``, oldest first: all cuts hold, the latest shape wins."""
        cuts = chain.from_iterable(_cut(trouble) for trouble in troubles)
        return ProxyState(
            name=self.name,
            listen=str(self.listen),
            upstream=str(self.upstream),
            enabled=all(trouble.kind != "refuse" for trouble in troubles),
            toxics=(*_network(self.profile_under(troubles)), *{toxic.name: toxic for toxic in cuts}.values()),
        )

    def profile_under(self, troubles: Sequence[Trouble]) -> LinkProfile:
        shapes = [trouble.profile for trouble in troubles if trouble.profile is not None]
        return shapes[-1] if shapes else self.base


def ways(profile: LinkProfile, troubles: Sequence[Trouble]) -> dict[str, tuple[int, int] | None]:
    """What datagrams suffer, ``up`` and ``down``: delay and jitter in ms, None where the link is cut in any manner. A
    bandwidth does not hold for them."""
    cuts = {toxic.stream for trouble in troubles for toxic in _cut(trouble)}
    shut = any(trouble.kind == "refuse" for trouble in troubles)
    return {way: None if shut or STREAMS[way] in cuts else share for way, share in _shares(profile).items()}


def steps(api: ToxiproxyApi, now: ProxyState, wanted: ProxyState) -> Iterator[Callable[[], None]]:
    """The calls that turn ``now`` into ``wanted``: closed first and opened last, so that nothing leaks in between."""
    have, want = ({toxic.name: toxic for toxic in state.toxics} for state in (now, wanted))
    if now.enabled and not wanted.enabled:
        yield partial(api.set_enabled, now.name, False)
    for name, toxic in want.items():
        if name not in have:
            yield partial(api.add_toxic, now.name, toxic)
        elif not toxic.same_as(have[name]):
            yield partial(api.update_toxic, now.name, toxic)
    for name in have.keys() - want.keys():
        yield partial(api.remove_toxic, now.name, name)
    if wanted.enabled and not now.enabled:
        yield partial(api.set_enabled, now.name, True)


def _network(profile: LinkProfile) -> Iterator[Toxic]:
    """A profile as toxics, split over the two directions; the API takes whole ms only."""
    for way, (latency_ms, way_jitter_ms) in _shares(profile).items():
        yield _toxic("base-latency", way, "latency", latency=latency_ms, jitter=way_jitter_ms)
        if profile.bandwidth_kbps:
            yield _toxic("base-bandwidth", way, "bandwidth", rate=profile.bandwidth_kbps)


def _shares(profile: LinkProfile) -> dict[str, tuple[int, int]]:
    """Each direction's part of latency and jitter."""
    rtt_ms, jitter_ms = round(profile.rtt_ms), int(profile.jitter_ms)
    return {"up": (rtt_ms // 2, jitter_ms // 2), "down": (rtt_ms - rtt_ms // 2, jitter_ms - jitter_ms // 2)}


def _cut(trouble: Trouble) -> Iterator[Toxic]:
    for way, stream in STREAMS.items():
        if trouble.kind == "blackhole" and trouble.toward in ("both", stream):
            yield _toxic("blackhole", way, "timeout", timeout=0)
        elif trouble.kind == "reset":
            yield _toxic("reset", way, "reset_peer", timeout=0)


def _toxic(name: str, way: str, type_: str, **attributes: int) -> Toxic:
    return Toxic(name=f"{name}-{way}", type=type_, stream=STREAMS[way], attributes=dict(attributes))
