"""Drills: their steps, what they sum up, and a real one against a server whose outage and loss are known."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from harness import registry, store
from harness.checkers.failovers.rpo import Rpo
from harness.checkers.failovers.rto import Rto
from harness.commands import _serve
from harness.contracts import Shape
from harness.drills import figures, repeated
from harness.drills.outcomes import Drilled, Drills
from harness.drills.planned import Asked, objectives, planned
from harness.drills.told import as_text, line
from harness.errors import RiftError, TestbedError, UsageError
from harness.faults.kill_region import FAULT as KILL_REGION
from harness.generators.base import PENDING
from harness.generators.context import Context
from harness.judging import runs
from harness.model.claims import Objectives
from harness.model.history import History
from harness.model.op import INFO, NEMESIS, Op
from harness.model.plan import Drill, Plan
from harness.model.run import Run
from harness.model.seeds import Rng
from harness.model.topology import Region, Topology
from harness.model.verdict import Valid
from harness.nemesis import Timeline
from harness.planning import plans
from harness.planning.runbooks import steps
from harness.planning.topologies import load
from harness.running import execute, recovering, watching
from harness.workloads import failover
from tests.scripted import Script

ROOT = Path(__file__).resolve().parent.parent
THREE = load("three-regions", ROOT / "fixtures" / "topologies")
S = 1_000_000_000


# --- steps ---------------------------------------------------------------------------------------


def test_a_drill_strikes_holds_heals_and_hands_back() -> None:
    asked = Drill(fault="kill-region", at_s=5, hold_s=8, failback_after_s=2)
    ops = steps(asked, KILL_REGION, THREE, Rng(1))
    assert [op.f for op in ops] == ["start", "stop", "failback"]
    struck_s = ops[0].time_ns / S
    assert 5 <= struck_s <= 5.2
    assert [round(op.time_ns / S - struck_s, 6) for op in ops] == [0, 8, 10]
    assert ops == steps(Drill(fault="kill-region", at_s=5, hold_s=8, failback_after_s=2), KILL_REGION, THREE, Rng(1))
    assert ops[0].value["follow"], "the victim is found when the fault strikes"


def test_a_drill_can_name_its_region() -> None:
    ops = steps(Drill(fault="kill-region", region="eu-west-1", failback_after_s=0), KILL_REGION, THREE, Rng(1))
    assert [op.f for op in ops] == ["start", "stop"]
    assert ops[0].value["nodes"] == ["n2"]
    with pytest.raises(UsageError, match="mars"):
        steps(Drill(fault="kill-region", region="mars"), KILL_REGION, THREE, Rng(1))


def test_the_failback_keeps_its_distance_from_a_heal_that_came_late() -> None:
    ops = steps(Drill(fault="kill-region", at_s=5, hold_s=8, failback_after_s=2), KILL_REGION, THREE, Rng(1))
    timeline: Any = Timeline(ops, until_ns=60 * S)
    ctx = Context.start(clients=1)
    op, timeline = timeline.op(ctx)
    applied_ns = op.time_ns + S
    begun = Op(type=INFO, f="start", value={"applied_ns": applied_ns}, time_ns=applied_ns)
    timeline = timeline.update(ctx, begun)
    op, timeline = timeline.op(ctx)
    assert (op.f, op.time_ns) == ("stop", applied_ns + 8 * S)
    timeline = timeline.update(ctx, Op(type=INFO, f="stop", value={}, time_ns=40 * S))
    op, timeline = timeline.op(ctx)
    assert (op.f, op.time_ns) == ("failback", 42 * S)
    assert op is not PENDING
    assert timeline.op(ctx) is None


def test_a_failback_that_nobody_would_see_through_is_left_out() -> None:
    ops = steps(Drill(fault="kill-region", at_s=5, hold_s=8, failback_after_s=2), KILL_REGION, THREE, Rng(1))
    timeline: Any = Timeline(ops[2:], until_ns=16 * S)
    assert timeline.op(Context.start(clients=1)) is None


# --- asking and summing up -----------------------------------------------------------------------


def test_objectives_are_the_targets_unless_the_user_says_otherwise() -> None:
    claimed = Objectives(rto_s=30, rpo_s=0, one_primary=True)
    assert objectives({}, claimed) == claimed
    said = objectives({"rto": "1500ms", "rpo": "2m", "availability": "99.5%"}, claimed)
    assert said == Objectives(rto_s=1.5, rpo_s=120, availability=0.995, one_primary=True)
    assert objectives({"rpo": "0"}, Objectives()).rpo_s == 0
    for wrong in ({"rto": "soon"}, {"availability": "2"}, {"rpo": "5%"}):
        with pytest.raises(UsageError, match="write a"):
            objectives(wrong, claimed)


def test_a_distribution_tells_the_whole_range() -> None:
    assert figures.spread([3.0, None, 1.0, 2.0]) == {"n": 3, "min": 1.0, "median": 2.0, "p95": 3.0, "max": 3.0}
    assert figures.spread([float(n) for n in range(1, 101)])["p95"] == 95.0
    assert figures.spread([])["median"] is None


@pytest.mark.parametrize(
    ("outcomes", "problem", "code"),
    [
        ([Valid.TRUE, Valid.TRUE], "", 0),
        ([Valid.TRUE, Valid.FALSE], "", 1),
        ([Valid.TRUE, Valid.UNKNOWN], "", 2),
        ([Valid.TRUE, Valid.UNKNOWN], "a port is taken", 3),
        ([Valid.FALSE, Valid.UNKNOWN], "a port is taken", 1),
    ],
)
def test_the_worst_drill_decides_the_exit_code(outcomes: list[Valid], problem: str, code: int) -> None:
    each = [Drilled(1, valid, "", "", {}) for valid in outcomes[:-1]]
    last = Drilled(2, outcomes[-1], "", "", {}, problem)
    assert Drills(Asked("x"), (*each, last)).exit_code == code


def kind(**times: Any) -> dict[str, Any]:
    """What one drill saw of one group."""
    whole = {
        "interrupted": True,
        "cut_off": False,
        "after_heal": False,
        "cause": "",
        "resolution_s": 0.02,
        "steady_before_heal": True,
    }
    return {**whole, "detected_s": 0.1, "first_success_s": 1.0, "steady_s": 1.0, **times}


def row(manner: str, **regions: dict[str, Any]) -> dict[str, Any]:
    return {"manner": manner, "rto": {"append": {"slowest": None, "regions": regions}}, "lost": 3, "availability": {}}


def test_groups_that_do_not_compare_are_never_mixed() -> None:
    rows = [
        row("polite cut", us=kind(cut_off=True), eu=kind(steady_s=2.0)),
        row("polite cut", us=kind(steady_s=3.0), eu=kind(steady_s=None)),
        row("polite cut", eu=kind(after_heal=True, steady_s=0.2)),
        row("silent cut", us=kind(), eu=kind(interrupted=False, detected_s=None, first_success_s=None, steady_s=None)),
    ]
    found = {
        (each["manner"], each["region"], each["cut_off"] or each["after_heal"]): each
        for each in figures.distribution(rows)["rto"]
    }
    assert len(found) == 6
    assert found["polite cut", "eu", True]["steady_s"]["max"] == 0.2, "what only the heal interrupted is apart"
    eu = found["polite cut", "eu", False]
    assert (eu["drills"], eu["interrupted"], eu["steady_s"]["n"], eu["steady_s"]["max"]) == (2, 2, 1, 2.0)
    assert found["polite cut", "us", True]["drills"] == 1
    assert found["polite cut", "us", False]["steady_s"]["median"] == 3.0
    assert found["silent cut", "eu", False]["interrupted"] == 0
    assert figures.distribution(rows)["lost"] == {"n": 4, "min": 3, "median": 3, "p95": 3, "max": 3}


def test_a_target_without_a_leader_needs_a_region() -> None:
    own = str(ROOT / "docs/examples/my_target.py")
    with pytest.raises(UsageError, match="--region"):
        planned(Asked(target=own))


def test_a_drill_needs_a_client_in_every_region() -> None:
    with pytest.raises(UsageError, match=r"--clients 2: topology three-regions has 3 regions; .* give 3 or more"):
        planned(Asked(target="etcd", clients=2))
    assert planned(Asked(target="etcd", clients=3)).clients == 3


# --- what nodes tell -----------------------------------------------------------------------------


class Complaining:
    """A target whose nodes tell of trouble, and now and then of none, or not at all."""

    def __init__(self) -> None:
        self.says: Iterator[Any] = iter(
            [{"n2": "no disk"}, {"n2": "no disk"}, OSError("gone"), {}, {"n2": "half way", "n3": "late"}]
        )
        self.over = asyncio.Event()

    async def complaints(self, seats: object) -> dict[str, str]:
        said = next(self.says, None)
        if said is None:
            self.over.set()
            return {}
        if isinstance(said, OSError):
            raise said
        found: dict[str, str] = said
        return found


async def test_what_nodes_tell_of_trouble_is_noted_whenever_it_is_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "COMPLAINTS_EVERY_S", 0.001)
    noted: list[tuple[str, str]] = []

    async def note(op: Op) -> None:
        noted.append((op.key, op.value["why"]))

    target: Any = Complaining()
    testbed, runner = SimpleNamespace(seats=lambda: ()), SimpleNamespace(note=note)
    (watch,) = watching.watches(cast(Any, testbed), target, cast(Any, runner))
    task = asyncio.ensure_future(watch)
    await asyncio.wait_for(target.over.wait(), 10)
    task.cancel()
    assert noted == [("n2", "no disk"), ("n2", "half way"), ("n3", "late")]


@pytest.mark.parametrize(
    ("lacks", "told"), [({"n2": "9 bytes behind"}, "not recovered within 0.2 s"), ({}, "recovered")]
)
async def test_who_does_not_serve_when_the_time_to_recover_is_over_is_named(lacks: dict[str, str], told: str) -> None:
    async def restored(_: object) -> None:
        pass

    async def ready(seat: Any) -> str:
        return lacks.get(seat.node.id, "")

    testbed: Any = SimpleNamespace(
        links=SimpleNamespace(restore=restored, all=()), powers=frozenset(), topology=THREE,
        nodes=SimpleNamespace(state=lambda _: "running", start=restored),
        seats=lambda: [SimpleNamespace(node=node) for node in THREE.nodes],
    )  # fmt: skip
    said: list[str] = []
    assert await recovering.recover(testbed, cast(Any, SimpleNamespace(ready=ready)), 0.2, said.append) == lacks
    assert said[-1].startswith(told)


# --- a real server -------------------------------------------------------------------------------


@pytest.mark.servers
def test_a_real_outage_and_a_real_loss_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One server, killed and started again, forgets its last seven acknowledged writes. When it listened again lies
    between the bounds that are told for the first success, and exactly what it forgot is counted as lost."""
    monkeypatch.setenv("RIFT_RUNTIME_DIR", str(tmp_path / "leases"))
    made: list[Any] = []
    own = str(ROOT / "tests/scripted_target.py")
    real = registry.target

    def target(name: str, options: dict[str, str] | None = None) -> Any:
        made.append(real(name, options))
        return made[-1]

    monkeypatch.setattr(registry, "target", target)
    solo = tmp_path / "solo.yaml"
    solo.write_text("name: solo\nregions: [{id: eu}, {id: us, nodes: 0}]\nlinks: [{from: eu, to: us, rtt_ms: 2}]\n")
    plan = plans.plan(
        target=own,
        target_options={"forget": "7"},
        topology_name=str(solo),
        workload="failover",
        faults="kill-region",
        seed=5,
        drill=Drill(fault="kill-region", region="eu", at_s=2.0, hold_s=1.5, failback_after_s=0),
        numbers={"time_limit_s": 9, "rate_hz": 200, "clients": 12, "op_timeout_s": 1},
    )
    run = execute.run(plan, tmp_path / "store", quiet=True)
    verdicts = {verdict.checker: verdict for verdict in run.verdicts}
    truth: Any = next(target for target in made if target.invoked_ns)
    zero_ns = min(
        truth.invoked_ns[op.value] - op.start_ns for op in run.history.operations if op.value in truth.invoked_ns
    )
    fault = run.history.faults[0]
    again_s = int((truth.home / "listening").read_text().split()[1]) - zero_ns - fault.start_ns
    for region in ("eu", "us"):
        for f in ("append", "entries"):
            seen = verdicts["rto"].details["outages"][0]["regions"][region][f]
            assert seen["first_success_s"] >= again_s / S - 0.002, "nobody is served before the server listens"
            assert seen["first_success_s"] - seen["resolution_s"] <= again_s / S + 0.002
    assert verdicts["rto"].valid is Valid.TRUE
    forgotten = json.loads((truth.home / "forgotten").read_text())
    acknowledged = {op.value for op in run.history.operations if op.f == "append" and op.type == "ok"}
    lost = {(row["key"], row["value"]) for row in verdicts["rpo"].details["lost_writes"]}
    assert lost == {(key, value) for key, value in forgotten if value in acknowledged}
    assert len(lost) >= 6, "at most what was under way had not been acknowledged"
    assert (verdicts["rpo"].valid, verdicts["rpo"].judged, run.valid) == (Valid.FALSE, True, Valid.FALSE)
    told = figures.measured(run)
    assert told["lost"] == len(lost)
    assert told["rto"]["append"]["slowest"]["steady_before_heal"] is False
    msgspec.json.encode(told)


