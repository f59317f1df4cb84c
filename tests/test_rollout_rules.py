"""The rules of multiregion deployments on records written by hand: one that breaks a rule, and its neighbour."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from harness.checkers.rollouts.multiregion import GUARANTEES, Guarantee, all_guarantees, unsupported_by
from harness.checkers.rollouts.rules import rules
from harness.errors import Unsure
from harness.model.history import History
from harness.model.op import INFO, INVOKE, OK, Op
from harness.model.rollout import EXPECT, OBSERVE
from harness.model.verdict import Valid, Verdict
from harness.scenarios import Answer
from harness.workloads._rollouts import answered

REGIONS = ("north", "south", "east")
PEER = "Failed because of an error in peer region"
OWN = "Failed due to unhealthy allocations"
NEWER = "Cancelled due to newer version of job"


def record(
    text: str, *, strategy: dict[str, Any] | None = None, job: dict[str, Any] | None = None, until: float = 60.0,
    expectations: Iterable[dict[str, Any]] = (), acts: Iterable[tuple[float, str, dict[str, Any]]] = (),
) -> History:  # fmt: skip
    """A run with one job. A line of ``text`` is ``<seconds> <region> <status> [v<version>] [#index] [word=value]
    [: description]``; without ``#`` a region's lines are in the order of its index."""
    asked = {
        "ID": "web",
        "TaskGroups": [{"Update": {}}],
        "Multiregion": {"Strategy": strategy or {}, "Regions": [{"Name": region} for region in REGIONS]},
        **(job or {}),
    }
    ops: list[Op] = []

    def add(time_s: float, f: str, value: Any, result: Any, process: int = 0, key: Any = None) -> None:
        at = round(time_s * 1e9)
        ops.append(Op(index=len(ops), time_ns=at, type=INVOKE, f=f, process=process, key=key, value=value))
        ops.append(Op(index=len(ops), time_ns=at + 1, type=OK, f=f, process=process, key=key, value=result))

    add(0.0, "register", {"job": asked}, {})
    for at, f, value in acts:
        add(at, f, value, {}, process=1)
    changes = list(_changes(text))
    add(until, OBSERVE, {}, changes, process=2)
    for expected in expectations:
        for type_ in (INVOKE, INFO):
            ops.append(Op(index=len(ops), time_ns=ops[-1].time_ns, type=type_, f=EXPECT, key="x", value=expected))
    ops.sort(key=lambda op: op.time_ns)
    return History(ops)


def _changes(text: str) -> Iterable[dict[str, Any]]:
    for number, line in enumerate(filter(None, map(str.strip, text.splitlines())), 1):
        head, _, description = line.partition(" : ")
        time_s, region, status, *rest = head.split()
        told: dict[str, Any] = {"version": 0, "index": number, "desired": 1, "healthy": 1, "multiregion": True}
        for word in rest:
            if word.startswith("v"):
                told["version"] = int(word[1:])
            elif word.startswith("#"):
                told["index"] = int(word[1:])
            else:
                name, _, value = word.partition("=")
                told[name] = {"yes": True, "no": False}.get(value, value)
        at = round(float(time_s) * 1e9)
        id_ = f"{region}-{told['version']}"
        yield {"kind": "deployment", "region": region, "job": "web", "status": status, "time_ns": at, "wall_ns": at,
               "id": id_, "description": description, **told}  # fmt: skip


def outcome(row: str, history: History) -> Verdict:
    return Guarantee(row).check(history)


WAITING = "\n".join(f"0.1 {region} pending" for region in REGIONS)
RUN = "1 north running\n2 north blocked\n2.1 south running\n3 south blocked\n3.1 east running\n4 east blocked"
END = "4.1 east unblocking\n4.2 north successful\n4.2 south successful\n4.3 east successful"
SOUTH_FAILS = f"{WAITING}\n1 north running\n2 north blocked\n2.1 south running\n3 south failed : {OWN}"
GOOD = f"{WAITING}\n{RUN}\n{END}"
ONE = {"MaxParallel": 1}

CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "NOM-4": ({}, GOOD.replace("0.1 east", "1.1 east"), GOOD.replace("0.1 east", "1.01 east")),
    "NOM-5": ({}, GOOD.replace("0.1 north pending\n", ""), GOOD),
    "NOM-6": ({"strategy": ONE}, GOOD.replace("2.1 south", "1.9 south"), GOOD.replace("2.1 south", "1.99 south")),
    "NOM-7": ({}, GOOD.replace("4.2 north", "3.5 north"), GOOD),
    "NOM-8": ({}, f"{WAITING}\n{RUN}", GOOD),
    "NOM-9": (
        {"strategy": {"MaxParallel": 2}},
        f"{WAITING}\n1 south running\n1.5 north running\n1.6 east running\n",
        f"{WAITING}\n1 south running\n1.01 north running\n1.6 east running\n",
    ),
    "NOM-10": (
        {},
        f"{WAITING}\n1 north cancelled #8 : {OWN}\n1 north pending v1 #8",
        f"{WAITING}\n1 north cancelled #8 : {NEWER}\n1 north pending v1 #8",
    ),
    "NOM-11": (
        {},
        f"{SOUTH_FAILS}\n3.1 east running",
        f"{SOUTH_FAILS}\n3.1 east failed : {PEER}",
    ),
    "NOM-12": (
        {"strategy": {"OnFailure": "fail_all"}},
        f"{WAITING}\n1 south running\n3 south failed : {OWN}\n3.1 east failed : {PEER}",
        f"{WAITING}\n1 south running\n3 south failed : {OWN}\n3.1 east failed : {PEER}\n3.2 north failed : {PEER}",
    ),
    "NOM-13": (
        {"strategy": {"OnFailure": "fail_local"}},
        f"{WAITING}\n1 south running\n3 south failed : {OWN}\n3.1 east failed : {PEER}",
        f"{WAITING}\n1 south running\n3 south failed : {OWN}\n3.1 east running\n4 east blocked\n1 north running\n"
        "2 north blocked",
    ),
    "NOM-14": (
        {"job": {"TaskGroups": [{"Update": {"AutoRevert": True}}]}},
        f"{WAITING}\n1 south running v1\n3 south failed v1 : {OWN} - rolling back to job version 0",
        f"{WAITING}\n1 south running v1\n3 south failed v1 #9 : {OWN} - rolling back to job version 0\n"
        "3 south running v2 #9 multiregion=no",
    ),
    "NOM-22": ({}, f"{GOOD}\n5 north failed : {OWN}", GOOD),
    "NOM-29": (
        {},
        f"{WAITING}\n1 north running\n2 north blocked\n3 north running\n",
        f"{WAITING}\n1 north running\n2 north paused\n3 north running\n",
    ),
    "NOM-37": (
        {},
        "1 north pending multiregion=no",
        "1 north running multiregion=no\n2 north successful multiregion=no",
    ),
    "state-machine": ({}, GOOD.replace("2 north blocked\n", ""), GOOD),
}


