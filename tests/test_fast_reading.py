"""The fast ways through JSON, stored columns and transactions say what the careful ones say, or leave it to them."""

from __future__ import annotations

import codecs
import gzip
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness import formats
from harness.certify import txn_random
from harness.checkers.transactions import reading as txn_read
from harness.checkers.transactions.reading import micro_ops, micro_ops_of, transactions_of
from harness.errors import UsageError
from harness.formats import arrow, jepsen_edn, json_lines
from harness.formats._scanner import Scanner
from harness.formats._tape import Tape
from harness.kernels.transactions.columns import READ, UNKNOWN, MicroOps
from tests.test_formats import EXAMPLES, PLAIN, documents, mutated, outcome

FUZZ = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
NEVER_MATCHES = re.compile(rb"(?!)")
Patch = pytest.MonkeyPatch

# --- JSON -------------------------------------------------------------------------------------------------

gap = st.sampled_from(["", "", " ", "\t", "  "])
json_words = ["null", "true", "false", '"a b"', '"x"', '""', '"\\n"', '"é"', '"\\u0061"', '"{\\"x"']
json_numbers = ["0", "7", "-3", "-0", "1.5", "1e3", "1E2", "123456789012345678", "1234567890123456789", str(2**63 - 1)]
json_atoms = st.sampled_from(json_words + json_numbers)
json_values = st.recursive(
    json_atoms,
    lambda inner: (
        st.tuples(st.lists(inner, max_size=3), gap, gap).map(
            lambda made: f"[{made[1]}{f'{made[2]},{made[1]}'.join(made[0])}{made[2]}]"
        )
        | st.tuples(inner, inner).map(lambda pair: f'{{"b": {pair[0]}, "a": {pair[1]}}}')
    ),
    max_leaves=8,
)


@st.composite
def json_documents(draw: st.DrawFn) -> str:
    """Events on lines: names in any order, some twice or unknown, values of every kind, spaces anywhere."""
    lines = []
    for _ in range(draw(st.integers(0, 8))):
        fields = [("type", draw(st.sampled_from(['"invoke"', '"ok"', '"fail"', '"info"'])))]
        fields += [("f", draw(st.sampled_from(['"read"', '"write"', '"read-all"', '"r\\u0065ad"'])))]
        fields += [("process", draw(st.sampled_from(["0", "1", "12", '"nemesis"', "-1"])))] * draw(st.booleans())
        fields += [(name, draw(json_values)) for name in ("key", "value", "other", "typed") if draw(st.booleans())]
        fields += [(name, draw(st.sampled_from(['"x"', '""', "null"]))) for name in ("region", "node", "error")][
            draw(st.integers(0, 3)) :
        ]
        fields += [(name, draw(st.sampled_from(["5", "-1", "null"]))) for name in ("time_ns", "time")][
            draw(st.integers(0, 2)) :
        ]
        fields += [draw(st.sampled_from(fields))] * draw(st.sampled_from([0, 0, 0, 1]))
        space = draw(gap)
        inside = f"{space},{draw(gap)}".join(
            f'"{name}"{space}:{draw(gap)}{value}' for name, value in draw(st.permutations(fields))
        )
        lines.append(f"{draw(gap)}{{{space}{inside}{draw(gap)}}}{draw(gap)}\n" + "\n" * draw(st.booleans()))
    text = "".join(lines)
    return text.rstrip("\n") if draw(st.booleans()) else text


def ways_to_read_json(path: Path, monkeypatch: Patch) -> dict[str, Any]:
    """The outcome of each way; the careful one takes line by line and never keeps a value's own text."""
    found = {}
    for way in ("careful", "by lines", "by scan"):
        with monkeypatch.context() as patch:
            if way == "careful":
                patch.setattr(json_lines._Filler, "many", lambda self, text: False)
                patch.setattr(json_lines, "PACKED", NEVER_MATCHES)
            else:
                patch.setattr(json_lines, "CHUNK_BYTES", 64)
            if way == "by scan":
                patch.setattr(json_lines, "LARGE_BYTES", 0)
                patch.setattr(json_lines, "Scanner", partial(Scanner, compiled=False))
            found[way] = outcome(path)
    return found