def test_one_region_more_or_less_is_dealt_clients_of_its_own() -> None:
    """Clients sit in regions in turn; the workload's generators of a region use none of another one's."""
    from harness.workloads.failover import threads_of

    topology = Topology(name="two", regions=(Region(id="a"), Region(id="b")), links=load_links())
    ctx = Context.start(clients=16)
    for region in range(len(topology.regions)):
        both = threads_of(region, 2, True, ctx) | threads_of(region, 2, False, ctx)
        assert both == sum(1 << thread for thread in range(region, 16, 2))
        assert not threads_of(region, 2, True, ctx) & threads_of(region, 2, False, ctx)


@pytest.mark.parametrize("clients", [3, 6, 9, 10, 45, 100])
def test_clients_that_are_refused_are_back_in_time_for_every_attempt(clients: int) -> None:
    shape = Shape(clients, 300.0, 10.0, ("eu", "us", "ap"))
    ctx = Context.start(clients=clients)
    for region in range(3):
        masks = [failover.threads_of(region, 3, reads, ctx) for reads in (True, False)]
        schedules = 2 if masks[0] == masks[1] else 1
        for mask in masks:
            attempts_hz = mask.bit_count() / schedules / failover.Failover().rest_s(shape)
            assert attempts_hz > 50


def load_links() -> Any:
    from harness.model.topology import Between

    return (Between.model_validate({"from": "a", "to": "b", "rtt_ms": 1}),)


