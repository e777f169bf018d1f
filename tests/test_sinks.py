"""Files and folders as sinks: what comes back is what was written, and nothing half-written is ever seen."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import gzip
import io
import itertools
import json
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.json
import pyarrow.parquet as pq
import pytest
from support import printed

import sabot as sb
from sabot import _folders, _place
from sabot._place import TargetExistsError
from sabot._sinks import write_csv, write_ipc, write_json, write_parquet

pytestmark = pytest.mark.api

WRITES = {
    "parquet": (write_parquet, ".parquet"),
    "csv": (write_csv, ".csv"),
    "json": (write_json, ".jsonl"),
    "ipc": (write_ipc, ".arrow"),
}
TABLE = pa.table({"a": [1, 2, None, 4], "s": ["x", None, "", 'é,"q"\n']})


def read(path, schema=None):
    """A file, or the files of a folder, as a table."""
    path = Path(path)
    if path.is_dir():
        files = sorted(f for f in path.rglob("*") if f.is_file())
        return pa.concat_tables([read(file, schema) for file in files])
    if path.suffix == ".parquet":
        return pq.ParquetFile(path).read()
    if path.suffix == ".arrow":
        return pa.ipc.open_file(path.read_bytes()).read_all()
    if path.suffix == ".arrows":
        return pa.ipc.open_stream(path.read_bytes()).read_all()
    if ".csv" in path.suffixes:
        types = {f.name: f.type for f in schema} if schema else {}
        return pyarrow.csv.read_csv(
            path,
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False
            ),
        )
    return pyarrow.json.read_json(path)


def names(folder):
    """Everything below a folder, hidden or not."""
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*"))


def contents(folder):
    """The bytes of every file below a folder."""
    return [p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()]


class Source:
    """Batches with an iterator that counts how often it is closed, and may fail after some."""

    def __init__(self, batches, fails_after=None):
        self.batches, self.fails_after, self.closed, self.given = list(batches), fails_after, 0, 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.given == self.fails_after:
            raise KeyError("the source broke")
        if self.given == len(self.batches):
            raise StopIteration
        self.given += 1
        return self.batches[self.given - 1]

    def close(self):
        self.closed += 1


# --- every type

D = decimal.Decimal
DAY, NOON = dt.date(2024, 2, 29), dt.time(12, 30, 15)
MOMENT = dt.datetime(2024, 2, 29, 12, 30, 15)
VALUES = [
    (pa.null(), [None, None, None]),
    (pa.bool_(), [True, None, False]),
    (pa.int8(), [-128, None, 127]),
    (pa.int16(), [-(2**15), None, 7]),
    (pa.int32(), [-(2**31), None, 7]),
    (pa.int64(), [-(2**63), None, 2**63 - 1]),
    (pa.uint8(), [0, None, 255]),
    (pa.uint16(), [0, None, 2**16 - 1]),
    (pa.uint32(), [0, None, 2**32 - 1]),
    (pa.uint64(), [0, None, 2**64 - 1]),
    (pa.float16(), [0.5, None, -2.0]),
    (pa.float32(), [0.1, None, -1e30]),
    (pa.float64(), [0.1, None, -1e300]),
    (pa.string(), ["", None, "é\n\"',"]),
    (pa.large_string(), ["", None, "é"]),
    (pa.string_view(), ["", None, "a string longer than twelve bytes"]),
    (pa.binary(), [b"", None, b"a\x00\xff"]),
    (pa.large_binary(), [b"", None, b"a\xff"]),
    (pa.binary_view(), [b"", None, b"a\xff" * 10]),
    (pa.binary(3), [b"abc", None, b"\xff,\n"]),
    (pa.date32(), [DAY, None, dt.date(1, 1, 1)]),
    (pa.date64(), [DAY, None, DAY]),
    (pa.time32("s"), [NOON, None, NOON]),
    (pa.time32("ms"), [NOON, None, NOON]),
    (pa.time64("us"), [NOON, None, NOON]),
    (pa.time64("ns"), [NOON, None, NOON]),
    (pa.timestamp("s"), [MOMENT, None, MOMENT]),
    (pa.timestamp("ms"), [MOMENT, None, MOMENT]),
    (pa.timestamp("us"), [MOMENT, None, MOMENT]),
    (pa.timestamp("ns"), [MOMENT, None, MOMENT]),
    (pa.timestamp("us", "UTC"), [MOMENT, None, MOMENT]),
    (pa.timestamp("ms", "Europe/Paris"), [MOMENT, None, MOMENT]),
    (pa.duration("s"), [dt.timedelta(seconds=5), None, dt.timedelta(days=-1)]),
    (pa.duration("us"), [dt.timedelta(seconds=5), None, dt.timedelta(days=-1)]),
    (pa.month_day_nano_interval(), [(1, 2, 3), None, (-1, 0, 5)]),
    (pa.decimal32(5, 2), [D("1.25"), None, D("-999.99")]),
    (pa.decimal64(10, 2), [D("1.25"), None, D("-999.99")]),
    (pa.decimal128(38, 3), [D("1.250"), None, D("-12345678901234567890.125")]),
    (pa.decimal256(60, 3), [D("1.250"), None, D("-0.001")]),
    (pa.list_(pa.int64()), [[1, None], None, []]),
    (pa.large_list(pa.string()), [["a"], None, []]),
    (pa.list_view(pa.int64()), [[1, 2], None, []]),
    (pa.large_list_view(pa.int64()), [[1, 2], None, []]),
    (pa.list_(pa.int32(), 2), [[1, 2], [None, 4], [5, 6]]),
    (pa.struct([("a", pa.int64()), ("b", pa.date32())]), [{"a": 1, "b": DAY}, None, {"a": None}]),
    (pa.map_(pa.string(), pa.int64()), [[("k", 1)], None, []]),
    (pa.dictionary(pa.int8(), pa.string()), ["x", None, "y"]),
    (pa.dictionary(pa.int32(), pa.int64()), [5, None, 6]),
    (pa.run_end_encoded(pa.int32(), pa.string()), ["x", "x", None]),
    (pa.uuid(), [b"0123456789abcdef", None, b"0" * 16]),
    (pa.bool8(), [1, None, 0]),
]


def column(type_, values):
    if isinstance(type_, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(type_, pa.array(values, type_.storage_type))
    if pa.types.is_run_end_encoded(type_):
        return pa.compute.run_end_encode(pa.array(values, type_.value_type))
    if pa.types.is_dictionary(type_):
        return pa.array(values, type_.value_type).dictionary_encode().cast(type_)
    return pa.array(values, type_)


def union():
    kinds, offsets = pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32())
    return pa.UnionArray.from_dense(kinds, offsets, [pa.array([1, 2]), pa.array(["x"])])


COLUMNS = [(str(type_), column(type_, values)) for type_, values in VALUES]
COLUMNS.append(("dense_union", union()))

IN_PARQUET = {  # what comes back as another type; else the same
    "time32[s]": pa.time32("ms"),
    "timestamp[s]": pa.timestamp("ms"),
    "date64[ms]": pa.date32(),
    "dictionary<values=int64, indices=int32, ordered=0>": pa.int64(),
}
NOT_PARQUET = ("month_day_nano_interval", "run_end_encoded", "dense_union")
NOT_CSV = ("month_day_nano_interval", "dense_union", "extension", "struct", "map", "list", "large_list", "fixed_size_list")  # fmt: skip
NOT_JSON = ("month_day_nano_interval", "dense_union", "extension", "binary", "large_binary", "fixed_size_binary")  # fmt: skip


def sliced(array):
    """The same values with an offset, so that a writer that ignores it is seen."""
    return pa.concat_arrays([array, array]).slice(1, len(array) + 1)


@pytest.mark.parametrize(("name", "array"), COLUMNS, ids=[name for name, _ in COLUMNS])
@pytest.mark.parametrize("layout", ["file", "stream"])
def test_ipc_keeps_every_type(tmp_path, layout, name, array):
    array = array if name == "dense_union" else sliced(array)
    batch = pa.RecordBatch.from_arrays([array], names=["c"])
    path = tmp_path / ("x.arrow" if layout == "file" else "x.arrows")
    result = write_ipc([batch, batch], None, path, format=layout)
    got = read(path)
    assert got.schema == batch.schema
    assert got["c"].to_pylist() == batch["c"].to_pylist() * 2
    assert result == (2 * len(array), (str(path),), path.stat().st_size)


@pytest.mark.parametrize(("name", "array"), COLUMNS, ids=[name for name, _ in COLUMNS])
def test_parquet_keeps_a_type_or_refuses_it(tmp_path, name, array):
    batch = pa.RecordBatch.from_arrays(
        [array if name == "dense_union" else sliced(array)], names=["c"]
    )
    path = tmp_path / "x.parquet"
    if name.startswith(NOT_PARQUET):
        with pytest.raises(sb.TypeMismatchError, match=r"column 'c' is .*Parquet cannot hold"):
            write_parquet([batch], None, path)
        assert names(tmp_path) == []
        return
    write_parquet([batch], None, path)
    got = read(path)
    wanted = batch["c"]
    if name in IN_PARQUET:
        assert got.schema.field("c").type == IN_PARQUET[name]
    else:
        assert got.schema.field("c").type == batch.schema.field("c").type
    assert got["c"].to_pylist() == wanted.to_pylist()


@pytest.mark.parametrize(("name", "array"), COLUMNS, ids=[name for name, _ in COLUMNS])
def test_csv_keeps_a_type_or_refuses_it(tmp_path, name, array):
    batch = pa.RecordBatch.from_arrays(
        [array if name == "dense_union" else sliced(array)], names=["c"]
    )
    path = tmp_path / "x.csv"
    if name.split("[")[0].split("<")[0].removesuffix("_view") in NOT_CSV and name not in (
        "string_view",
        "binary_view",
    ):
        with pytest.raises(sb.TypeMismatchError, match=r"column 'c' is .*CSV cannot hold"):
            write_csv([batch], None, path)
        assert names(tmp_path) == []
        return
    if "binary" in name:
        with pytest.raises(sb.DataError, match="column 'c' has bytes that are no UTF-8 in row 1"):
            write_csv([batch], None, path)
        batch = pa.RecordBatch.from_arrays([array.slice(0, 2)], names=["c"])
    # A second column, since a line that is empty is no row.
    pair = pa.RecordBatch.from_arrays(
        [batch["c"], pa.array(range(len(batch["c"])))], names=["c", "n"]
    )
    write_csv([pair], None, path)
    type_ = batch["c"].type
    if pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_):
        type_ = type_.value_type
    readable = {
        "halffloat": pa.float32(),
        "string_view": pa.string(),
        "binary_view": pa.binary(),
        "date64[ms]": pa.timestamp("ms"),
        "duration[s]": pa.int64(),
        "duration[us]": pa.int64(),
        "decimal32(5, 2)": pa.decimal128(5, 2),
        "decimal64(10, 2)": pa.decimal128(10, 2),
        "decimal256(60, 3)": pa.decimal128(38, 3),
    }.get(name, type_)
    got = read(path, pa.schema([("c", readable)]))["c"]
    if name.startswith("duration"):
        got = got.cast(type_)
    wanted = batch["c"].to_pylist()
    given = got.cast(pa.date32()).to_pylist() if name == "date64[ms]" else got.to_pylist()
    assert given == wanted


@pytest.mark.parametrize(("name", "array"), COLUMNS, ids=[name for name, _ in COLUMNS])
def test_json_keeps_a_type_or_refuses_it(tmp_path, name, array):
    batch = pa.RecordBatch.from_arrays(
        [array if name == "dense_union" else sliced(array)], names=["c"]
    )
    path = tmp_path / "x.jsonl"
    if name.startswith(NOT_JSON):
        with pytest.raises(sb.TypeMismatchError, match=r"column 'c' is .*JSON cannot hold"):
            write_json([batch], None, path)
        assert names(tmp_path) == []
        return
    write_json([batch], None, path)
    got = [json.loads(line)["c"] for line in path.read_text().splitlines()]
    assert got == [as_json(value, batch["c"].type) for value in batch["c"].to_pylist()]


def as_json(value, type_):
    """What JSON has in place of a Python value."""
    if value is None:
        return None
    if pa.types.is_map(type_):
        return [{"key": key, "value": item} for key, item in value]
    if isinstance(value, list):
        return [as_json(item, type_.value_type) for item in value]
    if pa.types.is_float32(type_):  # the shortest text that is this float
        return float(pa.scalar(value, type_).cast(pa.string()).as_py())
    if isinstance(value, dict):
        return {field.name: as_json(value[field.name], field.type) for field in type_}
    if isinstance(value, dt.timedelta):
        return pa.scalar(value, type_).cast(pa.int64()).as_py()
    if isinstance(value, dt.datetime):
        digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[type_.unit]
        naive = value.astimezone(dt.UTC) if value.tzinfo else value
        text = naive.strftime("%Y-%m-%dT%H:%M:%S") + ("." + "0" * digits if digits else "")
        return text + ("Z" if value.tzinfo else "")
    if isinstance(value, dt.time):
        digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[type_.unit]
        return value.isoformat() + ("." + "0" * digits if digits else "")
    if isinstance(value, (dt.date, decimal.Decimal)):
        return str(value)
    return value


def test_json_of_odd_floats_and_strings(tmp_path):
    floats = [1.0, -0.0, 1e300, 5e-324, 0.1, 123456789.0, 1e16, None]
    words = ['a"b\\c', "\x00\n\x1f", "é\u2028", None, "", "\x7f", "/", "\U0001f600"]
    table = pa.table({"x": floats, 'k"\n': words, "plain": ['"'] * 8})
    write_json(table.to_batches(max_chunksize=3), None, tmp_path / "x.jsonl")
    lines = (tmp_path / "x.jsonl").read_text().split("\n")
    assert [repr(json.loads(line)) for line in lines[:-1]] == list(map(repr, table.to_pylist()))
    assert lines[-1] == ""


def test_json_of_a_value_that_it_lacks(tmp_path):
    good, bad = pa.record_batch({"x": [1.0, 2.0]}), pa.record_batch({"x": [1.0, float("nan")]})
    path = tmp_path / "x.jsonl"
    path.write_text("old\n")
    with pytest.raises(sb.DataError, match="column 'x' has nan in row 3"):
        write_json([good, bad], None, path)
    inner = pa.record_batch({"x": [{"y": [float("-inf")]}]})
    with pytest.raises(sb.DataError, match="column 'x' has .*-inf.* in row 0"):
        write_json([inner], None, path)
    assert (path.read_text(), names(tmp_path)) == ("old\n", ["x.jsonl"])


def test_a_sliced_nested_column_in_json(tmp_path):
    lists = pa.array([[[1], None], [], None, [[2, 3]]], pa.list_(pa.list_(pa.int8()))).slice(1)
    fixed = pa.array([[1, 2], None, [3, 4], [5, 6]], pa.list_(pa.int8(), 2)).slice(1)
    maps = pa.array(
        [[("a", 1)], None, [("b", 2), ("c", None)], []], pa.map_(pa.string(), pa.int8())
    ).slice(1)
    batch = pa.RecordBatch.from_arrays([lists, fixed, maps], names=["l", "f", "m"])
    write_json([batch], None, tmp_path / "x.jsonl")
    got = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [row["l"] for row in got] == [[], None, [[2, 3]]]
    assert [row["f"] for row in got] == [None, [3, 4], [5, 6]]
    assert [row["m"] for row in got] == [
        None,
        [{"key": "b", "value": 2}, {"key": "c", "value": None}],
        [],
    ]


def test_an_ipc_file_with_dictionaries_that_differ(tmp_path):
    type_ = pa.dictionary(pa.int8(), pa.string())
    words = [["b", "a", None], ["c", "a"], ["b", "b"], []]
    batches = [pa.RecordBatch.from_arrays([column(type_, w)], names=["c"]) for w in words]
    for layout in ("file", "stream"):
        path = tmp_path / f"x.{layout}.{'arrow' if layout == 'file' else 'arrows'}"
        write_ipc(batches, None, path, format=layout)
        got = read(path)
        assert got.schema.field("c").type == type_
        assert got["c"].to_pylist() == list(itertools.chain(*words))
    many = [pa.array([f"{k}-{n}" for n in range(100)]).dictionary_encode() for k in range(2)]
    batches = [pa.RecordBatch.from_arrays([m.cast(type_)], names=["c"]) for m in many]
    with pytest.raises(sb.DataError, match="200 values together"):
        write_ipc(batches, None, tmp_path / "y.arrow")


# --- empty input, schemas


@pytest.mark.parametrize("kind", ["parquet", "csv", "ipc"])
def test_nothing_but_a_schema(tmp_path, kind):
    write, end = WRITES[kind]
    result = write([], TABLE.schema, tmp_path / f"x{end}")
    assert result.rows == 0
    got = read(tmp_path / f"x{end}", TABLE.schema)
    assert (got.num_rows, got.schema.names) == (0, ["a", "s"])
    assert kind == "csv" or got.schema == TABLE.schema


def test_rows_without_columns_are_objects_in_json(tmp_path):
    table = pa.table({"a": [1, 2, 3]}).select([])
    write_json(table.to_batches(), None, tmp_path / "x")
    assert (tmp_path / "x").read_text() == "{}\n" * 3


def test_no_rows_in_json_is_an_empty_file(tmp_path):
    assert write_json([], TABLE.schema, tmp_path / "x.jsonl").bytes == 0
    assert (tmp_path / "x.jsonl").read_bytes() == b""


@pytest.mark.parametrize("kind", ["parquet", "csv", "json", "ipc"])
def test_neither_batches_nor_a_schema(tmp_path, kind):
    write, end = WRITES[kind]
    assert write([], None, tmp_path / f"x{end}").rows == 0
    assert (tmp_path / f"x{end}").exists()


def test_no_rows_in_a_partitioned_folder_keep_the_schema(tmp_path):
    write_parquet([], TABLE.schema, tmp_path / "d", partition_by="s")
    got = ds.dataset(tmp_path / "d", partitioning="hive").to_table()
    assert (got.num_rows, got.schema) == (0, TABLE.schema)
    write_parquet(TABLE.to_batches(), None, tmp_path / "d", partition_by="s", mode="append")
    got = ds.dataset(tmp_path / "d", partitioning="hive").to_table()
    assert sorted(got["a"].to_pylist(), key=str) == [1, 2, 4, None]


@pytest.mark.parametrize("kind", list(WRITES))
def test_a_batch_of_another_schema(tmp_path, kind):
    write, end = WRITES[kind]
    other = pa.record_batch({"a": ["1"], "t": [1]})
    source = Source([*TABLE.to_batches(), other])
    with pytest.raises(
        sb.SchemaError,
        match="batch 1: missing 's'; not expected 't'; 'a' is string, not int64",
    ):
        write(source, None, tmp_path / f"x{end}")
    assert (source.closed, names(tmp_path)) == (1, [])


def test_batches_of_no_rows_and_other_nullability(tmp_path):
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False)])
    batches = [pa.record_batch({"a": pa.array([], pa.int64())}), pa.record_batch({"a": [1]})]
    write_parquet(batches, schema, tmp_path / "x.parquet")
    got = read(tmp_path / "x.parquet")
    assert (got.schema, got.num_rows) == (schema, 1)
    with pytest.raises(sb.DataError, match="batch 0 is a dict"):
        write_parquet([{"a": 1}], schema, tmp_path / "x.parquet")


# --- modes


@pytest.mark.parametrize("kind", list(WRITES))
def test_modes_of_a_file(tmp_path, kind):
    write, end = WRITES[kind]
    path = tmp_path / f"x{end}"
    batches = TABLE.to_batches()
    write(batches, None, path, mode="error")
    whole = path.read_bytes()
    source = Source(batches)
    with pytest.raises(TargetExistsError, match='mode="error"') as caught:
        write(source, None, path, mode="error")
    assert isinstance(caught.value, FileExistsError) and isinstance(caught.value, sb.PlanError)
    assert (source.closed, source.given, path.read_bytes()) == (1, 0, whole)
    write(batches, None, path)
    assert path.read_bytes() == whole
    assert write(batches, None, path, mode="append").rows == 4
    assert read(path, TABLE.schema).num_rows == 8
    rest = pa.table({"a": [9], "s": ["z"]})
    write(rest.to_batches(), None, path, mode="append")
    assert read(path, TABLE.schema).to_pylist() == (TABLE.to_pylist() * 2) + rest.to_pylist()
    write(batches, None, path, mode="overwrite")
    assert (path.read_bytes(), names(tmp_path)) == (whole, [path.name])
    with pytest.raises(sb.PlanError, match="did you mean 'append'"):
        write(batches, None, path, mode="apend")


@pytest.mark.parametrize("kind", ["parquet", "csv", "ipc"])
def test_rows_of_another_schema_are_not_appended(tmp_path, kind):
    write, end = WRITES[kind]
    path = tmp_path / f"x{end}"
    write(TABLE.to_batches(), None, path)
    before = path.read_bytes()
    with pytest.raises(sb.SchemaError, match="cannot be appended"):
        write([pa.record_batch({"b": [1]})], None, path, mode="append")
    assert (path.read_bytes(), names(tmp_path)) == (before, [path.name])


def test_append_to_text(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,s\n1,x")  # the last line has no end
    write_csv(TABLE.to_batches(), None, path, mode="append")
    assert read(path).num_rows == 5
    path.write_text("")
    write_csv(TABLE.to_batches(), None, path, mode="append")
    assert read(path).column_names == ["a", "s"]
    for end in (".gz", ".bz2", ".zst"):
        packed = tmp_path / f"y.csv{end}"
        write_csv(TABLE.to_batches(), None, packed)
        write_csv(TABLE.to_batches(), None, packed, mode="append")
        with pa.input_stream(packed, compression="detect") as file:
            assert file.read().count(b'"a","s"') == 1
    assert len(gzip.decompress((tmp_path / "y.csv.gz").read_bytes()).splitlines()) == 11


@pytest.mark.parametrize("kind", ["parquet", "ipc"])
def test_every_type_that_is_held_can_be_appended(tmp_path, kind):
    write, end = WRITES[kind]
    for number, (name, array) in enumerate(COLUMNS):
        if name == "dense_union" or (kind == "parquet" and name.startswith(NOT_PARQUET)):
            continue
        path = tmp_path / f"{number}{end}"
        batch = pa.RecordBatch.from_arrays([array], names=["c"])
        for _ in range(3):
            write([batch], None, path, mode="append")
        assert read(path)["c"].to_pylist() == batch["c"].to_pylist() * 3, name


def test_append_to_an_ipc_stream_and_to_a_header(tmp_path):
    for _ in range(2):
        write_ipc(TABLE.to_batches(), None, tmp_path / "x.arrows", format="stream", mode="append")
    assert read(tmp_path / "x.arrows").to_pylist() == TABLE.to_pylist() * 2
    for kind in ("csv", "parquet", "json", "ipc"):
        write, end = WRITES[kind]
        path = tmp_path / f"y{end}"
        for batches in ([], TABLE.to_batches(), [], TABLE.to_batches()):
            write(batches, TABLE.schema, path, mode="append")
        assert read(path, TABLE.schema).to_pylist() == TABLE.to_pylist() * 2


def test_an_append_beside_another_is_refused(tmp_path):
    path = tmp_path / "x.parquet"
    write_parquet(TABLE.to_batches(), None, path)

    def batches():
        yield TABLE.to_batches()[0]
        write_parquet(TABLE.to_batches(), None, path, mode="append")

    with pytest.raises(sb.StateError, match="changed by another"):
        write_parquet(batches(), None, path, mode="append")
    assert (read(path).num_rows, names(tmp_path)) == (8, ["x.parquet"])


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "x.csv"

    def batches():
        yield TABLE.to_batches()[0]
        path.write_text("another's")

    with pytest.raises(TargetExistsError):
        write_csv(batches(), None, path, mode="error")
    assert (path.read_text(), names(tmp_path)) == ("another's", ["x.csv"])


def test_links_and_permissions_stay(tmp_path):
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    write_csv(TABLE.to_batches(), None, real)
    assert real.stat().st_mode & 0o777 == 0o666 & ~umask()
    real.chmod(0o640)
    link.symlink_to(real)
    write_csv(TABLE.slice(0, 1).to_batches(), None, link)
    assert link.is_symlink() and read(real).num_rows == 1
    assert real.stat().st_mode & 0o777 == 0o640


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


# --- folders


@pytest.mark.parametrize("kind", list(WRITES))
def test_modes_of_a_folder(tmp_path, kind):
    write, end = WRITES[kind]
    folder = tmp_path / "d"
    batches = TABLE.to_batches()
    write(batches, None, f"{folder}/", mode="error")
    with pytest.raises(TargetExistsError):
        write(batches, None, folder, mode="error")
    write(batches, None, folder, mode="append")
    write(batches, None, folder, mode="append", roll_rows=3)
    assert names(folder) == [f"part-0000{k}{end}" for k in range(4)]
    assert read(folder, TABLE.schema).num_rows == 12
    folder.chmod(0o750)
    write(batches, None, folder)
    assert (names(tmp_path), read(folder, TABLE.schema)["a"].to_pylist()) == (
        ["d", f"d/part-00000{end}"],
        [1, 2, None, 4],
    )
    assert folder.stat().st_mode & 0o777 == 0o750


ODD = ["a/b", "..", ".", "", " ", "x=y", "é%41", "a:b*?\\", "'\"", "\n", None, "日本", "%2F"]


@pytest.mark.parametrize("key", ["k", "k=/ é%"])
def test_partition_values_come_back(tmp_path, key):
    table = pa.table({key: ODD * 3, "v": range(len(ODD) * 3)})
    result = write_parquet(
        table.to_batches(max_chunksize=5), None, tmp_path / "d", partition_by=key
    )
    assert result.rows == len(table) and len(result.files) == len(ODD)
    assert all(Path(file).is_file() for file in result.files)
    got = ds.dataset(tmp_path / "d", partitioning="hive").to_table().sort_by("v")
    assert got.select([key, "v"]).to_pydict() == table.to_pydict()


def test_partitions_of_many_types(tmp_path):
    keys = {
        "i": pa.array([1, -1, None, 1], pa.int16()),
        "b": [True, False, True, True],
        "d": pa.array([DAY, DAY, None, DAY]),
        "t": pa.array([MOMENT] * 4, pa.timestamp("us")),
        "c": pa.array(["x", "y", None, "x"]).dictionary_encode(),
        "m": pa.array([D("1.50")] * 4),  # pyarrow.dataset does not read folders of decimals
        "x": [0.5, 0.5, 1.5, 0.5],
    }
    table = pa.table({**keys, "v": [0, 1, 2, 3]})
    write_parquet(table.to_batches(), None, tmp_path / "d", partition_by=list(keys))
    schema = pa.schema(
        [(n, pa.string() if n in "cm" else table.schema.field(n).type) for n in keys]
    )
    layout = ds.partitioning(schema, flavor="hive")
    got = ds.dataset(tmp_path / "d", partitioning=layout).to_table().sort_by("v")
    wanted = table.set_column(4, "c", table["c"].cast(pa.string()))
    wanted = wanted.set_column(5, "m", table["m"].cast(pa.string()))
    assert got.select(table.column_names).to_pylist() == wanted.to_pylist()


def test_what_cannot_be_partitioned(tmp_path):
    target = tmp_path / "d"
    for by, error, words in (
        ("b", sb.PlanError, "there is no column 'b'"),
        (["a", "s"], sb.PlanError, "names every column"),
        (["a", "a"], sb.PlanError, "named twice"),
    ):
        with pytest.raises(error, match=words):
            write_parquet(TABLE.to_batches(), None, target, partition_by=by)
    with pytest.raises(sb.TypeMismatchError, match="column 'l' is list"):
        write_parquet([pa.record_batch({"l": [[1]], "v": [1]})], None, target, partition_by="l")
    for value, words in (
        ("__HIVE_DEFAULT_PARTITION__", "stands for null"),
        ("x" * 300, "too long"),
    ):
        with pytest.raises(sb.DataError, match=words):
            write_parquet(
                [pa.record_batch({"k": [value], "v": [1]})], None, target, partition_by="k"
            )
    assert names(tmp_path) == []


def test_more_partitions_than_open_files(tmp_path):
    many = _folders._OPEN_MAX + 30
    table = pa.table({"k": list(range(many)) * 3, "v": range(many * 3)})
    result = write_parquet(
        table.to_batches(max_chunksize=many), None, tmp_path / "d", partition_by="k"
    )
    assert len(result.files) > many
    got = ds.dataset(tmp_path / "d", partitioning="hive").to_table().sort_by("v")
    assert got.select(["k", "v"]).to_pydict() == table.to_pydict()


def test_a_folder_with_other_files_is_not_replaced(tmp_path):
    folder = tmp_path / "d"
    write_parquet(TABLE.to_batches(), None, folder, partition_by="a")
    (folder / "a=1" / "notes.txt").write_text("mine")
    before = names(tmp_path)
    source = Source(TABLE.to_batches())
    with pytest.raises(sb.PlanError, match=r"is not replaced: it holds .*notes\.txt"):
        write_parquet(source, None, folder, partition_by="a")
    assert (names(tmp_path), source.closed) == (before, 1)
    (folder / "a=1" / "notes.txt").unlink()
    (folder / "_SUCCESS").write_text("")
    write_parquet(TABLE.to_batches(), None, folder, partition_by="a")
    assert "d/_SUCCESS" not in names(tmp_path)
    (tmp_path / "f").write_text("")
    with pytest.raises(sb.PlanError, match="is a file"):
        write_parquet(TABLE.to_batches(), None, tmp_path / "f", partition_by="a")


def test_a_folder_is_replaced_where_names_cannot_be_exchanged(tmp_path, monkeypatch):
    folder = tmp_path / "d"
    monkeypatch.setattr(_place, "_rename2", lambda *_: False)
    for rows in (1, 2):
        write_parquet(TABLE.slice(0, rows).to_batches(), None, folder, roll_rows=1)
        write_csv(TABLE.to_batches(), None, tmp_path / f"{rows}.csv", mode="error")
        with pytest.raises(TargetExistsError):
            write_csv(TABLE.to_batches(), None, tmp_path / f"{rows}.csv", mode="error")
        assert len(names(folder)) == rows
    assert names(tmp_path) == [
        "1.csv",
        "2.csv",
        "d",
        "d/part-00000.parquet",
        "d/part-00001.parquet",
    ]
    # Killed between the two steps: the next write puts the folder back before anything else.
    token = ".0123456789abcdef.sabot-old"
    folder.rename(tmp_path / f".d{token}")
    source = Source(TABLE.to_batches(), fails_after=0)
    with pytest.raises(KeyError):
        write_parquet(source, None, folder, partition_by="a")
    assert len(names(folder)) == 2
    # Killed after them: it goes.
    (tmp_path / f".d{token}").mkdir()
    write_parquet(TABLE.to_batches(), None, folder, partition_by="a")
    assert not [name for name in names(tmp_path) if "sabot" in name]


# --- rolling


def test_an_unbounded_stream_needs_a_roll(tmp_path):
    source = Source(TABLE.to_batches())
    with pytest.raises(sb.PlanError, match="add roll_rows=, roll_bytes= or roll_seconds="):
        write_parquet(source, None, tmp_path / "d", bounded=False)
    assert (source.closed, source.given, names(tmp_path)) == (1, 0, [])
    for bad in (0, -1, True, "3", 1.5):
        with pytest.raises(sb.PlanError, match="roll_rows="):
            write_parquet([], TABLE.schema, tmp_path / "d", roll_rows=bad)


@pytest.mark.parametrize("kind", list(WRITES))
@pytest.mark.parametrize("bounded", [True, False])
def test_files_roll_by_rows(tmp_path, kind, bounded):
    write, end = WRITES[kind]
    table = pa.table({"v": range(100)})
    result = write(
        table.to_batches(max_chunksize=7), None, tmp_path / "d", roll_rows=30, bounded=bounded
    )
    assert [Path(f).name for f in result.files] == [f"part-0000{k}{end}" for k in range(4)]
    assert [read(file).num_rows for file in result.files] == [30, 30, 30, 10]
    assert read(tmp_path / "d")["v"].to_pylist() == list(range(100))
    assert result.bytes == sum(Path(file).stat().st_size for file in result.files)


def test_each_file_of_an_unbounded_stream_is_complete_when_it_appears(tmp_path):
    folder = tmp_path / "d"
    write_parquet(TABLE.to_batches(), None, folder, roll_rows=1)
    seen = []

    def batches():
        yield from ()
        for k in range(9):
            seen.append([read(file).num_rows for file in sorted(folder.glob("*.parquet"))])
            yield pa.record_batch({"v": [k] * 4})
        raise KeyError("it breaks")

    with pytest.raises(KeyError):
        write_parquet(batches(), None, folder, bounded=False, roll_rows=10)
    assert seen[0] == [1, 1, 1, 1]  # the old ones, until the first batch is there
    assert seen[1:] == [[10] * (4 * k // 10) for k in range(1, 9)]
    assert names(folder) == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]


def test_files_roll_by_bytes(tmp_path):
    table = pa.table({"s": [f"{k:0100}" for k in range(2000)]})
    for write, end in WRITES.values():
        extra = {"compression": "none"} if end == ".parquet" else {}
        result = write(
            table.to_batches(max_chunksize=100), None, tmp_path / end, roll_bytes=50_000, **extra
        )
        sizes = [Path(file).stat().st_size for file in result.files]
        assert len(sizes) >= 4 and max(sizes) < 75_000
        assert sum(read(file).num_rows for file in result.files) == 2000


def test_files_roll_by_time_even_if_nothing_comes(tmp_path):
    folder = tmp_path / "d"
    go_on = threading.Event()

    def batches():
        yield pa.record_batch({"v": [1]})
        assert go_on.wait(60)
        yield pa.record_batch({"v": [2]})

    def run():
        write_parquet(batches(), None, folder, bounded=False, roll_seconds=0.2)

    writer = threading.Thread(target=run)
    writer.start()
    until = time.monotonic() + 30
    while not list(folder.glob("*.parquet")) and time.monotonic() < until:
        time.sleep(0.02)
    assert read(folder)["v"].to_pylist() == [1]
    go_on.set()
    writer.join()
    assert read(folder)["v"].to_pylist() == [1, 2]
    assert "sabot-roll" not in [thread.name for thread in threading.enumerate()]


def test_an_error_of_the_clock_reaches_the_writer(tmp_path):
    folder = tmp_path / "d"

    def batches():
        yield pa.record_batch({"v": [1]})
        (hidden,) = (name for name in names(folder) if name.endswith(".sabot-tmp"))
        (folder / hidden).unlink()  # so it cannot be put in its place
        until = time.monotonic() + 30
        while time.monotonic() < until:
            time.sleep(0.05)
            yield pa.record_batch({"v": [2]})

    began = time.monotonic()
    with pytest.raises(FileNotFoundError):
        write_csv(batches(), None, folder, bounded=False, roll_seconds=0.1)
    assert time.monotonic() - began < 20
    assert names(folder) == []


def test_all_open_files_together_hold_little(tmp_path, monkeypatch):
    monkeypatch.setattr(_folders, "_HELD_SIZE_MAX", 10_000)
    table = pa.table({"k": [0, 1] * 5000, "v": range(10_000)})
    write_parquet(table.to_batches(max_chunksize=100), None, tmp_path / "d", partition_by="k")
    for file in (tmp_path / "d").rglob("*.parquet"):
        assert 4 <= pq.read_metadata(file).num_row_groups <= 20
    got = ds.dataset(tmp_path / "d", partitioning="hive").to_table().sort_by("v")
    assert got.select(["k", "v"]).to_pydict() == table.to_pydict()


def test_two_appends_to_a_folder_at_once(tmp_path):
    folder = tmp_path / "d"
    write_csv(TABLE.to_batches(), None, folder, roll_rows=4)

    def batches():
        yield TABLE.to_batches()[0]
        write_csv(TABLE.to_batches(), None, folder, mode="append")

    result = write_csv(batches(), None, folder, mode="append")
    assert names(folder) == [f"part-0000{k}.csv" for k in range(3)]
    assert result.files == (str(folder / "part-00002.csv"),)

    def others():
        for number in (3, 5):
            (folder / f"part-0000{number}.csv").write_text("another's")
            yield TABLE.to_batches()[0]

    write_csv(others(), None, folder, mode="append", bounded=False, roll_rows=4)
    assert (folder / "part-00003.csv").read_text() == "another's"
    assert (folder / "part-00005.csv").read_text() == "another's"
    assert names(folder) == [f"part-0000{k}.csv" for k in range(7)]


def test_an_unbounded_append_goes_on_counting(tmp_path):
    for _ in range(2):
        write_csv(
            TABLE.to_batches(),
            None,
            tmp_path / "d",
            mode="append",
            bounded=False,
            roll_rows=3,
            partition_by="s",
        )
    assert len([name for name in names(tmp_path / "d") if name.endswith("part-00001.csv")]) == 4


# --- failures


@pytest.mark.parametrize("kind", list(WRITES))
@pytest.mark.parametrize("shape", ["file", "folder", "append", "append folder"])
def test_an_error_in_the_middle_leaves_what_was_there(tmp_path, kind, shape):
    write, end = WRITES[kind]
    path = tmp_path / ("d" if "folder" in shape else f"x{end}")
    options = {"partition_by": "a"} if "folder" in shape else {}
    write(TABLE.to_batches(), None, path, **options)
    before = names(tmp_path), contents(tmp_path)
    if "append" in shape:
        options["mode"] = "append"
    source = Source(TABLE.to_batches() * 3, fails_after=2)
    with pytest.raises(KeyError, match="the source broke"):
        write(source, None, path, **options)
    assert (names(tmp_path), contents(tmp_path)) == before
    assert source.closed == 1


def test_a_source_is_closed_once_however_it_ends(tmp_path):
    good = Source(TABLE.to_batches())
    write_parquet(good, None, tmp_path / "x.parquet")
    assert good.closed == 1
    for options in ({"mode": "bad"}, {"compression": "bad"}, {"row_group_size": 0}):
        source = Source(TABLE.to_batches())
        with pytest.raises(sb.PlanError):
            write_parquet(source, None, tmp_path / "x.parquet", **options)
        assert source.closed == 1

    class Bad(Source):
        def close(self):
            super().close()
            raise OSError("no close")

    source = Bad(TABLE.to_batches(), fails_after=1)
    with pytest.raises(KeyError) as caught:
        write_parquet(source, None, tmp_path / "x.parquet")
    assert caught.value.__notes__ == ["closing the source failed too: OSError('no close')"]
    source = Bad(TABLE.to_batches())
    with pytest.raises(OSError, match="no close"):
        write_parquet(source, None, tmp_path / "y.parquet")
    assert (source.closed, names(tmp_path)) == (1, ["x.parquet"])


@contextlib.contextmanager
def somebody():
    """As a user who may not write where root may."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("kind", list(WRITES))
