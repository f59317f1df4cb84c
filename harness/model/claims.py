"""What a target promises. Suites judge claims, and only report what nobody claimed."""

from __future__ import annotations

import msgspec


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """The promises of one target in one configuration.

    ``consistency`` holds model names: ``linearizable``, ``sequential``, ``causal``, ...
    """

    consistency: frozenset[str] = frozenset()

    def __contains__(self, promise: str) -> bool:
        return promise in self.consistency
