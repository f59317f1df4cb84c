"""No outcome without its evidence: what may be called true, what must stay unknown, what is never lost on the way."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from harness import registry, store
from harness.checkers.every_run.recovery import Recovery
from harness.checkers.every_run.stats import Stats
from harness.errors import Refused, StoreError, TestbedError, Unsure, UsageError
from harness.generators import clients, limit, stagger, time_limit
from harness.journal import Journal, read_journal
from harness.judging import runs
from harness.links.server.alarms import Alarms
from harness.links.server.meters import Meters
from harness.links.server.proxy import Proxy
from harness.model.attestation import Symptom, healed
from harness.model.clock import MonotonicClock
from harness.model.history import History
from harness.model.op import INFO, INVOKE, NEMESIS, OK, Op
from harness.model.plan import Plan
from harness.model.seeds import Rng
from harness.model.verdict import Valid
from harness.planning import parts, plans
from harness.runner import Runner, lag_ms
from harness.running import execute, experiment
from tests.notation import history

PLAN = plans.plan(target="refstore", seed=7, faults="none", said={"target": "refstore"})
GOOD = "a@1:w1 a@1:ok b@1:r b@1:ok1 a@1:c12 a@1:ok b@1:r b@1:ok2"


def kept(root: Path, events: History, plan: Plan = PLAN, state: str = "finished") -> store.RunFolder:
    """A run with these events, as it lies on disk."""
    folder = store.create(root, plan)
    journal = Journal(folder.journal)
    for op in events:
        journal.append(op)
    journal.close()
    folder.set_state(state)
    return folder


# --- nothing is called true without evidence ---------------------------------------------------------------


def test_a_sound_run_of_a_target_that_claims_it_is_true(tmp_path: Path) -> None:
    run = runs.judged(kept(tmp_path, history(GOOD)))
    assert run.valid is Valid.TRUE, [verdict.summary for verdict in run.verdicts]


def test_a_run_that_judged_no_promise_is_not_true(tmp_path: Path) -> None:
    """The claims at the time of the run count, not today's."""
    run = runs.judged(kept(tmp_path, history(GOOD), msgspec.structs.replace(PLAN, claims=())))
    assert run.valid is Valid.UNKNOWN
    assert "claims none" in str(registry.renderer("terminal").render(run))


def with_final_reads(text: str, final: str) -> History:
    """``text``, then the note that final reads begin, then ``final``."""
    before, after = history(text), history(f"{text} {final}")
    note = Op(type=INVOKE, f="final", process=NEMESIS, time_ns=before[-1].time_ns, index=len(before))
    later = [msgspec.structs.replace(op, index=op.index + 1) for op in after[len(before) :]]
    return History([*before, note, *later])


@pytest.mark.parametrize(
    ("final", "valid"), [("b@1:r b@1:ok2", Valid.TRUE), ("b@1:r b@1:fail", Valid.UNKNOWN), ("", Valid.UNKNOWN)]
)
def test_final_reads_without_an_answer_are_no_evidence(final: str, valid: Valid) -> None:
    verdict = Stats().check(with_final_reads(GOOD, final))
    assert verdict.valid is valid, verdict.summary
    assert valid is Valid.TRUE or "final read" in verdict.cause


def test_a_fault_on_the_leader_keeps_its_victim_when_it_is_undone() -> None:
    planned = {"id": "f1", "aim": "the leader", "regions": [], "nodes": []}
    told = {"id": "f1", "aim": "the leader (n2 in eu)", "regions": ["eu"], "nodes": ["n2"], "effective": True}
    events = [
        Op(type=INVOKE, f="start", key="kill-leader", value=planned, time_ns=1),
        Op(type=INFO, f="start", key="kill-leader", value=told, time_ns=2),
        Op(type=INVOKE, f="stop", key="kill-leader", value=planned, time_ns=3),
        Op(type=INFO, f="stop", key="kill-leader", value={"id": "f1", "healed": True}, time_ns=4),
    ]
    (window,) = History(events).faults
    assert (window.regions, window.nodes, window.aim) == (("eu",), ("n2",), "the leader (n2 in eu)")


@pytest.mark.parametrize("error", [Refused, Unsure])
async def test_clients_of_a_dead_node_do_not_use_up_the_schedule(tmp_path: Path, error: type[Exception]) -> None:
    class Dead:
        async def invoke(self, op: Op) -> Any:
            raise error("reset")

        async def close(self) -> None:
            pass

    async def connect(thread: int) -> Any:
        return Dead()

    one = Runner(
        journal=Journal(tmp_path / "h"),
        clock=MonotonicClock(),
        connect=connect,
        places=[("eu", "n1")],
        op_timeout_s=9.0,
    )
    await one.run(clients(time_limit(1.0, lambda ctx: {"f": "read"})))
    one.journal.close()
    assert 3 <= len(read_journal(tmp_path / "h")[0].operations) <= 10