@FUZZ
@given(json_documents())
@example('{"type":"ok","f":"a","error":"x"}\n' * 2 + '{"type":"ok","f":"a","other":"x"}\n')
@example('{"type":"ok","f":"a","value":1}\n' * 2 + '{"type":"ok","f":"a","value":1,"value":2}\n')
@example('{"type":"ok","f":"a","time":1}\n' * 2 + '{"type":"ok","f":"a","time_ns":2,"time":1}\n')
def test_all_ways_of_reading_json_read_the_same(tmp_path: Path, monkeypatch: Patch, text: str) -> None:
    path = tmp_path / "h.jsonl"
    path.write_text(text)
    found = ways_to_read_json(path, monkeypatch)
    assert found["by lines"] == found["careful"]
    assert found["by scan"] == found["careful"]


@FUZZ
@given(json_documents().filter(bool), st.data())
def test_all_ways_of_reading_json_find_the_same_mistake(
    tmp_path: Path, monkeypatch: Patch, text: str, data: st.DataObject
) -> None:
    path = tmp_path / "h.jsonl"
    path.write_bytes(data.draw(mutated(text.encode())))
    found = ways_to_read_json(path, monkeypatch)
    assert found["by lines"] == found["careful"]
    assert found["by scan"] == found["careful"]


@pytest.mark.slow
@FUZZ
@given(documents(), json_documents())
def test_compiled_scans_read_what_the_plain_ones_read(tmp_path: Path, monkeypatch: Patch, edn: str, lines: str) -> None:
    path = tmp_path / "h"
    for module, text in ((jepsen_edn, edn), (json_lines, lines)):
        path.write_text(text)
        found = []
        for compiled in (False, True):
            with monkeypatch.context() as patch:
                patch.setattr(module, "LARGE_BYTES", 0)
                patch.setattr(module, "Scanner", partial(Scanner, compiled=compiled))
                found.append(outcome(path))
        assert found[0] == found[1]


# --- stored columns -----------------------------------------------------------------------------------------


@FUZZ
@given(st.lists(st.none() | json_values | st.sampled_from(["", "[", "1 2", "nulls", "[1]]"]), max_size=6))
def test_stored_values_are_coded_as_the_careful_reader_codes_them(monkeypatch: Patch, texts: list[str | None]) -> None:
    def read(text: str | None) -> Any:
        return tape.value(0 if text is None else json_lines.code(text.encode(), tape))

    tape = Tape()
    monkeypatch.setattr(arrow, "fast", lambda kernel: kernel)
    try:
        careful = [repr(read(text)) for text in texts if text != ""]
    except json_lines.WRONG_JSON:
        with pytest.raises(json_lines.WRONG_JSON):
            arrow._codes(pa.array(texts, pa.string()), tape)
        return
    codes = arrow._codes(pa.array([text for text in texts if text != ""], pa.string()), tape)
    assert [repr(tape.value(code)) for code in codes.tolist()] == careful


# --- transactions -------------------------------------------------------------------------------------------


def told(ops: MicroOps) -> list[tuple[Any, ...]]:
    """Every micro-operation with what its numbers stand for, however they were given."""
    found = []
    for row in range(len(ops.txn)):
        value, length = int(ops.value[row]), 0 if ops.length is None else int(ops.length[row])
        if ops.kind[row] == READ and value == UNKNOWN:
            said: Any = "unknown"
        elif ops.kind[row] == READ and ops.elements is not None:
            said = [ops.value_name(int(each)) for each in ops.elements[value : value + length]]
        else:
            said = ops.value_name(value)
        found.append((int(ops.txn[row]), int(ops.kind[row]), repr(ops.key_name(int(ops.key[row]))), repr(said)))
    return found


