"""Every anomaly of transactions, as small as it can be shown; see :mod:`harness.certify.txn_notation`."""

from __future__ import annotations

from typing import Final

LISTS: Final[dict[str, tuple[str, list[str], list[str]]]] = {
    "G0": ("a: x+1 y+1 | b: x+2 y+2 | [c: x?1,2 y?2,1", ["G0"], ["read-uncommitted"]),
    "G0-process": ("a: x+1 | a: x+2 | [b: x?2,1", ["G0-process"], ["strong-session-read-uncommitted"]),
    "G0-realtime": ("a: x+1 | [b: x+2 | [c: x?2,1", ["G0-realtime"], ["strong-read-uncommitted"]),
    "G1a": ("a!: x+1 | b: x?1", ["G1a"], ["read-committed"]),
    "G1b": ("a: x+1 x+2 | b: x?1 | [c: x?1,2", ["G-single", "G1b"], ["read-committed"]),
    "G1c": ("a: x+1 y?1 | b: x?1 y+1", ["G1c"], ["read-committed"]),
    "G1c by overwriting": ("a: x+1 y?1 | b: x+2 y+1 | c: x?1,2", ["G1c"], ["read-committed"]),
    "G1c-process": ("a: x?1 | a: x+1", ["G1c-process"], ["strong-session-read-committed"]),
    "G1c-realtime": ("a: x?1 | [b: x+1", ["G1c-realtime"], ["strong-read-committed"]),
    "G-single": ("a: x+1 y+1 | b: x? y?1", ["G-single"], ["consistent-view", "repeatable-read"]),
    "G-single-process": ("a: x+1 | a: x? | [b: x?1", ["G-single-process"], ["strong-session-snapshot-isolation"]),
    "G-single-realtime": ("a: x+1 | [b: x? | c: x?1", ["G-single-realtime"], ["strong-snapshot-isolation"]),
    "G-nonadjacent, a long fork": (
        "a: x+1 | b: y+1 | c: x?1 y? | d: x? y?1",
        ["G-nonadjacent"],
        ["repeatable-read", "snapshot-isolation"],
    ),
    "G-nonadjacent-process": (
        "a: x+1 | b: y+1 | c: x?1 | c: y? | d: y?1 | d: x?",
        ["G-nonadjacent-process"],
        ["strong-session-snapshot-isolation"],
    ),
    "G-nonadjacent-realtime": (
        "a~: x+1 | b~: y+1 | c: x?1 | d: y?1 x? | c<e: y?",
        ["G-nonadjacent-realtime"],
        ["strong-snapshot-isolation"],
    ),
    "G2-item, write skew": ("a: x? y+1 | b: y? x+1 | [c: x?1 y?1", ["G2-item"], ["repeatable-read"]),
    "G2-item-process": (
        "b: y? x+1 | a: y+1 | a: x? | [c: x?1 y?1",
        ["G2-item-process"],
        ["strong-session-serializable"],
    ),
    "G2-item-realtime": (
        "b: y? x+1 | a: y+1 | a: w+1 | c: x? | [d: x?1 y?1 w?1",
        ["G2-item-realtime"],
        ["strict-serializable"],
    ),
    "internal after a read": (
        "a: x+1 | b: x?1 x?",
        ["G-single", "internal"],
        ["consistent-view", "read-atomic", "repeatable-read"],
    ),
    "internal after an append": ("a: x?1 x+2 x?1 | b: x+1", ["internal"], ["read-atomic"]),
    "internal, its own append is not last": ("a: x+1 x?1,2 | b: x+2 | c: x?1,2", ["internal"], ["read-atomic"]),
    "lost-update": ("a: x? x+1 | b: x? x+2 | [c: x?1,2", ["G-single", "lost-update"], ["ROLA", "cursor-stability"]),
    "lost-update, never read": ("a: x? x+1 | b: x? x+2", ["G2-item", "lost-update"], ["ROLA", "cursor-stability"]),
    "duplicate-elements": ("a: x+1 | b: x?1,1", ["duplicate-elements"], ["read-uncommitted"]),
    "incompatible-order": ("a: x+1 | b: x+2 | c: x?1,2 | d: x?2,1", ["incompatible-order"], ["read-committed"]),
    "dirty-update": ("a!: x+1 | b: x+2 | c: x?1,2", ["G1a", "dirty-update"], ["read-committed"]),
    "incompatible-order within one": ("a: x+1 x+2 | b: x?2,1", ["G1b", "incompatible-order"], ["read-committed"]),
    "half of what happened": ("a~: x+1 y+1 | [b: x?1 y?", ["G-single"], ["consistent-view", "repeatable-read"]),
    "garbage-read": ("a: x+1 | b: x?1,7", ["garbage-read"], ["read-uncommitted"]),
    "future-read": ("a: x?1 x+1", ["future-read"], ["read-atomic", "read-committed"]),
}
"""By name: the transactions, the anomalies that they show, and the models that fall with them directly."""