async def test_a_harness_that_stands_still_half_the_time_does_not_seem_quick(tmp_path: Path) -> None:
    class Quick:
        async def invoke(self, op: Op) -> Any:
            return op.value

        async def close(self) -> None:
            pass

    async def connect(thread: int) -> Any:
        return Quick()

    async def stall() -> None:
        while True:
            await asyncio.sleep(0.2)
            time.sleep(0.2)  # noqa: ASYNC251 - this is the trouble

    one = Runner(
        journal=Journal(tmp_path / "h"),
        clock=MonotonicClock(),
        connect=connect,
        places=[("eu", "n1")],
        op_timeout_s=9.0,
    )
    stalling = asyncio.create_task(stall())
    await one.run(clients(time_limit(2.0, stagger(Rng(1), 1 / 200, lambda ctx: {"f": "read"}))))
    stalling.cancel()
    one.journal.close()
    verdict = runs.kept_up({"scheduler_lag_ms": lag_ms(one.lag_ns)})
    assert verdict.valid is Valid.UNKNOWN, verdict.summary


def test_healed_takes_more_than_being_hidden_by_something_else() -> None:
    well = Symptom("a>n1", False, "open")
    hidden = Symptom("a>n1", False, "closed", hidden=True)
    assert healed([well], [well]) == ""
    assert healed([hidden], [hidden]) == ""
    assert healed([hidden], [well]) == "1 of 1 did not heal: a>n1 closed"
    assert healed([], [well]) == "not probed after the fault: a>n1"


# --- no false alarm ----------------------------------------------------------------------------------------

AWAY = f"{GOOD} n:stop 1000 n:go 1500 a@1:r a@1:fail 7000 c@1:r c@1:info"


def test_a_region_that_stays_away_behind_a_fault_that_stays_is_not_the_systems_doing() -> None:
    assert Recovery().check(history(AWAY)).valid is Valid.FALSE
    events = [
        msgspec.structs.replace(op, value=op.value | {"healed": False})
        if op.is_nemesis and op.f == "stop" and op.type != INVOKE
        else op
        for op in history(AWAY)
    ]
    verdict = Recovery().check(History(events))
    assert verdict.valid is Valid.UNKNOWN
    assert "not shown to be healed" in verdict.cause


def test_a_region_that_was_never_served_did_not_fail_to_come_back() -> None:
    text = f"{GOOD} d@1:r d@1:info n:stop 1000 n:go 1500 a@1:r a@1:ok2 e@1:r e@1:info 7000 f@1:r f@1:info"
    far = dict.fromkeys("def", "far")
    verdict = Recovery().check(history(text, regions=far))
    assert verdict.valid is Valid.UNKNOWN
    assert verdict.cause.startswith("nothing ever succeeded in far")


def test_a_node_that_answers_no_more_is_not_covered_up_by_its_neighbours() -> None:
    text = f"{GOOD} n:stop 1000 n:go 1500 a@1:r a@1:ok2 b@1:r b@1:fail"
    node_of = {0: "n1", 1: "n2"}
    events = [op if op.is_nemesis else msgspec.structs.replace(op, node=node_of[op.process]) for op in history(text)]
    verdict = Recovery().check(History(events))
    assert verdict.valid is Valid.UNKNOWN
    assert verdict.cause.startswith("n2 answered before")


async def test_an_answer_that_cannot_be_kept_is_unknown_and_stops_nobody(tmp_path: Path) -> None:
    class Odd:
        async def invoke(self, op: Op) -> Any:
            return object() if op.value == 1 else op.value

        async def close(self) -> None:
            pass

    async def connect(thread: int) -> Any:
        return Odd()

    one = Runner(
        journal=Journal(tmp_path / "h"),
        clock=MonotonicClock(),
        connect=connect,
        places=[("eu", "n1")],
        op_timeout_s=1.0,
    )
    await one.run(clients([limit(1, {"f": "write", "value": value}) for value in (1, 2)]))
    one.journal.close()
    first, second = read_journal(tmp_path / "h")[0].operations
    assert (first.type, second.type) == (INFO, OK)
    assert first.error.startswith("crash: its answer is no JSON")


# --- nothing is lost ---------------------------------------------------------------------------------------


class Narrow:
    """A file that takes a few bytes, refuses, and takes everything once there is room again."""

    def __init__(self) -> None:
        self.data, self.room = b"", 10

    def write(self, data: bytes) -> int:
        if not self.room:
            raise OSError(28, "No space left on device")
        taken = bytes(data[: self.room])
        self.data += taken
        self.room = self.room - len(taken) if self.room < 1000 else self.room
        return len(taken)


def test_a_disk_that_is_full_in_the_middle_of_a_line_tears_no_hole_into_the_history(tmp_path: Path) -> None:
    journal, narrow = Journal(tmp_path / "h"), Narrow()
    events = tuple(history(GOOD))
    journal._file.close()
    journal._file = narrow  # type: ignore[assignment]
    journal.append(events[0])
    with pytest.raises(StoreError, match="No space left"):
        journal.flush()
    narrow.room = 1 << 20
    for op in events[1:]:
        journal.append(op)
    journal.flush()
    (tmp_path / "h").write_bytes(narrow.data)
    assert tuple(read_journal(tmp_path / "h")[0]) == events