# --- the summary ---------------------------------------------------------------------------------


def divided(seed: int) -> History:
    """An outage after which one region lacks two acknowledged writes, and a node that does not serve."""
    script = Script(
        down=lambda region, f, at_s: "refused" if 4.0 <= at_s < 5.0 + seed / 10 else "",
        final=lambda region, key, values: [v for v in values if region == "us" or v not in (40, 80)],
    )
    said = {"node": "n3", "why": "9 bytes behind n2"}
    stood = {"begin_ns": 3 * S, "end_ns": 3 * S + S // 4}
    notes = (("unready", "n3", said), ("stalled", None, stood))
    script.extra = [Op(type=kind_, f=f, process=NEMESIS, key=key, value=value, time_ns=18 * S)
                    for f, key, value in notes for kind_ in ("invoke", "info")]  # fmt: skip
    return script.history()


def lossy(seed: int) -> History:
    return Script(
        down=lambda region, f, at_s: "refused" if 4.0 <= at_s < 5.0 + seed / 10 else "",
        final=lambda region, key, values: [value for value in values if value != 40],
    ).history()


def drilled_by_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, histories: list[Any], target: str = "postgres"
) -> Drills:
    """Drills whose runs are these histories, judged and stored as real ones are; an error ends its drill early."""
    left = iter(histories)

    def run(plan: Plan, root: Path, *_: Any) -> Run:
        folder = store.create(root, plan)
        history = next(left)
        with folder.journal.open("wb") as journal:
            events = history(plan.seed) if callable(history) else []
            journal.writelines(msgspec.json.encode(op) + b"\n" for op in events)
        folder.set_state("finished")
        if isinstance(history, RiftError):
            folder.set_state("failed", str(history))
        judged = execute.reported(runs.judged(folder))
        if isinstance(history, RiftError):
            raise history
        return judged

    monkeypatch.setattr(execute, "run", run)
    asked = Asked(target=target, seed=1, repeat=len(histories), options={"mode": "quorum"})
    return repeated.drill(asked, tmp_path / "store")


