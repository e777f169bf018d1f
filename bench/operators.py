"""The operators' figures: filter, map, select, flat_map, union beside pyarrow, Polars, DuckDB and a bare loop over batches; what an
operator and a Python stage cost a batch; filter by mask, type by type; what streaming a Parquet file holds.

    make bench-operators
    PYTHONPATH=build-release/lib .venv/bin/python bench/operators.py --quick    # small data, no figures kept

Everybody has the threads that they take by themselves. What is compared are whole results: a `pyarrow.Table`, or a `polars.DataFrame`.
A ratio is Sabot's time over the other's.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import Table, machine, race
from operator_costs import costs
from operator_files import peaks
from operator_masks import masks

from sabot import Stream


class Sizes(NamedTuple):
    """How much of everything is measured."""

    rows: tuple[int, ...]
    batches: tuple[int, ...]
    rounds: int
    mask_rows: int
    cost_batches: int
    wide_batch: int  # rows of the largest batch that select is measured with
    group_rows: int  # rows of a Parquet row group


FULL = Sizes(
    rows=(1_000_000, 10_000_000),
    batches=(1 << 10, 1 << 14, 1 << 16, 1 << 20),
    rounds=3,
    mask_rows=1 << 20,
    cost_batches=1_000,
    wide_batch=1 << 20,
    group_rows=1 << 19,
)
QUICK = Sizes(
    rows=(2_000, 6_000),
    batches=(1 << 8, 1 << 9, 1 << 10, 1 << 11),
    rounds=1,
    mask_rows=1_000,
    cost_batches=5,
    wide_batch=1 << 12,
    group_rows=1 << 10,
)

Contenders = dict[str, Callable[[], Any]]


class Task(NamedTuple):
    """One operator's work. A contender's result may differ in text's type and in where batches end, in nothing else."""

    name: str
    goal: float  # rows a second that the source document asks for; 0: none
    make: Callable[[pa.Table, int], Contenders]


def table_of(rows: int) -> pa.Table:
    """Four columns, a tenth of each null; the pattern of `k` is random, the text has 0 to 11 characters."""
    rng = np.random.default_rng(rows)
    null = {name: rng.random(rows) < 0.1 for name in "kxbs"}
    words = pa.array(["", *(f"{'abcdef'[: i % 5]}{i * 7919 % 100_000}" for i in range(999))])
    return pa.table(
        {
            "k": pa.array(rng.integers(-1000, 1000, rows), mask=null["k"]),
            "x": pa.array(rng.random(rows), mask=null["x"]),
            "b": pa.array(rng.random(rows) < 0.5, mask=null["b"]),
            "s": words.take(pa.array(rng.integers(0, 1000, rows), mask=null["s"])),
        }
    )


def cut(table: pa.Table, size: int) -> list[pa.RecordBatch]:
    return table.combine_chunks().to_batches(max_chunksize=size)


def positive(k):
    return k is not None and k > 0


def above(batch: Any) -> Any:
    return pc.greater(batch.column("k"), 0)


def scaled(k, x):
    return None if k is None or x is None else x * 2.0 + k


def scale(batch: Any) -> pa.RecordBatch:
    k = batch.column("k")
    y = pc.add(pc.multiply(batch.column("x"), 2.0), pc.cast(k, pa.float64()))
    return pa.RecordBatch.from_arrays([k, y], ["k", "y"])


def halves(batch: Any) -> list[Any]:
    middle = batch.num_rows // 2
    return [batch.slice(0, middle), batch.slice(middle)]


def sql(text: str, **tables: pa.Table) -> Callable[[], pa.Table]:
    connection = duckdb.connect()
    for name, table in tables.items():
        connection.register(name, table)
    return lambda: connection.sql(text).to_arrow_table()


def filters(table: pa.Table, size: int) -> Contenders:
    batches, frame = cut(table, size), pl.from_arrow(table, rechunk=False)
    table = pa.Table.from_batches(batches)
    stream = Stream.from_table(table)
    assert isinstance(frame, pl.DataFrame)
    return {
        "sabot": stream.filter(positive).collect,
        "sabot, batch function": stream.filter(above).collect,
        "pyarrow": lambda: table.filter(pc.greater(table["k"], 0)),
        "Polars": lambda: frame.lazy().filter(pl.col("k") > 0).collect(),
        "DuckDB": sql("SELECT * FROM t WHERE k > 0", t=table),
        "loop": lambda: pa.Table.from_batches([b.filter(above(b)) for b in batches]),
    }


def maps(table: pa.Table, size: int) -> Contenders:
    batches, frame = cut(table, size), pl.from_arrow(table, rechunk=False)
    table = pa.Table.from_batches(batches)
    stream = Stream.from_table(table)
    assert isinstance(frame, pl.DataFrame)

    def whole() -> pa.Table:
        y = pc.add(pc.multiply(table["x"], 2.0), pc.cast(table["k"], pa.float64()))
        return pa.table({"k": table["k"], "y": y})

    y = (pl.col("x") * 2.0 + pl.col("k").cast(pl.Float64)).alias("y")
    return {
        "sabot": stream.with_columns(y=scaled).select("k", "y").collect,
        "sabot, batch function": stream.map(scale).collect,
        "pyarrow": whole,
        "Polars": lambda: frame.lazy().select("k", y).collect(),
        "DuckDB": sql("SELECT k, x * 2.0::DOUBLE + k AS y FROM t", t=table),
        "loop": lambda: pa.Table.from_batches([scale(b) for b in batches]),
    }