def test_no_permission(kind):
    write, end = WRITES[kind]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"x{end}")
        write(TABLE.to_batches(), None, path)
        before = Path(path).read_bytes()
        os.chmod(folder, 0o555)
        try:
            for target, options in ((path, {}), (f"{folder}/d", {"partition_by": "a"})):
                source = Source(TABLE.to_batches())
                with somebody(), pytest.raises(PermissionError) as caught:
                    write(source, None, target, **options)
                assert (caught.value.filename, source.closed) == (target, 1)
        finally:
            os.chmod(folder, 0o755)
        assert (Path(path).read_bytes(), names(folder)) == (before, [f"x{end}"])


def test_a_file_that_is_read_only_is_not_replaced():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "x.csv")
        Path(path).write_text("old")
        os.chmod(path, 0o444)
        with somebody(), pytest.raises(PermissionError) as caught:
            write_csv(TABLE.to_batches(), None, path)
        assert (caught.value.filename, Path(path).read_text(), names(folder)) == (
            path,
            "old",
            ["x.csv"],
        )


def test_no_such_folder(tmp_path):
    for target in (tmp_path / "no" / "x.csv", f"{tmp_path}/no/d/"):
        with pytest.raises(FileNotFoundError) as caught:
            write_csv(TABLE.to_batches(), None, target)
        assert caught.value.filename == str(tmp_path / "no")


