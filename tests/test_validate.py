"""Bad arrays of every kind: refused with an error that names the column and what is wrong with it, and never read past their ends.

Where values lie is checked before a kernel reads them; text and values are believed, unless `sb.config(validate="full")` asks for
everything at once. What can be seen at once (missing buffers, wrong lengths) pyarrow does not make; a stranger's array, patched here,
may have it. The C tests of src/column look at all of this under the address sanitizer.
"""

from __future__ import annotations

import ctypes
import decimal
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

import sabot as sb
from sabot import Stream

pytestmark = pytest.mark.api

# When a bad array is refused.
READ, FULL = "before it is read", "only in full"


class Bad(NamedTuple):
    name: str
    make: Callable[[], pa.Array]
    when: str
    message: str


def i8(*values: int) -> pa.Buffer:
    return pa.py_buffer(np.array(values, np.int8))


def i32(*values: int) -> pa.Buffer:
    return pa.py_buffer(np.array(values, np.int32))


def i64(*values: int) -> pa.Buffer:
    return pa.py_buffer(np.array(values, np.int64))


def text(*offsets: int, data: bytes | None = b"abcd", type_: Any = pa.string()) -> pa.Array:
    width = i64 if pa.types.is_large_string(type_) or pa.types.is_large_binary(type_) else i32
    return pa.Array.from_buffers(type_, 3, [None, width(*offsets), data and pa.py_buffer(data)])


def lists(type_: Any, *buffers: pa.Buffer | None, children: int = 4) -> pa.Array:
    child = pa.array(range(children), pa.int64())
    return pa.Array.from_buffers(type_(pa.int64()), 3, [None, *buffers], children=[child])


def views(*, size: int = 13, index: int = 0, offset: int = 0, data: bytes = b"a" * 16) -> pa.Array:
    view = i32(1, 97, 0, 0, 1, 97, 0, 0, size, int.from_bytes(b"aaaa"), index, offset)
    return pa.Array.from_buffers(pa.string_view(), 3, [None, view, pa.py_buffer(data)])


def indices(*values: int) -> pa.Array:
    words = pa.array(["a", "b"])
    return pa.DictionaryArray.from_arrays(pa.array(values, pa.int32()), words, safe=False)


def runs(*ends: int) -> pa.Array:
    type_ = pa.run_end_encoded(pa.int32(), pa.int64())
    children = [pa.array(ends, pa.int32()), pa.array(range(len(ends)))]
    return pa.Array.from_buffers(type_, 3, [None], children=children)


def union(mode: str, ids: tuple[int, ...], offsets: tuple[int, ...] = (0, 1, 0)) -> pa.Array:
    fields = [pa.field("p", pa.int64()), pa.field("q", pa.int64())]
    type_ = pa.union(fields, mode, [5, 2])
    rest = [i32(*offsets)] if mode == "dense" else []
    children = [pa.array([1, 2, 3]), pa.array([4, 5, 6])]
    return pa.Array.from_buffers(type_, 3, [None, i8(*ids), *rest], children=children)


def numbers(type_: Any, *values: int) -> pa.Array:
    width = i32 if type_.bit_width == 32 else i64
    return pa.Array.from_buffers(type_, 3, [None, width(*values)])


def wide(good: Any, narrow: Any) -> pa.Array:
    """Decimals under a type that has no room for them."""
    made = pa.array([decimal.Decimal("1000.0")] * 3, good)
    return pa.Array.from_buffers(narrow, 3, made.buffers())


def inside(array: pa.Array) -> pa.Array:
    """A list, in a struct, of what is bad."""
    listed = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), array)
    return pa.StructArray.from_arrays([pa.array([1, 2, 3]), listed], ["p", "q"])


