"""Functions of arrays: in streams each batch gives what a call with the columns' arrays gives, compiled or not; so does `auto_compile`."""

import warnings

import numpy as np
import pyarrow as pa
import pytest
from support import cell, function_report
from test_batch_arrays import ONE, STATEMENTS, TWO, batch_of, outcome, same

import sabot as sb
from sabot import PlanError, Stream, apply, auto_compile, col, udf

N = 5000
RNG = np.random.default_rng(3)
TABLE = pa.table(
    {
        "x": RNG.normal(size=N),
        "y": RNG.integers(-50, 50, N),
        "b": RNG.random(N) < 0.5,
        "name": pa.array([str(k) for k in range(N)]),
    }
)


def function(body, params="x", **names):
    lines = body.split("; ") if "; " in body else [f"out = {body}"]
    text = f"def f({params}):\n" + "".join(f"    {line}\n" for line in [*lines, "return out"])
    return cell(text, np=np, pa=pa, K=3, **names)["f"]


def quiet(fn, *arrays):
    """What a call gives, and whether it did so without a warning."""
    result, error, warned = outcome(lambda: fn(*arrays))
    return None if error is not None or warned else result


# In streams


BODIES = [one for one in (*ONE, *STATEMENTS) if not any(w in one for w in ("y", "pa."))]
BODIES += [one for one in ONE if one not in BODIES]


@pytest.mark.parametrize("body", BODIES)
def test_one_array(body):
    fn = udf(function(body), kind="array", returns=None)
    for letter in ("f", "i"):
        batch = batch_of(letter)
        rows = [
            k
            for k in range(batch.num_rows)
            if quiet(fn.fn, batch["x"].slice(k, 1).to_numpy()) is not None
        ]
        if not rows:
            continue
        table = pa.Table.from_batches([batch]).take(rows)
        array = table["x"].combine_chunks().to_numpy()
        wanted = quiet(fn.fn, array)
        try:
            stream = Stream.from_table(table).with_columns(out=fn)
        except PlanError as error:
            assert (
                "cannot be told" in str(error)
                and sb.explain(fn, table.schema).mode == "interpreted"
            )
            continue
        if wanted is None:
            continue
        got = stream.collect()
        assert same(got["out"], pa.chunked_array([pa.array(wanted)])), body
        assert got.schema == stream.schema
        with sb.config(compile="off"):
            off = Stream.from_table(table).with_columns(out=fn)
            assert off.schema == stream.schema
            assert same(off.collect()["out"], got["out"]), body


