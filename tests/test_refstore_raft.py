"""The reference store's consensus in a simulated world: messages get lost, late and out of order, nodes crash.

Checked at every step are the four properties of figure 3 of the Raft paper that can be broken (election safety, log
matching, leader completeness, state machine safety), that confirmed reads are not behind, and at the end that the
healed cluster goes on.
"""

from __future__ import annotations

import heapq
import importlib
import sys
from itertools import combinations, count
from pathlib import Path
from random import Random
from typing import Any

import pytest

SERVER = Path(__file__).resolve().parent.parent / "fixtures" / "servers" / "refstore"
sys.path.insert(0, str(SERVER))
raft: Any = importlib.import_module("raft")
registers: Any = importlib.import_module("registers")
sys.path.remove(str(SERVER))

TIMING = raft.Timing(heartbeat_s=0.05, election_s=0.3)
STEP_S = 0.02


class Broken(AssertionError):
    """A property of Raft does not hold."""


class World:
    """A cluster, its network and its disks; every choice comes from one seed."""

    def __init__(self, seed: int, nodes: int = 3, bugs: tuple[str, ...] = ()) -> None:
        self.random = Random(seed)
        self.bugs = bugs
        self.now = 0.0
        self.ids = tuple(f"n{i + 1}" for i in range(nodes))
        self.disks: dict[str, tuple[Any, list[Any]]] = {id_: (None, []) for id_ in self.ids}
        self.up: dict[str, Any] = {}
        self.cut: set[tuple[str, str]] = set()
        self.loss = self.random.choice((0.0, 0.02, 0.2))
        self.flying: list[tuple[float, int, str, str, Any]] = []
        self.leaders: dict[int, str] = {}
        self.committed: list[Any] = [None]  # by index, the first entry any node handed out as committed
        self.applied: dict[str, int] = {}
        self.reads: dict[int, int] = {}
        self.reads_done = 0
        self._numbers = count(1)
        for id_ in self.ids:
            self.start(id_)

    def start(self, id_: str) -> None:
        state, entries = self.disks[id_]
        random = Random(self.random.random())
        self.up[id_] = raft.Raft(id_, self.ids, TIMING, random, self.now, state, entries, self.bugs)
        self.applied[id_] = 0

    def step(self) -> None:
        """20 ms: deliver, tick, let every node do what it wants done."""
        self.now += STEP_S
        while self.flying and self.flying[0][0] <= self.now:
            _, _, source, target, message = heapq.heappop(self.flying)
            if target in self.up and (source, target) not in self.cut:
                self.up[target].receive(self.now, source, message)
        for id_ in list(self.up):
            self.up[id_].tick(self.now)
            if self.random.random() < 0.8:  # else its disk is slow, and more comes together
                self.work(id_)
        self.check_logs()

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()

    def work(self, id_: str, crash: str = "") -> None:
        """One turn of a node's loop; ``crash`` ends it before it ``stores`` or before it ``sends``."""
        node = self.up[id_]
        ready = node.ready()
        if crash != "stores" and ready.unsaved:
            state, entries = self.disks[id_]
            self.disks[id_] = (ready.state or state, entries[: ready.first - 1] + ready.entries)
        if crash:
            del self.up[id_]
            return
        for target, message in ready.messages:
            if self.random.random() >= self.loss:
                late_s = self.random.choice((0.01, 0.03, 0.06, 0.3 if self.random.random() < 0.05 else 0.02))
                heapq.heappush(self.flying, (self.now + late_s, next(self._numbers), id_, target, message))
        self.applied[id_] = 0 if ready.rewound else self.applied[id_]
        if ready.rewound:
            raise Broken(f"{id_} took back what it had applied")
        for entry in ready.committed:
            self.apply(id_, entry)
        for ticket, index in ready.reads:
            self.reads_done += 1
            if index < self.reads.pop(ticket):
                raise Broken(f"{id_} confirmed a read that misses committed entries")
        if node.leads:
            self.check_leader(node)

    def apply(self, id_: str, entry: Any) -> None:
        self.applied[id_] += 1
        index = self.applied[id_]
        if index == len(self.committed):
            self.committed.append(entry)
        elif self.committed[index] != entry:
            raise Broken(f"state machine safety: {id_} applied another entry {index}")

    def check_leader(self, node: Any) -> None:
        if self.leaders.setdefault(node.term, node.id) != node.id:
            raise Broken(f"election safety: {node.id} and {self.leaders[node.term]} lead term {node.term}")
        if node.term == max(self.leaders) and node.log[1 : len(self.committed)] != self.committed[1:]:
            raise Broken(f"leader completeness: {node.id} lacks a committed entry in term {node.term}")

    def check_logs(self) -> None:
        for one, other in combinations(self.up.values(), 2):
            shared = min(one.last_index, other.last_index)
            while one.log[shared].term != other.log[shared].term:
                shared -= 1
            if one.log[: shared + 1] != other.log[: shared + 1]:
                raise Broken(f"log matching: {one.id} and {other.id} agree on the term at {shared} only")

    def trouble(self) -> None:
        """A client asks whoever leads; now and then something breaks or heals."""
        node = self.up.get(self.random.choice(self.ids))
        if node is not None and node.leads:
            node.propose(self.now, registers.command("w", "x", next(self._numbers)))
            ticket = next(self._numbers)
            self.reads[ticket] = len(self.committed) - 1
            node.read(self.now, ticket)
        if self.random.random() < 0.03:
            self.random.choice((self.cut_some, self.cut_some, self.heal_links, self.crash_one, self.start_one))()

    def cut_some(self) -> None:
        side = set(self.random.sample(self.ids, self.random.randint(1, len(self.ids) - 1)))
        there = {(a, b) for a in side for b in self.ids if b not in side}
        back = {(b, a) for a, b in there}
        self.cut = self.random.choice((there | back, there | back, there, back))

    def heal_links(self) -> None:
        self.cut = set()

    def crash_one(self) -> None:
        if self.up:
            self.work(self.random.choice(list(self.up)), crash=self.random.choice(("stores", "sends")))

    def start_one(self) -> None:
        for id_ in self.ids:
            if id_ not in self.up:
                return self.start(id_)

    def heal(self) -> None:
        self.cut, self.loss = set(), 0.0
        for id_ in self.ids:
            if id_ not in self.up:
                self.start(id_)

    def leader(self) -> Any | None:
        """The leader of the highest term among those running."""
        return max((node for node in self.up.values() if node.leads), key=lambda node: node.term, default=None)

    def until_led(self, limit_s: float = 10.0) -> Any:
        """Go on until a leader has committed an entry of its own term on all nodes."""
        end = self.now + limit_s
        while self.now < end:
            self.step()
            leader = self.leader()
            if leader and leader.settled and all(node.commit == leader.last_index for node in self.up.values()):
                return leader
        raise Broken(f"no leader that all follow within {limit_s} s after the heal")


