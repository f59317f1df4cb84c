"""``rift check FILE`` and ``rift convert`` as their users meet them: verdicts, JSON, exit codes, messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness import cli, formats, store
from harness.errors import UsageError
from harness.formats import json_lines
from harness.judging import judges, recorded
from harness.model.op import Op, invoke
from harness.model.plan import Plan
from harness.testbeds.leases import Lease

ROOT = Path(__file__).resolve().parent.parent
HISTORIES = ROOT.parent / "shared" / "histories"
EXPECTED: dict[str, Any] = {}
if (HISTORIES / "expected.json").is_file():
    EXPECTED = json.loads((HISTORIES / "expected.json").read_text())

VALID = "{:process 0, :type :invoke, :f :write, :value 1}\n{:process 0, :type :ok, :f :write, :value 1}\n"
INVALID = VALID + "{:process 0, :type :invoke, :f :read, :value nil}\n{:process 0, :type :ok, :f :read, :value 7}\n"


def rift(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=100, check=False)


# --- recorded histories ----------------------------------------------------------------------------


@pytest.mark.skipif(not EXPECTED, reason=f"there are no recorded histories in {HISTORIES}")
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_recorded_history_gets_its_verdict(name: str) -> None:
    wanted = EXPECTED[name]
    found = formats.load(HISTORIES / name)
    assert wanted["format"] in (found.format, f"{found.format}-lines")
    assert len(found.columns) == len(found.history.operations) > 0
    judged = recorded.check(found, wanted["model"], recorded.Options(initial=wanted.get("initial")))
    assert judged.as_data()["valid"] == wanted["valid"], judged.as_text()


# --- verdicts, and what is printed -----------------------------------------------------------------------


KEYS = ["valid", "model", "operations", "acknowledged", "seconds", "read_seconds", "explanation", "format", "details"]


def test_the_json_object_has_the_keys_of_its_page_and_no_others(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "histories.md").read_text(encoding="utf-8")
    for text, more in ((VALID, []), (INVALID, []), ("[]", ["cause"]), (VALID.replace(":write", ":dequeue"), ["cause"])):
        (tmp_path / "h.edn").write_text(text)
        told = json.loads(rift("check", "h.edn", "--model", "register", "--json", cwd=tmp_path).stdout)
        assert sorted(told) == sorted(KEYS + more)
    for key in [*KEYS, "cause", "note", "anomalies", "not", "also_not"]:
        assert f"| `{key}` |" in page, key


@pytest.mark.parametrize(
    ("text", "valid", "code"), [(VALID, True, 0), (INVALID, False, 1), ("[]", "unknown", 2), ("", "unknown", 2)]
)
def test_the_verdict_is_the_exit_code_and_one_json_object(tmp_path: Path, text: str, valid: Any, code: int) -> None:
    (tmp_path / "h.edn").write_text(text)
    done = rift("check", "h.edn", "--model", "register", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, told["valid"], told["model"]) == (code, valid, "register")
    assert told["operations"] == text.count(":invoke")
    assert told["seconds"] >= 0
    assert told["explanation"]
    assert ("cause" in told) == (valid == "unknown")


def test_an_empty_history_says_that_it_is_empty(tmp_path: Path) -> None:
    (tmp_path / "h.edn").write_text("[{:process :nemesis, :type :info, :f :start}]")
    done = rift("check", "h.edn", "--model", "register", cwd=tmp_path)
    assert done.returncode == 2
    assert "UNKNOWN" in done.stdout
    assert "holds no operation of a client" in done.stdout


def test_people_read_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "h.edn").write_text(INVALID)
    done = rift("check", "h.edn", "--model", "register", cwd=tmp_path)
    assert done.stdout.startswith("INVALID  (register, 2 operations")
    assert "read 7" in done.stdout


def test_a_first_value_is_given_in_json_or_edn(tmp_path: Path) -> None:
    (tmp_path / "h.edn").write_text("{:process 0 :type :invoke :f :read}{:process 0 :type :ok :f :read :value 7}")
    codes = [
        rift("check", "h.edn", "--model", "register", *initial, cwd=tmp_path).returncode
        for initial in ([], ["--initial", "7"], ["--initial", "nil"])
    ]
    assert codes == [1, 0, 1]


def test_values_with_keys_are_judged_key_by_key_when_asked(tmp_path: Path) -> None:
    write = "{{:process 0, :type :{}, :f :write, :value [{} 1]}}\n"
    read = "{{:process 0, :type :{}, :f :read, :value [{} {}]}}\n"
    text = write.format("invoke", "a") + write.format("ok", "a")
    (tmp_path / "h.edn").write_text(text + read.format("invoke", "b", "nil") + read.format("ok", "b", 1))
    assert rift("check", "h.edn", "--model", "register", "--keyed", cwd=tmp_path).returncode == 1
    (tmp_path / "h.edn").write_text(text + read.format("invoke", "a", "nil") + read.format("ok", "a", 1))
    assert rift("check", "h.edn", "--model", "register", "--keyed", cwd=tmp_path).returncode == 0


def test_a_set_is_read_by_jepsens_words(tmp_path: Path) -> None:
    add, read = (
        '{"process": 0, "type": "%s", "f": "add", "value": 1}\n',
        '{"process": 0, "type": "%s", "f": "read"%s}\n',
    )
    lines = add % "invoke" + add % "ok" + read % ("invoke", "")
    for answer, code in (("[1]", 0), ("[]", 1)):
        (tmp_path / "h").write_text(lines + read % ("ok", f', "value": {answer}'))
        assert rift("check", "h", "--model", "set-full", cwd=tmp_path).returncode == code


def test_transactions_name_their_anomalies_and_models(tmp_path: Path) -> None:
    event = "{{:process {}, :type :{}, :f :txn, :value [{}]}}\n"
    text = ""
    for process, asked, told in ((0, "[:append 1 1]", "[:append 1 1]"), (1, "[:r 1 nil]", "[:r 1 []]")):
        text += event.format(process, "invoke", asked) + event.format(process, "ok", told)
    (tmp_path / "h.edn").write_text(
        text + event.format(2, "invoke", "[:r 1 nil]") + event.format(2, "ok", "[:r 1 [1]]")
    )
    done = rift("check", "h.edn", "--model", "list-append", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, told["valid"], told["anomalies"]) == (1, False, ["G-single-realtime"])
    assert told["not"]
    assert "strict-serializable" in told["not"] + told["also_not"]
    weaker = rift("check", "h.edn", "--model", "list-append", "--consistency", "serializable", cwd=tmp_path)
    assert weaker.returncode == 0


def test_a_failed_compare_and_set_in_the_log_tells_something_and_elsewhere_nothing(tmp_path: Path) -> None:
    log = "INFO  jepsen.util - 0 :{} :{} {}\n"
    (tmp_path / "h.log").write_text(
        "".join(log.format(type_, f, v) for f, v in (("write", 1),) for type_ in ("invoke", "ok"))
        + log.format("invoke", "cas", "[1 2]")
        + log.format("fail", "cas", "[1 2]")
    )
    assert rift("convert", "h.log", "h.edn", cwd=tmp_path).returncode == 0
    assert rift("check", "h.log", "--model", "cas-register", cwd=tmp_path).returncode == 1
    assert rift("check", "h.edn", "--model", "cas-register", cwd=tmp_path).returncode == 0


# --- what cannot be judged ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "arguments", "says"),
    [
        (VALID, ["--model", "cas-registr"], "unknown model 'cas-registr': did you mean 'cas-register'?"),
        (VALID, [], "h.edn is a history: say by what to judge it, --model NAME, of "),
        (
            VALID,
            ["--model", "register", "--consistency", "serializable"],
            "option consistency: the model 'register' has",
        ),
        (VALID, ["--model", "staleness", "-o", "max_m=1"], "no such option; did you mean 'max_ms'?"),
        (VALID, ["--model", "staleness", "-o", "max_ms=soon"], "option max_ms=soon: expected a number"),
        (VALID, ["--model", "staleness", "-o", "max_ms=-1"], "must not be below 0"),
        (VALID, ["--model", "staleness", "-o", "max_ms"], "write it as name=value"),
        (VALID, ["--model", "set", "-o", "initial=5"], "expected a list"),
        (VALID, ["--model", "bank", "-o", "negative=maybe"], "expected true or false"),
        (VALID, ["--model", "cas-register", "-o", "failed_cas=ignored"], "unknown value of failed_cas, 'ignored'"),
        (VALID, ["--model", "list-append", "--consistency", "serialisable"], "did you mean 'serializable'?"),
        (VALID, ["--model", "register", "--time-limit", "0"], "'--time-limit'"),
        (VALID, ["--model", "bank", "--memory", "100"], "--memory 100: the model 'bank' keeps no such limit"),
        (VALID.replace(":write", ":cas"), ["--model", "sessions"], "event 1: cas of process 0 is called with 1"),
        ("\x00\x01\x02\x03binary", ["--model", "register"], "h.edn: is in no known format"),
        (VALID, ["--model", "register", "--initial", "[1"], "'[1' is no value"),
        (VALID + "{:process 0", ["--model", "register"], "h.edn:3:1: expected '}'"),
        ("not a history", ["--model", "register"], "h.edn: is in no known format"),
        (VALID + VALID.split("\n")[0] * 2, ["--model", "register"], "while its write is still open"),
        (VALID + "{:process 5, :type :ok, :f :read}", ["--model", "register"], "which it had not invoked"),
        (VALID.replace("1}", "1, :time 5}", 1).replace("1}", "1, :time 4}"), ["--model", "register"], "runs backwards"),
    ],
)
def test_a_wrong_file_or_option_is_exit_code_4_and_says_why(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("h.edn").write_text(text)
    code = cli._exit_code(["check", "h.edn", *arguments])
    out, words = capsys.readouterr()
    assert (code, out) == (4, ""), words
    assert says in words


def test_a_file_that_is_not_there_is_exit_code_4(tmp_path: Path) -> None:
    done = rift("check", "none.edn", "--model", "register", cwd=tmp_path)
    assert done.returncode == 4
    assert "none.edn: there is no such file, and no such run" in done.stderr


def test_a_folder_and_a_pipe_are_called_what_they_are(tmp_path: Path) -> None:
    done = rift("check", ".", "--model", "register", cwd=tmp_path)
    assert (done.returncode, "is a folder and no run" in done.stderr) == (4, True)
    os.mkfifo(tmp_path / "pipe")
    done = rift("check", "pipe", "--model", "register", cwd=tmp_path)
    assert (done.returncode, "save it to a file first" in done.stderr) == (4, True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_exit_code_4(tmp_path: Path) -> None:
    (tmp_path / "h.edn").write_text(VALID)
    (tmp_path / "h.edn").chmod(0)
    done = rift("check", "h.edn", "--model", "register", cwd=tmp_path)
    assert (done.returncode, "cannot be read: Permission denied" in done.stderr) == (4, True)


def test_a_long_line_is_read(tmp_path: Path) -> None:
    value = json.dumps("x" * 5_000_000)
    event = '{"process": 0, "type": "%s", "f": "write", "value": %s}\n'
    (tmp_path / "h").write_text(event % ("invoke", value) + event % ("ok", value))
    done = rift("check", "h", "--model", "register", cwd=tmp_path)
    assert (done.returncode, len(done.stdout) < 1_000) == (0, True)


def test_nothing_acknowledged_contradicts_no_model_and_proves_nothing(tmp_path: Path) -> None:
    """The recorded histories have such ones, and call them valid."""
    (tmp_path / "h.edn").write_text(VALID.replace(":ok", ":info"))
    done = rift("check", "h.edn", "--model", "register", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, told["valid"], told["acknowledged"]) == (0, True, 0)
    assert told["explanation"].startswith("nothing was acknowledged, so nothing was proved")
    strict = ["-o", "needs_evidence=true"]
    assert rift("check", "h.edn", "--model", "register", *strict, cwd=tmp_path).returncode == 2
    assert rift("check", "h.edn", "--model", "sessions", cwd=tmp_path).returncode == 2


def test_a_model_without_a_bound_judges_nothing(tmp_path: Path) -> None:
    (tmp_path / "h.edn").write_text(INVALID.replace("7", "1"))
    done = rift("check", "h.edn", "--model", "staleness", cwd=tmp_path)
    assert (done.returncode, "give the model a bound with -o" in done.stdout) == (2, True)
    bounded = rift("check", "h.edn", "--model", "staleness", "-o", "max_versions=0", cwd=tmp_path)
    assert bounded.returncode == 0, bounded.stdout


def test_options_reach_their_checker(tmp_path: Path) -> None:
    """Each changes the verdict, so none is read and forgotten."""
    lines = []
    for at, (f, value) in enumerate([("write", 1), ("write", 2), ("read", 1)]):
        event = {"process": 0, "f": f, "time": at * 2_000_000}
        lines.append({**event, "type": "invoke", "value": value if f == "write" else None})
        lines.append({**event, "type": "ok", "value": value, "time": at * 2_000_000 + 1_000_000})
    (tmp_path / "h").write_text("\n".join(map(json.dumps, lines)))

    def code(model: str, *options: str) -> int:
        given = dict(option.split("=") for option in options if option != "-o")
        asked = recorded.asked(model, given, None, None, keyed=False)
        return recorded.check_file(str(tmp_path / "h"), tmp_path, model, asked).verdict.valid.exit_code

    assert code("staleness", "-o", "max_versions=0") == 1
    assert code("staleness", "-o", "max-versions=1") == 0
    assert code("staleness", "-o", "max_ms=0.5") == 1
    assert code("staleness", "-o", "max_ms=500") == 0
    assert code("last-write-wins") == 1
    assert code("last-write-wins", "-o", "skew_ms=50") == 0
    assert code("last-write-wins", "-o", "within_ms=50") == 2
    assert code("sessions") == 1
    assert code("sessions", "-o", "guarantees=monotonic-writes") == 0
    assert code("register", "-o", "ignore=read") == 0
    balances = {"process": 0, "f": "read", "time": 9_000_000, "value": {"a": -1, "b": 3}}
    moved = {"process": 1, "f": "transfer", "time": 8_000_000, "value": {"from": "a", "to": "b", "amount": 1}}
    both = [{**each, "type": type_} for each in (moved, balances) for type_ in ("invoke", "ok")]
    (tmp_path / "h").write_text("\n".join(map(json.dumps, both)))
    assert code("bank", "-o", "total=2") == 1
    assert code("bank", "-o", "total=2", "-o", "negative=true") == 0
    assert code("bank", "-o", "total=5", "-o", "negative=true") == 1


def test_every_field_of_a_checker_is_an_option_with_a_meaning() -> None:
    for name, judge in judges.MODELS.items():
        assert set(judges.options_of(judge)) <= set(judges.OPTIONS), name
        assert judge.says


def test_models_and_their_options_are_listed(tmp_path: Path) -> None:
    done = rift("list", "models", "--json", cwd=tmp_path)
    listed = json.loads(done.stdout)
    assert list(listed["models"]) == sorted([*judges.MODELS, "rollout"])
    assert "--spec PLAN.yaml" in listed["models"]["rollout"]
    assert "-o max_ms, max_versions, initial" in listed["models"]["staleness"]
    assert rift("list", "model", cwd=tmp_path).returncode == 4


def test_an_operation_that_the_model_does_not_have_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "h.edn").write_text(VALID.replace(":write", ":enqueue"))
    assert rift("check", "h.edn", "--model", "register", cwd=tmp_path).returncode == 2


# --- runs of our own ----------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> store.RunFolder:
    """A stored run whose client read what nobody wrote."""
    folder = store.create(tmp_path / "store", Plan(test="mine", target="t", workload="register", topology={}, seed=1))
    ops = [invoke("read"), Op(type="ok", f="read", value=7)]
    events = [msgspec.structs.replace(op, process=0, key="k", time_ns=at, index=at) for at, op in enumerate(ops)]
    json_lines.write(events, folder.journal)
    folder.finish_history()
    return folder


def test_a_run_is_judged_by_a_model_and_converted_like_a_file(run: store.RunFolder, tmp_path: Path) -> None:
    for name in ("mine", str(run.path), str(run.columns)):
        assert rift("check", name, "--model", "register", cwd=tmp_path).returncode == 1
        assert rift("convert", name, "out.edn", cwd=tmp_path).returncode == 0
        assert [op.value for op in formats.read(tmp_path / "out.edn")] == [None, 7]


def test_a_run_that_goes_on_is_not_judged_as_if_it_had_been_killed(
    run: store.RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIFT_RUNTIME_DIR", str(tmp_path / "runtime"))
    lease = Lease("11112222", run.path)
    before = sorted(run.path.iterdir())
    done = rift("check", "mine", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "is still going on" in done.stdout
    told = json.loads(rift("check", "mine", "--json", cwd=tmp_path).stdout)
    assert (told["valid"], "is still going on" in told["cause"]) == ("unknown", True)
    judged = rift("check", "mine", "--model", "register", cwd=tmp_path)
    assert (judged.returncode, "note: the run is still going on" in judged.stdout) == (1, True)
    assert sorted(run.path.iterdir()) == before, "nothing is written into a folder that somebody else writes"
    lease.release()
    assert "still going on" not in rift("check", "mine", "--model", "register", cwd=tmp_path).stdout


def test_options_of_a_model_without_one_are_refused(run: store.RunFolder, tmp_path: Path) -> None:
    done = rift("check", "mine", "--initial", "0", cwd=tmp_path)
    assert (done.returncode, "give --model" in done.stderr) == (4, True)


def test_converting_to_an_unknown_format_or_place_changes_nothing(run: store.RunFolder, tmp_path: Path) -> None:
    done = rift("convert", "mine", "out.xml", cwd=tmp_path)
    assert (done.returncode, "unknown format 'xml'" in done.stderr) == (4, True)
    done = rift("convert", "mine", "no/out.edn", cwd=tmp_path)
    assert (done.returncode, "no/out.edn: cannot be written" in done.stderr) == (4, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


def test_a_model_that_is_no_file_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'list-append'"):
        recorded.check_file("any", tmp_path, "list-apend", recorded.Options())


def test_a_small_check_loads_no_heavy_library(tmp_path: Path) -> None:
    """It is what makes ten operations answer at once. The checker works in a process of its own, which tells its
    imports, too."""
    (tmp_path / "h.edn").write_text(VALID)
    command = [sys.executable, "-X", "importtime", "-m", "harness", "check", "h.edn", "--model", "cas-register"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert {"numpy", "harness.kernels.linear.columnwise"} <= loaded
    assert not loaded & {"numba", "scipy", "pandas", "pyarrow", "httpx", "yaml", "harness.contracts"}


def test_a_history_without_times_is_explained_without_inventing_any(tmp_path: Path) -> None:
    path = tmp_path / "untimed.edn"
    path.write_text(
        "{:process 0 :type :invoke :f :write :value 1}\n{:process 0 :type :ok :f :write :value 1}\n"
        "{:process 1 :type :invoke :f :read :value nil}\n{:process 1 :type :ok :f :read :value 0}\n"
    )
    found = recorded.check(recorded.source(str(path), tmp_path), "cas-register", recorded.Options(initial=0))
    text = found.as_text()
    assert "after client 0's write of 1 was acknowledged" in text
    assert " s to " not in text
    assert "ms after" not in text


@pytest.mark.parametrize("model", ["convergence", "g-set", "or-set", "pn-counter", "last-write-wins", "set-full"])
def test_without_a_clock_only_what_came_after_the_updates_counts_as_final(model: str, tmp_path: Path) -> None:
    """A read that began before the update was over is no final read, and no evidence either."""
    f, reads = ("write", "read") if model in ("convergence", "last-write-wins") else ("add", "read")
    nothing: Any = {"set-full": [], "g-set": [], "or-set": [], "pn-counter": 0}.get(model)
    value: Any = {"pn-counter": 1}.get(model, [1] if f == "add" else 1)
    early = [(2, "invoke", reads, None), (2, "ok", reads, nothing)]
    update = [(0, "invoke", f, 1), (0, "ok", f, 1)]
    late = [(1, "invoke", reads, None), (1, "ok", reads, value), (2, "invoke", reads, None), (2, "ok", reads, value)]
    wanted = {"last-write-wins": (2, 2)}.get(model, (2, 0))
    for events, code in zip((early + update, early + update + late), wanted, strict=True):
        lines = [dict(zip(("process", "type", "f", "value"), event, strict=True)) for event in events]
        (tmp_path / "h").write_text("\n".join(map(json.dumps, lines)))
        done = rift("check", "h", "--model", model, cwd=tmp_path)
        assert done.returncode == code, done.stdout


# --- models of one's own, limits, pages -----------------------------------------------------------------

STACK = [("push", 1, 1), ("push", 2, 2), ("pop", None, 1)]


def events_of(*deeds: tuple[str, Any, Any]) -> str:
    lines = [
        {"process": 0, "type": t, "f": f, "value": v}
        for f, *both in deeds
        for t, v in zip(("invoke", "ok"), both, strict=True)
    ]
    return "\n".join(map(json.dumps, lines))


def test_the_example_model_judges_as_its_page_says(tmp_path: Path) -> None:
    """A model in a file of one's own, far from the project."""
    (tmp_path / "stack.py").write_text((ROOT / "docs" / "examples" / "stack.py").read_text(encoding="utf-8"))
    assert "rift check history.jsonl --model ./stack.py" in (ROOT / "docs" / "checkers.md").read_text(encoding="utf-8")
    (tmp_path / "h").write_text(events_of(*STACK))
    done = rift("check", "h", "--model", "./stack.py", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "pop -> 1 fits into no order: the object could only hold [1 2]" in done.stdout
    (tmp_path / "h").write_text(events_of(("push", 1, 1), ("push", 2, 2), ("pop", None, 2)))
    assert rift("check", "h", "--model", "./stack.py", cwd=tmp_path).returncode == 0
    assert rift("check", "h", "--model", "./stack.py", "-o", "initial=[5]", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "model file './mine.py' does not exist"),
        ("x = ", "mine.py: does not load: SyntaxError"),
        ("x = 1", "mine.py: defines neither MODEL"),
        ("class CHECKER:\n    name = 'x'\n", "mine.py: CHECKER has no method check"),
        ("class CHECKER:\n    def check(self, history): ...\n", "has no name; give it one"),
        (
            "class CHECKER:\n    name = 'x'\n    def __init__(self, bound): ...\n    def check(self, history): ...\n",
            "missing 1 required positional argument: 'bound'; give a field a default",
        ),
    ],
)
def test_a_model_file_that_is_none_is_exit_code_4(text: str | None, says: str, tmp_path: Path) -> None:
    (tmp_path / "h").write_text(events_of(*STACK))
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    done = rift("check", "h", "--model", "./mine.py", cwd=tmp_path)
    assert (done.returncode, says in done.stderr) == (4, True), done.stderr


