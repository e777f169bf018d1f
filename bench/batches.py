"""Functions of whole batches beside CPython, NumPy, Numba and hand-written C, one thread each where nothing else is said.

    make bench-batches
    PYTHONPATH=build-release/lib .venv/bin/python bench/batches.py --quick     # small data, no figures kept

Steady: everything is imported and compiled. What is timed gives the whole result: for Sabot `collect()` of a stream over a table, for
CPython and NumPy a call of the very same function. Slow engines get fewer rows; figures are per row.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from function_engines import library
from harness import Table, machine, race, seconds

import sabot as sb
from sabot import Stream

ROWS, SLOW_ROWS, ROUNDS = 1_000_000, 300, 7


def my_transform(batch):
    values = batch.column("value").to_numpy()
    results = []
    for i in range(len(values)):
        total = 0
        for j in range(1000):
            total += values[i] * j
        results.append(total)
    return batch.append_column("computed", pa.array(results))


def simple_loop(batch):
    values = batch.column("value").to_numpy()
    results = []
    for v in values:
        total = 0.0
        for i in range(1000):
            total += v * i * 1.5
        results.append(total)
    return batch.append_column("computed", pa.array(results))


def complex_computation(batch):
    values = batch.column("value").to_numpy()
    results = []
    for x in values:
        result = 0.0
        for i in range(500):
            result += (x * i) / (i + 1) + (x**2) * 0.5
        results.append(result)
    return batch.append_column("computed", pa.array(results))


def batch_processing(batch):
    return batch.append_column("doubled", pc.multiply(batch.column("value"), 2))


def five_operations(batch):
    x = batch["value"].to_numpy()
    y = batch["other"].to_numpy()
    return batch.append_column("computed", pa.array((x * 2 + y) * (x - y) / (y + 10)))


def sines(batch):
    x = batch["value"].to_numpy()
    return batch.append_column("computed", pa.array(np.sin(x) + np.cos(x) * 2 + np.exp(x / 10)))


def large_amounts(batch):
    return pc.greater(batch.column("value"), 0.5)


def running(batch):
    made, total = [], 0.0
    for value in batch["value"].to_pylist():
        total += value
        made.append(total)
    return batch.append_column("total", pa.array(made))


def ema(batch):
    x = batch.column("value").to_numpy()
    out = np.empty(len(x))
    out[0] = x[0]
    for i in range(1, len(x)):
        out[i] = 0.1 * x[i] + 0.9 * out[i - 1]
    return batch.append_column("ema", pa.array(out))


def by_sabot(fn: Callable[..., Any], table: pa.Table) -> Callable[[], pa.Table]:
    stream = Stream.from_table(table)
    stream = stream.filter(fn) if fn is large_amounts else stream.map(fn)
    return stream.collect


def by_pieces(fn: Callable[..., Any], table: pa.Table) -> Callable[[], pa.Table]:
    """Batch by batch, as a program that has them calls it."""
    pieces = table.to_batches()
    return lambda: pa.Table.from_batches([fn(piece) for piece in pieces])


def by_itself(fn: Callable[..., Any], table: pa.Table) -> Callable[[], pa.Table]:
    batch = table.combine_chunks().to_batches()[0]
    if fn is large_amounts:
        return lambda: pa.Table.from_batches([batch.filter(fn(batch))])
    return lambda: pa.Table.from_batches([fn(batch)])


def same(wanted: pa.Table) -> Callable[[str, Any], None]:
    """Answers are compared bit for bit, those of fewer rows with the first of them."""

    def check(name: str, answer: Any) -> None:
        got = answer if isinstance(answer, np.ndarray) else answer.column(answer.num_columns - 1)
        rows = min(len(got), wanted.num_rows)
        expected = wanted.column(wanted.num_columns - 1).to_numpy()[:rows]
        assert np.array_equal(np.asarray(got)[:rows], expected, equal_nan=True), name

    return check


def per_row(seconds_spent: float, rows: int) -> str:
    return f"{seconds_spent / rows * 1e9:,.1f} ns"


def loops(out: Table, table: pa.Table, code: ctypes.CDLL, rounds: int) -> None:
    """Loops in the function: beside the interpreter, and one beside C and Numba."""
    few = table.slice(0, SLOW_ROWS)
    for fn in (my_transform, simple_loop, complex_computation):
        wanted = by_itself(fn, few)()
        contenders = {"Sabot": by_sabot(fn, table), "CPython": by_itself(fn, few)}
        if fn is my_transform:
            contenders |= {"C lanes": by_c(code, table), "Numba": by_numba(table)}
        times = race(contenders, same(wanted), rounds)
        rows = {name: SLOW_ROWS if name == "CPython" else table.num_rows for name in times}
        own = times["Sabot"] / rows["Sabot"]
        ratio = times["CPython"] / rows["CPython"] / own
        peers = ", ".join(f"{n} {per_row(t, rows[n])}" for n, t in times.items() if n != "Sabot")
        told = f"{per_row(times['Sabot'], table.num_rows)}, {ratio:,.0f}x CPython"
        goal = "at least 1,000x CPython"
        met = ratio >= 1000
        if fn is my_transform:
            of_c = times["Sabot"] / times["C lanes"]
            told += f", {of_c:.2f} of C"
            goal += ", at most 1.2 of lane C"
            met = met and of_c <= 1.2
        out.add(fn.__name__, told, peers, goal, met)


def by_c(code: ctypes.CDLL, table: pa.Table) -> Callable[[], np.ndarray]:
    values = table["value"].to_numpy()

    def run() -> np.ndarray:
        made = np.empty(len(values))
        code.lanes_sum_of_steps(
            ctypes.c_void_p(values.ctypes.data),
            ctypes.c_void_p(made.ctypes.data),
            ctypes.c_int64(len(values)),
        )
        return made

    code.lanes_sum_of_steps.restype = None
    return run


def by_numba(table: pa.Table) -> Callable[[], np.ndarray]:
    import numba

    @numba.njit
    def transform(values):
        results = np.empty(len(values))
        for i in range(len(values)):
            total = 0.0
            for j in range(1000):
                total += values[i] * j
            results[i] = total
        return results

    values = table["value"].to_numpy()
    return lambda: transform(values)


def carried(out: Table, table: pa.Table, rounds: int) -> None:
    """Loops that carry values from row to row: one call for each batch of the usual size."""
    rows = min(20_000, table.num_rows)
    few = table.slice(0, rows)
    values = table["value"].to_numpy()
    for fn, numba in ((running, numba_running()), (ema, numba_ema())):
        contenders = {
            "Sabot": Stream.from_table(table, 65_536).map(fn).collect,
            "CPython": by_itself(fn, few),
            "Numba": lambda numba=numba: numba(values),
        }
        times = race(contenders, same(contenders["CPython"]()), rounds)
        own = times["Sabot"] / table.num_rows
        ratio = times["CPython"] / rows / own
        of_numba = own / (times["Numba"] / table.num_rows)
        cpython = per_row(times["CPython"], rows)
        out.add(
            fn.__name__,
            f"{per_row(own, 1)}, {ratio:,.0f}x CPython, {of_numba:.1f} of Numba",
            f"CPython {cpython}, Numba {per_row(times['Numba'], table.num_rows)}",
            "at least 10x CPython",
            ratio >= 10,
        )


def numba_running() -> Callable[[Any], Any]:
    import numba

    @numba.njit
    def run(values):
        made = np.empty(len(values))
        total = 0.0
        for i in range(len(values)):
            total += values[i]
            made[i] = total
        return made

    return run


def numba_ema() -> Callable[[Any], Any]:
    import numba

    @numba.njit
    def run(x):
        out = np.empty(len(x))
        out[0] = x[0]
        for i in range(1, len(x)):
            out[i] = 0.1 * x[i] + 0.9 * out[i - 1]
        return out

    return run


def arrays(out: Table, table: pa.Table, rounds: int) -> None:
    """Operators of whole arrays, beside the library that has them."""
    for fn, peer, least in (
        (five_operations, "NumPy", 2.0),
        (batch_processing, "pyarrow", None),
        (large_amounts, "pyarrow", None),
    ):
        contenders = {"Sabot": by_sabot(fn, table), peer: by_itself(fn, table)}
        times = race(contenders, same(contenders[peer]()), rounds)
        ratio = times[peer] / times["Sabot"]
        told = f"{per_row(times['Sabot'], table.num_rows)}, {ratio:.2f}x {peer}"
        goal = f"at least {least:.0f}x {peer}" if least else ""
        out.add(
            fn.__name__,
            told,
            f"{peer} {per_row(times[peer], table.num_rows)}",
            goal,
            ratio >= least if least else None,
        )


def loops_of_numpy(out: Table, rows: int, rounds: int) -> None:
    """Functions that NumPy's own loops compute, in batches of 64 Ki rows, on one thread and two."""
    values = np.random.default_rng(7).random(rows) * 20 - 10
    table = pa.Table.from_batches(pa.table({"value": values}).to_batches(max_chunksize=65536))
    for threads, most in ((1, 1.0), (2, 0.6)):
        with sb.config(threads=threads):
            contenders = {"Sabot": by_sabot(sines, table), "NumPy": by_pieces(sines, table)}
            times = race(contenders, same(contenders["NumPy"]()), rounds)
        ratio = times["Sabot"] / times["NumPy"]
        out.add(
            f"sines, {rows:,} rows, {threads} thread{'s' if threads > 1 else ''}",
            f"{per_row(times['Sabot'], rows)}, {ratio:.2f} of NumPy's time",
            f"NumPy {per_row(times['NumPy'], rows)}",
            f"at most {most} of NumPy's time",
            ratio <= most,
        )