def live(seed: int, nodes: int = 3, bugs: tuple[str, ...] = (), steps: int = 500) -> World:
    """Ten seconds of trouble, then healing; raises Broken."""
    world = World(seed, nodes, bugs)
    for _ in range(steps):
        world.step()
        world.trouble()
    world.heal()
    world.until_led()
    return world


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_raft_keeps_its_properties_through_loss_reordering_cuts_and_crashes(first: int) -> None:
    worlds = [live(seed, nodes=5 if seed % 3 == 0 else 3) for seed in range(first, first + 50)]
    assert sum(len(world.leaders) for world in worlds) > 100, "few failovers happened, so little was tested"
    assert sum(len(world.committed) for world in worlds) > 1000
    assert sum(world.reads_done for world in worlds) > 1000


@pytest.mark.parametrize("bug", ["ack-before-replication", "split-brain"])
def test_a_bug_planted_into_raft_breaks_its_properties(bug: str) -> None:
    def breaks(seed: int) -> bool:
        try:
            live(seed, bugs=(bug,), steps=1500)
        except Broken:
            return True
        return False

    assert sum(breaks(seed) for seed in range(20)) >= 15


@pytest.mark.parametrize("bug", ["split-brain", ""])
def test_two_leaders_acknowledge_writes_at_once_only_with_the_bug(bug: str) -> None:
    world = World(seed=5, bugs=(bug,))
    world.loss = 0.0
    world.until_led()
    lonely = "n1"
    world.cut = {(a, b) for a in world.ids for b in world.ids if lonely in (a, b)}
    world.run(steps=150)
    other = max((world.up[id_] for id_ in ("n2", "n3") if world.up[id_].leads), key=lambda node: node.term)
    assert world.up[lonely].leads == bool(bug)
    if bug:
        mine = world.up[lonely].propose(world.now, registers.command("w", "x", 1))
        theirs = other.propose(world.now, registers.command("w", "x", 2))
        with pytest.raises(Broken, match="state machine safety"):
            world.run(steps=50)
        assert world.up[lonely].commit >= mine or other.commit >= theirs