def test_many_drills_are_summed_up_beside_their_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = drilled_by_script(tmp_path, monkeypatch, [lossy, divided, TestbedError("a port is taken")])
    assert found.page is not None
    page, data = found.page.read_text(), json.loads(found.page.with_suffix(".json").read_text())
    assert found.page.parent == (tmp_path / "store" / "postgres-quorum-drill-kill-region").resolve()
    assert data == json.loads(msgspec.json.encode(found.as_data()))
    assert [drill["valid"] for drill in data["drills"]] == [False, "unknown", "unknown"]
    for drill in data["drills"]:
        assert (found.page.parent / drill["report"]).is_file(), "also of the one that failed"
        assert f'href="{drill["report"]}"' in page
    assert "3 drills: 1 violated a promise, 2 unknown" in page
    assert "regions disagree about 2" in page.lower()
    assert "eu lacks 2" in page
    assert "n3 did not recover: 9 bytes behind n2" in page
    report = (found.page.parent / data["drills"][1]["report"]).read_text()
    assert "Regions disagree at the end about 2 acknowledged writes: eu lacks 2" in report
    assert 'class="divided"' in report
    assert "does not serve: 9 bytes behind n2" in report
    assert "Rift itself stood still 1 time, 0.25 s in all" in report
    assert "a port is taken" in page
    assert data["distribution"]["lost"]["max"] == 1
    assert data["distribution"]["divided"]["max"] == 2
    assert found.exit_code == 1
    assert f"href='{found.page.relative_to((tmp_path / 'store').resolve())}'" in _serve.index(tmp_path / "store")
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if line.startswith("drill ")]
    assert "1 of " in told[0]
    assert "acknowledged writes lost" in told[0]
    assert "regions disagree about 2 at the end: eu lacks 2 (lists" in told[1]
    assert "n3 did not recover: 9 bytes behind n2" in told[1]
    assert "a port is taken" in told[2]


