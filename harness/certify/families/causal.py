"""Causal consistency: nobody sees an effect without its cause."""

from __future__ import annotations

from typing import Final

from harness.certify.contract import Family, Question
from harness.certify.families import _registers as common
from harness.certify.families._registers import WRITE_1, WRITE_2
from harness.certify.oracles.sessions import causally
from harness.certify.plants import scene
from harness.certify.systems import replicas
from harness.certify.tape import Did
from harness.checkers.replicas.causal import Causal

CHECK: Final = Causal().check
_READ_1: Final = Did(1, "read", None, 1)
_TOLD: Final = (Did(1, "write", 4, key="elsewhere"), Did(2, "read", None, 4, key="elsewhere"))
PLANTS: Final = {
    **common.THIN_AIR,
    "initial-after-write": scene(WRITE_1, _READ_1, *_TOLD, Did(2, "read", None, None)),
    "overwritten": scene(WRITE_1, WRITE_2, Did(1, "read", None, 2), *_TOLD, Did(2, "read", None, 1)),
    "cyclic-causality": scene(Did(0, "cas", [2, 1]), Did(1, "cas", [1, 2]), together=2),
}
FAMILY: Final = Family(
    name="causal",
    draw=common.draw,
    questions=(
        Question("causal", CHECK, common.judging(lambda history: causally(history)[0]), replay="--model causal"),
    ),
    sound=common.sound,
    plants=PLANTS,
    laws=common.LAWS,
    systems=common.systems(CHECK, replicas.STRAYING, replicas.HASTY),
)
