"""Clocks of nodes: moved while they run, attested by the nodes themselves, set right again, nothing else touched."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness import registry
from harness.contracts import Launch, Place, Target
from harness.errors import MissingPower
from harness.faults._clocks import OFFSET_S, Reading, offset_s
from harness.model.attestation import effective
from harness.model.op import invoke
from harness.model.topology import Region, Topology
from harness.nemesis import until_healed
from harness.planning import parts, plans
from harness.running import recovering
from harness.testbeds import faketime
from harness.testbeds.clocks import NodeClocks
from harness.testbeds.local import LocalTestbed
from tests.lab import Echo

ONE_REGION = Topology(name="alone", regions=(Region(id="here", nodes=3),))
can_be_moved = pytest.mark.skipif(bool(faketime.refused()), reason=f"no other clocks: {faketime.refused()}")


@asynccontextmanager
async def lab_of(target: Target, folder: Path) -> AsyncIterator[LocalTestbed]:
    async with LocalTestbed(ONE_REGION, target, folder, f"clock-{secrets.token_hex(4)}", 7, clocks=True) as lab:
        yield lab


async def off_s(lab: LocalTestbed, node: str) -> float:
    least, most = await lab.clocks.ahead_s(node)
    assert most - least < 1.0
    return (least + most) / 2


# --- a node's clock ------------------------------------------------------------------------------


@can_be_moved
async def test_a_clock_moves_without_a_restart_stays_off_over_one_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = set(os.listdir("/dev/shm"))
    async with lab_of(Echo(), tmp_path) as lab:
        assert abs(await off_s(lab, "n1")) < 1
        await lab.clocks.shift("n1", -1000.0, "one")
        assert abs(await off_s(lab, "n1") + 1000) < 1
        assert abs(await off_s(lab, "n2")) < 1, "the others keep their time"
        await lab.clocks.shift("n1", 50.0, "other")
        assert abs(await off_s(lab, "n1") - 50) < 1, "the latest wins"
        await lab.nodes.kill("n1")
        await lab.nodes.start("n1")
        assert abs(await off_s(lab, "n1") - 50) < 1
        await lab.clocks.restore(["n1"], "other")
        assert abs(await off_s(lab, "n1") + 1000) < 1, "what another asked for is not undone"
        await lab.clocks.restore(["n1", "n2", "n3"])
        assert abs(await off_s(lab, "n1")) < 1
    async with asyncio.timeout(10):  # a trial of somebody else's may have something there for a moment
        while any("faketime" in name for name in set(os.listdir("/dev/shm")) - before):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@can_be_moved
async def test_a_run_sets_clocks_right_that_a_fault_left_wrong(tmp_path: Path) -> None:
    async with lab_of(Echo(), tmp_path) as lab:
        await lab.clocks.shift("n2", 1000.0, "a fault that never came back")
        await recovering.recover(cast(Any, lab), lab.target, 20.0, print)
        assert abs(await off_s(lab, "n2")) < 1


class Unmoved(Echo):
    """As a program that asks the kernel itself: the library is not there for it."""

    def launch(self, place: Place) -> Launch:
        launch = super().launch(place)
        return replace(launch, argv=("/usr/bin/env", "-u", "LD_PRELOAD", *launch.argv))


@can_be_moved
@pytest.mark.parametrize("name", ["clock-ahead", "clock-behind"])
async def test_a_node_that_the_library_does_not_reach_is_found_out(tmp_path: Path, name: str) -> None:
    fault = registry.fault(name)
    aim = fault.aims(ONE_REGION)[0]
    async with lab_of(Unmoved(), tmp_path) as lab:
        before = await fault.symptoms(lab, aim)
        async with fault.apply(lab, aim):
            assert "1 of 1 show no effect: n1 its clock " in effective(before, await fault.symptoms(lab, aim))
        assert (await until_healed(lab, fault, aim, before))[1] == ""


@can_be_moved
@pytest.mark.parametrize("bug", ["newest-clock-wins", ""])
async def test_a_store_that_orders_writes_by_clocks_loses_one_when_they_differ(tmp_path: Path, bug: str) -> None:
    target = registry.target("refstore", {"bug": bug} if bug else {})
    async with lab_of(target, tmp_path) as lab:
        ahead, right = [await target.connect(lab.seat("here", node)) for node in ("n1", "n2")]
        for client in (ahead, right):
            await client.invoke(invoke("write", 1, "x"))
        assert await ahead.invoke(invoke("read", None, "x")) == 1
        fault = registry.fault("clock-ahead")
        aim = fault.aims(ONE_REGION)[0]
        before = await fault.symptoms(lab, aim)
        async with fault.apply(lab, aim):
            assert effective(before, await fault.symptoms(lab, aim)) == ""
            await ahead.invoke(invoke("write", 2, "x"))
            await right.invoke(invoke("write", 3, "x"))
            assert await right.invoke(invoke("read", None, "x")) == (2 if bug else 3)
        for client in (ahead, right):
            await client.close()


# --- what a reading shows ------------------------------------------------------------------------


def test_only_a_reading_that_is_sure_counts() -> None:
    assert Reading(9.0, 10.1).side(10.0) == "ahead"
    assert Reading(-10.1, -9.0).side(10.0) == "behind"
    assert Reading(-0.2, 0.1).side(10.0) == "right"
    assert Reading(4.0, 60.0).side(10.0) == "", "an answer that took too long"
    assert Reading(problem="no answer").side(10.0) == ""


def test_offsets_follow_from_the_seed_and_stay_within_their_bounds() -> None:
    aim = registry.fault("clock-ahead").aims(ONE_REGION)[0]
    found = [offset_s(replace(aim, seed=seed)) for seed in range(200)]
    assert found == [offset_s(replace(aim, seed=seed)) for seed in range(200)]
    assert OFFSET_S[0] <= min(found) < 5
    assert 200 < max(found) <= OFFSET_S[1]


# --- the library ---------------------------------------------------------------------------------


def test_a_library_that_breaks_waiting_or_moves_nothing_is_refused() -> None:
    """Debian 12's makes sleeping fail; without a setting, that of the wheel makes waiting for a lock a busy loop."""
    now_s = 1.8e9
    assert faketime.judge(f"{now_s + faketime.TRIAL_S} 0.11 400\n", now_s) == ""
    assert "OSError: [Errno 22]" in faketime.judge("Traceback ...\nOSError: [Errno 22] Invalid argument\n", now_s)
    assert "nothing" in faketime.judge("", now_s)
    assert "0.0 s off instead of 1000 s" in faketime.judge(f"{now_s} 0.11 400", now_s)
    assert "monotonic" in faketime.judge(f"{now_s + faketime.TRIAL_S} 1000.11 400", now_s)
    assert "busy loop" in faketime.judge(f"{now_s + faketime.TRIAL_S} 0.11 30000", now_s)


