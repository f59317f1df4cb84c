"""A global service is what every region depends on: with one home its loss is everybody's, with two it is nobody's."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from harness.scenarios import Answer, Stage
from harness.workloads._regions import Play, Step

HOME, SECOND = "us-east-1", "eu-west-1"
USERS = 6


def visitor(play: Play, at: str) -> Step:
    """Logs in as somebody, one time in five with a wrong password, which is refused as it should be."""

    async def step(random: Random) -> Answer:
        user, wrong = f"{play.id}-{random.randrange(USERS)}", random.random() < 0.2
        password = "guessed" if wrong else f"secret of {user}"
        answer = await play.stage.do("login", None, at=at, user=user, password=password)
        return answer._replace(type="ok") if wrong else answer

    return step


async def enrolled(play: Play, homes: tuple[str, ...]) -> None:
    """All users have an account, and every home knows it."""
    for i in range(USERS):
        user = f"{play.id}-{i}"
        secret = f"secret of {user}"
        await play.insist(lambda: play.stage.do("enrol", None, at=HOME, user=user, password=secret))  # noqa: B023

    async def everywhere() -> bool:
        told = [await play.read(f"account/{play.id}-{USERS - 1}", home, tag="auth", direct=True) for home in homes]
        return all(answer.ok and answer.value["value"] for answer in told)

    await play.until_true(everywhere)


@pytest.mark.parametrize("how", ["kill", "silent"])
@pytest.mark.parametrize("homes", [(HOME, SECOND), (HOME,)], ids=["two homes", "one home"])
def test_mra_36_the_loss_of_a_home_of_auth(regions: Any, homes: tuple[str, ...], how: str) -> None:
    """Users of every region log in all the time, while the home is lost and after it."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "auth")
        await play.begin()
        await enrolled(play, homes)
        left = [region for region in play.regions if region != HOME]
        tokens = [await play.insist(lambda: login(play, left[-1]))]
        async with play.load(*(visitor(play, at) for at in play.regions)):
            await play.hold(0.5)
            fault = play.kill(HOME) if how == "kill" else stage.fault("blackhole-region", region=HOME)
            async with fault:
                await play.hold(5 * play.interval_s)
                answer = await stage.do("token", None, at=left[-1], token=tokens[0]["token"])
                await play.report("MRA-36", "who is in stays in", "yes" if answer.ok else f"no: {answer.error}")
            await play.hold(0.5)
        await play.calm()
        await play.expect("MRA-36", "afterwards everybody is let in", True, bool(await play.insist(
            lambda: login(play, left[0]))))  # fmt: skip
        await play.judge("MRA-36", "logins", homes=homes)

    regions(scenario, "MRA-36", pattern="geo-partitioned", services=f"auth={'+'.join(homes)}")


async def login(play: Play, at: str) -> Answer:
    """One login of the first user."""
    user = f"{play.id}-0"
    return await play.stage.do("login", None, at=at, user=user, password=f"secret of {user}")