ASCEND = "do not ascend"
OUTSIDE = "outside of its child"
CASES = [
    Bad("text with offsets that descend", lambda: text(0, 3, 2, 4), READ, ASCEND),
    Bad("text with an offset behind the end", lambda: text(0, 1 << 30, 2, 4), READ, "behind the end|do not ascend"),
    Bad("large text with offsets that descend", lambda: text(0, 3, 2, 4, type_=pa.large_string()), READ, ASCEND),
    Bad("large binary behind the end", lambda: text(0, 1 << 60, 2, 4, type_=pa.large_binary()), READ, "behind the end|do not ascend"),
    Bad("text that is not UTF-8", lambda: text(0, 1, 2, 4, data=b"ab\xff\xfe"), FULL, "not UTF-8"),
    Bad("half of a character", lambda: text(0, 1, 2, 3, data="aé".encode() + b"b"), FULL, "not UTF-8"),
    Bad("large text that is not UTF-8", lambda: text(0, 1, 2, 4, data=b"ab\xc0\x80", type_=pa.large_string()), FULL, "not UTF-8"),
    Bad("lists that descend", lambda: lists(pa.list_, i32(0, 3, 2, 4)), READ, ASCEND),
    Bad("large lists that descend", lambda: lists(pa.large_list, i64(0, 3, 2, 4)), READ, ASCEND),
    Bad("a list view behind its child", lambda: lists(pa.list_view, i32(0, 3, 1), i32(1, 2, 1)), READ, OUTSIDE),
    Bad("a list view before its child", lambda: lists(pa.list_view, i32(0, -1, 1), i32(1, 1, 1)), READ, OUTSIDE),
    Bad("a list view of less than nothing", lambda: lists(pa.large_list_view, i64(0, 1, 1), i64(1, -1, 1)), READ, OUTSIDE),
    Bad("an index behind the dictionary", lambda: indices(0, 2, 1), FULL, "outside of the dictionary"),
    Bad("an index before the dictionary", lambda: indices(0, -1, 1), FULL, "outside of the dictionary"),
    Bad("runs that descend", lambda: runs(2, 1, 3), READ, "run ends do not ascend"),
    Bad("a run that ends at 0", lambda: runs(0, 3), READ, "run ends do not ascend"),
    Bad("a type id that there is none of", lambda: union("sparse", (5, 3, 2)), READ, "type id"),
    Bad("a type id below 0", lambda: union("dense", (5, -2, 2)), READ, "type id"),
    Bad("a union's offset behind its child", lambda: union("dense", (5, 5, 2), (0, 3, 0)), READ, OUTSIDE),
    Bad("a union's offset before its child", lambda: union("dense", (5, 5, 2), (0, -1, 0)), READ, OUTSIDE),
    Bad("a union's offsets that descend", lambda: union("dense", (5, 5, 2), (1, 0, 0)), FULL, "into a child do not ascend"),
    Bad("a view behind its data", lambda: views(offset=4), READ, "outside of its data"),
    Bad("a view before its data", lambda: views(offset=-1), READ, "outside of its data"),
    Bad("a view of no such data", lambda: views(index=1), READ, "outside of its data"),
    Bad("a view of a size below 0", lambda: views(size=-1), READ, "outside of its data"),
    Bad("a view that is not UTF-8", lambda: views(data=b"a" * 10 + b"\xff" * 6), FULL, "not UTF-8"),
    Bad("a decimal of 32 bits that is too long", lambda: wide(pa.decimal32(5, 1), pa.decimal32(4, 1)), FULL, "too many digits"),
    Bad("a decimal of 64 bits that is too long", lambda: wide(pa.decimal64(5, 1), pa.decimal64(4, 1)), FULL, "too many digits"),
    Bad("a decimal that is too long", lambda: wide(pa.decimal128(5, 1), pa.decimal128(4, 1)), FULL, "too many digits"),
    Bad("a decimal of 256 bits that is too long", lambda: wide(pa.decimal256(5, 1), pa.decimal256(4, 1)), FULL, "too many digits"),
    Bad("a time after midnight", lambda: numbers(pa.time32("s"), 0, 86400, 1), FULL, "outside of the day"),
    Bad("a time before midnight", lambda: numbers(pa.time64("ns"), 0, -1, 1), FULL, "outside of the day"),
    Bad("a date with hours", lambda: numbers(pa.date64(), 0, 86400000, 1), FULL, "no whole day"),
    Bad("deep inside, text that is not UTF-8", lambda: inside(text(0, 1, 2, 4, data=b"ab\xff\xfe")), FULL, "not UTF-8"),
    Bad("deep inside, lists that descend", lambda: inside(lists(pa.list_, i32(0, 3, 2, 4))), READ, ASCEND),
]  # fmt: skip
each = pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)


def batch_of(array: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([0, 1, 2]), array], ["n", "x"])


def some(stream: Stream) -> Stream:
    """Takes some rows out, for which the engine reads all columns."""
    return stream.filter(lambda n: n != 1)


@each
def test_everything_is_checked_in_full(bad):
    batch = batch_of(bad.make())
    with sb.config(validate="full"):
        for stream in (
            some(Stream.from_batches([batch])),
            Stream.from_batches([batch]).select("x"),
            Stream.from_batches([batch]).with_columns(y=lambda n: n),
            Stream.from_batches([batch]),
        ):
            with pytest.raises(sb.DataError, match=bad.message) as caught:
                stream.collect()
            assert '"x"' in str(caught.value) or bad.name.startswith("deep")


