"""``rift check FILE`` and ``rift convert`` as their users meet them: verdicts, JSON, exit codes, messages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness import formats, judging, store
from harness.errors import UsageError
from harness.formats import json_lines
from harness.model.op import Op, invoke
from harness.model.plan import Plan

HISTORIES = Path(__file__).resolve().parent.parent.parent / "shared" / "histories"
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
    judged = judging.check(found, wanted["model"], judging.Options(initial=wanted.get("initial")))
    assert judged.as_data()["valid"] == wanted["valid"], judged.as_text()


# --- verdicts, and what is printed -----------------------------------------------------------------------


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
        (VALID, ["--model", "register", "--consistency", "serializable"], "--consistency"),
        (VALID, ["--model", "register", "--initial", "[1"], "'[1' is no value"),
        (VALID + "{:process 0", ["--model", "register"], "h.edn:3:1: expected '}'"),
        ("not a history", ["--model", "register"], "h.edn: is in no known format"),
        (VALID + VALID.split("\n")[0] * 2, ["--model", "register"], "while its write is still open"),
        (VALID + "{:process 5, :type :ok, :f :read}", ["--model", "register"], "which it had not invoked"),
        (VALID.replace("1}", "1, :time 5}", 1).replace("1}", "1, :time 4}"), ["--model", "register"], "runs backwards"),
    ],
)
def test_a_wrong_file_or_option_is_exit_code_4_and_says_why(
    tmp_path: Path, text: str, arguments: list[str], says: str
) -> None:
    (tmp_path / "h.edn").write_text(text)
    done = rift("check", "h.edn", *arguments, cwd=tmp_path)
    assert done.returncode == 4, done.stdout + done.stderr
    assert says in done.stderr
    assert done.stdout == ""


def test_a_file_that_is_not_there_is_exit_code_4(tmp_path: Path) -> None:
    done = rift("check", "none.edn", "--model", "register", cwd=tmp_path)
    assert done.returncode == 4
    assert "none.edn: there is no such file, and no such run" in done.stderr


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


def test_options_of_a_model_without_one_are_refused(run: store.RunFolder, tmp_path: Path) -> None:
    done = rift("check", "mine", "--initial", "0", cwd=tmp_path)
    assert (done.returncode, "give --model" in done.stderr) == (4, True)


def test_converting_to_an_unknown_format_or_place_changes_nothing(run: store.RunFolder, tmp_path: Path) -> None:
    done = rift("convert", "mine", "out.xml", cwd=tmp_path)
    assert (done.returncode, "unknown format 'xml'" in done.stderr) == (4, True)
    done = rift("convert", "mine", "no/out.edn", cwd=tmp_path)
    assert (done.returncode, "no/out.edn: cannot be written" in done.stderr) == (3, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


def test_a_model_that_is_no_file_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'list-append'"):
        judging.check_file("any", tmp_path, "list-apend", judging.Options())


def test_a_small_check_loads_no_heavy_library(tmp_path: Path) -> None:
    """It is what makes ten operations answer at once."""
    (tmp_path / "h.edn").write_text(VALID)
    code = (
        "import sys; from harness import cli; code = cli._exit_code(['check', 'h.edn', '--model', 'cas-register']);"
        "heavy = [name for name in ('numba', 'scipy', 'pandas', 'pyarrow', 'httpx', 'yaml') if name in sys.modules];"
        "sys.exit(f'{code} {heavy}' if code or heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_history_without_times_is_explained_without_inventing_any(tmp_path: Path) -> None:
    path = tmp_path / "untimed.edn"
    path.write_text(
        "{:process 0 :type :invoke :f :write :value 1}\n{:process 0 :type :ok :f :write :value 1}\n"
        "{:process 1 :type :invoke :f :read :value nil}\n{:process 1 :type :ok :f :read :value 0}\n"
    )
    found = judging.check(judging.source(str(path), tmp_path), "cas-register", judging.Options(initial=0))
    text = found.as_text()
    assert "after client 0's write of 1 was acknowledged" in text
    assert " s to " not in text
    assert "ms after" not in text