def files(out: Table, table: pa.Table, rounds: int, folder: Path) -> None:
    """From a Parquet file to a Parquet file: what is not the kernel."""
    import pyarrow.parquet as pq

    before, after = str(folder / "in.parquet"), str(folder / "out.parquet")
    pq.write_table(table, before)
    stream = Stream.from_parquet(before).map(my_transform)

    def run() -> pa.Table:
        stream.to_parquet(after)
        return pq.read_table(after) if not done else table

    done: list[bool] = []
    wanted = by_itself(my_transform, table.slice(0, SLOW_ROWS))()
    same(wanted)("Sabot", run())
    done.append(True)
    # Of the processor's time, since files are read and written beside the kernel.
    measured: list[tuple[float, float, float]] = []
    for _ in range(rounds):
        with sb.config(threads=1):
            began, used = time.perf_counter(), time.process_time()
            run()
            whole, used = time.perf_counter() - began, time.process_time() - used
        kernel = stream.last_run.report["functions"][0]["ns_per_row"]
        measured.append((1 - kernel * table.num_rows / 1e9 / used, whole, kernel))
    rest, whole, kernel = sorted(measured)[len(measured) // 2]
    out.add(
        "Parquet to Parquet, my_transform",
        f"{per_row(whole, table.num_rows)}, {rest:.0%} of the processor's time outside of the kernel",
        f"the kernel {kernel:.1f} ns",
        "at most 30 % outside",
        rest <= 0.3,
    )


def overhead(out: Table) -> None:
    """From a function to its first result, and how long a repeat of auto_compile takes."""

    def test_func(x):
        total = 0
        for i in range(100):
            total += x * i
        return total

    column = pa.array([1.5, 2.5])
    spent, first = seconds(lambda: sb.auto_compile(test_func)(column))
    assert first.to_pylist() == [test_func(1.5), test_func(2.5)]
    began = time.perf_counter()
    again = sb.auto_compile(test_func)
    repeat = time.perf_counter() - began
    assert again is sb.auto_compile(test_func)
    out.add(
        "compilation_overhead",
        f"{spent * 1e3:.1f} ms to the first result, {repeat * 1e6:.0f} us for a repeat",
        "",
        "a repeat within 1 ms",
        repeat < 1e-3,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small data; nothing is kept")
    quick = parser.parse_args().quick
    rows, rounds = (20_000, 1) if quick else (ROWS, ROUNDS)
    values = np.random.default_rng(7).random((2, rows))
    table = pa.table({"value": values[0] * 20 - 10, "other": values[1]})
    print(machine())
    out = Table("Functions of batches")
    with sb.config(tier="native", threads=1), tempfile.TemporaryDirectory() as folder:
        loops(out, table, library(Path(folder)), rounds)
        carried(out, table, rounds)
        arrays(out, table, rounds)
        of_numpy = Table("Functions that NumPy's own loops compute")
        for count in (rows, 10 * rows):
            loops_of_numpy(of_numpy, count, rounds)
        files(out, table, rounds, Path(folder))
        overhead(out)
    if not quick:
        out.write()
        of_numpy.write()


if __name__ == "__main__":
    main()
