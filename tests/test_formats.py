"""Other tools' histories: what is read, in whichever way, and where a wrong file is wrong."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness import formats, journal
from harness.errors import UsageError
from harness.formats import _edn, jepsen_edn, json_lines
from harness.formats._scanner import Scanner
from harness.formats._tape import Malformed
from harness.model.columns import INFO_CODE, NEVER, TYPE_CODES, Columns
from harness.model.history import NEVER_NS, History
from harness.model.op import Op
from harness.model.packed import PACKED, unpacked

EXAMPLES = int(os.environ.get("RIFT_EXAMPLES", "60"))
PLAIN = "{:process 0, :type :invoke, :f :write, :value 1}\n{:process 0, :type :ok, :f :write, :value 1}\n"


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Writes a history file."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "history"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


File = Callable[[str | bytes], Path]


def story(history: History) -> list[tuple[Any, ...]]:
    return [(op.process, op.type, op.f, op.key, repr(op.value), op.time_ns, op.error) for op in history]


def decoded(columns: Columns) -> list[tuple[Any, ...]]:
    """The rows with what their numbers stand for."""
    return [
        (
            int(columns.process[row]),
            columns.fs[columns.f[row]],
            int(columns.type[row]),
            None if columns.key[row] < 0 else columns.keys[columns.key[row]],
            repr(columns.values[columns.value[row]]),
            repr(columns.values[columns.result[row]]),
            *(int(column[row]) for column in (columns.start, columns.end, columns.start_ns, columns.end_ns)),
        )
        for row in range(len(columns))
    ]


def rows_of(history: History) -> list[tuple[Any, ...]]:
    """The same from the objects."""
    return [
        (
            *(op.process, op.f, TYPE_CODES[op.type], op.key, repr(op.value), repr(op.result), op.start_index),
            int(NEVER) if op.end_index == NEVER_NS else op.end_index,
            op.start_ns,
            -1 if op.end_ns == NEVER_NS else op.end_ns,
        )
        for op in history.operations
    ]


# --- EDN values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("nil", None),
        ("true", True),
        ("-7", -7),
        ("+7", 7),
        ("123456789012345678901234567890N", 123456789012345678901234567890),
        ("1.50", 1.5),
        ("-2e3", -2000.0),
        ("1.50M", "1.50M"),
        ("2/3", "2/3"),
        (":timed-out", "timed-out"),
        (":ns/name", "ns/name"),
        ("symbol", "symbol"),
        ("-", "-"),
        ('"a \\"b\\" \\n \\u00e9 é"', 'a "b" \n é é'),
        ('"\\ud83d\\ude00"', "😀"),
        ("[null :null nil]", ("null", "null", None)),
        ("\\a", "a"),
        ("\\newline", "\n"),
        ("\\u00e9", "é"),
        ("[1 [2, nil] ()]", (1, (2, None), ())),
        ("#{3 1 2}", (1, 2, 3)),
        ('{:a 1, "b" [2]}', {"a": 1, "b": (2,)}),
        ("{[1 2] 3}", {"[1 2]": 3}),
        ('#inst "2020-01-01"', "2020-01-01"),
        ("#my.own/Tag{:a 1}", {"a": 1}),
        ("[1 #_ 2 3 #_ #_ 4 5]", (1, 3)),
        ("^{:line 3} [1]", (1,)),
        ("[1 ; one\n 2]", (1, 2)),
        ("##Inf", float("inf")),
    ],
)
def test_every_kind_of_edn_value_is_read(text: str, value: Any) -> None:
    assert repr(jepsen_edn.value(text)) == repr(value)


@pytest.mark.parametrize(
    "text",
    ["", "[1", "1]", "{:a}", "{:a 1 :a 2}", "#{1 1}", '"a', "01", "1x", "#_", "[1 #_]", "##Foo", '"\\q"', "\\foo"],
)
def test_what_is_no_edn_value_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no value"):
        jepsen_edn.value(text)


@pytest.mark.parametrize("text", ['"\\ud800"', "\\udfff", "\\uzzzz", "1" * 5000, "[" * 5000 + "]" * 5000])
def test_what_python_cannot_hold_is_refused_too(text: str) -> None:
    with pytest.raises(UsageError, match="is no value"):
        jepsen_edn.value(text)


@given(st.lists(st.binary(max_size=12), max_size=3))
def test_no_bytes_whatever_make_the_reader_crash(parts: list[bytes]) -> None:
    with contextlib.suppress(Malformed):
        _edn.Reader(b"[".join(parts)).form()


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.sampled_from(["append", "r", "w", "nil"])
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=12)


@given(values)
def test_what_is_written_as_edn_is_read_back(value: Any) -> None:
    assert repr(_edn.Reader(_edn.written(value).encode()).form()) == repr(value)


@given(st.lists(values, min_size=2, max_size=6), st.sampled_from(", "))
def test_many_values_at_once_are_the_same_as_one_by_one(many: list[Any], gap: str) -> None:
    """The short way through JSON must give what the reader gives, or nothing."""
    texts = [_edn.written(value).replace(" ", gap + " " * (gap == ",")).encode() for value in many]
    for text, packed in _edn.as_packed(texts).items():
        assert PACKED.fullmatch(packed)
        assert repr(unpacked(packed)) == repr(_edn.Reader(text).form())


# --- events: two ways of reading, one answer -----------------------------------------------------------

words = st.sampled_from(["read", "write", "cas", "txn"])
atoms = st.sampled_from(
    ["nil", "1", "-3", ":k", '"s \\" {"', "2.5", "true", "\\x", "sym", "1/2", '#inst "x"', "7N", "null", ":null"]
)
edn_values = st.recursive(
    atoms,
    lambda inner: st.tuples(
        st.sampled_from(["[]", "()"]), st.lists(inner, max_size=3), st.sampled_from([" ", ", "])
    ).map(lambda made: made[0][0] + made[2].join(made[1]) + made[0][1]),
    max_leaves=8,
)
extras = st.sampled_from([":index 3", ':node "n1"', ":debug {:a [1]}", ":clock-offsets {}", ":ok true", ":timeout 5"])
gaps = st.sampled_from([" ", ", ", ",\n ", "  "])
between = st.sampled_from(
    ["\n", " ", "", "\n; {:process 9, :type :ok}\n", " #_ {:process 1} ", "\n#_[1 {]\n".replace("{", "{}")]
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Events in the notation, with keys in any order, and whatever may stand within and between them."""
    events = []
    for _ in range(draw(st.integers(0, 8))):
        process = draw(st.sampled_from(["0", "1", "12", ":nemesis"]))
        fields = [f":process {process}", f":type :{draw(st.sampled_from(['invoke', 'ok', 'fail', 'info']))}"]
        fields += [f":f :{draw(words)}", *draw(st.lists(extras, max_size=2, unique=True))]
        for name in ("value", "key", "error"):
            fields += [f":{name} {draw(edn_values)}"] * draw(st.booleans())
        fields += [f":time {draw(st.integers(0, 10**12))}"] * draw(st.booleans())
        fields += [draw(st.sampled_from(fields))] * (draw(st.integers(0, 9)) == 7)  # seldom one twice
        fields = draw(st.permutations(fields))
        tag = draw(st.sampled_from(["", "", "#jepsen.history.Op", "#other "]))
        events.append(f"{tag}{{{draw(gaps).join(fields)}}}")
    around = draw(st.sampled_from(["[]", "()", "  "]))
    start, end = draw(st.sampled_from(["", "; a comment\n", "#_ 1 "])), draw(st.sampled_from(["", "\n", " ; end"]))
    return start + around[0] + "".join(event + draw(between) for event in events) + around[1] + end