def test_a_model_that_crashes_or_never_ends_says_where(tmp_path: Path) -> None:
    (tmp_path / "h").write_text(events_of(*STACK))
    (tmp_path / "mine.py").write_text("def MODEL(op):\n    return 1 / 0\n")
    done = rift("check", "h", "--model", "./mine.py", cwd=tmp_path)
    assert done.returncode == 2
    assert "ZeroDivisionError" in done.stdout
    assert "mine.py" in done.stdout
    (tmp_path / "mine.py").write_text(
        "class CHECKER:\n    name = 'vague'\n    def check(self, history):\n        print('so far so good')\n"
    )
    done = rift("check", "h", "--model", "./mine.py", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (2, "so far so good\n"), "what it prints is no part of the answer"
    assert "check returned NoneType and not a" in told["cause"]
    endless = (
        "class CHECKER:\n    name = 'endless'\n    def check(self, history):\n        while True:\n            pass\n"
    )
    (tmp_path / "mine.py").write_text(endless)
    done = rift("check", "h", "--model", "./mine.py", "--time-limit", "0.5", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, told["valid"]) == (2, "unknown")
    assert "gave no answer within 0.5 s" in told["cause"]
    assert "mine.py" in told["details"]["traceback"]


@pytest.mark.parametrize(("text", "word"), [(VALID, "Valid"), (INVALID, "Invalid"), ("[]", "Unknown")])
def test_the_explanation_is_written_as_a_page(text: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "h.edn").write_text(text)
    done = rift("check", "h.edn", "--model", "register", "--html", "page.html", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["model"] == "register"
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"<strong>{word}: </strong>" in page
    assert ("What went wrong" in page) == (word == "Invalid")
    assert "http" not in page.replace("http-equiv", ""), "it needs no network"


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("no/page.html", "there is no folder no"),
        (".", "is a folder"),
        ("h.edn", "is the history itself and would be lost"),
    ],
)
def test_a_page_that_cannot_be_written_is_refused_before_any_work(page: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "h.edn").write_text(VALID)
    done = rift("check", "h.edn", "--model", "register", "--html", page, cwd=tmp_path)
    assert (done.returncode, done.stdout, says in done.stderr) == (4, "", True), done.stderr
    assert (tmp_path / "h.edn").read_text() == VALID
