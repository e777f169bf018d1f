"""A real job: two plain Python functions over the 336,776 flights that left New York in 2013.

The same stream runs interpreted and compiled; both are checked against a plain Python loop. Then the whole way: flights in
Parquet, a batch filter, the functions, a selection, Parquet again, summarised by carrier, checked against pyarrow alone.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

sys.path.insert(0, str(Path(__file__).resolve().parent))

import flights
import sabot as sb
from sabot import Stream


def speed(distance, air_time):
    """Miles an hour in the air."""
    if distance is None or not air_time:
        return None
    return distance / air_time * 60


def gate_to_gate(dep_time, arr_time):
    """Minutes between two clock times written as hhmm, over midnight if need be."""
    if dep_time is None or arr_time is None:
        return None
    start = dep_time // 100 * 60 + dep_time % 100
    end = arr_time // 100 * 60 + arr_time % 100
    while end < start:
        end += 24 * 60
    return end - start


def timed(run):
    started = time.perf_counter()
    result = run()
    return result, time.perf_counter() - started


def plain_python(table):
    """The oracle: the functions called row by row."""
    columns = [table[n].to_pylist() for n in ("distance", "air_time", "dep_time", "arr_time")]
    rows = zip(*columns, strict=True)
    results = [(speed(d, a), gate_to_gate(s, e)) for d, a, s, e in rows]
    mph, minutes = zip(*results, strict=True)
    return pa.array(mph, pa.float64()), pa.array(minutes, pa.int64())


def from_file_to_file(table, folder):
    """Flights by Parquet file, streamed through a filter and the functions, written again; the result's path and seconds."""
    source, result = folder / "flights.parquet", folder / "speeds.parquet"
    Stream.from_table(table).to_parquet(source)
    columns = ["carrier", "distance", "air_time", "dep_time", "arr_time"]
    stream = (
        Stream.from_parquet(source, columns=columns)
        .filter(lambda batch: pc.greater(batch.column("air_time"), 0))
        .with_columns(mph=speed, minutes=gate_to_gate)
        .select("carrier", "mph", "minutes")
    )
    print(stream.explain(), end="\n\n")
    _, seconds = timed(lambda: stream.to_parquet(result))
    return result, seconds


def by_carrier(table):
    """Flights and mean speed of each carrier, in the order of their names."""
    groups = table.group_by("carrier").aggregate([("mph", "count"), ("mph", "mean")])
    return groups.sort_by("carrier")


def same_summary(one, other):
    """Equal counts, equal means but for the order in which pyarrow's threads add."""
    rows = zip(one.to_pylist(), other.to_pylist(), strict=True)
    return all(
        a["carrier"] == b["carrier"]
        and a["mph_count"] == b["mph_count"]
        and math.isclose(a["mph_mean"], b["mph_mean"], rel_tol=1e-12)
        for a, b in rows
    )


def independently(table):
    """The same by pyarrow's own kernels."""
    flown = table.filter(pc.greater(table["air_time"], 0))
    miles, minutes = (flown[name].cast(pa.float64()) for name in ("distance", "air_time"))
    mph = pc.multiply(pc.divide(miles, minutes), 60.0)
    return by_carrier(pa.table({"carrier": flown["carrier"], "mph": mph}))


def main() -> int:
    table = flights.load()
    stream = Stream.from_table(table).with_columns(mph=speed, minutes=gate_to_gate)
    print(stream.explain(), end="\n\n")

    (mph, minutes), python_s = timed(lambda: plain_python(table))
    with sb.config(compile="off"):
        interpreted = Stream.from_table(table).with_columns(mph=speed, minutes=gate_to_gate)
        slow, off_s = timed(interpreted.collect)
    first, first_s = timed(stream.collect)
    with sb.config(tier="native"):
        stream.collect()
        compiled, native_s = timed(stream.collect)

    for name, result in (("interpreted", slow), ("first", first), ("compiled", compiled)):
        if not (
            result["mph"].combine_chunks().equals(mph)
            and result["minutes"].combine_chunks().equals(minutes)
        ):
            print(f"the {name} run differs from plain Python", file=sys.stderr)
            return 1

    rows = table.num_rows
    print(f"{'run':<34}{'seconds':>9}{'rows/s':>14}{'times':>8}")
    for name, seconds in (
        ("plain Python loop", python_s),
        ('Sabot, compile="off"', off_s),
        ("Sabot, first run (compiles too)", first_s),
        ("Sabot, compiled", native_s),
    ):
        print(f"{name:<34}{seconds:9.4f}{rows / seconds:14,.0f}{python_s / seconds:8.1f}")
    print("\nAll runs equal plain Python, row for row.")
    print(f"fastest flight {pc.max(compiled['mph']).as_py():.0f} mph, ", end="")
    print(f"median {pc.quantile(compiled['mph'], 0.5)[0].as_py():.0f} mph, ", end="")
    print(f"median gate to gate {pc.quantile(compiled['minutes'], 0.5)[0].as_py():.0f} minutes")
    for function in stream.last_run.report["functions"]:
        left = sum(function["rows_left"].values())
        print(f"{function['name']}: {function['rows']:,} rows, {left:,} left for CPython")

    print()
    with tempfile.TemporaryDirectory() as name:
        path, seconds = from_file_to_file(table, Path(name))
        carriers = by_carrier(Stream.from_parquet(path).collect())
    if not same_summary(carriers, independently(table)):
        print("the summary differs from pyarrow's", file=sys.stderr)
        return 1
    print(f"Parquet to Parquet in {seconds:.2f} s, {rows / seconds:,.0f} rows/s. By carrier:")
    for row in carriers.to_pylist()[:5]:
        print(f"  {row['carrier']}  {row['mph_count']:7,} flights  {row['mph_mean']:6.1f} mph")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