@pytest.mark.parametrize("row", CASES)
def test_a_rule_is_broken_by_this_record_and_not_by_its_neighbour(row: str) -> None:
    more, bad, good = CASES[row]
    broken = outcome(row, record(bad, **more))
    assert (broken.valid, broken.details["outcome"]) == (Valid.FALSE, "fail"), broken.summary
    assert broken.excerpts
    assert broken.details["marks"][0]["culprit"] is True
    kept = outcome(row, record(good, **more))
    assert kept.valid is not Valid.FALSE, kept.summary
    assert kept.details["outcome"] in ("pass", "untested"), kept.summary


def test_every_rule_has_a_case() -> None:
    assert set(CASES) == set(rules())


def test_a_good_rollout_breaks_nothing_and_what_it_does_not_touch_is_untested() -> None:
    found = {each.row: each.check(record(GOOD, strategy=ONE)) for each in all_guarantees()}
    assert set(found) == set(GUARANTEES)
    passed = {row for row, verdict in found.items() if verdict.details["outcome"] == "pass"}
    assert passed == {"NOM-4", "NOM-5", "NOM-6", "NOM-7", "NOM-8", "NOM-9", "state-machine"}
    rest = {verdict.details["outcome"] for row, verdict in found.items() if row not in passed}
    assert rest == {"untested"}
    assert not any(verdict.judged for row, verdict in found.items() if row not in passed)


def test_an_operator_who_unblocks_one_region_breaks_nothing() -> None:
    early = GOOD.replace("4.2 north", "2.5 north")
    assert outcome("NOM-7", record(early)).valid is Valid.FALSE
    by_hand = [(2.4, "unblock", {"deployment": "north-0", "region": "north"})]
    assert outcome("NOM-7", record(early, acts=by_hand)).valid is Valid.TRUE


def test_a_region_that_was_let_go_while_another_failed_is_allowed_only_when_all_had_been_done() -> None:
    by_hand = "4.1 north successful\n4.11 south failed : Deployment marked as failed"
    failed = f"{WAITING}\n{RUN}\n{by_hand}\n4.2 east failed : {PEER}"
    verdict = outcome("NOM-12", record(failed, strategy={"OnFailure": "fail_all"}))
    assert (verdict.valid, verdict.details["outcome"]) == (Valid.TRUE, "allowed"), verdict.summary
    undone = failed.replace("4 east blocked\n", "")
    assert outcome("NOM-12", record(undone, strategy={"OnFailure": "fail_all"})).valid is Valid.FALSE


