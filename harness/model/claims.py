"""What a target promises. Suites judge claims, and only report what nobody claimed."""

from __future__ import annotations

import msgspec


class Objectives(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Promises that are numbers; None where nothing is promised.

    ``rto_s``: after a fault every region that can reach the system is served again, steadily, within so many seconds.
    ``rpo_s``: of acknowledged writes, at most those of the last so many seconds are lost; 0: none at all.
    ``availability``: the share of operations that succeed, in each region, from 0 to 1.
    ``one_primary``: no two regions acknowledge writes of different lineages at the same time.
    """

    rto_s: float | None = None
    rpo_s: float | None = None
    availability: float | None = None
    one_primary: bool = False

    def __bool__(self) -> bool:
        return self != Objectives()


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """The promises of one target in one configuration.

    ``consistency`` holds model names: ``linearizable``, ``sequential``, ``causal``, ...
    """

    consistency: frozenset[str] = frozenset()
    objectives: Objectives = Objectives()

    def __contains__(self, promise: str) -> bool:
        return promise in self.consistency
