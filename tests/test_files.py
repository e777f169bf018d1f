"""Sources that read files: each format, what names files, schemas between files, memory, and files that are not what they say."""

from __future__ import annotations

import asyncio
import functools
import gzip
import io
import json
import os
import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sabot import Stream
from sabot import _errors as errors
from sabot import _sources as sources

pytestmark = pytest.mark.api

TABLE = pa.table(
    {"a": [1, 2, 3, 4, 5], "b": ["x", "y", "z", "v", "w"], "c": [0.5, 1.5, 2.5, 3.5, 4.5]}
)
ROWS = [tuple(row.values()) for row in TABLE.to_pylist()]


def write_parquet(table, where):
    pq.write_table(table, where, row_group_size=2)


def write_csv(table, where):
    pacsv.write_csv(table, where)


def write_json(table, where):
    data = "".join(json.dumps(row) + "\n" for row in table.to_pylist()).encode()
    where.write(data) if hasattr(where, "write") else Path(where).write_bytes(data)


def write_ipc(table, where):
    with ipc.new_file(where, table.schema) as writer:
        writer.write_table(table, 2)


def write_ipc_stream(table, where):
    with ipc.new_stream(where, table.schema) as writer:
        writer.write_table(table, 2)


FORMATS = {
    "parquet": (sources.from_parquet, write_parquet, "PARQUET"),
    "csv": (sources.from_csv, write_csv, "CSV"),
    "json": (sources.from_json, write_json, "JSON"),
    "ipc": (sources.from_ipc, write_ipc, "IPC"),
    "ipcstream": (sources.from_ipc, write_ipc_stream, "IPC"),
}
EVERY = pytest.mark.parametrize("format", FORMATS)


def read(source, columns=None):
    with source.open(columns) as batches:
        found = list(batches)
    assert all(batch.num_rows for batch in found)
    assert len({batch.schema.to_string() for batch in found}) <= 1
    return [tuple(row.values()) for batch in found for row in batch.to_pylist()]


def read_async(source):
    async def main():
        return [batch async for batch in Stream(source)]

    return [tuple(row.values()) for batch in asyncio.run(main()) for row in batch.to_pylist()]


def open_files():
    return sorted(
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{fd}")
    )


# --- what names files


@EVERY
def test_a_path(format, tmp_path):
    make, write, word = FORMATS[format]
    path = tmp_path / f"t.{format}"
    write(TABLE, str(path))
    for where in (str(path), path):
        source = make(where)
        assert source.schema.equals(TABLE.schema)
        assert (source.bounded, source.replayable) == (True, True)
        assert source.text == f"{word} {path}"
        assert read(source) == read(source) == read_async(source) == ROWS
    assert make(path).rows == (5 if format == "parquet" else None)
    assert str(path) not in open_files()


@EVERY
def test_columns_in_the_order_wanted(format, tmp_path):
    make, write, _ = FORMATS[format]
    path = tmp_path / "t"
    write(TABLE, str(path))
    for wanted in (["c", "a"], ["b"], ["a", "b", "c"]):
        expected = [tuple(row[name] for name in wanted) for row in TABLE.to_pylist()]
        source = make(path, columns=wanted)
        assert source.schema.names == wanted
        assert read(source) == expected
        assert read(make(path), wanted) == expected
    assert read(make(path, columns=["c", "a"]), ["a"]) == [(a,) for a, _, _ in ROWS]
    with make(path).open([]) as batches:
        assert sum(batch.num_rows for batch in batches) == 5
    with pytest.raises(errors.UnknownColumnError, match="has no column 'aa'; did you mean 'a'"):
        make(path, columns=["aa"])
    with pytest.raises(errors.UnknownColumnError, match="has no column 'b'"):
        make(path, columns=["a"]).open(["b"])
    for wrong in ("a", ["a", "a"], [1], 5, b"a", {"a"}):
        with pytest.raises(errors.PlanError, match="columns="):
            make(path, columns=wrong)


@EVERY
def test_batch_size(format, tmp_path):
    make, write, _ = FORMATS[format]
    write(TABLE, str(tmp_path / "t"))
    sizes = [batch.num_rows for batch in make(tmp_path / "t", batch_size=2).open()]
    assert max(sizes) <= 2
    assert sum(sizes) == 5
    assert read(make(tmp_path / "t", batch_size=1)) == ROWS


