"""Checkers that give no answer are stopped and named; orders in explanations are orders; pages show them."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.certify import folders
from harness.checkers.apart import Stopped, apart
from harness.checkers.every_run.stats import Stats
from harness.checkers.judge import judge
from harness.checkers.objects.linearizable import Linearizable
from harness.judging import recorded
from harness.model.history import History, Operation
from harness.model.op import INFO, OK
from harness.model.verdict import Excerpt, Order, Valid, Verdict
from tests.notation import history, notation

# --- apart ------------------------------------------------------------------------------------------------


def hang(note: Path) -> None:
    """Leave the number of this process in ``note``, and never return."""
    note.write_text(str(os.getpid()))
    while True:
        pass


def is_gone(pid: int) -> bool:
    """Whether no process has that number, or only a dead one that nobody has buried yet."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def until(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def test_an_answer_comes_back_from_apart_however_large() -> None:
    assert apart(lambda: (os.getpid(), "x" * 3_000_000), 60) != (os.getpid(), "x" * 3_000_000)
    assert len(apart(lambda: "x" * 3_000_000, 60)) == 3_000_000


def test_what_hangs_is_stopped_says_where_and_is_gone(tmp_path: Path) -> None:
    with pytest.raises(Stopped, match=r"gave no answer within 0\.3 s") as told:
        apart(lambda: hang(tmp_path / "pid"), 0.3)
    assert "in hang" in told.value.where
    assert is_gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize(
    ("work", "says"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed, as it happens when memory runs out"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), "died of SIGTERM"),
        (lambda: os._exit(7), "ended without an answer: exit code 7"),
        (lambda: lambda: None, "ended without an answer: .*pickle"),
    ],
)
def test_a_process_that_dies_says_how(work: Callable[[], object], says: str) -> None:
    with pytest.raises(Stopped, match=says):
        apart(work, 60)


class Hangs:
    """A checker that never ends."""

    name = "hangs"

    def __init__(self, note: Path) -> None:
        self.note = note

    def check(self, _: History) -> Verdict:
        hang(self.note)
        raise AssertionError


def test_a_checker_that_hangs_is_unknown_and_takes_no_other_along(tmp_path: Path) -> None:
    events = history("a:w1 a:ok b:r b:ok1")
    first, hung, last = judge(events, [Linearizable(), Hangs(tmp_path / "pid"), Stats()], 1.0)
    assert (first.valid, hung.valid, last.checker) == (Valid.TRUE, Valid.UNKNOWN, "stats")
    assert hung.cause == "the checker hangs did not end well: it gave no answer within 1 s and was stopped"
    assert hung.seconds >= 1.0


