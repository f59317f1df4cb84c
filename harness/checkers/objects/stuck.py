"""Orders that explain all operations but one: what a reader tries in his head before he believes that none is left.

A small search like that of Wing and Gong (1993), over the few operations of an excerpt: each path places everything
that had returned when the culprit did, and for every state that can be reached so, the shortest path is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from harness.model.verdict import Order, Placed

MOST: Final = 4
"""So many orders are kept."""
LONGEST: Final = 8
"""Orders of so many steps are told in words; longer ones only as a picture."""
WIDEST: Final = 60
"""States are told with so many characters at most."""
_LOOKS: Final = 20_000
"""So many configurations are visited at most."""


_Config = tuple[Hashable, frozenset[int]]


class Span(NamedTuple):
    """An operation's place in the history: the positions of its events, ``end`` beyond all others when it is open."""

    start: int
    end: int


class Path(NamedTuple):
    """``steps``: operations in order, each with the state after it; they began in state ``begin``."""

    begin: Hashable
    steps: tuple[tuple[int, Hashable], ...]

    def during(self, span: Span, spans: Sequence[Span]) -> list[Hashable]:
        """The states in which an operation with this ``span`` could have happened, in order."""
        states = [self.begin, *(state for _, state in self.steps)]
        first = max((at + 1 for at, (which, _) in enumerate(self.steps) if spans[which].end < span.start), default=0)
        return list(dict.fromkeys(states[first:]))


class Scene(NamedTuple):
    """What a story knows about its operations: ``spans`` of them all, the ``culprit``'s position, the states they can
    have begun in, what may follow (see ``paths``); the words for a state, the culprit's deed (``who``), and "the
    register would hold" (``holds``)."""

    spans: Sequence[Span]
    culprit: int
    initial: Iterable[Hashable]
    after: Callable[[Hashable, int], Iterable[Hashable]]
    word: Callable[[Any], str]
    who: str
    holds: str


class Orders(NamedTuple):
    """``complete`` says that they end in every state that the operations can end in."""

    all: tuple[Order, ...] = ()
    complete: bool = False


def orders(scene: Scene) -> Orders:
    """The scene's orders for people; none when the search was too long."""
    found = []
    tried, complete = paths(scene.spans, scene.culprit, scene.initial, scene.after)
    for path in tried:
        held = path.during(scene.spans[scene.culprit], scene.spans)
        if any(True for state in held for _ in scene.after(state, scene.culprit)):
            return Orders()  # the excerpt alone does not show the violation, so neither can this
        then = " then ".join(_cut(scene.word(state)) for state in held)
        why = f"{scene.who} does not fit: {scene.holds} {then}"
        steps = tuple(Placed(operation=which, state=_cut(scene.word(state))) for which, state in path.steps)
        found.append(Order(begin=_cut(scene.word(path.begin)), steps=steps, stuck=scene.culprit, why=why))
    return Orders(tuple(found), complete)


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[:WIDEST]}... ({len(text):,} characters)"


def told(found: Sequence[Order], name: Callable[[int], str]) -> list[str]:
    """The orders line by line, where they are short; ``name`` says what to call an operation."""
    lines = []
    for order in found:
        steps = [f"{name(step.operation)} -> {step.state}" for step in order.steps]
        if len(steps) <= LONGEST:
            lines.append(f"Tried: at first {'; '.join([order.begin, *steps])}. Then {order.why}.")
    return lines


def paths(
    spans: Sequence[Span],
    culprit: int,
    initial: Iterable[Hashable],
    after: Callable[[Hashable, int], Iterable[Hashable]],
) -> tuple[list[Path], bool]:
    """Orders of everything that had returned when the ``culprit`` did, from a state in ``initial``.

    ``after(state, which)`` gives the states that may follow operation ``which``, none when it cannot happen. Operations
    that were still open are placed only where others need them. Breadth first, so the shortest order to each last
    state, and whether these are all such states; empty when none was found in time.
    """
    end = spans[culprit].end
    others = [which for which, span in enumerate(spans) if span.start < end and which != culprit]
    must = frozenset(which for which in others if spans[which].end < end)
    begun = [(state, frozenset[int]()) for state in initial]
    before: dict[_Config, _Config] = {}
    todo, found = deque(begun), dict[Hashable, Path]()
    while todo and len(before) < _LOOKS and len(found) < MOST:
        state, placed = todo.popleft()
        if must <= placed:
            found.setdefault(state, _path((state, placed), before))
            continue
        first_end = min(spans[which].end for which in must - placed)
        for which in others:
            if which in placed or spans[which].start > first_end:
                continue
            for next_state in after(state, which):
                there = next_state, placed | {which}
                if there not in before:
                    before[there] = state, placed
                    todo.append(there)
    return list(found.values()), not todo


def _path(there: _Config, before: dict[_Config, _Config]) -> Path:
    steps: list[tuple[int, Hashable]] = []
    while there in before:
        former = before[there]
        [which] = there[1] - former[1]
        steps.append((which, there[0]))
        there = former
    return Path(there[0], tuple(reversed(steps)))