def test_a_drill_that_fails_costs_neither_its_evidence_nor_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = drilled_by_script(tmp_path, monkeypatch, [TestbedError("a port is taken"), divided])
    assert found.exit_code == 3
    failed, other = found.drills
    assert (failed.problem, other.problem) == ("a port is taken", "")
    assert store.load(store.RunFolder(Path(failed.folder))).state == "failed"
    assert "divided" in other.measured
    assert "seed 1 failed: a port is taken" in as_text(found)


def test_a_drill_that_knows_nothing_of_losses_is_not_counted_as_one_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unhealed(seed: int) -> History:
        return Script(healed=False, down=lambda region, f, at_s: "refused" if 4.0 <= at_s < 5.0 else "").history()

    found = drilled_by_script(tmp_path, monkeypatch, [unhealed, lossy, TestbedError("a port is taken")])
    data = found.as_data()
    assert [drill.get("lost") for drill in data["drills"]] == [None, 1, None]
    assert data["distribution"]["lost"] == {"n": 1, "min": 1, "median": 1, "p95": 1, "max": 1}
    assert data["distribution"]["split_brain_s"]["n"] == 1
    assert "acknowledged writes is unknown" in line(found.drills[0])
    assert "lost" not in line(found.drills[2]), "nothing was measured before it failed"