def recorded(path: Path) -> list[tuple[Any, ...]]:
    """Every event in the file, whether or not they make sense together."""
    tape = formats.load(path).tape
    events, names = tape._events(keyed=False), ("process", "type", "f", "key", "value", "time_ns", "note")
    rows = zip(*(getattr(events, name).tolist() for name in names), strict=True)
    return [
        (p, t, tape.fs.values[f], repr(tape.value(k)), repr(tape.value(v)), ns, tape.notes.values[n])
        for p, t, f, k, v, ns, n in rows
    ]


NOTHING = re.compile(rb"(?!)" + b"()" * jepsen_edn._EVENT.groups)


def outcome(path: Path) -> list[tuple[Any, ...]] | str:
    """What is in the file, or what is wrong with it."""
    try:
        return recorded(path)
    except UsageError as error:
        return str(error)


def plain_scanner(patch: pytest.MonkeyPatch, module: Any) -> None:
    """Give files of every size to the scan, uncompiled: there a step beyond an array is an error."""
    patch.setattr(module, "LARGE_BYTES", 0)
    patch.setattr(module, "Scanner", partial(Scanner, compiled=False))


def ways_to_read_edn(path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> dict[str, Any]:
    """The outcome of each way, wherever the file is cut into chunks."""
    found = {}
    for way in ("careful", "by regular expression", "by scan"):
        with monkeypatch.context() as patch:
            if way == "careful":
                patch.setattr(jepsen_edn, "_EVENT", NOTHING)
            else:
                patch.setattr(jepsen_edn, "FIRST_BYTES", min(chunk, 16))
                patch.setattr(jepsen_edn, "CHUNK_BYTES", chunk)
            if way == "by scan":
                plain_scanner(patch, jepsen_edn)
            found[way] = outcome(path)
    return found


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(documents(), st.sampled_from([7, 64, 1 << 20]))
@example(PLAIN * 9 + "{:process 0, :type :ok, :value 1, :f :write, :value 2}", 64)
@example(PLAIN * 9 + "{:process 0, :type :ok, :f :write, :x 1, :x 2}", 64)
@example(PLAIN * 9 + "{:process 0, :type :ok, :f :read, :value }", 64)
@example("; a comment\n[]", 7)
@example(PLAIN * 9 + "{:process 0, :type :ok, :f :write, :value [1[2]]}{:process 0,:type :ok :f :write :value 1N}", 64)
def test_all_ways_of_reading_edn_read_the_same(
    file: File, monkeypatch: pytest.MonkeyPatch, text: str, chunk: int
) -> None:
    found = ways_to_read_edn(file(text), monkeypatch, chunk)
    assert found["by regular expression"] == found["careful"]
    assert found["by scan"] == found["careful"]


@st.composite
def mutated(draw: st.DrawFn, text: bytes) -> bytes:
    """``text`` with one byte changed, left out or doubled."""
    at = draw(st.integers(0, len(text) - 1))
    others = [bytes([byte]) for byte in b'0-:{}[]()"; \n\\#a\xff']
    return text[:at] + draw(st.sampled_from([b"", text[at : at + 1] * 2, *others])) + text[at + 1 :]


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(documents().filter(bool), st.data())
def test_all_ways_of_reading_edn_find_the_same_mistake(
    file: File, monkeypatch: pytest.MonkeyPatch, text: str, data: st.DataObject
) -> None:
    """A byte is changed, left out or added anywhere."""
    found = ways_to_read_edn(file(data.draw(mutated(text.encode()))), monkeypatch, 64)
    assert found["by regular expression"] == found["careful"]
    assert found["by scan"] == found["careful"]


def test_a_long_usual_file_hardly_needs_the_careful_reader(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    """The speed lies in this; the test of equality would not notice its loss."""
    path = file("[" + PLAIN * 5000 + "]")
    forms: list[_edn.Reader] = []

    def counted(reader: _edn.Reader) -> Any:
        forms.append(reader)
        return reader._form()

    monkeypatch.setattr(_edn.Reader, "form", counted)
    assert len(formats.read_columns(path)) == 5000
    assert len(forms) < 20


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(documents().filter(lambda text: text.strip()[-1:] in "])"), st.data())
def test_a_collection_that_is_cut_off_is_never_judged(file: File, text: str, data: st.DataObject) -> None:
    whole = text.strip()
    opened = re.match(r"(?:; a comment\n|#_ 1 )?[\[(]", whole)
    if opened is None:
        return
    path = file(whole[: data.draw(st.integers(opened.end(), len(whole) - 1))])
    with pytest.raises(UsageError, match="nothing was judged"):
        formats.load(path)


# --- histories and columns ---------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Any possible order of some clients' events, and a nemesis."""
    is_open: dict[int, Op] = {}
    events: list[Op] = []
    for time_ns in range(draw(st.integers(0, 25))):
        process = draw(st.integers(-1, 3))
        key, value = draw(st.sampled_from([None, "x", 7])), draw(values)
        if process < 0:
            op = Op(type="info", f="start", value=value, time_ns=time_ns)
        elif process in is_open:
            begun, type_ = is_open.pop(process), draw(st.sampled_from(["ok", "fail", "info"]))
            op = Op(type=type_, f=begun.f, process=process, key=begun.key, value=value, time_ns=time_ns, error="e")
        else:
            op = is_open[process] = Op(
                type="invoke", f=draw(words), process=process, key=key, value=value, time_ns=time_ns
            )
        events.append(op)
    return History(events)


@pytest.mark.parametrize(
    ("to", "write"),
    [("edn", jepsen_edn.write), ("jsonl", json_lines.write), ("arrow", journal.compact)],
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(histories())
def test_a_history_survives_being_written_and_read(tmp_path: Path, to: str, write: Any, history: History) -> None:
    """In each format; and the columns say the same as the objects."""
    path = tmp_path / f"h.{to}"
    write(history, path)
    found = formats.load(path)
    assert story(found.history) == story(history)
    assert decoded(found.columns) == rows_of(found.history)


def test_the_old_log_is_read_and_its_failures_are_no_values(file: File) -> None:
    path = file(
        "INFO  jepsen.core - Starting\n"
        "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\n"
        "2014-12-11 15:06:21,000 INFO  jepsen.util - 3   :invoke :read   nil\n"
        "INFO  jepsen.util - :nemesis\t:info\t:start\tnil\n"
        "INFO  jepsen.util - 0\t:fail\t:cas\t[1 2]\n"
        "INFO  jepsen.util - 3\t:fail\t:read\t:timed-out\n"
        "INFO  jepsen.util - Waiting for 3 nodes\n"
    )
    found = formats.load(path)
    assert found.format == "jepsen-log"
    assert [(op.process, op.type, op.f, op.value) for op in found.history.operations] == [
        (0, "fail", "cas", (1, 2)),
        (3, "fail", "read", None),
    ]
    assert found.history.operations[1].error == "timed-out"


def test_keyed_values_become_keys_only_when_asked(file: File) -> None:
    path = file(
        "{:process 0, :type :invoke, :f :read, :value [x nil]}\n{:process 0, :type :ok, :f :read, :value [x [3 4]]}\n"
        "{:process 1, :type :invoke, :f :cas, :value [y [1 2]]}\n"
        "{:process :nemesis, :type :info, :f :start, :value :n}\n"
        "{:process 1, :type :info, :f :cas, :value :timeout}\n"
    )
    assert [op.key for op in formats.read(path).operations] == [None, None]
    keyed = formats.read(path, keyed=True)
    assert [(op.key, op.value, op.result) for op in keyed.operations] == [("x", None, (3, 4)), ("y", (1, 2), None)]
    assert decoded(formats.read_columns(path, keyed=True)) == rows_of(keyed)


def test_an_indeterminate_operation_never_ends_in_the_columns(file: File) -> None:
    columns = formats.read_columns(file(PLAIN + "{:process 1, :type :invoke, :f :write, :value 2}"))
    assert columns.type.tolist()[1:] == [INFO_CODE]
    assert columns.end.tolist() == [1, int(NEVER)]


def test_a_symbol_called_null_is_not_nothing(file: File) -> None:
    """Values of many events go through JSON at once, where the symbol would be nothing."""
    found = formats.read(file(PLAIN * 1000 + PLAIN.replace("1}", "[null nil :null]}")))
    assert found.operations[-1].value == ("null", None, "null")


def test_true_and_one_stay_different_inside_a_list(file: File) -> None:
    path = file("".join(PLAIN.replace("1}", f"{value}}}") for value in ("[1]", "[true]", "[1.0]", "[1]")))
    assert [repr(op.value) for op in formats.read(path).operations] == ["(1,)", "(True,)", "(1.0,)", "(1,)"]
    assert len(set(formats.read_columns(path).value.tolist())) == 3


# --- wrong files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        (PLAIN + "{:process 1, :type :invoke, :f }", "3:1", "pairs in this map"),
        (PLAIN + "{:process 1, :type :invoke, :f :read", "3:1", "'}' before the end"),
        ("[" + PLAIN, "3:1", "']' before the end of the file"),
        ("[" + PLAIN + "] {:a 1}", "3:3", "nothing after the end"),
        (PLAIN + "  ]", "3:3", "found ']'"),
        (PLAIN + "   17", "3:4", "a map like"),
        (PLAIN + " {:process 1, :type :begin, :f :read}", "3:2", ":type to be invoke, ok, fail or info, found 'begin'"),
        (
            PLAIN + "{:process one, :type :ok, :f :read}",
            "3:1",
            ":process to be a number from 0, or :nemesis, found 'one'",
        ),
        (PLAIN + "{:type :ok, :f :read}", "3:1", ":process"),
        (PLAIN + "{:process 1, :type :ok}", "3:1", ":f to name an operation, found nothing"),
        (PLAIN + "{:process 1, :type :ok, :f :read, :time 1.5}", "3:1", ":time"),
        (PLAIN + "{:process 1, :type :ok, :f :read, :value [1 2x]}", "3:45", "found '2x'"),
        (PLAIN + "{:process 1, :type :ok, :f :read, :value [1 2)}", "3:46", "']' to close '['"),
        (PLAIN + '{:process 1, :type :ok, :f :read, :value "a}', "3:42", "closing"),
        (PLAIN + "{:process 1, :process 2, :type :ok, :f :read, :x {}}", "3:1", "every key once"),
        ('{"process": 0, "type": "invoke", "f": "read"}\n{"process": 0,', "2:15", "expected an event like"),
        (
            '{"process": 0, "type": "invoke", "f": "read"}\n\n{"process": true, "type": "ok", "f": "read"}',
            "3:1",
            ":process",
        ),
        ("INFO  jepsen.util - 0\t:invoke\t:read\tnil\nINFO  jepsen.util - 0\t:ok\t:re", "2:21", "PROCESS :TYPE"),
        ("INFO  jepsen.util - 0\t:invoke\t:read\t[1", "1:37", "']' before the end"),
        (PLAIN.encode() + b'{:process 1, :type :ok, :f :read, :value "a\xff"}', "3:44", "UTF-8, found byte 0xff"),
        (PLAIN.encode() + b"{:process 1, :type :ok, :f :re\xffad}", "3:31", "UTF-8, found byte 0xff"),
        (b'{"process": 0, "type": "invoke", "f": "r", "value": ["a\xff"]}', "1:56", "UTF-8, found byte 0xff"),
        (b'{"process": 0, "type": "invoke", "f": "r\xe9"}', "1:41", "UTF-8, found byte 0xe9"),
        (b"INFO  jepsen.util - 0\t:invoke\t:r\xe9ad\tnil", "1:21", "UTF-8, found byte 0xe9"),
        (
            '{"process": 0, "type": "ok", "f": "r", "value": ' + "[" * 9999 + "]" * 9999 + "}",
            "1:1",
            "inside each other",
        ),
    ],
    ids=lambda each: str(each)[:40],
)
def test_a_malformed_file_is_named_with_line_and_column(file: File, text: str | bytes, place: str, says: str) -> None:
    path = file(text)
    with pytest.raises(UsageError) as caught:
        formats.load(path)
    assert str(caught.value).startswith(f"{path}:{place}: expected")
    assert says in str(caught.value)


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([(1, "invoke", 5), (1, "invoke", 6)], "process 1 invokes read while its read is still open"),
        ([(2, "invoke", 4), (1, "ok", 5)], "process 1 completes read (ok), which it had not invoked"),
        ([(1, "invoke", 5), (1, "ok", 4)], "time runs backwards for process 1: 4 ns comes after 5 ns"),
    ],
)
def test_events_that_contradict_each_other_are_named_by_their_line(
    file: File, events: list[tuple[int, str, int]], says: str, long: bool
) -> None:
    """Also behind the part of a file that is read event by event."""
    before = PLAIN * (1000 if long else 1)
    lines = [f"{{:process {process}, :type :{type_}, :f :read, :time {time}}}" for process, type_, time in events]
    path = file(before + "\n".join(lines))
    for read in (formats.read, formats.read_columns):
        with pytest.raises(UsageError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}:{before.count(chr(10)) + 2}:1: {says}")


