"""A partitioned log: records have offsets, and consumers see every record once and in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Final, NamedTuple

from harness.certify import laws
from harness.certify.contract import Check, Expected, Family, Question, System
from harness.certify.plants import answered, scene
from harness.certify.systems import store
from harness.certify.systems.store import Deed
from harness.certify.tape import Did
from harness.checkers.objects.log import Log
from harness.model.history import History, Operation
from harness.model.op import FAIL, OK


class Record(NamedTuple):
    """A record as an operation saw it."""

    op: Operation
    key: str
    offset: int
    value: Any


def plan(random: Random, number: int) -> Deed:
    """What clients do."""
    if random.random() < 0.6:
        return Deed("send", "send", [["send", random.choice("xy"), number]])
    return Deed("poll", "poll", [["poll"]])


def draw(random: Random) -> History:
    """A short history of a true log; then one answer is mostly changed a little."""
    history = store.run(random, plan, _POLL * 3, steps=random.randint(8, 16), unsure=0.06)
    found = [at for at, op in enumerate(history) if op.type == OK]
    if not found or random.random() < 0.4:
        return history
    at = random.choice(found)
    return answered(history, at, _odd(random, history[at].value))


def _odd(random: Random, value: Any) -> Any:
    [[f, *rest]] = value
    if f == "send":
        key, (offset, record) = rest
        return [[f, key, [max(2, offset + random.choice((-2, 1, 2, 4))), record]]]
    batches = {key: list(records) for key, records in rest[0].items()}
    key = random.choice(sorted(batches))
    records = batches[key]
    where = random.randrange(len(records) + 1)
    spoiled = (records[:where] + records[where + 1 :], records[::-1], [*records, [random.choice((2, 4, 6, 8)), 99]])
    return [["poll", {**batches, key: random.choice(spoiled)}]]


def judge(history: History) -> Expected:
    """Is there one log for each key that explains every answer?"""
    sent, polled = list(_sent(history)), list(_polled(history))
    every = [*sent, *polled]
    one_each = all((a.offset == b.offset) == (a.value == b.value) for a in every for b in every if a.key == b.key)
    right = one_each and all(_was_sent(record, history) for record in polled)
    if not right or not _sends_grow(sent) or not _polls_go_on(history, sent, polled):
        return Expected.BROKEN
    seen = {(record.key, record.offset) for record in polled}
    return Expected.HOLDS if sent and polled and all((r.key, r.offset) in seen for r in sent) else Expected.OPEN


def _sent(history: History) -> Iterator[Record]:
    for op in history.operations:
        if op.f == "send" and op.type == OK:
            yield Record(op, op.result[0][1], *op.result[0][2])


def _polled(history: History) -> Iterator[Record]:
    for op in history.operations:
        for _, batches in op.result if op.f == "poll" and op.type == OK else ():
            for key, records in batches.items():
                yield from (Record(op, key, *record) for record in records)


def _was_sent(record: Record, history: History) -> bool:
    return any(
        op.f == "send" and op.type != FAIL and op.start_index < record.op.end_index
        and op.value[0][1:] == [record.key, record.value]
        for op in history.operations
    )  # fmt: skip


def _sends_grow(sent: Sequence[Record]) -> bool:
    return all(
        a.offset < b.offset for i, a in enumerate(sent) for b in sent[i + 1 :]
        if (a.key, a.op.process) == (b.key, b.op.process)
    )  # fmt: skip


def _polls_go_on(history: History, sent: Sequence[Record], polled: Sequence[Record]) -> bool:
    """Each consumer's offsets grow, past nothing that was acknowledged before; unless it lost its place."""
    lost = [op for op in history.operations if op.f == "poll" and op.type != OK]
    for i, now in enumerate(polled):
        mine = [r for r in polled[:i] if (r.key, r.op.process) == (now.key, now.op.process)]
        if not mine or any(
            mine[-1].op.start_index < op.start_index < now.op.start_index for op in lost if op.process == now.op.process
        ):
            continue
        before = mine[-1].offset
        passed = [r for r in sent if r.key == now.key and before < r.offset < now.offset]
        if now.offset <= before or any(record.op.end_index < now.op.start_index for record in passed):
            return False
    return True


def _send(process: int, offset: int, value: int, type_: str = OK) -> Did:
    return Did(process, "send", [["send", "p", value]], [["send", "p", [offset, value]]], type=type_)


def _poll(process: int, *records: tuple[int, int]) -> Did:
    return Did(process, "poll", [["poll"]], [["poll", {"p": [list(record) for record in records]}]])


CHECK: Final[Check] = Log().check
_POLL: Final = (Deed("poll", "poll", [["poll"]]),)
_THREE: Final = (_send(0, 0, 7), _send(0, 1, 8), _send(0, 2, 9))
FAMILY: Final = Family(
    name="log",
    draw=draw,
    questions=(Question("log", CHECK, judge, replay="--model log"),),
    sound=store.running(plan, _POLL * 60, steps=80),
    plants={
        "inconsistent-offset": scene(_send(0, 0, 7), _poll(1, (0, 8)), key=None),
        "duplicate": scene(_send(0, 0, 7), _poll(1, (0, 7), (1, 7)), key=None),
        "phantom": scene(_send(0, 0, 7), _poll(1, (0, 7), (1, 8)), key=None),
        "phantom, for the send failed": scene(_send(0, 0, 7), _send(0, 1, 8, FAIL), _poll(1, (0, 7), (1, 8)), key=None),
        "phantom, before it was sent": scene(_poll(1, (0, 7)), _send(0, 0, 7), key=None),
        "lost": scene(*_THREE, _poll(1, (0, 7), (2, 9)), key=None),
        "skipped": scene(*_THREE, _poll(2, (1, 8)), _poll(1, (0, 7), (2, 9)), key=None),
        "poll-went-back": scene(*_THREE, _poll(1, (0, 7), (1, 8)), _poll(1, (0, 7)), key=None),
        "send-went-back": scene(_send(0, 3, 7), _send(0, 1, 8), key=None),
    },
    laws={"other processes": laws.other_processes, "other times": laws.other_times},
    systems=(
        System(store.LINEARIZABLE, store.running(plan, _POLL * 60), True, CHECK),
        System(
            store.LOSSY,
            store.running(plan, _POLL * 60, isolation=store.LOSSY, steps=300),
            False,
            CHECK,
        ),
    ),
)
