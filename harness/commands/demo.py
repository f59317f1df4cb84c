"""``rift demo``: what Rift is for, in two runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from harness.commands._words import Store, store_root

if TYPE_CHECKING:
    from harness.model.plan import Plan

SEED: Final = 7


def command(store: Store = None) -> int:
    """Two runs: a real etcd that keeps its promise, and a store with a planted bug that does not."""
    from harness.model.verdict import Valid
    from harness.running.execute import run, show

    root = store_root(store)
    print("1 of 2: a real etcd over three regions, while links and nodes fail. It should hold.\n", file=sys.stderr)
    healthy = run(_plan("etcd", {}), root)
    show(healthy, json=False)
    print("\n2 of 2: our reference store with a planted bug (stale-reads). Rift should catch it.\n", file=sys.stderr)
    planted = run(_plan("refstore", {"bug": "stale-reads"}), root)
    show(planted, json=False)
    held, caught = healthy.valid is Valid.TRUE, planted.valid is Valid.FALSE
    print(f"\netcd: {'held' if held else f'NOT proven ({healthy.valid})'}   {healthy.folder / 'report.html'}")
    print(f"planted bug: {'caught' if caught else f'MISSED ({planted.valid})'}   {planted.folder / 'report.html'}")
    return 0 if held and caught else max(healthy.valid.exit_code, 2 if not caught else 0)


def _plan(target: str, options: dict[str, str]) -> Plan:
    from harness.planning import plans

    said = {"target": target, "option": [f"{name}={value}" for name, value in options.items()], "faults": "default"}
    return plans.plan(target=target, target_options=options, faults="default", seed=SEED, said=said)