REGISTERS: Final[dict[str, tuple[str, list[str]]]] = {
    "G0": ("a: x=1 y:1 y=2 | b: y=1 x:1 x=2", ["G0", "G1c"]),
    "G0-process": ("a: x:1 x=2 | a: x=1", ["G0-process", "G1c-process"]),
    "G0-realtime": ("a: x:1 x=2 | [b: x=1", ["G0-realtime", "G1c-realtime"]),
    "G1a": ("a!: x=1 | b: x:1", ["G1a"]),
    "G1b": ("a: x=1 x=2 | b: x:1", ["G-single", "G1b"]),
    "G1c": ("a: x=1 y:1 | b: x:1 y=1", ["G1c"]),
    "G1c-process": ("a: x:1 | a: x=1", ["G1c-process"]),
    "G1c-realtime": ("a: x:1 | [b: x=1", ["G1c-realtime"]),
    "G-single": ("a: x:_ x=1 y=1 | b: x:_ y:1", ["G-single"]),
    "G-single-realtime": ("a: x=1 | [b: x:_", ["G-single-realtime"]),
    "G-single-process": ("a: x=1 | a: x:_", ["G-single-process"]),
    "G-nonadjacent": ("a: x=1 | b: y=1 | c: x:1 y:_ | d: x:_ y:1", ["G-nonadjacent"]),
    "G-nonadjacent-process": ("a: x=1 | b: y=1 | c: x:1 | c: y:_ | d: y:1 | d: x:_", ["G-nonadjacent-process"]),
    "G-nonadjacent-realtime": ("a~: x=1 | b~: y=1 | c: x:1 | d: y:1 x:_ | c<e: y:_", ["G-nonadjacent-realtime"]),
    "G2-item": ("a: x:_ y=1 | b: y:_ x=1", ["G2-item"]),
    "G2-item-process": ("b: y:_ x=1 | a: y=1 | a: x:_", ["G2-item-process"]),
    "G2-item-realtime": ("b: y:_ x=1 | a: y=1 | a<c: x:_", ["G2-item-realtime"]),
    "internal": ("a: x=1 x:2 | b: x=2", ["internal"]),
    "nothing, then something": ("a: x=1 | b: x:_ x:1", ["G-single", "internal"]),
    "lost-update": ("a: x=1 | b: x:1 x=2 | c: x:1 x=3", ["G2-item", "lost-update"]),
    "garbage-read": ("a: x=1 | b: x:7", ["garbage-read"]),
    "garbage-read of what nobody else reads": ("a: x:7", ["garbage-read"]),
    "future-read": ("a: x:1 x=1", ["future-read"]),
    "cyclic-versions": ("a: x:2 x=1 | b: x:1 x=2", ["G1c", "cyclic-versions"]),
}
"""By name: the transactions, and the anomalies that they show."""
