"""Many runs, one table: which outcome stands for a guarantee, and what else it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.checkers.rollouts.multiregion import GUARANTEES
from harness.judging.tally import Said, table, unjudged

PROMISES = {"NOM-6": "at most max_parallel regions run at once", "NOM-8": "all become successful"}


def one(*said: tuple[str, str, bool]) -> tuple[str, int, str]:
    """Outcome, number of judging runs and reason of NOM-6, from (outcome, why, asked)."""
    line = table([Said("NOM-6", outcome, why, asked) for outcome, why, asked in said], PROMISES)[0]
    return line.outcome, line.judged, line.why


def test_one_violation_outweighs_everything() -> None:
    held = ("pass", "3 regions", True)
    assert one(held, ("fail", "four at once", False), ("unknown", "?", True)) == (
        "fail", 2, "four at once (not decided in 1 other scenario)"
    )  # fmt: skip


def test_what_its_own_scenario_left_open_is_no_pass_although_others_held() -> None:
    assert one(("pass", "held", False), ("unknown", "nobody answered", True)) == ("unknown", 1, "nobody answered")
    assert one(("pass", "held", True), ("unknown", "a gap", False))[:2] == ("pass", 1)


def test_what_the_documents_permit_and_what_is_only_reported_keep_their_words() -> None:
    assert one(("pass", "held", True), ("allowed", "it raced", True)) == ("allowed", 2, "it raced")
    assert one(("report", "a count of 1", True)) == ("report", 1, "a count of 1")


def test_a_pass_shows_the_promise_and_an_unsupported_one_the_reason() -> None:
    assert one(("pass", "held", True)) == ("pass", 1, PROMISES["NOM-6"])
    told = unjudged(["NOM-6"], "unsupported", "no multiregion jobs")
    assert table(told, PROMISES)[0][1:] == ("unsupported", 0, "no multiregion jobs")
    assert one(("pass", "held", True), ("unsupported", "no links", True)) == (
        "pass", 1, f"{PROMISES['NOM-6']} (not decided in 1 other scenario)"
    )  # fmt: skip


def test_a_guarantee_that_nobody_mentions_has_a_line_all_the_same() -> None:
    assert [(line.row, line.outcome) for line in table([], PROMISES)] == [("NOM-6", "untested"), ("NOM-8", "untested")]


@pytest.mark.parametrize("row", GUARANTEES)
def test_every_guarantee_has_a_test_of_its_own(row: str) -> None:
    name = f"test_{row.lower().replace('-', '_')}_" if row.startswith("NOM-") else "test_nom_any_"
    number = row.removeprefix("NOM-")
    name = f"test_nom_{int(number):02}_" if number.isdigit() else name
    suites = Path(__file__).resolve().parent.parent / "suites" / "rollout"
    assert any(f"def {name}" in path.read_text() for path in suites.glob("test_*.py")), f"no test is called {name}..."
