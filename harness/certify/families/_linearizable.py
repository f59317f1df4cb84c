"""What the families of linearizability have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from harness.certify import laws
from harness.certify.contract import Change, Check, Expected, Family, Oracle, Question, System
from harness.certify.oracles import orders
from harness.certify.plants import scene
from harness.certify.systems import store
from harness.certify.tape import Answer, Choose, Did, scattered
from harness.checkers.objects.linearizable import Linearizable
from harness.kernels.calls import Budget, Call, CallColumns, Decision, call_columns
from harness.kernels.compiling import fast
from harness.kernels.linear.linearize import decide
from harness.kernels.linear.windowed import decide_windowed
from harness.kernels.linear.zones import decide_zones, has_zones
from harness.kernels.models import MODELS, compiled
from harness.model.columns import columns_of
from harness.model.history import History
from harness.model.verdict import Valid, Verdict

_VALID: Final = {True: Valid.TRUE, False: Valid.FALSE, None: Valid.UNKNOWN}


def kinds(verdict: Verdict) -> list[str]:
    """What a verdict calls the violations."""
    return [violation["kind"] for violation in verdict.details.get("violations", ())]


@dataclass(frozen=True, kw_only=True)
class Objects:
    """What makes up the family of a ``model``: a small history is drawn with one of ``choose``, and ``plan`` is what
    clients of a simulated store do.

    ``initial`` is the first state for the checker, ``first`` for the oracle. ``looks`` are verbs that only look;
    ``untouched`` is something right to do with an object that nobody has touched (verb, value, answer); ``values`` may
    be renamed; ``laws`` and ``more`` questions are the model's own. ``named``: verdicts name the kinds of ``plants``.
    ``weak`` are flawed stores, ``most`` the operations of a small history, ``sizes`` the steps of a simulated run.
    """

    model: str
    choose: tuple[Choose, ...]
    answer: Answer
    plan: store.Plan
    plants: Mapping[str, Change]
    initial: Any = None
    first: Any = None
    looks: tuple[str, ...] = ()
    untouched: tuple[str, Any, Any] | None = None
    values: bool = True
    laws: Mapping[str, Change] = field(default_factory=dict)
    more: tuple[Question, ...] = ()
    named: bool = False
    weak: tuple[str, ...] = (store.EVENTUAL, store.LOSSY)
    most: int = 8
    sizes: tuple[int, ...] = (30, 80, 160)

    def family(self) -> Family:
        """All of it together."""
        return Family(
            name=self.model,
            draw=lambda random: scattered(random, random.choice(self.choose), self.answer, self.most, clients=5),
            questions=(*questions(self.model, self.initial, self.first), *self.more),
            sound=lambda random: store.run(random, self.plan, steps=random.choice(self.sizes)),
            plants=self.plants,
            laws=self._laws(),
            systems=tuple(self._system(isolation) for isolation in (store.LINEARIZABLE, *self.weak)),
            names=kinds if self.named else None,
        )

    def _laws(self) -> dict[str, Change]:
        found = {**laws.NAMES, **self.laws}
        found |= {"other values": laws.other_values} if self.values else {}
        found |= {"repeated reads": laws.echoed(*self.looks)} if self.looks else {}
        return found | ({"work elsewhere": laws.begun_with(*self.untouched, new_key=True)} if self.untouched else {})

    def _system(self, isolation: str) -> System:
        strong = isolation == store.LINEARIZABLE
        run = store.running(self.plan, isolation=isolation, steps=max(self.sizes))
        return System(isolation, run, strong, checker(self.model, self.initial), 1.0 if strong else 0.7)


@cache
def checker(model: str, initial: Any = None) -> Check:
    """The checker as ``rift check`` uses it."""
    return Linearizable(model, initial, needs_evidence=False).check


def questions(model: str, initial: Any = None, first: Any = None) -> tuple[Question, ...]:
    """The checker by events and by columns, and, for models of guarded assignments, each kernel by itself."""
    expected, replay = oracle(model, first), f"--model {model}"
    plain = Linearizable(model, initial, needs_evidence=False)

    def by_columns(history: History) -> Verdict:
        return plain.check_columns(columns_of(history))

    found = [
        Question("by events", checker(model, initial), expected, replay=replay),
        Question("by columns", by_columns, expected, replay=replay),
    ]
    if model in MODELS:
        found += [
            Question(f"kernel {name}", _kernel(model, run), expected, every=every)
            for name, (run, every) in KERNELS.items()
        ]
    if model == "register":  # the others' values are hardly ever written once, which is what zones need
        found.append(Question("kernel zones", _kernel(model, _zones), _where_zones(model, expected)))
    return tuple(found)


def _where_zones(model: str, expected: Oracle) -> Oracle:
    """The oracle, asked only about histories that zones can decide."""

    def judge(history: History) -> Expected | None:
        calls = compiled(history.operations, MODELS[model], None).calls
        return expected(history) if calls and has_zones(call_columns(calls)) else None

    return judge


def oracle(model: str, first: Any = None) -> Oracle:
    """The slow judge of the model."""

    def judge(history: History) -> Expected:
        return Expected.HOLDS if orders.linearizable(history.operations, first, model) else Expected.BROKEN

    return judge


def _kernel(model: str, run: Callable[[CallColumns, list[Call]], Decision]) -> Check:
    def check(history: History) -> Verdict:
        calls = compiled(history.operations, MODELS[model], None).calls
        decision = run(call_columns(calls), calls) if calls else Decision(True)
        return Verdict(checker="kernel", valid=_VALID[decision.valid], summary=f"{decision}", cause=decision.limit)

    return check


def _zones(columns: CallColumns, _: list[Call]) -> Decision:
    return decide_zones(columns)


KERNELS: Final[dict[str, tuple[Callable[[CallColumns, list[Call]], Decision], int]]] = {
    "search": (lambda _, calls: decide(calls), 4),
    "window, interpreted": (lambda columns, _: decide_windowed(columns, lambda kernel: kernel, Budget()), 5),
    "window, compiled": (lambda columns, _: decide_windowed(columns, fast, Budget()), 4),
}
"""The searches that the checker chooses from, and on every how manieth history each is asked by itself."""

_WRITE: Final = Did(0, "write", 7)
REGISTER_SCENES: Final[dict[str, Change]] = {
    "stale": scene(_WRITE, Did(1, "write", 9), Did(2, "read", None, 7), Did(3, "read", None, 9)),
    "lost": scene(_WRITE, Did(1, "write", 9), Did(2, "read", None, 7), Did(3, "read", None, 7)),
    "phantom": scene(_WRITE, Did(2, "read", None, 8)),
    "dirty": scene(_WRITE, Did(1, "write", 9, type="fail"), Did(2, "read", None, 9)),
    "future": scene(Did(2, "read", None, 7), _WRITE),
}
"""What can go wrong with a register, by the names that the checker gives it."""
