"""What the families of linearizability have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from random import Random
from typing import Any, Final

from harness.certify import laws
from harness.certify.contract import Change, Check, Draw, Expected, Family, Oracle, Question, System
from harness.certify.oracles import orders
from harness.certify.plants import scene
from harness.certify.systems import store
from harness.certify.tape import Answer, Choose, Did, scattered
from harness.checkers.linearizable import Linearizable
from harness.kernels.calls import Budget, Call, CallColumns, Decision, call_columns
from harness.kernels.compiling import fast
from harness.kernels.linearize import decide
from harness.kernels.models import MODELS, compiled
from harness.kernels.windowed import decide_windowed
from harness.kernels.zones import decide_zones, has_zones
from harness.model.columns import columns_of
from harness.model.history import History
from harness.model.verdict import Valid, Verdict

_WEAK: Final = (store.EVENTUAL, store.LOSSY)
_VALID: Final = {True: Valid.TRUE, False: Valid.FALSE, None: Valid.UNKNOWN}


def kinds(verdict: Verdict) -> list[str]:
    """What a verdict calls the violations."""
    return [violation["kind"] for violation in verdict.details.get("violations", ())]


def family(
    model: str, choose: Sequence[Choose], answer: Answer, plan: store.Plan, plants: Mapping[str, Change], values: bool = True,
    **how: Any,
) -> Family:  # fmt: skip
    """The family of ``model``. A small history is drawn with one of ``choose``. ``how`` can be ``initial``, ``first`` (the oracle's initial state), ``looks`` (verbs
    that only look), ``more`` (questions), ``most`` (operations of a small history), ``named`` (verdicts name kinds),
    ``untouched`` (something right to do with an object that nobody has touched), ``laws`` (more of them), ``weak`` (flawed systems) and ``sizes``
    (steps of a simulated run)."""
    named, sizes = how.get("named", False), how.get("sizes", (30, 80, 160))
    return Family(
        name=model,
        draw=_drawing(choose, answer, how.get("most", 8)),
        questions=(*questions(model, how.get("initial"), how.get("first")), *how.get("more", ())),
        sound=lambda random: store.run(random, plan, steps=random.choice(sizes)),
        plants=plants,
        laws=laws.NAMES
        | ({"other values": laws.other_values} if values else {})
        | ({"repeated reads": laws.echoed(*how["looks"])} if "looks" in how else {})
        | ({"work elsewhere": laws.begun_with(*how["untouched"], new_key=True)} if "untouched" in how else {})
        | how.get("laws", {}),
        systems=_systems(plan, checker(model, how.get("initial")), how.get("weak", _WEAK), max(sizes)),
        names=kinds if named else None,
    )


def _drawing(choose: Sequence[Choose], answer: Answer, most: int) -> Draw:
    def draw(random: Random) -> History:
        return scattered(random, random.choice(choose), answer, most, clients=5)

    return draw


def _systems(plan: store.Plan, check: Check, weak: Sequence[str], steps: int) -> tuple[System, ...]:
    return (
        System(store.LINEARIZABLE, store.running(plan, steps=steps), True, check),
        *(System(each, store.running(plan, isolation=each, steps=steps), False, check, share=0.7) for each in weak),
    )


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
    "search": (lambda _, calls: decide(calls), 1),
    "window, interpreted": (lambda columns, _: decide_windowed(columns, lambda kernel: kernel, Budget()), 4),
    "window, compiled": (lambda columns, _: decide_windowed(columns, fast, Budget()), 1),
}
"""The searches, and on every how manieth history each is asked: the interpreted window is slow."""

_WRITE: Final = Did(0, "write", 7)
REGISTER_SCENES: Final[dict[str, Change]] = {
    "stale": scene(_WRITE, Did(1, "write", 9), Did(2, "read", None, 7), Did(3, "read", None, 9)),
    "lost": scene(_WRITE, Did(1, "write", 9), Did(2, "read", None, 7), Did(3, "read", None, 7)),
    "phantom": scene(_WRITE, Did(2, "read", None, 8)),
    "dirty": scene(_WRITE, Did(1, "write", 9, type="fail"), Did(2, "read", None, 9)),
    "future": scene(Did(2, "read", None, 7), _WRITE),
}
"""What can go wrong with a register, by the names that the checker gives it."""
