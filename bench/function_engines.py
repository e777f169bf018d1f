"""Ways to run a function of the corpus over columns, for bench/functions.py. One thread each.

An engine is `make(case, columns)`: it imports and prepares what it needs, and gives what runs the function once over all rows.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from corpus import Case

HERE = Path(__file__).resolve().parent
Columns = dict[str, np.ndarray[Any, Any]]
Run = Callable[[], Any]

os.environ["POLARS_MAX_THREADS"] = "1"
os.environ["DAFT_PROGRESS_BAR"] = "0"


def columns_of(table: pa.Table) -> Columns:
    """The columns, which have no nulls, as arrays."""
    return {
        name: table[name].combine_chunks().to_numpy(zero_copy_only=False)
        for name in table.column_names
    }


def as_array(result: Any) -> np.ndarray[Any, Any]:
    """Any engine's result."""
    if isinstance(result, pa.Table):
        return result["y"].combine_chunks().to_numpy(zero_copy_only=False)
    if type(result).__name__ in ("DataFrame", "dict"):  # of Polars, of DuckDB
        return np.asarray(result["y"])
    # A copy: memory of hand-written C goes with its result.
    return np.array(result)


def kind_of(case: Case, columns: Columns) -> type:
    """int, float or bool: what the function gives."""
    return type(case.fn(*(values[0].item() for values in columns.values())))


def _dtype(case: Case, columns: Columns) -> np.dtype[Any]:
    return np.dtype({int: np.int64, float: np.float64, bool: np.bool_}[kind_of(case, columns)])


# --- Sabot


def _sabot(tier: str) -> Callable[[Case, Columns], Run]:
    def make(case: Case, columns: Columns) -> Run:
        import sabot as sb

        stream = sb.Stream.from_table(pa.table(columns)).with_columns(y=case.fn)

        def run() -> pa.Table:
            with sb.config(tier=tier, threads=1):
                return stream.collect()

        return run

    return make


# --- CPython and what calls it row by row


def cpython(case: Case, columns: Columns) -> Run:
    """The function alone: lists in, a list out."""
    lists = [values.tolist() for values in columns.values()]
    return lambda: list(map(case.fn, *lists))


