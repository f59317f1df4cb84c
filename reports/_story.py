"""A run told in plain words: the headline, a sentence per fault, what the run still lacks. Shared by all renderers."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from harness.model.run import Run
from harness.model.verdict import Excerpt, Valid, Verdict

from ._facts import Facts, FaultFact
from ._words import clean, count, lasting, moment, short

SYMBOL: Final = {Valid.TRUE: "✓", Valid.FALSE: "✗", Valid.UNKNOWN: "?"}
WORD: Final = {Valid.TRUE: "Held", Valid.FALSE: "Violated", Valid.UNKNOWN: "Unknown"}

_PROPERTY: Final = {
    "linearizable": ("stayed linearizable", "is not linearizable"),
    "set": ("kept every acknowledged element", "lost or invented elements"),
}
"""How a target that has, or lacks, the property of a well-known checker is described."""


class Headline(msgspec.Struct, frozen=True, kw_only=True):
    """The run's outcome: ``word`` and ``symbol`` stand beside the colour, ``sentence`` follows the word."""

    valid: Valid
    word: str
    symbol: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.word}: {self.sentence}"


def headline(facts: Facts) -> Headline:
    """The outcome in one sentence that a newcomer understands."""
    valid = facts.run.valid
    tell = {Valid.TRUE: _held, Valid.FALSE: _violated, Valid.UNKNOWN: _unknown}[valid]
    return Headline(valid=valid, word=WORD[valid], symbol=SYMBOL[valid], sentence=clean(tell(facts)))


def caveats(facts: Facts) -> list[str]:
    """What limits the verdict: sentences for the reader, empty for a run that went as planned."""
    run, found = facts.run, []
    if run.state != "finished" and run.verdicts:
        found.append(f"{_STATE.get(run.state, run.state)} The verdicts cover what happened before.")
    if run.problem and (run.verdicts or len(run.problem) > 240):
        found.append(f"Problem: {_sentence(run.problem)}")
    if facts.unreadable:
        found.append(facts.unreadable)
    idle = [fault for fault in facts.faults if fault.effective is False]
    if idle:
        found.append(f"Without effect: {', '.join(f'{f.id} {f.fault}' for f in idle)}. Nothing was tested by that.")
    sick = [fault for fault in facts.faults if fault.healed is False]
    if sick:
        found.append(f"Not healed: {', '.join(fault.label for fault in sick)}.")
    if run.plan.drill is not None:
        broken = [v for v in run.verdicts if v.valid is Valid.FALSE and not v.judged]
        found += [f"Only reported, since nobody promises otherwise: {v.checker}: {v.summary}." for v in broken]
    return [clean(sentence) for sentence in found]


def fault_sentence(fault: FaultFact) -> str:
    """One fault from start to end: what, when, whether it bit, whether it healed, and why not."""
    when = "never started"
    if fault.start_ns is not None:
        when = f"from {moment(fault.start_ns)}"
        if fault.end_ns is not None:
            when += f" for {lasting(fault.end_ns - fault.start_ns)}"
    why = f" ({fault.why})" if fault.why else ""
    aim = f", {fault.aim}," if fault.aim else ""
    return clean(f"{fault.id} {fault.fault}{aim} {when}: {bite(fault)}; {heal(fault)}{why}")


def bite(fault: FaultFact) -> str:
    """Whether the fault had an effect."""
    return {True: "it bit", False: "no effect", None: "effect not attested"}[fault.effective]


def heal(fault: FaultFact) -> str:
    """Whether the fault is gone."""
    if fault.healed is None:
        return "not known to be healed"
    return "healed" if fault.healed else "NOT healed"


def verdict_sentence(verdict: Verdict) -> str:
    """What a checker found, with the cause when it does not know."""
    cause = " ".join(split_trace(verdict.cause)[0].split())
    if verdict.valid is Valid.UNKNOWN and cause and cause not in verdict.summary:
        return clean(f"{verdict.summary} ({cause})" if verdict.summary else cause)
    return clean(verdict.summary)


