"""The kernels of src/column against Python lists and pyarrow, over arrays of every type: nested, sliced, with nulls, empty.

They are called through libcolumn_oracle (tests/column_oracle.c), which is built beside the C tests.
"""

from __future__ import annotations

import ctypes
import datetime
import decimal
import itertools
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

BUILD = os.environ.get("SABOT_BUILD_DIR")
LIBRARY = Path(BUILD or ".") / "libcolumn_oracle.so"
pytestmark = pytest.mark.skipif(
    not LIBRARY.exists(), reason="this build has no libcolumn_oracle: C tests are off"
)

OK, INVALID, TYPE = 0, 2, 3
OFFSETS, UTF8, FULL = 0, 1, 2


class ArrowArray(ctypes.Structure):
    pass


class ArrowSchema(ctypes.Structure):
    pass


ArrowArray._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.c_void_p),
    ("children", ctypes.c_void_p),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(ArrowArray))),
    ("private_data", ctypes.c_void_p),
]
ArrowSchema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.c_void_p),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(ArrowSchema))),
    ("private_data", ctypes.c_void_p),
]


class KernelError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Kernels:
    """The library; every method takes and gives pyarrow arrays."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(str(LIBRARY))
        self.library.sb_oracle_error.restype = ctypes.c_char_p

    def call(self, name: str, *arguments: Any) -> None:
        status = getattr(self.library, "sb_oracle_" + name)(*arguments)
        if status != OK:
            raise KernelError(status, self.library.sb_oracle_error().decode())

    def array(self, name: str, arrays: list[pa.Array], *arguments: Any) -> pa.Array:
        given = (ArrowArray * len(arrays))()
        schema, out, out_schema = ArrowSchema(), ArrowArray(), ArrowSchema()
        size = ctypes.sizeof(ArrowArray)
        for i, array in enumerate(arrays):
            array._export_to_c(ctypes.addressof(given) + i * size)
        arrays[0].type._export_to_c(ctypes.addressof(schema))
        try:
            self.call(
                name,
                given,
                ctypes.byref(schema),
                *arguments,
                ctypes.byref(out),
                ctypes.byref(out_schema),
            )
        finally:
            schema.release(ctypes.byref(schema))
        result = pa.Array._import_from_c(ctypes.addressof(out), ctypes.addressof(out_schema))
        # A cast may make a date64 of part of a day, as pyarrow's does.
        result.validate(full=name != "cast")
        return result

    def round_trip(self, array: pa.Array, level: int = FULL) -> pa.Array:
        return self.array("round_trip", [array], level)

    def mask(self, array: pa.Array, keep: list[bool]) -> pa.Array:
        bits = np.zeros((len(keep) + 63) // 64 * 8 + 8, np.uint8)
        packed = np.packbits(np.array(keep, bool), bitorder="little")
        bits[: len(packed)] = packed
        count = ctypes.c_int64(sum(keep))
        return self.array("mask", [array], ctypes.c_void_p(bits.ctypes.data), count)

    def gather(self, array: pa.Array, rows: list[int]) -> pa.Array:
        given = (ctypes.c_int64 * len(rows))(*rows)
        return self.array("gather", [array], given, ctypes.c_int64(len(rows)))

    def slice(self, array: pa.Array, start: int, length: int) -> pa.Array:
        return self.array("slice", [array], ctypes.c_int64(start), ctypes.c_int64(length))

    def concat(self, arrays: list[pa.Array]) -> pa.Array:
        return self.array("concat", arrays, ctypes.c_int64(len(arrays)))

    def cast(self, array: pa.Array, type_: pa.DataType) -> pa.Array:
        target = ArrowSchema()
        type_._export_to_c(ctypes.addressof(target))
        try:
            return self.array("cast", [array], ctypes.byref(target))
        finally:
            target.release(ctypes.byref(target))

    def equal(self, a: pa.Array, b: pa.Array, mode: int) -> bool:
        given, schema, out = (ArrowArray * 2)(), ArrowSchema(), ctypes.c_bool()
        a._export_to_c(ctypes.addressof(given))
        b._export_to_c(ctypes.addressof(given) + ctypes.sizeof(ArrowArray))
        a.type._export_to_c(ctypes.addressof(schema))
        try:
            self.call("equal", given, ctypes.byref(schema), mode, ctypes.byref(out))
        finally:
            schema.release(ctypes.byref(schema))
        return out.value

    def hashes(self, array: pa.Array) -> list[int]:
        given, schema, out = ArrowArray(), ArrowSchema(), (ctypes.c_uint64 * max(len(array), 1))()
        array._export_to_c(ctypes.addressof(given))
        array.type._export_to_c(ctypes.addressof(schema))
        try:
            self.call("hash", ctypes.byref(given), ctypes.byref(schema), out)
        finally:
            schema.release(ctypes.byref(schema))
        return list(out)[: len(array)]


@pytest.fixture(scope="session")
def kernels() -> Kernels:
    return Kernels()


# --- arrays of every type ----------------------------------------------------------------------------------------------

INTEGERS = {
    **{getattr(pa, f"int{b}")(): st.integers(-(2 ** (b - 1)), 2 ** (b - 1) - 1) for b in (8, 16, 32, 64)},
    **{getattr(pa, f"uint{b}")(): st.integers(0, 2**b - 1) for b in (8, 16, 32, 64)},
}  # fmt: skip
FLOATS = {
    pa.float16(): st.floats(width=16).map(np.float16),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
}
FLOAT_TYPES = {pa.float16(): np.float16, pa.float32(): np.float32, pa.float64(): np.float64}
TEXT = st.text(max_size=20)
BYTES = st.binary(max_size=20)
MOMENTS = st.integers(-(10**15), 10**15)
TIMES = st.integers(0, 86399)
DECIMALS = st.decimals(-99, 99, places=2)
LEAVES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    **INTEGERS,
    **FLOATS,
    pa.bool_(): st.booleans(),
    pa.null(): st.none(),
    pa.string(): TEXT,
    pa.large_string(): TEXT,
    pa.string_view(): TEXT,
    pa.binary(): BYTES,
    pa.large_binary(): BYTES,
    pa.binary_view(): BYTES,
    pa.binary(3): st.binary(min_size=3, max_size=3),
    pa.binary(0): st.just(b""),
    pa.date32(): st.integers(-10000, 10000),
    pa.date64(): st.dates(datetime.date(1900, 1, 1)),
    pa.time32("s"): TIMES,
    pa.time32("ms"): TIMES,
    pa.time64("us"): TIMES,
    pa.time64("ns"): TIMES.map(lambda x: x * 1000),
    pa.timestamp("s"): st.integers(-(10**9), 10**9),
    pa.timestamp("us", "Europe/Berlin"): MOMENTS,
    pa.timestamp("ns"): MOMENTS.map(lambda x: x * 1000),
    pa.duration("ms"): st.integers(-(10**12), 10**12),
    pa.duration("ns"): MOMENTS.map(lambda x: x * 1000),
    pa.month_day_nano_interval(): st.tuples(*[st.integers(-100, 100)] * 3),
    pa.decimal32(4, 2): DECIMALS,
    pa.decimal64(12, 2): DECIMALS,
    pa.decimal128(20, 2): DECIMALS,
    pa.decimal256(50, 2): DECIMALS,
}
# What a dictionary may be made of: pyarrow hands on all of these.
WORDS = [
    pa.string(),
    pa.int64(),
    pa.string_view(),
    pa.large_binary(),
    pa.float64(),
    pa.decimal128(20, 2),
    pa.list_(pa.int8()),
]
RUN_ENDS = [pa.int16(), pa.int32(), pa.int64()]
is_runs = pa.types.is_run_end_encoded


def fields(*types: pa.DataType) -> list[pa.Field]:
    return [pa.field(name, type_) for name, type_ in zip("pq", types, strict=False)]


@st.composite
def types(draw: Any, depth: int) -> pa.DataType:
    """A type of any layout, nested so deep at most."""
    if depth == 0:
        return draw(st.sampled_from(list(LEAVES)))
    one, two = types(depth - 1), st.tuples(types(depth - 1), types(depth - 1))
    choices = [
        st.sampled_from(list(LEAVES)),
        one.map(pa.list_),
        one.map(pa.large_list),
        one.map(pa.list_view),
        one.map(pa.large_list_view),
        st.builds(pa.list_, one, st.integers(0, 3)),
        two.map(lambda both: pa.struct(fields(*both))),
        one.map(lambda item: pa.map_(pa.string(), item)),
        st.builds(pa.dictionary, st.sampled_from(list(INTEGERS)), st.sampled_from(WORDS)),
        # Arrow has no runs of runs.
        st.builds(
            pa.run_end_encoded, st.sampled_from(RUN_ENDS), one.filter(lambda t: not is_runs(t))
        ),
        two.map(lambda both: pa.sparse_union(fields(*both), [5, 2])),
        two.map(lambda both: pa.dense_union(fields(*both), [5, 2])),
    ]
    return draw(choices[draw(st.integers(0, len(choices) - 1))])


def nulls(draw: Any, rows: int) -> pa.Array | None:
    """A mask for pyarrow: true where a row is to be null."""
    if rows == 0 or draw(st.booleans()):
        return None
    return pa.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows)), pa.bool_())


def leaf(draw: Any, type_: pa.DataType, rows: int, some_null: bool = True) -> pa.Array:
    values = LEAVES[type_]
    if some_null and draw(st.booleans()):
        values = st.none() | values
    return pa.array(draw(st.lists(values, min_size=rows, max_size=rows)), type_)


def list_array(draw: Any, type_: Any, rows: int) -> pa.Array:
    sizes = draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows))
    offsets = [0, *np.cumsum(sizes, dtype=int).tolist()]
    mask = nulls(draw, rows)
    total = offsets[-1]
    if pa.types.is_map(type_):
        keys = leaf(draw, pa.string(), total, some_null=False)
        items = array_of(draw, type_.item_type, total)
        return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), keys, items, mask=mask)
    if pa.types.is_fixed_size_list(type_):
        width = type_.list_size
        child = array_of(draw, type_.value_type, rows * width)
        if width == 0:  # from_arrays divides by it
            return pa.Array.from_buffers(type_, rows, [None], children=[child])
        return pa.FixedSizeListArray.from_arrays(child, width, mask=mask)
    child = array_of(draw, type_.value_type, total)
    if pa.types.is_list(type_):
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), child, mask=mask)
    if pa.types.is_large_list(type_):
        return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), child, mask=mask)
    order = draw(st.permutations(range(rows)))
    large = pa.types.is_large_list_view(type_)
    views, width = (pa.LargeListViewArray, pa.int64()) if large else (pa.ListViewArray, pa.int32())
    return views.from_arrays(
        pa.array([offsets[i] for i in order], width),
        pa.array([sizes[i] for i in order], width),
        child,
        mask=mask,
    )


def union_array(draw: Any, type_: Any, rows: int) -> pa.Array:
    which = draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows))
    kinds, codes = [type_.field(i).type for i in (0, 1)], [5, 2]
    ids = pa.array([codes[i] for i in which], pa.int8())
    if type_.mode == "sparse":
        children = [array_of(draw, kind, rows) for kind in kinds]
        return pa.UnionArray.from_sparse(ids, children, ["p", "q"], codes)
    seen = [0, 0]
    offsets = []
    for i in which:
        offsets.append(seen[i])
        seen[i] += 1
    children = [array_of(draw, kind, count) for kind, count in zip(kinds, seen, strict=True)]
    return pa.UnionArray.from_dense(ids, pa.array(offsets, pa.int32()), children, ["p", "q"], codes)


def run_array(draw: Any, type_: Any, rows: int) -> pa.Array:
    ends: list[int] = []
    while (ends[-1] if ends else 0) < rows:
        ends.append((ends[-1] if ends else 0) + draw(st.integers(1, 5)))
    values = array_of(draw, type_.value_type, len(ends))
    made = pa.RunEndEncodedArray.from_arrays(pa.array(ends, type_.run_end_type), values)
    return made.slice(0, rows)


def array_of(draw: Any, type_: Any, rows: int) -> pa.Array:
    if type_ in LEAVES:
        return leaf(draw, type_, rows)
    if pa.types.is_struct(type_):
        children = [array_of(draw, field.type, rows) for field in type_]
        return pa.StructArray.from_arrays(children, ["p", "q"], mask=nulls(draw, rows))
    if pa.types.is_dictionary(type_):
        count = draw(st.integers(1, 4))
        words = array_of(draw, type_.value_type, count)
        index = st.none() | st.integers(0, count - 1)
        indices = draw(st.lists(index, min_size=rows, max_size=rows))
        return pa.DictionaryArray.from_arrays(pa.array(indices, type_.index_type), words)
    if pa.types.is_run_end_encoded(type_):
        return run_array(draw, type_, rows)
    if pa.types.is_union(type_):
        return union_array(draw, type_, rows)
    return list_array(draw, type_, rows)


def slice_of(draw: Any, type_: pa.DataType) -> pa.Array:
    array = array_of(draw, type_, draw(st.integers(0, 30)))
    start = draw(st.integers(0, len(array)))
    return array.slice(start, draw(st.integers(0, len(array) - start)))


@st.composite
def slices(draw: Any) -> pa.Array:
    return slice_of(draw, draw(types(2)))


def rows_of(array: pa.Array) -> list[str]:
    """The rows as texts, in which -0.0 is not 0.0 and nan is nan."""
    return [repr(value) for value in array.to_pylist()]


NULL = repr(None)


MANY = settings(max_examples=250, deadline=None)


@MANY
@given(array=slices())
def test_arrays_pass_both_ways(kernels: Kernels, array: pa.Array) -> None:
    got = kernels.round_trip(array)
    assert got.type == array.type
    assert rows_of(got) == rows_of(array)


@MANY
@given(data=st.data(), array=slices())
def test_slices(kernels: Kernels, data: Any, array: pa.Array) -> None:
    start = data.draw(st.integers(0, len(array)))
    length = data.draw(st.integers(0, len(array) - start))
    got = kernels.slice(array, start, length)
    assert rows_of(got) == rows_of(array)[start : start + length]


@MANY
@given(data=st.data(), array=slices())
def test_filter_by_mask(kernels: Kernels, data: Any, array: pa.Array) -> None:
    keep = data.draw(st.lists(st.booleans(), min_size=len(array), max_size=len(array)))
    got = kernels.mask(array, keep)
    assert got.type == array.type
    assert rows_of(got) == [row for row, kept in zip(rows_of(array), keep, strict=True) if kept]


@MANY
@given(data=st.data(), array=slices())
def test_take_by_index(kernels: Kernels, data: Any, array: pa.Array) -> None:
    index = st.integers(-1, len(array) - 1)
    rows = data.draw(st.lists(index, max_size=40))
    got = kernels.gather(array, rows)
    values = rows_of(array)
    assert got.type == array.type
    assert rows_of(got) == [NULL if row < 0 else values[row] for row in rows]


@pytest.mark.parametrize(
    "type_", [pa.list_(pa.int64()), pa.large_list(pa.string()), pa.list_(pa.float32(), 40)]
)
@pytest.mark.parametrize("missing", [False, True])
def test_take_of_long_lists(kernels: Kernels, type_: Any, missing: bool) -> None:
    fixed = pa.types.is_fixed_size_list(type_)
    word = str if pa.types.is_string(type_.value_type) else int
    lists = [[word(i + k) for k in range(40 if fixed else 10 + i % 60)] for i in range(50)]
    array = pa.array(lists, type_).slice(3, 40)
    rows = [39, 0, 0, 17, *range(5, 30), 2]
    rows = [-1, *rows, -1] if missing else rows
    wanted = array.take(pa.array([None if row < 0 else row for row in rows], pa.int64()))
    assert kernels.gather(array, rows).to_pylist() == wanted.to_pylist()


@MANY
@given(data=st.data(), type_=types(2))
def test_concatenation(kernels: Kernels, data: Any, type_: pa.DataType) -> None:
    """Of slices of one array, which share what they can, and of arrays that share nothing but the type."""
    made = [slice_of(data.draw, type_) for _ in range(data.draw(st.integers(1, 3)))]
    parts = []
    for array in data.draw(st.lists(st.sampled_from(made), min_size=1, max_size=6)):
        start = data.draw(st.integers(0, len(array)))
        parts.append(array.slice(start, data.draw(st.integers(0, len(array) - start))))
    got = kernels.concat(parts)
    assert got.type == type_
    assert rows_of(got) == [row for part in parts for row in rows_of(part)]


@MANY
@given(data=st.data(), type_=types(1))
def test_one_kernel_after_the_other(kernels: Kernels, data: Any, type_: pa.DataType) -> None:
    array = slice_of(data.draw, type_)
    rows = rows_of(array)
    for step in data.draw(st.lists(st.sampled_from("smgcr"), min_size=2, max_size=5)):
        count = len(rows)
        if step == "s":
            start = data.draw(st.integers(0, count))
            length = data.draw(st.integers(0, count - start))
            array, rows = kernels.slice(array, start, length), rows[start : start + length]
        elif step == "m":
            keep = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
            array = kernels.mask(array, keep)
            rows = [row for row, kept in zip(rows, keep, strict=True) if kept]
        elif step == "g":
            chosen = data.draw(st.lists(st.integers(-1, count - 1), max_size=20))
            array = kernels.gather(array, chosen)
            rows = [NULL if i < 0 else rows[i] for i in chosen]
        elif step == "c":
            other = slice_of(data.draw, type_)
            array, rows = kernels.concat([other, array, array]), rows_of(other) + rows + rows
        else:
            array = kernels.round_trip(array)
        assert rows_of(array) == rows


def test_dictionaries_are_united(kernels: Kernels) -> None:
    first = pa.array(["a", "b", None, "a"]).dictionary_encode()
    second = pa.array(["c", "b", "c"]).dictionary_encode()
    got = kernels.concat([first, second, first])
    assert got.to_pylist() == first.to_pylist() + second.to_pylist() + first.to_pylist()
    assert got.dictionary.to_pylist() == ["a", "b", "c"]
    last = pa.array([99], pa.int8())
    words = pa.DictionaryArray.from_arrays(last, pa.array([f"a{i}" for i in range(100)]))
    others = pa.DictionaryArray.from_arrays(last, pa.array([f"b{i}" for i in range(100)]))
    with pytest.raises(KernelError, match="more dictionary entries"):
        kernels.concat([words, others])


KEY, IEEE = 0, 1


def has_union(type_: Any) -> bool:
    inner = [type_.field(i).type for i in range(type_.num_fields)]
    if pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_):
        inner.append(type_.value_type)
    return pa.types.is_union(type_) or any(map(has_union, inner))


def key_of(row: str) -> str:
    """A row as keys see it: 0.0 has no sign."""
    return re.sub(r"-0\.0(?![\de])", "0.0", row)


@MANY
@given(data=st.data(), type_=types(2))
def test_equality_and_hashes(kernels: Kernels, data: Any, type_: pa.DataType) -> None:
    array = slice_of(data.draw, type_)
    index = st.lists(st.integers(-1, len(array) - 1), max_size=5)
    first, second = (kernels.gather(array, data.draw(index)) for _ in range(2))
    keys = [[key_of(row) for row in rows_of(one)] for one in (first, second)]
    same = kernels.equal(first, second, KEY)
    # What prints alike may differ in a union's id.
    assert same == (keys[0] == keys[1]) or (has_union(type_) and not same)
    strict = keys[0] == keys[1] and not any("nan" in key for key in keys[0])
    if "str" not in str(type_):  # a text may say nan
        ieee = kernels.equal(first, second, IEEE)
        assert ieee == strict or (has_union(type_) and not ieee)
    hashes = [kernels.hashes(one) for one in (first, second)]
    for i, j in itertools.product(range(len(first)), range(len(second))):
        if kernels.equal(first.slice(i, 1), second.slice(j, 1), KEY):
            assert hashes[0][i] == hashes[1][j]
            assert keys[0][i] == keys[1][j]


@MANY
@given(data=st.data(), type_=types(0))
def test_equality_is_that_of_pyarrow(kernels: Kernels, data: Any, type_: pa.DataType) -> None:
    first, second = slice_of(data.draw, type_), slice_of(data.draw, type_)
    for one, other in [(first, second), (first, first), (first, kernels.round_trip(first))]:
        assert kernels.equal(one, other, IEEE) == one.equals(other)


@pytest.mark.parametrize("type_", [pa.float16(), pa.float32(), pa.float64()], ids=str)
def test_float_keys(kernels: Kernels, type_: pa.DataType) -> None:
    array = pa.array(np.array([0.0, -0.0, math.nan, -math.nan, 1.0], FLOAT_TYPES[type_]))
    hashes = kernels.hashes(array)
    assert hashes[0] == hashes[1] and hashes[2] == hashes[3]
    assert kernels.equal(array, array, 0) and not kernels.equal(array, array, 1)
    assert kernels.equal(array.slice(0, 1), array.slice(1, 1), 1)


@MANY
@given(array=slices())
def test_hashes_spread(kernels: Kernels, array: pa.Array) -> None:
    hashes = kernels.hashes(array)
    if kernels.hashes(pa.array([b"a"])) == [0]:
        return  # a build whose every hash is 0, so that tables see nothing but collisions
    # Different rows may collide, but not in a handful; what prints alike may still differ in a union's id, never the other way round.
    assert len(set(hashes)) >= len({key_of(row) for row in rows_of(array)})


def test_malformed_text_is_refused(kernels: Kernels) -> None:
    bad = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.array([0, 2], pa.int32()).buffers()[1], pa.py_buffer(b"\xff\xfe")]
    )
    with pytest.raises(KernelError, match="not UTF-8"):
        kernels.round_trip(bad, UTF8)


# --- casts ---------------------------------------------------------------------------------------------------------------

POWERS = (7, 8, 11, 15, 16, 24, 31, 32, 53, 63, 64)
NEAR = [2**power + step for power in POWERS for step in range(-2, 3)]
EDGES = sorted({*NEAR, *(-value for value in NEAR), *range(-3, 4)})
HALVES = [6e-8, 2.9e-8, 2.99e-8, 3e-8, 1 + 2**-11, 1 + 2**-11 + 2**-30, 65504.0, 65519.99, 65520.0]
SPECIAL = [0.0, -0.0, 0.5, -0.5, 1.5, *HALVES, 1e300, 1e-300, math.inf, -math.inf, math.nan]
NUMBERS = [pa.bool_(), *INTEGERS, *FLOATS]
UNITS = ("s", "ms", "us", "ns")
TEMPORAL = [
    pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"),
    *[pa.timestamp(u) for u in UNITS], pa.timestamp("us", "UTC"), *[pa.duration(u) for u in UNITS],
]  # fmt: skip
PRIMITIVES = [*NUMBERS, *TEMPORAL, pa.null()]
DAY = 86400


def storage(type_: pa.DataType) -> pa.DataType:
    return pa.int32() if type_.bit_width == 32 else pa.int64()


def samples(type_: pa.DataType) -> list[Any]:
    """Values of a type on both sides of every border."""
    if type_ == pa.null():
        return [None]
    if type_ == pa.bool_():
        return [True, False, None]
    if pa.types.is_integer(type_):
        signed = not str(type_).startswith("u")
        low, high = (-(2**63) if signed else 0), 2 ** (type_.bit_width - signed) - 1
        low >>= 64 - type_.bit_width
        return [value for value in EDGES if low <= value <= high] + [None]
    if pa.types.is_floating(type_):
        exact = [float(value) for value in EDGES] + SPECIAL
        with np.errstate(over="ignore"):
            return [FLOAT_TYPES[type_](value) for value in exact] + [None]
    scale = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}.get(getattr(type_, "unit", "ms"), 1000)
    if type_ == pa.date32():
        return [0, -1, 1, 20000, 2**31 - 1, -(2**31), None]
    if pa.types.is_time(type_):
        return [0, 1, scale, scale + 1, DAY * scale - 1, DAY * scale // 2, None]
    if type_ == pa.date64():
        return [day * DAY * 1000 for day in (0, -1, 1, 20000, 10**6)] + [
            2**62 // (DAY * 1000) * DAY * 1000,
            None,
        ]
    whole = [
        0,
        -1,
        1,
        999,
        1000,
        -1000,
        scale,
        -scale,
        DAY * scale,
        DAY * scale - 1,
        -DAY * scale,
        -DAY * scale - 1,
        10**9 * scale,
    ]
    return (
        [value for value in whole if abs(value) < 2**62]
        + ([] if pa.types.is_timestamp(type_) else [2**62])
        + [None]
    )


def of_samples(type_: pa.DataType, values: list[Any]) -> pa.Array:
    if type_ in TEMPORAL:
        return pa.array(values, storage(type_)).view(type_)
    return pa.array(values, type_)


def bits(array: pa.Array) -> list[Any]:
    if array.type in TEMPORAL:
        array = array.view(storage(array.type))
    return [repr(None if value is None else value) for value in array.to_pylist()]


def outcome(cast: Any, array: pa.Array, target: pa.DataType) -> Any:
    try:
        return bits(cast(array, target))
    except pa.ArrowNotImplementedError:
        return "no such cast"
    except pa.ArrowInvalid:
        return "does not fit"
    except KernelError as error:
        return {TYPE: "no such cast", INVALID: "does not fit"}[error.status]


@pytest.mark.parametrize("source", PRIMITIVES, ids=str)
def test_casts_do_what_pyarrow_does(kernels: Kernels, source: pa.DataType) -> None:
    differ = []
    for target in PRIMITIVES:
        values = samples(source)
        for each in [[value] for value in values] + [[], [None, *values[:1], None]]:
            array = of_samples(source, each)
            want = outcome(lambda a, t: a.cast(t), array, target)
            got = outcome(kernels.cast, array, target)
            if want != got:
                differ.append((str(target), each, want, got))
    assert differ == []


@MANY
@given(data=st.data(), source=st.sampled_from(PRIMITIVES), target=st.sampled_from(PRIMITIVES))
def test_casts_of_many_rows(
    kernels: Kernels, data: Any, source: pa.DataType, target: pa.DataType
) -> None:
    near = [value for value in samples(source) if value is None or abs(float(value)) < 100]
    good = data.draw(st.sampled_from([near, samples(source)]))
    values = data.draw(st.lists(st.sampled_from(good), max_size=50)) * data.draw(st.integers(1, 60))
    array = of_samples(source, values)
    array = array.slice(data.draw(st.integers(0, len(array))))
    assert outcome(kernels.cast, array, target) == outcome(lambda a, t: a.cast(t), array, target)


@MANY
@given(array=slices(), target=types(1))
def test_there_are_no_casts_of_other_types(
    kernels: Kernels, array: pa.Array, target: pa.DataType
) -> None:
    if array.type in PRIMITIVES and target in PRIMITIVES:
        return
    if array.type == target:
        assert rows_of(kernels.cast(array, target)) == rows_of(array)
        return
    with pytest.raises(KernelError) as error:
        kernels.cast(array, target)
    assert error.value.status == TYPE


def test_a_decimal_of_too_many_digits(kernels: Kernels) -> None:
    fine = pa.array([decimal.Decimal("9.99")], pa.decimal128(3, 2))
    assert kernels.round_trip(fine).to_pylist() == fine.to_pylist()
    bad = pa.array([decimal.Decimal("10.00")], pa.decimal128(4, 2)).buffers()
    with pytest.raises(KernelError, match="too many digits"):
        kernels.round_trip(pa.Array.from_buffers(pa.decimal128(3, 2), 1, bad))
