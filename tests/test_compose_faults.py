"""Every fault, unchanged, on composed regions: the tests of ``test_faults.py`` on another lab."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from harness.running import recovering
from harness.testbeds import faketime
from harness.testbeds.containers import doors
from tests.docker_lab import composed, engine_for_tests, left_of
from tests.lab import SQUARE, Echo
from tests.test_faults import (
    on_one_loop,
    test_a_fault_bites_what_it_aims_at_and_heals,
    test_a_fault_that_does_nothing_is_found_out,
    test_a_fault_undoes_itself_when_it_is_cancelled_while_it_strikes,
    test_a_fault_undoes_itself_when_its_context_ends_in_an_error,
    test_a_link_to_a_dead_node_is_no_evidence_for_a_cut,
    test_a_partition_cuts_its_links_and_no_others,
    test_healing_one_of_two_overlapping_cuts_leaves_the_other,
)

pytestmark = pytest.mark.docker
__all__ = [
    "test_a_fault_bites_what_it_aims_at_and_heals",
    "test_a_fault_that_does_nothing_is_found_out",
    "test_a_fault_undoes_itself_when_it_is_cancelled_while_it_strikes",
    "test_a_fault_undoes_itself_when_its_context_ends_in_an_error",
    "test_a_link_to_a_dead_node_is_no_evidence_for_a_cut",
    "test_a_partition_cuts_its_links_and_no_others",
    "test_healing_one_of_two_overlapping_cuts_leaves_the_other",
]


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=["", pytest.param("127.0.0.1", marks=pytest.mark.slow)],
    ids=["direct", "published"],
)
async def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """Once as it is, and once with nothing but published ports."""
    with engine_for_tests() as engine, pytest.MonkeyPatch.context() as patch:
        patch.setenv(doors.VARIABLE, request.param)
        async with composed(SQUARE, Echo(), tmp_path_factory.mktemp("lab"), clocks=not faketime.missing()) as found:
            yield found
        assert left_of(engine, found.run_id) == []


@on_one_loop
async def test_recovery_heals_packets_and_cables_that_a_fault_left_broken(lab: Any) -> None:
    await lab.packets.drop(lab.links.all, owner="a fault that never came back")
    await lab.containers.disconnect("n2")
    told: list[str] = []
    await recovering.recover(lab, lab.target, 20.0, told.append)
    assert told[-1].startswith("recovered after")
    assert {(await lab.links.probe(link)).state for link in lab.links.all} == {"open"}


@on_one_loop
async def test_what_a_node_sends_is_not_acknowledged_in_the_targets_place(lab: Any) -> None:
    """A swallowing proxy acknowledges the answer, so that the node is content; dropped packets it sends again."""
    links = [link for link in lab.links.all if link.target.id == "n1"]
    at = lab.seat("east", "n1").reach["echo"]
    before = sent_again(lab)
    for cut in (lab.links.blackhole(links, "downstream", "test"), lab.packets.drop(links, "downstream", "test")):
        assert sent_again(lab) == before
        _, writer = await asyncio.open_connection(at.host, at.port)
        try:
            await cut
            writer.write(b"ping\n" * 10)
            await asyncio.sleep(1.0)
        finally:
            writer.transport.abort()
            await asyncio.gather(lab.links.restore(links, "test"), lab.packets.restore(links, "test"))
    assert sent_again(lab) > before


def sent_again(lab: Any) -> int:
    """Segments that node n1 has sent more than once so far."""
    program = "print([line.split() for line in open('/proc/net/snmp') if line[:4] == 'Tcp:'])"
    code, said = lab.nodes.container("n1").exec_run(["python3", "-c", program])
    assert code == 0, said
    names, numbers = ast.literal_eval(said.decode())
    return int(numbers[names.index("RetransSegs")])