def test_damaged_old_verdicts_are_named_and_do_not_stop_a_new_judgement(tmp_path: Path) -> None:
    folder = kept(tmp_path, history(GOOD))
    for damage in ('[{"checker": 3}]', '[{"chec'):
        folder.verdicts.write_text(damage)
        with pytest.raises(StoreError, match="judge again: rift check"):
            store.load(folder)
        assert runs.judged(folder).valid is Valid.TRUE


def test_an_old_judgement_survives_a_new_one_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kept(tmp_path, history(GOOD))
    before = runs.judged(folder).verdicts

    def gone(name: str, options: Any = None) -> Any:
        raise UsageError("the target's file is gone")

    monkeypatch.setattr(registry, "target", gone)
    with pytest.raises(UsageError):
        runs.judged(folder)
    assert store.load(folder).verdicts == before


def failing(folder_holds: str) -> Any:
    """A ``carry_out`` that leaves this history and then fails as a heal does."""

    async def carry_out(plan: Plan, folder: store.RunFolder, *_: Any) -> None:
        folder.write(folder.plan, plan)
        journal = Journal(folder.journal)
        for op in history(folder_holds):
            journal.append(op)
        journal.close()
        folder.set_state("failed", "link server is gone")
        raise TestbedError("link server is gone")

    return carry_out


def test_a_run_whose_heal_fails_is_judged_all_the_same_and_tells_the_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(experiment, "carry_out", failing(f"{GOOD} a@1:r a@1:ok1"))
    with pytest.raises(TestbedError, match="link server is gone"):
        execute.run(PLAN, tmp_path)
    run = store.load(store.find(tmp_path, "latest"))
    assert run.valid is Valid.FALSE
    assert (run.folder / "report.html").exists()
    assert capsys.readouterr().err.rstrip().endswith(f"replay: {PLAN.replay}")


def test_what_was_seen_last_is_kept_when_a_run_fails(tmp_path: Path) -> None:
    folder, seen = store.create(tmp_path, PLAN), list(history(GOOD))

    def fails() -> None:
        with experiment._kept(folder) as (journal, _ledger):
            for op in seen:
                journal.append(op)
            raise TestbedError("link server is gone")

    with pytest.raises(TestbedError):
        fails()
    run = store.load(folder)
    assert (run.state, run.problem) == ("failed", "link server is gone")
    assert [op.f for op in run.history] == [op.f for op in seen]


def test_what_goes_wrong_after_the_last_read_does_not_take_the_verdict_back(tmp_path: Path) -> None:
    folder = kept(tmp_path, history(GOOD))
    experiment._close_down(folder, "failed", "a proxy would not go")
    run = runs.judged(folder)
    assert (run.state, run.problem, run.valid) == ("finished", "a proxy would not go", Valid.TRUE)


async def test_an_error_beside_the_work_comes_out_by_itself(tmp_path: Path) -> None:
    async def breaks() -> None:
        raise ZeroDivisionError("a bug of ours")

    with pytest.raises(ZeroDivisionError):
        await experiment._while_guarded(asyncio.sleep(60), breaks())


def test_an_outcome_that_cannot_be_painted_is_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs.judged(kept(tmp_path, history(f"{GOOD} a@1:r a@1:ok1")))

    def broken(run: Any) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(registry, "renderer", lambda name: SimpleNamespace(render=broken))
    assert execute.show(run, json=False) == 1
    assert msgspec.json.decode(capsys.readouterr().out)["valid"] == "false"


# --- the seed decides, and a run stays in its store -----------------------------------------------------------


async def test_delays_do_not_depend_on_the_id_of_the_run() -> None:
    alarms, meters = Alarms(asyncio.get_running_loop()), Meters()

    def drawn(name: str) -> int:
        return Proxy(name, "127.0.0.1:0", "127.0.0.1:1", alarms, meters, Rng(7))._rng.seed

    assert drawn("rift-aaaa.eu.n1.client") == drawn("rift-bbbb.eu.n1.client")
    assert len({drawn(f"rift-a.{link}") for link in ("eu.n1.client", "eu.n2.client", "us.n1.client")}) == 3
    assert drawn("one") != drawn("two")
    alarms.close()


def test_the_schedule_hash_knows_the_faults_that_come_late_in_a_fast_run() -> None:
    def hashed(**numbers: float) -> str:
        fast: dict[str, float | int | None] = {"rate_hz": 2000.0, "time_limit_s": 60.0, **numbers}
        return parts.Parts(plans.plan(target="refstore", seed=7, numbers=fast)).hash()

    assert hashed() == hashed()
    assert len({hashed(), hashed(time_limit_s=61.0), hashed(fault_for_s=4.5)}) == 3


def test_the_name_of_a_run_is_one_folder(tmp_path: Path) -> None:
    options = {"binary": "/usr/bin/../etcd"}
    for made in (plans.plan(target="etcd", target_options=options), plans.plan(target="etcd", name="../../up")):
        assert Path(made.test).name == made.test
        assert store.create(tmp_path, made).path.parent.parent == tmp_path.resolve()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_wrong_usage(value: float) -> None:
    with pytest.raises(UsageError, match="--time-limit"):
        plans.plan(target="refstore", numbers={"time_limit_s": value})