def scaled(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Has a text before its statements."""
    return x * 2 + y / 4


def smooth(x: np.ndarray):
    out = np.empty(len(x))
    out[0] = x[0]
    for i in range(1, len(x)):
        out[i] = 0.1 * x[i] + 0.9 * out[i - 1]
    return out


def rows(x: "np.ndarray", k=3):
    made = []
    for value in x:
        total = 0.0
        for j in range(10):
            total += value * j * k
        made.append(total)
    return made


def waves(x: np.ndarray):
    return np.sin(x) + np.exp(x / 10)


def keep(x: np.ndarray, b: np.ndarray):
    return (x > 0) & b


def test_the_three_forms():
    x, y = TABLE["x"].to_numpy(), TABLE["y"].to_numpy()
    stream = Stream.from_table(TABLE, batch_size=N).with_columns(
        a=scaled, s=smooth, r=rows, w=waves
    )
    text = stream.explain()
    for label in (
        "WITH   a = scaled(x, y)",
        "array, whole form",
        "array, row form",
        "array, array form",
    ):
        assert label in text
    assert "in CPython" not in text
    got = stream.collect()
    assert got.column_names == ["x", "y", "b", "name", "a", "s", "r", "w"]
    for name, wanted in (("a", scaled(x, y)), ("s", smooth(x)), ("r", rows(x)), ("w", waves(x))):
        assert same(got[name], pa.chunked_array([pa.array(wanted)])), name
    assert function_report(stream)["rows_cpython"] == 0


def test_filter():
    stream = Stream.from_table(TABLE).filter(keep)
    assert "FILTER keep(x, b)   compiled, array, array form" in stream.explain()
    mask = keep(TABLE["x"].to_numpy(), TABLE["b"].to_numpy())
    assert stream.collect().equals(TABLE.filter(pa.array(mask)))
    with sb.config(compile="off"):
        assert Stream.from_table(TABLE).filter(keep).collect().equals(TABLE.filter(pa.array(mask)))
    with pytest.raises(sb.DataError, match="not of bool"):
        Stream.from_table(TABLE).filter(udf(lambda x: x, kind="array")).collect()


def test_columns_are_replaced_in_their_place():
    def doubled(x: np.ndarray):
        return x * 2

    fields = [
        pa.field("x", pa.float64(), nullable=False, metadata={"unit": "m"}),
        pa.field("z", pa.int8()),
    ]
    table = pa.table(
        [pa.array([1.0, 2.0]), pa.array([1, 2], pa.int8())], schema=pa.schema(fields, {"k": "v"})
    )

    def both(x: np.ndarray, z: np.ndarray):
        return x + z

    with pytest.raises(PlanError, match="z reads 'x', which is made here too"):
        Stream.from_table(table).with_columns(x=both, z=both)
    for settings in ({}, {"compile": "off"}):
        with sb.config(**settings):
            got = Stream.from_table(table).with_columns(x=doubled, new=doubled).collect()
            assert got.to_pydict() == {"x": [2.0, 4.0], "z": [1, 2], "new": [2.0, 4.0]}
            assert got.schema.metadata == {b"k": b"v"}
            assert got.schema.field("z") == fields[1]


def test_beside_functions_of_values():
    got = Stream.from_table(TABLE.slice(0, 3)).with_columns(
        p=lambda y: y + 1, a=scaled, q=lambda y: y * 2, c=col("name")
    )
    assert got.collect().column_names == ["x", "y", "b", "name", "p", "a", "q", "c"]


def test_given_columns():
    def times(values, by):
        return values * by

    table = pa.table({"a": [1.5, 2.0], "b": [2, 3]})
    stream = Stream.from_table(table).with_columns(
        c=apply(times, col("a"), col("b"), kind="array"),
        d=apply(times, col("a"), by=4, kind="array"),
        e=udf(times, kind="array")(col("b"), 0.5),
    )
    assert stream.explain().count("compiled, array") == 3
    assert stream.collect().select(["c", "d", "e"]).to_pydict() == {
        "c": [3.0, 6.0],
        "d": [6.0, 8.0],
        "e": [1.0, 1.5],
    }
    assert (
        Stream.from_table(table).filter(apply(lambda v: v > 1.6, col("a"), kind="array")).count()
        == 1
    )


def test_nulls_are_an_error_that_says_where():
    table = pa.table({"x": [1.0, None, 3.0]})
    for settings in ({}, {"compile": "off"}):
        with sb.config(**settings), pytest.raises(sb.DataError) as caught:
            Stream.from_table(table).with_columns(w=waves).collect()
        assert "takes 'x' as a NumPy array, and 1 of its 3 values here are null" in str(
            caught.value
        )
        assert caught.value.__notes__ == ["in WITH w = waves(x): operator 0, batch 0, rows 0 to 2"]
    skipping = udf(waves, kind="array", on_error="skip")
    stream = Stream.from_table(table, batch_size=1).with_columns(w=skipping)
    assert stream.collect()["x"].to_pylist() == [1.0, 3.0]
    assert stream.last_run.errors["row"].to_pylist() == [1]


def test_arrays_cannot_be_written_to():
    def cleared(x: np.ndarray, b: np.ndarray):
        b[:] = False
        return x

    for name in ("x", "b"):

        def written(array):
            array[:] = 0
            return array

        fn = apply(written, col(name), kind="array", returns=TABLE.schema.field(name).type)
        with pytest.raises(ValueError, match="read-only"):
            Stream.from_table(TABLE).with_columns(z=fn).collect()


def test_warnings_are_those_of_numpy():
    def inverse(x: np.ndarray):
        return 1 / x

    table = pa.table({"x": [1.0, 0.0]})
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        got = Stream.from_table(table).with_columns(i=inverse).collect()
    assert got["i"].to_pylist() == [1.0, float("inf")]
    assert [str(one.message) for one in seen] == ["divide by zero encountered in divide"]


def test_any_type_that_returns_says():
    @udf(kind="array", returns=pa.large_string())
    def shouted(name):
        return np.char.upper(name.astype(str)).astype(object)

    table = pa.table({"name": ["a", "b"]})
    stream = Stream.from_table(table).with_columns(up=shouted)
    assert stream.schema.field("up").type == pa.large_string()
    assert stream.collect()["up"].to_pylist() == ["A", "B"]


@pytest.mark.parametrize(
    "options", [{"max_concurrency": 2}, {"use_process": True}, {"batch_size": 2}, {"pure": True}]
)
def test_options(options):
    def lengths(x):
        return x * 0 + len(x)

    fn = udf(lengths, kind="array", returns=pa.float64(), **options)
    got = Stream.from_table(pa.table({"x": [1.0, 2.0, 3.0]})).with_columns(n=fn).collect()
    assert got["n"].to_pylist() == ([2.0, 2.0, 1.0] if "batch_size" in options else [3.0] * 3)


class Spread:
    def __init__(self):
        self.by = 3.0

    def of(self, x: np.ndarray):
        return x * self.by


def test_methods():
    stream = Stream.from_table(pa.table({"x": [1.0]})).with_columns(y=Spread().of)
    assert "compiled, array" in stream.explain()
    assert stream.collect()["y"].to_pylist() == [3.0]


def test_captured_numbers_are_watched():
    by = 2

    def times(x: np.ndarray):
        return x * by

    stream = Stream.from_table(pa.table({"x": [1.0]})).with_columns(y=times)
    assert stream.collect()["y"].to_pylist() == [2.0]
    by = 5
    assert stream.collect()["y"].to_pylist() == [5.0]


STREAM = Stream.from_table(TABLE)
REFUSED = {
    "no column": (
        lambda: STREAM.with_columns(q=udf(lambda xx: xx, kind="array")),
        "no such column; did you mean .x",
    ),
    "map": (lambda: STREAM.map(scaled), "use with_columns.name=scaled"),
    "untold": (
        lambda: STREAM.with_columns(q=udf(lambda x: np.unique(x), kind="array")),
        "udf.returns=",
    ),
    "other type": (
        lambda: STREAM.with_columns(q=udf(lambda x: x * 2, kind="array", returns=pa.int64())),
        "gives double, but returns= says int64",
    ),
    "nulls": (
        lambda: STREAM.with_columns(q=udf(waves, kind="array", nulls="skip")),
        "nulls=.skip. is for",
    ),
    "null results": (
        lambda: STREAM.with_columns(q=udf(waves, kind="array", on_error="null")),
        "on_error=.null.",
    ),
    "args": (
        lambda: udf(waves, kind="array", args={"x": pa.float64()}),
        "args= is for scalar functions",
    ),
    "require": (
        lambda: STREAM.with_columns(
            q=udf(lambda x: np.unique(x), kind="array", compile="require", returns=pa.float64())
        ),
        "cannot be compiled",
    ),
    "kind": (lambda: apply(waves, col("x"), kind="arrays"), "it is .scalar. or .array."),
    "no kind": (
        lambda: apply(waves, col("x"), kind=np.array(["array", "scalar"])),
        "it is .scalar. or .array.",
    ),
    "two kinds": (
        lambda: apply(udf(waves, kind="scalar"), col("x"), kind="array"),
        "but the udf says",
    ),
    "one value": (
        lambda: STREAM.with_columns(
            q=udf(lambda x: x[0] + 1, kind="array", returns=pa.float64())
        ).collect(),
        "returned one value, not an array",
    ),
    "table": (
        lambda: STREAM.with_columns(
            q=udf(lambda x: x.reshape(-1, 1), kind="array", returns=pa.float64())
        ).collect(),
        "an array of 2 dimensions",
    ),
    "too few": (
        lambda: STREAM.with_columns(
            q=udf(lambda x: x[:7], kind="array", returns=pa.float64())
        ).collect(),
        "returned 7 values for 5000 rows",
    ),
    "text": (
        lambda: STREAM.with_columns(
            q=udf(lambda x: "text", kind="array", returns=pa.float64())
        ).collect(),
        "returned str, not an array",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    call, message = REFUSED[name]
    with pytest.raises(sb.SabotError, match=message):
        call()


def test_report():
    report = sb.explain(scaled, TABLE.schema)
    assert (report.kind, report.mode, report.form) == ("array", "compiled", "array")
    assert report.signature == "scaled(x: double, y: int64) -> double"
    assert sb.explain(keep, TABLE.schema).signature.endswith("-> bool")
    unknown = sb.explain(
        udf(lambda x: np.unique(x), kind="array", returns=pa.float64()), TABLE.schema
    )
    assert (unknown.kind, unknown.mode) == ("array", "interpreted")
    assert (
        "a function of arrays runs in CPython, batch by batch: np.unique"
        in unknown.reasons[0].message
    )


# Calls


def like(got, wanted):
    """The same array as far as anybody can see."""
    assert type(got) is type(wanted)
    if isinstance(wanted, np.ndarray):
        assert (got.dtype, got.shape, got.flags.writeable) == (
            wanted.dtype,
            wanted.shape,
            wanted.flags.writeable,
        )
        assert got.tobytes() == wanted.tobytes() or same(pa.array(got + 0), pa.array(wanted + 0))
    else:
        assert got == wanted


@pytest.mark.parametrize(
    "body", [*ONE, *(one for one in STATEMENTS if "y" not in one and "pa." not in one)]
)
def test_auto_compile_of_one_array(body):
    fn = function(body)
    fast = auto_compile(fn)
    for letter in ("f", "i", "h", "s"):
        batch = batch_of(letter)
        array = np.repeat(batch["x"].to_numpy(), 40)
        for given in (array, array[: len(array) // 2], array[::2], array[:1], array[:0]):
            wanted, got = outcome(lambda g=given: fn(g)), outcome(lambda g=given: fast(g))
            assert got[1:] == wanted[1:]
            if wanted[1] is not None:
                assert got[0] is wanted[0]
                continue
            like(got[0], wanted[0])
            assert (got[0] is given) == (wanted[0] is given)
            assert np.shares_memory(got[0], given) == np.shares_memory(wanted[0], given)


@pytest.mark.parametrize("body", TWO)
def test_auto_compile_of_two_arrays(body):
    fn = function(body, "x, y")
    fast = auto_compile(fn)
    for letters in ("fi", "is", "hf"):
        batch = batch_of(letters)
        one, other = (np.repeat(batch[name].to_numpy(), 2) for name in "xy")
        for given in ((one, other), (one, other[:1]), (one[:1], other), (one, 3), (one, other[:5])):
            wanted, got = outcome(lambda g=given: fn(*g)), outcome(lambda g=given: fast(*g))
            assert got[1:] == wanted[1:]
            if wanted[1] is None:
                like(got[0], wanted[0])
            else:
                assert got[0] is wanted[0]


def test_auto_compile_says_what_it_compiled(caplog):
    caplog.set_level("DEBUG", "sabot.compile")
    x = TABLE["x"].to_numpy()
    for fn in (smooth, waves, scaled):
        args = (x,) if fn is not scaled else (x, TABLE["y"].to_numpy())
        fast = auto_compile(fn)
        like(fast(*args), fn(*args))
        like(fast(*args), fn(*args))
    assert sum("compiled smooth in" in line for line in caplog.messages) == 1
    assert len([line for line in caplog.messages if line.startswith("compiled")]) == 3

    def alias(x):
        return x

    assert auto_compile(alias)(x) is x
    assert "alias of arrays is not compiled: a result that is no new array" in caplog.text


def test_auto_compile_sees_what_changes():
    by = 2

    def times(x):
        return x * by

    fast = auto_compile(times)
    x = np.arange(100.0)
    assert fast(x)[1] == 2
    by = 3
    assert fast(x)[1] == 3


class Own(np.ndarray):
    pass


def test_other_arrays_go_to_the_function():
    fast = auto_compile(lambda v: v * 2)
    for given in (
        np.ones((50, 2)),
        np.ones(100).view(Own),
        np.ones(100, ">f8"),
        np.ones(100, complex),
        np.ones(100, "datetime64[s]").view("timedelta64[s]"),
        np.ma.ones(100),
    ):
        got, wanted = fast(given), given * 2
        assert type(got) is type(wanted) and got.dtype == wanted.dtype


def test_callers_may_write_to_what_they_get():
    fast = auto_compile(lambda v: v + 1)
    x = np.zeros(3000)
    one, two = fast(x), fast(x)
    one[:] = 7
    assert two[0] == 1 and fast(x)[0] == 1 and x[0] == 0
