"""The nemesis: a schedule from the seed, faults through the ledger, and no effect claimed that no probe saw."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import registry
from harness.contracts import Aim
from harness.errors import TestbedError
from harness.generators import completion, simulate
from harness.ledger import Ledger, read_ledger
from harness.model.attestation import Symptom
from harness.model.clock import NS_PER_S, MonotonicClock
from harness.model.op import INVOKE, Op
from harness.model.seeds import Rng
from harness.model.topology import Topology
from harness.nemesis import Nemesis, Timeline, schedule
from harness.planning import plans

THREE = plans.topology("three-regions")
FAULTS = [registry.fault(name) for name in plans.DEFAULT_FAULTS]


def planned(seed: int, **more: Any) -> tuple[Op, ...]:
    options = {"every_s": 9.0, "for_s": 5.0, "time_limit_s": 60.0} | more
    return schedule(FAULTS, THREE, Rng(seed), **options)


def test_the_same_seed_plans_the_same_faults_and_victims() -> None:
    assert planned(7) == planned(7)
    assert len({str(planned(seed)) for seed in range(20)}) == 20


def test_every_fault_comes_once_before_any_comes_twice() -> None:
    for seed in range(20):
        first = [op.key for op in planned(seed) if op.f == "start"][: len(FAULTS)]
        assert sorted(first) == sorted(fault.name for fault in FAULTS)


def test_faults_do_not_overlap_and_end_before_the_time_limit() -> None:
    for seed in range(50):
        for limit_s in (2.0, 5.0, 10.0, 30.0, 61.0):
            ops = planned(seed, time_limit_s=limit_s)
            assert ops, "even the shortest run sees a fault"
            times = [op.time_ns for op in ops]
            assert times == sorted(times)
            assert [op.f for op in ops] == ["start", "stop"] * (len(ops) // 2)
            assert times[-1] <= limit_s * NS_PER_S


def test_a_topology_without_victims_plans_nothing() -> None:
    alone = plans.topology("single-region")
    cut = registry.fault("partition-region")
    assert schedule([cut], alone, Rng(1), every_s=9, for_s=5, time_limit_s=60) == ()


def test_what_a_fault_chooses_while_it_acts_follows_from_the_seed_too() -> None:
    assert planned(3) == planned(3)
    seeds = [op.value["seed"] for ops in (planned(3), planned(4)) for op in ops if op.f == "start"]
    assert len(set(seeds)) == len(seeds)


async def test_the_fault_gets_the_seed_that_was_planned(tmp_path: Path) -> None:
    seen: list[int] = []

    class Choosing(Switch):
        def apply(self, lab: Any, aim: Aim) -> Any:
            seen.append(aim.seed)
            return super().apply(lab, aim)

    one, _ = nemesis(tmp_path, Choosing())
    await one.invoke(Op(type=INVOKE, f="start", key="switch", value=AIMED | {"seed": 42}))
    assert seen == [42]


def test_the_timeline_emits_what_was_planned_when_it_was_planned() -> None:
    ops = planned(3)
    events = [op for op in simulate(Timeline(ops), clients=2) if op.type == INVOKE]
    assert [(op.f, op.key, op.time_ns) for op in events] == [(op.f, op.key, op.time_ns) for op in ops]


class Switch:
    """A fault that turns a switch of the lab; ``blind`` makes it do nothing."""

    name, needs = "switch", frozenset[str]()

    def __init__(self, blind: bool = False, broken: str = "") -> None:
        self.blind, self.broken = blind, broken

    def aims(self, topology: Topology) -> tuple[Aim, ...]:
        return (Aim(says="the switch", nodes=("n1",)),)

    @asynccontextmanager
    async def apply(self, lab: Any, aim: Aim) -> AsyncIterator[None]:
        lab.journaled.append(read_ledger(lab.ledger)[0]["state"])
        if self.broken == "apply":
            raise TestbedError("it is stuck")
        lab.off = not self.blind
        try:
            yield
        finally:
            lab.off = self.broken == "undo"

    async def symptoms(self, lab: Any, aim: Aim) -> list[Symptom]:
        return [Symptom("n1", lab.off, "dark" if lab.off else "lit")]


AIMED = {"id": "f1", "aim": "the switch", "regions": [], "nodes": ["n1"]}
START = Op(type=INVOKE, f="start", key="switch", value=AIMED)
STOP = Op(type=INVOKE, f="stop", key="switch", value=AIMED)


def nemesis(tmp_path: Path, fault: Any, leader: str | None = None) -> tuple[Nemesis, Any]:
    async def who() -> str | None:
        return leader

    path = tmp_path / "ledger.jsonl"
    lab: Any = SimpleNamespace(off=False, journaled=[], ledger=path, leader=who, topology=THREE)
    return Nemesis(lab, {"switch": fault}, Ledger(path), MonotonicClock(), lambda line: None), lab


async def test_a_fault_that_bites_and_heals_is_attested_as_such(tmp_path: Path) -> None:
    one, lab = nemesis(tmp_path, Switch())
    during = await one.invoke(START)
    assert (during["effective"], lab.off) == (True, True)
    after = await one.invoke(STOP)
    assert (after["healed"], lab.off) == (True, False)
    (entry,) = read_ledger(lab.ledger)
    assert (entry["state"], entry["effective"], entry["healed"]) == ("healed", True, True)
    assert [entry[when][0]["seen"] for when in ("before", "during", "after")] == ["lit", "dark", "lit"]


async def test_a_fault_without_effect_is_unmasked(tmp_path: Path) -> None:
    one, _ = nemesis(tmp_path, Switch(blind=True))
    answer = await one.invoke(START)
    assert answer["effective"] is False
    assert "lit" in answer["why"]


async def test_the_ledger_has_the_fault_before_it_acts(tmp_path: Path) -> None:
    one, lab = nemesis(tmp_path, Switch())
    await one.invoke(START)
    assert lab.journaled == ["injecting"]


async def test_a_fault_that_cannot_be_injected_is_an_answer_and_no_crash(tmp_path: Path) -> None:
    one, _ = nemesis(tmp_path, Switch(broken="apply"))
    answer = await one.invoke(START)
    assert (answer["effective"], answer["why"]) == (False, "could not be injected: it is stuck")
    assert not one.active


async def test_a_fault_that_stays_is_not_called_healed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.nemesis.HEAL_LIMIT_S", 0.1)
    one, _ = nemesis(tmp_path, Switch(broken="undo"))
    await one.invoke(START)
    answer = await one.invoke(STOP)
    assert answer["healed"] is False
    assert "dark" in answer["why"]


async def test_what_still_acts_at_the_end_is_known_and_can_be_stopped(tmp_path: Path) -> None:
    one, lab = nemesis(tmp_path, Switch())
    await one.invoke(START)
    (stop,) = one.active
    assert (await one.invoke(stop))["healed"] is True
    assert not lab.off
    assert not one.active


async def test_a_leader_is_aimed_at_by_name_when_the_fault_begins(tmp_path: Path) -> None:
    one, _ = nemesis(tmp_path, Switch(), leader="n2")
    answer = await one.invoke(Op(type=INVOKE, f="start", key="switch", value=AIMED | {"follow": "leader"}))
    assert (answer["nodes"], answer["regions"]) == (["n2"], ["eu-west-1"])


async def test_without_a_leader_there_is_no_effect(tmp_path: Path) -> None:
    one, _ = nemesis(tmp_path, Switch(), leader=None)
    answer = await one.invoke(Op(type=INVOKE, f="start", key="switch", value=AIMED | {"follow": "leader"}))
    assert (answer["effective"], answer["why"]) == (False, "no node said that it leads within 2 s")


def test_a_fault_that_bites_late_still_lasts_as_long_as_planned() -> None:
    """Probing before a fault takes a second; the window is counted from the moment when it acts."""
    ops = planned(3)[:2]
    late_ns = ops[0].time_ns + 3 * NS_PER_S

    def slow(op: Op) -> Op:
        value = op.value | {"applied_ns": late_ns} if op.f == "start" else op.value
        return completion(op, "info", 4 * NS_PER_S, value)

    begun, stopped = [op for op in simulate(Timeline(ops), clients=2, cluster=slow) if op.type == INVOKE]
    assert begun.time_ns == ops[0].time_ns
    assert stopped.time_ns == late_ns + (ops[1].time_ns - ops[0].time_ns)


def test_a_fault_that_would_end_after_the_time_limit_is_left_out() -> None:
    ops = planned(3, time_limit_s=30.0)
    last_ns = ops[-1].time_ns
    assert [op for op in simulate(Timeline(ops, last_ns), clients=2) if op.type == INVOKE][-1].time_ns == last_ns
    invoked = [op for op in simulate(Timeline(ops, last_ns - 1), clients=2) if op.type == INVOKE]
    assert len(invoked) == len(ops) - 2