def selects(table: pa.Table, size: int) -> Contenders:
    batches, frame = cut(table, size), pl.from_arrow(table, rechunk=False)
    table = pa.Table.from_batches(batches)
    assert isinstance(frame, pl.DataFrame)
    return {
        "sabot": Stream.from_table(table).select("s", "k").collect,
        "pyarrow": lambda: table.select(["s", "k"]),
        "Polars": lambda: frame.lazy().select("s", "k").collect(),
        "DuckDB": sql("SELECT s, k FROM t", t=table),
        "loop": lambda: pa.Table.from_batches([b.select(["s", "k"]) for b in batches]),
    }


def flat_maps(table: pa.Table, size: int) -> Contenders:
    batches, frame = cut(table, size), pl.from_arrow(table, rechunk=False)
    table = pa.Table.from_batches(batches)
    assert isinstance(frame, pl.DataFrame)

    def sliced() -> pl.DataFrame:
        pieces = frame.iter_slices(size)
        return pl.concat([f.slice(*at) for f in pieces for at in spans(f.height)], rechunk=False)

    def spans(rows: int) -> tuple[tuple[int, int], tuple[int, int]]:
        return (0, rows // 2), (rows // 2, rows - rows // 2)

    return {
        "sabot": Stream.from_table(table).flat_map(halves, schema=table.schema).collect,
        "pyarrow": lambda: pa.concat_tables(
            [
                half
                for at in range(0, table.num_rows, size)
                for half in halves(table.slice(at, size))
            ]
        ),
        "Polars": sliced,
        "loop": lambda: pa.Table.from_batches([half for b in batches for half in halves(b)]),
    }


def unions(table: pa.Table, size: int) -> Contenders:
    middle = table.num_rows // 2
    parts = [cut(part, size) for part in (table.slice(0, middle), table.slice(middle))]
    first, second = (pa.Table.from_batches(part) for part in parts)
    frames: list[Any] = [pl.from_arrow(part, rechunk=False) for part in (first, second)]
    return {
        "sabot": Stream.from_table(first).union(Stream.from_table(second)).collect,
        "pyarrow": lambda: pa.concat_tables([first, second]),
        "Polars": lambda: pl.concat(frames, rechunk=False),
        "DuckDB": sql("SELECT * FROM a UNION ALL SELECT * FROM b", a=first, b=second),
        "loop": lambda: pa.Table.from_batches([b for part in parts for b in part]),
    }


TASKS = (
    Task("filter", 10e6, filters),
    Task("map", 10e6, maps),
    Task("select", 50e6, selects),
    Task("flat_map", 0, flat_maps),
    Task("union", 0, unions),
)


def arrow(result: Any) -> pa.Table:
    return result.to_arrow() if isinstance(result, pl.DataFrame) else result


def count_of(size: int) -> str:
    """A power of two as people say it."""
    return (
        f"{size >> 20} Mi"
        if size >= 1 << 20
        else f"{size >> 10} Ki"
        if size >= 1 << 10
        else f"{size}"
    )


def throughput(out: Table, sizes: Sizes) -> None:
    """Rows of the input a second, each operator for itself."""
    for rows in sizes.rows:
        table = table_of(rows)
        for task in TASKS:
            for size in sizes.batches:
                contenders = task.make(table, size)
                expected = contenders["loop"]()

                def check(name: str, result: Any, expected: pa.Table = expected) -> None:
                    got = arrow(result).cast(expected.schema)
                    assert got.equals(expected), f"{name} gives other rows"

                times = race(contenders, check, rounds=sizes.rounds)
                ours = times.pop("sabot")
                told = ", ".join(
                    f"{name} {rows / spent / 1e6:.0f} ({ours / spent:.2f}x)"
                    for name, spent in times.items()
                )
                speed = rows / ours
                out.add(
                    f"{task.name}, {rows:,} rows, batches of {count_of(size)}",
                    f"{speed / 1e6:.0f} M rows/s",
                    told,
                    f"source document: {task.goal / 1e6:.0f} M rows/s" if task.goal else "",
                    speed >= task.goal if task.goal else None,
                )


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description="figures of the operators")
    parser.add_argument(
        "--quick", action="store_true", help="small data; checks more than it tells"
    )
    quick: bool = parser.parse_args(arguments).quick
    sizes = QUICK if quick else FULL
    gc.freeze()  # what the imports made need not be looked through before each measurement
    print(machine())
    out = Table("Operators")
    costs(out, sizes.cost_batches, sizes.wide_batch)
    masks(out, sizes.mask_rows, sizes.rounds)
    peaks(out, sizes.group_rows)
    throughput(out, sizes)
    if not quick:
        out.write()
    gc.unfreeze()


if __name__ == "__main__":
    main(sys.argv[1:])
