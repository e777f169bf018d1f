"""The default beside `compile="off"`: 50 functions, each from the first look at it to all results, over 1 to 1,000,000 rows.

    make bench-tiers
    PYTHONPATH=build-release/lib .venv/bin/python bench/tiers.py --only collatz_steps # one function, no figures kept
    PYTHONPATH=build-release/lib .venv/bin/python bench/tiers.py --quick             # small data, no figures kept

Each measurement is a fork of a process that has imported all of Sabot and made the data, and has run nothing: capture, analysis, the
start of the engine and of the compiler are part of what is measured, and nothing is kept on disk. Default and off take turns. A cell is
the median over these pairs of default / off, between bounds in which it lies with 95 % or more; five pairs or more, unless default takes
less than 0.8 of off. CPU is that of the process with all its threads; that of the compiler's process stands beside it. Rows are capped
where CPython takes too long: the table says so. Answers are compared in each pair.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from harness import machine, write_section
from tiers_functions import TASKS, Task

import sabot as sb
from sabot import Stream

SLOWER_MAX = 1.05
FIRST_MS = 3.0  # that the first results may come later, up to so many rows
FIRST_ROWS = 100
CELL_S = 2.0
OFF_S = 0.8  # rows are capped where CPython alone would take longer
QUICK_NAMES = ("order_total", "collatz_steps", "luhn_digit", "invoice_line", "steps_of_rows")
QUICK_NAMES += (
    "above",
    "running_total",
    "ranked",
    "text_length",
    "tripled, 1 %",
    "quotients of all batches",
)


class Sizes(NamedTuple):
    """Rows, and how many pairs are measured at least and at most."""

    rows: tuple[int, ...]
    pairs_min: int
    pairs_max: int


FULL = Sizes((1, 100, 10_000, 100_000, 1_000_000), 5, 25)
QUICK = Sizes((1, 100, 3_000), 1, 1)


class Spent(NamedTuple):
    """What one process took, in seconds; `helper`: CPU of the compiler's."""

    wall: float
    cpu: float
    helper: float
    digest: str


def stream_of(task: Task, table: pa.Table) -> Stream:
    fn = sb.udf(**task.options)(task.fn) if task.options else task.fn
    stream = Stream.from_table(table)
    if task.operator == "with_columns":
        return stream.with_columns(result=fn)
    return getattr(stream, task.operator)(fn)


def digest_of(table: pa.Table) -> str:
    """Of names, types, validity and bits, where a NaN is a NaN."""
    found = hashlib.blake2b(str(table.schema).encode())
    for column in table.columns:
        whole = column.combine_chunks()
        found.update(whole.is_valid().to_numpy(zero_copy_only=False).tobytes())
        if pa.types.is_floating(whole.type):
            values = whole.fill_null(0.0).to_numpy(zero_copy_only=False).copy()
            values[np.isnan(values)] = np.nan
            found.update(values.tobytes())
        elif pa.types.is_string(whole.type):
            found.update("\0".join(whole.fill_null("").to_pylist()).encode())
        elif not pa.types.is_null(whole.type):
            zero = pa.scalar(0, pa.int64()).cast(whole.type)
            found.update(whole.fill_null(zero).to_numpy(zero_copy_only=False).tobytes())
    return found.hexdigest()


def helper_s() -> float:
    """CPU seconds of the processes that this one started."""
    spent = 0
    for thread in Path("/proc/self/task").iterdir():
        for child in (thread / "children").read_text().split():
            spent += int(Path(f"/proc/{child}/schedstat").read_text().split()[0])
    return spent / 1e9


