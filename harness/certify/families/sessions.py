"""The four session guarantees, one by one and together."""

from __future__ import annotations

from functools import partial
from typing import Final

from harness.certify.contract import Family, Question
from harness.certify.families import _registers as common
from harness.certify.families._registers import WRITE_1, WRITE_2
from harness.certify.oracles.sessions import sessions_hold
from harness.certify.plants import scene
from harness.certify.systems import replicas
from harness.certify.tape import Did
from harness.checkers.replicas.sessions import Sessions

RYW, MR, MW, WFR = ALL = ("read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads")
ASSUMED: Final = {RYW: MW, MR: MW, MW: MR, WFR: MR}
"""What each is judged together with, for without it old and new cannot be told apart. When only that is broken, the
checker leaves the question open."""


def _question(name: str, guarantees: tuple[str, ...], unknown_share: float) -> Question:
    together = {*guarantees, *(ASSUMED[each] for each in guarantees)}
    oracle = common.judging(partial(sessions_hold, guarantees=together))
    return Question(name, Sessions(guarantees).check, oracle, unknown_share=unknown_share, replay=f"--model {name}")


_READ: Final = {value: Did(1, "read", None, value) for value in (None, 1, 2)}
_ANOTHER: Final = Did(1, "write", 2)
CHECK: Final = Sessions(ALL).check
FAMILY: Final = Family(
    name="sessions",
    draw=common.draw,
    questions=(_question("sessions", ALL, 0.0), *(_question(each, (each,), 0.25) for each in ALL)),
    sound=common.sound,
    plants={
        **common.THIN_AIR,
        RYW: scene(WRITE_1, Did(0, "read", None, None)),
        MR: scene(WRITE_1, _READ[1], _READ[None]),
        f"{RYW} or {MW}": scene(WRITE_1, WRITE_2, Did(0, "read", None, 1)),
        f"{RYW} or {MR}": scene(WRITE_1, _ANOTHER, Did(0, "read", None, 2), Did(0, "read", None, 1)),
        f"{RYW} or {WFR}": scene(_ANOTHER, Did(0, "read", None, 2), WRITE_1, Did(0, "read", None, 2)),
        f"{MR} or {MW}": scene(WRITE_1, WRITE_2, _READ[2], _READ[1]),
        f"{MR} or {WFR}": scene(
            WRITE_1, _READ[1], Did(1, "write", 2), Did(2, "read", None, 2), Did(2, "read", None, 1)
        ),
    },
    laws=common.LAWS,
    systems=common.systems(CHECK, replicas.STRAYING),
)
