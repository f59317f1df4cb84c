"""Topology files: the shipped ones are sound, and a wrong one says where it is wrong and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.model.topology import Profile, Role
from harness.planning.topologies import load, presets

PRESETS = Path(__file__).resolve().parent.parent / "fixtures" / "topologies"
GOOD = """\
name: pair
regions:
  - {id: us-east-1, role: primary}
  - {id: eu-west-1}
links:
  - {from: us-east-1, to: eu-west-1, latency: cross-atlantic}
"""


def complaint(tmp_path: Path, text: str) -> str:
    """What is said about a topology file with that text."""
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load(str(path), PRESETS)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_the_presets_are_shipped() -> None:
    assert presets(PRESETS) == [
        "edge-regions", "five-regions", "four-regions", "lone-region", "near-regions", "single-region",
        "three-by-three", "three-regions", "two-regions",
    ]  # fmt: skip


@pytest.mark.parametrize("name", presets(PRESETS))
def test_a_preset_is_named_like_its_file_and_has_one_primary(name: str) -> None:
    topology = load(name, PRESETS)

    assert topology.name == name
    assert topology.description
    assert [region.role for region in topology.regions].count(Role.PRIMARY) == 1
    stores = {region.id for region in topology.regions if region.role is not Role.EDGE}  # edges only cache
    voters = [node for node in topology.nodes if node.region in stores]
    if name == "four-regions":
        return  # a federation: each region is a quorum of its own
    assert len(voters) % 2 == 1, "an even number of voters gains nothing"


@pytest.mark.parametrize("name", presets(PRESETS))
@pytest.mark.parametrize("profile", list(Profile))
def test_every_pair_of_a_preset_has_a_latency_in_every_profile(name: str, profile: Profile) -> None:
    topology = load(name, PRESETS).with_profile(profile)

    assert all(topology.between(*pair).rtt_ms > 0 for pair in topology.pairs)


def test_three_regions_are_as_far_apart_as_their_classes_say() -> None:
    topology = load("three-regions", PRESETS)

    assert topology.between("us-east-1", "eu-west-1").rtt_ms == 90
    assert topology.between("ap-southeast-1", "us-east-1").rtt_ms == 225


def test_a_file_of_ones_own_loads_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)

    assert load(str(tmp_path / "mine.yaml"), PRESETS).region_ids == ("us-east-1", "eu-west-1")


def test_an_unknown_preset_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'three-region' is unknown; did you mean three-regions\?.*five-regions"):
        load("three-region", PRESETS)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(UsageError, match=r"/no/such\.yaml: cannot be read"):
        load("/no/such.yaml", PRESETS)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("role: primary", "role: primry", ["regions[0].role: 'primry'", "did you mean primary?", "edge"]),
        ("cross-atlantic", "cross-atlantik", ["links[0].latency", "'cross-atlantik'", "did you mean cross-atlantic?"]),
        ("id: eu-west-1", "id: EU West", ["regions[1].id: 'EU West'", "lower-case"]),
        ("to: eu-west-1", "to: eu-west-2", ["to: eu-west-2", "us-east-1, eu-west-1"]),
        ("role: primary", "node: 2", ["regions[0].node: there is no such field", "did you mean nodes?"]),
        ("name: pair", "nmae: pair", ["nmae: there is no such field; did you mean name?", "name is missing"]),
        ("role: primary", "nodes: many", ["regions[0].nodes: 'many'", "whole number"]),
        ("latency: cross-atlantic", "rtt_ms: -4", ["links[0].rtt_ms: -4", "milliseconds"]),
        ("latency: cross-atlantic", "latency: cross-atlantic, rtt_ms: 4", ["links[0]", "not both"]),
        ("name: pair", "name: pair\nprofile: typicl", ["profile: 'typicl'", "did you mean typical?"]),
        ("id: eu-west-1", "id: us-east-1", ["'us-east-1' is used twice"]),
        ("links:\n", "links: []\nfoo:\n", ["foo: there is no such field"]),
        ("links:\n  - {from: us-east-1, to: eu-west-1, latency: cross-atlantic}\n", "", ["how far", "add a link"]),
        ("name: pair", "name: [pair", ["line", "is not YAML"]),
        (GOOD, "- just\n- a list\n", ["a topology is a mapping"]),
        (GOOD, "", ["a topology is a mapping"]),
        ("regions:", "regions: 5\nrest:", ["regions: 5"]),
        ("to: eu-west-1, latency: cross-atlantic", "latency: cross-atlantic", ["links[0].to is missing", "region"]),
    ],
)
def test_a_mistake_is_told_with_its_field_its_value_and_the_cure(
    tmp_path: Path, old: str, new: str, says: list[str]
) -> None:
    assert old in GOOD
    found = complaint(tmp_path, GOOD.replace(old, new, 1))

    for words in says:
        assert words in found


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(GOOD.replace("pair", "p\xe4r").encode("latin-1"))

    with pytest.raises(UsageError, match=r"mine\.yaml: is not UTF-8"):
        load(str(path), PRESETS)
