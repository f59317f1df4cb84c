"""One anomaly of each kind, planted in a good system's history: the checker must find it, and call it by its name."""

from __future__ import annotations

from typing import Final

from harness.certify.contract import Family, Settings, ask, random_of
from harness.certify.tally import Disagreement, Tally
from harness.model.history import History
from harness.model.verdict import Valid

NAME: Final = "mutation"


def size(family: Family, settings: Settings) -> int:
    """A hundredth, each with every anomaly."""
    return max(20, settings.count // 100)


def gather(family: Family, settings: Settings, numbers: range) -> Tally:
    """Plant every kind in the histories with these numbers; the histories themselves must raise no alarm."""
    tally = Tally(family.name, NAME)
    for number in numbers:
        random = random_of(settings.seed, family.name, NAME, number)
        good = family.sound(random)
        _judge(family, "none", number, good, tally)
        for kind, plant in family.plants.items():
            bad = plant(good, random)
            if bad is not None:
                _judge(family, kind, number, bad, tally)
    return tally


def _judge(family: Family, kind: str, number: int, history: History, tally: Tally) -> None:
    tally.histories += 1
    verdict, counts = ask(family.check, history), tally.part(kind)
    good = kind == "none"
    counts["holds" if good else "broken"] += 1
    tally.invalid += not good
    named = good or family.names is None or kind in family.names(verdict)
    if good and verdict.valid is Valid.UNKNOWN and "crashed" not in verdict.details:
        counts["unknown"] += 1
    elif verdict.valid is not (Valid.TRUE if good else Valid.FALSE) or not named:
        what = "a good history" if good else f"a planted {kind}"
        says = f"{what}: the checker says {verdict.valid} ({verdict.summary})"
        replay = family.questions[0].replay
        tally.wrong(Disagreement(family.name, NAME, kind, number, says, history, replay))


def smaller(_: Family, found: Disagreement) -> Disagreement:
    """As it is: only the whole history is known to be what it is."""
    return found


def gaps(family: Family, tally: Tally) -> list[str]:
    """Anomalies that found no place, and good histories that showed too little."""
    found = [f"{kind}: could not be planted" for kind in family.plants if not tally.part(kind)["broken"]]
    good = tally.part("none")
    if good["unknown"] * 2 > good["holds"]:
        found.append(f"{good['unknown']} of {good['holds']} good histories were left undecided")
    return found