@pytest.mark.parametrize("kind", list(WRITES))
@pytest.mark.parametrize("shape", ["file", "folder"])
def test_a_full_disk_leaves_what_was_there(tmp_path, kind, shape):
    with small_disk(tmp_path) as mounted:
        text = f"""
            import os, random, resource
            import pyarrow as pa
            from sabot import _sinks
            write = _sinks.write_{kind}
            path = {f"{tmp_path}/d/" if shape == "folder" else f"{tmp_path}/x"!r}
            write([pa.record_batch({{"v": [1]}})], None, path)
            if not {mounted}:
                resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
            numbers = random.Random(0)
            batches = (pa.record_batch({{"v": [numbers.random() for _ in range(20000)]}}) for _ in range(200))
            try:
                write(batches, None, path)
            except OSError as error:
                print(os.strerror(error.errno), *error.__notes__, sep=", ")
            for folder, _, names in os.walk({str(tmp_path)!r}):
                print(*names)
        """
        printed_lines = printed(text).splitlines()
        reason = "No space left on device" if mounted else "File too large"
        reason += f", while writing '{tmp_path}/{'x' if shape == 'file' else 'd'}'"
        end = WRITES[kind][1]
        there = ["x"] if shape == "file" else ["", f"part-00000{end}"]
        assert printed_lines == [reason, *there]


