"""Ports that speak UDP on composed regions: the tests of ``test_datagrams.py`` on another lab, and what is between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.docker_lab import composed, engine_for_tests, in_container, left_of
from tests.test_datagrams import (
    PAIR,
    Gossip,
    on_one_loop,
    test_a_cut_takes_datagrams_too_and_gives_them_back,
    test_a_datagram_is_answered_over_its_link_after_a_round_trip,
    test_lost_packets_are_lost_datagrams,
    test_nodes_know_each_other_by_the_addresses_that_they_were_given,
)

pytestmark = pytest.mark.docker
__all__ = [
    "test_a_cut_takes_datagrams_too_and_gives_them_back",
    "test_a_datagram_is_answered_over_its_link_after_a_round_trip",
    "test_lost_packets_are_lost_datagrams",
    "test_nodes_know_each_other_by_the_addresses_that_they_were_given",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    with engine_for_tests() as engine:
        async with composed(PAIR, Gossip(), tmp_path_factory.mktemp("lab")) as found:
            yield found
        assert left_of(engine, found.run_id) == []


ASK = """
import socket, sys
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.settimeout(0.5)
for host in sys.argv[1:]:
    for _ in range(2):
        try:
            line.sendto(b"who?", (host, 7501))
            print(host, line.recv(100).decode())
            break
        except OSError:
            pass
"""


@on_one_loop
async def test_a_datagram_crosses_the_border_over_the_link_and_by_no_other_way(lab: Any) -> None:
    home, link = (lab.seat(region, "n2").reach["gossip"].host for region in ("west", "east"))
    gateways = [each.rpartition(".")[0] + ".254" for each in (home, link)]
    container = lab.nodes.container("n1")
    ask = ("python3", "-c", ASK, home, *gateways, link)
    assert in_container(lab._engine, container, *ask) == (0, f"{link} n2\n")
    await lab.links.refuse(lab.links.all)
    try:
        assert in_container(lab._engine, container, *ask) == (0, "")
    finally:
        await lab.links.restore(lab.links.all)


@on_one_loop
async def test_the_end_of_what_carries_datagrams_is_noticed_and_told(lab: Any) -> None:
    """The last test of this lab: there is no way back."""
    assert lab.lost() == ""
    code, said = in_container(lab._engine, lab._containers["wires"], "sh", "-c", "kill $(cat /rift/pid)")
    assert code == 0, said
    async with asyncio.timeout(20):
        while not lab.lost():  # noqa: ASYNC110  (a container sets no event here)
            await asyncio.sleep(0.1)
    assert lab.lost().startswith("container wires")
