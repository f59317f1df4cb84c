"""Did a fault bite, and did it heal? Decided by comparing what probes saw before, during and after it.

A fault without effect proves nothing about the system under test, so a run must never take the call that
injected it as evidence. Both judges answer in words: empty when all is well, otherwise what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_NAMED_AT_MOST: Final = 4


@dataclass(frozen=True)
class Symptom:
    """Whether one thing (a link, a node) suffers from the fault right now, and what the probe saw.

    ``hidden`` says that the probe cannot tell, because something else holds the thing down (a dead node behind
    a link, another fault's cut). A hidden symptom is never ``bitten``.
    """

    thing: str
    bitten: bool
    seen: str
    hidden: bool = False


def effective(before: Sequence[Symptom], during: Sequence[Symptom]) -> str:
    """Empty when the fault bit, otherwise why that cannot be said.

    It bit when everything that was well before is bitten now, and there was at least one such thing.
    """
    well = {symptom.thing for symptom in before if not (symptom.bitten or symptom.hidden)}
    if not before:
        return "nothing was probed, so nothing shows an effect"
    if not well:
        return f"nothing was left to break: {_listed(before)} before the fault"
    now = {symptom.thing: symptom for symptom in during}
    unprobed = sorted(well - now.keys())
    if unprobed:
        return f"not probed while the fault lasted: {', '.join(unprobed)}"
    untouched = [now[thing] for thing in sorted(well) if not now[thing].bitten]
    if untouched:
        return f"{len(untouched)} of {len(well)} show no effect: {_listed(untouched)}"
    return ""


def healed(after: Sequence[Symptom], before: Sequence[Symptom] = ()) -> str:
    """Empty when nothing suffers from the fault any more, otherwise what still does.

    What was bitten ``before`` the fault is another fault's work and is left to that fault. What was well must be seen
    well again: where something hides it, or nobody looked, nothing shows that it healed.
    """
    excused = {symptom.thing for symptom in before if symptom.bitten}
    well = {symptom.thing for symptom in before if not (symptom.bitten or symptom.hidden)}
    left = [
        symptom
        for symptom in after
        if (symptom.bitten and symptom.thing not in excused) or (symptom.hidden and symptom.thing in well)
    ]
    if left:
        return f"{len(left)} of {len(after)} did not heal: {_listed(left)}"
    unprobed = sorted(well - {symptom.thing for symptom in after})
    return f"not probed after the fault: {', '.join(unprobed)}" if unprobed else ""


def _listed(symptoms: Iterable[Symptom]) -> str:
    told = [f"{symptom.thing} {symptom.seen}" for symptom in symptoms]
    rest = len(told) - _NAMED_AT_MOST
    return ", ".join(told[:_NAMED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")