def test_what_was_watched_too_shortly_is_unknown_and_no_violation() -> None:
    verdict = outcome("NOM-8", record(f"{WAITING}\n{RUN}", until=6.0))
    assert (verdict.valid, verdict.details["outcome"]) == (Valid.UNKNOWN, "unknown")
    failing = f"{WAITING}\n1 north running\n2 north failed : {OWN}"
    assert outcome("NOM-11", record(failing, until=3.0)).valid is Valid.UNKNOWN
    assert outcome("NOM-11", record(failing, until=30.0)).valid is Valid.FALSE


def test_a_gap_in_what_was_seen_is_no_illegal_step() -> None:
    seen = GOOD.replace("2 north blocked\n", "").replace("4.2 north successful", "4.2 north successful gap=yes")
    assert outcome("state-machine", record(seen)).valid is Valid.TRUE
    assert outcome("state-machine", record(seen.replace(" gap=yes", ""))).valid is Valid.FALSE


UNSEEN: dict[str, tuple[str, dict[str, Any], str]] = {
    "acceptance": ("NOM-4", {}, "0.1 north pending\n0.1 south pending\n1 north running\n3 east running gap=yes"),
    "the end of running": ("NOM-6", {"strategy": ONE}, f"{WAITING}\n1 north running\n2.1 south running\n"
                           "3 south blocked\n3.1 east running\n4 east blocked\n4.3 north successful gap=yes"),
    "being done": ("NOM-7", {}, f"{WAITING}\n1 north running\n2 north blocked\n1 south running\n3 south blocked\n"
                   "1 east running\n4.2 north successful\n4.6 east successful gap=yes"),
    "the start": ("NOM-9", {"strategy": {"MaxParallel": 2}},
                  f"{WAITING}\n5 north blocked gap=yes\n2 south running\n3 south blocked\n4 east running"),
    "being done before a failure": ("NOM-12", {"strategy": {"OnFailure": "fail_all"}},
                                    f"{WAITING}\n1 south running\n1 north running\n1 east running\n2 north blocked\n"
                                    "2 south blocked\n4 north successful\n4.02 east failed gap=yes : {OWN}\n"
                                    f"4.1 south failed : {PEER}"),
    "a pause": ("NOM-29", {}, f"{WAITING}\n1 north running\n2 north blocked\n5 north running gap=yes"),
}  # fmt: skip


@pytest.mark.parametrize("unseen", UNSEEN)
def test_what_an_observer_may_have_missed_accuses_nobody(unseen: str) -> None:
    row, more, text = UNSEEN[unseen]
    assert outcome(row, record(text, **more)).valid is not Valid.FALSE
    assert outcome(row, record(text.replace(" gap=yes", ""), **more)).valid is Valid.FALSE


def test_who_fails_first_of_all_has_not_accepted() -> None:
    text = "0.1 north pending\n0.1 south pending\n0.1 east failed\n1 north running"
    assert outcome("NOM-4", record(text)).valid is Valid.FALSE


NEW_ONE = (
    f"{WAITING}\n1 north running\n5 north pending v1 #20\n5 south pending v1 #20\n5 south cancelled #20 : {NEWER}\n"
    f"5 east pending v1 #20\n5 east cancelled #20 : {NEWER}"
)


def test_an_older_version_that_nobody_cancels_stands_beside_the_newer_one() -> None:
    assert outcome("NOM-10", record(NEW_ONE)).valid is Valid.FALSE
    assert outcome("NOM-10", record(NEW_ONE, until=6.0)).valid is Valid.UNKNOWN
    cancelled = f"{NEW_ONE}\n5.01 north cancelled #20 : {NEWER}"
    assert outcome("NOM-10", record(cancelled)).valid is Valid.TRUE


def test_with_fail_local_the_others_go_on() -> None:
    more: dict[str, Any] = {"strategy": {"OnFailure": "fail_local"}}
    stuck = f"{WAITING}\n1 north running\n2 north failed : {OWN}\n3 south running\n4 south blocked"
    assert outcome("NOM-13", record(stuck, **more)).valid is Valid.FALSE
    assert outcome("NOM-13", record(stuck, until=8.0, **more)).valid is Valid.UNKNOWN
    canary = f"{stuck}\n4 east running awaits_promotion=yes"
    assert outcome("NOM-13", record(canary, **more)).valid is Valid.TRUE


def test_a_rollback_that_nobody_could_see_yet_is_unknown() -> None:
    more: dict[str, Any] = {"job": {"TaskGroups": [{"Update": {"AutoRevert": True}}]}}
    text = f"{WAITING}\n1 south running v1\n3 south failed v1 : {OWN} - rolling back to job version 0"
    assert outcome("NOM-14", record(text, until=3.1, **more)).valid is Valid.UNKNOWN
    assert outcome("NOM-14", record(text, **more)).valid is Valid.FALSE