@EVERY
def test_lists_globs_and_directories(format, tmp_path):
    make, write, word = FORMATS[format]
    folder = tmp_path / "d"
    (folder / "deep").mkdir(parents=True)
    for k, name in enumerate(["b", "a", "deep/c"]):
        write(TABLE.slice(k, 1), str(folder / name))
    (folder / "_SUCCESS").write_text("nothing of the kind")
    (folder / ".hidden").write_text("nothing of the kind")
    assert read(make(folder)) == [ROWS[1], ROWS[0], ROWS[2]]
    assert make(folder).text == f"{word} {folder}, 3 files"
    assert read(make(f"{folder}/[ab]")) == [ROWS[1], ROWS[0]]
    assert read(make(f"{folder}/**/[a-z]")) == [ROWS[1], ROWS[0], ROWS[2]]
    one = make([folder / "b", f"{folder}/a"])
    assert read(one) == [ROWS[0], ROWS[1]]
    assert one.text == f"{word} 2 files"
    assert read(make([folder / "b", folder / "b"])) == [ROWS[0], ROWS[0]]


@EVERY
def test_what_is_not_there(format, tmp_path):
    make, write, _ = FORMATS[format]
    write(TABLE, str(tmp_path / "flights.x"))
    (tmp_path / "empty").mkdir()
    for where, message in (
        (tmp_path / "flight.x", "there is no file .*; did you mean 'flights.x'"),
        (tmp_path / "no" / "flights.x", "there is no file"),
        (f"{tmp_path}/*.y", "no file matches"),
        (tmp_path / "empty", "holds no file"),
    ):
        with pytest.raises(errors.MissingFileError, match=message) as caught:
            make(where)
        assert isinstance(caught.value, (errors.PlanError, FileNotFoundError))
    for where in ([], "", "a\0b", 5, io.StringIO("a\n1\n"), b"bytes", None):
        with pytest.raises(errors.PlanError):
            make(where)
    source = make(tmp_path / "flights.x")
    os.remove(tmp_path / "flights.x")
    with pytest.raises(FileNotFoundError):
        read(source)


@EVERY
def test_hive_partitions(format, tmp_path):
    make, write, _ = FORMATS[format]
    for k, (year, kind) in enumerate([("2013", "a b"), ("2014", "ä/"), (None, "07")]):
        folder = "year=" + (year or "__HIVE_DEFAULT_PARTITION__")
        path = tmp_path / folder / f"kind={kind.replace(' ', '%20').replace('/', '%2F')}"
        path.mkdir(parents=True)
        write(TABLE.slice(k, 1), str(path / "part-0"))
    source = make(tmp_path)
    assert source.schema.equals(
        TABLE.schema.append(pa.field("year", pa.int64())).append(pa.field("kind", pa.string()))
    )
    expected = [(*ROWS[0], 2013, "a b"), (*ROWS[1], 2014, "ä/"), (*ROWS[2], None, "07")]
    assert read(source) == expected
    assert read(make(f"{tmp_path}/year=2*/*/*")) == expected[:2]
    assert read(source, ["year"]) == [(2013,), (2014,), (None,)]
    assert read(make(tmp_path, columns=["kind", "a"])) == [("a b", 1), ("ä/", 2), ("07", 3)]
    with source.open([]) as batches:
        assert sum(batch.num_rows for batch in batches) == 3
    shutil.copy(path / "part-0", tmp_path / "loose")
    with pytest.raises(errors.PlanError, match=r"loose is in no folder year=…"):
        make(tmp_path)


def test_a_column_of_the_file_goes_before_one_of_its_folder(tmp_path):
    (tmp_path / "a=9").mkdir()
    write_parquet(TABLE, tmp_path / "a=9" / "x")
    assert read(sources.from_parquet(tmp_path)) == ROWS


@EVERY
def test_file_objects(format, tmp_path):
    make, write, word = FORMATS[format]
    memory = io.BytesIO()
    memory.write(b"junk")
    write(TABLE, memory) if format in ("json", "csv") else write(TABLE, pa.PythonFile(Keep(memory)))
    memory.seek(4)
    source = make(memory)
    assert source.schema.equals(TABLE.schema)
    assert source.text == f"{word} BytesIO"
    assert read(source) == read(source) == read_async(source) == ROWS
    assert not memory.closed
    first = source.open()
    next(first)
    with pytest.raises(errors.StateError, match="is being read by another run"):
        next(source.open())
    first.close()
    assert read(source) == ROWS
    (tmp_path / "t").write_bytes(memory.getvalue()[4:])
    with open(tmp_path / "t", "rb") as file:
        source = make(file, columns=["b"])
        assert read(source) == [(b,) for _, b, _ in ROWS]
        assert source.text == f"{word} {tmp_path / 't'}"


