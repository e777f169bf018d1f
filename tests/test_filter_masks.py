"""Filters by a Boolean column: rows that stay, their order, their numbers in the source, whatever the mask looks like."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

import sabot as sb
from sabot import Stream, col

ROWS = 3000


def bools(share: float, run: int, null: float) -> list[bool | None]:
    """Runs of equal values, `run` rows long on average."""
    rng = random.Random(f"{share} {run} {null}")
    made: list[bool | None] = []
    while len(made) < ROWS:
        value = None if rng.random() < null else rng.random() < share
        made += [value] * rng.randint(1, 2 * run - 1)
    return made[:ROWS]


MASKS = {
    f"{share} of runs of {run}, {null} null": bools(share, run, null)
    for share in (0.01, 0.3, 0.9)
    for run in (1, 90)
    for null in (0.0, 0.2)
}
MASKS |= {"all": [True] * ROWS, "none": [False] * ROWS, "null": [None] * ROWS}
TEXTS = [None if i % 7 == 0 else "x" * (i % 40) for i in range(ROWS)]
LISTS = [None if i % 11 == 0 else list(range(i % 6)) for i in range(ROWS)]


def batches_of(mask: list[bool | None], sizes: list[int]) -> list[pa.RecordBatch]:
    """Slices at all sorts of offsets."""
    table = pa.table(
        {
            "ok": pa.array(mask, pa.bool_()),
            "n": range(ROWS),
            "text": TEXTS,
            "list": LISTS,
            "word": pa.array(TEXTS).dictionary_encode(),
        }
    )
    whole = table.combine_chunks().to_batches()[0]
    made, at = [], 0
    while at < ROWS:
        size = sizes[len(made) % len(sizes)]
        made.append(whole.slice(at, size))
        at += size
    return made


@pytest.mark.parametrize("sizes", [[ROWS], [1, 70, 3, 300, 64]])
@pytest.mark.parametrize("name", MASKS)
def test_rows_whose_mask_is_true_stay(name, sizes):
    mask = MASKS[name]
    batches = batches_of(mask, sizes)
    wanted = [i for i in range(ROWS) if mask[i]]
    by_column = Stream.from_batches(batches).filter(col("ok"))
    by_argument = Stream.from_batches(batches).filter(lambda ok: ok)
    by_batch = Stream.from_batches(batches).filter(lambda b: b.column("ok"))
    for stream in (by_column, by_argument, by_batch):
        result = stream.collect()
        result.validate(full=True)
        assert result["n"].to_pylist() == wanted
        assert result["text"].to_pylist() == [TEXTS[i] for i in wanted]
        assert result["list"].to_pylist() == [LISTS[i] for i in wanted]
        assert result["word"].to_pylist() == [TEXTS[i] for i in wanted]
    known = Stream.from_batches(batches).filter(lambda ok: ok is not None)
    assert known.collect()["n"].to_pylist() == [i for i in range(ROWS) if mask[i] is not None]


def test_a_row_keeps_its_number_through_filters():
    def fails(n):
        return 10 // (n - 2345)

    mask = [i % 5 == 0 for i in range(ROWS)]
    for share in (5, 35):
        stream = (
            Stream.from_batches(batches_of(mask, [700]))
            .filter(col("ok"))
            .filter(lambda n, share=share: n % share == 0)
            .with_columns(y=fails)
        )
        with pytest.raises(ZeroDivisionError) as caught:
            stream.collect()
        assert any("row 2345" in note for note in caught.value.__notes__)


def test_a_run_that_only_selects_leaves_batches_whole():
    table = pa.table({"a": range(200_000), "b": range(200_000)})
    with sb.config(morsel_rows=1000):
        selected = list(Stream.from_table(table).select("b"))
        filtered = list(Stream.from_table(table).filter(lambda a: a >= 0).select("b"))
    assert [batch.num_rows for batch in selected] == [200_000]
    assert len(filtered) > 1


def test_filters_that_are_shorter_than_a_way_to_a_worker_need_none():
    rows = 2_000
    table = pa.table({"x": range(rows), "keep": [k % 100 == 0 for k in range(rows)]})
    batches = table.to_batches() * 5

    def workers(stream, **settings):
        with sb.config(morsel_rows=rows, **settings):
            assert stream.count() > 0
        return stream.last_run.report["workers"]

    short = Stream.from_batches(batches).filter(col("keep"))
    # A step that was kept waiting by other programs counts as a long one.
    assert any(workers(short) == 0 for _ in range(20))
    assert workers(short, threads=2) > 0
    assert workers(short, threads=1) > 0


def test_steps_that_are_long_get_workers():
    def long(x):
        return x * 3 % 7 + x % 5 - x // 3 * 2 >= -(10**6)

    table = pa.table({"x": range(300_000)})
    stream = Stream.from_batches(table.to_batches(max_chunksize=30_000)).filter(long)
    with sb.config(morsel_rows=30_000, tier="interpreter"):
        assert stream.count() == 300_000
    assert stream.last_run.report["workers"] > 0
