"""Pipelined RAM: every process sees the writes of each other process in the order in which that one issued them.

Lipton and Sandberg, "PRAM: a scalable shared memory", 1988; the same as read-your-writes, monotonic reads and monotonic
writes together (Brzezinski, Sobaniec and Wawrzyniak, "From session causality to causal consistency", 2004). Each
process may see different processes' writes interleaved in its own way. From the view of one reading process:

    initial-after-write    it read the initial value of a key, though it had seen a write of that key or a later one of
                           the same writer
    overwritten            it read a value after it had seen a later write of the same writer to that key
    went-back              it read a value, then another one of that key (or wrote one), then the first again

Sound: each finding breaks PRAM. Not complete: contradictions that need several writers and keys at once are not looked
for. Assumes unique values per key; a process is a session; operations are ``read``, ``write`` and ``cas``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.checkers.findings import Finding, verdict_of
from harness.checkers.replicas.versions import INITIAL, UNKNOWN, Accesses, accesses, needed, written
from harness.checkers.wording import client, count, thing
from harness.model.history import History, Operation
from harness.model.op import OK
from harness.model.verdict import Verdict


@dataclass(frozen=True)
class Pram:
    """Judges registers that begin with ``initial``. Unknown when nothing was read or written, or values were written
    twice."""

    initial: Any = None
    name: str = "pram"

    def check(self, history: History) -> Verdict:
        found = accesses(history, self.initial)
        findings = [*found.thin_air, *_bad_reads(found)]
        held = f"{count(found.reads, 'read')} saw every client's writes in their order"
        details = {"reads": found.reads}
        return verdict_of(self.name, findings, held=held, cause=found.cause, details=details, faults=history.faults)


@dataclass
class _View:
    """What one process knows. ``steps[chain]`` lists when it came to know how many of the chain's writes (both grow);
    ``last[key]`` is when it last saw or wrote the key, and which write it was."""

    now: int = 0
    steps: dict[int, tuple[list[int], list[int]]] = field(default_factory=dict)
    last: dict[Hashable, tuple[int, int]] = field(default_factory=dict)
    how: dict[int, Operation] = field(default_factory=dict)
    """By which operation it came to know the newest write of a chain that it knows."""

    def learn(self, chain: int, place: int, by: Operation) -> None:
        whens, places = self.steps.setdefault(chain, ([], []))
        if not places or places[-1] < place:
            self.how[chain] = by
            whens.append(self.now)
            places.append(place)

    def known(self, chain: int) -> int:
        """How many writes of the chain it knows."""
        return self.steps[chain][1][-1] if chain in self.steps else 0

    def since(self, chain: int, place: int) -> int | None:
        """When it came to know the chain's write number ``place``."""
        whens, places = self.steps.get(chain, ([], []))
        found = bisect_left(places, place)
        return whens[found] if found < len(places) else None


def _places(found: Accesses) -> dict[int, tuple[int, int]]:
    """Chain and place in it of every write. An indeterminate write is a chain of its own: what its session did next
    does not follow from it."""
    places: dict[int, tuple[int, int]] = {}
    written_in: dict[int, int] = {}
    for at, access in enumerate(found.all):
        if access.writes:
            chain = access.op.process if access.op.type == OK else -1 - at
            written_in[chain] = written_in.get(chain, 0) + 1
            places[at] = chain, written_in[chain]
    return places


def _bad_reads(found: Accesses) -> Iterator[Finding]:
    places = _places(found)
    by_key: dict[Hashable, dict[int, tuple[list[int], list[int]]]] = {}
    for at, (chain, place) in places.items():
        writes = by_key.setdefault(found.all[at].key, {}).setdefault(chain, ([], []))
        writes[0].append(place)
        writes[1].append(at)
    views: dict[int, _View] = {}
    for at, access in enumerate(found.all):
        view = views.setdefault(access.op.process, _View())
        view.now += 1
        if access.source != UNKNOWN:
            bad = _judged(view, access.key, access.source, places, by_key.get(access.key, {}))
            if bad:
                yield _finding(access.op, bad[0], found.all[bad[1]].op, view.how.get(places[bad[1]][0]))
            if access.source >= 0 and access.op.type == OK:
                view.learn(*places[access.source], access.op)
            if access.op.type == OK:
                view.last[access.key] = view.now, access.source
        if access.writes and access.op.type == OK:
            view.learn(*places[at], access.op)
            view.last[access.key] = view.now, at


def _judged(
    view: _View,
    key: Hashable,
    source: int,
    places: dict[int, tuple[int, int]],
    writes: dict[int, tuple[list[int], list[int]]],
) -> tuple[str, int] | None:
    """What is wrong with a read of ``source``, and the write that shows it."""
    if source == INITIAL:
        for chain in writes if len(writes) < len(view.steps) else view.steps:
            if chain in writes and writes[chain][0][0] <= view.known(chain):
                return "initial-after-write", writes[chain][1][0]
        return None
    chain, place = places[source]
    number, at = writes[chain]
    newest = bisect_right(number, view.known(chain)) - 1
    if newest >= 0 and number[newest] > place:
        return "overwritten", at[newest]
    when, other = view.last.get(key, (-1, source))
    since = view.since(chain, place)
    if other not in (source, INITIAL) and since is not None and since <= when:
        return "went-back", other
    return None


def _finding(op: Operation, kind: str, newer: Operation, look: Operation | None) -> Finding:
    of = "" if op.key is None else f" of key {op.key}"
    told = f"{client(op)} read {thing(needed(op))}{of} after it had seen"
    if kind == "went-back":
        return Finding(kind, f"{told} {thing(written(newer))} there", op, (newer,))
    if look is None or look.f == "write" or (look.key == newer.key and needed(look) == written(newer)):
        return Finding(kind, f"{told} {thing(written(newer))} there", op, (newer, *((look,) if look else ())))
    where = "" if look.key is None else f" of key {look.key}"
    says = f"{told} {thing(needed(look))}{where}, which {client(newer)} wrote after {thing(written(newer))}{of}"
    return Finding(kind, says, op, (newer, look))