def test_ctrl_c_ends_a_check_and_its_process(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os, pathlib\n\n\nclass CHECKER:\n    name = 'endless'\n\n    def check(self, history):\n"
        "        pathlib.Path('pid').write_text(str(os.getpid()))\n        while True:\n            pass\n"
    )
    (tmp_path / "h").write_text("\n".join(json.dumps({"process": 0, "type": t, "f": "x"}) for t in ("invoke", "ok")))
    command = [sys.executable, "-m", "harness", "check", "h", "--model", "./mine.py"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as check:
        note = tmp_path / "pid"
        until(lambda: note.exists() and note.read_text() != "")
        check.send_signal(signal.SIGINT)
        out, words = check.communicate(timeout=30)
    assert (check.returncode, out, words) == (3, "", "rift: stopped\n")
    until(lambda: is_gone(int(note.read_text())))


# --- orders -----------------------------------------------------------------------------------------------


def state_after(op: Operation, state: Any) -> Any:
    """What a register holds after an operation, whatever it held before."""
    return op.value if op.f == "write" else op.value[1] if op.f == "cas" else state


def ends_before(one: Operation, other: Operation) -> bool:
    return one.type != INFO and one.end_index < other.start_index


def assert_is_an_order(order: Order, excerpt: Excerpt) -> None:
    """It keeps real time, its states follow from its steps, and the culprit fits nowhere behind what preceded it."""
    ops = [marked.operation for marked in excerpt.operations]
    culprit, steps = ops[order.stuck], [ops[step.operation] for step in order.steps]
    assert excerpt.operations[order.stuck].mark == "culprit"
    for at, op in enumerate(steps):
        assert op is not culprit
        assert not any(ends_before(later, op) for later in steps[at:])
        assert not ends_before(culprit, op)
    state: Any = None
    held = [state]
    assert order.begin == "nothing"
    for step, op in zip(order.steps, steps, strict=True):
        state = state_after(op, state)
        assert step.state == ("nothing" if state is None else str(state))
        held.append(state)
    first = max((at + 1 for at, op in enumerate(steps) if ends_before(op, culprit)), default=0)
    needs = culprit.result if culprit.f == "read" else culprit.value[0]
    assert needs not in held[first:]


def test_every_order_in_an_explanation_is_one_and_shows_the_violation() -> None:
    cas_register, rng, told = folders.family("cas-register"), random.Random(11), 0
    for _ in range(3000):
        events = cas_register.draw(rng)
        for excerpt in Linearizable().check(events).excerpts:
            for order in excerpt.orders:
                told += 1
                try:
                    assert_is_an_order(order, excerpt)
                except AssertionError:
                    raise AssertionError(notation(events)) from None
    assert told > 500


def test_an_order_that_the_culprit_would_fit_is_caught_by_the_test_above() -> None:
    [excerpt] = Linearizable().check(history("a:w1 a:ok b:w2 b:ok a:r a:ok1")).excerpts
    [order] = excerpt.orders
    assert_is_an_order(order, excerpt)
    swapped = type(order)(begin=order.begin, steps=order.steps[::-1], stuck=order.stuck, why=order.why)
    with pytest.raises(AssertionError):
        assert_is_an_order(swapped, excerpt)


# --- pages ------------------------------------------------------------------------------------------------


def page(tmp_path: Path, model: str, *events: tuple[int, str, str, Any]) -> str:
    """The page about these events."""
    lines = [dict(zip(("process", "type", "f", "value"), event, strict=True)) for event in events]
    (tmp_path / "h").write_text("\n".join(map(json.dumps, lines)))
    judged = recorded.check_file(str(tmp_path / "h"), tmp_path, model, recorded.Options())
    assert judged.verdict.valid is Valid.FALSE
    recorded.write_page(judged, "h", tmp_path / "page.html", {}, ["rift", "check", "h"])
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_page_has_every_order_and_a_point_for_each_step(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    both = [(0, "invoke", "enqueue", hostile), (1, "invoke", "enqueue", 2)]
    both += [(0, OK, "enqueue", hostile), (1, OK, "enqueue", 2)]
    third = [(0, "invoke", "enqueue", 3), (0, OK, "enqueue", 3), (2, "invoke", "dequeue", None), (2, OK, "dequeue", 3)]
    text = page(tmp_path, "fifo-queue", *both, *third)
    assert text.count('class="tab') - text.count('class="tabs') == 2, "a tab for each order"
    assert len(re.findall(r'class="hop"', text)) == 2 * 4, "three steps and the culprit, twice"
    assert len(re.findall(r'class="point', text)) == 2 * 3
    assert text.count("<script>") == 1, "only our own"


def test_the_page_shows_a_circle_of_transactions_with_a_reason_for_each_arrow(tmp_path: Path) -> None:
    events: list[tuple[int, str, str, Any]] = [
        (0, "invoke", "txn", [["append", "x", 1], ["r", "y", None]]),
        (1, "invoke", "txn", [["append", "y", 1], ["r", "x", None]]),
        (0, OK, "txn", [["append", "x", 1], ["r", "y", []]]),
        (1, OK, "txn", [["append", "y", 1], ["r", "x", []]]),
        (2, "invoke", "txn", [["r", "x", None], ["r", "y", None]]),
        (2, OK, "txn", [["r", "x", [1]], ["r", "y", [1]]]),
    ]
    text = page(tmp_path, "list-append", *events)
    assert text.count('<li data-edge="') == 2
    assert text.count('class="hit edge-group"') == 2
    assert "rw, missed: </b>T1 read y = [] and missed T2&#x27;s 1" in text.replace("&#39;", "&#x27;")
    assert "serializable" in text
