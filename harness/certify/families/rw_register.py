"""Transactions on registers. The order of blind writes is never guessed, so some violations stay unseen."""

from __future__ import annotations

from typing import Final

from harness.certify.families._transactions import family
from harness.certify.txn_anomalies import REGISTERS

FAMILY: Final = family(
    "rw-register",
    {name: anomalies for name, (_, anomalies) in REGISTERS.items()},
    {name: text for name, (text, _) in REGISTERS.items()},
    complete=False,
)
