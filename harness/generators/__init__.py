"""Pure, seeded schedules of operations, and the ways to combine them; ``docs/generators.md`` teaches them.

How a driver uses one::

    ctx = Context.start(clients=6)
    answer = ask(generator, ctx.at(now_ns))
    #  None: exhausted; (PENDING, next): adopt next, ask again after a completion or a few milliseconds;
    #  (op, next): wait until op.time_ns. Did something complete meanwhile? Throw the answer away and ask again. Else:
    ctx, generator = ctx.dispatched(ctx.thread_of(op.process), now_ns), next
    #  and for each completion:
    ctx = ctx.completed(ctx.thread_of(event.process), now_ns, crashed=event.type == INFO)
    generator = generator.update(ctx, event)
"""

from __future__ import annotations

from harness.generators.base import NOTHING, PENDING, Answer, Generator, ask, sleep, unfold
from harness.generators.bounds import limit, once, repeat, time_limit, until_ok
from harness.generators.choice import any_of, mix
from harness.generators.context import Context
from harness.generators.independent import independent, independent_concurrent
from harness.generators.pace import delay, stagger
from harness.generators.sequence import (
    Liftable,
    concat,
    cycle,
    flip_flop,
    lift,
    phases,
    synchronize,
    then,
)
from harness.generators.simulate import Cluster, completion, perfect, schedule_hash, simulate
from harness.generators.threads import clients, each_thread, each_thread_from, nemesis, reserve
from harness.generators.transform import f_map, filter_ops, map_ops

__all__ = [
    "NOTHING",
    "PENDING",
    "Answer",
    "Cluster",
    "Context",
    "Generator",
    "Liftable",
    "any_of",
    "ask",
    "clients",
    "completion",
    "concat",
    "cycle",
    "delay",
    "each_thread",
    "each_thread_from",
    "f_map",
    "filter_ops",
    "flip_flop",
    "independent",
    "independent_concurrent",
    "lift",
    "limit",
    "map_ops",
    "mix",
    "nemesis",
    "once",
    "perfect",
    "phases",
    "repeat",
    "reserve",
    "schedule_hash",
    "simulate",
    "sleep",
    "stagger",
    "synchronize",
    "then",
    "time_limit",
    "unfold",
    "until_ok",
]
