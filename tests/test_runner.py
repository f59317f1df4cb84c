"""The runner: what it writes down is what happened, whatever clients do."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from harness.checkers.every_run.errors import Errors
from harness.errors import Refused, StoreError, Unsure
from harness.generators import clients, delay, limit, phases, sleep, time_limit
from harness.journal import Journal, read_journal
from harness.model.clock import MonotonicClock
from harness.model.history import History
from harness.model.op import FAIL, INFO, INVOKE, OK, Op
from harness.model.verdict import Valid
from harness.runner import Runner, lag_ms
from harness.running.watching import note_stalls

READ = {"f": "read"}


class Scripted:
    """A client that answers as the operation's value says."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    async def invoke(self, op: Op) -> Any:
        match op.value:
            case "refuse":
                raise Refused("no")
            case "unsure":
                raise Unsure("lost")
            case "crash":
                raise ZeroDivisionError("oops")
            case "hang":
                await asyncio.sleep(3600)
        await asyncio.sleep(0)
        return op.value

    async def close(self) -> None:
        self.log.append("closed")


def runner(path: Path, log: list[str], threads: int = 2, **more: Any) -> Runner:
    async def connect(thread: int) -> Scripted:
        log.append(f"thread {thread}")
        return Scripted(log)

    return Runner(
        journal=Journal(path),
        clock=MonotonicClock(),
        connect=more.pop("connect", connect),
        places=[(f"region-{i}", f"n{i}") for i in range(threads)],
        op_timeout_s=0.05,
        **more,
    )


async def history_of(path: Path, generator: Any, log: list[str] | None = None, **more: Any) -> History:
    one = runner(path, log if log is not None else [], **more)
    await one.run(clients(generator))
    await one.close()
    one.journal.close()
    return read_journal(path)[0]


@pytest.mark.parametrize(
    ("value", "type_", "error"),
    [
        ("fine", OK, ""),
        ("refuse", FAIL, "refused: no"),
        ("unsure", INFO, "unsure: lost"),
        ("crash", INFO, "crash: ZeroDivisionError: oops"),
        ("hang", INFO, "timeout"),
    ],
)
async def test_every_way_to_end_is_recorded_as_what_is_known(
    tmp_path: Path, value: str, type_: str, error: str
) -> None:
    history = await history_of(tmp_path / "h", limit(1, {"f": "write", "key": 3, "value": value}))
    begin, end = history
    assert (begin.type, end.type, end.error) == (INVOKE, type_, error)
    assert (end.key, end.process, end.region, end.node) == (3, begin.process, begin.region, begin.node)


async def test_a_process_whose_operation_is_unknown_is_retired_with_its_connection(tmp_path: Path) -> None:
    log: list[str] = []
    script = [{"f": "write", "value": value} for value in ("fine", "hang", "fine")]
    history = await history_of(tmp_path / "h", script, log, threads=1)
    assert [operation.process for operation in history.operations] == [0, 0, 1]
    assert log == ["thread 0", "closed", "thread 0", "closed"]


async def test_what_could_not_connect_certainly_did_not_happen(tmp_path: Path) -> None:
    async def connect(thread: int) -> Any:
        raise ConnectionRefusedError("nobody there")

    history = await history_of(tmp_path / "h", limit(3, lambda ctx: READ), connect=connect)
    assert {op.type for op in history} == {INVOKE, FAIL}
    assert history[-1].error.startswith("refused: cannot connect")


async def test_a_client_that_breaks_while_connecting_is_told_from_a_node_that_is_away(tmp_path: Path) -> None:
    async def connect(thread: int) -> Any:
        raise KeyError("a typo")

    history = await history_of(tmp_path / "h", limit(1, READ), connect=connect)
    assert (history[1].type, history[1].error) == (FAIL, "crash: KeyError while connecting: 'a typo'")
    assert Errors().check(history).valid is Valid.UNKNOWN


async def test_connecting_too_long_is_a_refusal_and_not_an_unknown(tmp_path: Path) -> None:
    async def connect(thread: int) -> Any:
        await asyncio.sleep(3600)

    history = await history_of(tmp_path / "h", limit(1, READ), connect=connect)
    assert history[1].type == FAIL


async def test_who_is_refused_rests_no_longer_than_the_schedule_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.runner.RESTS_S", (0.0, 3600.0))
    script = [{"f": "read", "value": "refuse"}] * 5
    async with asyncio.timeout(60):
        history = await history_of(tmp_path / "h", script, threads=1, rest_s=0.001)
    assert [op.type for op in history.operations] == [FAIL] * 5