class Keep:
    """A file whose closing is ignored, as writers close what they are given."""

    def __init__(self, file):
        self.file = file
        self.closed = False

    def write(self, data):
        return self.file.write(data)

    def tell(self):
        return self.file.tell() - 4

    def flush(self):
        pass

    def close(self):
        pass

    def writable(self):
        return True

    def readable(self):
        return False

    def seekable(self):
        return False


class Own:
    """A file object of the user's: code of it must not run before a pass."""

    def __init__(self, data, seekable):
        self.file = io.BytesIO(data)
        self._seekable = seekable
        self.calls = 0

    def read(self, size=-1):
        self.calls += 1
        return self.file.read(size)

    def seek(self, *args):
        assert self._seekable
        return self.file.seek(*args)

    def tell(self):
        return self.file.tell()

    def seekable(self):
        self.calls += 1
        return self._seekable


@EVERY
@pytest.mark.parametrize("seekable", [True, False])
def test_a_users_file_object_is_touched_by_no_building(format, seekable, tmp_path):
    make, write, word = FORMATS[format]
    write(TABLE, str(tmp_path / "t"))
    file = Own((tmp_path / "t").read_bytes(), seekable)
    source = make(file)
    assert (source.schema, file.calls) == (None, 0)
    if not seekable and format in ("parquet", "ipc"):
        kind = errors.PlanError if format == "parquet" else errors.DataError
        with pytest.raises(kind, match="cannot seek" if format == "parquet" else "Own: "):
            read(source)
        return
    batches = source.open(["b"])
    assert [b for batch in batches for b in batch["b"].to_pylist()] == [b for _, b, _ in ROWS]
    assert batches.schema.equals(TABLE.schema)
    if seekable:
        assert read(source) == ROWS
    else:
        with pytest.raises(errors.StateError, match="cannot seek, and was read before"):
            read(source)
    with pytest.raises(errors.UnknownColumnError):
        read(make(Own((tmp_path / "t").read_bytes(), seekable), columns=["zz"]))


@EVERY
def test_file_objects_that_are_closed_or_give_nothing_of_the_kind(format):
    make = FORMATS[format][0]
    file = io.BytesIO(b"x")
    file.close()
    with pytest.raises(errors.StateError, match="BytesIO .* is closed"):
        make(file)
    with pytest.raises(errors.PlanError, match="is a file; from_csv"):
        sources.from_batches(file)

    class Text(Own):
        def read(self, size=-1):
            return "text"

    class Lost(Own):
        def tell(self):
            return None

    with pytest.raises(errors.DataError, match=r"read\(\) of .*Text gave str 'text', not bytes"):
        read(make(Text(b"x" * 99, True)))
    with pytest.raises((errors.DataError, TypeError)):
        read(make(Lost(b"x" * 99, True)))


def test_a_file_object_closed_after_the_source_was_made():
    file = io.BytesIO(b"a\n1\n")
    source = sources.from_csv(file)
    assert read(source) == [(1,)]
    file.close()
    for _ in range(2):
        with pytest.raises(errors.StateError, match="is closed"):
            read(source)


def test_an_error_of_a_users_file_object_keeps_its_type():
    class Fails(Own):
        def read(self, size=-1):
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        read(sources.from_csv(Fails(b"", True)))


@EVERY
def test_urls(format, tmp_path):
    fsspec = pytest.importorskip("fsspec")
    make, write, word = FORMATS[format]
    write(TABLE, str(tmp_path / "t"))
    memory = fsspec.filesystem("memory")
    data = (tmp_path / "t").read_bytes()
    for k, name in enumerate(["/d/y=1/b", "/d/y=2/a", "/d/_x"]):
        memory.pipe(name, data)
    try:
        source = make("memory://d/y=1/b")
        assert (source.text, source.replayable) == (f"{word} memory://d/y=1/b", True)
        assert read(source) == read(source) == ROWS
        assert read(make("memory://d")) == [(*row, y) for y in (1, 2) for row in ROWS]
        assert read(make("memory://d/*/a"), ["y"]) == [(2,)] * 5
        assert read(make(f"file://{tmp_path}/t")) == ROWS
        for missing in ("memory://d/none", "memory://d/*/none"):
            with pytest.raises(errors.MissingFileError):
                make(missing)
        with pytest.raises(errors.PlanError):
            make("nosuchscheme://x")
        with memory.open("/d/y=1/b", "rb") as file:
            assert read(make(file)) == ROWS
    finally:
        memory.rm("/d", recursive=True)


