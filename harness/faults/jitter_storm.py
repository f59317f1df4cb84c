"""Round trips that vary wildly, by at least 100 ms to either side: late answers, false alarms, overtaken messages."""

from __future__ import annotations

from statistics import median
from typing import Final

from harness.contracts import Fault, Lab, Symptom
from harness.faults._shaping import Pair, Worsening, round_trips_ms, says
from harness.model.topology import LinkProfile, Topology

_SAMPLES: Final = 16
_SAMPLE_EVERY_S: Final = 0.05


def storm(topology: Topology, pair: Pair) -> LinkProfile | None:
    """As much jitter as the round trip is long, or eight times the usual, on top of the base latency."""
    base = topology.between(*pair)
    jitter_ms = max(100.0, base.rtt_ms, 8 * base.jitter_ms)
    rtt_ms = base.rtt_ms + jitter_ms
    return LinkProfile(rtt_ms=rtt_ms, jitter_ms=jitter_ms, bandwidth_kbps=base.bandwidth_kbps)


async def measure(lab: Lab, pair: Pair, worse: LinkProfile) -> Symptom:
    """Bitten when it looks like a storm twice in a row: a storm lasts, and what made the machine hiccup passes."""
    found = await _glance(lab, pair, worse)
    return await _glance(lab, pair, worse) if found.bitten else found


async def _glance(lab: Lab, pair: Pair, worse: LinkProfile) -> Symptom:
    """Bitten when single round trips are longer in the middle, and differ more, than the base profile allows.

    Two signs together, because a busy machine alone can show one of them; for the same reason the slowest and the
    fastest sample are left out. A storm shows less than both about once in ten thousand times (sixteen draws of the
    sum of two uniform delays).
    """
    base = lab.topology.between(*pair)
    found_ms = await round_trips_ms(lab, pair, _SAMPLES, _SAMPLE_EVERY_S)
    if len(found_ms) < _SAMPLES / 2:
        return Symptom(says(pair), False, f"answered {len(found_ms)} of {_SAMPLES} times", hidden=True)
    middle_ms, spread_ms = median(found_ms), found_ms[-2] - found_ms[1]
    longer = middle_ms > (base.rtt_ms + worse.rtt_ms) / 2
    wilder = spread_ms > 2 * base.jitter_ms + 0.15 * worse.jitter_ms
    seen = f"takes {middle_ms:.0f} ms, normally {base.rtt_ms:.0f} ms, and varies by {spread_ms:.0f} ms"
    return Symptom(says(pair), longer and wilder, f"{seen}, normally up to {2 * base.jitter_ms:.0f} ms")


FAULT: Fault = Worsening("jitter-storm", storm, measure)
