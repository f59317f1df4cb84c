"""Every fault on a real lab: it bites, it heals, it is found out when it does not bite, and it always undoes itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
import pytest_asyncio

from harness import registry
from harness.contracts import Aim, Fault, Lab, Symptom
from harness.errors import MissingPower, NotReady
from harness.faults import jitter_storm
from harness.faults._held import each, held
from harness.model.attestation import effective, healed
from harness.model.topology import Between, LinkProfile, Region, Topology
from harness.nemesis import until_healed
from harness.planning import parts, plans
from harness.planning.traits import TRAITS
from harness.testbeds.local import LocalTestbed
from tests.lab import REGIONS, SQUARE, blinded, open_lab, pings_heard

FAULTS = [name for name in registry.names("fault") if name != "nothing"]
on_one_loop = pytest.mark.asyncio(loop_scope="module")
every_fault = pytest.mark.parametrize("name", FAULTS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalTestbed]:
    async with open_lab(tmp_path_factory.mktemp("lab")) as found:
        yield found


async def aimed(fault: Fault, lab: LocalTestbed) -> Aim:
    """The fault's last aim, with the leader filled in as the nemesis does. Skips what the lab has no power for."""
    missing = fault.needs - TRAITS - lab.powers
    if missing:
        pytest.skip(f"{type(lab).__name__} has no power {', '.join(sorted(missing))}")
    aim = fault.aims(lab.topology)[-1]
    if aim.follow == "leader":
        leader = await lab.leader()
        assert leader is not None
        aim = replace(aim, nodes=(leader,), regions=(lab.topology.node(leader).region,))
    return aim


def unwell(symptoms: list[Symptom]) -> list[Symptom]:
    return [symptom for symptom in symptoms if symptom.bitten or symptom.hidden]


# --- every file in the folder -------------------------------------------------------------------


@on_one_loop
@every_fault
async def test_a_fault_bites_what_it_aims_at_and_heals(lab: LocalTestbed, name: str) -> None:
    fault = registry.fault(name)
    aim = await aimed(fault, lab)
    before = await fault.symptoms(lab, aim)
    assert not unwell(before)
    async with fault.apply(lab, aim):
        during = await fault.symptoms(lab, aim)
    after, why = await until_healed(lab, fault, aim, before)
    assert effective(before, during) == ""
    assert why == ""
    assert not unwell(after)


@on_one_loop
@every_fault
async def test_a_fault_that_does_nothing_is_found_out(lab: LocalTestbed, name: str) -> None:
    fault = registry.fault(name)
    aim = await aimed(fault, lab)
    powerless = blinded(lab)
    before = await fault.symptoms(powerless, aim)
    async with fault.apply(powerless, aim):
        during = await fault.symptoms(powerless, aim)
    assert "show no effect" in effective(before, during)


@on_one_loop
@every_fault
async def test_a_fault_undoes_itself_when_its_context_ends_in_an_error(lab: LocalTestbed, name: str) -> None:
    fault = registry.fault(name)
    aim = await aimed(fault, lab)
    with pytest.raises(ZeroDivisionError):
        async with fault.apply(lab, aim):
            raise ZeroDivisionError
    assert not unwell(await fault.symptoms(lab, aim))


@on_one_loop
@every_fault
async def test_a_fault_undoes_itself_when_it_is_cancelled_while_it_strikes(lab: LocalTestbed, name: str) -> None:
    fault = registry.fault(name)
    aim = await aimed(fault, lab)

    async def inject() -> None:
        async with fault.apply(lab, aim):
            await asyncio.Event().wait()

    task = asyncio.create_task(inject())
    await asyncio.sleep(0)  # it has begun to strike, and no more
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not unwell(await fault.symptoms(lab, aim))


@pytest.mark.parametrize("cancel_at", ["strike begins", "mend begins"])
async def test_what_was_begun_is_finished_before_a_cancellation_is_heard(cancel_at: str) -> None:
    told: list[str] = []
    slow = asyncio.Event()

    async def act(name: str) -> None:
        told.append(f"{name} begins")
        if told[-1] == cancel_at:
            asyncio.get_running_loop().call_soon(task.cancel)
            asyncio.get_running_loop().call_later(0.05, slow.set)
            await slow.wait()
        told.append(f"{name} ends")

    async def inject() -> None:
        async with held(lambda: act("strike"), lambda: act("mend")):
            pass

    task = asyncio.create_task(inject())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == ["strike begins", "strike ends", "mend begins", "mend ends"]


