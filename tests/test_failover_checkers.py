"""RTO, RPO, split brain and availability, measured on scripted histories whose truth is known exactly."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from harness.checkers.every_run.availability import Availability
from harness.checkers.every_run.recovery import Recovery
from harness.checkers.failovers.rpo import Rpo
from harness.checkers.failovers.rto import Rto
from harness.checkers.failovers.split_brain import SplitBrain
from harness.model.claims import Objectives
from harness.model.clock import NS_PER_S
from harness.model.history import STALLED, History
from harness.model.op import FAIL, INFO, INVOKE, NEMESIS, OK, Op
from harness.model.verdict import Valid
from tests.scripted import GAP_S, LATENCY_S, Script, appended, attempt, numbered

TICK_S = GAP_S + LATENCY_S
"""The sampling interval and the time of one answer: how exactly clients can see a moment."""


def outage(history: History, region: str = "eu", f: str = "append") -> dict[str, Any]:
    found: dict[str, Any] = Rto().check(history).details["outages"][0]["regions"][region][f]
    return found


def down_from(begin_s: float, end_s: float, how: str = "refused", regions: tuple[str, ...] = ("us", "eu")) -> Any:
    return lambda region, f, at_s: how if region in regions and begin_s <= at_s < end_s else ""


# --- RTO -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_a_scripted_outage_is_measured_to_one_sampling_interval(seed: int) -> None:
    random_ = random.Random(seed)
    fault_s, lasts_s = random_.uniform(3.5, 5.0), random_.uniform(0.3, 6.0)
    script = Script(fault_s=fault_s, down=down_from(fault_s, fault_s + lasts_s))
    for region in ("us", "eu"):
        for f in ("append", "entries"):
            seen = outage(script.history(), region, f)
            assert 0 <= seen["detected_s"] <= TICK_S
            assert lasts_s <= seen["first_success_s"] <= lasts_s + TICK_S
            assert lasts_s <= seen["steady_s"] <= lasts_s + TICK_S
            assert seen["failing_s"] <= lasts_s
            assert seen["resolution_s"] <= TICK_S + 1e-6
            assert seen["steady_before_heal"]


@pytest.mark.parametrize("threads", [6, 100])
def test_a_silent_outage_is_known_as_exactly_as_clients_tried(threads: int) -> None:
    script = Script(fault="blackhole-region", down=down_from(4.0, 6.5, "silent"), threads=threads)
    seen = outage(script.history())
    assert 1.0 <= seen["detected_s"] <= 1.0 + TICK_S, "the first time limit"
    assert 2.5 <= seen["first_success_s"] <= 2.5 + 1.0 + TICK_S
    assert seen["first_success_s"] - seen["resolution_s"] <= 2.5, "the truth lies within the stated resolution"
    assert (seen["resolution_s"] < 0.05) == (threads == 100)


def test_polite_and_silent_cuts_are_told_apart() -> None:
    for fault, manner in (
        ("partition-region", "polite cut"),
        ("blackhole-region", "silent cut"),
        ("kill-node", "crash"),
    ):
        verdict = Rto().check(Script(fault=fault, down=down_from(4.0, 6.0)).history())
        assert verdict.details["outages"][0]["manner"] == manner
        assert manner in verdict.summary


def test_without_an_outage_nothing_is_judged() -> None:
    verdict = Rto(objective_s=30).check(Script().history())
    assert (verdict.valid, verdict.judged) == (Valid.UNKNOWN, False)
    assert "did not interrupt anybody" in verdict.summary


def test_a_fault_without_effect_measures_nothing() -> None:
    verdict = Rto(objective_s=30).check(Script(effective=False, down=down_from(4.0, 6.0)).history())
    assert (verdict.valid, verdict.judged) == (Valid.UNKNOWN, True)


def test_the_objective_is_judged_on_steady_service() -> None:
    history = Script(down=down_from(4.0, 6.0)).history()
    assert Rto().check(history).judged is False
    assert Rto(objective_s=3).check(history).valid is Valid.TRUE
    late = Rto(objective_s=1.5).check(history)
    assert late.valid is Valid.FALSE
    assert "2.0" in late.summary


def test_what_lies_within_the_error_is_unknown() -> None:
    """Steady between the last failed attempt and the first success after it: an objective in between is not judged."""
    script = Script(down=lambda region, f, at_s: "silent" if 4.0 <= at_s < 6.5 else "", threads=2)
    seen = outage(script.history())
    middle_s = (seen["failing_s"] + seen["steady_s"]) / 2
    assert seen["steady_s"] - seen["failing_s"] > 0.5
    assert Rto(objective_s=middle_s).check(script.history()).valid is Valid.UNKNOWN


def test_service_that_never_came_back_breaks_a_short_objective_and_leaves_a_long_one_open() -> None:
    history = Script(down=down_from(4.0, 99.0)).history()
    assert outage(history)["steady_s"] is None
    assert Rto(objective_s=10).check(history).valid is Valid.FALSE
    assert Rto(objective_s=60).check(history).valid is Valid.UNKNOWN


def test_a_second_dip_before_the_heal_delays_steady_service() -> None:
    def down(region: str, f: str, at_s: float) -> str:
        return "refused" if 4.0 <= at_s < 5.0 or 6.0 <= at_s < 6.4 else ""

    seen = outage(Script(down=down).history())
    assert seen["first_success_s"] == pytest.approx(1.0, abs=TICK_S)
    assert seen["steady_s"] == pytest.approx(2.4, abs=TICK_S)


def test_half_a_service_is_not_steady() -> None:
    def down(region: str, f: str, at_s: float) -> str:
        return "refused" if 4.0 <= at_s < 7.0 and round(at_s / GAP_S) % 2 else ""

    seen = outage(Script(down=down).history())
    assert seen["first_success_s"] < 0.1
    assert seen["steady_s"] == pytest.approx(3.0, abs=2 * TICK_S)


def test_errors_that_are_normal_are_no_outage() -> None:
    for seed in range(10):
        noise = random.Random(seed)
        history = Script(down=lambda region, f, at_s: "refused" if noise.random() < 0.05 else "").history()  # noqa: B023
        assert not outage(history)["interrupted"]
        assert not outage(history, "us", "entries")["interrupted"]


def test_what_is_exactly_at_the_limit_is_no_outage() -> None:
    """A sixth of the attempts failed before: five errors in a row are then the limit, to the last digit."""
    events: list[Op] = []
    for n in range(29):
        at_s = 0.14 * n + (1.0 if n >= 24 else 0.0)
        bad = n in (14, 15, 16, 17) or n >= 24
        events += attempt(n, "eu", "append", 0, n, at_s, LATENCY_S, "fail" if bad else OK, n)
    before_s, over_s = 0.14 * 24, 0.14 * 28 + 1.5
    history = numbered([*events, *Script(fault_s=before_s, heal_s=over_s)._nemesis()])
    assert not outage(history)["interrupted"]


def test_an_outage_shows_through_normal_errors() -> None:
    noise = random.Random(1)

    def down(region: str, f: str, at_s: float) -> str:
        return "refused" if 4.0 <= at_s < 6.0 or noise.random() < 0.05 else ""

    seen = outage(Script(down=down).history())
    assert seen["detected_s"] <= TICK_S
    assert seen["steady_s"] == pytest.approx(2.0, abs=1.0), "errors that follow at once belong to it"


def waited_out() -> list[Op]:
    """Appends that begin after the fault are answered 1.5 s after it, and not one fails."""
    history = Script().history()
    held: list[tuple[int, int]] = []
    for op in history:
        if not op.is_nemesis and op.type == OK and op.f == "append" and 4.0e9 <= op.time_ns < 5.5e9:
            held.append((op.process, 5_500_000_000 + len(held)))
    ends = dict(held)
    return [replace(op, time_ns=ends.get(op.process, op.time_ns)) if op.type == OK else op for op in history]


def stalled(begin_s: float, end_s: float) -> list[Op]:
    """The harness notes that it stood still."""
    at_ns = round(end_s * NS_PER_S)
    says = {"begin_ns": round(begin_s * NS_PER_S), "end_ns": at_ns}
    return [Op(type=kind, f=STALLED, value=says, time_ns=at_ns) for kind in (INVOKE, INFO)]


def test_an_outage_that_clients_wait_out_is_seen_without_any_error() -> None:
    seen = outage(numbered(waited_out()))
    assert seen["interrupted"]
    assert seen["detected_s"] is None
    assert seen["first_success_s"] == pytest.approx(1.5, abs=TICK_S)


@pytest.mark.parametrize(("begin_s", "interrupted"), [(4.1, False), (5.0, True)])
def test_a_silence_while_the_harness_stood_still_is_no_outage(begin_s: float, interrupted: bool) -> None:
    """What is left of the silence may be one."""
    seen = outage(numbered(waited_out() + stalled(begin_s, 5.5)))
    assert seen["interrupted"] is interrupted


@pytest.mark.parametrize("noted", [False, True])
def test_time_limits_that_passed_while_the_harness_stood_still_are_no_errors_of_the_system(noted: bool) -> None:
    script = Script(down=lambda region, f, at_s: "silent" if 6.0 <= at_s < 6.4 else "", timeout_s=0.5)
    seen = outage(numbered(list(script.history()) + (stalled(6.0, 6.9) if noted else [])))
    assert seen["interrupted"] is not noted


def test_a_region_that_the_cut_itself_parts_is_only_reported() -> None:
    script = Script(fault="partition-region", down=down_from(4.0, 12.0, regions=("us",)))
    verdict = Rto(objective_s=1).check(script.history())
    assert verdict.details["outages"][0]["regions"]["us"]["append"]["cut_off"]
    assert not verdict.judged
    killed = Script(fault="kill-region", down=down_from(4.0, 12.0, regions=("us",)))
    assert Rto(objective_s=1).check(killed.history()).valid is Valid.FALSE, "its clients could go elsewhere"


def test_what_comes_after_the_heal_does_not_make_a_failover_late_that_was_over_before() -> None:
    script = Script(down=lambda region, f, at_s: "refused" if 4.0 <= at_s < 5.0 or 12.0 <= at_s < 12.6 else "")
    seen = outage(script.history())
    assert (seen["steady_before_heal"], seen["after_heal"]) == (True, False)
    assert seen["steady_s"] == pytest.approx(1.0, abs=TICK_S)
    assert seen["failing_s"] < 1.0
    assert Rto(objective_s=2).check(script.history()).valid is Valid.TRUE


def test_what_only_the_heal_interrupts_is_measured_from_the_heal() -> None:
    history = Script(down=down_from(12.0, 12.6)).history()
    seen = outage(history)
    assert seen["after_heal"]
    assert seen["steady_s"] == pytest.approx(0.6, abs=TICK_S)
    assert Rto(objective_s=2).check(history).valid is Valid.TRUE
    assert Rto(objective_s=0.3).check(history).valid is Valid.FALSE


def test_too_few_attempts_before_the_fault_are_no_measure() -> None:
    script = Script(fault_s=0.1, down=down_from(0.1, 2.0))
    assert "before the fault" in outage(script.history())["cause"]


# --- RPO -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_every_lost_write_is_counted_and_no_other(seed: int) -> None:
    random_ = random.Random(seed)
    taken = {random_.randrange(0, 1200) for _ in range(random_.randrange(0, 40))}
    script = Script(down=down_from(4.0, 6.0), final=lambda region, key, values: [v for v in values if v not in taken])
    history = script.history()
    acked = {op.value for op in history.operations if op.f == "append" and op.type == OK}
    verdict = Rpo(objective_s=0).check(history)
    assert verdict.details["lost"] == len(taken & acked)
    assert {row["value"] for row in verdict.details["lost_writes"]} == taken & acked
    assert verdict.valid is (Valid.FALSE if taken & acked else Valid.TRUE)


def test_loss_is_measured_from_the_oldest_lost_write_to_the_fault() -> None:
    rows = [(0.1 * n, n, "us") for n in range(60)]
    lost = {n for n in range(35, 40)}
    kept = [n for n in range(60) if n not in lost]
    history = appended(rows, {"us": kept, "eu": kept}, reads=Script(fault_s=4.0, heal_s=5.0)._nemesis())
    details = Rpo().check(history).details
    assert (details["lost"], details["after_fault"]) == (5, 0)
    assert details["loss_s"] == pytest.approx(0.5 - LATENCY_S)
    assert details["window_s"] == pytest.approx(0.4)
    assert Rpo(objective_s=1.0).check(history).valid is Valid.TRUE
    assert Rpo(objective_s=0.3).check(history).valid is Valid.FALSE


def test_loss_without_an_objective_is_reported() -> None:
    verdict = Rpo().check(appended([(0.1, 1, "us"), (0.2, 2, "us")], {"us": [1], "eu": [1]}))
    assert (verdict.valid, verdict.judged, verdict.details["lost"]) == (Valid.FALSE, False, 1)


def test_nothing_is_kept_or_lost_before_it_was_read_at_the_end() -> None:
    assert Rpo(objective_s=0).check(Script(final=lambda region, key, values: None).history()).valid is Valid.UNKNOWN
    assert Rpo(objective_s=0).check(Script(healed=False).history()).valid is Valid.UNKNOWN
    assert Rpo(objective_s=0).check(appended([], {"us": []})).valid is Valid.UNKNOWN


def test_regions_that_disagree_at_the_end_leave_it_open() -> None:
    verdict = Rpo(objective_s=0).check(appended([(0.1, 1, "us"), (0.2, 2, "us")], {"us": [1, 2], "eu": [1]}))
    assert (verdict.valid, verdict.details["divided"]) == (Valid.UNKNOWN, 1)


def test_writes_that_regions_disagree_about_are_listed_with_their_places() -> None:
    rows = [(0.1, 1, "us"), (0.2, 2, "us"), (0.3, 3, "eu")]
    details = Rpo().check(appended(rows, {"us": [1, 2, 3], "eu": [1, 3], "ap": [3]})).details
    listed = {row["value"]: (row["shown_in"], row["missing_in"], row["region"]) for row in details["divided_writes"]}
    assert listed == {1: (["eu", "us"], ["ap"], "us"), 2: (["us"], ["ap", "eu"], "us")}
    assert details["lacking"] == {"ap": 2, "eu": 1}
    assert details["divided_by_key"] == {"0": 2}
    assert (details["divided"], details["lost"]) == (2, 0)


def test_nothing_is_lost_while_a_fault_may_still_act() -> None:
    """What no region shows may come back with the heal."""
    gone = Script(healed=False, final=lambda region, key, values: values[:-3]).history()
    verdict = Rpo(objective_s=0).check(gone)
    assert (verdict.valid, verdict.details["lost"]) == (Valid.UNKNOWN, 0)
    assert verdict.details["unread"] == verdict.details["acknowledged"]
    assert "not shown to be healed" in verdict.cause
    assert SplitBrain(promised=True).check(gone).valid is Valid.UNKNOWN


def test_nothing_is_lost_while_a_node_does_not_serve_as_it_should() -> None:
    """A copy that is behind may have answered in every region."""
    script = Script(final=lambda region, key, values: values[:-3])
    assert Rpo(objective_s=0).check(script.history()).valid is Valid.FALSE
    script.extra = noted("9 bytes behind n2")
    verdict = Rpo(objective_s=0).check(script.history())
    assert (verdict.valid, verdict.details["lost"], verdict.details["unread"]) == (Valid.UNKNOWN, 0, 9)


def test_the_order_counts_in_every_region() -> None:
    rows = [(0.1, 1, "us"), (0.2, 2, "us")]
    verdict = Rpo(objective_s=0).check(appended(rows, {"us": [1, 2], "eu": [2, 1]}))
    assert verdict.details["counts"] == {"reordered": 1}


def test_a_write_that_is_read_before_it_begins_is_a_phantom() -> None:
    early = attempt(500, "us", "entries", 0, None, 0.05, LATENCY_S, OK, [1])
    verdict = Rpo(objective_s=0).check(appended([(0.1, 1, "us")], {"us": [1]}, reads=early))
    assert verdict.details["counts"] == {"phantom": 1}


def test_a_write_came_back_also_when_a_slow_read_had_missed_it_first() -> None:
    rows = [(0.1, 1, "us"), (0.2, 2, "us"), (0.6, 3, "eu")]
    slow = attempt(500, "us", "entries", 0, None, 0.3, 0.25, OK, [2])
    quick = attempt(501, "us", "entries", 0, None, 0.31, LATENCY_S, OK, [2])
    there = attempt(502, "us", "entries", 0, None, 0.4, LATENCY_S, OK, [1, 2])
    verdict = Rpo(objective_s=0).check(appended(rows, {"us": [1, 2, 3]}, reads=[*slow, *quick, *there]))
    assert verdict.details["counts"] == {"came back": 1}


@pytest.mark.parametrize(
    ("ends", "kind"),
    [([1, 2, 2, 3], "doubled"), ([2, 1, 3], "reordered"), ([1, 2, 3, 9], "phantom"), ([1, 3], "lost")],
)
def test_whatever_else_a_list_must_not_show_is_found(ends: list[int], kind: str) -> None:
    rows = [(0.1, 1, "us"), (0.2, 2, "us"), (0.3, 3, "eu")]
    good = Rpo(objective_s=0).check(appended(rows, {"us": [1, 2, 3], "eu": [1, 2, 3]}))
    bad = Rpo(objective_s=0).check(appended(rows, {"us": ends, "eu": ends}))
    assert good.valid is Valid.TRUE
    assert bad.valid is Valid.FALSE
    assert kind in bad.details["anomalies"]


def test_a_write_that_was_told_to_have_failed_must_not_appear() -> None:
    denied = attempt(500, "us", "append", 0, 7, 0.15, LATENCY_S, "fail", 7)
    verdict = Rpo(objective_s=0).check(appended([(0.1, 1, "us")], {"us": [1, 7]}, reads=denied))
    assert verdict.details["anomalies"] == ["resurrected"]
    unsure = attempt(500, "us", "append", 0, 7, 0.15, LATENCY_S, "info", 7)
    assert Rpo(objective_s=0).check(appended([(0.1, 1, "us")], {"us": [1, 7]}, reads=unsure)).valid is Valid.TRUE


def test_a_write_that_had_gone_and_came_back_is_found() -> None:
    rows = [(0.1, 1, "us"), (0.2, 2, "us"), (0.3, 3, "eu"), (0.6, 4, "eu")]
    without = attempt(500, "us", "entries", 0, None, 0.4, LATENCY_S, OK, [1, 3])
    verdict = Rpo(objective_s=0).check(appended(rows, {"us": [1, 2, 3, 4]}, reads=without))
    assert verdict.details["counts"] == {"came back": 1}
    elsewhere = attempt(500, "eu", "entries", 0, None, 0.4, LATENCY_S, OK, [1, 3])
    assert Rpo(objective_s=0).check(appended(rows, {"us": [1, 2, 3, 4]}, reads=elsewhere)).valid is Valid.TRUE
    lagging = attempt(500, "eu", "entries", 0, None, 0.4, LATENCY_S, OK, [1])
    assert Rpo(objective_s=0).check(appended(rows, {"us": [1, 2, 3, 4]}, reads=lagging)).valid is Valid.TRUE


# --- split brain ---------------------------------------------------------------------------------


def two_sides(begin_s: float, end_s: float) -> tuple[list[tuple[float, int, str]], list[int]]:
    """``us`` writes all the time, from ``begin_s`` on ``eu`` does, too: what ``us`` writes until ``end_s`` is lost."""
    us = [(0.05 * n, n, "us") for n in range(200)]
    eu = [(begin_s + 0.05 * n + 0.025, 1000 + n, "eu") for n in range(100)]
    rows = sorted(us + eu)
    return rows, [value for at_s, value, region in rows if region == "eu" or not begin_s <= at_s < end_s]


def test_two_sides_that_acknowledge_at_the_same_time_are_found_with_their_window() -> None:
    rows, kept = two_sides(4.0, 6.0)
    verdict = SplitBrain(promised=True).check(appended(rows, {"us": kept, "eu": kept}))
    assert verdict.valid is Valid.FALSE
    assert verdict.details["window_s"] == pytest.approx(2.0, abs=0.15)
    assert verdict.details["window_s"] <= 2.0 <= verdict.details["window_at_most_s"] + 0.1


def test_forwarded_writes_in_two_regions_are_no_split_brain() -> None:
    rows, _ = two_sides(4.0, 6.0)
    everything = [value for _, value, _ in rows]
    assert SplitBrain(promised=True).check(appended(rows, {"us": everything, "eu": everything})).valid is Valid.TRUE


def test_the_end_that_an_ordinary_failover_loses_is_no_split_brain() -> None:
    rows = [(0.05 * n, n, "us") for n in range(100)] + [(6.0 + 0.05 * n, 1000 + n, "eu") for n in range(50)]
    kept = [value for _, value, _ in rows if not 90 <= value < 100]
    verdict = SplitBrain(promised=True).check(appended(rows, {"us": kept, "eu": kept}))
    assert verdict.valid is Valid.TRUE


def test_two_failovers_one_after_the_other_are_no_split_brain() -> None:
    rows = [(0.05 * n, n, "us") for n in range(300)]
    kept = [n for n in range(300) if not (95 <= n < 100 or 195 <= n < 200)]
    verdict = SplitBrain(promised=True).check(appended(rows, {"us": kept, "eu": kept}))
    assert verdict.valid is not Valid.FALSE


def test_two_histories_that_are_left_over_are_found() -> None:
    rows = [(0.1, 1, "us"), (0.2, 2, "us"), (0.3, 3, "eu")]
    verdict = SplitBrain(promised=True).check(appended(rows, {"us": [1, 2], "eu": [1, 3]}))
    assert (verdict.valid, verdict.details["left_over"]) == (Valid.FALSE, 1)
    lagging = SplitBrain(promised=True).check(appended(rows, {"us": [1, 2], "eu": [1, 2, 3]}))
    assert lagging.valid is not Valid.FALSE


def test_regions_that_disagree_leave_open_whether_there_was_one_primary() -> None:
    verdict = SplitBrain(promised=True).check(appended([(0.1, 1, "us"), (0.2, 2, "us")], {"us": [1, 2], "eu": [1]}))
    assert verdict.valid is Valid.UNKNOWN
    assert "disagree about 1 acknowledged write" in verdict.cause


# --- nodes that do not come back -----------------------------------------------------------------


def noted(why: str) -> list[Op]:
    said = {"node": "n3", "why": why}
    return [Op(type=kind, f="unready", process=NEMESIS, key="n3", value=said, time_ns=18_200_000_000)
            for kind in (INVOKE, INFO)]  # fmt: skip


@pytest.mark.parametrize("effective", [True, False])
def test_a_node_that_does_not_recover_is_named_with_its_cause(effective: bool) -> None:
    script = Script(down=down_from(4.0, 6.0), effective=effective)
    assert Recovery().check(script.history()).valid is Valid.TRUE
    script.extra = noted("212560 bytes behind n2")
    verdict = Recovery().check(script.history())
    assert (verdict.valid, verdict.judged) == (Valid.UNKNOWN, True)
    assert "n3 did not recover: 212560 bytes behind n2" in verdict.cause
    assert verdict.details["unready"] == {"n3": "212560 bytes behind n2"}


def test_a_node_that_does_not_serve_counts_without_any_fault() -> None:
    assert Recovery().check(numbered(noted("no answer"))).valid is Valid.UNKNOWN


def test_a_region_that_never_came_back_is_worse_than_a_node_that_does_not_serve() -> None:
    script = Script(down=down_from(4.0, 99.0, regions=("eu",)), final=lambda region, key, values: None)
    script.extra = noted("no answer")
    verdict = Recovery().check(script.history())
    assert verdict.valid is Valid.FALSE
    assert verdict.details["unready"] == {"n3": "no answer"}


# --- availability and objectives -----------------------------------------------------------------


def test_availability_is_judged_against_its_objective() -> None:
    history = Script(down=down_from(4.0, 6.0)).history()
    assert Availability().check(history).judged is False
    assert Availability(objective=0.8).check(history).valid is Valid.TRUE
    assert Availability(objective=0.95).check(history).valid is Valid.FALSE


def test_objectives_reach_the_checkers_that_measure() -> None:
    wanted = Objectives(rto_s=30, rpo_s=0, availability=0.9, one_primary=True)
    assert Rto().against(wanted).objective_s == 30
    assert Rpo().against(wanted).objective_s == 0
    assert Availability().against(wanted).objective == 0.9
    assert SplitBrain().against(wanted).promised
    assert wanted
    assert not Objectives()


# --- several faults, and records that end early --------------------------------------------------


def record(end_s: float, dead: Callable[[float], bool], *faults: tuple[float, float]) -> list[Op]:
    """One region is asked 20 times a second; faults kill a node of it from when until when."""
    told: list[tuple[float, Op]] = []
    for number in range(round(20 * end_s)):
        at_s = number / 20
        common: dict[str, Any] = {"f": "append", "process": number, "region": "us", "key": "k", "value": number}
        told.append((at_s, Op(type=INVOKE, **common)))
        told.append((at_s + 0.01, Op(type=FAIL if dead(at_s) else OK, **common)))
    for number, (begin_s, heal_s) in enumerate(faults):
        says = {"id": f"f{number}", "aim": "n1", "regions": ["us"], "nodes": ["n1"]}
        for at_s, f, more in ((begin_s, "start", {"effective": True}), (heal_s, "stop", {"healed": True})):
            common = {"f": f, "process": NEMESIS, "key": "kill-node"}
            told.append((at_s, Op(type=INVOKE, value=says, **common)))
            told.append((at_s + 0.001, Op(type=INFO, value={**says, **more}, **common)))
    ordered = sorted(told, key=lambda pair: pair[0])
    return [replace(op, time_ns=round(at_s * 1e9), index=i) for i, (at_s, op) in enumerate(ordered)]


def test_what_another_fault_does_meanwhile_makes_no_recovery_late() -> None:
    history = History(record(40, lambda at_s: 10 <= at_s < 12 or 15 <= at_s < 17, (10, 30), (15, 20)))
    assert Rto(objective_s=4).check(history).valid is Valid.TRUE
    assert Rto(objective_s=1).check(history).valid is Valid.FALSE


def test_a_single_failure_breaks_a_promise_without_any() -> None:
    history = History(record(2000, lambda at_s: at_s == 5))
    verdict = Availability(objective=1.0).check(history)
    assert verdict.valid is Valid.FALSE
    assert "us 99.9975%" in verdict.summary


def test_what_was_under_way_when_the_record_ended_is_no_failure() -> None:
    events = record(20, lambda _: False)
    under_way = Op(type=INVOKE, f="append", process=9999, region="us", key="k", value=1, time_ns=19_990_000_000)
    assert Availability(objective=1.0).check(History(events)).valid is Valid.TRUE
    assert Availability(objective=1.0).check(History([*events, under_way])).valid is Valid.UNKNOWN
    assert Availability(objective=0.9).check(History([*events, under_way])).valid is Valid.TRUE


def test_a_region_that_came_back_only_for_a_moment_has_not_recovered() -> None:
    verdict = Recovery().check(History(record(20, lambda at_s: at_s >= 11, (5, 10))))
    assert (verdict.valid, "not in its last 9.0 s" in verdict.cause) == (Valid.UNKNOWN, True)
    assert Recovery().check(History(record(20, lambda at_s: 11 <= at_s < 14, (5, 10)))).valid is Valid.TRUE
