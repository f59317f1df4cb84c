"""Causal convergence: causal, and all replicas agree in the end on the order of writes."""

from __future__ import annotations

from typing import Final

from harness.certify.contract import Family, Question
from harness.certify.families import _registers as common
from harness.certify.families import causal
from harness.certify.families._registers import WRITE_1
from harness.certify.oracles.sessions import causally
from harness.certify.plants import scene
from harness.certify.systems import replicas
from harness.certify.tape import Did
from harness.checkers.replicas.causal import Causal

CHECK: Final = Causal(convergent=True).check
_SIDES: Final = (WRITE_1, Did(1, "write", 2), Did(0, "read", None, 2), Did(1, "read", None, 1))
FAMILY: Final = Family(
    name="causal-convergence",
    draw=common.draw,
    questions=(
        Question(
            "causal convergence",
            CHECK,
            common.judging(lambda history: causally(history)[1]),
            replay="--model causal-convergence",
        ),
    ),
    sound=common.sound,
    plants={**causal.PLANTS, "cyclic-conflict": scene(*_SIDES)},
    laws=common.LAWS,
    systems=common.systems(CHECK, replicas.STRAYING, replicas.HASTY),
)