async def test_every_node_is_mended_even_when_one_cannot_be() -> None:
    mended: list[str] = []

    async def mend(node: str) -> None:
        await asyncio.sleep(0)
        if node == "n1":
            raise NotReady("n1 says nothing")
        await asyncio.sleep(0.01)
        mended.append(node)

    with pytest.raises(NotReady, match="n1"):
        await each(["n1", "n2", "n3"], mend)
    assert mended == ["n2", "n3"]


@on_one_loop
async def test_faults_of_links_and_nodes_are_tried_on_every_lab(lab: LocalTestbed) -> None:
    """Nothing is more easily overlooked than a test that skips itself."""
    for fault in map(registry.fault, FAULTS):
        if fault.needs - TRAITS <= {"links", "processes"}:
            try:
                await aimed(fault, lab)
            except pytest.skip.Exception as skipped:
                pytest.fail(f"{fault.name}: {skipped}")


@every_fault
def test_a_fault_is_called_like_its_file(name: str) -> None:
    assert registry.fault(name).name == name


@every_fault
def test_aims_are_the_same_each_time_and_say_different_things(name: str) -> None:
    fault = registry.fault(name)
    aims = fault.aims(SQUARE)
    assert aims == fault.aims(SQUARE)
    assert len({aim.says for aim in aims}) == len(aims) > 0


@every_fault
def test_a_topology_of_one_region_offers_no_victim_to_faults_of_links(name: str) -> None:
    fault = registry.fault(name)
    alone = Topology(name="alone", regions=(Region(id="here", nodes=3),))
    assert bool(fault.aims(alone)) == ("links" not in fault.needs)


# --- the control run ----------------------------------------------------------------------------


@on_one_loop
async def test_nothing_finds_no_victim_and_never_counts_as_effective(lab: LocalTestbed) -> None:
    nothing = registry.fault("nothing")
    assert nothing.aims(SQUARE) == ()
    aim = Aim("nothing")
    before = await nothing.symptoms(lab, aim)
    async with nothing.apply(lab, aim):
        during = await nothing.symptoms(lab, aim)
    assert effective(before, during) != ""


# --- what each kind of cut lets through ----------------------------------------------------------


async def open_paths(lab: Lab) -> set[tuple[str, str]]:
    """The ordered pairs of regions whose links answer."""
    found = await asyncio.gather(*(lab.links.probe(link) for link in lab.links.all))
    return {
        (link.source, link.target.region)
        for link, probe in zip(lab.links.all, found, strict=True)
        if probe.state == "open"
    }


def both_ways(*pairs: tuple[str, str]) -> set[tuple[str, str]]:
    return {way for one, other in pairs for way in ((one, other), (other, one))}


ALL_PATHS = {(one, other) for one in REGIONS for other in REGIONS if one != other}
CUTS = [
    ("partition-region", ("north",), ALL_PATHS - both_ways(("north", "east"), ("north", "south"), ("north", "west"))),
    ("partition-halves", ("north", "east"), both_ways(("north", "east"), ("south", "west"))),
    (
        "partition-bridge",
        ("north", "east"),
        both_ways(("north", "east"), ("north", "south"), ("north", "west"), ("south", "west")),
    ),
    (
        "partition-majority-ring",
        REGIONS,
        both_ways(("north", "east"), ("east", "south"), ("south", "west"), ("west", "north")),
    ),
]


@on_one_loop
@pytest.mark.parametrize(("name", "regions", "left"), CUTS, ids=[cut[0] for cut in CUTS])
async def test_a_partition_cuts_its_links_and_no_others(
    lab: LocalTestbed, name: str, regions: tuple[str, ...], left: set[tuple[str, str]]
) -> None:
    async with registry.fault(name).apply(lab, Aim("", regions)):
        assert await open_paths(lab) == left
    assert await open_paths(lab) == ALL_PATHS


