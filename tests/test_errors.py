"""Errors: their tree, and that every misuse gets one of them."""

from __future__ import annotations

import inspect

import pyarrow as pa
import pytest
from support import cell

import sabot as sb
from sabot import Stream, _core, _engine

pytestmark = pytest.mark.api

TABLE = pa.table({"a": [1, 2], "b": [0.5, None]})
TREE = {
    "SabotError": ("Exception",),
    "PlanError": ("SabotError", "ValueError"),
    "UnknownColumnError": ("PlanError",),
    "UnboundedError": ("PlanError",),
    "MissingFileError": ("PlanError", "FileNotFoundError"),
    "MissingLibraryError": ("PlanError", "ImportError"),
    "TargetExistsError": ("PlanError", "FileExistsError"),
    "TypeMismatchError": ("PlanError",),
    "CompileError": ("SabotError", "TypeError"),
    "DataError": ("SabotError", "ValueError"),
    "SchemaError": ("DataError",),
    "CastError": ("DataError",),
    "IntegerOverflowError": ("CastError", "OverflowError"),
    "ResourceError": ("SabotError", "MemoryError"),
    "StateError": ("SabotError", "RuntimeError"),
    "WorkerError": ("SabotError", "RuntimeError"),
}


def test_the_tree():
    classes = {
        name: thing
        for name, thing in vars(sb).items()
        if inspect.isclass(thing) and issubclass(thing, BaseException)
    }
    assert {name: tuple(b.__name__ for b in cls.__bases__) for name, cls in classes.items()} == TREE
    assert all(cls.__doc__ for cls in classes.values())


ODD = [
    None,
    0,
    -1,
    2**100,
    1.5,
    "a",
    b"a",
    "",
    "\ud800",
    "a\0b",
    [],
    {},
    object(),
    int,
    len,
    Stream,
    TABLE,
    lambda: 1,
    lambda *a, **k: 1,
    lambda a: a,
    lambda zzz, a: a,
    float("nan"),
    pa.int64(),
    pa.schema([]),
    pa.array([1]),
]
TYPED = (sb.SabotError, TypeError)


def safely(call, *args, **kwargs):
    """Calls it; what it raises must be typed. A result is used, since an object made of nonsense must not crash later."""
    try:
        result = call(*args, **kwargs)
    except TYPED as error:
        assert str(error)
        return
    if isinstance(result, Stream):
        assert result.explain()
        assert result.schema is None or result.schema.names is not None
        try:
            result.collect()
        except (*TYPED, pa.ArrowException, AttributeError):
            pass


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
def test_odd_arguments(odd):
    s = Stream.from_table(TABLE)
    safely(Stream.from_table, odd)
    safely(Stream.from_table, TABLE, odd)
    safely(s.with_columns, y=odd)
    safely(s.filter, odd)
    safely(s.map, odd)
    safely(s.map, lambda x: x, odd)
    safely(s.map, lambda x: x, schema=odd)
    safely(s.select, odd)
    safely(s.select, "a", odd)
    safely(sb.explain, odd, TABLE.schema)
    safely(sb.explain, lambda a: a, odd)
    safely(sb.explain, lambda a: a, {"a": odd})
    safely(sb.config, threads=odd)
    safely(sb.config, tier=odd)
    sb.config(threads=0, tier="auto")
    from sabot import _config

    _config._set.clear()


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
def test_odd_arguments_of_the_extension(odd):
    session = _engine.session()
    function = _core.Function
    blob = cell_blob()
    plan = _core.Plan(session, "x", TABLE.schema)
    core = function(session, blob, TABLE.schema)
    calls = [
        lambda: _core.Session(odd),
        lambda: _core.Session(None, odd),
        lambda: _core.Session(None, 0, odd),
        lambda: function(odd, blob, TABLE.schema),
        lambda: function(session, odd, TABLE.schema),
        lambda: function(session, blob, odd),
        lambda: core.text(odd),
        lambda: _core.Plan(odd, "x", TABLE.schema),
        lambda: _core.Plan(session, odd, TABLE.schema),
        lambda: _core.Plan(session, "x", odd),
        lambda: plan.with_columns(odd, [core]),
        lambda: plan.with_columns(["y"], odd),
        lambda: plan.with_columns(["y"], [odd]),
        lambda: plan.with_columns([odd], [core]),
        lambda: plan.with_columns([], [core]),
        lambda: plan.filter(odd),
        lambda: plan.select(odd),
        lambda: plan.select([odd]),
        lambda: plan.batch(odd, None, False),
        lambda: plan.batch("x", odd, False),
        lambda: _core.Run(plan, odd, (), {}, 0, 0, 0, [], 0),
        lambda: _core.Run(plan, TABLE, odd, {}, 0, 0, 0, [], 0),
        lambda: _core.Run(plan, TABLE, (), odd, 0, 0, 0, [], 0),
        lambda: _core.Run(plan, TABLE, (), {}, odd, 0, 0, [], 0),
        lambda: _core.Run(plan, TABLE, (), {}, 0, odd, 0, [], 0),
        lambda: _core.Run(plan, TABLE, (), {}, 0, 0, odd, [], 0),
        lambda: _core.Run(plan, TABLE, (), {}, 0, 0, 0, odd, 0),
        lambda: _core.Run(plan, TABLE, (), {}, 0, 0, 0, [], odd),
    ]
    for call in calls:
        try:
            call()
        except (*TYPED, ValueError, OverflowError, AttributeError, KeyError):
            pass


