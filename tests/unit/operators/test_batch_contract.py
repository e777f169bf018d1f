"""The batch-first contract of operator objects: batches in, batches out, whatever the source."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sabot.operators import (
    FilterOperator,
    FlatMapOperator,
    MapOperator,
    SelectOperator,
    UnionOperator,
)

ROWS = 100


@pytest.fixture
def sample_batches():
    return [
        pa.record_batch(
            {
                "id": pa.array(range(k * ROWS, (k + 1) * ROWS)),
                "value": pa.array([2 * j for j in range(ROWS)]),
                "category": pa.array(["AB"[j % 2] for j in range(ROWS)]),
            }
        )
        for k in range(10)
    ]


def whole(batches):
    return pa.Table.from_batches(batches)


def with_double(batch):
    return batch.append_column("doubled", pc.multiply(batch.column("value"), 2))


def large(batch):
    return pc.greater(batch.column("value"), 100)


def addresses(column):
    return [buffer.address for buffer in column.buffers() if buffer is not None]


class TestBatchContract:
    """Every operator gives record batches, and its functions get nothing else."""

    def test_operator_always_yields_batches(self, sample_batches):
        given = list(MapOperator(source=iter(sample_batches), map_func=lambda b: b))
        assert [type(batch) for batch in given] == [pa.RecordBatch] * 10
        assert [batch.num_rows for batch in given] == [ROWS] * 10
        assert whole(given).equals(whole(sample_batches))

    def test_process_batch_input_output_types(self, sample_batches):
        operator = MapOperator(source=None, map_func=with_double)
        result = operator.process_batch(sample_batches[0])
        assert isinstance(result, pa.RecordBatch)
        assert result.schema.names == ["id", "value", "category", "doubled"]
        assert result["doubled"].to_pylist() == [4 * j for j in range(ROWS)]

    def test_filter_returns_batches(self, sample_batches):
        given = list(FilterOperator(source=iter(sample_batches), predicate=large))
        assert {type(batch) for batch in given} == {pa.RecordBatch}
        kept = [v for b in sample_batches for v in b["id"].to_pylist() if v % ROWS > 50]
        assert [v for b in given for v in b["id"].to_pylist()] == kept

    def test_select_returns_batches(self, sample_batches):
        given = list(SelectOperator(source=iter(sample_batches), columns=["id", "value"]))
        assert {type(batch) for batch in given} == {pa.RecordBatch}
        assert whole(given).equals(whole(sample_batches).select(["id", "value"]))

    def test_flatmap_returns_batches(self, sample_batches):
        def split_batch(batch):
            return [batch.slice(0, batch.num_rows // 2), batch.slice(batch.num_rows // 2)]

        given = list(FlatMapOperator(source=iter(sample_batches), flat_map_func=split_batch))
        assert [(type(b), b.num_rows) for b in given] == [(pa.RecordBatch, ROWS // 2)] * 20
        assert whole(given).equals(whole(sample_batches))

    def test_union_returns_batches(self, sample_batches):
        given = list(UnionOperator(iter(sample_batches[:5]), iter(sample_batches[5:])))
        assert {type(batch) for batch in given} == {pa.RecordBatch}
        assert whole(given).equals(whole(sample_batches))

    def test_no_per_record_iteration(self, sample_batches):
        calls = []

        def note(batch):
            calls.append((type(batch), batch.num_rows))
            return batch

        list(MapOperator(source=iter(sample_batches), map_func=note))
        assert calls == [(pa.RecordBatch, ROWS)] * 10

    def test_empty_batches_handled(self):
        empty = pa.RecordBatch.from_pydict({"id": [], "value": []})
        assert list(MapOperator(source=iter([empty] * 5), map_func=lambda b: b)) == []

    def test_null_batches_handled(self, sample_batches):
        assert list(MapOperator(source=iter(sample_batches), map_func=lambda b: None)) == []


class TestBatchVsStreamingMode:
    """The same operator runs over sources that end, in plain code and on an event loop."""

    def test_sync_iteration_terminates(self, sample_batches):
        operator = MapOperator(source=iter(sample_batches), map_func=lambda b: b)
        assert sum(1 for _ in operator) == len(sample_batches)
        assert list(operator) == []

    @pytest.mark.asyncio
    async def test_async_iteration_with_finite_source(self, sample_batches):
        operator = MapOperator(source=iter(sample_batches), map_func=lambda b: b)
        given = [batch async for batch in operator]
        assert whole(given).equals(whole(sample_batches))
        assert [batch async for batch in operator] == []

    @pytest.mark.asyncio
    async def test_async_iteration_with_async_source(self, sample_batches):
        async def async_source():
            for batch in sample_batches[:5]:
                yield batch

        operator = MapOperator(source=async_source(), map_func=with_double)
        given = [batch async for batch in operator]
        assert len(given) == 5
        assert whole(given).equals(whole([with_double(b) for b in sample_batches[:5]]))


class TestZeroCopy:
    """What is not computed anew is not copied."""

    def test_select_is_zero_copy(self, sample_batches):
        batch = sample_batches[0]
        result = next(iter(SelectOperator(source=iter([batch]), columns=["id", "value"])))
        assert result.schema.names == ["id", "value"]
        for name in ("id", "value"):
            assert addresses(result[name]) == addresses(batch[name])

    def test_filter_minimal_copy(self, sample_batches):
        batch = sample_batches[0]
        result = next(iter(FilterOperator(source=iter([batch]), predicate=large)))
        assert result.num_rows == 49
        assert result.nbytes < batch.nbytes
        everything = FilterOperator(None, lambda b: np.ones(b.num_rows, bool))
        assert everything.process_batch(batch) is batch

    def test_an_added_column_leaves_the_others_in_place(self, sample_batches):
        batch = sample_batches[0]
        result = MapOperator(None, with_double).process_batch(batch)
        for name in batch.schema.names:
            assert addresses(result[name]) == addresses(batch[name])

    def test_slices_of_flat_map_are_views(self, sample_batches):
        batch = sample_batches[0]
        parts = list(FlatMapOperator([batch], lambda b: [b.slice(0, 10), b.slice(10)]))
        assert [addresses(part["id"]) for part in parts] == [addresses(batch["id"])] * 2

    def test_a_batch_given_back_is_the_same_object(self, sample_batches):
        given = list(MapOperator(sample_batches, lambda b: b))
        assert all(one is other for one, other in zip(given, sample_batches, strict=True))
