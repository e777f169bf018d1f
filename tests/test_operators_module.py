"""`sabot.operators`: arguments, schemas, functions of every kind, a user's own operators, and `Stream.apply`."""

from __future__ import annotations

import doctest
import importlib
import inspect
import itertools
import pkgutil
import threading

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import sabot as sb
from sabot import (
    DataError,
    PlanError,
    SchemaError,
    StateError,
    Stream,
    TypeMismatchError,
    UnknownColumnError,
    operators,
)
from sabot._errors import CompileError
from sabot.operators import (
    BaseOperator,
    FilterOperator,
    FlatMapOperator,
    MapOperator,
    SelectOperator,
    UnionOperator,
)

pytestmark = pytest.mark.api

FIRST = pa.record_batch({"a": [1, None, 3], "s": ["x", "y", "z"], "p": [True, None, False]})
SECOND = pa.record_batch({"a": [4, 5], "s": ["u", None], "p": [True, True]})
BATCHES = [FIRST, SECOND]
SCHEMA = FIRST.schema
OTHER = pa.record_batch({"b": [1]})


def same(batch):
    return batch


def tens(a):
    return a is not None and a > 2


def values(batches, name="a"):
    return [value for batch in batches for value in batch[name].to_pylist()]


class Count(BaseOperator):
    """Numbers the batches that it sees, and lets every second go."""

    seen = 0

    def process_batch(self, batch):
        self.seen += 1
        if self.seen % 2 == 0:
            return None
        return pa.record_batch({"seen": [self.seen] * batch.num_rows})


# --- the module


def test_what_there_is():
    assert operators.__all__ == sorted(operators.__all__)
    for name in operators.__all__:
        thing = getattr(operators, name)
        assert issubclass(thing, BaseOperator)
        assert inspect.getdoc(thing)
        for member, value in vars(thing).items():
            if not member.startswith("_"):
                assert inspect.getdoc(value), f"{name}.{member}"


@pytest.mark.parametrize("name", [m.name for m in pkgutil.iter_modules(operators.__path__)])
def test_examples_in_docstrings(name):
    module = importlib.import_module(f"sabot.operators.{name}")
    assert doctest.testmod(module).failed == 0


# --- arguments

