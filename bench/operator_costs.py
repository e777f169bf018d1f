"""What a batch costs, whatever it holds: a native operator, a Python stage, a select over more and more rows; records against batches.

Each cost is a slope: the same stream with more and more operators (or columns), so that what a run costs by itself is not in it.
Least times of many alternating turns, because what a busy machine adds is never negative.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from harness import Table

from sabot import Stream

TURNS = 11
CHAINS = (0, 1, 2, 4)
COLUMNS = (1, 4, 16)


def least(contenders: dict[Any, Callable[[], Any]], turns: int = TURNS) -> dict[Any, float]:
    """The least seconds of each; they take turns."""
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(turns):
        gc.collect()
        for name, function in contenders.items():
            started = time.perf_counter()
            result = function()
            best[name] = min(best[name], time.perf_counter() - started)
            del result
    return best


def slope(points: dict[int, float]) -> tuple[float, float]:
    """Of the straight line that fits best: what a step adds, and where it starts."""
    step, start = np.polyfit(list(points), list(points.values()), 1)
    return float(step), float(start)


def drained(stream: Stream) -> Callable[[], int]:
    """Runs it and counts, so that no batch is kept."""

    def run() -> int:
        return sum(batch.num_rows for batch in stream)

    return run


def ints(rows: int, columns: int) -> pa.RecordBatch:
    names = [f"c{i}" for i in range(columns)]
    return pa.RecordBatch.from_arrays([pa.array(np.arange(rows)) for _ in names], names)


def keep(c0):
    return c0 is not None


def chain(operator: str, stream: Stream, count: int) -> Stream:
    """`count` times the operator, such that every row and column stays."""
    for i in range(count):
        match operator:
            case "select":
                stream = stream.select(*(("c1", "c0") if i % 2 == 0 else ("c0", "c1")))
            case "rename":
                stream = stream.rename(c0=f"c0_{i}").rename(**{f"c0_{i}": "c0"})
            case "filter":
                stream = stream.filter(keep)
            case _:
                stream = stream.with_columns(c1=lambda c0: c0)
    return stream


def native(out: Table, batches: int) -> None:
    """One more operator of the engine, on tiny batches, so that nothing but the fixed cost is seen."""
    for operator, rows in (("select", 1024), ("rename", 1024), ("filter", 8), ("with_columns", 8)):
        source = Stream.from_batches([ints(rows, 2)] * batches).select("c0", "c1")
        contenders = {count: drained(chain(operator, source, count)) for count in CHAINS}
        for count, run in contenders.items():
            assert run() == rows * batches, (operator, count)
        times = least(contenders)
        each = 2 if operator == "rename" else 1  # renames come in pairs
        step = slope({count * each: spent / batches * 1e6 for count, spent in times.items()})[0]
        out.add(
            f"one more {operator}, batches of {rows:,} rows",
            f"{step:.2f} us a batch",
            f"a run with one select {times[0] / batches * 1e6:.1f} us a batch",
            "at most 3 us",
            step <= 3,
        )


def same(batch: Any) -> Any:
    return batch


def renewed(batch: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(batch.columns, batch.schema.names)


def python_stage(out: Table, batches: int) -> None:
    """One more Python stage; what the function itself takes is measured in a loop and taken off."""
    for name, fn in (("gives its batch", same), ("makes a batch", renewed)):
        stages: dict[int, float] = {}
        loops: dict[int, float] = {}
        for columns in COLUMNS:
            batch = ints(1024, columns)
            source = Stream.from_batches([batch] * batches).select(*batch.schema.names)
            first = source.map(fn, schema=batch.schema)
            three = first.map(fn, schema=batch.schema).map(fn, schema=batch.schema)
            assert next(iter(three)).equals(batch)
            times = least(
                {
                    "one": drained(first),
                    "three": drained(three),
                    "loop": lambda batch=batch, fn=fn: [fn(batch) for _ in range(batches)],
                }
            )
            loops[columns] = times["loop"] / batches * 1e6
            stages[columns] = (times["three"] - times["one"]) / 2 / batches * 1e6 - loops[columns]
        step, start = slope(stages)
        out.add(
            f"one more Python stage, map that {name}",
            f"{start:.1f} us + {step:.2f} us a column, a batch",
            f"{', '.join(f'{n} columns {t:.1f} us' for n, t in stages.items())}; the function itself "
            f"{loops[1]:.1f} to {loops[COLUMNS[-1]]:.1f} us",
            "at most 5 us + 1.2 us a column",
            all(spent <= 5 + 1.2 * columns for columns, spent in stages.items()),
        )


def select_is_flat(out: Table, batches: int, wide: int) -> None:
    """A select of 1 of 2 columns, by the rows of a batch."""
    contenders: dict[int, Callable[[], Any]] = {}
    loops: dict[int, Callable[[], Any]] = {}
    widths = [wide >> 10, wide >> 6, wide >> 4, wide]
    for rows in widths:
        batch = ints(rows, 2)
        stream = Stream.from_batches([batch] * batches).select("c1")
        given = next(iter(stream))  # the engine may have cut it
        assert given.equals(batch.select(["c1"]).slice(0, given.num_rows))
        contenders[rows] = drained(stream)
        loops[rows] = lambda batch=batch: [batch.select(["c1"]).num_rows for _ in range(batches)]
    times, bare = least(contenders), least(loops)
    ratio = times[widths[-1]] / times[widths[0]]
    out.add(
        f"select, {widths[-1]:,} rows a batch against {widths[0]:,}",
        f"{ratio:.2f}x; {', '.join(f'{n:,}: {t / batches * 1e6:.1f} us' for n, t in times.items())} a batch",
        f"pyarrow in a loop {bare[widths[-1]] / batches * 1e6:.1f} us a batch",
        "independent of rows: at most 1.25x",
        ratio <= 1.25,
    )


def records(out: Table, rows: int) -> None:
    """The same rows as dicts, one at a time, and as batches."""
    stream = Stream.from_table(pa.Table.from_batches([ints(rows, 4)])).select("c0", "c1", "c2")

    def dicts() -> int:
        return sum(1 for _ in stream.records())

    assert dicts() == rows
    times = least({"records": dicts, "batches": drained(stream)}, turns=3)
    ratio = times["records"] / times["batches"]
    out.add(
        f"records() against batches, {rows:,} rows of 3 columns",
        f"{ratio:,.0f}x slower",
        f"records {rows / times['records'] / 1e6:.2f} M rows/s; batches, untouched, {times['batches'] * 1e3:.2f} ms",
        "source document: 10-100x slower",
        None,
    )


def costs(out: Table, batches: int, wide: int) -> None:
    native(out, batches)
    python_stage(out, batches)
    select_is_flat(out, batches, wide)
    records(out, batches * 100)
