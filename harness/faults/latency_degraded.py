"""A bad day on the network: every round trip as long as the topology's ``degraded`` profile says."""

from __future__ import annotations

from typing import Final

from harness.contracts import Fault, Lab, Symptom
from harness.faults._shaping import Pair, Worsening, round_trips_ms, says
from harness.model.topology import LinkProfile, Profile, Topology

_SAMPLES: Final = 6
_SAMPLE_EVERY_S: Final = 0.1


def degraded(topology: Topology, pair: Pair) -> LinkProfile | None:
    """The degraded profile. A pair given in plain numbers has none: four times its round trip stands in."""
    base = topology.between(*pair)
    if topology.profile is Profile.DEGRADED:
        return None
    worse = topology.with_profile(Profile.DEGRADED).between(*pair)
    if worse.rtt_ms > base.rtt_ms:
        return worse
    rtt_ms = max(4 * base.rtt_ms, base.rtt_ms + 50)
    return LinkProfile(rtt_ms=rtt_ms, jitter_ms=base.jitter_ms, bandwidth_kbps=base.bandwidth_kbps)


async def measure(lab: Lab, pair: Pair, worse: LinkProfile) -> Symptom:
    """Bitten when even the fastest of a few round trips has more than half of the planned extra.

    A busy machine makes single answers late, never early; and the fastest under the degraded profile is still well
    above the half, for jitter is a tenth of it (at most a quarter of four times a plain number).
    """
    base_ms = lab.topology.between(*pair).rtt_ms
    found_ms = await round_trips_ms(lab, pair, _SAMPLES, _SAMPLE_EVERY_S)
    if not found_ms:
        return Symptom(says(pair), False, "does not answer", hidden=True)
    seen = f"takes {found_ms[0]:.0f} ms at best, normally {base_ms:.0f} ms, planned {worse.rtt_ms:.0f} ms"
    return Symptom(says(pair), found_ms[0] > (base_ms + worse.rtt_ms) / 2, seen)


FAULT: Fault = Worsening("latency-degraded", degraded, measure)
