"""on_error: failed rows are null or dropped, recorded in the order of the source, and written to dead letters."""

from __future__ import annotations

import asyncio
import itertools
import os
import stat

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from support import BATCHES, TIERS, Trouble, function_report

import sabot as sb
from sabot import Stream, udf

pytestmark = pytest.mark.api

MODES = [("off", "auto"), *(("auto", tier) for tier in TIERS)]
WAYS = list(itertools.product(MODES, (1, 4), BATCHES))
ROWS = 500
TABLE = pa.table(
    {
        "n": list(range(ROWS)),
        "a": [None if k % 11 == 4 else k % 7 for k in range(ROWS)],
        "b": [k % 5 for k in range(ROWS)],
    }
)
COLUMNS = ["operator", "source", "row", "error", "message", "inputs"]


def in_all_ways(build, table=TABLE):
    """What a stream gives and which rows failed, the same however it runs."""
    seen = None
    for (mode, tier), threads, batch in WAYS:
        with sb.config(compile=mode, tier=tier, threads=threads):
            stream = build(Stream.from_table(table, batch))
            try:
                result = stream.collect().to_pylist()
            except Exception as error:
                result = (type(error), str(error), error.__notes__[0].split(", row ")[-1])
            run = stream.last_run
        got = result, run.errors.to_pylist(), run.errors_total
        seen = got if seen is None else seen
        assert got == seen, (mode, tier, threads, batch)
    return seen


def ratio(n, a, b):
    return n * a // b


def model(rows):
    """Each row's outcome: a value or an exception."""
    for row in rows:
        try:
            yield row, row["n"] * row["a"] // row["b"]
        except (TypeError, ZeroDivisionError) as error:
            yield row, error


OUTCOMES = list(model(TABLE.to_pylist()))
FAILED = [row["n"] for row, outcome in OUTCOMES if isinstance(outcome, Exception)]


# --- rows of scalar functions


def test_null():
    fn = udf(ratio, on_error="null")
    rows, errors, total = in_all_ways(lambda s: s.with_columns(y=fn))
    assert [row["y"] for row in rows] == [
        None if isinstance(outcome, Exception) else outcome for _, outcome in OUTCOMES
    ]
    assert total == len(errors) == len(FAILED)
    assert [error["row"] for error in errors] == FAILED
    first = errors[0]
    assert list(first) == COLUMNS
    assert first == {
        "operator": "WITH y = ratio(n, a, b)",
        "source": "TABLE 500 rows",
        "row": 0,
        "error": "ZeroDivisionError",
        "message": "integer division or modulo by zero",
        "inputs": "n=0, a=0, b=0",
    }
    assert errors[1]["error"] == "TypeError"
    assert errors[1]["inputs"] == "n=4, a=None, b=4"


def test_skip():
    fn = udf(ratio, on_error="skip")
    rows, errors, _ = in_all_ways(lambda s: s.with_columns(y=fn))
    assert rows == [
        {**row, "y": outcome} for row, outcome in OUTCOMES if not isinstance(outcome, Exception)
    ]
    assert [error["row"] for error in errors] == FAILED