def test_the_simulation_sees_a_vote_that_was_forgotten() -> None:
    """The checks are checked: a disk that loses the hard state lets one node vote twice."""

    class Forgetful(World):
        def start(self, id_: str) -> None:
            self.disks[id_] = (None, self.disks[id_][1])
            super().start(id_)

    def breaks(seed: int) -> bool:
        world = Forgetful(seed)
        try:
            for _ in range(1500):
                world.step()
                world.trouble()
        except AssertionError:
            return True
        return False

    assert any(breaks(seed) for seed in range(40))


def test_a_leader_that_is_cut_off_stops_leading_and_confirms_nothing() -> None:
    world = World(seed=1)
    world.loss = 0.0
    old = world.until_led()
    world.cut = {(a, b) for a in world.ids for b in world.ids if old.id in (a, b)}
    index = old.propose(world.now, registers.command("w", "x", 1))
    world.reads[7] = 0
    old.read(world.now, 7)
    while old.leads:
        world.step()
    world.run(steps=100)
    assert old.commit < index
    assert 7 in world.reads, "the read was confirmed without a quorum"
    new = world.leader()
    assert new is not None
    assert new.id != old.id


def test_a_node_that_comes_back_from_a_cut_does_not_depose_the_leader() -> None:
    """Pre-vote: whoever cannot win raises no term."""
    world = World(seed=2)
    world.loss = 0.0
    leader = world.until_led()
    lonely = next(id_ for id_ in world.ids if id_ != leader.id)
    world.cut = {(a, b) for a in world.ids for b in world.ids if lonely in (a, b)}
    world.run(steps=150)
    term = leader.term
    assert world.up[lonely].role == "aspirant"
    world.cut = set()
    assert world.until_led().id == leader.id
    assert leader.term == term


def test_a_new_leader_is_found_within_three_longest_election_time_outs() -> None:
    for seed in range(20):
        world = World(seed)
        world.loss = 0.0
        old = world.until_led()
        del world.up[old.id]
        start = world.now
        while world.leader() is None:
            world.step()
        assert world.now - start < 3 * 2 * TIMING.election_s


def test_a_follower_far_behind_catches_up_in_few_messages() -> None:
    world = World(seed=3)
    world.loss = 0.0
    leader = world.until_led()
    late = next(id_ for id_ in world.ids if id_ != leader.id)
    world.cut = {(a, b) for a in world.ids for b in world.ids if late in (a, b)}
    for number in range(5000):
        leader.propose(world.now, registers.command("w", "x", number))
    world.run(steps=20)
    world.cut = set()
    start = world.now
    while world.up[late].commit < 5000:
        world.step()
    assert world.now - start < 3.0
