"""Where a system lives: regions, their nodes, and the network between each ordered pair of regions."""

from __future__ import annotations

from enum import StrEnum
from itertools import permutations
from typing import Annotated, Any, Final

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator


class Role(StrEnum):
    """What a region is for."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    EDGE = "edge"


class Profile(StrEnum):
    """How kind the network is: the physical floor, an ordinary day, a bad one."""

    FLOOR = "floor"
    TYPICAL = "typical"
    DEGRADED = "degraded"


class LinkProfile(msgspec.Struct, frozen=True, kw_only=True):
    """The network of one ordered pair of regions.

    ``rtt_ms`` is the round trip's median, ``jitter_ms`` its largest deviation to either side,
    ``bandwidth_kbps`` the rate per connection and direction in KB/s (0: unlimited).
    """

    rtt_ms: float
    jitter_ms: float = 0.0
    bandwidth_kbps: int = 0


LATENCY_CLASSES: Final[dict[str, dict[Profile, LinkProfile]]] = {
    name: {
        Profile.FLOOR: LinkProfile(rtt_ms=floor),
        Profile.TYPICAL: LinkProfile(rtt_ms=(low + high) / 2, jitter_ms=(high - low) / 2),
        Profile.DEGRADED: LinkProfile(rtt_ms=degraded, jitter_ms=degraded / 10),
    }
    for name, floor, low, high, degraded in (
        ("same-region", 1, 5, 10, 50),
        ("same-continent", 20, 30, 50, 200),
        ("cross-atlantic", 60, 80, 100, 300),
        ("cross-pacific", 90, 120, 150, 500),
        ("opposite-side", 133, 200, 250, 1000),
    )
}
"""Round trips in ms per latency class; ``typical`` is the middle of its range, with the range as jitter."""

_NAME = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Node(_Strict):
    """One server process of the target. ``index`` counts over the whole topology from 0."""

    id: str
    region: str
    zone: str
    index: int


class Region(_Strict):
    """A named place. ``nodes`` is the number of server processes in it; an edge may have none."""

    id: Annotated[str, Field(pattern=_NAME, max_length=40)]
    name: str = ""
    role: Role = Role.SECONDARY
    zones: tuple[str, ...] = ("a",)
    nodes: Annotated[int, Field(ge=0, le=50)] = 1


class Between(_Strict):
    """The network of a pair of regions: a latency class, or explicit numbers.

    Holds for both directions unless ``one_way`` is set.
    """

    source: Annotated[str, Field(alias="from")]
    target: Annotated[str, Field(alias="to")]
    latency: str | None = None
    rtt_ms: Annotated[float, Field(ge=0, le=60_000)] | None = None
    jitter_ms: Annotated[float, Field(ge=0, le=60_000)] = 0.0
    bandwidth_kbps: Annotated[int, Field(ge=0)] = 0
    one_way: bool = False

    @model_validator(mode="after")
    def _class_or_numbers(self) -> Between:
        if (self.latency is None) == (self.rtt_ms is None):
            raise ValueError("give either `latency` (a class) or `rtt_ms` (a number), not both and not neither")
        if self.latency is not None and self.latency not in LATENCY_CLASSES:
            raise ValueError(f"latency {self.latency!r} is no class; write one of {', '.join(LATENCY_CLASSES)}")
        if self.latency is not None and (self.jitter_ms or self.bandwidth_kbps):
            raise ValueError("`jitter_ms` and `bandwidth_kbps` go with `rtt_ms`; a latency class brings its own")
        if self.rtt_ms is not None and self.jitter_ms > self.rtt_ms:
            raise ValueError(f"jitter_ms {self.jitter_ms:g} is larger than rtt_ms {self.rtt_ms:g}")
        return self

    def profile(self, profile: Profile) -> LinkProfile:
        if self.latency is not None:
            return LATENCY_CLASSES[self.latency][profile]
        return LinkProfile(rtt_ms=self.rtt_ms or 0.0, jitter_ms=self.jitter_ms, bandwidth_kbps=self.bandwidth_kbps)


class Topology(_Strict):
    """Regions, nodes and the latency profile of every ordered pair of regions."""

    name: Annotated[str, Field(pattern=_NAME, max_length=60)]
    description: str = ""
    profile: Profile = Profile.TYPICAL
    regions: Annotated[tuple[Region, ...], Field(min_length=1, max_length=20)]
    links: tuple[Between, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Topology:
        ids = [region.id for region in self.regions]
        twice = sorted({id_ for id_ in ids if ids.count(id_) > 1})
        if twice:
            raise ValueError(f"regions: id {twice[0]!r} is used twice; give each region an id of its own")
        if not self.nodes:
            raise ValueError("regions: no region has a node; set `nodes: 1` in at least one")
        for link in self.links:
            for end, field in ((link.source, "from"), (link.target, "to")):
                if end not in ids:
                    raise ValueError(f"links: `{field}: {end}` is no region; write one of {', '.join(ids)}")
            if link.source == link.target:
                raise ValueError(f"links: from and to are both {link.source!r}; a link joins two regions")
        for pair in permutations(ids, 2):
            found = [link for link in self.links if _covers(link, pair)]
            if not found:
                raise ValueError(f"links: nothing says how far {pair[0]} is from {pair[1]}; add a link with a latency")
            if len(found) > 1:
                raise ValueError(f"links: {pair[0]} to {pair[1]} is given {len(found)} times; keep one")
        return self

    @property
    def region_ids(self) -> tuple[str, ...]:
        return tuple(region.id for region in self.regions)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every node, named n1, n2, ... in the order of the regions; zones are dealt in turn."""
        found: list[Node] = []
        for region in self.regions:
            for i in range(region.nodes):
                zone = region.zones[i % len(region.zones)] if region.zones else "a"
                found.append(Node(id=f"n{len(found) + 1}", region=region.id, zone=zone, index=len(found)))
        return tuple(found)

    def node(self, node_id: str) -> Node:
        """The node called ``node_id``; raises KeyError when there is none."""
        for node in self.nodes:
            if node.id == node_id:
                return node
        raise KeyError(node_id)

    def nodes_in(self, region: str) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.region == region)

    @property
    def first_primary(self) -> Node:
        """The first node of a region whose role is primary; the first of all when no such region has one."""
        primary = {region.id for region in self.regions if region.role is Role.PRIMARY}
        return next((node for node in self.nodes if node.region in primary), self.nodes[0])

    @property
    def slowest_rtt_ms(self) -> float:
        """The slowest round trip between two regions, jitter included; 0 when there is only one region."""
        profiles = (self.between(*pair) for pair in self.pairs)
        return max((profile.rtt_ms + profile.jitter_ms for profile in profiles), default=0.0)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every ordered pair of different regions."""
        return tuple(permutations(self.region_ids, 2))

    def between(self, source: str, target: str) -> LinkProfile:
        """The network from region ``source`` to region ``target`` under this topology's profile."""
        for link in self.links:
            if _covers(link, (source, target)):
                return link.profile(self.profile)
        raise KeyError((source, target))

    def with_profile(self, profile: Profile | str) -> Topology:
        return self.model_copy(update={"profile": Profile(profile)})

    def as_data(self) -> dict[str, Any]:
        """As written in a topology file; ``Topology.model_validate`` reads it back."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _covers(link: Between, pair: tuple[str, str]) -> bool:
    return pair == (link.source, link.target) or (not link.one_way and pair == (link.target, link.source))
