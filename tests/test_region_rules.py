"""The rules of failover over regions on records written by hand: one that breaks a rule, and its neighbour."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from harness.checkers.regions.pattern import GUARANTEES, Guarantee, all_guarantees, unsupported_by
from harness.model.history import STALLED, History
from harness.model.op import FAIL, INFO, INVOKE, NEMESIS, OK, Op
from harness.model.regions import JUDGE, SUBJECT
from harness.model.rollout import EXPECT, OBSERVE
from harness.model.verdict import Valid, Verdict

US, EU, AP = "us-east-1", "eu-west-1", "ap-southeast-1"


class Record:
    """A run in the making; times are seconds."""

    def __init__(self, interval_s: float = 1.0, threshold: int = 3) -> None:
        self._ops: list[tuple[float, dict[str, Any]]] = []
        self._events: list[dict[str, Any]] = []
        self._processes = 0
        self.note(0.0, SUBJECT, None, {"interval_s": interval_s, "threshold": threshold})

    def note(self, at: float, f: str, key: Any, value: Any) -> Record:
        for type_ in (INVOKE, INFO):
            self._add(at, type=type_, f=f, key=key, value=value, process=NEMESIS)
        return self

    def op(
        self, at: float, f: str, key: str, value: Any, result: Any = None, type_: str = OK, end: float = 0.0,
        region: str = US, **more: Any,
    ) -> Record:  # fmt: skip
        self._processes += 1
        given = {"value": value, **more}
        self._add(at, type=INVOKE, f=f, key=key, value=given, process=self._processes, region=region)
        self._add(end or at + 0.01, type=type_, f=f, key=key, value=result if type_ == OK else given,
                  process=self._processes, region=region)  # fmt: skip
        return self

    def write(self, at: float, key: str, value: int, by: str = US, epoch: int = 1, stamp: int = 0) -> Record:
        return self.op(at, "write", key, value, {"value": value, "served_by": by, "epoch": epoch, "stamp": stamp})

    def read(self, at: float, key: str, value: Any, region: str = US, session: str = "") -> Record:
        more: Any = {"session": session} if session else {}
        return self.op(at, "read", key, None, {"value": value, "served_by": region}, region=region, **more)

    def fault(self, start: float, end: float, *regions: str) -> Record:
        says = {"id": f"f{start}", "aim": "", "regions": list(regions), "nodes": []}
        self._add(start, type=INVOKE, f="start", key="cut", value=says, process=NEMESIS)
        self._add(start, type=INFO, f="start", key="cut", value={**says, "effective": True}, process=NEMESIS)
        self._add(end, type=INVOKE, f="stop", key="cut", value=says, process=NEMESIS)
        self._add(end, type=INFO, f="stop", key="cut", value={**says, "healed": True}, process=NEMESIS)
        return self

    def event(self, at: float, kind: str, region: str = "", **more: Any) -> Record:
        self._events.append({"kind": kind, "region": region, "index": len(self._events) + 1, "time_ns": round(at * 1e9),
                             "local": False, **more})  # fmt: skip
        return self

    def history(self) -> History:
        last = max(at for at, _ in self._ops) + 1.0
        self._add(last, type=INVOKE, f=OBSERVE, key=None, value={}, process=99_999)
        self._add(last, type=OK, f=OBSERVE, key=None, value=self._events, process=99_999)
        ordered = sorted(self._ops, key=lambda pair: pair[0])
        return History(Op(index=i, time_ns=round(at * 1e9), **told) for i, (at, told) in enumerate(ordered))

    def _add(self, at: float, **told: Any) -> None:
        self._ops.append((at, told))


def outcome(row: str, record: Record) -> Verdict:
    return Guarantee(row).check(record.history())


def failover(record: Record, at: float = 5.0, first: str = "promoted", then: str = "routed") -> Record:
    record.event(at, "marked", US, misses=3, by=EU)
    for i, kind in enumerate((first, then), 1):
        record.event(at + i / 10, kind, EU, **({"former": US, "epoch": 2} if kind == "promoted" else {}))
    return record


LOST = Record().fault(2.0, 9.0, US)
CASES: dict[str, tuple[Record, Record]] = {
    "MRA-5": (
        Record().fault(2.0, 9.0, AP).event(3.2, "marked", AP, misses=3, by=US),
        Record().fault(2.0, 9.0, AP).event(4.2, "marked", AP, misses=3, by=US),
    ),
    "MRA-6": (
        failover(Record().fault(2.0, 9.0, US), first="routed", then="promoted"),
        failover(Record().fault(2.0, 9.0, US)),
    ),
    "MRA-7": (
        Record().write(1.0, "a", 1).write(5.5, "b", 2, EU, 2).write(6.0, "c", 3),
        Record().write(1.0, "a", 1).write(5.5, "b", 2, EU, 2).write(5.49, "c", 3),
    ),
    "MRA-8": (
        failover(Record()).event(10.0, "joined", US, role="secondary").event(11.0, "promoted", US, former=EU, epoch=3),
        failover(Record()).event(10.0, "joined", US, role="secondary").event(10.9, "marked", EU, misses=3, by=AP)
        .event(11.0, "promoted", US, former=EU, epoch=3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", CASES)
def test_a_rule_sees_what_breaks_it_and_not_its_neighbour(row: str) -> None:
    broken, kept = CASES[row]
    assert outcome(row, broken).valid is Valid.FALSE
    assert outcome(row, kept).valid is Valid.TRUE, outcome(row, kept).summary


def test_a_mark_after_two_misses_is_one_too_early() -> None:
    assert outcome("MRA-5", Record().fault(2.0, 9.0, AP).event(4.5, "marked", AP, misses=2, by=US)).valid is Valid.FALSE


def test_misses_that_add_up_over_a_success_are_no_row_of_misses() -> None:
    record = Record()
    for begin in (1.0, 3.0, 5.0):
        record.fault(begin, begin + 0.5, AP)
    assert outcome("MRA-5", record.event(5.2, "marked", AP, misses=3, by=US)).valid is Valid.FALSE


def test_a_mark_that_no_fault_explains_is_unknown_and_not_the_systems_guilt() -> None:
    assert outcome("MRA-5", Record().event(4.0, "marked", AP, misses=3, by=US)).valid is Valid.UNKNOWN


@pytest.mark.parametrize(("first_s", "valid"), [(2.4, Valid.UNKNOWN), (1.2, Valid.FALSE)])
def test_checks_that_a_busy_machine_missed_before_the_loss_accuse_nobody(first_s: float, valid: Valid) -> None:
    """Only when they were in a row: after a check that succeeded the count begins anew."""
    record = Record().fault(4.0, 9.0, AP).event(4.45, "marked", AP, misses=3, by=US)
    for at in (first_s, 3.4, 4.4):
        record.event(at, "missed", AP, by=US, local=True)
    assert outcome("MRA-5", record).valid is valid


def test_one_term_has_one_region() -> None:
    assert outcome("MRA-7", Record().write(1.0, "a", 1).write(2.0, "b", 2, EU, 1)).valid is Valid.FALSE


def test_an_operators_switch_is_no_usurpation() -> None:
    record = failover(Record()).event(10.0, "joined", US, role="secondary").op(10.5, "switch", "", None, {}, region=EU)
    assert outcome("MRA-8", record.event(11.0, "promoted", US, former=EU, epoch=3)).valid is Valid.TRUE


@pytest.mark.parametrize("back", [False, True], ids=["still lost", "back again"])
def test_who_came_back_may_replace_a_primary_that_is_lost_already(back: bool) -> None:
    record = Record().event(3.0, "marked", EU, misses=3, by=US).event(4.0, "marked", US, misses=3, by=AP)
    if back:
        record.event(4.5, "joined", US, role="secondary")
    record.event(5.0, "joined", EU, role="secondary").event(6.0, "promoted", EU, former=US, epoch=2)
    assert outcome("MRA-8", record).valid is (Valid.FALSE if back else Valid.TRUE)


def test_a_second_failover_needs_a_mark_of_its_own() -> None:
    def record(*, marked: bool) -> Record:
        made = failover(Record().fault(2.0, 9.0, US)).event(10.0, "joined", US, role="secondary")
        made.event(20.0, "marked", EU, misses=3, by=US).event(20.1, "promoted", US, former=EU, epoch=3)
        made.event(20.2, "routed", US).event(25.0, "joined", EU, role="secondary")
        if marked:
            made.event(29.0, "marked", US, misses=3, by=EU)
        return made.event(30.0, "promoted", EU, former=US, epoch=4).event(30.1, "routed", EU)

    assert outcome("MRA-6", record(marked=False)).valid is Valid.FALSE
    assert outcome("MRA-6", record(marked=True)).valid is Valid.TRUE


@pytest.mark.parametrize(
    ("at", "type_", "valid"),
    [
        (10.5, OK, Valid.TRUE), (10.5, INFO, Valid.TRUE), (10.5, FAIL, Valid.FALSE), (50.0, OK, Valid.FALSE),
        (1.0, OK, Valid.FALSE),
    ],
    ids=["before it", "perhaps", "refused", "long after it", "before the last failover"],
)  # fmt: skip
def test_only_a_switch_that_can_be_meant_excuses_a_promotion(at: float, type_: str, valid: Valid) -> None:
    record = failover(Record()).event(10.0, "joined", US, role="secondary")
    record.op(at, "switch", "", None, {}, type_, region=EU).event(11.0, "promoted", US, former=EU, epoch=3)
    assert outcome("MRA-8", record).valid is valid
    assert outcome("MRA-6", record).valid is valid


def test_that_a_long_loss_was_not_marked_shows_no_patience() -> None:
    assert outcome("MRA-5", Record().fault(2.0, 4.0, AP)).details["outcome"] == "pass"
    assert outcome("MRA-5", Record().fault(2.0, 102.0, AP)).details["outcome"] == "untested"


def judge(record: Record, row: str, by: str, **options: Any) -> Verdict:
    sessions = bool(options.pop("sessions", False))
    value = {"by": by, "prefix": "", "sessions": sessions, "options": options}
    return outcome(row, record.note(20.0, JUDGE, row, value))


@pytest.mark.parametrize(
    ("seen", "may_lose_s", "valid", "says"),
    [
        (2, 0.0, Valid.TRUE, "pass"),
        (None, 0.0, Valid.FALSE, "fail"),
        (None, 0.5, Valid.FALSE, "fail"),
        (None, 2.0, Valid.TRUE, "allowed"),
        ("unread", 0.0, Valid.UNKNOWN, "unknown"),
    ],
)
def test_what_was_acknowledged_is_there_or_was_lost_within_its_window(
    seen: Any, may_lose_s: float, valid: Valid, says: str
) -> None:
    record = Record().write(1.0, "a", 1).write(2.0, "b", 2).fault(3.0, 5.0, US).read(9.0, "a", 1)
    verdict = judge(
        record if seen == "unread" else record.read(9.5, "b", seen), "MRA-9", "survives", may_lose_s=may_lose_s
    )
    assert (verdict.valid, verdict.details["outcome"]) == (valid, says)


@pytest.mark.parametrize(("value", "valid"), [(2, Valid.TRUE), (1, Valid.FALSE), (7, Valid.FALSE)])
def test_the_highest_stamp_is_the_last_write(value: int, valid: Valid) -> None:
    record = Record().write(1.0, "a", 1, US, 0, stamp=10).write(0.5, "a", 2, EU, 0, stamp=20).read(9.0, "a", value)
    assert judge(record, "MRA-17", "highest-stamp").valid is valid


def test_a_value_written_twice_counts_with_its_highest_stamp() -> None:
    record = Record().write(1.0, "a", 1, stamp=12).write(2.0, "a", 2, stamp=11).write(3.0, "a", 1, stamp=5)
    assert judge(record.read(9.0, "a", 1), "MRA-17", "highest-stamp").valid is Valid.TRUE


def test_a_key_that_nobody_read_in_the_end_leaves_the_winner_open() -> None:
    record = Record().write(1.0, "a", 1, stamp=1).write(2.0, "b", 1, stamp=2).read(9.0, "a", 1)
    verdict = judge(record, "MRA-17", "highest-stamp")
    assert (verdict.valid, "key b was not read" in verdict.cause) == (Valid.UNKNOWN, True)


def test_a_write_whose_end_nobody_saw_may_have_won() -> None:
    record = Record().write(1.0, "a", 1, US, 0, stamp=10).op(1.5, "write", "a", 3, type_=INFO).read(9.0, "a", 3)
    record.write(2.0, "b", 4, US, 0, stamp=11).read(9.5, "b", 4)
    assert judge(record, "MRA-17", "highest-stamp").valid is Valid.TRUE


@pytest.mark.parametrize(("row", "by"), [("MRA-14", "sessions"), ("MRA-16", "monotonic-reads")])
def test_a_session_is_followed_from_region_to_region(row: str, by: str) -> None:
    def record(second: int) -> Record:
        made = (
            Record()
            .op(1.0, "write", "a", 1, {"value": 1}, session="w")
            .op(2.0, "write", "a", 2, {"value": 2}, session="w")
        )
        return made.read(3.0, "a", 2, US, "s").read(4.0, "a", second, EU, "s")

    assert judge(record(1), row, by, sessions=True).valid is Valid.FALSE
    assert judge(record(2), row, by, sessions=True).valid is Valid.TRUE


@pytest.mark.parametrize(
    ("how", "wanted", "seen", "says"),
    [("is", 1, 1, "pass"), ("is", 1, 2, "fail"), ("report", None, 3, "report"),
     ("unsupported", None, None, "unsupported"),
     ("holds", "budget", "transfer Budget: 3", "pass"), ("in", ["a", "b"], "c", "fail")],
)  # fmt: skip
def test_what_a_scenario_expected_is_judged(how: str, wanted: Any, seen: Any, says: str) -> None:
    value = {"row": "MRA-27", "says": "x", "wanted": wanted, "seen": seen, "how": how}
    assert outcome("MRA-27", Record().note(1.0, EXPECT, "MRA-27", value)).details["outcome"] == says


@pytest.mark.parametrize(("stalls", "says"), [
    ([(1.0, 2.2)], "unknown"),
    ([(1.0, 1.4)], "fail"),
    ([(4.0, 6.0)], "fail"),  # after it
    ([(2.7, 4.0)], "fail"),  # mostly after it
    ([(2.4, 4.0)], "unknown"),
    ([(1.0, 1.2), (1.3, 1.5), (1.7, 1.9)], "unknown"),  # of one second, more than half
    ([(0.2, 0.4), (1.1, 1.3), (1.9, 2.1)], "fail"),
])  # fmt: skip
def test_what_a_starved_harness_did_not_see_accuses_nobody(stalls: list[tuple[float, float]], says: str) -> None:
    value = {"row": "MRA-27", "says": "answered", "wanted": 1, "seen": 0, "how": "is"}
    record = Record().note(3.0, EXPECT, "MRA-27", value)
    for began, ended in stalls:
        record.note(ended, STALLED, None, {"begin_ns": round(began * 1e9), "end_ns": round(ended * 1e9)})
    verdict = outcome("MRA-27", record)
    assert verdict.details["outcome"] == says
    assert ("stood still" in verdict.cause) == (says == "unknown")


def test_a_harness_that_stood_still_takes_nothing_back_that_was_seen_as_it_should_be() -> None:
    value = {"row": "MRA-27", "says": "answered", "wanted": 1, "seen": 1, "how": "is"}
    record = Record().note(3.0, EXPECT, "MRA-27", value)
    record.note(2.5, STALLED, None, {"begin_ns": 1_000_000_000, "end_ns": 2_500_000_000})
    assert outcome("MRA-27", record).details["outcome"] == "pass"


def test_nothing_passes_that_nothing_put_to_the_test() -> None:
    verdicts: Iterable[Verdict] = [each.check(Record().history()) for each in all_guarantees()]
    assert {verdict.details["outcome"] for verdict in verdicts} <= {"untested", "unknown"}
    assert len(GUARANTEES) == 44


def test_a_target_in_another_configuration_is_not_judged() -> None:
    assert "consistency" in unsupported_by({"consistency": "eventual"}, ["MRA-10"], {"consistency": "strong"})
    assert not unsupported_by({"consistency": "strong"}, ["MRA-10"], {"consistency": "strong"})
    assert not unsupported_by({}, ["MRA-10"], {"consistency": "strong"})
