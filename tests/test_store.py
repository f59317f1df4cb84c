"""The store keeps what a run leaves, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import store
from harness.errors import StoreError
from harness.ledger import Ledger, read_ledger
from harness.model.op import INVOKE, Op
from harness.model.plan import Plan
from harness.model.verdict import Valid, Verdict
from tests.test_journal import EVENTS, written

PLAN = Plan(test="demo", target="etcd", workload="register", topology={}, seed=7)


def finished(root: Path) -> store.RunFolder:
    folder = store.create(root, PLAN)
    written(folder.journal)
    return folder


def test_a_run_reads_back_as_it_was_written(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    folder.finish_history()
    verdict = Verdict(checker="x", valid=Valid.FALSE, summary="no", details={"a": [1, 2]})
    store.save_verdicts(folder, [verdict])
    folder.set_state("finished")
    run = store.load(folder)
    assert (run.plan, tuple(run.history), run.verdicts, run.state) == (PLAN, EVENTS, (verdict,), "finished")
    assert run.valid is Valid.FALSE


def test_a_run_whose_harness_was_killed_loads_as_torn(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    folder.set_state("running")
    folder.journal.write_bytes(folder.journal.read_bytes() + b'{"type":"inv')
    run = store.load(folder)
    assert run.state == "torn"
    assert tuple(run.history) == EVENTS


def test_a_run_that_never_got_to_its_history_loads(tmp_path: Path) -> None:
    folder = store.create(tmp_path, PLAN)
    assert len(store.load(folder).history) == 0


def test_latest_follows_the_newest_run_and_runs_of_one_second_keep_apart(tmp_path: Path) -> None:
    first, second = finished(tmp_path), finished(tmp_path)
    assert first.path != second.path
    assert store.find(tmp_path, "latest").path == second.path
    assert store.find(tmp_path, "demo").path == second.path
    assert store.find(tmp_path, str(first.path)).path == first.path


def test_an_unknown_run_is_named_with_what_there_is(tmp_path: Path) -> None:
    finished(tmp_path)
    with pytest.raises(StoreError, match=r"'dem0' is no run.*holds demo"):
        store.find(tmp_path, "dem0")


def test_a_damaged_plan_is_named(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    folder.plan.write_text('{"test": "demo", "colour": 1}')
    with pytest.raises(StoreError, match=r"plan\.json: is no plan"):
        store.load(folder)


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="choose another --store"):
        store.create(tmp_path / "file", PLAN)


def test_the_ledger_gathers_what_was_written_about_a_fault_and_drops_a_torn_line(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.write("f1", fault="cut", state="injecting")
    ledger.write("f2", fault="kill", state="injecting")
    ledger.write("f1", state="healed", effective=True)
    ledger.close()
    with open(tmp_path / "ledger.jsonl", "ab") as file:
        file.write(b'{"id": "f3", "st')
    assert read_ledger(tmp_path / "ledger.jsonl") == (
        {"id": "f1", "fault": "cut", "state": "healed", "effective": True},
        {"id": "f2", "fault": "kill", "state": "injecting"},
    )


def test_a_history_that_is_only_an_invocation_is_kept(tmp_path: Path) -> None:
    folder = store.create(tmp_path, PLAN)
    written(folder.journal, (Op(type=INVOKE, f="read", process=0, time_ns=1, index=0),))
    (operation,) = store.load(folder).history.operations
    assert operation.type == "info"
