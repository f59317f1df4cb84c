"""Hardly any bandwidth: 8 KB/s per connection and direction. Small messages pass, snapshots and backlogs do not."""

from __future__ import annotations

from typing import Final

from harness.contracts import Fault, Lab, Symptom
from harness.faults._shaping import Pair, Worsening, says
from harness.model.topology import LinkProfile, Topology

_RATE_KBPS: Final = 8
_BITTEN_BELOW_KBPS: Final = 4 * _RATE_KBPS


def trickle(topology: Topology, pair: Pair) -> LinkProfile | None:
    """The pair's own latency with 8 KB/s; None where it has hardly more anyway."""
    base = topology.between(*pair)
    if 0 < base.bandwidth_kbps <= 2 * _BITTEN_BELOW_KBPS:
        return None
    return LinkProfile(rtt_ms=base.rtt_ms, jitter_ms=base.jitter_ms, bandwidth_kbps=_RATE_KBPS)


async def measure(lab: Lab, pair: Pair, worse: LinkProfile) -> Symptom:
    """Bitten when measured bulk data flows at less than four times the planned rate; hidden when none flows."""
    rate_kbps = await lab.links.throughput_kbps(*pair)
    seen = f"carries {rate_kbps:.0f} KB/s, planned {worse.bandwidth_kbps} KB/s"
    return Symptom(says(pair), 0 < rate_kbps < _BITTEN_BELOW_KBPS, seen, hidden=rate_kbps <= 0)


FAULT: Fault = Worsening("bandwidth-collapse", trickle, measure)
