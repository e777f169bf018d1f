"""Filter by mask, type by type, beside pyarrow's `RecordBatch.filter`: seven shares of rows that stay, random and in runs."""

from __future__ import annotations

import decimal
import itertools
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from harness import Table
from operator_costs import least

from sabot import Stream, col

SHARES = (0.01, 0.1, 0.5, 0.9, 0.99)
RUN = 256  # rows: mean length of a run of rows that stay and one of rows that go, together
BATCH = 1 << 16
OPERATOR = 3e-6  # seconds that an operator may add to a batch, which is a goal of its own


def columns_of(rows: int) -> dict[str, pa.Array]:
    """One column of each type, a tenth of it null."""
    rng = np.random.default_rng(7)
    null = rng.random(rows) < 0.1
    numbers = rng.integers(-(10**9), 10**9, rows)
    picks = pa.array(rng.integers(0, 1000, rows).astype(np.int32), mask=null)
    words = pa.array([f"{'word' * (i % 6)}{i}" for i in range(1000)])
    text = words.take(picks)
    ends = np.concatenate([[0], np.cumsum(rng.integers(0, 7, rows))]).astype(np.int32)
    items = pa.array(rng.integers(0, 100, ends[-1]))
    integers = pa.array(numbers, mask=null)
    exact = pa.array([decimal.Decimal(int(n)) / 100 for n in numbers[:1000]], pa.decimal128(20, 2))
    return {
        "int64": integers,
        "int64 without nulls": pa.array(numbers),
        "float64": pa.array(rng.random(rows), mask=null),
        "bool": pa.array(numbers % 2 == 0, mask=null),
        "string": text,
        "large_string": text.cast(pa.large_string()),
        "string_view": text.cast(pa.string_view()),
        "list": pa.ListArray.from_arrays(pa.array(ends), items, mask=pa.array(null)),
        "struct": pa.StructArray.from_arrays([integers, text], ["a", "b"], mask=pa.array(null)),
        "dictionary": pa.DictionaryArray.from_arrays(picks, words),
        "decimal": exact.take(picks),
    }


def masks_of(rows: int) -> dict[str, pa.Array]:
    rng = np.random.default_rng(8)
    made: dict[str, Any] = {}
    for share in SHARES:
        made[f"{share:.0%} random"] = rng.random(rows) < share
        runs = np.zeros(rows, bool)
        at = 0
        while at < rows:
            at += int(rng.geometric(1 / (RUN * (1 - share) + 1)))
            end = at + int(rng.geometric(1 / (RUN * share + 1)))
            runs[at:end] = True
            at = end
        made[f"{share:.0%} in runs"] = runs
    made["all"] = np.ones(rows, bool)
    made["none"] = np.zeros(rows, bool)
    return {name: pa.array(mask) for name, mask in made.items()}


def peer_of(batches: list[Any], masks: list[Any]) -> Callable[[], list[Any]] | None:
    """How pyarrow filters batches: its own filter, or by index where that has no kernel for the type; None: neither has."""

    def by_mask() -> list[Any]:
        return [b.filter(mask) for b, mask in zip(batches, masks, strict=True)]

    def by_index() -> list[Any]:
        return [b.take(pc.indices_nonzero(mask)) for b, mask in zip(batches, masks, strict=True)]

    for filtered in (by_mask, by_index):
        try:
            filtered()
        except pa.ArrowNotImplementedError:
            continue
        return filtered
    return None


def wanted_of(column: pa.Array, mask: pa.Array) -> pa.Array:
    """The rows that stay, by way of a type that pyarrow can filter."""
    if pa.types.is_string_view(column.type):
        return column.cast(pa.string()).filter(mask).cast(column.type)
    return column.filter(mask)


class Measured(NamedTuple):
    """Least seconds for all batches.

    native: by a Boolean column, which stays; passing: the same batches through a run that filters nothing, which has a goal of its own
    (what an operator adds to a batch); peer: pyarrow by the same column; function, function_peer: by a mask that a Python function
    hands out. A peer is 0 where pyarrow cannot.
    """

    native: float
    passing: float
    peer: float
    function: float
    function_peer: float


def one_mask(column: pa.Array, mask: pa.Array, turns: int) -> Measured:
    both = pa.table({"x": column, "keep": mask}).to_batches(max_chunksize=BATCH)
    batches = [batch.select(["x"]) for batch in both]
    pieces = [batch.column("keep") for batch in both]
    native = Stream.from_batches(both).filter(col("keep"))
    passing = Stream.from_batches(both).select("x", "keep")
    stage = Stream.from_batches(batches).filter(handed_out(pieces))
    wanted = pa.chunked_array([wanted_of(column, mask)])
    for stream in (native, stage):
        given = stream.collect()["x"]
        given.validate(full=True)
        assert given.equals(wanted), column.type
    contenders = {
        "native": lambda: list(native),
        "passing": lambda: list(passing),
        "function": lambda: list(stage),
    }
    for name, given in (("peer", both), ("function_peer", batches)):
        if (peer := peer_of(given, pieces)) is not None:
            contenders[name] = peer
    times = least(contenders, turns)
    return Measured(**{name: times.get(name, 0.0) for name in Measured._fields})


def handed_out(pieces: list[Any]) -> Callable[[Any], Any]:
    """A filter function that computes nothing: the masks in turn."""
    turn = itertools.cycle(pieces)
    return lambda batch: next(turn)


def one_type(out: Table, name: str, column: pa.Array, masks: dict[str, Any], turns: int) -> None:
    times = {which: one_mask(column, mask, turns) for which, mask in masks.items()}
    what = f"filter by mask, {name}, {len(column):,} rows"
    goal = "at most pyarrow's time, beside what passing a batch takes and 3 us a batch"
    own = OPERATOR * -(-len(column) // BATCH)
    if any(t.peer == 0 for t in times.values()):
        slowest = max(times, key=lambda which: times[which].native)
        told = f"at most {times[slowest].native * 1e3:.2f} ms ({slowest})"
        out.add(what, told, "pyarrow has no filter for it", goal, None)
        return
    ratios = {which: max(t.native - t.passing - own, 0) / t.peer for which, t in times.items()}
    whole = [t.native / t.peer for t in times.values()]
    functions = [t.function / t.function_peer for t in times.values()]
    worst = max(ratios, key=ratios.__getitem__)
    out.add(
        what,
        f"median {statistics.median(ratios.values()):.2f}x, at most {ratios[worst]:.2f}x ({worst})",
        "pyarrow's filter: "
        + ", ".join(f"{which} {ratio:.2f}x" for which, ratio in ratios.items())
        + f"; all included, median {statistics.median(whole):.2f}x, at most {max(whole):.2f}x; "
        + f"the mask from a Python function, median {statistics.median(functions):.2f}x, "
        + f"at most {max(functions):.2f}x",
        goal,
        ratios[worst] <= 1,
    )


def masks(out: Table, rows: int, rounds: int) -> None:
    made = masks_of(rows)
    for name, column in columns_of(rows).items():
        one_type(out, name, column, made, turns=2 * rounds + 1)
