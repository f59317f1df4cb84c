"""PRAM: each writer's order, as seen by every reader."""

from __future__ import annotations

from typing import Final

from harness.certify.contract import Family, Question
from harness.certify.families import _registers as common
from harness.certify.families._registers import WRITE_1, WRITE_2
from harness.certify.oracles.sessions import pram_holds
from harness.certify.plants import scene
from harness.certify.systems import replicas
from harness.certify.tape import Did
from harness.checkers.replicas.pram import Pram

CHECK: Final = Pram().check
_OTHER: Final = Did(2, "write", 5)
FAMILY: Final = Family(
    name="pram",
    draw=common.draw,
    # It looks for direct contradictions only, and says so.
    questions=(Question("pram", CHECK, common.judging(pram_holds), missed_share=0.02, replay="--model pram"),),
    sound=common.sound,
    plants={
        **common.THIN_AIR,
        "initial-after-write": scene(WRITE_1, Did(1, "read", None, 1), Did(1, "read", None, None)),
        "overwritten": scene(WRITE_1, WRITE_2, Did(1, "read", None, 2), Did(1, "read", None, 1)),
        "went-back": scene(WRITE_1, _OTHER, *(Did(1, "read", None, value) for value in (1, 5, 1))),
    },
    laws=common.LAWS,
    systems=common.systems(CHECK, replicas.STRAYING),
)
