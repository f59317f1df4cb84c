"""Transactions on lists that grow."""

from __future__ import annotations

from typing import Final

from harness.certify.families._transactions import family
from harness.certify.txn_anomalies import LISTS

FAMILY: Final = family(
    "list-append",
    {name: anomalies for name, (_, anomalies, _) in LISTS.items()},
    {name: text for name, (text, _, _) in LISTS.items()},
    complete=True,
)