@contextlib.contextmanager
def small_disk(folder):
    """A file system of 1 MiB at a folder, where this process may mount one."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


KILLED = """
    import os, random, signal, sys, time
    import pyarrow as pa, pyarrow.csv, pyarrow.feather, pyarrow.json, pyarrow.parquet as pq
    from sabot import _sinks
    kind, options, folder = {kind!r}, {options!r}, {folder!r}
    write = getattr(_sinks, "write_" + kind)
    path = os.path.join(folder, "x")
    append = options.get("mode") == "append"
    into_folder = "partition_by" in options or "roll_rows" in options
    rows = 6000 if append else 30000
    tables = [pa.table({{"v": [k] * (rows + k), "k": [k % 2] * (rows + k)}}) for k in range(4)]

    def parts():
        files = [path] if os.path.isfile(path) else sorted(
            os.path.join(at, name) for at, _, names in os.walk(path) for name in names
            if "/." not in at)  # hidden folders are not read, here as elsewhere
        if kind == "parquet":
            return [pq.ParquetFile(file).read(use_threads=False) for file in files]
        if kind == "ipc":
            return [pyarrow.feather.read_table(file, use_threads=False, memory_map=False) for file in files]
        module = getattr(pa, kind)
        read = module.ReadOptions(use_threads=False)
        return [getattr(module, "read_" + kind)(file, read_options=read) for file in files]

    def check():
        # What was written last. Overwritten: one table, whole. Appended: whole tables, one after the other.
        found = parts()
        for part in found if append else [pa.concat_tables(found)]:
            values = part["v"].to_pylist()
            last, at = values[-1], 0
            while at < len(values):
                end = at + rows + values[at]
                assert values[at:end] == [values[at]] * (end - at), (at, end, len(values))
                at = end
            assert append or len(values) == rows + last, len(values)
        return last if not append else sum(map(len, found))

    def put(k):
        write(tables[k].to_batches(max_chunksize=1000 if append else 5000), None, path, **options)

    put(0)
    numbers, seen, left, wait = random.Random(0), set(), 0, 0.04
    for turn in range(50):
        child = os.fork()
        if child == 0:
            for k in range(10**9):
                put((turn + k) % 4)
        time.sleep(numbers.uniform(0.001, wait))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        before = len(seen)
        seen.add(check())
        # However slow the machine: long enough that some writes end, short enough that some do not.
        wait = wait * 1.3 if len(seen) == before and len(seen) < 4 else max(wait * 0.8, 0.01)
        temporary = [name for name in os.listdir(folder) if name != "x"]
        assert len(temporary) <= 2, temporary
        left += bool(temporary)
        if append and len(parts()) + sum(map(len, parts())) // rows > 20:
            write(tables[0].to_batches(), None, path, **dict(options, mode="overwrite"))
    put(0)
    assert os.listdir(folder) == ["x"], os.listdir(folder)
    assert len(seen) > 1 and (left > 5 or (append and into_folder)), (left, seen)
    print("never half")