WRONG = {
    "no function": (
        lambda: MapOperator(None, 3),
        PlanError,
        "MapOperator takes a function, not int",
    ),
    "a scalar function": (
        lambda: MapOperator(BATCHES, lambda a: a),
        PlanError,
        "use with_columns",
    ),
    "a scalar function in flat_map": (
        lambda: FlatMapOperator(BATCHES, tens),
        PlanError,
        "use with_columns",
    ),
    "vectorized by something": (
        lambda: MapOperator(None, same, vectorized=np.array([1, 2])),
        PlanError,
        r"vectorized=array\(.*: it is True or False",
    ),
    "no predicate": (lambda: FilterOperator(None, "a > 1"), PlanError, "a function, not str"),
    "an unknown parameter": (
        lambda: FilterOperator(BATCHES, lambda a, ss: a),
        UnknownColumnError,
        "did you mean 's'",
    ),
    "a filter of a text column": (
        lambda: FilterOperator(BATCHES, sb.col("s")),
        TypeMismatchError,
        "Boolean",
    ),
    "an unknown column": (
        lambda: SelectOperator(BATCHES, ["ss"]),
        UnknownColumnError,
        "did you mean 's'",
    ),
    "one name": (lambda: SelectOperator(None, "a"), PlanError, r"such as \['a'\]"),
    "no names": (lambda: SelectOperator(None, None), PlanError, "list of names"),
    "a name twice": (lambda: SelectOperator(None, ["a", "a"]), PlanError, "twice"),
    "a name that is none": (lambda: SelectOperator(None, [1]), PlanError, "is a str"),
    "a source that gives nothing": (
        lambda: MapOperator(3, same),
        PlanError,
        "MapOperator reads record batches.*not int",
    ),
    "a path": (lambda: MapOperator("x.parquet", same), PlanError, "not str"),
    "a source that is a function": (
        lambda: MapOperator(lambda: BATCHES, same),
        PlanError,
        "call it, or give Stream.from_batches",
    ),
    "a list of something else": (lambda: MapOperator([{"a": 1}], same), PlanError, "item 0"),
    "a schema that is none": (
        lambda: MapOperator(None, same, schema={"a": int}),
        PlanError,
        "dict",
    ),
    "a union of nothing": (lambda: UnionOperator(), PlanError, "needs the sources"),
    "a union with None": (lambda: UnionOperator(BATCHES, None), PlanError, "needs the sources"),
    "a union of others": (
        lambda: UnionOperator(BATCHES, [OTHER]),
        PlanError,
        "'b': none and int64",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name):
    make, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("fn", [lambda a: a, lambda s, p: s])
def test_a_scalar_function_in_map_is_the_error_of_stream(fn):
    with pytest.raises(PlanError) as stream:
        Stream.from_batches(BATCHES).map(fn)
    for operator in (
        lambda: MapOperator(BATCHES, fn),
        lambda: MapOperator(None, fn).process_batch(FIRST),
        lambda: MapOperator(None, fn, vectorized=True).process_batch(FIRST),
        lambda: next(iter(MapOperator(iter(BATCHES), fn))),
        lambda: Stream.from_batches(BATCHES).apply(MapOperator(None, fn)),
    ):
        with pytest.raises(PlanError) as caught:
            operator()
        assert str(caught.value) == str(stream.value)


def test_errors_of_columns_come_with_the_first_batch_where_nothing_tells_them_before():
    for operator in (
        SelectOperator(iter(BATCHES), ["ss"]),
        FilterOperator(iter(BATCHES), lambda a, ss: a),
    ):
        with pytest.raises(UnknownColumnError, match="did you mean 's'"):
            list(operator)
    with pytest.raises(UnknownColumnError, match="did you mean 's'"):
        SelectOperator(None, ["ss"]).process_batch(FIRST)


@pytest.mark.parametrize(
    "operator",
    [
        MapOperator(None, same),
        FilterOperator(None, tens),
        SelectOperator(None, ["a"]),
        FlatMapOperator(None, lambda b: [b]),
    ],
)
def test_process_batch_takes_batches(operator):
    with pytest.raises(DataError, match=r"takes a pyarrow.RecordBatch, not Table"):
        operator.process_batch(pa.table(FIRST))


@pytest.mark.parametrize("kind", [MapOperator, FilterOperator, SelectOperator, UnionOperator])
def test_operators_that_exist_are_final(kind):
    with pytest.raises(TypeError, match=f"{kind.__name__} cannot be subclassed; subclass BaseOper"):
        type("Mine", (kind,), {})


@pytest.mark.parametrize("option", [{"on_error": "skip"}, {"max_concurrency": 2}])
def test_options_of_a_run_are_for_streams(option):
    name = next(iter(option))
    with pytest.raises(PlanError, match=f"{name}= of its udf would have no effect; use Stream.map"):
        MapOperator(None, sb.udf(same, **option))
    assert values(MapOperator(BATCHES, sb.udf(same))) == [1, None, 3, 4, 5]


class Adds:
    """An object that is called with batches."""

    def __call__(self, batch):
        return {"y": pc.add(batch["a"], 1)}


class Keeps:
    """An object that is called with values."""

    def __init__(self, least):
        self.least = least

    def __call__(self, a) -> bool:
        return a is not None and a > self.least


async def later(batch):
    return batch


async def later_parts(batch):
    yield batch


def test_functions_that_only_streams_run():
    for make in (
        lambda: MapOperator(None, later),
        lambda: MapOperator(None, sb.udf(later)),
        lambda: FlatMapOperator(None, later_parts),
    ):
        with pytest.raises(PlanError, match="does not await; Stream.(flat_)?map awaits"):
            make()
    with pytest.raises(
        PlanError, match=r"Adds is a class: Adds\(...\) makes one; Stream.map build"
    ):
        MapOperator(None, Adds)


def test_what_is_not_called_directly_runs_as_in_a_stream(monkeypatch):
    monkeypatch.setattr("sabot.operators._calls.bind", lambda fn, schema, operator: None)
    mapped = MapOperator(BATCHES, RESULTS["a dict"])
    assert values(mapped, "y") == [2, None, 4, 5, 6]
    assert mapped.process_batch(FIRST)["y"].to_pylist() == [2, None, 4]
    flat = FlatMapOperator(BATCHES, lambda b: [b.slice(0, 1), b.slice(1)])
    assert values(flat) == [1, None, 3, 4, 5]
    assert flat.process_batch(FIRST).equals(FIRST)


def test_objects_that_are_called():
    assert values(MapOperator(BATCHES, Adds()), "y") == [2, None, 4, 5, 6]
    assert values(FilterOperator(BATCHES, Keeps(3))) == [4, 5]
    with pytest.raises(PlanError, match="use with_columns"):
        MapOperator(BATCHES, Keeps(3))


# --- functions

RESULTS = {
    "a dict": lambda b: {"y": pc.add(b["a"], 1)},
    "a table": lambda b: pa.table({"y": pc.add(b["a"], 1)}),
    "a table in chunks": lambda b: pa.concat_tables(
        [pa.table({"y": pc.add(b.slice(k, 1)["a"], 1)}) for k in range(b.num_rows)]
    ),
    "a batch": lambda b: pa.record_batch({"y": pc.add(b["a"], 1)}),
}


@pytest.mark.parametrize("name", RESULTS)
def test_what_map_functions_may_give(name):
    fn = RESULTS[name]
    expected = Stream.from_batches(BATCHES).map(fn).collect()
    assert pa.Table.from_batches(MapOperator(BATCHES, fn)) == expected
    result = MapOperator(None, fn).process_batch(FIRST)
    assert isinstance(result, pa.RecordBatch)
    assert result["y"].to_pylist() == [2, None, 4]


@pytest.mark.parametrize("result", [3, "text", [FIRST], object()])
def test_what_map_functions_may_not_give_is_the_error_of_stream(result):
    def fn(batch):
        return result

    with pytest.raises(DataError) as stream:
        Stream.from_batches(BATCHES).map(fn).collect()
    with pytest.raises(DataError) as caught:
        MapOperator(None, fn).process_batch(FIRST)
    assert str(caught.value) == str(stream.value)


MASKS = {
    "an array": lambda b: pc.greater(b["a"], 2),
    "numpy": lambda b: np.arange(b.num_rows) > 0,
    "chunks": lambda b: pa.chunked_array([[True], [False] * (b.num_rows - 1)]),
    "a scalar function": tens,
    "of two columns": lambda a, s: (a or 0) > 2 or s == "y",
    "nothing": lambda a: False,
    "everything": lambda b: pa.array([True] * b.num_rows),
    "a column": sb.col("p"),
}


@pytest.mark.parametrize("name", MASKS)
def test_predicates_are_those_of_stream(name):
    predicate = MASKS[name]
    expected = Stream.from_batches(BATCHES).filter(predicate).collect()
    given = list(FilterOperator(BATCHES, predicate))
    assert all(batch.num_rows for batch in given)
    assert pa.Table.from_batches(given, schema=SCHEMA) == expected
    direct = [FilterOperator(None, predicate).process_batch(batch) for batch in BATCHES]
    assert pa.Table.from_batches(direct) == expected


@pytest.mark.parametrize("mask", [True, [True], np.array([1, 0, 1]), pa.array([True])])
def test_masks_that_are_none_are_the_error_of_stream(mask):
    with pytest.raises(DataError) as stream:
        Stream.from_batches(BATCHES).filter(lambda batch: mask).collect()
    with pytest.raises(DataError) as caught:
        FilterOperator(None, lambda batch: mask).process_batch(FIRST)
    assert str(caught.value) == str(stream.value)


def test_a_scalar_predicate_that_fails_names_the_row():
    def fussy(s):
        return 1 / (s != "z") > 0

    with pytest.raises(ZeroDivisionError) as caught:
        list(FilterOperator(iter(BATCHES), fussy))
    engine, own = caught.value.__notes__
    assert "row 2: s='z'" in engine
    assert own == "in FilterOperator: batch 0, rows 0 to 2 of its input"


def test_a_scalar_predicate_from_several_threads():
    operator = FilterOperator(None, lambda a: a % 2 == 0)
    batches = [pa.record_batch({"a": list(range(k, k + 50))}) for k in range(16)]
    found = [None] * len(batches)

    def work(first):
        for k in range(first, len(batches), 4):
            found[k] = values([operator.process_batch(batches[k])])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[v for v in range(k, k + 50) if v % 2 == 0] for k in range(16)]


