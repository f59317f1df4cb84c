"""Did a client raise what its target does not expect? Then the client, not the system, may be at fault."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from harness.checkers.wording import and_more, client, count, moment
from harness.model.history import History, Operation
from harness.model.verdict import Valid, Verdict

EXPECTED: Final = ("refused", "unsure", "timeout")
"""How the runner's notes begin for errors that clients may raise; ``crash: KeyError: 'x'`` is a surprise."""


@dataclass(frozen=True)
class Errors:
    """Unknown when an operation ended with an unexpected error; the first three are shown."""

    name: str = "errors"

    def check(self, history: History) -> Verdict:
        failed = [op for op in history.operations if op.error]
        surprises = [op for op in failed if _kind(op) not in EXPECTED]
        details = {"by_kind": dict(Counter(map(_kind, failed))), "unexpected": len(surprises)}
        if not surprises:
            summary = f"no unexpected error ({count(len(failed), 'expected error')})"
            return Verdict(checker=self.name, valid=Valid.TRUE, summary=summary, details=details)
        told = and_more((f"{client(op)}, {op.f} at {moment(op.start_ns)}: {op.error}" for op in surprises), 3)
        cause = f"{count(len(surprises), 'operation')} ended with an error that the client does not expect: {told}"
        return Verdict(checker=self.name, valid=Valid.UNKNOWN, summary=cause, cause=cause, details=details)


def _kind(op: Operation) -> str:
    return op.error.partition(":")[0].strip()
