"""Links for the ports that a target speaks UDP on: what the program beside the link server has to know."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from harness.contracts import Address, Port
from harness.links.control import LinkFleet
from harness.model.topology import Node, Topology

Reach = Callable[[str, Node], Mapping[str, Address]]


def wanted(ports: Iterable[Port]) -> bool:
    """Whether there is anything to do."""
    return any(port.protocol == "udp" for port in ports)


def routes(topology: Topology, ports: Iterable[Port], reach: Reach) -> str:
    """``routes.json`` (see ``inside/datagrams.py``). ``reach(region, node)`` is where a region finds a node, itself at
    home."""
    found: list[Any] = []
    for port in ports:
        for source in topology.region_ids if port.protocol == "udp" else ():
            for node in topology.nodes:
                if node.region != source:
                    listen, to = reach(source, node)[port.name], reach(node.region, node)[port.name]
                    back = {
                        reach(source, one)[port.name].host: reach(node.region, one)[port.name].host
                        for one in topology.nodes_in(source)
                    }
                    found.append([f"{source}>{node.id}", [listen.host, listen.port], [to.host, to.port], back])
    return json.dumps(found)


def ways(links: LinkFleet) -> str:
    """``ways.json``, as the links are meant to be now."""
    return json.dumps({str(link): links.ways(link) for link in links.all})


def follow(links: LinkFleet, tell: Callable[[str], Awaitable[None]]) -> None:
    """From now on let datagrams suffer what the links suffer."""
    links.then(lambda: tell(ways(links)))