def test_times_that_run_backwards_between_clients_are_noted(file: File) -> None:
    lines = [f"{{:process {process}, :type :invoke, :f :read, :time {9 - process}}}" for process in range(3)]
    found = formats.load(file("\n".join(lines)))
    assert len(found.columns) == 3
    assert "times run 2 times backwards between clients, first at event 2" in found.note


@pytest.mark.parametrize("text", ["", "\n \n", "[]", "()", "; nothing\n"])
def test_an_empty_file_is_an_empty_history(file: File, text: str) -> None:
    found = formats.load(file(text))
    assert (len(found.history), len(found.columns), found.note) == (0, 0, "")


@pytest.mark.parametrize("data", [b"\x7fELF\x01\x02", b"hello world", b"ARROW1 and no more", b"17"])
def test_a_file_of_another_kind_is_refused(file: File, data: bytes) -> None:
    with pytest.raises(UsageError, match=r"no known format|expected"):
        formats.load(file(data))


def test_fields_of_json_that_are_null_say_nothing(file: File) -> None:
    event = '{"process": 0, "type": "%s", "f": "read", "error": null, "region": null, "node": null, "time": null}\n'
    assert {
        (op.error, op.region, op.node, op.time_ns) for op in formats.read(file(event % "invoke" + event % "ok"))
    } == {("", "", "", -1)}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.edn"):
        with pytest.raises(UsageError, match=f"{path}: cannot be read"):
            formats.load(path)


def test_an_arrow_file_of_something_else_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import feather

    feather.write_feather(pa.table({"a": [1]}), str(tmp_path / "x"))
    with pytest.raises(UsageError, match="none called process"):
        formats.load(tmp_path / "x")