"""


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *((kind, {}) for kind in WRITES),
        *((kind, {"mode": "append"}) for kind in WRITES),
        ("parquet", {"partition_by": "k"}),
        ("ipc", {"roll_rows": 9000}),
        ("parquet", {"mode": "append", "roll_rows": 9000}),
        ("csv", {"mode": "append", "partition_by": "k"}),
    ],
)
def test_killed_fifty_times_it_is_the_old_or_the_new(tmp_path, kind, options):
    text = KILLED.format(kind=kind, options=options, folder=str(tmp_path))
    assert printed(text, "-W", "ignore", timeout_s=240) == "never half\n"


def test_temporary_files_of_the_living_stay(tmp_path):
    inside = []

    def batches():
        yield TABLE.to_batches()[0]
        write_csv(TABLE.to_batches(), None, tmp_path / "y.csv")
        inside.extend(names(tmp_path))
        yield TABLE.to_batches()[0]

    (tmp_path / ".z.0123456789abcdef.sabot-tmp").write_text("of a dead process")
    (tmp_path / ".z.csv.sabot-tmp").write_text("another's name")
    write_csv(batches(), None, tmp_path / "x.csv")
    assert len(inside) == 3 and "y.csv" in inside
    assert names(tmp_path) == [".z.csv.sabot-tmp", "x.csv", "y.csv"]
    assert read(tmp_path / "x.csv").num_rows == 8


# --- other targets and settings


class Pipe(io.RawIOBase):
    """Takes at most 1,000 bytes at a time."""

    def __init__(self):
        self.got = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.got += bytes(data)[:1000]
        return min(len(bytes(data)), 1000)


@pytest.mark.parametrize("kind", list(WRITES))
def test_a_file_object(tmp_path, kind):
    write, end = WRITES[kind]
    for file in (io.BytesIO(), Pipe()):
        result = write(TABLE.to_batches() * 500, None, file)
        data = file.getvalue() if isinstance(file, io.BytesIO) else bytes(file.got)
        assert not file.closed and (result.bytes, result.files) == (len(data), ())
        (tmp_path / f"x{end}").write_bytes(data)
        assert read(tmp_path / f"x{end}", TABLE.schema).num_rows == 2000 == result.rows
    for options in ({"mode": "append"}, {"mode": "error"}, {"partition_by": "a"}, {"roll_rows": 1}):
        with pytest.raises(sb.PlanError, match="local"):
            write(TABLE.to_batches(), None, io.BytesIO(), **options)
    for bad in (None, 3, b"x", "", object()):
        with pytest.raises(sb.PlanError):
            write(TABLE.to_batches(), None, bad)


@pytest.mark.parametrize("kind", ["parquet", "ipc"])
def test_a_file_object_after_an_error_is_no_valid_file(kind):
    write, _ = WRITES[kind]
    file = io.BytesIO()
    with pytest.raises(KeyError):
        write(Source(TABLE.to_batches() * 3, fails_after=2), None, file)
    with pytest.raises(pa.ArrowInvalid):
        (pq.ParquetFile if kind == "parquet" else pa.ipc.open_file)(
            pa.BufferReader(file.getvalue())
        )


def test_urls(tmp_path):
    import fsspec

    memory = fsspec.filesystem("memory")
    write_parquet(TABLE.to_batches(), None, "memory://sinks/x.parquet")
    before = memory.cat("/sinks/x.parquet")
    assert pq.read_table(pa.BufferReader(before)) == TABLE
    with pytest.raises(TargetExistsError):
        write_parquet(TABLE.to_batches(), None, "memory://sinks/x.parquet", mode="error")
    with pytest.raises(KeyError):
        write_parquet(Source(TABLE.to_batches(), 1), None, "memory://sinks/x.parquet")
    with pytest.raises(KeyError):
        write_parquet(Source(TABLE.to_batches(), 1), None, "memory://sinks/y.parquet")
    assert memory.cat("/sinks/x.parquet") == before
    assert not memory.exists("/sinks/y.parquet")
    with pytest.raises(sb.PlanError, match="local folder"):
        write_parquet(TABLE.to_batches(), None, "memory://sinks/d", partition_by="a")
    write_csv(TABLE.to_batches(), None, f"file://{tmp_path}/a%20b.csv")
    assert names(tmp_path) == ["a b.csv"]


def test_devices_are_written_through(tmp_path):
    result = write_csv(TABLE.to_batches(), None, "/dev/null")
    assert (result.rows, result.files, os.path.isfile("/dev/null")) == (4, ("/dev/null",), False)
    with pytest.raises(OSError, match="No space left"):
        write_csv(TABLE.to_batches(), None, "/dev/full")


def test_settings_of_the_formats(tmp_path):
    table = pa.table({"a": list(range(1000)), "s": ["word"] * 1000})
    path = tmp_path / "x"
    for codec in ("zstd", "snappy", "gzip", "brotli", "lz4", "none", None):
        write_parquet(
            table.to_batches(max_chunksize=90), None, path, compression=codec, row_group_size=300
        )
        meta = pq.read_metadata(path)
        assert [meta.row_group(k).num_rows for k in range(4)] == [300, 300, 300, 100]
        wanted = {"none": "UNCOMPRESSED", None: "UNCOMPRESSED", "lz4": "LZ4"}.get(
            codec, str(codec).upper()
        )
        assert meta.row_group(0).column(0).compression == wanted
    write_parquet(table.to_batches(max_chunksize=90), None, path)
    assert pq.read_metadata(path).num_row_groups == 1  # however small the batches
    sizes = [
        write_ipc(table.to_batches(), None, path, compression=codec).bytes
        for codec in (None, "lz4", "zstd")
    ]
    assert sizes[0] > 1.5 * max(sizes[1:])
    write_csv(
        table.to_batches(), None, path, separator=";", include_header=False, compression="gzip"
    )
    assert gzip.decompress(path.read_bytes()).startswith(b'0;"word"\n1;"word"\n')
    for write, wrong in (
        (write_parquet, {"compression": "zst"}),
        (write_csv, {"compression": "zstdd"}),
        (write_csv, {"separator": '"'}),
        (write_csv, {"separator": "ab"}),
        (write_ipc, {"compression": "gzip"}),
        (write_ipc, {"format": "feather"}),
    ):
        with pytest.raises(sb.PlanError):
            write(table.to_batches(), None, path, **wrong)
    with pytest.raises(sb.SchemaError, match="two columns are named 'a'"):
        write_json([pa.RecordBatch.from_arrays([pa.array([1])] * 2, names=["a", "a"])], None, path)
