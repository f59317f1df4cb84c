"""Small random histories, judged by the checker and by a slow judge that tries everything."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from harness.certify.contract import RIGHT, Check, Expected, Family, Oracle, Question, Settings, ask, random_of
from harness.certify.shrinking import shrunk
from harness.certify.tally import Disagreement, Tally
from harness.model.history import History
from harness.model.verdict import Valid, Verdict

NAME: Final = "oracle"
FEWEST: Final = 0.03
"""Histories must be valid, and invalid, in at least this share: a judge that always says the same would do for less."""


def size(family: Family, settings: Settings) -> int:
    """All that were asked for."""
    return settings.count


def gather(family: Family, settings: Settings, numbers: range) -> Tally:
    """Compare on the histories with these numbers."""
    tally = Tally(family.name, NAME)
    for number in numbers:
        history = family.draw(random_of(settings.seed, family.name, NAME, number))
        tally.histories += 1
        verdicts: dict[Check, Verdict] = {}
        answers: dict[Oracle, Expected | None] = {}
        for question in family.questions:
            if number % question.every:
                continue
            if question.check not in verdicts:
                verdicts[question.check] = ask(question.check, history)
            if question.oracle not in answers:
                answers[question.oracle] = question.oracle(history)
            expected = answers[question.oracle]
            if expected and compared(question, verdicts[question.check], expected, tally):
                says = f"the checker says {question.answer(verdicts[question.check])}, the oracle says {expected}"
                found = Disagreement(family.name, NAME, question.name, number, says, history, question.replay)
                tally.wrong(found)
        tally.invalid += Expected.BROKEN in answers.values()
    return tally


def compared(question: Question, verdict: Verdict, expected: Expected, tally: Tally) -> bool:
    """Count the answer; whether it is a disagreement."""
    found, counts = question.answer(verdict), tally.part(question.name)
    counts[expected.value] += 1
    if wrong(question, verdict, expected):
        return True
    if found is Valid.UNKNOWN and expected is not Expected.OPEN:
        counts["unknown"] += 1
    elif found is not RIGHT[expected]:
        counts["missed"] += 1
    return False


def wrong(question: Question, verdict: Verdict, expected: Expected) -> bool:
    """Whether the checker's answer contradicts the oracle's. What is not looked for may be missed, and unknown is
    judged by its share."""
    found = question.answer(verdict)
    if "crashed" in verdict.details:
        return True
    if found is RIGHT[expected] or found is Valid.UNKNOWN:
        return False
    return not question.missed_share or found is Valid.FALSE


def smaller(family: Family, _: Settings, found: Disagreement) -> Disagreement:
    """The history without what the mistake does not need."""
    question = next(each for each in family.questions if each.name == found.part)

    def shows(fewer: History) -> bool:
        expected = question.oracle(fewer)
        return expected is not None and wrong(question, ask(question.check, fewer), expected)

    small = shrunk(History(found.events), shows)
    verdict = ask(question.check, small)
    says = f"the checker says {question.answer(verdict)} ({verdict.summary}), the oracle says {question.oracle(small)}"
    return replace(found, says=says, events=small)


def gaps(family: Family, tally: Tally) -> list[str]:
    """Histories of one kind only, or too much left undecided or missed."""
    found = []
    for question in family.questions:
        counts = tally.part(question.name)
        decided = counts["holds"] + counts["broken"]
        for kind in ("holds", "broken"):
            if counts[kind] < FEWEST * max(1, counts.total() - counts["unknown"] - counts["missed"] - counts["wrong"]):
                found.append(f"{question.name}: only {counts[kind]} histories: {kind}")
        if counts["unknown"] > question.unknown_share * decided:
            share = counts["unknown"] / max(1, decided)
            most = question.unknown_share
            found.append(f"{question.name}: {share:.1%} left undecided that the oracle decides; at most {most:.1%}")
        if counts["missed"] > question.missed_share * counts["broken"]:
            found.append(f"{question.name}: missed {counts['missed']} of {counts['broken']} that are broken")
    return found