def replay_command(run: Run) -> str:
    """The command that runs the same plan again."""
    return clean(run.plan.replay) or f"rift run --target {run.plan.target} --seed {run.plan.seed}"


def check_command(run: Run) -> str:
    """The command that judges the stored history again."""
    return clean(f"rift check {run.folder}")


def split_trace(text: str) -> tuple[str, str]:
    """A cause without its Python traceback, and that traceback (empty when there is none)."""
    head, mark, rest = text.partition("Traceback (most recent call last)")
    return (head.strip(), (mark + rest).strip()) if mark else (text, "")


_STATE: Final = {
    "interrupted": "The run was interrupted.",
    "failed": "The harness or its environment failed.",
    "torn": "The harness was killed during the run.",
}


def _held(facts: Facts) -> str:
    kept = [verdict.checker for verdict in facts.run.verdicts if verdict.judged]
    known = [_PROPERTY[name][0] for name in kept if name in _PROPERTY]
    claim = " and ".join(known) or f"passed {', '.join(kept)}"
    return f"{facts.run.plan.target_name} {claim}: {facts.summary}{_faults_bit(facts)}."


def _violated(facts: Facts) -> str:
    verdict = next(v for v in facts.run.verdicts if v.judged and v.valid is Valid.FALSE)
    target = facts.run.plan.target_name
    claim = f"{target} {_PROPERTY[verdict.checker][1]}" if verdict.checker in _PROPERTY else f"{target}, "
    if verdict.excerpts:
        return _sentence(f"{claim}: {_with_fault(verdict.excerpts[0], facts)}".replace(", : ", ": "))
    if verdict.checker in _PROPERTY:
        return _sentence(f"{claim}: {verdict.summary}")
    return _sentence(f"{target}: {verdict.summary}")


def _unknown(facts: Facts) -> str:
    run = facts.run
    kept = f" {facts.summary} are kept; judge them with: {check_command(run)}" if facts.operations else ""
    if run.state == "failed" and not run.verdicts:
        return (
            f"the run failed and nothing was judged. {_sentence(short(_first_line(run.problem), 240))}{kept}".rstrip()
        )
    if not run.verdicts:
        happened = {"interrupted": "the run was interrupted", "torn": "the harness was killed"}.get(run.state)
        return f"{happened} before anything was judged.{kept}" if happened else f"nothing was judged.{kept}"
    doubts = [v for v in run.verdicts if v.judged and v.valid is Valid.UNKNOWN]
    if not doubts:
        return f"nothing was judged: {run.plan.target_name} claims none of what the checkers looked at."
    doubt = doubts[0]
    cause = _first_line(split_trace(doubt.cause)[0] or doubt.summary).rstrip(".")
    known = _PROPERTY.get(doubt.checker)
    whether = f"could not decide whether {run.plan.target_name} {known[0]}" if known else ""
    claim = whether or f"not enough evidence ({doubt.checker})"
    rest = f" (and {count(len(doubts) - 1, 'more reason')} below)" if len(doubts) > 1 else ""
    return _sentence(f"{claim}: {cause}{rest}")


def _faults_bit(facts: Facts) -> str:
    if not facts.faults:
        return ", with no faults injected"
    if facts.bitten == len(facts.faults):
        return f" while {count(facts.bitten, 'fault')} bit"
    return f" while {facts.bitten} of {count(len(facts.faults), 'fault')} bit"


def _with_fault(excerpt: Excerpt, facts: Facts) -> str:
    """The excerpt's title, and the fault during which the culprit ran unless the title names one."""
    title = excerpt.title.rstrip(".")
    if any(word in title for word in (" while ", " with ", " during ", " amid ")):
        return title
    for marked in excerpt.operations:
        if marked.mark != "culprit":
            continue
        for fault in facts.faults:
            if fault.aim and fault.overlaps(marked.operation.start_ns, marked.operation.start_ns):
                return f"{title}, with {re.sub(r' *[(].*[)]$', '', fault.aim)}"
    return title


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."
