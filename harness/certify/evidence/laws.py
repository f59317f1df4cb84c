"""What must not matter does not: other names, other times and more valid reads leave the verdict as it is."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from harness.certify.contract import RIGHT, Change, Family, Settings, ask, random_of
from harness.certify.shrinking import shrunk
from harness.certify.tally import Disagreement, Tally
from harness.model.history import History
from harness.model.verdict import Valid

NAME: Final = "laws"
FEWEST: Final = 0.03
"""A law must have been tried on valid and on invalid histories, each in at least this share."""
_KIND: Final = {valid: expected.value for expected, valid in RIGHT.items()}


def size(family: Family, settings: Settings) -> int:
    """A tenth at most, for each is judged once more for every law."""
    return min(2000, max(50, settings.count // 10))


def gather(family: Family, settings: Settings, numbers: range) -> Tally:
    """Compare the verdicts on the histories with these numbers and on their twins."""
    tally = Tally(family.name, NAME)
    for number in numbers:
        history = family.draw(random_of(settings.seed, family.name, NAME, number))
        before = ask(family.check, history).valid
        tally.histories += 1
        tally.invalid += before is Valid.FALSE
        for name, law in family.laws.items():
            twin = _twin(law, history, number)
            if twin is None:
                continue
            tally.part(name)[_KIND[before]] += 1
            if _changes(family, history, before, twin):
                says = f"{name} changed the verdict"
                replay = family.questions[0].replay
                tally.wrong(Disagreement(family.name, NAME, name, number, says, history, replay))
    return tally


def _twin(law: Change, history: History, number: int) -> History | None:
    """The changed history; its number fixes the random choices."""
    return law(history, random_of(0, "", NAME, number))


def _changes(family: Family, history: History, before: Valid, twin: History) -> bool:
    """Whether the verdict is another one. What was unknown may be decided when there is more to go by."""
    after = ask(family.check, twin)
    more_evidence = len(twin) > len(history) and before is Valid.UNKNOWN and after.valid is Valid.TRUE
    return (before is not after.valid and not more_evidence) or "crashed" in after.details


def broken(family: Family, law: Change, history: History, number: int) -> bool:
    """Whether the law changes the verdict on the history."""
    twin = _twin(law, history, number)
    return twin is not None and _changes(family, history, ask(family.check, history).valid, twin)


def smaller(family: Family, _: Settings, found: Disagreement) -> Disagreement:
    """The history without what the mistake does not need."""
    law = family.laws[found.part]
    small = shrunk(History(found.events), partial(broken, family, law, number=found.number))
    before, after = ask(family.check, small), ask(family.check, _twin(law, small, found.number) or small)
    says = f"the checker says {before.valid} ({before.summary}), and after {found.part} "
    return replace(found, says=f"{says}{after.valid} ({after.summary})", events=small)


def gaps(family: Family, tally: Tally) -> list[str]:
    """Laws that were tried on verdicts of one kind only."""
    return [
        f"{name}: only {tally.part(name)[kind]} of {tally.histories} histories: {kind}"
        for name in family.laws
        for kind in ("holds", "broken")
        if tally.part(name)[kind] < FEWEST * max(1, tally.histories)
    ]
