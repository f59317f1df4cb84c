"""Finding and removing what carries our labels on an engine: at the end of a run, and after a dead one.

The reaper does the same from inside a container (``inside/reaper.py``) when nobody else is left to do it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from harness.errors import TestbedError
from harness.testbeds.containers import labels
from harness.testbeds.containers.engine import Engine, Gone
from harness.testbeds.leases import SUFFIX, dead, runtime_folder

_AT_ONCE: Final = 8
_ROUNDS: Final = 3
RETURN_LIMIT_S: Final = 20.0
"""How long an engine that went away may take to come back."""
_RETURN_POLL_S: Final = 1.0


@dataclass(frozen=True)
class Objects:
    """What one run has on an engine, as objects of the SDK."""

    run_id: str
    containers: tuple[Any, ...] = ()
    networks: tuple[Any, ...] = ()
    volumes: tuple[Any, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.containers or self.networks or self.volumes)

    def __str__(self) -> str:
        counts = ("container", self.containers), ("network", self.networks), ("volume", self.volumes)
        told = [f"{len(some)} {word}{'s' if len(some) > 1 else ''}" for word, some in counts if some]
        return f"run {self.run_id}: {', '.join(told)}"

    @property
    def labels(self) -> dict[str, str]:
        return next(map(_labels, (*self.containers, *self.networks, *self.volumes)), {})


def objects(engine: Engine, run_id: str, *, reaper: bool = True) -> Objects:
    """What the run has now; without its reaper unless that is wanted, too."""
    return next(iter(_listed(engine, f"{labels.RUN}={run_id}", reaper)), Objects(run_id))


def _listed(engine: Engine, label: str, reaper: bool) -> list[Objects]:
    wanted = {"label": label}
    found: dict[str, tuple[list[Any], list[Any], list[Any]]] = defaultdict(lambda: ([], [], []))
    lists: tuple[list[Any], ...] = (
        engine.call(engine.client.containers.list, all=True, filters=wanted, sparse=True),
        engine.call(engine.client.networks.list, filters=wanted),
        engine.call(engine.client.volumes.list, filters=wanted),
    )
    for kind, some in enumerate(lists):
        for one in some:
            if reaper or _labels(one).get(labels.ROLE) != "reaper":
                found[_labels(one)[labels.RUN]][kind].append(one)
    return [Objects(run_id, tuple(some[0]), tuple(some[1]), tuple(some[2])) for run_id, some in found.items()]


def remove(engine: Engine, run_id: str, *, reaper: bool = True) -> None:
    """Remove everything of the run, containers first. Raises TestbedError with what would not go."""
    problems: list[str] = []
    for _ in range(_ROUNDS):
        found = objects(engine, run_id, reaper=reaper)
        if not found:
            return
        problems = _all(found.containers, lambda one: engine.call(one.remove, force=True, v=True))
        problems += _all(found.networks, lambda one: engine.call(one.remove))
        problems += _all(found.volumes, lambda one: engine.call(one.remove, force=True))
    if found := objects(engine, run_id, reaper=reaper):
        raise TestbedError(f"{found} cannot be removed: {'; '.join(problems) or 'they come back'}; run `rift heal`")


def remove_patiently(engine: Engine, run_id: str, say: Callable[[str], None], limit_s: float = RETURN_LIMIT_S) -> None:
    """Remove everything of the run but its reaper. An engine that is being restarted is waited for: its reaper is gone
    with it, and nobody else does it. Raises TestbedError."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            return remove(engine, run_id, reaper=False)
        except TestbedError as error:
            if time.monotonic() > deadline:
                say(f"not all could be removed: {error}; the next run or `rift heal` will do it")
                raise
        time.sleep(_RETURN_POLL_S)


def _all(things: Iterable[Any], act: Callable[[Any], None]) -> list[str]:
    """``act`` on all at once; what went wrong, in words. What is gone already is no problem."""

    def one(thing: Any) -> str:
        try:
            act(thing)
        except Gone:
            return ""
        except TestbedError as error:
            return "" if "already in progress" in str(error) else f"{thing.id[:12]}: {error}"
        return ""

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [problem for problem in pool.map(one, things) if problem]


def leftovers(engine: Engine) -> list[Objects]:
    """What dead runs of this user on this machine left. Other people's runs and other machines' are not ours to judge:
    their own reapers look after them."""
    mine = {labels.HOST: labels.this_host(), labels.LEASES: str(runtime_folder())}
    found = _listed(engine, labels.RUN, reaper=True)
    return [some for some in found if mine.items() <= some.labels.items() and not _lives(some.run_id)]


def _lives(run_id: str) -> bool:
    lease = runtime_folder() / f"{run_id}{SUFFIX}"
    if not lease.exists():
        return False
    with dead(lease) as entry:
        return entry is None and lease.exists()


def _labels(one: Any) -> dict[str, str]:
    """Labels as the listing told them; containers keep theirs elsewhere than networks and volumes."""
    attributes = one.attrs
    return (attributes.get("Labels") or (attributes.get("Config") or {}).get("Labels")) or {}
