"""The command line as its users meet it: exit codes, messages, one JSON object, stable hashes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.planning import parts, plans


def rift(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, with a store of its own."""
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--target", "etdc"], "unknown target 'etdc': did you mean 'etcd'?"),
        (["run", "--faults", "partition-regoin"], "did you mean 'partition-region'?"),
        (["run", "--workload", "registr"], "did you mean 'register'?"),
        (["run", "--topology", "three-region"], "three-regions"),
        (["run", "--profile", "typicl"], "did you mean 'typical'?"),
        (["run", "--testbed", "moon"], "Known: compose, local"),
        (["run", "--time-limit", "0"], "--time-limit 0: must be more than 0"),
        (["run", "--rate", "-1"], "--rate -1: must be more than 0"),
        (["run", "--seed", "abc"], "--seed"),
        (["run", "-o", "bug"], "write it as name=value"),
        (["run", "--target", "refstore", "-o", "bug=stale-raeds"], "stale-reads"),
        (["run", "--target", "etcd", "-o", "colour=red"], "colour"),
        (["run", "--target", "./nowhere.py"], "nowhere.py"),
        (["report", "latest", "--format", "htlm"], "htlm"),
        (["rnu"], "rnu"),
        ([], "Usage"),
    ],
)
def test_wrong_usage_is_exit_code_4_and_says_what_to_write(tmp_path: Path, arguments: list[str], says: str) -> None:
    done = rift(*arguments, cwd=tmp_path)
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 4 or (arguments[:1] == ["report"] and done.returncode in (3, 4))


def test_a_malformed_topology_is_named_with_file_field_and_remedy(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nregions:\n  - {id: a, role: boss}\n")
    done = rift("run", "--topology", "mine.yaml", cwd=tmp_path)
    assert done.returncode == 4
    assert all(word in done.stderr for word in ("mine.yaml", "regions[0].role", "boss", "primary"))


def test_a_missing_server_binary_is_exit_code_3_and_says_how_to_get_it(tmp_path: Path) -> None:
    done = rift("run", "--target", "etcd", "-o", "binary=/nowhere/etcd", "--time-limit", "5", cwd=tmp_path)
    assert done.returncode in (3, 4)
    assert "/nowhere/etcd" in done.stderr


def test_a_run_that_does_not_exist_is_named(tmp_path: Path) -> None:
    done = rift("check", "yesterday", cwd=tmp_path)
    assert done.returncode == 3
    assert "'yesterday' is no run" in done.stderr


def test_the_list_names_every_kind_with_a_sentence_each(tmp_path: Path) -> None:
    found = json.loads(rift("list", "--json", cwd=tmp_path).stdout)
    assert {"targets", "workloads", "faults", "reports", "topologies"} <= set(found)
    assert all(sentence for entries in found.values() for sentence in entries.values())
    assert "partition-region" in rift("list", cwd=tmp_path).stdout


def test_the_doctor_answers_for_people_and_for_machines(tmp_path: Path) -> None:
    assert rift("doctor", cwd=tmp_path).returncode == 0
    assert json.loads(rift("doctor", "--json", cwd=tmp_path).stdout)


def test_heal_has_nothing_to_do_on_a_clean_machine_of_its_own(tmp_path: Path) -> None:
    done = rift("heal", cwd=tmp_path, RIFT_RUNTIME_DIR=str(tmp_path / "leases"))
    assert done.returncode == 0, done.stderr


def test_help_does_not_load_the_heavy_libraries(tmp_path: Path) -> None:
    code = "import sys, harness.cli; sys.exit(any(m in sys.modules for m in ('numpy', 'pandas', 'pyarrow', 'httpx')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


def test_a_file_among_the_commands_is_a_subcommand(tmp_path: Path) -> None:
    (tmp_path / "greet.py").write_text(
        'def command(who: str = "you") -> int:\n    """Say hello."""\n    print("hello", who)\n'
    )
    (tmp_path / "_shared.py").write_text("raise AssertionError\n")
    code = "import sys, harness.commands as c; c.__path__[:] = [sys.argv.pop()]; from harness.cli import main; main()"
    command = [sys.executable, "-c", code, "greet", "--who", "them", str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "hello them\n"


def plan(**options: Any) -> Any:
    return plans.plan(target="refstore", said={"target": "refstore"}, **options)


def test_the_same_seed_gives_the_same_schedule_and_another_seed_another() -> None:
    hashes = [parts.complete(plan(seed=seed)).schedule_hash for seed in (7, 7, 8)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_schedule_hash_covers_faults_and_load() -> None:
    base: dict[str, Any] = {"seed": 7}
    others: list[dict[str, Any]] = [
        {"faults": "none"},
        {"numbers": {"rate_hz": 10.0}},
        {"numbers": {"time_limit_s": 12.0}},
        {"workload": "set"},
    ]
    hashes = {parts.complete(plan(**base, **other)).schedule_hash for other in [{}, *others]}
    assert len(hashes) == 5


def test_the_replay_command_carries_what_was_said_and_the_seed() -> None:
    made = plans.plan(
        target="refstore",
        target_options={"bug": "stale-reads"},
        seed=None,
        said={"target": "refstore", "option": ["bug=stale-reads"], "rate": 20.0, "name": None},
    )
    assert made.replay == f"rift run --target refstore --option bug=stale-reads --rate 20 --seed {made.seed}"


def test_default_faults_leave_out_what_finds_no_victim() -> None:
    assert plan(seed=1, topology_name="single-region").faults == ("kill-leader", "pause-leader")
    assert plan(seed=1, faults="none").faults == ()