@each
def test_what_is_read_is_checked_before(bad):
    stream = some(Stream.from_batches([batch_of(bad.make())]))
    if bad.when == FULL:
        assert stream.collect().num_rows == 2
        return
    with pytest.raises(sb.DataError, match=bad.message):
        stream.collect()


@each
def test_good_rows_beside_bad_ones(bad):
    """A run after a refused array is as good as any."""
    good = batch_of(pa.array([7, 8, 9]))
    with sb.config(validate="full"):
        with pytest.raises(sb.DataError):
            some(Stream.from_batches([batch_of(bad.make())])).collect()
        assert some(Stream.from_batches([good, good])).count() == 4


def test_the_setting():
    assert sb.config()["validate"] == "auto"
    with sb.config(validate="full") as settings:
        assert settings["validate"] == "full"
    with pytest.raises(sb.PlanError, match="validate='all': it is one of 'auto', 'full'"):
        sb.config(validate="all")


def test_the_environment(monkeypatch):
    stream = some(Stream.from_batches([batch_of(text(0, 1, 2, 4, data=b"ab\xff\xfe"))]))
    assert stream.count() == 2
    monkeypatch.setenv("SABOT_VALIDATE", "full")
    assert sb.config().source("validate") == "environment SABOT_VALIDATE"
    with pytest.raises(sb.DataError, match="not UTF-8"):
        stream.count()


def test_good_arrays_of_many_types_are_not_refused():
    table = pa.table(
        {
            "n": [0, 1, 2],
            "text": ["a", None, "ä€😀"],
            "view": pa.array(["a", "b" * 20, None], pa.string_view()),
            "list": [[1], None, []],
            "map": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
            "word": pa.array(["a", "b", "a"]).dictionary_encode(),
            "time": pa.array([0, 86399, None], pa.time32("s")),
            "money": pa.array(
                [decimal.Decimal("9.99"), None, decimal.Decimal("-9.99")], pa.decimal128(3, 2)
            ),
        }
    )
    for offset in range(3):
        with sb.config(validate="full"):
            got = some(Stream.from_table(table.slice(offset))).collect()
        rows = [row for row in table.slice(offset).to_pylist() if row["n"] != 1]
        assert got.to_pylist() == rows


# --- what a stranger gives -----------------------------------------------------------------------------------------------


class ArrowArray(ctypes.Structure):
    pass


ArrowArray._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(ArrowArray))),
    ("dictionary", ctypes.POINTER(ArrowArray)),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]


def pointer_of(capsule: object, name: bytes) -> int:
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return get(capsule, name)


class Stranger:
    """A batch whose second column was patched after pyarrow gave it away."""

    def __init__(self, array: pa.Array, patch: Callable[[Any], object]) -> None:
        self.batch = batch_of(array)
        self.patch = patch

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        schema, array = self.batch.__arrow_c_array__()
        whole = ArrowArray.from_address(pointer_of(array, b"arrow_array"))
        self.patch(whole.children[1].contents)
        return schema, array


def unbuffered(number: int) -> Callable[[Any], object]:
    return lambda array: array.buffers.__setitem__(number, None)


def field(name: str, value: int) -> Callable[[Any], object]:
    return lambda array: setattr(array, name, value)


WORDS = pa.array(["a", "b", "c"])
PATCHES: dict[str, tuple[pa.Array, Callable[[Any], object]]] = {
    "text without offsets": (WORDS, unbuffered(1)),
    "text without data": (WORDS, unbuffered(2)),
    "numbers without values": (pa.array([1, 2, 3]), unbuffered(1)),
    "truth without values": (pa.array([True, False, True]), unbuffered(1)),
    "nulls without a bitmap": (pa.array([1, None, 3]), unbuffered(0)),
    "too few buffers": (WORDS, field("n_buffers", 2)),
    "no buffers": (pa.array([1, 2, 3]), field("n_buffers", 0)),
    "a length below 0": (pa.array([1, 2, 3]), field("length", -1)),
    "an offset below 0": (pa.array([1, 2, 3]), field("offset", -1)),
    "a column that is too short": (pa.array([1, 2, 3]), field("length", 2)),
    "no children": (pa.array([[1], [2], [3]]), field("n_children", 0)),
    "more nulls than rows": (pa.array([1, None, 3]), field("null_count", 4)),
}


@pytest.mark.parametrize("name", PATCHES)
def test_what_a_stranger_gives_is_refused(name):
    stream = some(Stream.from_arrow(Stranger(*PATCHES[name])))
    with pytest.raises(sb.DataError):
        stream.collect()