def test_a_url_without_fsspec(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises((errors.PlanError, ImportError), match="pip install fsspec"):
        sources.from_parquet("s3://bucket/x")


@pytest.mark.parametrize("format", ["csv", "json"])
def test_compressed_text(format, tmp_path):
    make, write, _ = FORMATS[format]
    plain = tmp_path / "t"
    write(TABLE, str(plain))
    (tmp_path / "t.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert read(make(tmp_path / "t.gz")) == ROWS
    assert read(make(tmp_path / "t.gz", columns=["b"])) == [(b,) for _, b, _ in ROWS]


# --- schemas between files


def two(tmp_path, write, first, second):
    write(first, str(tmp_path / "1"))
    write(second, str(tmp_path / "2"))
    return tmp_path


@pytest.mark.parametrize("format", ["parquet", "ipc", "ipcstream"])
def test_files_are_brought_to_the_first_ones_schema(format, tmp_path):
    make, write, _ = FORMATS[format]
    first = pa.table({"a": pa.array([1], pa.int64()), "b": ["x"]})
    second = pa.table({"a": pa.array([2], pa.int8()), "b": pa.nulls(1)})
    two(tmp_path, write, first, second)
    assert make(tmp_path).schema.equals(first.schema)
    assert read(make(tmp_path)) == [(1, "x"), (2, None)]
    assert read(make(tmp_path, columns=["b"])) == [("x",), (None,)]
    back = [tmp_path / "2", tmp_path / "1"]
    with pytest.raises(
        errors.SchemaError,
        match="column 'a' is int64, in the schema it is int8; column 'b' is string, in the schema it is null; declare it",
    ):
        read(make(back))
    assert read(make(back, schema=first.schema)) == [(2, None), (1, "x")]


MIXED = [
    (pa.table({"a": [1.5], "b": ["y"]}), "column 'a' is double, in the schema it is int64"),
    (pa.table({"a": [1]}), r"column 'b' \(string\) is missing"),
    (pa.table({"a": [1], "b": ["y"], "c": [1]}), r"column 'c' \(int64\) is not in the schema"),
    (pa.table({"b": ["y"], "a": [1]}), "the columns are b, a, in the schema they are a, b"),
]


@EVERY
@pytest.mark.parametrize(("second", "message"), MIXED)
@pytest.mark.parametrize("columns", [None, ["b"]])
def test_other_schemas_between_files_are_refused(format, second, message, columns, tmp_path):
    make, write, _ = FORMATS[format]
    two(tmp_path, write, pa.table({"a": [1], "b": ["x"]}), second)
    if format == "json":
        # Objects have no order, a missing key is null, and columns that nobody wants are not looked at.
        if "are b, a" in message or "missing" in message:
            expected = [(1, "x"), (1, None if "missing" in message else "y")]
            assert read(make(tmp_path)) == expected
            return
        if columns is not None:
            return
    if format == "csv" and "double" in message:
        if columns is not None:
            return
        message = "invalid value '1.5'"
    if format == "json" and "double" in message:
        message = "couldn't parse:1.5"
    batches = make(tmp_path, columns=columns).open()
    next(batches)
    with pytest.raises(errors.DataError, match=message) as caught:
        list(batches)
    assert str(tmp_path / "2") in str(caught.value)
    if "invalid" not in message and "parse" not in message:
        assert isinstance(caught.value, errors.SchemaError)
        assert str(tmp_path / "1") in str(caught.value)


def test_the_first_block_of_a_text_fixes_the_types(tmp_path):
    lines = ["1,x"] * 300_000 + ["2.5,x"]
    (tmp_path / "t.csv").write_text("a,b\n" + "\n".join(lines) + "\n")
    source = sources.from_csv(tmp_path / "t.csv")
    assert source.schema.field("a").type == pa.int64()
    with pytest.raises(
        errors.DataError, match=r"t.csv: In CSV column #0: Row #300002: .*invalid value '2.5'"
    ):
        read(source)
    declared = sources.from_csv(
        tmp_path / "t.csv", schema=pa.schema([("a", pa.float64()), ("b", pa.string())])
    )
    assert read(declared)[-1] == (2.5, "x")
    lines = ['{"a": 1}'] * 300_000 + ['{"a": 1, "z": 2}']
    (tmp_path / "t.json").write_text("\n".join(lines))
    source = sources.from_json(tmp_path / "t.json")
    with pytest.raises(
        errors.SchemaError, match=r"t.json does not fit .*column 'z' \(int64\) is not in"
    ):
        read(source)
    (tmp_path / "t.json").write_text("\n".join([*lines[:-1], '{"a": "x"}']))
    with pytest.raises(errors.DataError, match=r"t.json, line 300001: .*from number to string"):
        read(source)


def test_an_array_of_json_is_told(tmp_path):
    (tmp_path / "t").write_text('\n [{"a": 1}]')
    with pytest.raises(
        errors.DataError, match="holds one array; from_json reads one object a line"
    ):
        sources.from_json(tmp_path / "t")


# --- empty files and broken ones


@EVERY
def test_files_without_rows(format, tmp_path):
    make, write, _ = FORMATS[format]
    write(TABLE, str(tmp_path / "1"))
    write(TABLE.slice(0, 0), str(tmp_path / "2"))
    write(TABLE, str(tmp_path / "3"))
    assert read(make(tmp_path)) == ROWS + ROWS
    if format == "json":
        return
    source = make(tmp_path / "2")
    assert source.schema.names == TABLE.schema.names
    assert read(source) == []


@EVERY
def test_files_without_a_byte(format, tmp_path):
    make, write, _ = FORMATS[format]
    (tmp_path / "1").touch()
    with pytest.raises(errors.DataError, match=str(tmp_path / "1")):
        make(tmp_path / "1")
    write(TABLE, str(tmp_path / "2"))
    if format in ("csv", "json"):
        assert read(make(tmp_path)) == ROWS
        assert read(make(tmp_path, columns=["b"])) == [(b,) for _, b, _ in ROWS]
        assert read(make(tmp_path / "1", schema=TABLE.schema)) == []


@EVERY
def test_a_file_of_another_kind(format, tmp_path):
    make, write, _ = FORMATS[format]
    path = tmp_path / "t"
    path.write_bytes(bytes(range(256)) * 40)
    with pytest.raises(errors.DataError, match=str(path)):
        read(make(path))
    os.chmod(path, 0)
    if os.geteuid():
        with pytest.raises(PermissionError):
            make(path)


@functools.cache
def image(format):
    with tempfile.TemporaryDirectory() as folder:
        FORMATS[format][1](TABLE, f"{folder}/t")
        return Path(folder, "t").read_bytes()


@EVERY
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_damaged_files_give_typed_errors(format, data):
    whole = image(format)
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    for broken in (bytes(damaged), whole[:cut]):
        try:
            found = list(FORMATS[format][0](io.BytesIO(broken)).open())
        except errors.DataError:
            continue
        assert all(batch.num_rows for batch in found)


def test_names_that_are_not_utf8(tmp_path):
    (tmp_path / "t").write_bytes(b"a,\x80\n1,2\n")
    with pytest.raises(errors.DataError, match="t: the name of column 1 is not UTF-8"):
        sources.from_csv(tmp_path / "t")


# --- Parquet


def test_filters_keep_rows_and_skip_row_groups(tmp_path):
    path = tmp_path / "t"
    big = pa.table({"a": range(1000), "b": [str(k % 7) for k in range(1000)]})
    pq.write_table(big, path, row_group_size=100)
    for filters in (
        [("a", ">", 850)],
        [[("a", ">", 850)]],
        pc.field("a") > 850,
        [[("a", ">", 950)], [("a", "<=", 950), ("a", ">", 850)]],
    ):
        source = sources.from_parquet(path, filters=filters)
        assert source.rows is None
        assert [a for a, _ in read(source)] == list(range(851, 1000))
        assert [batch.num_rows for batch in source.open()] == [49, 100]
        # The filter reads a column that is not wanted.
        assert len(read(source, ["b"])) == 149
    assert read(sources.from_parquet(path, filters=[("a", ">", 5000)])) == []
    both = sources.from_parquet(path, filters=[("b", "in", ["3"]), ("a", "<", 20)])
    assert [a for a, _ in read(both)] == [3, 10, 17]


def test_filters_that_do_not_fit(tmp_path):
    write_parquet(TABLE, tmp_path / "t")
    for filters, kind, message in (
        ([("zz", ">", 1)], errors.UnknownColumnError, "has no column 'zz'"),
        (pc.field("aa") > 1, errors.UnknownColumnError, "did you mean 'a'"),
        ([("a", ">", "x")], errors.TypeMismatchError, "filters: "),
        ([("a", "~", 1)], errors.PlanError, "filters="),
        ("a > 1", errors.PlanError, "list of"),
        ([5], errors.PlanError, "filters="),
        ([], errors.PlanError, "filters="),
    ):
        with pytest.raises(kind, match=message):
            sources.from_parquet(tmp_path / "t", filters=filters)


def test_filters_on_the_names_of_folders(tmp_path):
    for k in range(3):
        (tmp_path / f"k={k}").mkdir()
        write_parquet(TABLE, tmp_path / f"k={k}" / "t")
    source = sources.from_parquet(tmp_path, filters=[("k", ">=", 1), ("a", "<", 3)])
    assert [(row[0], row[3]) for row in read(source)] == [(1, 1), (2, 1), (1, 2), (2, 2)]


@given(
    st.lists(st.one_of(st.none(), st.integers(-20, 20), st.just(2**60)), max_size=40),
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    st.integers(-20, 20),
    st.integers(1, 9),
)
@settings(deadline=None, max_examples=60)
def test_filters_keep_what_python_keeps(values, operator, limit, group):
    file = io.BytesIO()
    pq.write_table(pa.table({"a": pa.array(values, pa.int64())}), file, row_group_size=group)
    file.seek(0)
    kept = [v for v in values if v is not None and eval(f"{v} {operator} {limit}")]
    assert [
        a for (a,) in read(sources.from_parquet(file, filters=[("a", operator, limit)]))
    ] == kept


@pytest.mark.parametrize("columns", [None, ["a"]])
def test_parquet_holds_a_row_group_whatever_the_file(columns, tmp_path):
    rows = 300_000
    one = pa.table({"a": range(rows), "b": [f"text {k}" * 3 for k in range(rows)]})
    path = tmp_path / "t"
    with pq.ParquetWriter(path, one.schema, use_dictionary=False) as writer:
        for _ in range(12):
            writer.write_table(one, row_group_size=rows)
    decoded = one.select(columns or one.column_names).nbytes
    batch = decoded * 65536 / rows
    with sources.from_parquet(path, columns).open() as batches:
        base, peak, held = pa.total_allocated_bytes(), 0, []
        for found in batches:
            held = [*held[-3:], found]  # a consumer that holds four batches
            peak = max(peak, pa.total_allocated_bytes() - base)
    assert peak < decoded + 4 * batch
    del held, found
    assert pa.total_allocated_bytes() - base < 1 << 20


@EVERY
def test_a_pass_that_is_left_closes_its_file(format, tmp_path):
    make, write, _ = FORMATS[format]
    path = tmp_path / "t"
    write(TABLE, str(path))
    batches = make(path, batch_size=1).open()
    next(batches)
    assert str(path) in open_files() or format == "json"
    batches.close()
    assert str(path) not in open_files()

    async def main():
        batches = aiter(Stream(make(path, batch_size=1)))
        await anext(batches)
        await batches.aclose()

    asyncio.run(main())
    assert str(path) not in open_files()


@EVERY
def test_progress_grows_evenly(format, tmp_path):
    make, write, _ = FORMATS[format]
    rows = 150_000
    many = pa.table({"a": range(10**6, 10**6 + rows), "b": ["text"] * rows})
    for name in ("1", "2"):
        if format == "parquet":
            pq.write_table(many, tmp_path / name, row_group_size=20_000)
        elif format.startswith("ipc"):
            with FORMATS_OF_IPC[format](str(tmp_path / name), many.schema) as writer:
                writer.write_table(many, 20_000)
        else:
            write(many, str(tmp_path / name))
    read_rows, last = 0, 0.0
    batches = make(tmp_path).open()
    assert batches.progress == 0.0
    for batch in batches:
        read_rows += batch.num_rows
        assert batches.progress >= last
        last = batches.progress
        # A text is read up to a block ahead.
        assert abs(last - read_rows / (2 * rows)) < 0.3
    assert last > 0.99
    assert batches.progress == 1.0


FORMATS_OF_IPC = {"ipc": ipc.new_file, "ipcstream": ipc.new_stream}


def test_columns_whose_names_look_like_paths(tmp_path):
    odd = pa.table({"a.b": [1, 2], "a": [{"b": 3}, {"b": 4}], "x y": [5, 6]})
    write_parquet(odd, tmp_path / "t")
    source = sources.from_parquet(tmp_path / "t")
    for name in odd.column_names:
        assert read(source, [name]) == [(v,) for v in odd[name].to_pylist()]