def polars(case: Case, columns: Columns) -> Run:
    import polars as pl

    fn = case.fn
    frame = pl.DataFrame(columns)
    kinds = {int: pl.Int64, float: pl.Float64, bool: pl.Boolean}
    kind = kinds[kind_of(case, columns)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that this is slow
        if len(columns) == 1:
            call = pl.col(next(iter(columns))).map_elements(fn, return_dtype=kind)
        else:
            call = pl.struct(pl.all()).map_elements(lambda row: fn(**row), return_dtype=kind)
    call = call.alias("y")
    return lambda: frame.select(call)


def duckdb(case: Case, columns: Columns) -> Run:
    import duckdb as db

    names = {"i": "BIGINT", "f": "DOUBLE", "b": "BOOLEAN"}
    connection = db.connect(config={"threads": 1})
    types = [names[values.dtype.kind] for values in columns.values()]
    result = names[_dtype(case, columns).kind]
    connection.create_function("f", case.fn, types, result)
    connection.register("t", pa.table(columns))
    return lambda: connection.sql(f"select f({', '.join(columns)}) as y from t").fetchnumpy()


def daft(case: Case, columns: Columns) -> Run:
    """Its engine has threads of its own; they take turns at calling the function."""
    import daft as df

    kinds = {int: df.DataType.int64(), float: df.DataType.float64(), bool: df.DataType.bool()}
    kind = kinds[kind_of(case, columns)]
    function = df.func(case.fn, return_dtype=kind, use_process=False)
    frame = df.from_arrow(pa.table(columns))
    call = function(*(df.col(name) for name in columns)).alias("y")
    return lambda: frame.select(call).to_arrow()


def pandas(case: Case, columns: Columns) -> Run:
    import pandas as pd

    fn = case.fn
    frame = pd.DataFrame(columns)
    if len(columns) == 1:
        series = frame[next(iter(columns))]
        return lambda: series.apply(fn)
    return lambda: frame.apply(lambda row: fn(*row), axis=1)


# --- Numba


def _for_numba(fn: Callable[..., Any]) -> FunctionType:
    """The function, with the functions that it calls compiled."""
    import numba

    assert isinstance(fn, FunctionType)
    names = {
        name: numba.njit(value)
        for name, value in fn.__globals__.items()
        if name in fn.__code__.co_names and isinstance(value, FunctionType)
    }
    return FunctionType(fn.__code__, {**fn.__globals__, **names}, fn.__name__, fn.__defaults__)


def numba_loop(case: Case, columns: Columns) -> Run:
    import numba

    names = ", ".join(columns)
    items = ", ".join(f"{name}[i]" for name in columns)
    text = f"def loop(out, {names}):\n    for i in range(len(out)):\n        out[i] = fn({items})\n"
    space: dict[str, Any] = {"fn": numba.njit(_for_numba(case.fn))}
    exec(text, space)
    loop = numba.njit(space["loop"])
    dtype = _dtype(case, columns)
    arrays = list(columns.values())

    def run() -> np.ndarray[Any, Any]:
        out = np.empty(len(arrays[0]), dtype)
        loop(out, *arrays)
        return out

    return run


def numba_vectorize(case: Case, columns: Columns) -> Run:
    import numba

    function = numba.vectorize(_for_numba(case.fn))
    arrays = list(columns.values())
    return lambda: function(*arrays)


# --- hand-written C


def library(folder: Path) -> ctypes.CDLL:
    """bench/functions.c, compiled for this machine."""
    out = folder / "functions.so"
    flags = ["-O3", "-march=native", "-std=c17", "-ffp-contract=off", "-Wno-psabi", "-shared"]
    source = str(HERE / "functions.c")
    subprocess.run(["cc", *flags, "-fPIC", "-o", str(out), source, "-lm"], check=True)
    return ctypes.CDLL(str(out))


class Fresh:
    """Values in memory that malloc has just given; NumPy's own would have huge pages. Sabot's results are in huge pages too, and the
    first 64 MiB of them in memory that it keeps from one run to the next."""

    def __init__(self, code: ctypes.CDLL, rows: int, dtype: np.dtype[Any]) -> None:
        self.free = code.free  # libc's, found through the library
        self.free.restype, self.free.argtypes = None, [ctypes.c_void_p]
        code.malloc.restype, code.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        self.at = code.malloc(rows * dtype.itemsize)
        assert self.at
        self.__array_interface__ = {
            "version": 3,
            "shape": (rows,),
            "typestr": dtype.str,
            "data": (self.at, False),
        }

    def __del__(self) -> None:
        self.free(self.at)


def by_hand(code: ctypes.CDLL, style: str) -> Callable[[Case, Columns], Run]:
    """`style`: row or lanes."""

    def make(case: Case, columns: Columns) -> Run:
        function = getattr(code, f"{style}_{case.name}")
        function.restype = None
        dtype = _dtype(case, columns)
        arrays = list(columns.values())
        pointers = [ctypes.c_void_p(values.ctypes.data) for values in arrays]
        rows = len(arrays[0])

        def run() -> Fresh:
            out = Fresh(code, rows, dtype)
            function(*pointers, ctypes.c_void_p(out.at), ctypes.c_int64(rows))
            return out

        return run

    return make


ENGINES: dict[str, Callable[[Case, Columns], Run]] = {
    "Sabot": _sabot("native"),
    "Sabot's interpreter": _sabot("interpreter"),
    "CPython": cpython,
    "Numba": numba_loop,
    "Numba vectorize": numba_vectorize,
    "Polars": polars,
    "DuckDB": duckdb,
    "Daft": daft,
    "pandas": pandas,
}
MODULES = {
    "Numba": "numba",
    "Numba vectorize": "numba",
    "Polars": "polars",
    "DuckDB": "duckdb",
    "Daft": "daft",
    "pandas": "pandas",
}


def engines_here() -> dict[str, Callable[[Case, Columns], Run]]:
    """Those whose package is installed; the others are named on stderr."""
    missing = {name for name, module in MODULES.items() if not importlib.util.find_spec(module)}
    for name in sorted(missing):
        print(f"{name}: left out, {MODULES[name]!r} is not installed", file=sys.stderr)
    return {name: make for name, make in ENGINES.items() if name not in missing}