def test_a_summary_that_cannot_be_written_costs_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(type(registry.renderer("html")), "sum_up", full)
    found = drilled_by_script(tmp_path, monkeypatch, [lossy])
    assert (found.exit_code, found.page) == (1, None)
    assert "no summary page: OSError: No space left" in capsys.readouterr().err


def test_what_systems_say_stays_text_on_the_page() -> None:
    drill = {
        "seed": 1,
        "valid": "unknown",
        "report": None,
        "replay": "rift <b>",
        "problem": "<script>alert(1)</script>",
    }
    told = {
        "target": "<i>x</i>", "options": {}, "fault": "kill-region", "topology": "t", "testbed": "local", "asked": 1,
        "valid": "unknown", "objectives": {}, "drills": [drill], "distribution": figures.distribution([{}]),
    }  # fmt: skip
    page = registry.renderer("html").sum_up(told)  # type: ignore[attr-defined]
    assert "<script>alert" not in page
    assert "<i>x" not in page
    assert "No drill measured an outage" in page


# --- the report ----------------------------------------------------------------------------------


def test_the_report_shows_the_drill_with_its_moments_and_its_lost_writes(tmp_path: Path) -> None:
    def down(region: str, f: str, at_s: float) -> str:
        return "refused" if 4.0 <= at_s < 6.25 else ""

    script = Script(down=down, final=lambda region, key, values: [value for value in values if value != 40])
    script.extra = [
        Op(type="invoke", f="leader", key="n1", value={"node": "n1", "region": "us"}, time_ns=0),
        Op(type="invoke", f="leader", key="n2", value={"node": "n2", "region": "eu"}, time_ns=6 * S),
    ]
    history = script.history()
    lost = next(op for op in history.operations if op.f == "append" and op.value == 40)
    assert lost.type == "ok"
    plan = Plan(
        test="drill", target="x", workload="failover", topology={"regions": [{"id": "us"}, {"id": "eu"}]}, seed=1,
        drill=Drill(fault="kill-region"),
    )  # fmt: skip
    verdicts = tuple(checker.check(history) for checker in (Rpo(), Rto()))
    run = Run(folder=tmp_path, plan=plan, history=history, verdicts=verdicts)
    page = registry.renderer("html").render(run)
    assert isinstance(page, Path)
    text = page.read_text()
    assert "The drill" in text
    assert "n2 leads" in text
    assert "1 of " in text
    assert 'class="lost"' in text
    assert "Only reported, since nobody promises otherwise: rpo" in text
    seen = verdicts[1].details["outages"][0]["regions"]["eu"]["append"]
    assert f"{seen['first_success_s']:.3f} s" in text
    without = registry.renderer("html").render(
        msgspec.structs.replace(run, plan=msgspec.structs.replace(plan, drill=None))
    )
    assert isinstance(without, Path)
    assert "The drill" not in without.read_text()