def test_batches_of_another_schema_are_told_anew():
    operator = FilterOperator(None, lambda a: a)
    assert operator.process_batch(pa.record_batch({"a": [0, 1]}))["a"].to_pylist() == [1]
    assert operator.process_batch(pa.record_batch({"a": ["", "x"]}))["a"].to_pylist() == ["x"]
    mask = pa.record_batch({"a": [True, False]})
    assert operator.process_batch(mask)["a"].to_pylist() == [True]
    chosen = SelectOperator(None, ["a"])
    for batch in (FIRST, pa.record_batch({"x": [0], "a": [7]})):
        assert chosen.process_batch(batch).schema.names == ["a"]


def test_a_predicate_over_types_that_pyarrow_cannot_filter():
    batch = pa.RecordBatch.from_arrays(
        [pa.array(["x", "y", None], pa.string_view()), pa.array([1, 2, 3]), pa.array([4, 5, 6])],
        ["mask", "mask_", "mask_"],
    )
    kept = FilterOperator(None, lambda b: np.array([True, False, True])).process_batch(batch)
    assert kept.schema == batch.schema
    assert [column.to_pylist() for column in kept.columns] == [["x", None], [1, 3], [4, 6]]
    nothing = FilterOperator(None, lambda b: np.zeros(3, bool)).process_batch(batch)
    assert (nothing.num_rows, nothing.schema) == (0, batch.schema)


