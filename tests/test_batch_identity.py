"""Batches that Python made are handed on as the objects they are, until an operator of the engine changes them."""

from __future__ import annotations

import gc
import weakref

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import sabot as sb
from sabot import Stream

pytestmark = pytest.mark.api

TABLE = pa.table({"a": list(range(12)), "b": [None if i % 4 == 1 else f"t{i}" for i in range(12)]})


def batches() -> list[pa.RecordBatch]:
    return TABLE.to_batches(max_chunksize=4)


def same(batch):
    return batch


def copied(batch):
    return pa.RecordBatch.from_arrays(batch.columns, schema=batch.schema)


def are(given, wanted) -> bool:
    return len(given) == len(wanted) and all(a is b for a, b in zip(given, wanted, strict=True))


def test_what_goes_in_comes_out():
    for build in (
        lambda s: s,
        lambda s: s.map(same),
        lambda s: s.map(same, schema=TABLE.schema),
        lambda s: s.map(same).map(same),
        lambda s: s.map(same, schema=TABLE.schema).map(same).map(same),
        lambda s: s.filter(lambda batch: pc.is_valid(batch.column("a"))),
        lambda s: s.map(same, schema=TABLE.schema).filter(lambda a: a >= 0).map(same),
    ):
        for threads in (1, 3):
            with sb.config(threads=threads):
                given = batches()
                assert are(list(build(Stream.from_batches(given))), given)


def test_a_function_gets_the_very_object_that_another_gave():
    made: list[pa.RecordBatch] = []
    seen: list[pa.RecordBatch] = []

    def makes(batch):
        made.append(copied(batch))
        return made[-1]

    def sees(batch):
        seen.append(batch)
        return batch

    for schema in (None, TABLE.schema):
        made.clear()
        seen.clear()
        given = list(Stream.from_batches(batches()).map(makes, schema=schema).map(sees))
        assert are(seen, made)
        assert are(given, made)


def test_behind_an_operator_the_batch_is_made_once():
    seen: list[pa.RecordBatch] = []

    def sees(batch):
        seen.append(batch)
        return batch

    given = list(Stream.from_batches(batches()).select("b").map(sees).map(sees))
    assert are(seen[0::2], given)
    assert are(seen[1::2], given)
    assert pa.Table.from_batches(given).equals(TABLE.select(["b"]))


def test_what_an_operator_changes_is_another_batch():
    given = batches()
    kept = list(
        Stream.from_batches(given).map(same).filter(lambda batch: pc.greater(batch.column("a"), 1))
    )
    assert kept[0] is not given[0]
    assert are(kept[1:], given[1:])
    assert pa.Table.from_batches(kept).equals(TABLE.slice(2))


def test_operators_read_what_functions_gave():
    stream = (
        Stream.from_batches(batches())
        .map(copied, schema=TABLE.schema)
        .with_columns(c=lambda a: a + 1)
        .map(same)
        .select("c", "a")
        .map(copied)
    )
    wanted = pa.table({"c": list(range(1, 13)), "a": list(range(12))})
    assert stream.collect().equals(wanted)


def test_every_schema_is_the_known_one():
    """Metadata of the first batch stays, whether the batches cross into the engine or not."""
    first = TABLE.schema.with_metadata({"n": "0"})

    def numbered(batch):
        return batch.replace_schema_metadata({"n": str(batch.column("a")[0].as_py())})

    for build in (lambda s: s.map(numbered), lambda s: s.map(numbered).map(same)):
        given = list(build(Stream.from_batches(batches())))
        assert [batch.schema.metadata for batch in given] == [first.metadata] * 3
        assert pa.Table.from_batches(given).equals(TABLE)


def test_another_schema_is_an_error():
    def changes(batch):
        if batch.column("a")[0].as_py() == 0:
            return batch
        return batch.set_column(0, "a", pc.cast(batch.column("a"), pa.string()))

    for build in (
        lambda s: s.map(changes),
        lambda s: s.map(changes).map(same),
        lambda s: s.map(changes, schema=TABLE.schema),
        lambda s: s.map(changes, schema=TABLE.schema).select("a"),
    ):
        given = []
        with pytest.raises(sb.SchemaError):
            for batch in build(Stream.from_batches(batches())):
                given.append(batch)
        assert sum(batch.num_rows for batch in given) == 4


def test_objects_are_let_go():
    references: list[weakref.ref[pa.RecordBatch]] = []
    alive: list[int] = []

    def makes(batch):
        alive.append(sum(one() is not None for one in references))
        made = copied(batch)
        references.append(weakref.ref(made))
        return made

    source = [batches()[0]] * 50
    for build in (
        lambda s: s.map(makes),
        lambda s: s.map(makes).map(copied),
        lambda s: s.map(makes, schema=TABLE.schema).select("a"),
    ):
        references.clear()
        alive.clear()
        assert sum(batch.num_rows for batch in build(Stream.from_batches(source))) == 200
        gc.collect()
        assert max(alive) < 20
        assert not any(one() is not None for one in references)


def test_a_run_that_is_left_lets_go():
    given = batches()
    reference = weakref.ref(given[0])
    run = iter(Stream.from_batches(given).map(same).map(same))
    assert next(run) is reference()
    run.close()
    del given, run
    gc.collect()
    assert reference() is None