@pytest.mark.parametrize("kind", ["list-append", "rw-register"])
def test_transactions_taken_from_packed_texts_are_those_of_the_objects(
    tmp_path: Path, monkeypatch: Patch, kind: str
) -> None:
    monkeypatch.setattr(txn_read, "LARGE", 0)
    taken = 0
    for seed in range(EXAMPLES):
        history = txn_random.history(Random(seed), kind, transactions=8)
        jepsen_edn.write(history, tmp_path / "h.edn")
        columns = formats.read_columns(tmp_path / "h.edn")
        rows = transactions_of(columns)
        with monkeypatch.context() as patch:
            patch.setattr(txn_read, "micro_ops", lambda *_: None)
            packed = micro_ops_of(columns, rows, kind, compiled=lambda kernel: kernel)
        careful = micro_ops([op for op in history.operations if op.f == "txn"], kind)
        if packed is None:  # something unusual: left to the objects
            continue
        taken += 1
        assert told(packed) == told(careful)
        for name in ("process", "type", "start", "end", "txn", "kind"):
            assert getattr(packed, name).tolist() == getattr(careful, name).tolist()
    assert taken > EXAMPLES // 2


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("list-append", '[[:append "a long key" 2]]'),
        ("list-append", "[[:append 1 nil]]"),
        ("list-append", "[[:append true 2]]"),
        ("list-append", "[[:r 1 [1 nil]]]"),
        ("list-append", "[[:r 1 [[1]]]]"),
        ("list-append", "[[:r 1 2]]"),
        ("list-append", "[[:r 1]]"),
        ("list-append", "[[:r 1 [2] 3]]"),
        ("list-append", "[[:w 1 2]]"),
        ("rw-register", "[[:append 1 2]]"),
        ("rw-register", "[[:w 1 [2]]]"),
        ("rw-register", "[[:w 1 1234567890123456789]]"),
        ("rw-register", "[:w 1 2]"),
        ("rw-register", "7"),
    ],
)
def test_an_unusual_transaction_is_left_to_the_objects(
    tmp_path: Path, monkeypatch: Patch, kind: str, value: str
) -> None:
    monkeypatch.setattr(txn_read, "LARGE", 0)
    path = tmp_path / "h.edn"
    path.write_text(PLAIN.replace("write", "txn").replace("1}", f"{value}}}"))
    columns = formats.read_columns(path)
    rows = transactions_of(columns)
    asked: list[Any] = []
    monkeypatch.setattr(txn_read, "micro_ops", lambda *given: asked.append(given))
    micro_ops_of(columns, rows, kind, compiled=lambda kernel: kernel)
    assert asked


# --- files ----------------------------------------------------------------------------------------------------


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(data)
    return bytes(sink.getvalue())


def marked(data: bytes) -> bytes:
    return codecs.BOM_UTF8 + data


@pytest.mark.parametrize("pack", [gzip.compress, zstd, marked, lambda data: gzip.compress(marked(data))])
def test_a_compressed_or_marked_file_is_what_is_in_it(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "h"
    path.write_bytes(pack(PLAIN.encode() * 3000))
    assert len(formats.read_columns(path)) == 3000


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_a_compressed_file_that_is_cut_off_is_never_judged(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "h"
    whole = pack("".join(f"{{:process {n}, :type :invoke, :f :read, :value nil}}\n" for n in range(9999)).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match=str(path)):
        formats.load(path)


def test_a_mistake_in_a_compressed_file_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "h.gz"
    path.write_bytes(gzip.compress((PLAIN * 500 + "{:process 1, :type :ok, :f :read, :value 2x}").encode()))
    with pytest.raises(UsageError, match=r":1001:42: expected a value, found '2x'"):
        formats.load(path)


def test_text_in_utf_16_is_named(tmp_path: Path) -> None:
    path = tmp_path / "h"
    path.write_bytes(PLAIN.encode("utf-16"))
    with pytest.raises(UsageError, match="UTF-16; write it in UTF-8"):
        formats.load(path)
