"""What caches below a store must keep: how often they hit, how old what they show may be, and what they tell of it.

A read through a cache answers with ``source`` (whose copy or store it comes from), ``path`` (the regions that the
request walked, the asked one first), ``age_s`` (since a store answered) and ``stale`` (nobody could say whether it has
changed meanwhile). None of it is believed: the walk must fit the hierarchy, the age the write of the value and the loss
of whoever could have renewed it, and what is not called stale must be current.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from harness.checkers.guarantees import Found
from harness.checkers.regions.story import Loss, Story, losses, plain
from harness.checkers.replicas.staleness import Staleness
from harness.checkers.wording import client, count, moment, span
from harness.kernels.models import freeze
from harness.model.clock import NS_PER_S
from harness.model.history import History, Operation
from harness.model.op import FAIL, OK, Op
from harness.model.regions import READS, WRITES, Judge
from harness.model.verdict import Valid

LOOKED_BACK: Final = 50
"""More reads than are under way at once of one key in one region."""
SLACK_NS: Final = NS_PER_S // 50
"""Clocks of several processes of one machine, and the moment between an answer and its journal."""


def hits(story: Story, judge: Judge) -> Found:
    """MRA-34: of all reads through caches at least ``min_ratio`` are hits. ``ttl_s`` and ``bound_ms`` are the store's
    own numbers; a workload that gives a perfect cache fewer hits than that proves nothing."""
    least = float(judge.options["min_ratio"])
    reads = _through_caches(story, judge)
    hit = [op for op in reads if _told(op)["source"] == op.region and not _told(op)["stale"]]
    possible = sum(_could_hit(story, judge, reads))
    says = f"{len(hit)} of {count(len(reads), 'read')} were hits, {possible} surely could have been"
    if not reads or len(hit) < least * len(reads) > possible:
        return Found(doubt=f"{says}: the workload itself gives no cache {least:.0%}")
    if len(hit) < least * len(reads):
        return Found(broken=(f"{says}; {least:.0%} are promised",), played=len(reads))
    return Found(played=len(reads), held=f"{says} ({len(hit) / len(reads):.1%})")


def _could_hit(story: Story, judge: Judge, reads: Sequence[Operation]) -> Iterator[bool]:
    """Of each read, whether somebody read the same there before, not too long ago, and nobody wrote meanwhile."""
    ttl_ns, bound_ns = float(judge.options["ttl_s"]) * NS_PER_S, float(judge.options["bound_ms"]) * 1e6
    writes: dict[Any, list[Operation]] = {}
    for op in story.operations:
        if op.f in WRITES and op.type != FAIL:
            writes.setdefault(freeze(op.key), []).append(op)
    before: dict[tuple[str, Any], deque[Operation]] = {}
    for op in reads:
        place = (op.region, freeze(op.key))
        earlier, wrote = before.setdefault(place, deque(maxlen=LOOKED_BACK)), writes.get(place[1], [])
        yield any(
            first.end_ns < op.start_ns
            and op.end_ns - first.start_ns < ttl_ns
            and not any(w.start_ns < op.end_ns and w.end_ns + bound_ns > first.start_ns for w in wrote)
            for first in reversed(earlier)
        )
        earlier.append(op)


def current(story: Story, judge: Judge) -> Found:
    """MRA-34: what is not called stale was not replaced more than ``max_ms`` before its read began."""
    verdict = Staleness(max_ms=float(judge.options["max_ms"])).check(plain(History(_unflagged(story)), judge))
    flagged = sum(bool(_told(op)["stale"]) for op in _through_caches(story, judge))
    if verdict.valid is Valid.FALSE:
        return Found(broken=(verdict.summary,), excerpts=verdict.excerpts)
    if verdict.valid is Valid.UNKNOWN:
        return Found(doubt=verdict.cause or verdict.summary)
    return Found(played=1, held=f"{verdict.summary}; {count(flagged, 'answer')} told to be stale")


def _unflagged(story: Story) -> Iterator[Op]:
    """The record, with every answer that is called stale as no answer."""
    for op in story.history:
        flagged = op.type == OK and op.f in READS and isinstance(op.value, dict) and op.value.get("stale")
        yield msgspec.structs.replace(op, type=FAIL) if flagged else op


def walks(story: Story, judge: Judge) -> Found:
    """MRA-37: requests walk from an edge upwards, a lost parent is served from copies younger than ``ttl_s``, and
    source and age are true. ``parents`` has every cache with what is above it."""
    parents, ttl_s = dict(judge.options["parents"]), float(judge.options["ttl_s"])
    reads, gone = _through_caches(story, judge), losses(story.history)
    writes = [op for op in story.operations if op.f in WRITES and op.type != FAIL]
    wrote = {(freeze(op.key), freeze(_value(op))): op for op in reversed(writes)}  # the first of the same
    asked = _asked(story, parents)
    way_ns: dict[Any, int] = {}
    broken, sources = [], Counter[str]()
    for op in reads:
        way_ns[freeze(op.key)] = max(op.end_ns - op.start_ns, way_ns.get(freeze(op.key), 0))
        write = wrote.get((freeze(op.key), freeze(_told(op)["value"])))
        problem = (
            _walked_wrong(op, parents)
            or _never_asked_for(op, asked[op.region, freeze(op.key)])
            or _too_old(op, ttl_s, write, way_ns[freeze(op.key)])
            or _renewed_by_nobody(op, _above(op.region, parents), gone)
        )
        if problem:
            broken.append(f"{client(op)} read {op.key} at {moment(op.start_ns)}: {problem}")
        sources[_told(op)["source"]] += 1
    broken += list(_not_served(story, judge, reads, parents, gone))
    came = ", ".join(f"{number} from {source}" for source, number in sources.most_common())
    alone = sum(any(_lost(op, loss, _above(op.region, parents)) for loss in gone) for op in reads)
    held = f"{count(len(reads), 'read')}: {came}; {alone} with a parent lost"
    doubt = "" if alone or broken else "no read was answered while a parent was lost"
    return Found(tuple(broken), played=len(reads), held=held, doubt=doubt)


def _lost(op: Operation, loss: Loss, above: Sequence[str]) -> bool:
    """Whether something above was certainly lost while an operation was under way."""
    return bool(set(above) & set(loss.regions)) and loss.start_ns <= op.start_ns <= op.end_ns <= loss.end_ns


def _asked(story: Story, parents: Mapping[str, str]) -> dict[tuple[str, Any], list[int]]:
    """When reads began that may have left a copy of a key in a cache, whatever became of them."""
    found: dict[tuple[str, Any], list[int]] = {}
    for op in story.operations:
        if op.f == "read":
            for region in (op.region, *_above(op.region, parents)):
                found.setdefault((region, freeze(op.key)), []).append(op.start_ns)
    return found


def _never_asked_for(op: Operation, asked: Sequence[int]) -> str:
    own = _told(op)["source"] == op.region
    return "a copy that nobody had asked for there" if own and sum(at < op.end_ns for at in asked) < 2 else ""


def _walked_wrong(op: Operation, parents: Mapping[str, str]) -> str:
    told, chain = _told(op), [op.region, *_above(op.region, parents)]
    path = list(told["path"])
    if path != chain[: len(path)] or not path:
        return f"it walked {' > '.join(path) or 'nowhere'}, not {' > '.join(chain)}"
    if told["source"] != path[-1]:
        return f"{told['source']} is its source, and {path[-1]} is where it walked to"
    return ""


def _too_old(op: Operation, ttl_s: float, write: Operation | None, way_ns: int) -> str:
    """The age that the answer tells against the most that it may be. ``way_ns``: the longest that anybody waited for an
    answer of this key, which a cache may count in, because it cannot tell the way up from the way back."""
    age_ns = float(_told(op)["age_s"]) * NS_PER_S
    if age_ns > ttl_s * NS_PER_S + (op.end_ns - op.start_ns):
        return f"a copy {span(round(age_ns))} old, with {ttl_s:g} s to live"
    if write is not None and age_ns > op.end_ns - write.start_ns + way_ns + SLACK_NS:
        return f"a copy {span(round(age_ns))} old of a value written {span(op.end_ns - write.start_ns)} before"
    return ""


def _renewed_by_nobody(op: Operation, above: Sequence[str], gone: Iterable[Loss]) -> str:
    """While a region above is lost nothing comes from there or beyond, and every copy is older than the loss."""
    told, chain = _told(op), [op.region, *above]
    for loss in gone:
        if not _lost(op, loss, above):
            continue
        where = [i for i, region in enumerate(chain) if region in loss.regions and i > 0]
        if told["source"] in chain[where[0] :]:
            return f"it comes from {told['source']}, although {chain[where[0]]} was lost"
        lost_ns = op.start_ns - loss.start_ns
        if float(told["age_s"]) * NS_PER_S + SLACK_NS < lost_ns:
            age_ns = round(float(told["age_s"]) * NS_PER_S)
            return f"a copy {span(age_ns)} old, although {chain[where[0]]} was lost for {span(lost_ns)}"
    return ""


def _not_served(
    story: Story, judge: Judge, reads: Sequence[Operation], parents: Mapping[str, str], gone: Sequence[Loss]
) -> Iterator[str]:
    """Reads that were refused during a loss, although a copy of theirs was young enough, and nothing had changed."""
    ttl_ns = float(judge.options["ttl_s"]) * NS_PER_S
    for op in story.operations:
        if op.f != "read" or op.type != FAIL or op.region not in parents or not str(op.key).startswith(judge.prefix):
            continue
        if not any(_lost(op, loss, _above(op.region, parents)) for loss in gone):
            continue
        had = [r for r in reads if (r.region, r.key) == (op.region, op.key) and r.end_ns < op.start_ns]
        wrote = any(w.f in WRITES and w.key == op.key and had and w.end_ns > had[-1].start_ns for w in story.operations)
        if had and not wrote:
            born_ns = had[-1].start_ns - float(_told(had[-1])["age_s"]) * NS_PER_S  # or later
            if op.end_ns - born_ns < ttl_ns:
                told = span(round(op.end_ns - born_ns))
                yield f"{client(op)} was refused {op.key} at {moment(op.start_ns)}, although a copy of {told} was there"


def _through_caches(story: Story, judge: Judge) -> list[Operation]:
    """Answered reads of the judged keys that tell where they come from, by start."""
    return [
        op
        for op in story.operations
        if op.f == "read" and op.type == OK and str(op.key).startswith(judge.prefix) and "path" in (op.result or {})
    ]


def _told(op: Operation) -> dict[str, Any]:
    return dict(op.result)


def _value(op: Operation) -> Any:
    return op.value.get("value") if isinstance(op.value, dict) else op.value


def _above(region: str, parents: Mapping[str, str]) -> list[str]:
    """What is above a cache, the nearest first."""
    found: list[str] = []
    while region in parents and parents[region] not in found:
        region = parents[region]
        found.append(region)
    return found
