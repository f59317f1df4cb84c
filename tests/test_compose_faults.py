"""Every fault, unchanged, on composed regions: the tests of ``test_faults.py`` on another lab."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.docker_lab import composed, engine_for_tests, left_of
from tests.lab import SQUARE, Echo
from tests.test_faults import (
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    with engine_for_tests() as engine:
        async with composed(SQUARE, Echo(), tmp_path_factory.mktemp("lab")) as found:
            yield found
        assert left_of(engine, found.run_id) == []
