"""Columns for the fuzzer: tame values mixed with the boundaries at which integer and float arithmetic goes wrong.

A pool of columns is made once from the seed; a column set is a draw of equally long columns from it, so that the same
few megabytes of values serve every function. Each column is kept twice: as the Python list the oracle reads, and as the
Arrow array the engine reads, in one of several layouts (plain, sliced at an odd offset, chunked). The two hold the same
values by construction.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1

ARROW = {"i": pa.int64(), "f": pa.float64(), "b": pa.bool_()}

INT_EDGES = [
    0, 1, -1, 2, -2, 3, 7, 10, -7, 127, 255, -128,
    2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**32, 3037000499, 3037000500, -3037000500,
    2**53 - 1, 2**53, 2**53 + 1, -(2**53), -(2**53) - 1,
    2**61, 2**62 - 1, 2**62, -(2**62), -(2**62) - 1,
    INT64_MAX, INT64_MAX, INT64_MAX - 1, INT64_MAX - 511, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN + 1, INT64_MIN + 2,
]  # fmt: skip

FLOAT_EDGES = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 0.1, 1.5, 2.5, 3.0, -3.0, 1e-3,
    2.0**31, 2.0**53, 2.0**53 + 2.0, -(2.0**53), 2.0**62, 2.0**63, -(2.0**63), 9223372036854774784.0,
    1e16, 1e22, 1e300, -1e300, 1.7976931348623157e308, 5e-324, -5e-324, 2.2250738585072014e-308, 1e-310,
    float("inf"), float("-inf"), float("nan"),
]  # fmt: skip

# Lengths on both sides of the lane widths, of a byte of validity bits and of a 64-row morsel.
LENGTHS = (0, 1, 2, 7, 8, 9, 31, 33, 40, 48, 50, 53, 57, 60, 63, 64, 65, 66)
LENGTH_WEIGHTS = (1, 1, 1, 1, 1, 1, 2, 2, 5, 6, 6, 6, 6, 6, 4, 5, 5, 4)
VARIANTS = 18  # columns of each kind and length


@dataclass(frozen=True)
class Column:
    kind: str
    values: list
    array: pa.Array | pa.ChunkedArray


def int_value(rng: random.Random, edge_share: float) -> int:
    if rng.random() >= edge_share:
        return rng.randint(-12, 20) if rng.random() < 0.8 else rng.randint(-100000, 100000)
    if rng.random() < 0.75:
        return rng.choice(INT_EDGES)
    value = rng.getrandbits(rng.randint(1, 63))
    return -value if rng.random() < 0.5 else value


def float_value(rng: random.Random, edge_share: float) -> float:
    if rng.random() >= edge_share:
        return rng.choice((1.0, 0.5, 0.25, 0.1)) * rng.randint(-40, 60)
    if rng.random() < 0.8:
        return rng.choice(FLOAT_EDGES)
    return rng.uniform(-1.0, 1.0) * 10.0 ** rng.randint(-20, 20)


def make_values(rng: random.Random, kind: str, length: int) -> list:
    edge_share = rng.choice((0.0, 0.05, 0.1, 0.1, 0.3, 1.0 if kind == "f" else 0.8))
    null_share = rng.choice(
        (0.0, 0.0, 0.0, 0.05, 0.1, 0.1, 0.3, 1.0 if rng.random() < 0.1 else 0.1)
    )
    out: list = []
    for _ in range(length):
        if rng.random() < null_share:
            out.append(None)
        elif kind == "i":
            out.append(int_value(rng, edge_share))
        elif kind == "f":
            out.append(float_value(rng, edge_share))
        else:
            out.append(rng.random() < 0.5)
    return out


def make_array(rng: random.Random, kind: str, values: list) -> pa.Array | pa.ChunkedArray:
    """One of the layouts a table can bring: plain, a slice of something longer, several chunks."""
    layout = rng.random()
    arrow = ARROW[kind]
    if layout < 0.6:
        return pa.array(values, arrow)
    if layout < 0.8:
        before, after = rng.choice((1, 3, 8, 13)), rng.choice((0, 2))
        padded = make_values(rng, kind, before) + values + make_values(rng, kind, after)
        return pa.array(padded, arrow).slice(before, len(values))
    cuts = sorted(rng.randint(0, len(values)) for _ in range(rng.randint(1, 3)))
    edges = [0, *cuts, len(values)]
    chunks = [pa.array(values[i:j], arrow) for i, j in pairwise(edges)]
    return pa.chunked_array(chunks, arrow)


class Pool:
    """Ready-made columns by kind and length. Not thread-safe; deterministic in the seed."""

    def __init__(self, seed: object) -> None:
        rng = random.Random(f"columns {seed}")
        self.columns: dict[tuple[str, int], list[Column]] = {}
        self.row_ids = {length: pa.array(range(length), pa.int64()) for length in LENGTHS}
        for kind in "ifb":
            for length in LENGTHS:
                made = []
                for _ in range(VARIANTS):
                    values = make_values(rng, kind, length)
                    made.append(Column(kind, values, make_array(rng, kind, values)))
                self.columns[kind, length] = made

    def draw(self, rng: random.Random, kinds: str) -> tuple[int, list[Column]]:
        """The length and one column for each letter of `kinds`."""
        length = rng.choices(LENGTHS, LENGTH_WEIGHTS)[0]
        return length, [rng.choice(self.columns[kind, length]) for kind in kinds]
