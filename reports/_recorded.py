"""The page about a verdict on a recorded history: ``rift check FILE --model NAME --html PAGE``."""

from __future__ import annotations

import msgspec

from harness.model.history import FaultWindow
from harness.model.run import Recorded
from harness.model.verdict import Valid

from ._evidence import evidence
from ._facts import FaultFact
from ._markup import Html, el
from ._page import document, fact_list, section
from ._story import SYMBOL, split_trace
from ._tables import fold
from ._words import count, millis, short

WORD = {Valid.TRUE: "Valid", Valid.FALSE: "Invalid", Valid.UNKNOWN: "Unknown"}


class _Around(msgspec.Struct, frozen=True):
    regions: tuple[str, ...]
    faults: tuple[FaultFact, ...]


def recorded_page(told: Recorded) -> str:
    """The whole document."""
    verdict = told.verdict
    excerpts = [(verdict, excerpt) for excerpt in verdict.excerpts] if verdict.valid is Valid.FALSE else []
    regions = dict.fromkeys(m.operation.region for _, excerpt in excerpts for m in excerpt.operations)
    around = _Around(tuple(filter(None, regions)), tuple(map(_fault, told.faults)))
    return document(
        f"{WORD[verdict.valid]}: {short(told.name, 80)}, {told.model}",
        el("main", _top(told), evidence(excerpts, around), _isolation(told), _again(told)),
        el("footer", f"Rift {told.rift_version} · {told.name}"),
    )


def _top(told: Recorded) -> Html:
    verdict = told.verdict
    cause, trace = split_trace(verdict.cause)
    notes = [f"Note: {told.note}."] if told.note else []
    notes += [cause] if cause and cause not in verdict.summary else []
    options = ", ".join(f"{name} = {value}" for name, value in told.options.items())
    return el(
        "header",
        el("p", "Rift · check", class_="brand"),
        el(
            "div",
            el("span", SYMBOL[verdict.valid], class_="symbol", aria_hidden="true"),
            el("h1", el("strong", f"{WORD[verdict.valid]}: "), short(verdict.summary, 360)),
            el("ul", *(el("li", note) for note in notes)) if notes else None,
            class_=f"verdict {verdict.valid.value}",
        ),
        fact_list(
            ("History", short(told.name.rsplit("/", 1)[-1], 60)),
            ("Model", told.model),
            ("Options", short(options, 120)),
            ("Operations", count(told.operations)),
            ("Acknowledged", count(told.acknowledged)),
            ("Format", told.format),
            ("Judged in", millis(verdict.seconds * 1000)),
        ),
        fold("Traceback", el("pre", trace or str(verdict.details.get("traceback", ""))))
        if trace or "traceback" in verdict.details
        else None,
    )


def _isolation(told: Recorded) -> Html:
    """What the anomalies rule out, for transactions."""
    details = told.verdict.details
    if not details.get("not"):
        return Html()
    pairs = (("Anomalies", "anomalies"), ("Not", "not"), ("And so not", "also_not"), ("Tolerated", "tolerated"))
    return section("Isolation", fact_list(*((name, ", ".join(details.get(key) or ())) for name, key in pairs)))


def _again(told: Recorded) -> Html:
    return section("Judge it again", el("pre", told.command)) if told.command else Html()


def _fault(window: FaultWindow) -> FaultFact:
    return FaultFact(**{name: getattr(window, name) for name in window.__struct_fields__}, state="")
