"""Functions of the corpus beside CPython, hand-written C, Numba, Polars, DuckDB, Daft and pandas, one thread each.

    make bench-functions
    PYTHONPATH=build-release/lib .venv/bin/python bench/functions.py --quick          # small data, no figures kept
    PYTHONPATH=build-release/lib .venv/bin/python bench/functions.py --only kepler    # one function, no figures kept

Steady: everything is imported and compiled. What is timed is a call that gives all results: for Sabot `collect()`, for CPython
`list(map(f, ...))` over lists that are there already. Slow engines get fewer rows; figures are per row. Cold: a process of its own,
from the engine's import to its first results; NumPy, PyArrow and the data are there already. A peer that is not installed is named
and left out.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from corpus import CASES, Case
from function_engines import (
    ENGINES,
    Columns,
    as_array,
    by_hand,
    columns_of,
    cpython,
    engines_here,
    library,
)
from harness import Table, machine, race

LOOP_FREE = ("z_score", "order_total", "haversine", "black_scholes_call", "zeller")
LOOPS = (
    "income_tax",
    "luhn_valid",
    "crc32_of_word",
    "sum_of_steps",
    "collatz_steps",
    "mandelbrot",
)
LANES = ("crc32_of_word", "sum_of_steps", "collatz_steps", "mandelbrot")
SEED_LOOP = "sum_of_steps"
ROW_BY_ROW = ("CPython", "Polars", "DuckDB", "Daft", "pandas")
SLOW_TO_COMPILE = ("Numba", "Numba vectorize")
QUICK_COLD = "z_score"  # what --quick starts processes for
QUICK_COMPILED = ("z_score", "collatz_steps")  # what --quick has Numba compile


class Sizes(NamedTuple):
    """Rows by engine: what is native, Sabot's interpreter, what calls CPython for each row; those of loops are in the second place."""

    large: int
    native: tuple[int, int]
    interpreter: tuple[int, int]
    python: tuple[int, int]
    small: int
    leaving: int
    rounds: int
    small_rounds: int
    small_calls: int
    cold_rounds: int


FULL = Sizes(
    large=10_000_000,
    native=(10_000_000, 1_000_000),
    interpreter=(1_000_000, 100_000),
    python=(100_000, 4_000),
    small=1_000,
    leaving=1_000_000,
    rounds=5,
    small_rounds=7,
    small_calls=10,
    cold_rounds=3,
)
QUICK = Sizes(
    large=4_000,
    native=(4_000, 4_000),
    interpreter=(2_000, 1_000),
    python=(500, 100),
    small=100,
    leaving=4_000,
    rounds=1,
    small_rounds=1,
    small_calls=2,
    cold_rounds=1,
)


def rows_of(engine: str, is_loop: bool, sizes: Sizes) -> int:
    match engine:
        case "Sabot":
            return sizes.large
        case "Sabot's interpreter":
            return sizes.interpreter[is_loop]
        case _:
            return (sizes.python if engine in ROW_BY_ROW else sizes.native)[is_loop]


def head(columns: Columns, rows: int) -> Columns:
    return {name: values[:rows] for name, values in columns.items()}


def ns(value: float) -> str:
    """Nanoseconds with three digits."""
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


class Steady:
    """Seconds a row of each engine on one function; answers are checked first."""

    def __init__(self, case: Case, engines: dict[str, Any], rows: dict[str, int], rounds: int):
        columns = columns_of(case.table(max(rows.values()), has_nulls=False))
        expected = np.asarray(cpython(case, head(columns, rows["CPython"]))())
        whole: list[np.ndarray[Any, Any]] = []

        def check(name: str, result: Any) -> None:
            got = as_array(result)
            assert len(got) == rows[name], name
            first = got[: len(expected)]
            if name.startswith("Sabot"):
                assert got.dtype == expected.dtype, name
                assert first.tobytes() == expected[: len(first)].tobytes(), f"{case.name}: {name}"
            assert np.allclose(first, expected[: len(first)], rtol=1e-9), f"{case.name}: {name}"
            whole.append(got)
            shared = min(len(got), len(whole[0]))
            assert np.allclose(got[:shared], whole[0][:shared], rtol=1e-9), f"{case.name}: {name}"

        contenders = {name: make(case, head(columns, rows[name])) for name, make in engines.items()}
        times = race(contenders, check, rounds)
        self.ns = {name: spent / rows[name] * 1e9 for name, spent in times.items()}
        self.ours = self.ns["Sabot"]

    def per_call(self, calls: int) -> None:
        """Each time was that of several calls."""
        self.ns = {name: spent / calls for name, spent in self.ns.items()}
        self.ours = self.ns["Sabot"]

    def peer(self, name: str) -> str:
        return f"{name} {ns(self.ns[name])} ({self.ns[name] / self.ours:.3g}x)"