@on_one_loop
async def test_a_one_way_partition_swallows_what_a_region_sends_and_lets_it_hear(lab: LocalTestbed) -> None:
    muted = lab.topology.nodes_in("north")[0]
    other = lab.topology.nodes_in("east")[0]
    to_muted, from_muted = (
        next(link for link in lab.links.all if (link.source, link.target) == pair)
        for pair in (("east", muted), ("north", other))
    )
    muted_at, other_at = (lab.seat(node.region, node.id).reach["echo"] for node in (muted, other))
    async with registry.fault("partition-one-way").apply(lab, Aim("", ("north",))):
        heard_before = await asyncio.gather(pings_heard(muted_at), pings_heard(other_at))
        answers = await asyncio.gather(lab.links.probe(to_muted), lab.links.probe(from_muted))
        heard_after = await asyncio.gather(pings_heard(muted_at), pings_heard(other_at))
    assert [answer.state for answer in answers] == ["silent", "silent"]
    assert heard_after[0] == heard_before[0] + 1, "a request to the muted region arrives; only its answer is lost"
    assert heard_after[1] == heard_before[1], "a request from the muted region is lost"


def test_a_majority_ring_shows_every_region_a_majority_and_no_two_the_same() -> None:
    ring = registry.fault("partition-majority-ring")
    for size in range(4, 9):
        topology = full_mesh(size)
        cut = vars(ring)["separates"]
        assert ring.aims(topology)
        for aim in ring.aims(topology):
            views = [frozenset(b for b in topology.region_ids if not cut(aim, a, b)) for a in topology.region_ids]
            assert len(set(views)) == size
            assert all(len(view) * 2 > size for view in views)


def test_halves_of_four_regions_are_three_splits_and_of_three_regions_three() -> None:
    halves = registry.fault("partition-halves")
    assert len(halves.aims(full_mesh(4))) == 3
    assert len(halves.aims(full_mesh(3))) == 3
    assert len(halves.aims(full_mesh(2))) == 1


def test_faults_that_need_more_regions_offer_no_victim_without_them() -> None:
    assert registry.fault("partition-bridge").aims(full_mesh(2)) == ()
    assert len(registry.fault("partition-bridge").aims(full_mesh(3))) == 3
    assert registry.fault("partition-majority-ring").aims(full_mesh(3)) == ()


def test_large_topologies_do_not_offer_endless_aims() -> None:
    for name in FAULTS:
        assert len(registry.fault(name).aims(full_mesh(12))) <= 66, name


def full_mesh(size: int) -> Topology:
    ids = [f"r{i}" for i in range(size)]
    return Topology(
        name="mesh",
        regions=tuple(Region(id=id_) for id_ in ids),
        links=tuple(
            Between.model_validate({"from": a, "to": b, "rtt_ms": 10}) for i, a in enumerate(ids) for b in ids[i + 1 :]
        ),
    )


# --- faults that overlap -------------------------------------------------------------------------


@on_one_loop
async def test_healing_one_of_two_overlapping_cuts_leaves_the_other(lab: LocalTestbed) -> None:
    region, halves = registry.fault("partition-region"), registry.fault("partition-halves")
    lone, split = Aim("", ("north",)), Aim("", ("north", "east"))
    inner = halves.apply(lab, split)
    async with region.apply(lab, lone):
        before = await halves.symptoms(lab, split)
        async with inner:
            assert effective(before, await halves.symptoms(lab, split)) == ""
        assert healed(await halves.symptoms(lab, split), before) == ""
        assert all(symptom.bitten for symptom in await region.symptoms(lab, lone))
    assert await open_paths(lab) == ALL_PATHS


@on_one_loop
async def test_the_first_of_two_overlapping_cuts_may_end_first(lab: LocalTestbed) -> None:
    region, blackhole = registry.fault("partition-region"), registry.fault("blackhole-region")
    first, second = region.apply(lab, Aim("", ("north",))), blackhole.apply(lab, Aim("", ("east",)))
    await first.__aenter__()
    await second.__aenter__()
    await first.__aexit__(None, None, None)
    try:
        assert await open_paths(lab) == {pair for pair in ALL_PATHS if "east" not in pair}
    finally:
        await second.__aexit__(None, None, None)
    assert await open_paths(lab) == ALL_PATHS


@on_one_loop
async def test_a_fault_of_nodes_leaves_alone_what_another_fault_killed(lab: LocalTestbed) -> None:
    node, everyone = registry.fault("kill-node"), registry.fault("kill-all")
    one, everybody = node.aims(lab.topology)[0], everyone.aims(lab.topology)[0]
    async with node.apply(lab, one):
        before = await everyone.symptoms(lab, everybody)
        async with everyone.apply(lab, everybody):
            assert effective(before, await everyone.symptoms(lab, everybody)) == ""
        after = await everyone.symptoms(lab, everybody)
        assert lab.nodes.state(one.nodes[0]) == "dead"
        assert healed(after, before) == ""
    assert not unwell(await everyone.symptoms(lab, everybody))


