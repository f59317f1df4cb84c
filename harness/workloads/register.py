"""Registers: read, write and compare-and-set over keys that come and go.

Operations draw their key from a window of a few keys that slides on as they happen, so that each key's history
stays short enough to judge while the window outlasts a typical fault. Some reads go back to older keys: a write that
was lost after the window moved on is seen too.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from harness.checkers.objects.linearizable import Linearizable
from harness.contracts import Checker, Shape
from harness.generators import Generator, clients, each_thread_from, unfold
from harness.generators.draws import word
from harness.model.op import Op, invoke
from harness.model.seeds import Rng

OPS_PER_KEY: Final = 200
WINDOW_S: Final = 8.0
"""How long a key stays in use, where the rate allows: longer than a fault of the usual length."""
KEYS_MIN, KEYS_MAX = 3, 24
ASSUMED_RATE_HZ: Final = 1000.0
"""For runs without a rate: decides how many keys are in use at a time."""
FINAL_BY_ALL: Final = 32
"""So many of the youngest keys are finally read in every region, older ones by one client each."""
FINAL_KEYS: Final = 2000

READ, WRITE, CAS, REVISIT = 46, 32, 18, 4
"""Chances in percent; REVISIT reads a key that left the window. A cas without a known value is a write."""
REVISIT_KEYS: Final = 50
REMEMBERED: Final = 3
"""How many recent values of a key a cas may expect."""


class State(Struct, frozen=True):
    """``count`` operations were made; ``recent[key % window]`` are the values last given to a key of the window."""

    seed: int
    window: int
    count: int
    recent: tuple[tuple[int, ...], ...]


def step(state: State) -> tuple[str, int, int | list[int] | None, State]:
    """The next operation: ``(f, key, value, state)``. Values count up from 1, so that each is written once."""
    bits, count, window = word(state.seed, state.count), state.count, state.window
    oldest = count // OPS_PER_KEY
    key = oldest + ((bits & 0xFFFF) * window >> 16)
    chance, pick = (bits >> 16 & 0xFFFF) * 100 >> 16, bits >> 32 & 0xFFFF
    recent = state.recent
    if count and count % OPS_PER_KEY == 0:  # the window slid: its youngest key takes the place of the one that left
        slot = (oldest + window - 1) % window
        recent = (*recent[:slot], (), *recent[slot + 1 :])
    if chance < REVISIT and oldest:
        key = oldest - 1 - (pick * min(oldest, REVISIT_KEYS) >> 16)
        return "read", key, None, State(state.seed, window, count + 1, recent)
    if chance < REVISIT + READ:
        return "read", key, None, State(state.seed, window, count + 1, recent)
    slot, new = key % window, count + 1
    known = recent[slot]
    recent = (*recent[:slot], (new, *known)[:REMEMBERED], *recent[slot + 1 :])
    after = State(state.seed, window, count + 1, recent)
    if known and chance >= 100 - CAS:
        return "cas", key, [known[pick * len(known) >> 16], new], after
    return "write", key, new, after


class Register:
    """See the module."""

    name = "register"
    needs: frozenset[str] = frozenset({"read", "write", "cas"})
    promise = "linearizable"

    def generator(self, rng: Rng, shape: Shape) -> Generator:
        window = _window(shape)
        return unfold(step, State(rng.child("register").seed, window, 0, ((),) * window))

    def final(self, rng: Rng, shape: Shape) -> Generator:
        """Every region reads the youngest keys, its clients sharing them in random order; older keys are dealt out."""
        used = shape.done // OPS_PER_KEY + _window(shape)
        keys = range(max(0, used - FINAL_KEYS), used)
        young, old = keys[-FINAL_BY_ALL:], keys[:-FINAL_BY_ALL]
        regions = len(shape.regions)
        sharing = max(1, shape.clients // regions)

        def reads(thread: int) -> list[Op]:
            mine = [*young[thread // regions % sharing :: sharing], *old[thread :: shape.clients]]
            order, _ = rng.child(f"final/{thread}").shuffled(mine)
            return [invoke("read", key=key) for key in order]

        return clients(each_thread_from(reads))

    def checkers(self) -> tuple[Checker, ...]:
        return (Linearizable(model="cas-register"),)


def _window(shape: Shape) -> int:
    wanted = round((shape.rate_hz or ASSUMED_RATE_HZ) * WINDOW_S / OPS_PER_KEY)
    return shape.keys or min(max(wanted, KEYS_MIN), KEYS_MAX)


WORKLOAD = Register()