def test_vectorized_is_the_same_function():
    expected = list(MapOperator(BATCHES, RESULTS["a dict"]))
    for fn in (RESULTS["a dict"], sb.udf(RESULTS["a dict"], compile="off")):
        assert list(MapOperator(BATCHES, fn, vectorized=True)) == expected
    with pytest.raises(PlanError, match="MapOperator takes a function, not int"):
        MapOperator(BATCHES, 3, vectorized=True)
    with pytest.raises(PlanError, match='its udf says compile="require"'):
        MapOperator(BATCHES, sb.udf(same, compile="require"), vectorized=True)
    with pytest.raises(CompileError):
        MapOperator(BATCHES, sb.udf(same, compile="require"))


def test_flat_map_functions_may_yield():
    def parts(batch):
        for k in range(batch.num_rows):
            yield {"k": [k], "a": batch["a"].slice(k, 1)}

    operator = FlatMapOperator(BATCHES, parts)
    assert [batch.num_rows for batch in operator] == [1] * 5
    assert values(operator, "k") == [0, 1, 2, 0, 1]
    assert operator.process_batch(FIRST)["k"].to_pylist() == [0, 1, 2]
    assert FlatMapOperator(None, lambda b: []).process_batch(FIRST) is None
    assert list(FlatMapOperator(BATCHES, lambda b: [b.slice(0, 0)])) == []


@pytest.mark.parametrize("result", [FIRST, None, 3, [None], [3]])
def test_what_flat_map_functions_may_not_give_is_the_error_of_stream(result):
    def fn(batch):
        return result

    with pytest.raises(DataError) as stream:
        Stream.from_batches(BATCHES).flat_map(fn).collect()
    with pytest.raises(DataError) as caught:
        list(FlatMapOperator(BATCHES, fn))
    assert str(caught.value) == str(stream.value)


