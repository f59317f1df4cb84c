"""The rules for caches, global services and capacity on records written by hand: one that breaks a rule, and its
neighbour; and the caches' own parts: feeds of changes, configuration."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness.model.op import FAIL, INFO, OK
from harness.model.verdict import Valid
from tests.test_refregion import SERVER_MODULES, template
from tests.test_region_rules import AP, EU, US, Record, judge

MID, EDGE = "ap-northeast-1", "syd"
PARENTS = {EDGE: MID, MID: AP}
TTL_S = 3.0
feed = SERVER_MODULES["feed"]


def walk(
    record: Record, at: float, source: str = AP, age_s: float = 0.0, value: int = 1, stale: bool = False,
    path: tuple[str, ...] = (), key: str = "a", end: float = 0.0,
) -> Record:  # fmt: skip
    """A read at the edge that walked as far as ``source``."""
    chain = (EDGE, MID, AP)
    told = {"value": value, "source": source, "age_s": age_s, "stale": stale, "served_by": AP,
            "path": list(path or chain[: chain.index(source) + 1])}  # fmt: skip
    return record.op(at, "read", key, None, told, region=EDGE, end=end)


def walked(loss: str = MID) -> Record:
    """A value written at 1 s, read from the core at 2 s, and a parent lost from 3 s to 9 s."""
    return walk(Record().write(1.0, "a", 1).fault(3.0, 9.0, loss), 2.0)


def outcome_of(record: Record) -> Valid:
    return judge(record, "MRA-37", "walks", parents=PARENTS, ttl_s=TTL_S).valid


@pytest.mark.parametrize("loss", [MID, AP])
def test_a_copy_that_is_as_old_as_it_must_be_holds(loss: str) -> None:
    assert outcome_of(walk(walked(loss), 4.0, EDGE, 2.0, stale=True)) is Valid.TRUE


def test_a_lost_core_is_served_by_the_cache_in_between() -> None:
    assert outcome_of(walk(walked(AP), 4.0, MID, 2.0, stale=True)) is Valid.TRUE


@pytest.mark.parametrize(
    ("source", "age_s", "path", "why"),
    [
        (EDGE, 3.5, (), "older than it may live"),
        (EDGE, 0.2, (), "younger than the loss"),
        (MID, 2.0, (), "from whom is lost"),
        (AP, 2.0, (), "from beyond whom is lost"),
        (EDGE, 2.0, (EDGE, MID), "it walked further than to its source"),
        (EDGE, 2.0, (MID,), "it did not begin where it was asked"),
        (AP, 2.0, (EDGE, AP), "it left a level out"),
    ],
)
def test_what_an_answer_tells_of_itself_is_not_believed(
    source: str, age_s: float, path: tuple[str, ...], why: str
) -> None:
    assert outcome_of(walk(walked(), 4.0, source, age_s, stale=True, path=path)) is Valid.FALSE, why


def test_a_copy_is_not_older_than_its_value() -> None:
    record = walk(walk(walked(), 4.0, EDGE, 2.0, stale=True), 9.5, AP, 0.0)
    late = record.write(9.6, "a", 2)
    assert outcome_of(walk(late, 10.0, EDGE, 2.0, value=2)) is Valid.FALSE


def test_nobody_has_a_copy_of_what_nobody_asked_for() -> None:
    record = walk(Record().write(1.0, "b", 7).write(0.5, "a", 1).fault(3.0, 9.0, MID), 2.0)
    held = walk(record, 4.0, EDGE, 2.0, stale=True)
    assert outcome_of(walk(held, 2.5, EDGE, 0.1, value=7, key="b")) is Valid.FALSE


@pytest.mark.parametrize(("at", "valid"), [(4.0, Valid.FALSE), (6.0, Valid.TRUE)])
def test_a_copy_that_is_young_enough_is_served(at: float, valid: Valid) -> None:
    record = walk(walked(), 3.5, EDGE, 1.5, stale=True)
    assert outcome_of(record.op(at, "read", "a", None, type_=FAIL, region=EDGE)) is valid


def test_a_copy_that_was_overwritten_need_not_be_served() -> None:
    record = walk(walked(), 3.5, EDGE, 1.5, stale=True).write(3.6, "a", 2)
    assert outcome_of(record.op(4.0, "read", "a", None, type_=FAIL, region=EDGE)) is Valid.TRUE


def test_without_a_read_during_the_loss_nothing_is_known() -> None:
    assert outcome_of(walked()) is Valid.UNKNOWN


# --- hits, and what is current -----------------------------------------------------------------------------


def reads(hits: int, misses: int, stale: bool = False) -> Record:
    record = Record().write(1.0, "a", 1)
    for i in range(misses):
        walk(record, 2.0 + i / 100, AP, end=2.005 + i / 100)
    for i in range(hits):
        walk(record, 3.0 + i / 100, EDGE, 0.1, stale=stale, end=3.005 + i / 100)
    return record


@pytest.mark.parametrize(
    ("record", "valid"),
    [
        (reads(18, 2), Valid.TRUE),
        (reads(16, 4), Valid.FALSE),
        (reads(18, 2, stale=True), Valid.FALSE),
        (reads(0, 2), Valid.UNKNOWN),
        (Record(), Valid.UNKNOWN),
    ],
)
def test_nine_of_ten_must_be_hits_where_that_is_possible(record: Record, valid: Valid) -> None:
    assert judge(record, "MRA-34", "hits", min_ratio=0.9, ttl_s=60, bound_ms=100).valid is valid


def test_a_workload_that_never_reads_twice_says_nothing_of_a_cache() -> None:
    record = Record()
    for i in range(20):
        walk(record, 1.0 + i, AP, key=f"k{i}")
    assert judge(record, "MRA-34", "hits", min_ratio=0.9, ttl_s=60, bound_ms=100).valid is Valid.UNKNOWN


@pytest.mark.parametrize(
    ("at", "stale", "valid"), [(3.2, False, Valid.TRUE), (4.5, False, Valid.FALSE), (4.5, True, Valid.TRUE)]
)
def test_what_is_not_called_stale_is_current(at: float, stale: bool, valid: Valid) -> None:
    record = Record().write(1.0, "a", 1).write(3.0, "a", 2)
    record = walk(walk(record, 2.0), at, EDGE, at - 2.0, value=1, stale=stale)
    assert judge(record, "MRA-34", "current", max_ms=1000).valid is valid


# --- logins --------------------------------------------------------------------------------------------------


def login(record: Record, at: float, region: str, type_: str = OK, password: str = "p", end: float = 0.0) -> Record:
    return record.op(at, "login", "", None, {}, type_, end, region, user="u", password=password)


def users(*lost: str) -> Record:
    """A user who has an account, and regions lost from 2 s to 9 s."""
    record = Record().op(0.5, "enrol", "", None, {}, user="u", password="p")
    return record.fault(2.0, 9.0, *lost) if lost else record


@pytest.mark.parametrize(
    ("record", "homes", "valid"),
    [
        (login(users(US), 4.0, AP), (US, EU), Valid.TRUE),
        (login(users(US), 4.0, AP, FAIL), (US, EU), Valid.FALSE),
        (login(users(US), 4.0, AP, INFO), (US, EU), Valid.FALSE),
        (login(users(US), 4.0, US, FAIL), (US, EU), Valid.TRUE),
        (login(users(US, EU), 4.0, AP, FAIL), (US, EU), Valid.TRUE),
        (login(users(US), 4.0, AP, FAIL), (US,), Valid.TRUE),
        (login(users(US), 4.0, AP), (US,), Valid.FALSE),
        (login(users(US), 4.0, US), (US,), Valid.TRUE),
        (login(users(US), 8.5, AP, end=9.5), (US,), Valid.TRUE),
        (login(users(), 4.0, AP, password="guessed"), (US,), Valid.FALSE),
        (login(users(), 4.0, AP, FAIL, password="guessed"), (US,), Valid.UNKNOWN),
        (login(users(EU), 4.0, AP, FAIL, password="guessed"), (US, EU), Valid.TRUE),
        (login(users(), 4.0, AP, FAIL), (US,), Valid.FALSE),
    ],
)
def test_logins_are_lost_with_the_last_home_only(record: Record, homes: tuple[str, ...], valid: Valid) -> None:
    assert judge(record, "MRA-36", "logins", homes=homes).valid is valid


@pytest.mark.parametrize(("type_", "at"), [(INFO, 0.5), (OK, 4.0)], ids=["nobody knows", "only later"])
def test_an_account_that_may_not_be_there_yet_accuses_nobody(type_: str, at: float) -> None:
    for answer in (OK, FAIL):
        record = Record().fault(2.0, 9.0, US).op(at, "enrol", "", None, {}, type_, user="u", password="p", end=4.5)
        record.op(4.2, "login", "", None, {}, answer, 4.3, AP, user="u", password="p")
        assert judge(record, "MRA-36", "logins", homes=(US, EU)).valid is Valid.TRUE


def test_the_blast_radius_is_told_by_region() -> None:
    record = login(login(login(users(US), 4.0, AP, FAIL), 5.0, AP, FAIL), 6.0, EU, FAIL)
    assert f"refused: {AP} 2 of 2, {EU} 1 of 1" in judge(record, "MRA-36", "logins", homes=[US]).summary


# --- capacity ------------------------------------------------------------------------------------------------


def load(*clients: int, lost: float = 0.0) -> Record:
    """One second with so many operations at once after the other."""
    record = Record()
    for second, many in enumerate(clients, 1):
        for i in range(many):
            record.op(second, "read", f"k{i}", None, {"value": None}, end=second + 1)
    return record.op(lost, "read", "k", None, type_=FAIL) if lost else record


def capacity(record: Record, *lanes: int) -> Valid:
    steps = [[round(i * 1e9), round((i + 1) * 1e9), each] for i, each in enumerate(lanes, 1)]
    return judge(record, "MRA-29", "capacity", steps=steps).valid


@pytest.mark.parametrize(
    ("record", "lanes", "valid"),
    [
        (load(2, 8, 2), (2, 8, 2), Valid.TRUE),
        (load(2, 8, 2), (2, 8, 8), Valid.FALSE),
        (load(2, 8, 2), (4, 4, 4), Valid.FALSE),
        (load(2, 8, 2), (8, 2, 8), Valid.FALSE),
        (load(2, 8, 2, lost=2.5), (2, 8, 2), Valid.FALSE),
        (load(4, 5, 4), (4, 4, 4), Valid.UNKNOWN),
    ],
)
def test_capacity_follows_the_load(record: Record, lanes: tuple[int, ...], valid: Valid) -> None:
    assert capacity(record, *lanes) is valid


# --- the server's parts ----------------------------------------------------------------------------------------


def test_a_feed_tells_what_changed_since_then_and_when_that_is_no_longer_known() -> None:
    found = feed.Feed()
    for key in "abc":
        found.changed(key)
    assert found.since(found.name, 1) == ["b", "c"]
    assert found.since(found.name, 3) == []
    assert found.since("another", 1) is None
    assert found.since(found.name, 4) is None
    for i in range(3 * feed.KEPT):
        found.changed(str(i))
    assert found.since(found.name, 3) is None
    assert found.since(found.name, found.upto - 1) == [str(3 * feed.KEPT - 1)]
    name = found.name
    found.restart()
    assert found.since(name, 0) is None


def test_a_feed_answers_at_once_when_there_is_news() -> None:
    async def play() -> list[Any]:
        found = feed.Feed()
        query = {"feed": found.name, "after": "0", "wait_s": "20"}
        waiting = [asyncio.create_task(found.answer(query)) for _ in range(2)]
        await asyncio.sleep(0)
        found.changed("a")
        async with asyncio.timeout(10):
            return await asyncio.gather(*waiting, found.answer({"feed": "another", "after": "0", "wait_s": "20"}))

    one, other, lost = asyncio.run(play())
    assert one["keys"] == other["keys"] == ["a"]
    assert not one["lost"]
    assert lost["lost"]


CACHES = """
multi_region:
  regions:
    - {name: core, primary: true}
    - {name: mid, parent: core}
    - {name: edge, parent: mid}
  edge: {cache_ttl: 5s}
  global_services:
    - {name: auth, regions: [core]}
"""


def test_caches_are_no_regions_that_keep_data() -> None:
    plan = template.read(CACHES)
    assert (plan.regions, plan.parents, plan.cache_ttl_s) == (("core",), {"mid": "core", "edge": "mid"}, 5.0)
    assert plan.homes == {"auth": ("core",)}
    assert plan.residency == {"auth": ("core",)}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("parent: core", "parent: edge", "leads back"),
        ("parent: core", "parent: mars", "'mars' is no region"),
        ("parent: core", "parent: mid", "leads back"),
        ("primary: true", "primary: true, parent: mid", "a primary has none"),
        ("cache_ttl: 5s", "cache_ttl: 0s", "edge.cache_ttl"),
        ("name: auth", "name: dns", "write one of auth"),
        ("regions: [core]", "regions: []", "at least one region"),
        ("regions: [core]", "regions: [edge]", "'edge' is no region"),
        ("regions: [core]", "regions: [core, core]", "none twice"),
    ],
)
def test_a_hierarchy_that_makes_no_sense_is_refused(old: str, new: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        template.read(CACHES.replace(old, new, 1))