@pytest.mark.parametrize("on_error", ["null", "skip"])
def test_filter(on_error):
    fn = udf(lambda n, a, b: n * a // b > 50, on_error=on_error)
    rows, errors, _ = in_all_ways(lambda s: s.filter(fn))
    assert rows == [
        row for row, outcome in OUTCOMES if not isinstance(outcome, Exception) and outcome > 50
    ]
    assert [error["row"] for error in errors] == FAILED
    assert errors[0]["operator"] == "FILTER <lambda>(n, a, b)"


def test_raise_is_what_it_was():
    result, errors, total = in_all_ways(lambda s: s.with_columns(y=udf(ratio)))
    assert result[0] is ZeroDivisionError
    assert (errors, total) == ([], 0)


def test_functions_of_one_operator():
    """A row that one drops is not given to those after it, while those before it have had it."""
    first = udf(lambda a: 10 // a, on_error="skip")
    second = udf(lambda b: 10 // b, on_error="null")
    third = udf(lambda n: 10 // (n % 3), on_error="skip")
    rows, errors, _ = in_all_ways(lambda s: s.with_columns(x=first, y=second, z=third))
    kept, failed = [], []
    for row in TABLE.to_pylist():
        if not row["a"]:
            failed.append((row["n"], "WITH x = <lambda>(a)"))
            continue
        if not row["b"]:
            failed.append((row["n"], "WITH y = <lambda>(b)"))
        if not row["n"] % 3:
            failed.append((row["n"], "WITH z = <lambda>(n)"))
            continue
        y = 10 // row["b"] if row["b"] else None
        kept.append({**row, "x": 10 // row["a"], "y": y, "z": 10 // (row["n"] % 3)})
    assert rows == kept
    assert [(error["row"], error["operator"]) for error in errors] == failed


def test_a_dropped_row_does_not_fail_later():
    drop = udf(lambda n: 1 // (n % 10 - 3), on_error="skip")

    def strict(n):
        return 1 // (n % 10 - 3)

    rows, errors, _ = in_all_ways(lambda s: s.with_columns(x=drop, y=strict))
    assert len(rows) == ROWS - ROWS // 10
    assert {error["row"] % 10 for error in errors} == {3}
    result, errors, _ = in_all_ways(lambda s: s.with_columns(y=strict, x=drop))
    assert result[0] is ZeroDivisionError
    assert result[2].startswith("3: n=3")
    assert errors == []


def test_operators_one_after_the_other():
    """Rows keep the number that they have in the source, past filters, drops, limits and batches."""
    odd = udf(lambda n: 1 // (n % 2), on_error="skip")
    third = udf(lambda n: 1 // (n % 3), on_error="null")

    def build(s):
        s = s.with_columns(x=odd).skip(2).rebatch(7).filter(lambda n: n > 20)
        return s.limit(200).with_columns(y=third).select("n", "y")

    rows, errors, _ = in_all_ways(build, TABLE.slice(0, 100))
    numbers = [n for n in range(100) if n % 2][2:]
    numbers = [n for n in numbers if n > 20]
    assert [row["n"] for row in rows] == numbers
    assert [e["row"] for e in errors if e["operator"].startswith("WITH y")] == [
        n for n in numbers if n % 3 == 0
    ]
    assert [e["row"] for e in errors if e["operator"].startswith("WITH x")] == list(
        range(0, 100, 2)
    )
    assert [e["row"] for e in errors] == sorted(e["row"] for e in errors)
    assert {e["source"] for e in errors} == {"TABLE 100 rows"}


def test_the_error_that_ends_the_run():
    """Rows behind it were computed, in batches and by other threads; nothing is said of them."""
    soft = udf(lambda n: 1 // (n % 4), on_error="null")

    def hard(n):
        return 1 // (n - 250)

    for build in (
        lambda s: s.with_columns(x=soft).with_columns(y=hard),
        lambda s: s.with_columns(x=soft, y=hard),
        lambda s: s.with_columns(x=soft).rebatch(100).with_columns(y=hard),
        lambda s: s.with_columns(x=soft).filter(lambda n: n % 2 == 0).filter(hard),
    ):
        result, errors, total = in_all_ways(build)
        assert result[0] is ZeroDivisionError
        assert [error["row"] for error in errors] == list(range(0, 251, 4))
        assert total == len(errors)


def test_a_batch_function_that_ends_the_run():
    soft = udf(lambda n: 1 // (n % 4), on_error="null")

    def stop(batch):
        if 250 in batch.column("n").to_pylist():
            raise Trouble(1, 2)
        return batch

    for mode, threads in itertools.product(("auto", "off"), (1, 4)):
        with sb.config(compile=mode, threads=threads):
            table = Stream.from_table(TABLE, 50)
            for build in (
                lambda s: s.with_columns(x=soft).map(stop),
                lambda s: s.with_columns(x=soft).rebatch(50).flat_map(lambda batch: [stop(batch)]),
            ):
                stream = build(table)
                with pytest.raises(Trouble):
                    stream.collect()
                rows = stream.last_run.errors["row"].to_pylist()
                assert rows == list(range(0, 300, 4))


def test_results_that_do_not_fit():
    for fn, kind, message in (
        (lambda n: 4611686018427387904 * n, "sabot.IntegerOverflowError", "does not fit 64 bits"),
        (as_annotated("int", lambda n: "x" if n > 2 else n), "sabot.CastError", "column is int64"),
        (as_annotated("str", lambda n: 1 if n > 2 else "a"), "sabot.CastError", "column is string"),
        (as_annotated("str", lambda n: "\ud800" if n > 2 else ""), "sabot.CastError", "UTF-8"),
        (
            as_annotated("bool", lambda n: {"a": True, "b": 1}["b" if n > 2 else "a"]),
            "sabot.CastError",
            "is bool",
        ),
        (as_annotated("float", lambda n: 2**60 + 1 if n > 2 else 1.0), None, "beyond 2**53"),
    ):
        for on_error in ("null", "skip"):
            rows, errors, _ = in_all_ways(
                lambda s, fn=fn, on_error=on_error: s.with_columns(y=udf(fn, on_error=on_error)),
                TABLE.slice(0, 6),
            )
            failed = {error["row"] for error in errors}
            assert failed and failed <= {2, 3, 4, 5}
            assert {error["error"] for error in errors} == {kind or "sabot.IntegerOverflowError"}
            assert all(message in error["message"] for error in errors)
            if on_error == "null":
                assert {row["n"] for row in rows if row["y"] is None} == failed
            else:
                assert {row["n"] for row in rows} == set(range(6)) - failed


def as_annotated(kind, fn):
    fn.__annotations__["return"] = kind
    return fn


def test_every_type_of_result():
    """Text and null columns have a path of their own to and from Python."""

    def text(n) -> str:
        return {1: "one", 2: "", 5: None}[n % 6]

    def flag(n) -> bool:
        return {1: True, 2: False, 5: None}[n % 6]

    def nothing(n) -> None:
        return {1: None, 2: None, 5: None}[n % 6]

    for fn, values in (
        (text, ("one", "", None)),
        (flag, (True, False, None)),
        (nothing, [None] * 3),
    ):
        found = dict(zip((1, 2, 5), values, strict=True))
        rows, errors, _ = in_all_ways(lambda s, fn=fn: s.with_columns(y=udf(fn, on_error="null")))
        assert [row["y"] for row in rows] == [found.get(n % 6) for n in range(ROWS)]
        assert [error["row"] for error in errors] == [n for n in range(ROWS) if n % 6 not in found]
        rows, _, _ = in_all_ways(lambda s, fn=fn: s.with_columns(y=udf(fn, on_error="skip")))
        assert [row["y"] for row in rows] == [found[n % 6] for n in range(ROWS) if n % 6 in found]


def test_no_row_is_left():
    for on_error in ("null", "skip"):
        fail = udf(lambda n: 1 // 0, on_error=on_error)
        stream = Stream.from_table(TABLE, 50).with_columns(y=fail).filter(lambda y: y is None)
        assert stream.count() == (ROWS if on_error == "null" else 0)
        assert stream.last_run.errors_total == ROWS
    strict = Stream.from_table(TABLE).with_columns(
        x=udf(lambda n: 1 // 0, on_error="skip"), y=ratio
    )
    assert strict.collect().schema.names == ["n", "a", "b", "x", "y"]


def test_an_argument_that_python_cannot_hold():
    times = pa.array([1, 2**60, 3], pa.timestamp("s"))
    fn = udf(lambda t, n: n if t else n, on_error="skip", returns=pa.int64())
    stream = Stream.from_table(pa.table({"t": times, "n": [1, 2, 3]})).with_columns(y=fn)
    assert stream.collect()["y"].to_pylist() == [1, 3]
    (error,) = stream.last_run.errors.to_pylist()
    assert (error["row"], error["inputs"]) == (1, "")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_failure_of_a_row_ends_the_run(error):
    def fn(n) -> int:
        if n == 3:
            raise error
        return 1 // (n - 1)

    stream = Stream.from_table(TABLE).with_columns(y=udf(fn, on_error="skip"))
    with pytest.raises(error):
        stream.collect()
    assert stream.last_run.errors["row"].to_pylist() == [1]


# --- batch functions


def failing_batches(batch):
    if batch.column("n")[0].as_py() % 100 == 50:
        raise Trouble("no", 3)
    return batch


def test_map_and_flat_map_skip_their_batch():
    map_ = udf(failing_batches, on_error="skip")
    flat = udf(lambda batch: iter([batch.slice(0, 10), failing_batches(batch)]), on_error="skip")
    lazy = udf(yielding, on_error="skip")
    for threads in (1, 4):
        with sb.config(threads=threads):
            source = Stream.from_table(TABLE).filter(lambda n: n % 2 == 0).rebatch(25)
            for stream, place in (
                (source.map(map_), "MAP failing_batches(batch)"),
                (source.map(map_, schema=TABLE.schema), "MAP failing_batches(batch)"),
                (source.flat_map(lazy), "FLAT_MAP yielding(batch)"),
                (source.flat_map(flat), "FLAT_MAP <lambda>(batch)"),
            ):
                kept = [n for n in range(0, ROWS, 2) if n % 100 < 50]
                found = stream.collect()["n"].to_pylist()
                assert sorted(set(found)) == kept
                errors = stream.last_run.errors.to_pylist()
                assert [error["row"] for error in errors] == [
                    n for n in range(0, ROWS, 2) if n % 100 >= 50
                ]
                assert errors[0] == {
                    "operator": place,
                    "source": "TABLE 500 rows",
                    "row": 50,
                    "error": "support.Trouble",
                    "message": "('no', 3)",
                    "inputs": "n=50, a=1, b=0",
                }


def yielding(batch):
    yield batch.slice(0, 1)
    yield failing_batches(batch).slice(1)


def test_a_batch_filter():
    for on_error in ("null", "skip"):
        fn = udf(lambda batch: pc.greater(failing_batches(batch).column("b"), 2), on_error=on_error)
        stream = Stream.from_table(TABLE, 50).filter(fn)
        assert stream.collect()["n"].to_pylist() == [
            n for n in range(ROWS) if n % 100 < 50 and n % 5 > 2
        ]
        assert stream.last_run.errors_total == ROWS // 2


def test_the_first_batch_fails_before_its_schema_is_known():
    fn = udf(lambda batch: failing_batches(batch).select(["n"]), on_error="skip")
    stream = Stream.from_table(TABLE.slice(50, 100), 50).map(fn)
    assert stream.collect().column_names == ["n"]
    assert stream.last_run.errors["row"].to_pylist() == list(range(50))
    every = Stream.from_table(TABLE.slice(50, 50)).map(fn)
    assert every.collect().num_columns == 0
    assert every.last_run.errors_total == 50


def test_results_of_batch_functions_that_do_not_fit():
    for made in (None, 3, {"x": ["y"]}):
        for call in ("map", "flat_map"):
            fn = udf(lambda batch, made=made: made, on_error="skip")
            stream = getattr(Stream.from_table(TABLE, 50), call)(fn, schema=TABLE.schema)
            assert stream.count() == 0
            assert stream.last_run.errors_total == ROWS


def test_rows_that_a_function_made_have_no_number():
    fn = udf(lambda n: 1 // (n % 2), on_error="null")
    for build in (
        lambda s: s.map(lambda batch: batch),
        lambda s: s.map(lambda batch: batch, schema=TABLE.schema),
        lambda s: s.flat_map(lambda batch: [batch], schema=TABLE.schema),
    ):
        for threads in (1, 4):
            with sb.config(threads=threads):
                stream = build(Stream.from_table(TABLE, 50)).with_columns(y=fn)
                stream.collect()
                errors = stream.last_run.errors
                assert errors["row"].null_count == ROWS // 2
                assert errors["inputs"].to_pylist() == [f"n={n}" for n in range(0, ROWS, 2)]


# --- the table


def test_the_schema_of_errors():
    stream = Stream.from_table(TABLE).with_columns(y=udf(ratio, on_error="null"))
    assert stream.last_run is None
    stream.limit(0).collect()
    stream.collect()
    errors = stream.last_run.errors
    assert errors.schema == pa.schema(
        [(name, pa.int64() if name == "row" else pa.string()) for name in COLUMNS]
    )
    strict = Stream.from_table(TABLE)
    strict.collect()
    assert strict.last_run.errors.schema == errors.schema
    assert (strict.last_run.errors.num_rows, strict.last_run.errors_total) == (0, 0)


def test_the_first_ten_thousand():
    """Of many threads' rows, those that come first in the source."""
    table = pa.table({"n": pa.array(range(40_000))})
    dead = udf(lambda n: n // 0, on_error="null")
    for mode, threads in itertools.product(("auto", "off"), (1, 4)):
        with sb.config(compile=mode, threads=threads, morsel_rows=1000):
            stream = Stream.from_table(table).with_columns(y=dead)
            assert stream.collect()["y"].null_count == 40_000
        assert stream.last_run.errors["row"].to_pylist() == list(range(10_000))
        assert stream.last_run.errors_total == 40_000
        assert function_report(stream)["rows_failed"] == 40_000


def test_the_report_counts():
    stream = Stream.from_table(TABLE).with_columns(
        x=lambda n: n, y=udf(ratio, on_error="null"), z=udf(ratio, on_error="skip")
    )
    stream = stream.rename(x="w").limit(400).with_columns(v=udf(lambda n: n // 0, on_error="null"))
    rows = stream.count()
    functions = stream.last_run.report["functions"]
    assert [function["rows_failed"] for function in functions][-1] == rows
    assert functions[0]["rows_failed"] == 0
    assert (
        functions[1]["rows_failed"]
        == functions[2]["rows_failed"]
        >= len([n for n in FAILED if n < 400])
    )


class Odd(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def test_texts_of_any_kind():
    def fn(n, s) -> int:
        if n == 0:
            raise Odd
        raise ValueError(f"\ud800{s[:5]}" + "y" * 20_000 * n)

    table = pa.table({"n": [0, 1], "s": ["x" * 1000, "\U0001f600" * 1000]})
    stream = Stream.from_table(table).with_columns(y=udf(fn, on_error="null"))
    stream.collect()
    first, second = stream.last_run.errors.to_pylist()
    assert (first["error"], first["message"]) == (f"{__name__}.Odd", "(its text cannot be made)")
    assert second["error"] == "ValueError"
    assert second["message"].startswith("\\ud800\U0001f600")
    assert len(second["message"]) <= 10_010
    assert [len(error["inputs"]) for error in (first, second)] == [200, 200]
    assert first["inputs"] == "n=0, s='" + "x" * 191 + "…"


def test_sources_have_their_own_rows():
    other = pa.table({"n": [0, 2], "a": [1, 1], "b": [0, 0]})
    fn = udf(ratio, on_error="skip")
    left = Stream.from_table(TABLE.slice(0, 6)).with_columns(y=fn)
    right = Stream.from_table(other).with_columns(y=fn)
    joined = left.union(right).with_columns(z=udf(lambda n: 1 // (n - 2), on_error="null"))
    joined.collect()
    errors = joined.last_run.errors.to_pylist()
    assert [(e["source"], e["row"]) for e in errors[:-1]] == [
        ("TABLE 6 rows", 0),
        ("TABLE 6 rows", 4),
        ("TABLE 6 rows", 5),
        ("TABLE 2 rows", 0),
        ("TABLE 2 rows", 1),
    ]
    assert errors[-1]["source"].startswith("UNION")
    assert errors[-1]["row"] == 1


# --- other ways of running


def test_async_iteration():
    async def drain(stream):
        return [batch.num_rows async for batch in stream]

    stream = Stream.from_table(TABLE, 50).with_columns(y=udf(ratio, on_error="skip"))
    assert sum(asyncio.run(drain(stream))) == ROWS - len(FAILED)
    assert stream.last_run.errors["row"].to_pylist() == FAILED


def test_a_run_that_is_left():
    """The rows that were computed until then."""

    def endless():
        while True:
            yield from TABLE.to_batches(50)

    stream = Stream.from_batches(endless).with_columns(y=udf(ratio, on_error="null"))
    for batch in stream:
        given = batch.num_rows
        break
    rows = stream.last_run.errors["row"].to_pylist()
    known = set(FAILED)
    assert [row for row in rows if row < given] == [n for n in FAILED if n < given]
    assert all(row % ROWS in known for row in rows)
    limited = stream.limit(60)
    assert limited.count() == 60
    rows = limited.last_run.errors["row"].to_pylist()
    assert [row for row in rows if row < 60] == [n for n in FAILED if n < 60]


def test_a_source_that_fails():
    def source():
        yield from TABLE.to_batches(50)[:3]
        raise OSError("gone")

    for threads in (1, 4):
        with sb.config(threads=threads):
            stream = Stream.from_batches(source, TABLE.schema)
            stream = stream.with_columns(y=udf(ratio, on_error="null"))
            with pytest.raises(OSError, match="gone"):
                stream.collect()
            assert stream.last_run.errors["row"].to_pylist() == [n for n in FAILED if n < 150]


def test_exceptions_keep_what_they_had():
    def inner(n):
        raise Trouble(n, "b")

    def fn(n) -> int:
        return inner(n)

    stream = Stream.from_table(TABLE).with_columns(y=fn)
    with pytest.raises(Trouble) as caught:
        stream.collect()
    error = caught.value
    assert (error.args, error.extra) == ((0, "b"), "kept")
    assert error.__notes__ == ["in WITH y = fn(n): operator 0, batch 0, row 0: n=0"]
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert frames[-2:] == ["fn", "inner"]


# --- dead letters


def letters(path):
    return pq.read_table(path).to_pylist()


def test_a_dead_letter_has_all_rows(tmp_path):
    path = tmp_path / "dead.parquet"
    table = pa.table({"n": pa.array(range(25_000))})
    fn = udf(lambda n: 1 // (n % 2), on_error="skip", dead_letter=path)
    for threads in (1, 4):
        with sb.config(threads=threads, morsel_rows=1000):
            stream = Stream.from_table(table).with_columns(y=fn)
            assert stream.count() == 12_500
        found = pq.read_table(path)
        assert found.schema.remove_metadata() == stream.last_run.errors.schema
        assert found["row"].to_pylist() == list(range(0, 25_000, 2))
        assert found.slice(0, 10_000).to_pylist() == stream.last_run.errors.to_pylist()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert os.listdir(tmp_path) == ["dead.parquet"]


def test_more_rows_than_are_held_back(tmp_path, monkeypatch):
    from sabot import _deadletter

    monkeypatch.setattr(_deadletter, "WINDOW_ROWS", 100)
    path = tmp_path / "dead.parquet"
    fn = udf(lambda n: n // 0, on_error="null", dead_letter=path)
    Stream.from_table(TABLE, 50).with_columns(y=fn).collect()
    assert [row["row"] for row in letters(path)] == list(range(ROWS))


def test_no_row_fails(tmp_path):
    path = tmp_path / "dead.parquet"
    path.write_bytes(b"of the run before")
    path.chmod(0o644)
    fn = udf(lambda n: n, on_error="skip", dead_letter=path)
    Stream.from_table(TABLE).filter(fn).collect()
    assert letters(path) == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_functions_share_a_dead_letter(tmp_path, monkeypatch):
    path = tmp_path / "dead.parquet"
    monkeypatch.chdir(tmp_path)
    one = udf(lambda n: 1 // (n % 2), on_error="null", dead_letter="dead.parquet")
    two = udf(lambda n: 1 // (n % 5), on_error="skip", dead_letter=str(path))
    stream = Stream.from_table(TABLE).with_columns(x=one).limit(100).filter(two)
    stream.collect()
    assert letters(path) == stream.last_run.errors.to_pylist()
    assert {row["operator"] for row in letters(path)} == {
        "WITH x = <lambda>(n)",
        "FILTER <lambda>(n)",
    }


def test_the_dead_letter_of_the_settings(tmp_path, monkeypatch):
    general, own = tmp_path / "general.parquet", tmp_path / "own.parquet"
    plain = udf(lambda n: 1 // (n % 2), on_error="null")
    named = udf(lambda n: 1 // (n % 5), on_error="null", dead_letter=own)
    stream = Stream.from_table(TABLE).with_columns(x=plain, y=named)
    with sb.config(dead_letter=general) as settings:
        assert settings["dead_letter"] == str(general)
        stream.collect()
    assert (len(letters(general)), len(letters(own))) == (250, 100)
    for path in (general, own):
        path.unlink()
    monkeypatch.setenv("SABOT_DEAD_LETTER", str(general))
    stream.collect()
    assert (len(letters(general)), len(letters(own))) == (250, 100)
    general.unlink()
    with sb.config(dead_letter=""):
        stream.collect()
    assert not general.exists()
    Stream.from_table(TABLE).with_columns(x=lambda n: n).collect()  # nothing that could fail
    assert not general.exists()


def test_a_run_that_fails_or_is_left_has_its_dead_letter(tmp_path):
    path = tmp_path / "dead.parquet"
    fn = udf(lambda n: 1 // (n % 2), on_error="null", dead_letter=path)

    def hard(n):
        return 1 // (n - 250)

    for threads in (1, 4):
        with sb.config(threads=threads):
            stream = Stream.from_table(TABLE, 50).with_columns(x=fn).filter(hard)
            with pytest.raises(ZeroDivisionError):
                stream.collect()
            assert [row["row"] for row in letters(path)] == list(range(0, 251, 2))
            path.unlink()
    for batch in Stream.from_table(TABLE, 50).with_columns(x=fn):
        assert not path.exists()  # it appears whole, at the end
        given = batch.num_rows
        break
    rows = [row["row"] for row in letters(path)]
    assert rows == list(range(0, len(rows) * 2, 2))
    assert len(rows) * 2 >= given
    assert os.listdir(tmp_path) == ["dead.parquet"]


def test_a_dead_letter_that_cannot_be_written(tmp_path):
    calls = []

    def seen(n) -> int:
        calls.append(n)
        return 1 // 0

    fn = udf(seen, on_error="null", dead_letter=tmp_path / "none" / "dead.parquet")
    with pytest.raises(FileNotFoundError):
        Stream.from_table(TABLE).with_columns(x=fn).collect()
    assert calls == []  # nothing runs in vain
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "dead.parquet"

    def remove(batch):
        for name in os.listdir(folder):
            (folder / name).unlink()
        folder.rmdir()
        return batch

    def broken(batch):
        remove(batch)
        raise Trouble(1, 2)

    fn = udf(lambda n: n // 0, on_error="null", dead_letter=path)
    with pytest.raises(OSError):
        Stream.from_table(TABLE).with_columns(x=fn).map(remove).collect()
    folder.mkdir()
    with pytest.raises(Trouble) as caught:
        Stream.from_table(TABLE).with_columns(x=fn).map(broken).collect()
    assert "the dead letter could not be written" in caught.value.__notes__[-1]


# --- functions with a stage of their own


def test_threads_and_async_functions_are_no_exception(tmp_path):
    """The same rows fail, in the same order, whoever calls the function."""
    path = tmp_path / "dead.parquet"

    async def awaited(n, a, b):
        await asyncio.sleep(0)
        return n * a // b

    seen = None
    for fn, options in (
        (ratio, {}),
        (ratio, {"max_concurrency": 3}),
        (awaited, {"max_concurrency": 3}),
    ):
        first = udf(fn, on_error="skip", returns=pa.int64(), dead_letter=path, **options)
        second = udf(lambda n, a: 1 // (n % 3) + a, on_error="null", dead_letter=path, **options)
        stream = Stream.from_table(TABLE, 64).with_columns(y=first, z=second).limit(200)
        rows = stream.collect()
        errors = [
            (error["row"], error["error"], error["message"], error["inputs"])
            for error in stream.last_run.errors.to_pylist()
            if error["row"] < 250
        ]
        seen = seen or (rows, errors)
        assert (rows, errors) == seen
        assert letters(path) == stream.last_run.errors.to_pylist()
        path.unlink()
        Stream.from_table(TABLE.slice(1, 1)).with_columns(y=first).collect()
        assert letters(path) == []
