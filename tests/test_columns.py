"""Columns hold the same operations as objects do."""

from __future__ import annotations

from harness.model.columns import FAIL_CODE, INFO_CODE, NEVER, NONE, OK_CODE, Interner, columns_of
from tests.notation import history


def test_columns_tell_what_the_operations_tell() -> None:
    columns = columns_of(history("a:w1 b:r a:ok b:ok1 a:c12 a:fail b:w3 b:info"))
    assert len(columns) == 4
    assert columns.type.tolist() == [OK_CODE, OK_CODE, FAIL_CODE, INFO_CODE]
    assert [columns.fs[f] for f in columns.f] == ["write", "read", "cas", "write"]
    assert [columns.values[value] for value in columns.value] == [1, None, (1, 2), 3]
    assert columns.values[columns.result[1]] == 1
    assert columns.result[2] == NONE
    assert columns.end[3] == NEVER
    assert (columns.start[:3] < columns.end[:3]).all()


def test_values_that_only_python_takes_for_equal_keep_apart() -> None:
    interner = Interner()
    values = [None, 0, False, 0.0, "0", (0,), (False,), [1], {"a": [1]}, {"a": [True]}]
    assert len({interner.number(value) for value in values}) == len(values)
    assert interner.number([1]) == interner.number((1,))