async def test_events_have_rising_indices_and_times_and_no_process_overlaps_itself(tmp_path: Path) -> None:
    history = await history_of(tmp_path / "h", limit(500, lambda ctx: READ), threads=7)
    assert [op.index for op in history] == list(range(1000))
    assert [op.time_ns for op in history] == sorted(op.time_ns for op in history)
    assert len(history.operations) == 500  # pairing raises on an overlap


async def test_the_invocation_is_in_the_journal_before_the_request_is_sent(tmp_path: Path) -> None:
    seen: list[int] = []

    class Looking:
        async def invoke(self, op: Op) -> Any:
            seen.append(one.journal.count)

        async def close(self) -> None:
            pass

    async def connect(thread: int) -> Any:
        return Looking()

    one = runner(tmp_path / "h", [], connect=connect, threads=1)
    await one.run(clients(limit(1, READ)))
    assert seen == [1]


async def test_a_second_generator_goes_on_with_the_same_processes(tmp_path: Path) -> None:
    one = runner(tmp_path / "h", [], threads=1)
    await one.run(clients([{"f": "write", "value": "hang"}]))
    await one.run(clients(limit(1, READ)))
    one.journal.close()
    assert [operation.process for operation in read_journal(tmp_path / "h")[0].operations] == [0, 1]


async def test_a_nemesis_that_crashes_leaves_the_clients_alone_and_is_no_evidence(tmp_path: Path) -> None:
    async def nemesis(op: Op) -> Any:
        raise RuntimeError("broken fault file")

    one = runner(tmp_path / "h", [], nemesis=nemesis)
    strike = Op(type=INVOKE, f="start", key="cut", value={"id": "f1"})
    await one.run(phases(clients(limit(1, READ), strike), clients(limit(3, lambda ctx: READ))))
    one.journal.close()
    history = read_journal(tmp_path / "h")[0]
    assert len(history.operations) == 4
    assert [window.effective for window in history.faults] == [False]


async def test_a_full_disk_stops_the_run_with_its_name(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):  # noqa: ASYNC240 - asked once
        pytest.skip("needs /dev/full")
    one = runner(Path("/dev/full"), [])
    with pytest.raises(StoreError, match="No space left"):
        await one.run(clients(time_limit(5.0, lambda ctx: READ)))


async def test_cancelling_ends_at_once_and_keeps_the_open_operation_open(tmp_path: Path) -> None:
    one = runner(tmp_path / "h", [])
    one.op_timeout_s = 3600
    task = asyncio.create_task(one.run(clients(limit(1, {"f": "write", "value": "hang"}))))
    async with asyncio.timeout(10):
        while one.journal.count == 0:  # noqa: ASYNC110 - the journal tells nobody
            await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    one.journal.close()
    (operation,) = read_journal(tmp_path / "h")[0].operations
    assert operation.type == INFO


async def test_lag_is_measured_for_what_was_planned_ahead(tmp_path: Path) -> None:
    one = runner(tmp_path / "h", [])
    await one.run(clients(delay(0.05, limit(5, lambda ctx: READ))))
    assert set(lag_ms(one.lag_ns)) == {"p50", "p99", "max"}  # empty if nothing was measured
    assert min(one.lag_ns) >= 0


async def test_a_harness_that_stood_still_says_so(tmp_path: Path) -> None:
    """A client that keeps everybody waiting stands for a machine that has no time for this process."""

    class Blocking(Scripted):
        async def invoke(self, op: Op) -> Any:
            time.sleep(0.3)  # noqa: ASYNC251 - on purpose
            return op.value

    async def connect(thread: int) -> Scripted:
        return Blocking([])

    one = runner(tmp_path / "h", [], connect=connect)
    noting = asyncio.ensure_future(note_stalls(one.clock, one))
    await one.run(clients(phases(sleep(0.1), limit(1, lambda ctx: READ), sleep(0.1))))
    noting.cancel()
    await one.close()
    one.journal.close()
    history = read_journal(tmp_path / "h")[0]
    (read,) = history.operations
    overlaps = [min(read.end_ns, end_ns) - max(read.start_ns, begin_ns) for begin_ns, end_ns in history.stalls]
    assert max(overlaps) >= 300_000_000