def measured(task: Task, table: pa.Table, compile: str) -> Spent:
    """One run in a fork of this process, which has run nothing of Sabot."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        code = 1
        try:
            warnings.simplefilter("ignore")
            with sb.config(compile=compile):
                cpu, wall = time.process_time(), time.perf_counter()
                made = stream_of(task, table).collect()
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            found = Spent(wall, cpu, helper_s(), digest_of(made))
            os.write(writer, json.dumps(found).encode())
            code = 0
        except BaseException as error:
            os.write(2, f"{task.name}: {error!r}\n".encode())
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(
            f'{task.name}, {table.num_rows} rows, compile="{compile}": status {status}'
        )
    return Spent(*json.loads(text))


class Cell(NamedTuple):
    """A function at a number of rows. Ratios are medians of default / off over the pairs, `low` and `high` bounds of that of CPU."""

    task: Task
    wanted: int
    rows: int
    pairs: int
    cpu: float
    low: float
    high: float
    wall: float
    off_s: float  # CPU, median
    more_s: float  # CPU that default took more, median
    helper_s: float

    @property
    def allowed(self) -> bool:
        """Within the promise: not slower, or only as much as first results may be."""
        first = self.rows <= FIRST_ROWS and self.more_s <= FIRST_MS / 1e3
        return self.cpu <= SLOWER_MAX or first

    @property
    def certain(self) -> bool:
        return self.low > SLOWER_MAX

    def __str__(self) -> str:
        told = (
            f"{self.task.name} ({self.task.group}), {self.rows:,} rows: CPU {self.cpu:.2f} of off"
        )
        told += f" ({self.low:.2f} to {self.high:.2f}, {self.pairs} pairs), wall {self.wall:.2f}"
        return f"{told}, off {self.off_s * 1e3:,.2f} ms, {self.more_s * 1e3:+,.2f} ms, compiler {self.helper_s * 1e3:.0f} ms"


def bounds(ratios: list[float]) -> tuple[float, float]:
    """Where the median lies with 95 % or more, of six pairs or more; of fewer the least and the greatest."""
    ordered = sorted(ratios)
    # Of n pairs the k-th from both ends, with the largest k of which the binomial distribution leaves at most 2.5 % outside.
    n, k, outside, one = len(ordered), 0, 0.0, 0.5 ** len(ordered)
    for i in range(n):
        outside += one
        if outside > 0.025:
            break
        k = i
        one = one * (n - i) / (i + 1)
    return ordered[k], ordered[-1 - k]


def cell(task: Task, wanted: int, rows: int, sizes: Sizes) -> Cell:
    table = task.table(rows)
    pairs: list[tuple[Spent, Spent]] = []
    until = time.perf_counter() + CELL_S
    gc.collect()  # not freeze(), after which the collector's work in a fork hangs on a few objects more or less
    while len(pairs) < sizes.pairs_max:
        order = ("auto", "off") if len(pairs) % 2 else ("off", "auto")
        found = {compile: measured(task, table, compile) for compile in order}
        auto, off = found["auto"], found["off"]
        assert auto.digest == off.digest, f"{task.name}, {rows} rows: the answers differ"
        pairs.append((auto, off))
        ratio = statistics.median(a.cpu / o.cpu for a, o in pairs)
        if ratio < 0.8 and (off.cpu > 0.1 or len(pairs) >= 3):
            break
        enough = len(pairs) >= sizes.pairs_min
        if enough and (ratio < 0.95 or time.perf_counter() > until):
            break
    low, high = bounds([a.cpu / o.cpu for a, o in pairs])
    return Cell(
        task,
        wanted,
        rows,
        len(pairs),
        ratio,
        low,
        high,
        statistics.median(a.wall / o.wall for a, o in pairs),
        statistics.median(o.cpu for _, o in pairs),
        statistics.median(a.cpu - o.cpu for a, o in pairs),
        statistics.median(a.helper for a, _ in pairs),
    )


def cells(task: Task, sizes: Sizes) -> Iterator[Cell]:
    per_row = 0.0
    for wanted in sizes.rows:
        steps = [wanted // by for by in (1, 2, 5)]
        rows = next((n for n in steps if n * per_row <= OFF_S), 0)
        if rows == 0 or wanted > rows <= sizes.rows[0]:
            return
        found = cell(task, wanted, rows, sizes)
        yield found
        per_row = found.off_s / rows if rows >= 1000 else 0.0


def summary(rows: int, found: list[Cell]) -> str:
    """A line of the table."""
    worst = max(found, key=lambda one: one.cpu)
    over = [one for one in found if not one.allowed]
    capped = [one for one in found if one.rows < rows]
    missing = len(TASKS) - len(found)
    notes = f"{len(capped)} with fewer rows" if capped else ""
    if missing:
        notes += f"{', ' if notes else ''}{missing} left out"
    mean = statistics.geometric_mean(one.cpu for one in found)
    walls = statistics.geometric_mean(one.wall for one in found)
    more = max(one.more_s for one in found) * 1e3
    return (
        f"| {rows:,} | {len(found)} | {notes} | {mean:.3f} | {walls:.3f} | {worst.cpu:.2f} ({worst.task.name}) | "
        f"{more:+.2f} ms | {len(over)}, {sum(one.certain for one in over)} certain |"
    )


HEAD = [
    "| rows | functions | capped | CPU of off, mean | wall of off, mean | worst CPU | most added | over |",
    "|---|---|---|---|---|---|---|---|",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small data; nothing is kept")
    parser.add_argument("--only", help="functions whose names have this text; nothing is kept")
    parser.add_argument("--rows", type=int, help="one number of rows; nothing is kept")
    options = parser.parse_args()
    # From Python 3.12 on each fork beside threads is warned of; pyarrow's are told of forks, and no other runs.
    warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
    sizes = QUICK if options.quick else FULL
    if options.rows:
        sizes = sizes._replace(rows=(options.rows,))
    tasks = [task for task in TASKS if not options.quick or task.name in QUICK_NAMES]
    tasks = [task for task in tasks if not options.only or options.only in task.name]
    for module in Path(sb.__file__).parent.glob("_[a-z]*.py"):
        import_module(f"sabot.{module.stem}")
    print(machine())
    print(f"load {os.getloadavg()[0]:.1f} at the start")
    found: list[Cell] = []
    for task in tasks:
        for one in cells(task, sizes):
            found.append(one)
            print(one, flush=True)
    lines = list(HEAD)
    for rows in sizes.rows:
        at = [one for one in found if one.wanted == rows]
        if at:
            lines.append(summary(rows, at))
    over = sorted((one for one in found if not one.allowed), key=lambda one: -one.cpu)
    lines += ["", f"{len(over)} of {len(found)} cells over {SLOWER_MAX}:", ""]
    lines += [f"* {one}{'' if one.certain else ', not certain'}" for one in over]
    print("\n".join(lines))
    if not (options.quick or options.only or options.rows):
        load = f"Load {os.getloadavg()[0]:.1f}. Up to {FIRST_ROWS} rows {FIRST_MS:.0f} ms more count as nothing."
        write_section("Tiers", [load, "", *lines])


if __name__ == "__main__":
    main()
