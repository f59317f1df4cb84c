"""Event logs of deployment tools: every rule with a log that breaks it and its neighbour that does not, what is easy to
get wrong, and the words for a wrong file. Random logs are compared with a slow oracle by ``rift certify rollout``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import yaml

from harness.checkers.rollouts import waves
from harness.errors import UsageError
from harness.formats import _wave_log as wave_log
from harness.kernels.rollouts import versions as wave_versions
from harness.model.history import History
from harness.model.op import INVOKE, OK, Op
from harness.model.rollout import OBSERVE
from harness.model.verdict import Valid, Verdict

PLAN: dict[str, Any] = {"waves": [["a", "b"], ["c"]]}


def judged(tmp_path: Path, plan: dict[str, Any], events: Iterable[dict[str, Any]]) -> Verdict:
    """The verdict on events by a plan, through the files that a user writes."""
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(map(msgspec.json.encode, events)))
    asked = wave_log.load_plan(tmp_path / "plan.yaml")
    return waves.check(wave_log.load_log(tmp_path / "events.jsonl", asked), asked.plan)


def broken(verdict: Verdict) -> list[str]:
    assert (verdict.valid is Valid.FALSE) == bool(verdict.details["anomalies"])
    return list(verdict.details["anomalies"])


def told(text: str) -> list[dict[str, Any]]:
    """Events as ``<seconds> <region> <event> <version>``, one a line; ``-`` for none."""
    names = ("time", "region", "event", "version", "from")
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        event: dict[str, Any] = dict(zip(names, line.split(), strict=False))
        found.append({k: float(v) if k == "time" else v for k, v in event.items() if v != "-"})
    return found


GOOD = """
0  a started v1
1  b started v1
5  a succeeded v1
6  b succeeded v1
20 c started v1
25 c succeeded v1
"""


def test_a_rollout_that_follows_its_plan_is_valid_and_says_what_was_tested(tmp_path: Path) -> None:
    plan = PLAN | {"bake": 10, "max_parallel": 2, "max_version_skew": 1, "deadline": "25s"}
    verdict = judged(tmp_path, plan, told(GOOD))
    assert verdict.valid is Valid.TRUE, verdict.summary
    assert "wave order (1)" in verdict.summary
    assert verdict.details["rules"]["bake time"] == {"outcome": "pass", "broken": 0, "tested": 1}


CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "legal steps": ({}, "0 a started v1\n1 a succeeded v1\n2 a succeeded v2", "0 a started v1\n1 a succeeded v1"),
    "wave order": ({}, GOOD.replace("20 c", "5.5 c"), GOOD.replace("20 c", "6 c")),
    "bake time": ({"bake": "15s"}, GOOD, GOOD.replace("20 c", "21 c")),
    "max_parallel": ({"max_parallel": 1}, GOOD, GOOD.replace("1  b", "5  b")),
    "version skew": (
        {"max_version_skew": 1},
        "0 a started v1\n1 a succeeded v1\n1 b started v1\n2 b succeeded v1\n3 a started v2\n4 a succeeded v2\n"
        "5 a started v3",
        "0 a started v1\n1 a succeeded v1\n1 b started v1\n2 b succeeded v1\n3 a started v2\n4 a succeeded v2\n"
        "4 b started v2\n5 b succeeded v2\n5 a started v3",
    ),
    "halt on alarm": (
        {"halt_on_alarm": True},
        "0 a started v1\n1 - alarm -\n2 b started v1\n3 - alarm-cleared -",
        "0 a started v1\n1 - alarm -\n3 - alarm-cleared -\n3 b started v1",
    ),
    "halt on failure": (
        {"on_failure": "halt"},
        "0 a started v1\n1 a failed v1\n2 b started v1",
        "0 a started v1\n1 a failed v1\n2 a started v1\n3 b started v1",
    ),
    "rollback in time": (
        {"rollback": {"to": "anything", "within": "5s"}},
        "0 a started v2\n1 a failed v2\n7 a rolled-back v1",
        "0 a started v2\n1 a failed v2\n6 a rolled-back v1",
    ),
    "rollback safety": (
        {"rollback": {}, "initial": "v1"},
        "0 a started v2\n1 a succeeded v2\n2 a started v3\n3 a failed v3\n4 a rolled-back v1",
        "0 a started v2\n1 a succeeded v2\n2 a started v3\n3 a failed v3\n4 a rolled-back v2",
    ),
    "version floor": (
        {"rollback": {"to": "anything", "never_below": {"v3": "v2"}}, "initial": "v1"},
        "0 a started v2\n1 a succeeded v2\n1 b started v2\n2 b succeeded v2\n3 c started v2\n4 a started v3",
        "0 a started v2\n1 a succeeded v2\n1 b started v2\n2 b succeeded v2\n3 c started v2\n4 c succeeded v2\n"
        "5 a started v3",
    ),
    "deadline": ({"deadline": 20}, GOOD, GOOD.replace("25 c", "20 c").replace("20 c started", "19 c started")),
    "accepted first": (
        {"accept_first": True},
        "0 a accepted v1\n1 a started v1\n2 b accepted v1\n3 c accepted v1",
        "0 a accepted v1\n0 b accepted v1\n1 c accepted v1\n1 a started v1",
    ),
    "list order": ({"in_order": True}, GOOD.replace("0  a", "3  a"), GOOD),
    "waits for the last": (
        {"wait_for_last": True, "waves": [["a", "b"]]},
        "0 a started v1\n0 b started v1\n1 a blocked v1\n2 a succeeded v1\n3 b blocked v1\n4 b succeeded v1",
        "0 a started v1\n0 b started v1\n1 a blocked v1\n2 b blocked v1\n3 a succeeded v1\n4 b succeeded v1",
    ),
}


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_is_broken_by_this_log_and_not_by_its_neighbour(tmp_path: Path, rule: str) -> None:
    more, bad, good = CASES[rule]
    verdict = judged(tmp_path, PLAN | more, told(bad))
    assert broken(verdict) == [rule], verdict.summary
    assert verdict.excerpts[0].steps[0].endswith(")"), "a sentence names its lines"
    kept = judged(tmp_path, PLAN | more, told(good))
    assert kept.valid is Valid.TRUE, kept.summary
    assert kept.details["rules"][rule]["outcome"] == "pass"


def test_every_rule_has_a_case() -> None:
    everything: dict[str, Any] = {"bake": 1, "max_parallel": 1, "max_version_skew": 1, "halt_on_alarm": True}
    everything |= {"on_failure": "halt", "deadline": 1, "accept_first": True, "in_order": True, "wait_for_last": True}
    everything |= {"rollback": {"within": 1, "never_below": {"v3": "v2"}}}
    plan = wave_log._asked(msgspec.convert(PLAN | everything, wave_log._Plan, strict=False)).plan
    assert all(asked(plan) for asked, _ in waves._RULES)
    assert len(CASES) == len(waves._RULES)


def test_what_the_clocks_can_explain_is_no_violation(tmp_path: Path) -> None:
    early = told(GOOD.replace("20 c", "5.5 c"))
    assert judged(tmp_path, PLAN | {"clock_skew": "500ms"}, early).valid is Valid.TRUE
    assert broken(judged(tmp_path, PLAN | {"clock_skew": "400ms"}, early)) == ["wave order"]


def test_going_back_in_an_alarm_is_what_an_alarm_asks_for(tmp_path: Path) -> None:
    log = "0 a started v1\n1 a succeeded v1\n2 a started v2\n3 - alarm -\n4 a started v1\n5 a succeeded v1"
    assert judged(tmp_path, PLAN | {"halt_on_alarm": True}, told(log)).valid is Valid.TRUE


def test_an_alarm_of_one_service_does_not_halt_another(tmp_path: Path) -> None:
    events = told("0 a started v1\n1 - alarm -\n2 b started v1")
    events[1]["service"] = "other"
    assert judged(tmp_path, PLAN | {"halt_on_alarm": True}, events).valid is Valid.TRUE
    events[0]["service"] = events[2]["service"] = "other"
    assert broken(judged(tmp_path, PLAN | {"halt_on_alarm": True}, events)) == ["halt on alarm"]


def test_a_log_that_ends_too_early_is_unknown_and_one_that_says_nothing_as_well(tmp_path: Path) -> None:
    failing = told("0 a started v2\n1 a failed v2")
    verdict = judged(tmp_path, PLAN | {"rollback": {"to": "anything", "within": "5s"}}, failing)
    assert (verdict.valid, "the log ends before" in verdict.cause) == (Valid.UNKNOWN, True)
    assert judged(tmp_path, PLAN, []).valid is Valid.UNKNOWN
    assert judged(tmp_path, PLAN | {"halt_on_alarm": True}, told("0 - alarm -")).valid is Valid.UNKNOWN


def test_a_log_that_begins_in_the_middle_is_not_accused_of_its_beginning(tmp_path: Path) -> None:
    log = told("0 a succeeded v1\n1 b blocked v1\n2 a started v2")
    assert judged(tmp_path, PLAN | {"initial": "v1", "max_version_skew": 1}, log).valid is Valid.TRUE


# --- what is easy to get wrong -----------------------------------------------------------------------------

BACK: dict[str, Any] = {"waves": [["a", "b"]], "rollback": {}, "initial": "v1"}
FLOOR: dict[str, Any] = {"initial": "v1", "rollback": {"to": "anything", "never_below": {"v3": "v2"}}}
V3_EVERYWHERE = "\n".join(
    f"{at} {region} {event} v3" for at, region in enumerate("abc") for event in ("started", "succeeded")
)
LAWFUL: dict[str, tuple[dict[str, Any], str]] = {
    "going back by a start is no rollout": (
        {"versions": ["v1", "v2"], "bake": 1, "in_order": True, "deadline": 100},
        "0 a started v2\n1 a succeeded v2\n1 b started v2\n2 b succeeded v2\n10 c started v2\n11 c failed v2\n"
        "12 c started v1\n13 c succeeded v1\n500 a failed v2",
    ),
    "going back by a start is final at once": (
        {"waves": [["a", "b"]], "wait_for_last": True, "versions": ["v1", "v2"]},
        "0 a started v2\n0 b started v2\n1 a failed v2\n2 a started v1\n3 a succeeded v1\n4 b blocked v2",
    ),
    "clocks differ at the end of an alarm": (
        {"halt_on_alarm": True, "clock_skew": 1},
        "0 - alarm -\n10 - alarm-cleared -\n9.5 a started v1\n11 a succeeded v1",
    ),
    "clocks differ at the end of a failure": (
        {"on_failure": "halt", "clock_skew": 1}, "0 a started v1\n1 a failed v1\n10 a started v1\n9.5 b started v1",
    ),
    "clocks differ at a deadline": (
        {"waves": [["a", "b"]], "deadline": 10, "clock_skew": 1},
        "0 a started v1\n1 a succeeded v1\n5 b started v1\n10.5 b succeeded v1\n50 a failed v1",
    ),
    "clocks differ where versions meet": (
        {"waves": [["a", "b"]], "initial": "v1", "max_version_skew": 1, "clock_skew": 1},
        "0 a started v2\n10 a succeeded v2\n1 b started v2\n2 b succeeded v2\n9.5 b started v3",
    ),
    "a tool says once more that it runs": (
        {"halt_on_alarm": True}, "0 a started v1\n1 - alarm -\n2 a running v1\n5 - alarm-cleared -",
    ),
    "a fix between the old and the bad one is new": (
        BACK | {"versions": ["v1", "v1.5", "v2"]},
        "0 a started v2\n1 a failed v2\n2 a rolled-back v1\n3 a started v1.5\n4 a succeeded v1.5",
    ),
    "older than what ran before is going back": (
        {"versions": ["v0", "v1"], "initial": "v1", "halt_on_alarm": True},
        "0 - alarm -\n1 a started v0\n2 a succeeded v0",
    ),
    "going back twice": (
        BACK,
        "0 a started v2\n1 a succeeded v2\n2 a started v3\n3 a failed v3\n4 a rolled-back v2 v3\n5 a failed v2\n"
        "6 a rolled-back v1 v2",
    ),
    "the version that is left was good once": (
        {"rollback": {}, "versions": ["v1", "v2"]}, "0 a succeeded v2\n1 a failed v2\n2 a rolled-back v1",
    ),
    "a version deployed anew fails": (
        BACK, "0 a started v2\n1 a succeeded v2\n2 a started v2\n3 a failed v2\n4 a rolled-back v1",
    ),
    "who never started has nothing to go back from": (
        {"initial": "v1", "rollback": {"to": "anything", "within": 5}},
        "0 a pending v2\n1 a failed v2\n50 b started v2\n51 b succeeded v2",
    ),
    "a failure is over when it is tried again there, whatever came between": (
        {"on_failure": "halt"},
        "0 a started v2\n1 a failed v2\n2 a rolled-back v1\n3 a started v3\n4 a failed v3\n5 a rolled-back v1\n"
        "6 a started v2\n7 a succeeded v2\n8 b started v2",
    ),
    "what ran before stands between other versions": (
        {"waves": [["a", "b"]], "versions": ["v0", "v1", "v2"], "initial": "v1", "max_version_skew": 1},
        "0 a started v2\n1 a succeeded v2\n1 b started v2\n2 b succeeded v2",
    ),
    "a region went on to another version without a word": (
        {"waves": [["a", "b"]], "max_parallel": 1},
        "0 a started v1\n1 a started v2\n2 a succeeded v2\n3 b started v1\n4 b succeeded v1",
    ),
    "what was gone back to is done": ({}, "0 a started v2\n1 a failed v2\n2 a rolled-back v1\n3 a succeeded v1"),
}  # fmt: skip


@pytest.mark.parametrize("case", LAWFUL)
def test_what_is_lawful_is_not_accused(tmp_path: Path, case: str) -> None:
    plan, text = LAWFUL[case]
    verdict = judged(tmp_path, PLAN | plan, told(text))
    assert verdict.valid is Valid.TRUE, verdict.summary


UNLAWFUL: dict[str, tuple[str, dict[str, Any], str]] = {
    "a second attempt keeps the order, too": (
        "wave order",
        {},
        "0 a started v2\n1 b started v2\n2 a succeeded v2\n3 b succeeded v2\n4 c started v2\n5 c failed v2\n"
        "6 c rolled-back v1\n6 a rolled-back v1\n6 b rolled-back v1\n10 c started v2",
    ),
    "a second attempt bakes, too": (
        "bake time",
        {"waves": ["a", "b"], "bake": 5},
        "0 a started v2\n1 a succeeded v2\n6 b started v2\n7 b failed v2\n8 b rolled-back v1\n8 a rolled-back v1\n"
        "9 a started v2\n10 a succeeded v2\n11 b started v2",
    ),
    "a region that goes back has both versions": (
        "version skew",
        {"waves": [["a", "b"]], "versions": ["v1", "v2", "v3"], "max_version_skew": 1},
        "0 a succeeded v3\n0 b succeeded v3\n1 a started v1\n2 b started v1",
    ),
    "a fix in an alarm is new, although a newer one was given up": (
        "halt on alarm",
        {"versions": ["v1", "v1.5", "v2"], "initial": "v1", "halt_on_alarm": True},
        "0 a started v2\n1 a failed v2\n2 a rolled-back v1\n2.5 - alarm -\n3 a started v1.5\n4 a succeeded v1.5",
    ),
    "what was found bad is not good any more": (
        "rollback safety",
        {"initial": "v1", "rollback": {}},
        "0 a started v2\n1 a succeeded v2\n2 a failed v2\n3 a started v3\n4 a failed v3\n5 a rolled-back v2",
    ),
    "a region left the floor again": (
        "version floor",
        FLOOR,
        "0 a started v2\n1 a succeeded v2\n1 b started v2\n2 b succeeded v2\n3 c started v2\n4 c succeeded v2\n"
        "5 c rolled-back v1\n6 a started v3",
    ),
    "it was given up only after the deadline": (
        "deadline", {"deadline": 10}, "0 a started v1\n1 a succeeded v1\n2 b started v1\n50 b cancelled v1",
    ),
    "who refuses has not accepted": (
        "accepted first",
        {"accept_first": True, "waves": [["a", "b"]]},
        "0 a accepted v1\n0 b failed v1\n1 a started v1\n2 a succeeded v1",
    ),
    "going back does not make a version newer": (
        "deadline",
        {"versions": ["v1", "v2", "v3"], "waves": [["a", "b"]], "deadline": 3},
        "0 a rolled-back v3 v1\n1 a started v1\n2 b started v2\n20 a failed v3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNLAWFUL)
def test_what_is_unlawful_is_found(tmp_path: Path, case: str) -> None:
    rule, plan, text = UNLAWFUL[case]
    assert rule in broken(judged(tmp_path, PLAN | plan, told(text)))


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        ({}, "0 a started v1"),
        (FLOOR, V3_EVERYWHERE),
        (FLOOR | {"initial": "", "versions": ["v2", "v3"]}, V3_EVERYWHERE),
    ],
    ids=["one event", "a version that the log does not know", "nobody says what ran before"],
)
def test_what_the_log_does_not_show_is_unknown(tmp_path: Path, plan: dict[str, Any], text: str) -> None:
    assert judged(tmp_path, PLAN | plan, told(text)).valid is Valid.UNKNOWN


@pytest.mark.parametrize("seed", [1, 2])
def test_compiled_and_interpreted_rules_say_the_same(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = PLAN | {
        "waves": [["a", "b", "c"]],
        "versions": ["v1", "v2", "v3", "v4"],
        "max_version_skew": 1,
        "rollback": {},
    }
    random = Random(seed)
    kinds = ("started", "started", "succeeded", "failed", "rolled-back")
    events = [
        {"time": at * 0.5, "event": random.choice(kinds), "region": random.choice("abc"),
         "version": f"v{random.randint(1, 4)}"}
        for at in range(60)
    ]  # fmt: skip
    first = judged(tmp_path, plan, events)
    monkeypatch.setattr(wave_versions, "COMPILED_FROM", 0)
    assert judged(tmp_path, plan, events).details == first.details
    assert {"version skew", "rollback safety"} <= set(broken(first))


def test_what_a_runs_observer_missed_is_no_illegal_step() -> None:
    def seen(*changes: tuple[float, str, bool]) -> Verdict:
        same: dict[str, Any] = {"kind": "deployment", "region": "a", "job": "web", "version": 0, "id": "1"}
        said = [
            same | {"index": at, "status": status, "time_ns": round(time * 1e9), "gap": gap}
            for at, (time, status, gap) in enumerate(changes)
        ]
        ops = [Op(type=type_, f=OBSERVE, process=0, value=said, time_ns=0) for type_ in (INVOKE, OK)]
        asked = wave_log.plan_of({"waves": ["a"]})
        return waves.check(wave_log.log_of(History(ops), asked, "run"), asked.plan)

    assert broken(seen((0.0, "pending", False), (2.0, "blocked", False))) == ["legal steps"]
    assert seen((0.0, "pending", False), (2.0, "blocked", True)).valid is Valid.TRUE


# --- files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ({}, "waves"),
        ({"waves": []}, "names no region"),
        ({"waves": ["a", "a"]}, "names 'a' twice"),
        ({"waves": ["a"], "bakes": 1}, "bakes"),
        ({"waves": ["a"], "bake": "soon"}, "no duration"),
        ({"waves": ["a", "b"], "bake": [1, 2, 3]}, "3 entries for 2 waves"),
        ({"waves": ["a"], "max_parallel": -1}, "write 0 or more"),
        ({"waves": ["a"], "on_failure": "hald"}, "did you mean 'halt'"),
        ({"waves": ["a"], "rollback": {"to": "last"}}, "last-good"),
        ({"waves": ["a"], "versions": ["v1"], "rollback": {"never_below": {"v1": "v0"}}}, "'v0'"),
        ({"waves": ["a"], "words": {"x": "begun"}}, "words.x"),
    ],
)
def test_a_wrong_plan_is_named_with_its_field(tmp_path: Path, plan: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as error:
        judged(tmp_path, plan, [])
    assert "plan.yaml" in str(error.value)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"time": 1, "event": "startd", "region": "a", "version": "v1"}', "did you mean 'started'"),
        ('{"time": 1, "event": "started", "region": "z", "version": "v1"}', "region 'z' is in no wave"),
        ('{"time": 1, "event": "started", "version": "v1"}', "names no region"),
        ('{"time": 1, "event": "started", "region": "a"}', "names no version"),
        ('{"event": "started", "region": "a", "version": "v1"}', "time"),
        ('{"time": "noon", "event": "started", "region": "a", "version": "v1"}', "time"),
        ('{"time": "2026-01-01T00:00:00Z", "event": "started", "region": "a", "version": "v1"}', "use one kind"),
        ("{", "truncated"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_judged(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    (tmp_path / "events.jsonl").write_text(
        '{"time": 0, "event": "started", "region": "a", "version": "v1"}\n\n' + line + "\n"
    )
    asked = wave_log.load_plan(tmp_path / "plan.yaml")
    with pytest.raises(UsageError) as error:
        wave_log.load_log(tmp_path / "events.jsonl", asked)
    assert "events.jsonl:3:" in str(error.value)
    assert says in str(error.value)
    assert "nothing was judged" in str(error.value)


def test_a_tools_own_words_are_translated_and_what_means_nothing_is_left_out(tmp_path: Path) -> None:
    plan = PLAN | {"words": {"deploy.begin": "started", "deploy.end": "succeeded"}, "ignore": ["ping"]}
    text = GOOD.replace("started", "deploy.begin").replace("succeeded", "deploy.end") + "26 a ping v1"
    assert judged(tmp_path, plan, told(text)).valid is Valid.TRUE
    assert broken(judged(tmp_path, plan, told(text.replace("20 c", "2 c")))) == ["wave order"]


def test_the_command_prints_a_verdict_and_exits_by_it(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    events = [
        event | {"time": f"2026-01-31T09:00:{event['time']:06.3f}Z"} for event in told(GOOD.replace("20 c", "2 c"))
    ]
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(map(msgspec.json.encode, events)))

    def rift(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "harness", "check", "events.jsonl", "--model", "rollout", *more]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    done = rift("--spec", "plan.yaml")
    assert done.returncode == 1
    assert "c (wave 2) started v1 at 2026-01-31 09:00:02Z; b of an earlier wave was done only at" in done.stdout
    data = json.loads(rift("--spec", "plan.yaml", "--json").stdout)
    assert (data["valid"], data["events"], data["anomalies"]) == (False, 6, ["wave order"])
    for more, says in (
        ((), "--spec"),
        (("--spec", "plan.yaml", "--keyed"), "--keyed"),
        (("--spec", "no.yaml"), "no.yaml"),
    ):
        wrong = rift(*more)
        assert (wrong.returncode, says in wrong.stderr) == (4, True), wrong.stderr
