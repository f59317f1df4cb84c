"""The checkers beside linearizability: each holds on a clean history and bites on the one trouble that it is for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.checkers.every_run.assumptions import Assumptions
from harness.checkers.every_run.attested import Attested
from harness.checkers.every_run.availability import Availability
from harness.checkers.every_run.errors import Errors
from harness.checkers.every_run.recovery import Recovery
from harness.checkers.every_run.stats import Stats
from harness.checkers.judge import judge
from harness.checkers.objects.linearizable import Linearizable
from harness.checkers.objects.set import SetFull
from harness.model.clock import NS_PER_S
from harness.model.history import History
from harness.model.op import INFO, INVOKE, OK, Op
from harness.model.verdict import Valid, Verdict, overall
from tests.notation import history, notation

CLEAN = "a:w1 a:ok b:r b:ok1"


# --- the notation itself -----------------------------------------------------------------------------------


def test_the_notation_says_what_it_shows() -> None:
    text = "a:w1 b:r a:ok b:ok_ c@x:c1,12 c:info a:r a:ok1 b:w3 b:fail"
    assert notation(history(text)) == text
    with pytest.raises(ValueError, match="begins no operation"):
        history("a:zzz")
    with pytest.raises(ValueError, match="is no event"):
        history("nonsense")


def test_the_notation_keeps_times_regions_errors_and_faults() -> None:
    events = history("a:r 500 n:stop a:info!timeout n:go", regions={"a": "us"})
    operation, fault = events.operations[0], events.faults[0]
    assert (operation.region, operation.error, operation.seen_end_ns) == ("us", "timeout", 501_000_000)
    assert (fault.start_ns, fault.end_ns, fault.effective, fault.healed) == (500_000_000, 502_000_000, True, True)
    assert Assumptions().check(events).valid is Valid.TRUE


# --- set ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a:+1 a:ok b:m b:ok{1}",
        "c:+7 c:ok a:+1 a:info b:m b:ok{7} b:m b:ok{7,1}",
        "c:+7 c:ok a:+1 a:info b:m b:ok{7}",
        "a:+1 b:m b:ok{} a:ok b:m b:ok{1}",
        "a:+1 a:ok a:+2 a:fail b:m b:ok{1}",
        "a@x:+1 a:ok a@y:+1 a:ok b@x:m b:ok{1} b@y:m b:ok{1}",
    ],
)
def test_a_set_that_kept_everything_holds(text: str) -> None:
    verdict = SetFull().check(history(text))
    assert verdict.valid is Valid.TRUE, verdict.summary


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("a:+1 a:ok b:m b:ok{}", "lost", "1 was lost: client 1 in eu missed it 1.0 ms after client 0's add"),
        ("a:+1 a:ok b:m b:ok{1} b:m b:ok{}", "lost", "after client 1's read had shown it"),
        ("a:+1 a:info b:m b:ok{1} b:m b:ok{}", "lost", "after client 1's read had shown it"),
        ("a:+1 a:ok b:m b:ok{} b:m b:ok{1}", "stale", "1 was stale: client 1 in eu missed it"),
        ("a:+1 a:ok b:m b:ok{1,1}", "duplicated", "read 1 twice"),
        ("a:+1 a:ok b:m b:ok{1,5}", "unexpected", "read 5, which nobody had added"),
        ("a:+1 a:ok a:+2 a:fail b:m b:ok{1,2}", "unexpected", "whose add by client 0 had not happened"),
        ("b:m b:ok{1} a:+1 a:ok b:m b:ok{1}", "unexpected", "read 1, whose add by client 0 had not happened"),
    ],
)
def test_what_a_set_does_wrong_is_named(text: str, kind: str, said: str) -> None:
    verdict = SetFull().check(history(text))
    assert verdict.valid is Valid.FALSE
    assert len(verdict.details[kind]) == 1
    assert said in verdict.summary
    assert [marked.mark for marked in verdict.excerpts[0].operations].count("culprit") == 1


@pytest.mark.parametrize(
    "text", ["", "a:+1 a:fail b:m b:ok{}", "a:+1 a:ok", "b:m b:ok{} a:+1 a:ok", "a:+1 a:ok b:m b:info"]
)
def test_a_set_without_a_final_read_is_unknown(text: str) -> None:
    assert SetFull().check(history(text)).valid is Valid.UNKNOWN


def test_an_element_that_nobody_could_read_is_counted() -> None:
    assert SetFull().check(history("b:m a:+1 a:ok b:ok{}")).details["never_read"] == [1]


def test_a_large_set_is_judged_quickly_and_one_loss_in_it_found() -> None:
    events: list[Op] = []

    def add(f: str, value: Any, type_: str) -> None:
        events.append(Op(type=type_, f=f, process=0, value=value, index=len(events), time_ns=len(events)))

    for element in range(3000):
        add("add", element, INVOKE)
        add("add", element, OK)
        if element % 30 == 29:
            add("members", None, INVOKE)
            add("members", list(range(element + 1)), OK)
    assert SetFull().check(History(events)).valid is Valid.TRUE
    short = [item for item in range(3000) if item != 1234]
    verdict = SetFull().check(History([*events[:-1], msgspec.structs.replace(events[-1], value=short)]))
    assert verdict.details["lost"] == [1234]


# --- stats -------------------------------------------------------------------------------------------------


def test_stats_count_by_kind_and_outcome() -> None:
    verdict = Stats().check(history("a:w1 a:ok b:r b:ok1 c:r c:info d:r d:fail"))
    assert verdict.valid is Valid.TRUE
    row = verdict.details["by_f"]["read"]
    assert (row["count"], row["ok"], row["fail"], row["info"]) == (3, 1, 1, 1)
    assert row["latency_ms"]["p50"] == 1.0


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "no client did anything"),
        ("a:w1 a:ok b:r b:info", "read never succeeded (1 attempt)"),
        (f"{CLEAN} 1000 n:stop 2000 n:go", "no client did anything during"),
        (f"n:stop 500 n:go 501 {CLEAN}", "no client did anything during"),
    ],
)
def test_too_little_evidence_is_unknown(text: str, cause: str) -> None:
    verdict = Stats().check(history(text))
    assert verdict.valid is Valid.UNKNOWN
    assert cause in verdict.cause


def test_an_operation_that_spans_a_fault_counts_as_tried_during_it() -> None:
    assert Stats().check(history(f"{CLEAN} a:r 1000 n:stop 2000 n:go a:ok1")).valid is Valid.TRUE


# --- availability and recovery ------------------------------------------------------------------------------


def test_availability_is_reported_by_region_and_fault() -> None:
    text = "a:r a:ok_ b:r b:ok_ 1000 n:stop a:r b:r b:ok_ 3000 a:info n:go 3500 c:r c:ok_"
    verdict = Availability().check(history(text, regions={"b": "us"}))
    assert verdict.valid is Valid.TRUE
    assert not verdict.judged
    eu, us = verdict.details["regions"]["eu"], verdict.details["regions"]["us"]
    assert (eu["ok_share"], us["ok_share"]) == (0.666667, 1.0)
    assert eu["longest_gap_s"] == 3.5
    assert (eu["faults"][0]["ok_share"], us["faults"][0]["ok_share"]) == (0.0, 1.0)
    assert eu["faults"][0]["back_after_s"] == 0.5
    assert us["faults"][0]["back_after_s"] is None


def test_availability_of_nothing_is_unknown() -> None:
    assert Availability().check(history("")).valid is Valid.UNKNOWN


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (CLEAN, Valid.TRUE),
        (f"{CLEAN} n:stop 1000 n:go 1500 a:r a:ok1", Valid.TRUE),
        (f"{CLEAN} n:stop a:r 1000 n:go 1500 a:ok1", Valid.TRUE),
        (f"{CLEAN} n:stop 1000 n:go 1500 a:r a:fail 7000 c:r c:info", Valid.FALSE),
        (f"{CLEAN} n:stop 1000 n:go 1500 a:r a:fail", Valid.UNKNOWN),
        (f"{CLEAN} n:stop 1000 n:go", Valid.UNKNOWN),
    ],
)
def test_a_region_must_come_back_after_the_last_heal(text: str, valid: Valid) -> None:
    verdict = Recovery().check(history(text))
    assert verdict.valid is valid, verdict.summary
    assert verdict.judged


def test_one_region_that_stays_away_is_named() -> None:
    text = f"{CLEAN} n:stop 1000 n:go a:r a:ok1 b:r b:fail 7000 b:r b:fail"
    verdict = Recovery().check(history(text, regions={"b": "us"}))
    assert verdict.valid is Valid.FALSE
    assert verdict.summary.startswith("us never came back: 2 operations tried over 6.0 s")


# --- errors, attestation, assumptions ------------------------------------------------------------------------


def test_expected_errors_are_fine_and_a_crash_of_a_client_is_not() -> None:
    assert (
        Errors().check(history(f"{CLEAN} a:r a:info!timeout a:r a:fail!refused:busy a:r a:info!unsure:x")).valid
        is Valid.TRUE
    )
    verdict = Errors().check(history(" ".join(f"a:r a:info!crash:KeyError:{n}" for n in range(5))))
    assert verdict.valid is Valid.UNKNOWN
    assert verdict.cause.startswith("5 operations ended with an error")
    assert "crash:KeyError:2 and 2 more" in verdict.cause


@pytest.mark.parametrize(
    ("start", "stop", "cause"),
    [
        ({"effective": True}, {"healed": True}, ""),
        ({"effective": False, "why": "the link stayed open"}, {"healed": True}, "did not bite: the link stayed open"),
        ({"effective": None}, {"healed": True}, "was never shown to bite"),
        ({"effective": True}, {"healed": False, "why": "still slow"}, "was not shown to be healed: still slow"),
        ({"effective": True}, None, "was not shown to be healed"),
    ],
)
def test_a_fault_must_bite_and_heal(start: dict[str, Any], stop: dict[str, Any] | None, cause: str) -> None:
    def event(f: str, type_: str, index: int, seen: dict[str, Any]) -> Op:
        value = {"id": "f3", "aim": "eu cut off", **seen}
        return Op(type=type_, f=f, key="partition-region", value=value, time_ns=index, index=index)

    events = [event("start", INVOKE, 0, {}), event("start", INFO, 1, start)]
    events += [event("stop", INVOKE, 2, {}), event("stop", INFO, 3, stop)] if stop else []
    verdict = Attested().check(History(events))
    assert verdict.valid is (Valid.UNKNOWN if cause else Valid.TRUE)
    assert cause in verdict.cause
    if cause:
        assert "partition-region f3 on eu cut off" in verdict.cause


def test_without_faults_it_matters_whether_any_was_planned() -> None:
    unplanned = Attested(planned=False).check(history(CLEAN))
    assert (unplanned.valid, unplanned.summary) == (Valid.TRUE, "no fault was planned")
    assert Attested(planned=True).check(history(CLEAN)).valid is Valid.UNKNOWN


def test_a_sound_record_is_trusted() -> None:
    assert Assumptions().check(history(CLEAN)).valid is Valid.TRUE


@pytest.mark.parametrize(
    ("events", "cause"),
    [
        ([Op(type=OK, f="read", process=3, time_ns=0)], "completes read, which it never invoked"),
        (
            [Op(type=INVOKE, f="read", process=3, time_ns=0), Op(type=INVOKE, f="write", process=3, time_ns=1)],
            "is open",
        ),
        (
            [Op(type=INVOKE, f="read", process=3, time_ns=9), Op(type=OK, f="read", process=3, time_ns=1)],
            "time goes back",
        ),
        (
            [Op(type=INVOKE, f="read", process=3, time_ns=0), Op(type=OK, f="write", process=3, time_ns=1)],
            "completes write",
        ),
        ([Op(type="maybe", f="read", process=3, time_ns=0)], "is none of"),
    ],
)
def test_an_unsound_record_is_not_judged(events: list[Op], cause: str) -> None:
    verdict = Assumptions().check(History(events))
    assert verdict.valid is Valid.UNKNOWN
    assert cause in verdict.cause


# --- all together --------------------------------------------------------------------------------------------


class Broken:
    """A checker with a bug."""

    name = "broken"

    def check(self, history: History) -> Verdict:
        raise KeyError("no such thing")


def test_a_checker_that_crashes_is_unknown_and_spares_the_others() -> None:
    first, second, third = judge(history("a:w1 a:ok b:r b:ok_"), (Stats(), Broken(), Linearizable()))
    assert (first.valid, second.valid, third.valid) == (Valid.TRUE, Valid.UNKNOWN, Valid.FALSE)
    assert second.checker == "broken"
    assert "KeyError" in second.details["traceback"]
    assert third.seconds > 0


def test_a_history_that_cannot_be_paired_is_unknown_to_all() -> None:
    torn = History([Op(type=OK, f="read", process=3, time_ns=0)])
    assert {verdict.valid for verdict in judge(torn, (Stats(), SetFull(), Linearizable(), Errors()))} == {Valid.UNKNOWN}


def test_details_are_json() -> None:
    events = history("a:w1 a:ok n:stop b:r b:ok_ n:go c:w2 c:info", regions={"b": "us"})
    checkers = (Linearizable(), SetFull(), Stats(), Attested(), Recovery(), Errors(), Availability(), Assumptions())
    verdicts = judge(events, checkers)
    assert msgspec.json.decode(msgspec.json.encode(verdicts), type=list[Verdict])
    assert overall(verdicts) is Valid.FALSE


def test_a_hundred_thousand_operations_are_counted_in_seconds() -> None:
    events = []
    for number in range(100_000):
        op = Op(type=INVOKE, f="read", process=number % 50, time_ns=number * 2, index=number * 2)
        events += [
            op,
            msgspec.structs.replace(op, type=OK, index=number * 2 + 1, time_ns=number * 2 + NS_PER_S // 1000),
        ]
    verdicts = judge(History(events), (Stats(), Availability(), Errors()))
    assert all(verdict.seconds < 20 for verdict in verdicts), "usually well under a second each"