# --- schemas


def test_schemas_that_are_known():
    assert MapOperator(BATCHES, same).get_schema() is None
    assert MapOperator(BATCHES, same, schema=SCHEMA).get_schema() == SCHEMA
    assert FilterOperator(BATCHES, tens).get_schema() == SCHEMA
    assert FilterOperator(iter(BATCHES), tens).get_schema() is None
    assert UnionOperator(BATCHES, iter(BATCHES)).get_schema() == SCHEMA
    chosen = SelectOperator(FilterOperator(Stream.from_batches(BATCHES), tens), ["s"])
    assert chosen.get_schema() == pa.schema([("s", pa.string())])
    assert BaseOperator().get_schema() is None


def test_a_declared_schema_gives_null_columns_their_type():
    wanted = pa.schema([("y", pa.int64())])
    operator = MapOperator(BATCHES, lambda b: {"y": [None] * b.num_rows}, schema=wanted)
    assert [batch.schema for batch in operator] == [wanted, wanted]


@pytest.mark.parametrize(
    "operator",
    [
        MapOperator(BATCHES, same, schema=OTHER.schema),
        FilterOperator(BATCHES, tens, schema=OTHER.schema),
        SelectOperator(BATCHES, ["a"], schema=OTHER.schema),
        FlatMapOperator(BATCHES, lambda b: [b], schema=OTHER.schema),
        UnionOperator(BATCHES, schema=OTHER.schema),
        BaseOperator(BATCHES, schema=OTHER.schema),
    ],
    ids=lambda operator: operator.get_operator_name(),
)
def test_a_declared_schema_is_checked(operator):
    assert operator.get_schema() == OTHER.schema
    with pytest.raises(SchemaError, match="column .b. .int64. is missing"):
        list(operator)


def test_the_first_result_fixes_the_schema_of_a_pass():
    kinds = itertools.cycle([pa.int64(), pa.int32(), pa.string()])
    operator = MapOperator([FIRST] * 3, lambda b: {"y": pa.nulls(3, next(kinds))})
    passed = iter(operator)
    assert [next(passed).schema.field("y").type for _ in range(2)] == [pa.int64()] * 2
    with pytest.raises(SchemaError, match="'y' is string, in the schema it is int64"):
        next(passed)


def test_batches_of_the_source_have_one_schema():
    with pytest.raises(SchemaError, match="column 'a'"):
        list(BaseOperator(iter([FIRST, OTHER])))


# --- sources and passes


@pytest.mark.parametrize(
    "source",
    [
        BATCHES,
        tuple(BATCHES),
        pa.Table.from_batches(BATCHES),
        FIRST,
        pl.from_arrow(pa.Table.from_batches(BATCHES)),
        Stream.from_batches(BATCHES),
        BaseOperator(BATCHES),
    ],
    ids=lambda source: type(source).__name__,
)
def test_what_can_be_passed_over_again(source):
    operator = FilterOperator(source, lambda b: pc.is_valid(b.column("a")))
    first = values(operator)
    assert first in ([1, 3], [1, 3, 4, 5])
    assert values(operator) == first


@pytest.mark.parametrize(
    "make",
    [
        lambda: iter(BATCHES),
        lambda: (batch for batch in BATCHES),
        lambda: pa.Table.from_batches(BATCHES).to_reader(),
        lambda: BaseOperator(iter(BATCHES)),
        lambda: map(same, BATCHES),
    ],
)
def test_what_can_be_passed_over_once(make):
    operator = SelectOperator(make(), ["a"])
    assert values(operator) == [1, None, 3, 4, 5]
    assert list(operator) == []
    broken = SelectOperator(make(), ["a"])
    assert values([next(iter(broken))]) == [1, None, 3]
    assert list(broken) == []


def test_a_stream_stays_strict():
    operator = BaseOperator(Stream.from_batches(iter(BATCHES)))
    assert values(operator) == [1, None, 3, 4, 5]
    with pytest.raises(StateError, match="read only once"):
        list(operator)


