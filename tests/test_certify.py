"""Certification: good checkers pass it, and a checker that is made wrong by hand does not."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.certify import campaign, command, folders, scope, table, txn_anomalies
from harness.certify.contract import RIGHT, Expected, Family, Question, Settings, anomalies, random_of
from harness.certify.evidence import oracle as oracle_evidence
from harness.certify.shrinking import shrunk
from harness.errors import UsageError
from harness.kernels import objects
from harness.kernels.calls import Decision
from harness.kernels.models import Effect
from harness.kernels.transactions.columns import Evidence
from harness.model.columns import NEVER
from harness.model.history import History
from harness.model.op import INFO, INVOKE, OK, Op
from harness.model.verdict import Valid, Verdict

QUICK = ("oracle", "mutation")
CHECKERS, KERNELS = "harness.checkers", "harness.kernels"


def certified(*families: str, count: int = 200, kinds: tuple[str, ...] = QUICK, seed: int = 1) -> campaign.Report:
    """Certify in this process, so that what a test changed counts."""
    return campaign.certify(families, kinds, Settings(seed, count), jobs=1)


# --- good checkers pass ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", folders.family_names())
def test_a_good_checker_is_certified(name: str) -> None:
    report = certified(name, count=120, kinds=("oracle", "mutation", "laws", "simulated"))
    assert report.exit_code == 0, table.as_text(report)
    assert {row.evidence for row in report.rows} == {"oracle", "mutation", "laws", "simulated"}
    assert all(row.histories > row.invalid > 0 for row in report.rows)


OF_DRILLS = {"rpo", "rto", "split-brain"}
"""Families of what `rift drill` measures."""


def test_every_model_of_rift_check_that_judges_data_has_a_family() -> None:
    from harness.judging import judges

    others = {"kv", "queue", "read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads"}
    assert set(folders.family_names()) - OF_DRILLS - {judges.ROLLOUT} == set(judges.MODELS) - others


def classes_of_checkers() -> set[str]:
    """The checkers of ``harness.checkers``: classes with a ``check``."""
    folder = Path(importlib.import_module(CHECKERS).__file__ or "").parent
    names = [".".join(path.relative_to(folder).with_suffix("").parts) for path in folder.rglob("[!_]*.py")]
    modules = [importlib.import_module(f"{CHECKERS}.{name}") for name in names]
    return {
        name
        for module in modules
        for name, each in vars(module).items()
        if isinstance(each, type) and each.__module__ == module.__name__ and hasattr(each, "check")
    }


def test_every_checker_is_certified_or_left_out_for_a_reason() -> None:
    checks = [folders.family(name).check for name in folders.family_names()]
    certified_ones = {type(check.__self__).__name__ for check in checks if hasattr(check, "__self__")}
    assert certified_ones | set(scope.LEFT_OUT) == classes_of_checkers()
    assert not certified_ones & set(scope.LEFT_OUT)


@pytest.mark.parametrize("name", [name for name in folders.family_names() if folders.family(name).names])
def test_every_anomaly_that_a_checker_can_name_is_planted(name: str) -> None:
    family = folders.family(name)
    named: set[str] = set()
    for number in range(300):
        verdict = family.check(family.draw(random_of(5, name, "names", number)))
        told = anomalies(verdict)
        if family.names and not told and verdict.valid is Valid.FALSE:
            told = family.names(verdict)
        named |= {each for kind in told for each in kind.split(" or ")}
    tables: dict[str, Mapping[str, tuple[Any, ...]]] = {
        "list-append": txn_anomalies.LISTS,
        "rw-register": txn_anomalies.REGISTERS,
    }
    planted = {each for kind in family.plants for each in kind.partition(", ")[0].split(" or ")}
    planted |= {each for entry in tables.get(name, {}).values() for each in entry[1]}
    assert named
    assert named <= planted


# --- checkers that are made wrong ----------------------------------------------------------------------------

Wrong = Callable[[Any], Any]
"""From a part of a checker to what takes its place."""


def always(value: Any) -> Wrong:
    """It says the same, whatever it is asked."""
    return lambda real: lambda *_, **__: value


def without(kind: str) -> Wrong:
    """It finds everything but this."""

    def blind(real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **how: [found for found in real(*args, **how) if kind not in (found[0], found[2])]

    return blind


def hasty(real: Callable[..., Any]) -> Callable[..., Any]:
    """As if every transaction had ended as soon as it began: too much is taken for an order."""
    return lambda ops, rows, hub: real(dataclasses.replace(ops, start=2 * ops.start, end=2 * ops.start + 1), rows, hub)


def info_is_fail(real: Callable[[History], Any]) -> Callable[[History], Any]:
    """What nobody knows is taken not to have happened."""
    return lambda history: real(History(msgspec.structs.replace(op, type="fail" if op.type == INFO else op.type)
                                        for op in history))  # fmt: skip


def off_by_one(real: Callable[..., Any]) -> Callable[..., Any]:
    """What ended right before something else began is taken to overlap it."""

    def wrong(*args: Any) -> Any:
        for key in real(*args):
            end = np.where(key.calls.end < NEVER, 10 * key.calls.end + 15, key.calls.end)
            yield dataclasses.replace(key, calls=dataclasses.replace(key.calls, start=10 * key.calls.start, end=end))

    return wrong


def all_true(_: Any) -> Callable[..., Any]:
    return lambda keys, budget: [Decision(True) for _ in keys]


def no_order(_: Any) -> Any:
    """A queue that may answer in any order."""
    return objects.OBJECTS["unordered-queue"]


def no_removal(real: Any) -> Any:
    """A set whose removals do nothing."""
    return dataclasses.replace(real, step=lambda state, deed: state if deed.f == "remove" else real.step(state, deed))


def reads_anything(real: Any) -> Any:
    """An object whose reads fit every state."""
    looks = ("read", "get", "txn")
    return dataclasses.replace(
        real, step=lambda state, deed: real.step(state, deed._replace(seen=deed.seen and deed.f not in looks))
    )


NO_ROWS = np.empty(0, np.int64)
BLINDED: list[tuple[str, str, Wrong]] = [
    ("register", f"{CHECKERS}.objects.linearizable:decide_all", all_true),
    ("register", f"{CHECKERS}.objects.linearizable:columns_of", info_is_fail),
    ("register", f"{CHECKERS}.objects.linearizable:calls_by_key", off_by_one),
    ("register", f"{KERNELS}.linear.zones:np.searchsorted", lambda real: lambda a, v: real(a, v) * 0),
    ("cas-register", f"{CHECKERS}.objects.linearizable:decide_all", all_true),
    ("cas-register", f"{CHECKERS}.objects.linearizable:columns_of", info_is_fail),
    ("mutex", f"{KERNELS}.models:MODELS.mutex", always(Effect())),
    ("counter", f"{KERNELS}.objects:OBJECTS.counter", reads_anything),
    ("set", f"{KERNELS}.objects:OBJECTS.set", no_removal),
    ("fifo-queue", f"{KERNELS}.objects:OBJECTS.fifo-queue", no_order),
    ("unordered-queue", f"{CHECKERS}.objects.linearizable:decide_objects", all_true),
    ("kv-append", f"{KERNELS}.objects:OBJECTS.kv-append", reads_anything),
    ("multi-register", f"{KERNELS}.objects:OBJECTS.multi-register", reads_anything),
    ("set-full", f"{CHECKERS}.objects.set:_missed", always([])),
    ("set-full", f"{CHECKERS}.objects.set:_unexpected", always([])),
    ("bank", f"{CHECKERS}.transactions.bank:Bank._judged", without("negative-balance")),
    ("unique-ids", f"{CHECKERS}.objects.unique_ids:freeze", lambda _: str),
    ("total-queue", f"{CHECKERS}.objects.total_queue:_odd", always([])),
    ("total-queue", f"{CHECKERS}.objects.total_queue:_excuse", always("")),
    ("log", f"{CHECKERS}.objects.log:_gaps", always(())),
    ("log", f"{CHECKERS}.objects.log:_phantoms", always(())),
    ("counter-bounds", f"{CHECKERS}.objects.counter:_went_back", always(())),
    ("counter-bounds", f"{CHECKERS}.objects.counter:_Sum.before", lambda real: lambda self, at: real(self, at - 3)),
    ("pn-counter", f"{CHECKERS}.replicas.crdt:_reachable", always(1)),
    ("g-set", f"{CHECKERS}.replicas.crdt:_members", without("lost")),
    ("or-set", f"{CHECKERS}.replicas.crdt:_must_be_gone", always(None)),
    ("or-set", f"{CHECKERS}.replicas.crdt:_must_be_there", lambda _: lambda element: next(iter(element.adds), None)),
    ("convergence", f"{CHECKERS}.replicas.convergence:_unsure", always(set())),
    ("convergence", f"{CHECKERS}.replicas.convergence:_differing", always((None, False))),
    ("last-write-wins", f"{CHECKERS}.replicas.last_write_wins:_diverged", always(())),
    ("last-write-wins", f"{CHECKERS}.replicas.last_write_wins:_there_ns", always(dict.fromkeys(range(99), 0))),
    ("long-fork", f"{CHECKERS}.transactions.long_fork:_forks", always(())),
    ("staleness", f"{CHECKERS}.replicas.staleness:_known", lambda real: lambda every: {
        at: known._replace(since=known.write.start_index, since_ns=known.write.start_ns)
        for at, known in real(every).items()
    }),
    ("sessions", f"{CHECKERS}.replicas.sessions:demanded", lambda real: lambda found: (
        each for each in real(found) if each.by != "monotonic-reads"
    )),
    ("pram", f"{CHECKERS}.replicas.pram:_judged", always(None)),
    ("causal", f"{CHECKERS}.replicas.causal:_cyclic", always(())),
    ("causal", f"{CHECKERS}.replicas.causal:_judged", always(())),
    ("causal-convergence", f"{CHECKERS}.replicas.causal:_conflicting", always(())),
    ("rpo", f"{CHECKERS}.failovers.rpo:_lost", always(None)),
    ("rpo", f"{CHECKERS}.failovers.rpo:_reordered", lambda real: lambda story, writers: real(
        dataclasses.replace(story, finals=story.finals[:1]), writers
    )),
    ("rpo", f"{CHECKERS}.failovers.rpo:_back_again", always(())),
    ("rpo", f"{CHECKERS}.failovers.fates:rest", lambda real: lambda *given: real(*given)._replace(cause="")),
    ("rpo", f"{CHECKERS}.failovers.fates:unready", always({})),
    ("rpo", f"{CHECKERS}.failovers.fates:final_reads", lambda _: lambda reads, *_: list(reads)),
    ("rto", f"{CHECKERS}.failovers.outage:_waited_out", lambda _: lambda operations, period, whole: whole),
    ("rto", f"{CHECKERS}.failovers.outage:_last_error_ns", lambda _: lambda seen, begin: seen[begin].start_ns),
    ("rto", f"{CHECKERS}.failovers.rto:_until_ns", lambda _: lambda history, fault: history.end_ns + 1),
    ("rto", f"{CHECKERS}.failovers.outage:_first_success", lambda _: lambda seen, since_ns: min(
        (op for op in seen if op.type == OK and op.end_ns >= since_ns), key=lambda op: op.end_ns, default=None
    )),
    ("split-brain", f"{CHECKERS}.failovers.split_brain:FAILOVERS", lambda _: 3),
    ("split-brain", f"{CHECKERS}.failovers.split_brain:_left_over", always(())),
    ("split-brain", f"{CHECKERS}.failovers.split_brain:_chain", always(None)),
    ("split-brain", f"{CHECKERS}.failovers.split_brain:_periods", always([(0, 1 << 62)])),
    ("list-append", f"{CHECKERS}.transactions.isolation:cycles", always([])),
    ("list-append", f"{CHECKERS}.transactions.isolation:list_dependencies",
     lambda real: lambda ops: (*real(ops)[:2], Evidence())),
    ("list-append", f"{KERNELS}.transactions.cycles:realtime_edges", hasty),
    ("rollout", f"{KERNELS}.rollouts.waves:illegal", always(NO_ROWS)),
    ("rollout", f"{KERNELS}.rollouts.waves:_undone", always((NO_ROWS, NO_ROWS, NO_ROWS))),
    ("rollout", f"{KERNELS}.rollouts.waves:Waves.goes_back", lambda _: property(
        lambda waves: waves.entered("rolled-back")
    )),
    ("rollout", f"{CHECKERS}.rollouts.waves:Waves", lambda real: lambda log, plan: real(
        log, dataclasses.replace(plan, clock_skew_ns=0)
    )),
    ("rw-register", f"{CHECKERS}.transactions.isolation:cycles", always([])),
    ("rw-register", f"{KERNELS}.transactions.cycles:realtime_edges", hasty),
]  # fmt: skip
"""By family: a part of its checker (``module:name``), and something wrong in its place."""


def put(monkeypatch: pytest.MonkeyPatch, where: str, wrong: Wrong) -> None:
    """Replace ``module:name.name``; the last owner may be a dictionary."""
    module, _, names = where.partition(":")
    *path, last = names.split(".")
    owner: Any = importlib.import_module(module)
    for name in path:
        owner = getattr(owner, name)
    if isinstance(owner, dict):
        monkeypatch.setitem(owner, last, wrong(owner[last]))
    else:
        monkeypatch.setattr(owner, last, wrong(getattr(owner, last)))


@pytest.mark.parametrize(("family", "where", "wrong"), BLINDED, ids=[f"{each[0]}-{each[1]}" for each in BLINDED])
def test_a_checker_that_is_made_wrong_is_not_certified(
    family: str, where: str, wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, where, wrong)
    report = certified(family, count=250, kinds=("oracle",))
    if report.exit_code != 1:  # an anomaly that is rare at random is planted
        report = certified(family, kinds=("mutation",))
    assert report.exit_code == 1, table.as_text(report)


VERDICT = Verdict(checker="blind", valid=Valid.TRUE, summary="always")
SAME = (
    *(f"objects.{each}" for each in ("unique_ids", "total_queue", "log", "counter")),
    *(f"replicas.{each}" for each in ("convergence", "last_write_wins", "staleness", "sessions")),
    *(f"replicas.{each}" for each in ("pram", "causal", "crdt")),
    *(f"transactions.{each}" for each in ("bank", "long_fork")),
    *(f"failovers.{each}" for each in ("rpo", "split_brain")),
)


@pytest.mark.parametrize("module", SAME)
@pytest.mark.parametrize("valid", [Valid.TRUE, Valid.FALSE])
def test_a_checker_that_always_says_the_same_is_not_certified(
    module: str, valid: Valid, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = msgspec.structs.replace(VERDICT, valid=valid)
    put(monkeypatch, f"{CHECKERS}.{module}:verdict_of", always(same))
    name = module.partition(".")[2]
    family = {"counter": "counter-bounds", "crdt": "g-set"}.get(name, name.replace("_", "-"))
    for kind in ("oracle", "mutation", "simulated"):
        assert certified(family, count=60, kinds=(kind,)).exit_code != 0, kind


def test_there_is_a_wrong_checker_for_every_family() -> None:
    assert {family for family, _, _ in BLINDED} == set(folders.family_names())


def test_a_checker_that_crashes_is_a_disagreement(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, f"{CHECKERS}.replicas.pram:_places", lambda _: lambda found: 1 // 0)
    report = certified("pram", count=40, kinds=("oracle",))
    assert report.exit_code == 1
    assert "ZeroDivisionError" in table.as_text(report)


def test_a_verdict_that_depends_on_names_breaks_a_law(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_number(real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda view, *args: real(view, *args) if view.now < 1_000 else None

    put(monkeypatch, f"{CHECKERS}.replicas.pram:_judged", by_number)
    assert certified("pram", kinds=("laws",)).exit_code == 0, "nothing depends on names yet"
    put(monkeypatch, f"{CHECKERS}.replicas.pram:accesses", lambda real: lambda history, initial: real(
        History(op for op in history if op.process < 100), initial
    ))  # fmt: skip
    report = certified("pram", kinds=("laws",))
    assert report.exit_code == 1
    assert {found.part for row in report.rows for found in row.disagreements} == {"other processes"}


# --- what is not enough ---------------------------------------------------------------------------------------


def one_sided(expected: Expected) -> Family:
    """A family whose histories are all of one kind."""
    real = folders.family("pram")
    question = Question(
        "one-sided", lambda _: msgspec.structs.replace(VERDICT, valid=RIGHT[expected]), always(expected)(0)
    )
    return dataclasses.replace(real, questions=(question,))


@pytest.mark.parametrize("expected", [Expected.HOLDS, Expected.BROKEN])
def test_histories_of_one_kind_certify_nothing(expected: Expected) -> None:
    family = one_sided(expected)
    tally = oracle_evidence.gather(family, Settings(1, 50), range(50))
    assert not tally.disagreements
    assert oracle_evidence.gaps(family, tally)


def test_a_checker_that_leaves_everything_open_is_not_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    unsure = msgspec.structs.replace(VERDICT, valid=Valid.UNKNOWN)
    put(monkeypatch, f"{CHECKERS}.replicas.pram:verdict_of", always(unsure))
    report = certified("pram", kinds=("oracle",))
    assert report.exit_code == 2
    assert "left undecided that the oracle decides" in table.as_text(report)


# --- what is told ----------------------------------------------------------------------------------------------


def test_a_disagreement_is_small_and_can_be_judged_with_rift_check(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put(monkeypatch, f"{CHECKERS}.replicas.pram:_judged", always(None))
    report = certified("pram")
    (found, *_) = sorted((each for row in report.rows for each in row.disagreements), key=lambda d: len(d.events))
    assert len(History(found.events).operations) <= 4, "a write, and two reads that contradict each other"
    text = table.as_text(report)
    assert f"history {found.number} of seed 1" in text
    lines = [line for line in text.splitlines() if line.startswith("{")][: len(found.events)]
    (tmp_path / "history.jsonl").write_text("\n".join(lines))
    asked = [sys.executable, "-m", "harness", "check", "history.jsonl", *found.replay.split()]
    done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, "the good checker, in its own process, sees what the blinded one did not"


def test_shrinking_leaves_only_what_shows_it() -> None:
    events = [
        Op(type=type_, f="write", process=process, value=process) for process in range(6) for type_ in (INVOKE, OK)
    ]
    small = shrunk(History(events), lambda history: {2, 4} <= {op.process for op in history})
    assert [op.process for op in small] == [2, 2, 4, 4]


def test_the_seed_decides_everything() -> None:
    one, same, other = (certified("sessions", kinds=("oracle",), seed=seed) for seed in (3, 3, 4))
    assert one.rows[0].parts == same.rows[0].parts != other.rows[0].parts


# --- recorded histories -----------------------------------------------------------------------------------------

STALE = """{"process": 0, "type": "invoke", "f": "write", "value": 1}
{"process": 0, "type": "ok", "f": "write", "value": 1}
{"process": 0, "type": "invoke", "f": "read"}
{"process": 0, "type": "ok", "f": "read"}
"""


def recorded(folder: Path, expected: dict[str, Any]) -> campaign.Report:
    (folder / "stale.jsonl").write_text(STALE)
    (folder / "expected.json").write_text(json.dumps(expected))
    return campaign.certify(folders.family_names(), ("recorded",), Settings(1, 1, folder), jobs=1)


def test_recorded_histories_are_judged_by_their_models(tmp_path: Path) -> None:
    report = recorded(tmp_path, {"stale.jsonl": {"model": "register", "valid": False}})
    assert report.exit_code == 0
    assert [(row.family, row.histories, row.invalid) for row in report.rows] == [("register", 1, 1)]
    report = recorded(tmp_path, {"stale.jsonl": {"model": "register", "valid": True}})
    assert report.exit_code == 1
    assert "stale.jsonl" in table.as_text(report)


def test_recorded_histories_that_nobody_can_judge_are_not_passed_over(tmp_path: Path) -> None:
    report = recorded(tmp_path, {"stale.jsonl": {"model": "stack", "valid": False}})
    assert (report.exit_code, report.gaps) == (2, ["recorded: no family has the model stack"])
    report = recorded(tmp_path, {"missing.jsonl": {"model": "register", "valid": False}})
    assert report.exit_code == 2
    with pytest.raises(UsageError, match="must say its model"):
        recorded(tmp_path, {"stale.jsonl": {"valid": False}})


def test_without_a_folder_nothing_recorded_counts_as_passed() -> None:
    report = campaign.certify(["register"], ["recorded"], Settings(1, 1), jobs=1)
    assert report.exit_code == 2
    assert "no recorded histories were judged" in table.as_text(report)


# --- the command -----------------------------------------------------------------------------------------------


def rift(*arguments: str) -> subprocess.CompletedProcess[str]:
    asked = [sys.executable, "-m", "harness", "certify", *arguments]
    return subprocess.run(asked, capture_output=True, text=True, timeout=100, check=False)


def test_the_command_shares_the_work_and_prints_one_object() -> None:
    done = rift("unique-ids", "pram", "--count", "300", "--jobs", "2", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["valid"], told["seed"], told["disagreements"]) == (True, 1, [])
    (row,) = (row for row in told["rows"] if (row["family"], row["evidence"]) == ("pram", "oracle"))
    assert row["histories"] == 300
    alone = certified("pram", count=300, kinds=("oracle",)).rows[0].as_data()
    assert row["parts"] == alone["parts"], "how the work is shared changes nothing"


def test_the_command_prints_a_table_and_says_what_is_missing() -> None:
    done = rift("bank", "--kind", "oracle", "--count", "3")
    assert done.returncode == 2
    assert done.stdout.splitlines()[0].split() == ["family", "evidence", *table.HEAD[2:-1], "cpu", "s"]
    assert "INCOMPLETE" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("prams",), "did you mean 'pram'"),
        (("--kind", "oracles"), "did you mean 'oracle'"),
        (("--count", "0"), "--count 0: must be at least 1"),
        (("--jobs", "0"), "--jobs 0: must be at least 1"),
        (("--quick", "--count", "5"), "give one of them"),
        (("--histories", "nowhere"), "nowhere/expected.json"),
    ],
)
def test_words_that_mean_nothing_are_exit_code_4(arguments: tuple[str, ...], says: str) -> None:
    done = rift(*arguments)
    assert done.returncode == 4, done.stdout + done.stderr
    assert says in done.stderr


def test_the_defaults_are_the_full_evidence() -> None:
    assert (command.size(None, quick=False), command.size(None, quick=True), command.size(7, False)) == (
        100_000,
        1_000,
        7,
    )


def test_ctrl_c_reports_what_was_gathered_as_not_enough() -> None:
    asked = [sys.executable, "-m", "harness", "certify", "bank", "--jobs", "2", "--json"]
    with subprocess.Popen(
        asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stderr
        assert "certifying" in running.stderr.readline()
        os.killpg(running.pid, signal.SIGINT)  # what a terminal does: everybody hears it
        out, err = running.communicate(timeout=60)
    assert running.returncode == 2, err
    assert "Traceback" not in err
    assert json.loads(out)["gaps"][0].startswith("stopped ")