@on_one_loop
async def test_a_wipe_that_leaves_the_data_is_found_out(lab: LocalTestbed) -> None:
    """A node that is dead is not yet one that lost everything."""
    wipe = registry.fault("wipe-node")
    aim = wipe.aims(lab.topology)[0]
    before = await wipe.symptoms(lab, aim)
    async with registry.fault("kill-node").apply(lab, aim):
        assert "dead, 1 files" in effective(before, await wipe.symptoms(lab, aim))
    assert healed(await wipe.symptoms(lab, aim), before) == ""


def test_a_wipe_is_only_for_targets_that_promise_to_survive_it() -> None:
    with pytest.raises(MissingPower, match=r"wipe-node takes away all data of a node, and target refstore does not"):
        parts.Parts(plans.plan(target="refstore", faults="wipe-node", seed=1))
    assert "wipe-node" not in plans.plan(target="refstore", faults="all", seed=1).faults


@on_one_loop
async def test_a_link_to_a_dead_node_is_no_evidence_for_a_cut(lab: LocalTestbed) -> None:
    cut, kill = registry.fault("partition-region"), registry.fault("kill-region")
    north = next(aim for aim in kill.aims(lab.topology) if aim.regions == ("north",))
    async with kill.apply(lab, north):
        symptoms = await cut.symptoms(lab, Aim("", ("north",)))
    to_dead = [symptom for symptom in symptoms if symptom.thing.endswith(f">{north.nodes[0]}")]
    assert to_dead
    assert all(symptom.hidden and not symptom.bitten for symptom in to_dead)


class HiccupingLinks:
    """Round trips of 10 ms, but for one moment in which whoever answers stands still."""

    def __init__(self, still_s: float) -> None:
        self._moves_at = asyncio.get_running_loop().time() + still_s

    async def rtt_ms(self, source: str, target: str, samples: int) -> float:
        return 10 + 1000 * max(0.0, self._moves_at - asyncio.get_running_loop().time())


@pytest.mark.parametrize("still_s", [0.5, 0.7])
async def test_a_machine_that_stands_still_for_a_moment_is_no_storm(still_s: float) -> None:
    lab = cast(Lab, SimpleNamespace(topology=SQUARE, links=HiccupingLinks(still_s)))
    assert not (await jitter_storm.measure(lab, ("north", "west"), LinkProfile(rtt_ms=110, jitter_ms=100))).bitten


# --- the comparison ------------------------------------------------------------------------------

WELL, ILL = Symptom("a>n1", False, "open"), Symptom("a>n1", True, "refused")
HIDDEN = Symptom("a>n1", False, "closed", hidden=True)


def test_bitten_during_and_well_before_is_effective() -> None:
    assert effective([WELL], [ILL]) == ""


def test_one_thing_without_effect_makes_the_whole_fault_ineffective() -> None:
    other = replace(WELL, thing="b>n1")
    assert effective([WELL, other], [ILL, other]) == "1 of 2 show no effect: b>n1 open"


def test_what_was_out_of_order_before_is_not_counted() -> None:
    other = replace(WELL, thing="b>n1")
    for before in (ILL, HIDDEN):
        assert effective([before, other], [WELL, replace(ILL, thing="b>n1")]) == ""


def test_with_everything_out_of_order_before_nothing_is_attested() -> None:
    assert effective([ILL], [ILL]) == "nothing was left to break: a>n1 refused before the fault"
    assert effective([HIDDEN], [ILL]) == "nothing was left to break: a>n1 closed before the fault"


def test_without_probes_nothing_is_attested() -> None:
    assert effective([], []) == "nothing was probed, so nothing shows an effect"
    assert effective([WELL], []) == "not probed while the fault lasted: a>n1"


def test_a_hidden_thing_is_no_effect_when_it_was_well_before() -> None:
    assert effective([WELL], [HIDDEN]) == "1 of 1 show no effect: a>n1 closed"


def test_healed_means_that_nothing_is_bitten_that_was_not_before() -> None:
    assert healed([WELL, HIDDEN]) == ""
    assert healed([ILL]) == "1 of 1 did not heal: a>n1 refused"
    assert healed([ILL], before=[ILL]) == ""


def test_long_lists_are_shortened() -> None:
    many = [replace(ILL, thing=f"a>n{i}") for i in range(9)]
    assert healed(many).endswith("and 5 more")
