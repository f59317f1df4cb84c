"""Event logs of deployment tools: every rule with a log that breaks it and its neighbour that does not, a slow oracle
beside the fast rules, and the words for a wrong file."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from harness.checkers import waves
from harness.errors import UsageError
from harness.formats import _wave_log as wave_log
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


# --- an oracle -------------------------------------------------------------------------------------------


def random_log(seed: int) -> list[dict[str, Any]]:
    """A few regions, versions and services, in no good order at all."""
    rng = random.Random(seed)
    events, time = [], 0.0
    if seed % 2:
        return _plausible_log(rng)
    for _ in range(rng.randint(3, 60)):
        time += rng.choice((0.0, 0.5, 1.0, 3.0))
        service = rng.choice(("x", "y"))
        if rng.random() < 0.15:
            kind = rng.choice(("alarm", "alarm-cleared"))
            event = {"time": time, "event": kind, "service": rng.choice((service, "")), "alarm": rng.choice("mn")}
        else:
            kind = rng.choice(("started", "started", "succeeded", "succeeded", "failed", "rolled-back", "cancelled"))
            version = f"v{rng.randint(1, 4)}"
            event = {"time": time, "event": kind, "region": rng.choice("abc"), "version": version, "service": service}
        events.append(event)
    return events


def _plausible_log(rng: random.Random) -> list[dict[str, Any]]:
    """Versions that go from region to region, mostly in order and mostly with patience."""
    events, time = [], 0.0
    for version in range(1, rng.randint(2, 5)):
        for region in rng.choice(("abc", "abc", "bac", "acb")):
            subject = {"region": region, "version": f"v{version}", "service": "x"}
            events.append({"time": time, "event": "started", **subject})
            took = rng.choice((0.5, 1.0, 2.0))
            ends = rng.choice(("succeeded",) * 5 + ("failed", "rolled-back"))
            events.append({"time": time + took, "event": ends, **subject})
            time += took + rng.choice((-0.5, 0.0, 0.5, 2.0, 2.5, 3.0))
    return sorted(events, key=lambda event: event["time"])


ORACLE_PLAN = PLAN | {
    "versions": ["v1", "v2", "v3", "v4"], "bake": 2, "max_parallel": 1, "max_version_skew": 1, "halt_on_alarm": True,
    "halt_within": 0.5, "on_failure": "halt", "rollback": {"to": "anything", "within": 4},
}  # fmt: skip


def oracle(events: list[dict[str, Any]], skew: float) -> set[str]:
    """Which of the rules a log breaks, found one event after the other. ``events`` are in the order of time."""
    rank = {f"v{i}": i for i in range(1, 5)}
    found: set[str] = set()
    end = max(event["time"] for event in events)
    for service in ("x", "y"):
        mine = [event for event in events if event.get("service") == service and "region" in event]
        found |= _oracle_waves(mine, skew)
        found |= _oracle_apart(mine, rank, skew)
        for event, back in _starts(mine, rank):
            if not back and _in_alarm(events, service, event["time"], skew):
                found.add("halt on alarm")
            if not back and _stands_failed(mine, event, skew):
                found.add("halt on failure")
        for i, event in enumerate(mine):
            if event["event"] == "failed":
                later = [e for e in mine[i + 1 :] if e["region"] == event["region"]]
                goes_back = {id(e) for e, back in _starts(mine, rank) if back}
                good = [e for e in later if e["event"] in ("succeeded", "rolled-back") or id(e) in goes_back]
                if (good and good[0]["time"] > event["time"] + 4) or (not good and end >= event["time"] + 4):
                    found.add("rollback in time")
    return found


def _starts(mine: list[dict[str, Any]], rank: dict[str, int]) -> Iterator[tuple[dict[str, Any], bool]]:
    last: dict[str, int] = {}
    for event in mine:
        if event["event"] == "started":
            yield event, rank[event["version"]] < last.get(event["region"], 0)
            last[event["region"]] = rank[event["version"]]


def _in_alarm(events: list[dict[str, Any]], service: str, at: float, skew: float) -> bool:
    for whose in (service, ""):
        for name in "mn":
            on: float | None = None
            spans = []
            for event in events:
                if event["event"].startswith("alarm") and event["service"] == whose and event["alarm"] == name:
                    if event["event"] == "alarm" and on is None:
                        on = event["time"]
                    elif event["event"] == "alarm-cleared" and on is not None:
                        spans.append((on, event["time"]))
                        on = None
            spans += [(on, float("inf"))] if on is not None else []
            if any(begin + 0.5 + skew <= at < until for begin, until in spans):
                return True
    return False


def _stands_failed(mine: list[dict[str, Any]], start: dict[str, Any], skew: float) -> bool:
    for i, event in enumerate(mine):
        if event["event"] != "failed" or event["version"] != start["version"]:
            continue
        later = [e for e in mine[i + 1 :] if e["region"] == event["region"] and e["event"] in ("started", "succeeded")]
        over = later[0]["time"] if later and later[0]["version"] == event["version"] else float("inf")
        if event["time"] + skew < start["time"] < over:
            return True
    return False


def _oracle_waves(mine: list[dict[str, Any]], skew: float) -> set[str]:
    found = set()
    left: dict[str, str] = {}
    spans: dict[str, list[list[Any]]] = {}
    current: dict[tuple[str, str], list[Any]] = {}
    started: dict[tuple[str, str], float] = {}
    done: dict[tuple[str, str], float] = {}
    for event in mine:
        region, version, at = event["region"], event["version"], event["time"]
        subject = left.get(region, "") if event["event"] == "rolled-back" else version
        state = current.get((region, subject))
        if state is not None and event["event"] != "started":
            state[1] = at
            del current[region, subject]
        if event["event"] == "started":
            left[region] = version
            started.setdefault((version, region), at)
            if state is None:
                current[region, version] = span = [at, float("inf")]
                spans.setdefault(version, []).append(span)
        elif event["event"] == "succeeded":
            done.setdefault((version, region), at)
    for version in ("v1", "v2", "v3", "v4"):
        if (version, "c") in started:
            late = max(done.get((version, region), float("inf")) for region in "ab")
            if started[version, "c"] + skew < late:
                found.add("wave order")
            elif started[version, "c"] + skew < late + 2:
                found.add("bake time")
        cut = [(begin + skew, until) for begin, until in spans.get(version, []) if begin + skew < until]
        if any(sum(b <= moment < u for b, u in cut) > 1 for moment, _ in cut):
            found.add("max_parallel")
    return found


def _oracle_apart(mine: list[dict[str, Any]], rank: dict[str, int], skew: float) -> set[str]:
    """Without skew only: at every moment the newest version of any region less the oldest."""
    high: dict[str, int] = {}
    low: dict[str, int] = {}
    moments = sorted({event["time"] for event in mine})
    for moment in moments:
        for event in [e for e in mine if e["time"] == moment]:
            value = rank[event["version"]]
            if event["event"] in ("succeeded", "rolled-back"):
                high[event["region"]] = low[event["region"]] = value
            elif event["event"] == "started":
                high[event["region"]] = value
        if high and low and max(high.values()) - min(low.values()) > 1:
            return {"version skew"}
    return set()


@pytest.mark.parametrize("skew", [0.0, 0.75])
def test_the_fast_rules_agree_with_a_slow_oracle(tmp_path: Path, skew: float) -> None:
    compared = {"halt on alarm", "halt on failure", "rollback in time", "wave order", "bake time", "max_parallel"}
    compared |= {"version skew"} if not skew else set()
    seen: dict[str, int] = dict.fromkeys(compared, 0)
    for seed in range(150):
        events = random_log(seed)
        verdict = judged(tmp_path, ORACLE_PLAN | {"clock_skew": skew}, events)
        wanted = oracle(events, skew) & compared
        # Several events of one moment have no order between regions; the oracle takes that of the file.
        assert set(verdict.details["anomalies"]) & compared == wanted, f"seed {seed}: {events}"
        for rule in wanted:
            seen[rule] += 1
    assert all(seen.values()), f"rules that no random log breaks: {seen}"


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