def test_an_operator_is_a_source_of_streams():
    operator = FilterOperator(BATCHES, tens)
    assert Stream.from_batches(operator).select("a").collect()["a"].to_pylist() == [3, 4, 5]


@pytest.mark.asyncio
async def test_without_a_source_there_is_nothing():
    assert list(MapOperator(None, same)) == []
    assert [batch async for batch in MapOperator(None, same)] == []


def test_empty_batches_are_not_seen():
    seen = []
    list(MapOperator([FIRST.slice(0, 0), FIRST, FIRST.slice(3)], lambda b: seen.append(b.num_rows)))
    assert seen == [3]


def test_two_passes_at_once():
    operator = SelectOperator(BATCHES, ["a"])
    assert [a.equals(b) for a, b in zip(operator, operator, strict=True)] == [True, True]


# --- operators of the user's own


def test_what_an_operator_says_of_itself():
    plain = BaseOperator()
    assert (plain.is_stateful(), plain.get_partition_keys()) == (False, [])
    assert (plain.get_parallelism_hint(), plain.requires_shuffle()) == (1, False)
    assert Count().get_operator_name() == "Count"
    assert BaseOperator().process_batch(FIRST) is FIRST


@pytest.mark.parametrize(
    ("stateful", "keys", "shuffle"),
    [(False, (), False), (True, (), False), (False, ("a",), False), (True, ("a", "s"), True)],
)
def test_keyed_state_needs_a_shuffle(stateful, keys, shuffle):
    class Keyed(BaseOperator):
        _stateful = stateful
        _key_columns = keys
        _parallelism_hint = 8

    class Told(BaseOperator):
        def is_stateful(self):
            return stateful

        def get_partition_keys(self):
            return list(keys)

        def get_parallelism_hint(self):
            return 8

    for operator in (Keyed(), Told()):
        assert operator.is_stateful() is stateful
        assert operator.get_partition_keys() == list(keys)
        assert operator.get_parallelism_hint() == 8
        assert operator.requires_shuffle() is shuffle


def test_an_operator_with_state():
    assert values(Count([FIRST, SECOND, SECOND]), "seen") == [1, 1, 1, 3, 3]


def test_an_operator_without_the_base_constructor():
    class Bare(BaseOperator):
        def __init__(self):
            self.calls = 0

        def process_batch(self, batch):
            self.calls += 1
            return batch

    bare = Bare()
    assert list(bare) == []
    assert Stream.from_batches(BATCHES).apply(bare).count() == 5
    assert bare.calls == 2


@pytest.mark.parametrize("result", [3, [FIRST], "text"])
def test_a_result_that_is_no_batch(result):
    class Odd(BaseOperator):
        def process_batch(self, batch):
            return result

    kind = type(result).__name__
    for run in (list, lambda op: Stream.from_batches(BATCHES).apply(Odd()).collect()):
        with pytest.raises(DataError, match=f"Odd.process_batch returned {kind}; it returns a Rec"):
            run(Odd(BATCHES))


def test_process_batch_is_no_coroutine():
    class Later(BaseOperator):
        async def process_batch(self, batch):
            return batch

    with pytest.raises(DataError, match="returned coroutine"):
        list(Later(BATCHES))


# --- in a stream


def test_apply_runs_in_order_and_drops_none():
    stream = Stream.from_batches([FIRST, SECOND, SECOND]).apply(Count())
    assert stream.schema is None
    assert stream.collect()["seen"].to_pylist() == [1, 1, 1, 3, 3]
    first, second = stream.explain().splitlines()
    assert first == "APPLY Count   columns as the first batch has them"
    assert second.startswith("└─ BATCHES list of 3")


