"""Which anomaly rules out which consistency model, and which models fall together.

Two small lattices, as plain data. Sources: Adya, "Weak Consistency: A Generalized Theory and Optimistic Implementations
for Distributed Transactions" (1999), for PL-1 to PL-3, PL-2+, PL-CS, PL-FCV, PL-MSR, PL-2L, PL-3U, PL-SI and PL-SS;
Bailis et al., "Highly Available Transactions" (VLDB 2013), for monotonic atomic view; Cerone, Bernardi and Gotsman, "A
Framework for Transactional Consistency Models with Atomic Visibility" (CONCUR 2015), for read atomic, causal, prefix
and parallel snapshot isolation; Cerone and Gotsman, "Analysing Snapshot Isolation" (2018), for non-adjacent
anti-dependencies; Liu et al., "ROLA" (2018), for update atomicity; Daudjee and Salem (ICDE 2004, VLDB 2006), for strong
session models. Names are those that Elle's users know; where a model has several, ``ALIASES`` leads to the one used
here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

ALIASES: Final[dict[str, str]] = {
    "PL-1": "read-uncommitted",
    "PL-2": "read-committed",
    "PL-2L": "monotonic-view",
    "PL-MSR": "monotonic-snapshot-read",
    "PL-CS": "cursor-stability",
    "PL-2+": "consistent-view",
    "PL-FCV": "forward-consistent-view",
    "PL-2.99": "repeatable-read",
    "PL-SI": "snapshot-isolation",
    "PL-3U": "update-serializable",
    "PL-3": "serializable",
    "conflict-serializable": "serializable",
    "PL-SS": "strict-serializable",
    "strong-serializable": "strict-serializable",
    "strict-1SR": "strict-serializable",
    "strong-session-PL-1": "strong-session-read-uncommitted",
    "strong-session-PL-2": "strong-session-read-committed",
    "strong-PL-1": "strong-read-uncommitted",
    "strong-PL-2": "strong-read-committed",
}

WEAKER: Final[dict[str, tuple[str, ...]]] = {
    "read-uncommitted": (),
    "read-committed": ("read-uncommitted",),
    "monotonic-view": ("read-committed",),
    "monotonic-snapshot-read": ("read-committed",),
    "monotonic-atomic-view": ("read-committed",),
    "cursor-stability": ("read-committed",),
    "consistent-view": ("cursor-stability", "monotonic-view"),
    "forward-consistent-view": ("consistent-view",),
    "update-serializable": ("forward-consistent-view",),
    "repeatable-read": ("cursor-stability", "monotonic-atomic-view"),
    "read-atomic": ("monotonic-atomic-view",),
    "causal-cerone": ("read-atomic",),
    "ROLA": ("read-atomic",),
    "prefix": ("causal-cerone",),
    "parallel-snapshot-isolation": ("causal-cerone", "ROLA"),
    "snapshot-isolation": (
        "forward-consistent-view",
        "monotonic-atomic-view",
        "monotonic-snapshot-read",
        "parallel-snapshot-isolation",
        "prefix",
    ),
    "serializable": ("repeatable-read", "update-serializable", "snapshot-isolation"),
    "strong-session-read-uncommitted": ("read-uncommitted",),
    "strong-session-read-committed": ("read-committed", "strong-session-read-uncommitted"),
    "strong-session-snapshot-isolation": ("snapshot-isolation", "strong-session-read-committed"),
    "strong-session-serializable": ("serializable", "strong-session-snapshot-isolation"),
    "strong-read-uncommitted": ("strong-session-read-uncommitted",),
    "strong-read-committed": ("strong-session-read-committed", "strong-read-uncommitted"),
    "strong-snapshot-isolation": ("strong-session-snapshot-isolation", "strong-read-committed"),
    "strict-serializable": ("serializable", "strong-snapshot-isolation", "strong-session-serializable"),
}
"""A history that satisfies a model satisfies these, too."""

_CYCLES: Final = (
    ("G0", "G1c"),
    ("G1c", "G1"),
    ("G-single", "G-nonadjacent"),
    ("G-nonadjacent", "G2-item"),
    ("G2-item", "G2"),
)
_ORDERS: Final = ("", "-process", "-realtime")

IMPLIES: Final[dict[str, tuple[str, ...]]] = {
    "G1a": ("G1",),
    "G1b": ("G1",),
    "incompatible-order": ("G1a",),
    "dirty-update": ("G1a",),
    "future-read": ("G1c",),
    "lost-update": ("G2-item",),
    **{special + order: (general + order,) for special, general in _CYCLES for order in _ORDERS},
}
"""An anomaly is also an anomaly of these kinds; besides, whatever shows without an order shows with it."""

RULED_OUT_BY: Final[dict[str, tuple[str, ...]]] = {
    # In no history in Adya's sense can a version be installed twice, come from nowhere, or come before itself.
    "read-uncommitted": ("G0", "duplicate-elements", "cyclic-versions", "garbage-read"),
    "read-committed": ("G1",),
    "cursor-stability": ("G1", "lost-update"),
    "consistent-view": ("G1", "G-single"),
    "repeatable-read": ("G1", "G2-item", "lost-update"),
    "read-atomic": ("internal", "G1a", "future-read"),
    "ROLA": ("lost-update",),
    "snapshot-isolation": ("internal", "G1", "G-nonadjacent"),
    "serializable": ("internal", "G1", "G2"),
    "strong-session-read-uncommitted": ("G0-process",),
    "strong-session-read-committed": ("G1-process",),
    "strong-session-snapshot-isolation": ("internal", "G1-process", "G-nonadjacent-process"),
    "strong-session-serializable": ("G1-process", "G2-process"),
    "strong-read-uncommitted": ("G0-realtime",),
    "strong-read-committed": ("G1-realtime",),
    "strong-snapshot-isolation": ("internal", "G1-realtime", "G-nonadjacent-realtime"),
    "strict-serializable": ("G1-realtime", "G2-realtime"),
}
"""What each model forbids beyond what weaker models forbid."""


def canonical(model: str) -> str:
    """The name used here. Raises ValueError for a model that is not known."""
    name = ALIASES.get(model, model)
    if name not in WEAKER:
        raise ValueError(
            f"no consistency model is called {model!r}; there are {', '.join(sorted({*WEAKER, *ALIASES}))}"
        )
    return name


def violated(anomalies: Iterable[str]) -> frozenset[str]:
    """Every model that cannot hold where these anomalies are."""
    shown = _closure(anomalies, _implied())
    direct = [model for model, forbidden in RULED_OUT_BY.items() if shown.intersection(forbidden)]
    return _closure(direct, _stronger())


def weakest(models: Iterable[str]) -> list[str]:
    """Those of ``models`` that are not stronger than another one of them, by name."""
    names = set(models)
    return sorted(name for name in names if not names.intersection(_closure(WEAKER[name], WEAKER)))


def forbidden(anomaly: str, models: Iterable[str]) -> bool:
    """Whether one of ``models`` cannot hold where ``anomaly`` is."""
    return bool(violated([anomaly]).intersection(canonical(model) for model in models))


def order_needed(models: Iterable[str]) -> str:
    """What must be looked for: ``""``, ``process`` or ``realtime`` cycles."""
    for order in ("realtime", "process"):
        if any(forbidden(f"G2-item-{order}", [model]) or forbidden(f"G0-{order}", [model]) for model in models):
            return order
    return ""


def _closure(names: Iterable[str], onward: Mapping[str, Iterable[str]]) -> frozenset[str]:
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(onward.get(name, ()))
    return frozenset(found)


@cache
def _implied() -> dict[str, tuple[str, ...]]:
    """IMPLIES, and each cycle also with the order of processes, and that with real time."""
    more: dict[str, list[str]] = {name: list(others) for name, others in IMPLIES.items()}
    for name in ("G0", "G1c", "G1", "G-single", "G-nonadjacent", "G2-item", "G2"):
        more.setdefault(name, []).append(f"{name}-process")
        more.setdefault(f"{name}-process", []).append(f"{name}-realtime")
    return {name: tuple(others) for name, others in more.items()}


@cache
def _stronger() -> dict[str, tuple[str, ...]]:
    return {model: tuple(other for other, weaker in WEAKER.items() if model in weaker) for model in WEAKER}