def cell_blob():
    from sabot._capture import capture

    return capture(cell("f = lambda a: a + 1")["f"]).blob


def test_blobs_that_are_none():
    blob = cell_blob()
    session = _engine.session()
    for cut in range(len(blob)):
        with pytest.raises(sb.DataError):
            _core.Function(session, blob[:cut], TABLE.schema)
    for place in range(len(blob)):
        for value in (0, 1, 0x7F, 0xFF):
            broken = blob[:place] + bytes([value]) + blob[place + 1 :]
            try:
                made = _core.Function(session, broken, TABLE.schema)
                assert made.report()
            except sb.SabotError:
                pass


def test_runs_that_are_closed_or_shared():
    plan = _core.Plan(_engine.session(), "x", TABLE.schema)
    run = _core.Run(plan, TABLE, (), {}, 1, 0, 0, [], 0)
    assert run.next() is not None
    assert run.next() is None
    run.cancel()
    run.close()
    run.close()
    run.cancel()
    for call in (run.next, run.report):
        with pytest.raises(sb.StateError, match="closed"):
            call()


def test_a_run_that_is_cancelled():
    plan = _core.Plan(_engine.session(), "x", TABLE.schema)
    run = _core.Run(plan, TABLE, (), {}, 1, 0, 0, [], 0)
    run.cancel()
    with pytest.raises(sb.SabotError, match="cancel"):
        run.next()


def test_a_source_that_fails():
    class Trouble(Exception):
        pass

    def batches():
        yield TABLE.to_batches()[0]
        raise Trouble("source")

    plan = _core.Plan(_engine.session(), "x", TABLE.schema)
    reader = pa.RecordBatchReader.from_batches(TABLE.schema, batches())
    run = _core.Run(plan, reader, (), {}, 1, 0, 0, [], 0)
    with pytest.raises(sb.SabotError, match="source"):
        while run.next() is not None:
            pass


def test_a_source_of_another_schema():
    plan = _core.Plan(_engine.session(), "x", pa.schema([("a", pa.string())]))
    with pytest.raises(sb.SabotError):
        run = _core.Run(plan, TABLE, (), {}, 1, 0, 0, [], 0)
        run.next()


def test_objects_cannot_be_made_otherwise():
    for cls in (_core.Session, _core.Function, _core.Plan, _core.Run):
        with pytest.raises(TypeError):
            cls.nonsense = 1
    for cls in (_core.Function, _core.Plan, _core.Run):
        with pytest.raises(TypeError):
            cls()


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda s: s.with_columns(), sb.PlanError, "with_columns needs name=function"),
        (lambda s: s.with_columns(y=5), sb.PlanError, "with_columns takes a function, not int"),
        (lambda s: s.filter("a > 1"), sb.PlanError, "filter takes a function, not str"),
        (lambda s: s.map(None), sb.PlanError, "map takes a function, not NoneType"),
        (lambda s: s.with_columns(y=lambda aa, b: aa), sb.UnknownColumnError, "did you mean 'a'"),
        (lambda s: s.with_columns(y=lambda q: q), sb.PlanError, "There is no column 'q'"),
        (lambda s: s.select("c"), sb.UnknownColumnError, "there is no column 'c'; there is 'a', 'b'"),
        (lambda s: Stream.from_table([1]), sb.PlanError, "takes a pyarrow.Table, not list"),
        (lambda s: Stream.from_table(TABLE, 0), sb.PlanError, "batch_size=0: it is a whole number from 1"),
        (lambda s: Stream.from_table(TABLE, 1.5), sb.PlanError, "batch_size=1.5: it is a whole number"),
        (lambda s: Stream.from_table(TABLE, 2**80), sb.PlanError, "batch_size=12089"),
        (lambda s: sb.explain(lambda a: a, None), sb.PlanError, "explain takes a pyarrow.Schema"),
        (lambda s: sb.explain(lambda a: a, {"a": "int"}), sb.PlanError, "explain takes a pyarrow.Schema"),
        (lambda s: s.map(lambda x: x, schema={"a": 1}), sb.PlanError, "schema= takes a pyarrow.Schema, not dict"),
    ],
)  # fmt: skip
def test_messages(build, error, message):
    with pytest.raises(error) as caught:
        build(Stream.from_table(TABLE))
    assert message in str(caught.value)


def test_a_column_that_there_is_twice():
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
    safely(Stream.from_table, table)
    with pytest.raises(sb.PlanError):
        Stream.from_table(table).with_columns(y=lambda a: a)


def test_methods_and_partials_and_callables():
    import functools

    class Thing:
        def method(self, a) -> int:
            return a + 1

        def __call__(self, a) -> int:
            return a + 2

    stream = Stream.from_table(TABLE)
    for fn, values in ((Thing().method, [2, 3]), (Thing(), [3, 4])):
        assert stream.with_columns(y=fn).collect()["y"].to_pylist() == values
    bound = functools.partial(Thing.method, None)
    assert stream.with_columns(y=bound).collect()["y"].to_pylist() == [2, 3]