def test_apply_between_functions():
    stream = (
        Stream.from_table(pa.Table.from_batches(BATCHES))
        .filter(lambda b: pc.is_valid(b.column("a")))
        .apply(SelectOperator(None, ["a"]))
        .with_columns(y=lambda a: a * 2)
        .apply(FilterOperator(None, lambda y: y > 2))
        .apply(FlatMapOperator(None, lambda b: [b.slice(k, 1) for k in range(b.num_rows)]))
    )
    assert stream.collect().to_pydict() == {"a": [3, 4, 5], "y": [6, 8, 10]}
    text = stream.explain()
    places = [
        text.index(f"APPLY {name}")
        for name in ("FlatMapOperator", "FilterOperator", "SelectOperator")
    ]
    assert places == sorted(places)


def test_apply_knows_schemas():
    stream = Stream.from_batches(BATCHES)
    assert stream.apply(SelectOperator(None, ["s"])).schema == pa.schema([("s", pa.string())])
    assert stream.apply(FilterOperator(None, tens)).schema == SCHEMA
    assert stream.apply(MapOperator(None, same, schema=SCHEMA)).schema == SCHEMA
    assert stream.apply(MapOperator(None, same)).schema is None
    with pytest.raises(UnknownColumnError, match="did you mean 's'"):
        stream.apply(SelectOperator(None, ["ss"]))
    with pytest.raises(UnknownColumnError, match="did you mean 's'"):
        stream.apply(FilterOperator(None, lambda a, ss: a))


def test_apply_checks_the_schema_that_the_operator_declares():
    class Wrong(BaseOperator):
        def get_schema(self):
            return OTHER.schema

    stream = Stream.from_batches(BATCHES).apply(Wrong())
    assert stream.schema == OTHER.schema
    with pytest.raises(SchemaError, match=r"column 'b' \(int64\) is missing"):
        stream.collect()

    class NoSchema(BaseOperator):
        def get_schema(self):
            return {"a": int}

    with pytest.raises(PlanError, match="not dict"):
        Stream.from_batches(BATCHES).apply(NoSchema())


def test_apply_where_the_first_batch_tells_the_columns():
    stream = Stream.from_batches(batch for batch in BATCHES).apply(SelectOperator(None, ["a"]))
    assert stream.schema is None
    assert stream.collect().to_pydict() == {"a": [1, None, 3, 4, 5]}


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (MapOperator(BATCHES, same), r"apply\(MapOperator\): it has a source.*source=None"),
        (UnionOperator(BATCHES), "source"),
        (Count, r"not a class: Count\(\) makes one"),
        (int, "not a class$"),
        (same, "not function; map takes functions"),
        (None, "not NoneType"),
    ],
)
def test_what_apply_does_not_take(op, message):
    with pytest.raises(PlanError, match=message):
        Stream.from_batches(BATCHES).apply(op)


def test_apply_says_where_it_failed():
    class Fails(BaseOperator):
        def process_batch(self, batch):
            if 4 in batch["a"].to_pylist():
                raise LookupError("four")
            return batch

    with pytest.raises(LookupError) as caught:
        Stream.from_batches(BATCHES).apply(Fails()).collect()
    assert caught.value.__notes__ == ["in APPLY Fails: batch 1, rows 3 to 4 of its input"]


def test_apply_keeps_boundedness_and_stops_with_a_limit():
    counted = Count()
    endless = Stream.from_batches_unbounded(lambda: itertools.repeat(FIRST)).apply(counted)
    assert not endless.is_bounded()
    assert Stream.from_batches(BATCHES).apply(Count()).is_bounded()
    assert endless.limit(4).collect()["seen"].to_pylist() == [1, 1, 1, 3]
    assert counted.seen == 3


def test_apply_is_zero_copy():
    stream = Stream.from_batches(BATCHES).apply(SelectOperator(None, ["a"]))
    for given, batch in zip(stream, BATCHES, strict=True):
        assert given["a"].buffers()[1].address == batch["a"].buffers()[1].address


@pytest.mark.asyncio
async def test_apply_on_an_event_loop():
    async def source():
        for batch in (FIRST, SECOND, SECOND):
            yield batch

    stream = Stream.from_batches(source()).apply(Count())
    assert values([batch async for batch in stream], "seen") == [1, 1, 1, 3, 3]
