"""Small random histories of transactions, some of which some order explains."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from harness.model.history import History
from harness.model.op import FAIL, INFO, INVOKE, OK, Op


def history(random: Random, kind: str, transactions: int = 4, shown: bool = True, chaos: float = 0.3) -> History:
    """At most ``transactions`` transactions of ``kind`` on two keys, in a random order of commits.

    Each reads from some state: with probability ``chaos`` from any one, and each read then from its own with the same
    chance. ``shown``: one more transaction reads both keys at the end, so that the order of all appends is known.
    """
    verb = "append" if kind == "list-append" else "w"
    work, next_value = [], 1
    for _ in range(random.randint(1, transactions)):
        micros: list[list[Any]] = []
        for _ in range(random.randint(1, 3)):
            key = random.choice("xy")
            if random.random() < 0.5:
                micros.append(["r", key, None])
            else:
                micros.append([verb, key, next_value])
                next_value += 1
        work.append(micros)
    types = [random.choices((OK, FAIL, INFO), (0.8, 0.1, 0.1))[0] for _ in work]
    if shown:
        work.append([["r", "x", None], ["r", "y", None]])
        types.append(OK)
    return _events(random, _answers(random, kind, work, types, chaos, shown), types, shown)


def _answers(
    random: Random, kind: str, work: list[list[list[Any]]], types: list[str], chaos: float, shown: bool
) -> list[tuple[list[Any], list[Any]]]:
    order = list(range(len(work) - shown))
    random.shuffle(order)
    states: list[dict[str, list[Any]]] = [{}]
    happens = {i: types[i] == OK or (types[i] == INFO and random.random() < 0.5) for i in order}
    for i in order:
        states.append({key: list(items) for key, items in states[-1].items()})
        if happens[i]:
            for f, key, value in work[i]:
                if f != "r":
                    states[-1].setdefault(key, []).append(value)
    place = {i: at for at, i in enumerate(order)} | ({len(work) - 1: len(order)} if shown else {})
    answers = []
    for i, micros in enumerate(work):
        last = shown and i == len(work) - 1
        base = place[i] if last or random.random() > chaos else random.randrange(len(states))
        own: dict[str, list[Any]] = {}
        answered = []
        for f, key, value in micros:
            if f != "r":
                own.setdefault(key, []).append(value)
                answered.append([f, key, value])
                continue
            at = random.randrange(len(states)) if not last and random.random() < chaos / 3 else base
            items = states[at].get(key, []) + own.get(key, [])
            answered.append(["r", key, items if kind == "list-append" else items[-1] if items else None])
        answers.append((micros, answered))
    return answers


def _events(random: Random, answers: list[tuple[list[Any], list[Any]]], types: list[str], shown: bool) -> History:
    """Each transaction begins and ends at random; the last one, if ``shown``, after all others."""
    marks = []
    for i in range(len(answers)):
        late = 10.0 if shown and i == len(answers) - 1 else 0.0
        begin, end = sorted((random.random(), random.random()))
        marks += [(late + begin, i, INVOKE), (late + end, i, types[i])]
    events: list[Op] = []
    for _, i, type_ in sorted(marks):
        value = answers[i][1] if type_ == OK else answers[i][0]
        events.append(Op(type=type_, f="txn", process=i, value=value, index=len(events), time_ns=len(events)))
    return History(events)


def spoiled(random: Random, events: History) -> History:
    """The same history with one answered read changed: an element lost, doubled, swapped, or from nowhere or a failed
    write.
    """
    found = [
        (i, j) for i, op in enumerate(events) if op.type == OK for j, micro in enumerate(op.value) if micro[0] == "r"
    ]
    if not found:
        return events
    i, j = random.choice(found)
    f, key, seen = events[i].value[j]
    numbers = [micro[2] for op in events if op.type == INVOKE for micro in op.value if micro[0] != "r"] or [1]
    strange = random.choice([99, random.choice(numbers)])
    if isinstance(seen, list):
        seen = random.choice([seen[1:], seen[:-1], seen + seen[-1:], seen[::-1], [*seen, strange], [strange, *seen]])
    else:
        seen = random.choice([None, strange])
    value = [micro if at != j else [f, key, seen] for at, micro in enumerate(events[i].value)]
    return History([*events[:i], msgspec.structs.replace(events[i], value=value), *events[i + 1 :]])