def test_a_job_of_which_only_some_groups_go_back_may_stay() -> None:
    some: dict[str, Any] = {"TaskGroups": [{"Update": {"AutoRevert": True}}, {"Update": {"AutoRevert": False}}]}
    text = f"{WAITING}\n1 south running\n3 south failed : {OWN}"
    assert outcome("NOM-14", record(text, job=some)).valid is Valid.TRUE


def test_a_refused_request_is_not_what_a_version_was_asked_by() -> None:
    history = list(record(GOOD.replace("2.1 south", "1.5 south"), strategy={"MaxParallel": 3}))
    other = {"ID": "web", "Multiregion": {"Strategy": ONE, "Regions": [{"Name": region} for region in REGIONS]}}
    asked: dict[str, Any] = {"f": "register", "process": 9, "value": {"job": other}, "time_ns": 20_000_000}
    for type_, valid in (("fail", "untested"), (OK, "fail")):
        refused = [Op(type=INVOKE, **asked), Op(type=type_, **asked)]
        verdict = outcome("NOM-6", History([*history[:2], *refused, *history[2:]]))
        assert verdict.details["outcome"] == valid


def test_an_allocation_of_a_region_that_was_not_seen_to_run_is_not_early() -> None:
    history = list(record(f"{WAITING}\n9 north blocked #50 gap=yes"))
    observed = next(op for op in history if op.f == OBSERVE and op.type == OK)
    observed.value.append({"kind": "alloc", "region": "north", "job": "web", "version": 0, "id": "a", "index": 20,
                           "time_ns": 1, "created": 20})  # fmt: skip
    assert outcome("NOM-5", History(history)).valid is Valid.TRUE


def test_an_allocation_before_running_breaks_the_promise_to_wait() -> None:
    history = list(record(GOOD))
    observed = next(op for op in history if op.f == OBSERVE and op.type == OK)
    alloc = {"kind": "alloc", "region": "south", "job": "web", "version": 0, "id": "a", "index": 5, "time_ns": 1}
    for created, valid in ((1, Valid.FALSE), (500, Valid.TRUE)):
        observed.value.append(alloc | {"created": created})
        assert outcome("NOM-5", History(history)).valid is valid
        observed.value.pop()


@pytest.mark.parametrize(
    ("how", "wanted", "seen", "outcome_"),
    [
        ("is", 1, 1, "pass"),
        ("is", 1, 2, "fail"),
        ("in", [1, 2], 2, "pass"),
        ("in", [1, 2], 3, "fail"),
        ("holds", "No path", "500: no path to region", "pass"),
        ("holds", "No path", "", "fail"),
        ("report", None, 7, "report"),
        ("unsupported", None, None, "unsupported"),
    ],
)
def test_what_a_scenario_expected_is_compared(how: str, wanted: Any, seen: Any, outcome_: str) -> None:
    said = {"row": "NOM-30", "says": "the index", "wanted": wanted, "seen": seen, "how": how}
    verdict = outcome("NOM-30", record("", expectations=[said]))
    assert verdict.details["outcome"] == outcome_
    assert (verdict.valid is Valid.FALSE) == (outcome_ == "fail")
    if outcome_ == "fail":
        assert repr(wanted) in verdict.summary


def test_an_open_source_build_is_judged_by_its_federation_only() -> None:
    assert not unsupported_by({"edition": "oss"}, ["NOM-36"])
    assert not unsupported_by({"edition": "oss"}, ["NOM-1", "NOM-2"])
    assert "no multiregion" in unsupported_by({"edition": "oss"}, ["NOM-6"])
    assert "no multiregion" in unsupported_by({"edition": "oss"}, ["NOM-1", "NOM-6"])
    assert unsupported_by({"edition": "ent"}, ["NOM-36"])
    assert not unsupported_by({"edition": "ent"}, ["NOM-6"])


@pytest.mark.parametrize(
    ("type_", "error", "silent"),
    [
        (OK, "", False),
        ("fail", "refused: 500: No path to region", False),
        (INFO, "unsure: 500: rpc error: EOF", False),
        (INFO, "timeout", True),
        (INFO, "unsure: the connection was closed", True),
        ("fail", "refused: no connection within the time limit", True),
    ],
)
def test_silence_is_no_answer_that_a_guarantee_could_be_judged_by(type_: str, error: str, silent: bool) -> None:
    answer = Answer(type_, None, error)
    if silent:
        with pytest.raises(Unsure, match="nobody answered"):
            answered(answer)
    else:
        assert answered(answer) is answer
