"""Linearizable queues that keep no order."""

from __future__ import annotations

from random import Random
from typing import Final

from harness.certify.families import _linearizable as common
from harness.certify.families.fifo_queue import PLANTS, answer, choose
from harness.certify.systems import store
from harness.certify.systems.store import Deed


def plan(random: Random, number: int) -> Deed:
    """What clients do."""
    return Deed("enqueue", "enqueue", number) if random.random() < 0.5 else Deed("dequeue", "take")


FAMILY: Final = common.Objects(
    model="unordered-queue",
    choose=(choose,),
    answer=answer,
    plan=plan,
    plants=PLANTS,
    untouched=("dequeue", None, None),
    first=(),
    weak=(store.LOSSY, store.DIRTY),
    most=7,
).family()