def steady(out: Table, case: Case, engines: dict[str, Any], sizes: Sizes) -> None:
    is_loop = case.name in LOOPS
    rows = {name: rows_of(name, is_loop, sizes) for name in engines}
    found = Steady(case, engines, rows, sizes.rounds)
    python = found.ns["CPython"]
    goal = 100 if is_loop else 30
    others = [name for name in engines if not name.startswith(("Sabot", "C "))]
    out.add(
        f"{case.name}, {sizes.large:,} rows",
        f"{ns(found.ours)} ns a row",
        ", ".join(found.peer(name) for name in others),
        f"at least {goal}x CPython",
        python >= goal * found.ours,
    )
    by_hands = [name for name in engines if name.startswith("C ")]
    rows_c, lanes_c = found.ns["C by rows"], found.ns.get("C by lanes")
    text, met = "", None
    if not is_loop:
        text, met = "at most 1.3x C by rows", found.ours <= 1.3 * rows_c
    elif case.name == SEED_LOOP and lanes_c is not None:
        text, met = "at least 0.9x C by lanes", lanes_c >= 0.9 * found.ours
    out.add(
        f"{case.name}, beside C",
        f"{ns(found.ours)} ns a row",
        ", ".join(found.peer(name) for name in by_hands),
        text,
        met,
    )
    tier_0 = found.ns["Sabot's interpreter"]
    out.add(
        f"{case.name}, Sabot's interpreter alone",
        f"{ns(tier_0)} ns a row",
        f"CPython {ns(python)} ({python / tier_0:.3g}x)",
        "at least 3x CPython",
        python >= 3 * tier_0,
    )


def again(make: Any, times: int) -> Any:
    """An engine whose call is several: one alone, after other engines, would mostly wait for memory."""

    def made(case: Case, columns: Columns) -> Callable[[], Any]:
        run = make(case, columns)

        def several() -> Any:
            for _ in range(times - 1):
                run()
            return run()

        return several

    return made


def small(out: Table, case: Case, engines: dict[str, Any], sizes: Sizes) -> None:
    many = {name: again(make, sizes.small_calls) for name, make in engines.items()}
    found = Steady(case, many, dict.fromkeys(engines, sizes.small), sizes.small_rounds)
    found.per_call(sizes.small_calls)
    others = [name for name in engines if not name.startswith("Sabot")]
    out.add(
        f"{case.name}, {sizes.small:,} rows",
        f"{found.ours * sizes.small / 1000:.0f} us",
        ", ".join(
            f"{name} {found.ns[name] * sizes.small / 1000:.3g} us ({found.ns[name] / found.ours:.3g}x)"
            for name in others
        ),
        "never slower than CPython",
        found.ns["CPython"] >= found.ours,
    )


# --- in a process of its own


def first_results(name: str, engine: str, rows: int) -> None:
    """What the process of its own does: prints seconds from the engine's import to its first results."""
    case = CASES[name]
    columns = columns_of(case.table(rows, has_nulls=False))
    gc.collect()
    started = time.perf_counter()
    result = ENGINES[engine](case, columns)()
    spent = time.perf_counter() - started
    few = min(rows, 100)
    expected = np.asarray(cpython(case, head(columns, few))())
    assert np.allclose(as_array(result)[:few], expected, rtol=1e-9), (name, engine)
    print(spent)


