"""The history survives: torn tails, compaction, damage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.journal import Journal, compact, history_of, operations_of, read_columns, read_journal
from harness.model.op import FAIL, INFO, INVOKE, NEMESIS, OK, Op

EVENTS = (
    Op(type=INVOKE, f="write", process=0, key=1, value=7, time_ns=10, index=0, region="eu", node="n1"),
    Op(type=INVOKE, f="read", process=1, key=1, time_ns=11, index=1, region="us", node="n2"),
    Op(type=INVOKE, f="start", key="cut", value={"id": "f1", "aim": "eu"}, time_ns=12, index=2),
    Op(type=OK, f="write", process=0, key=1, value=7, time_ns=20, index=3, region="eu", node="n1"),
    Op(type=INVOKE, f="cas", process=0, key=1, value=[7, 8], time_ns=21, index=4, region="eu", node="n1"),
    Op(type=FAIL, f="read", process=1, key=1, time_ns=22, index=5, region="us", node="n2", error="refused: ü"),
    Op(type=INFO, f="start", key="cut", value={"id": "f1", "effective": True}, time_ns=23, index=6),
    Op(type=INVOKE, f="read", process=1, key=2, time_ns=24, index=7, region="us", node="n2"),
    Op(type=OK, f="read", process=1, key=2, value=None, time_ns=25, index=8, region="us", node="n2"),
)


def written(path: Path, events: tuple[Op, ...] = EVENTS) -> Path:
    journal = Journal(path)
    for event in events:
        journal.append(event)
    journal.close()
    return path


def test_a_journal_reads_back_what_was_appended(tmp_path: Path) -> None:
    history, torn = read_journal(written(tmp_path / "h.jsonl"))
    assert tuple(history) == EVENTS
    assert not torn


def test_every_cut_of_a_journal_loads_as_a_prefix(tmp_path: Path) -> None:
    whole = written(tmp_path / "h.jsonl").read_bytes()
    cut = tmp_path / "cut.jsonl"
    for length in range(len(whole) + 1):
        cut.write_bytes(whole[:length])
        history, torn = read_journal(cut)
        assert tuple(history) == EVENTS[: whole[:length].count(b"\n")]
        assert torn == (length > 0 and not whole[:length].endswith(b"\n"))


def test_damage_in_the_middle_is_named_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path / "h.jsonl")
    lines = path.read_bytes().split(b"\n")
    lines[2] = b'{"type": "inv'
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(StoreError, match=r"h\.jsonl:3: is no event"):
        read_journal(path)


def test_compaction_loses_nothing(tmp_path: Path) -> None:
    compact(EVENTS, tmp_path / "h.arrow")
    assert tuple(history_of(read_columns(tmp_path / "h.arrow"))) == EVENTS


def test_the_stored_form_loads_as_a_frame_of_operations(tmp_path: Path) -> None:
    compact(EVENTS, tmp_path / "h.arrow")
    frame = operations_of(read_columns(tmp_path / "h.arrow"))
    assert list(zip(frame["process"], frame["f"], frame["type"], frame["start_ns"], strict=True)) == [
        (0, "write", OK, 10),
        (1, "read", FAIL, 11),
        (0, "cas", INFO, 21),
        (1, "read", OK, 24),
    ]
    assert frame["end_ns"].isna().tolist() == [False, False, True, False]
    assert frame["result"].fillna("-").tolist() == ["7", "-", "-", "-"]
    assert frame["error"].tolist() == ["", "refused: ü", "", ""]


def test_an_empty_history_is_a_history(tmp_path: Path) -> None:
    compact((), tmp_path / "h.arrow")
    assert len(history_of(read_columns(tmp_path / "h.arrow"))) == 0
    assert operations_of(read_columns(tmp_path / "h.arrow")).empty


def test_a_full_disk_is_reported_and_keeps_what_was_written(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    journal = Journal(full)
    journal.append(EVENTS[0])
    with pytest.raises(StoreError, match="No space left"):
        journal.flush()


def test_the_nemesis_is_no_operation(tmp_path: Path) -> None:
    compact(EVENTS, tmp_path / "h.arrow")
    assert NEMESIS not in set(operations_of(read_columns(tmp_path / "h.arrow"))["process"])


def test_to_end_a_run_loads_no_pandas(tmp_path: Path) -> None:
    """It would take half a second of every run."""
    path = tmp_path / "h.arrow"
    program = (
        "import pathlib, sys\n"
        "from harness.journal import compact\n"
        "from harness.model.op import Op\n"
        "compact([Op(type='invoke', f='read', value=[1], error='ü')], pathlib.Path(sys.argv[1]))\n"
        "sys.exit('pandas' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == 0
    assert history_of(read_columns(path))[0].value == [1]