@can_be_moved
def test_the_trial_itself_finds_a_busy_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = faketime.environment
    monkeypatch.setattr(
        faketime, "environment", lambda *a: {k: v for k, v in usual(*a).items() if k != "FAKETIME_FORCE_MONOTONIC_FIX"}
    )
    assert faketime._try(faketime.library(), own_memory=False) != ""


def test_what_a_target_preloads_by_itself_stays() -> None:
    settings = faketime.environment("/lib/ours.so", "/clocks/n1", "/lib/theirs.so")
    assert settings["LD_PRELOAD"] == "/lib/ours.so:/lib/theirs.so"
    argv = faketime.with_clock(Path("/lib/ours.so"), Path("/clocks/n1"), ("/bin/node",), {})
    assert argv[-1] == "/bin/node"
    assert "LD_PRELOAD=/lib/ours.so" in argv


# --- asking for it -------------------------------------------------------------------------------


def test_a_target_that_does_not_tell_its_time_is_skipped_with_the_reason() -> None:
    with pytest.raises(MissingPower, match=r"clock-ahead moves clocks, and target etcd does not say what time"):
        parts.Parts(plans.plan(target="etcd", faults="clock-ahead", seed=1))
    assert "clock-ahead" not in plans.plan(target="etcd", faults="all", seed=1).faults


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faketime, "refused", lambda: "libfaketime is not installed")
    monkeypatch.setattr(faketime, "missing", lambda: "libfaketime is not installed")
    plan = plans.plan(target="refstore", faults="clock-ahead", seed=1)
    with pytest.raises(MissingPower, match=r"needs clocks.*not installed; pip install 'rift-harness\[clocks\]'"):
        parts.complete(plan)
    assert "clock-ahead" not in plans.plan(target="refstore", faults="all", seed=1).faults


async def test_a_target_without_a_clock_leaves_a_symptom_hidden_and_no_evidence() -> None:
    async def nowhere(offset_s: object) -> None: ...

    seat = cast(Any, SimpleNamespace(node=ONE_REGION.nodes[0]))
    clocks = NodeClocks(cast(Any, SimpleNamespace(name="mute")), {"n1": seat}, nowhere)
    fault = registry.fault("clock-ahead")
    symptoms = await fault.symptoms(cast(Any, SimpleNamespace(clocks=clocks)), fault.aims(ONE_REGION)[0])
    assert [(symptom.hidden, symptom.bitten) for symptom in symptoms] == [(True, False)]
    assert "nothing was left to break" in effective(symptoms, symptoms)