def cold(out: Table, case: Case, engines: list[str], rows: int, rounds: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(rounds):
        for engine, spent in times.items():
            command = [sys.executable, __file__, "--cold", case.name, engine, str(rows)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            spent.append(float(done.stdout))
    medians = {name: statistics.median(spent) * 1e3 for name, spent in times.items()}
    ours = medians.pop("Sabot")
    peers = (f"{name} {spent:,.3g} ms ({spent / ours:.3g}x)" for name, spent in medians.items())
    out.add(f"{case.name}, {rows:,} rows, cold", f"{ours:,.3g} ms", ", ".join(peers), "", None)


# --- rows that leave


def leaving(out: Table, name: str, beyond: int, sizes: Sizes) -> None:
    """1 % of the rows have an integer whose product does not fit; the result does."""
    import sabot as sb

    case = CASES[name]
    rows = sizes.leaving
    columns = columns_of(case.table(rows, has_nulls=False))
    some = np.random.default_rng(5).permutation(rows)[: rows // 100]
    parameter = next(iter(columns))
    dirty = {**columns, parameter: columns[parameter].copy()}
    dirty[parameter][some] = beyond + some
    streams = {
        what: sb.Stream.from_table(pa.table(data)).with_columns(y=case.fn)
        for what, data in (("clean", columns), ("leaving", dirty))
    }
    few = min(rows, 100_000)
    expected = {
        what: np.asarray(cpython(case, head(data, few))())
        for what, data in (("clean", columns), ("leaving", dirty))
    }

    def run(what: str) -> pa.Table:
        with sb.config(tier="native", threads=1):
            return streams[what].collect()

    def check(what: str, result: Any) -> None:
        if what != "CPython":
            assert np.array_equal(as_array(result)[:few], expected[what]), (name, what)

    times = race(
        {
            "clean": lambda: run("clean"),
            "leaving": lambda: run("leaving"),
            "CPython": cpython(case, head(dirty, few)),
        },
        check,
        max(sizes.rounds, 3),
    )
    last = streams["leaving"].last_run
    assert last is not None
    left = sum(last.report["functions"][0]["rows_left"].values())
    assert left == len(some), (left, len(some))
    python = times["CPython"] / few * rows
    share = (times["leaving"] - times["clean"]) / python
    out.add(
        f"{name}, 1 % of {rows:,} rows leaves",
        f"{(times['leaving'] - times['clean']) * 1e3:.2f} ms on top of {times['clean'] * 1e3:.2f}",
        f"CPython {python * 1e3:,.0f} ms ({share:.2%})",
        "at most 1.5 % of CPython's time on top",
        share <= 0.015,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small data, Numba on two functions")
    parser.add_argument("--only", choices=[*LOOP_FREE, *LOOPS], help="one function")
    parser.add_argument("--cold", nargs=3, metavar=("FUNCTION", "ENGINE", "ROWS"))
    options = parser.parse_args()
    if options.cold:
        name, engine, rows = options.cold
        first_results(name, engine, int(rows))
        return
    print(machine())
    sizes = QUICK if options.quick else FULL
    names = [options.only] if options.only else [*LOOP_FREE, *LOOPS]
    out = Table("Functions")
    here = engines_here()
    with tempfile.TemporaryDirectory() as folder:
        code = library(Path(folder))
        for name in names:
            case = CASES[name]
            engines: dict[str, Any] = {**here, "C by rows": by_hand(code, "row")}
            if name in LANES:
                engines["C by lanes"] = by_hand(code, "lanes")
            if options.quick and name not in QUICK_COMPILED:
                engines = {k: v for k, v in engines.items() if k not in SLOW_TO_COMPILE}
            steady(out, case, engines, sizes)
            small(out, case, {k: v for k, v in engines.items() if k[:2] != "C "}, sizes)
            if options.quick and name != QUICK_COLD:
                continue
            cold(out, case, list(here), sizes.small, sizes.cold_rounds)
            native = [engine for engine in here if engine not in ROW_BY_ROW]
            cold(out, case, native, sizes.native[name in LOOPS], sizes.cold_rounds)
    if not options.only:
        leaving(out, "mod97_check", 10**17, sizes)
        leaving(out, "lcg_roll", 10**10, sizes)
    missed = [row.what for row in out.rows if row.met == "no"]
    print(f"PASS {sum(row.met == 'yes' for row in out.rows)}, MISS {len(missed)}")
    for what in missed:
        print(f"MISS {what}")
    if not options.quick and not options.only:
        out.write()


if __name__ == "__main__":
    main()
