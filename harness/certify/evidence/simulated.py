"""Systems of chosen isolation: the strong ones must pass, and the weak ones must be caught."""

from __future__ import annotations

from math import sqrt
from typing import Final

from harness.certify.contract import Family, Settings, System, ask, random_of
from harness.certify.tally import Disagreement, Tally
from harness.model.history import History
from harness.model.verdict import Valid, Verdict

NAME: Final = "simulated"


def size(family: Family, settings: Settings) -> int:
    """A few runs: each is long."""
    return min(100, max(5, settings.count // 50))


def gather(family: Family, settings: Settings, numbers: range) -> Tally:
    """Run every system once for each number."""
    tally = Tally(family.name, NAME)
    for number in numbers:
        for system in family.systems:
            history = system.run(random_of(settings.seed, f"{family.name}/{system.name}", NAME, number))
            tally.histories += 1
            tally.invalid += not system.holds
            _judge(family, system, number, history, ask(system.check, history), tally)
    return tally


def _judge(family: Family, system: System, number: int, history: History, verdict: Verdict, tally: Tally) -> None:
    counts = tally.part(system.name)
    counts["holds" if system.holds else "broken"] += 1
    right = Valid.TRUE if system.holds else Valid.FALSE
    if "crashed" in verdict.details or (system.holds and verdict.valid is Valid.FALSE):
        says = f"a {system.name} system: the checker says {verdict.valid} ({verdict.summary})"
        replay = family.questions[0].replay
        tally.wrong(Disagreement(family.name, NAME, system.name, number, says, history, replay))
    elif verdict.valid is Valid.UNKNOWN:
        counts["unknown"] += 1
    elif verdict.valid is not right:
        counts["missed"] += 1


def smaller(_: Family, __: Settings, found: Disagreement) -> Disagreement:
    """As it is: only the whole history is known to be what it is."""
    return found


def gaps(family: Family, tally: Tally) -> list[str]:
    """Systems that were not told apart often enough. A single run of a weak system may look strong."""
    found = []
    for system in family.systems:
        counts = tally.part(system.name)
        runs = counts["holds"] + counts["broken"]
        right = runs - counts["unknown"] - counts["missed"] - counts["wrong"]
        luck = 3 * sqrt(runs * system.share * (1 - system.share))  # three standard deviations of so many runs
        if right < max(1, system.share * runs - luck):
            what = "held" if system.holds else "was caught"
            found.append(f"{system.name}: {what} in {right} of {runs} runs; about {system.share:.0%} are expected")
    return found
