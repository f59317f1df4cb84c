"""One anomaly of each kind, planted in a good system's history: the checker must find it, and call it by its name."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from harness.certify.contract import Family, Settings, ask, random_of
from harness.certify.shrinking import shrunk
from harness.certify.tally import Disagreement, Tally
from harness.model.history import History
from harness.model.verdict import Valid, Verdict

NAME: Final = "mutation"
NONE: Final = "none"
"""The part that counts the histories themselves, in which nothing was planted."""


def size(family: Family, settings: Settings) -> int:
    """A few, each with every anomaly."""
    return min(500, max(10, settings.count // 20))


def gather(family: Family, settings: Settings, numbers: range) -> Tally:
    """Plant every kind in the histories with these numbers; the histories themselves must raise no alarm."""
    tally = Tally(family.name, NAME)
    for number in numbers:
        good = _good(family, settings, number)
        _judge(family, NONE, number, good, tally)
        for kind in family.plants:
            bad = _planted(family, settings, kind, number, good)
            if bad is not None:
                _judge(family, kind, number, bad, tally)
    return tally


def _good(family: Family, settings: Settings, number: int) -> History:
    return family.sound(random_of(settings.seed, family.name, NAME, number))


def _planted(family: Family, settings: Settings, kind: str, number: int, good: History) -> History | None:
    return family.plants[kind](good, random_of(settings.seed, f"{family.name}/{kind}", NAME, number))


def _judge(family: Family, kind: str, number: int, history: History, tally: Tally) -> None:
    tally.histories += 1
    verdict, counts = ask(family.check, history), tally.part(kind)
    counts["holds" if kind == NONE else "broken"] += 1
    tally.invalid += kind != NONE
    if wrong(family, kind, verdict):
        replay = family.questions[0].replay
        tally.wrong(Disagreement(family.name, NAME, kind, number, _says(kind, verdict), history, replay))
    elif kind == NONE and verdict.valid is Valid.UNKNOWN:
        counts["unknown"] += 1


def wrong(family: Family, kind: str, verdict: Verdict) -> bool:
    """Whether the checker accuses a good history, crashes, or does not find what was planted under its name."""
    if kind == NONE:
        return verdict.valid is Valid.FALSE or "crashed" in verdict.details
    if verdict.valid is not Valid.FALSE:
        return True
    return family.names is not None and not {kind, kind.partition(", ")[0]}.intersection(family.names(verdict))


def _says(kind: str, verdict: Verdict) -> str:
    what = "a good history" if kind == NONE else f"a planted {kind}"
    return f"{what}: the checker says {verdict.valid} ({verdict.summary})"


def smaller(family: Family, settings: Settings, found: Disagreement) -> Disagreement:
    """The anomaly in as little of the good history as can be. As it is, when the anomaly is not one without what is
    around it, or when nothing was planted: then only the whole history is known to be what it is."""
    kind, number = found.part, found.number
    if kind == NONE or _planted(family, settings, kind, number, History(())) is None:
        return found

    def shows(good: History) -> bool:
        bad = _planted(family, settings, kind, number, good)
        return bad is not None and wrong(family, kind, ask(family.check, bad))

    small = History(()) if shows(History(())) else shrunk(_good(family, settings, number), shows)
    events = _planted(family, settings, kind, number, small)
    assert events is not None
    return replace(found, says=_says(kind, ask(family.check, events)), events=events)


def gaps(family: Family, tally: Tally) -> list[str]:
    """Anomalies that found no place, and good histories that showed too little."""
    found = [f"{kind}: could not be planted" for kind in family.plants if not tally.part(kind)["broken"]]
    good = tally.part(NONE)
    if good["unknown"] * 2 > good["holds"]:
        found.append(f"{good['unknown']} of {good['holds']} good histories were left undecided")
    return found
