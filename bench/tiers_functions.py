"""What bench/tiers.py runs: 50 functions with their columns, of every kind and form, refused ones, and ones on which rows leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpus import CASES, RECORDS

BATCH_ROWS = 65_536  # of the tables of batch functions


class Task(NamedTuple):
    """A function, how a stream runs it, and its columns; `options` of its `udf`."""

    group: str
    name: str
    fn: Callable[..., Any]
    operator: str  # a method of Stream
    table: Callable[[int], pa.Table]
    options: dict[str, Any]


# --- batch functions


def steps_of_rows(batch):
    made = []
    for value in batch.column("x").to_numpy():
        total = 0.0
        for step in range(100):
            total += value * step
        made.append(total)
    return batch.append_column("made", pa.array(made))


def comprehension(batch):
    return {"y": pa.array([2 * v + 1 for v in batch["x"].to_pylist()])}


def zipped(batch):
    pairs = zip(batch["x"].to_pylist(), batch["n"].to_pylist(), strict=True)
    return batch.append_column("made", pa.array([x if n % 2 else -x for x, n in pairs]))


def operators(batch):
    x, y = batch["x"].to_numpy(), batch["y"].to_numpy()
    return batch.append_column("z", pa.array((x * 2 + y) * (x - y) / (y + 10)))


def kernels(batch):
    return batch.append_column("z", pc.add(pc.multiply(batch["x"], 2.0), batch["y"]))


def waves(batch):
    x = batch["x"].to_numpy()
    return batch.append_column("z", pa.array(np.sin(x) + np.cos(x) * 2 + np.exp(x / 10)))


def masked(batch):
    x = batch["x"].to_numpy()
    made = x.copy()
    made[x < 0] = x[x < 0] * -2
    return batch.append_column("z", pa.array(made))


def above(batch):
    return pc.and_(pc.greater(batch["x"], -5.0), pc.less(batch["y"], 0.9))


def running_total(batch):
    made, total = [], 0.0
    for value in batch["x"].to_pylist():
        total += value
        made.append(total)
    return batch.append_column("total", pa.array(made))


def smoothed(batch):
    x = batch.column("x").to_numpy()
    out = np.empty(len(x))
    out[0] = x[0]
    for i in range(1, len(x)):
        out[i] = 0.1 * x[i] + 0.9 * out[i - 1]
    return batch.append_column("smooth", pa.array(out))


def risen(batch):
    x = batch["x"].to_pylist()
    return {"risen": pa.array([x[i] for i in range(1, len(x)) if x[i] > x[i - 1]])}


# --- what is refused


def ranked(batch):
    return batch.append_column("rank", pc.rank(batch["x"]))


def text_length(n):
    return len(f"{n:_}")


def named(row):
    return {"n": row["n"], "name": str(row["n"])}


def totals_of_loop(batch):
    values = batch["x"].to_pylist()
    groups = {}
    for value in values:
        groups[int(value)] = groups.get(int(value), 0.0) + value
    return {"group": pa.array(list(groups)), "total": pa.array(list(groups.values()))}


# --- on which rows leave: an integer on the way does not fit into 64 bits


def tripled(n):
    return n * 3 // 3


def after_a_loop(n):
    total = 0
    for step in range(100):
        total += (n ^ step) % 7
    return n * 3 // 3 + total


def loop_of_batch(batch):
    made = []
    for value in batch["n"].to_pylist():
        total = 0
        for step in range(100):
            total += (value ^ step) % 7
        made.append(value * 3 // 3 + total)
    return batch.append_column("y", pa.array(made))


def carried_of_batch(batch):
    made, last = [], 0
    for value in batch["n"].to_pylist():
        last = (last + value) % 1000 + value * 3 // 3
        made.append(last)
    return {"y": pa.array(made)}


def quotients(batch):
    return {"y": pa.array(np.log(batch["x"].to_numpy()))}


# --- tables


def numbers(rows: int) -> pa.Table:
    random = np.random.default_rng(11)
    columns = {
        "x": random.random(rows) * 20 - 10,
        "y": random.random(rows),
        "n": random.integers(0, 10**6, rows),
        "zero": random.integers(0, 2, rows).astype(float),
    }
    whole = pa.table(columns)
    return pa.Table.from_batches(whole.to_batches(max_chunksize=BATCH_ROWS), whole.schema)


def leaving(share: float, place: int | None = None) -> Callable[[int], pa.Table]:
    """Numbers of which a share is too large, or one of each batch at a place."""

    def make(rows: int) -> pa.Table:
        random = np.random.default_rng(12)
        n = random.integers(0, 10**6, rows)
        if place is None:
            n[random.random(rows) < share] += 2**62
        else:
            for first in range(0, rows, BATCH_ROWS):
                last = min(first + BATCH_ROWS, rows) - 1
                n[first if place == 0 else last] += 2**62
        whole = pa.table({"n": n})
        return pa.Table.from_batches(whole.to_batches(max_chunksize=BATCH_ROWS), whole.schema)

    return make


def of_corpus(group: str, name: str) -> Task:
    case = CASES[name]
    options = {"nulls": case.nulls}
    return Task(group, name, case.fn, "with_columns", case.table, options)


def of_records(name: str) -> Task:
    return Task("record", name, RECORDS[name].fn, "map", RECORDS[name].table, {})


def of_batches(group: str, fn: Callable[..., Any], operator: str = "map") -> Task:
    return Task(group, fn.__name__, fn, operator, numbers, {})


def refused(name: str, **options: Any) -> Task:
    case = CASES[name]
    return Task(
        "refused", name, case.fn, "with_columns", case.table, {"nulls": case.nulls, **options}
    )


def that_leaves(
    name: str, fn: Callable[..., Any], table: Callable[[int], pa.Table], operator: str
) -> Task:
    return Task("leaves", name, fn, operator, table, {})


PLAIN = (
    "z_score order_total haversine black_scholes_call zeller days_between delay_minutes income_tax rate_from_dict "
    "dice_score"
)
LOOPS = "luhn_valid crc32_of_word collatz_steps mandelbrot is_prime digit_sum months_to_pay_off fibonacci fibonacci_recursive"
LISTS = "primes_by_sieve knapsack luhn_digit best_moving_average collatz_peak"

TASKS: list[Task] = [
    *(of_corpus("scalar", name) for name in PLAIN.split()),
    *(of_corpus("loop", name) for name in LOOPS.split()),
    *(of_corpus("list", name) for name in LISTS.split()),
    *(of_records(name) for name in ("invoice_line", "dated", "collatz")),
    *(of_batches("row form", fn) for fn in (steps_of_rows, comprehension, zipped)),
    *(of_batches("array form", fn) for fn in (operators, kernels, waves, masked)),
    of_batches("array form", above, "filter"),
    *(of_batches("whole form", fn) for fn in (running_total, smoothed, risen)),
    refused("digit_sum_of_text", returns=pa.int64()),
    refused("safe_ratio", returns=pa.float64()),
    Task("refused", "text_length", text_length, "with_columns", numbers, {"returns": pa.int64()}),
    of_batches("refused", named),
    of_batches("refused", ranked),
    of_batches("refused", totals_of_loop),
    that_leaves("tripled, 1 %", tripled, leaving(0.01), "with_columns"),
    that_leaves("tripled, all", tripled, leaving(1.0), "with_columns"),
    that_leaves("after_a_loop, all", after_a_loop, leaving(1.0), "with_columns"),
    that_leaves("loop_of_batch, last row", loop_of_batch, leaving(0.0, -1), "map"),
    that_leaves("carried_of_batch, last row", carried_of_batch, leaving(0.0, -1), "map"),
    Task("leaves", "quotients of all batches", quotients, "map", numbers, {}),
]
assert len({task.name for task in TASKS}) == len(TASKS)
