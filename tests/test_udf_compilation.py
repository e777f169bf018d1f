"""What functions are made of, what is worth doing with them, and what compiling them gains: detection, strategy, cache, MapOperator.

`UdfCompiler` tells a function by what its names lead to. The speed that is asked for is a fifth of what the machine gives when it is idle.
"""

from __future__ import annotations

import functools
import logging
import threading
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import HELPER

import sabot as sb
from sabot import CompilationStrategy, FunctionPattern, UdfCompiler, auto_compile
from sabot.operators import MapOperator

pytestmark = pytest.mark.api


class TestPatternDetection:
    def test_detect_loops(self):
        def func_with_loop(record):
            total = 0
            for i in range(100):
                total += record["value"] * i
            return {"result": total}

        pattern = UdfCompiler().analyze(func_with_loop)
        assert pattern == FunctionPattern(has_loops=True, loop_count=1, has_dict_access=True)

    def test_detect_numpy(self):
        def func_with_numpy(record):
            arr = np.array(record["values"])
            return {"result": np.sum(arr * 2)}

        pattern = UdfCompiler().analyze(func_with_numpy)
        assert pattern.has_numpy
        assert pattern.numpy_call_count == 2

    def test_detect_pandas(self):
        def func_with_pandas(batch):
            import pandas as pd  # noqa: F401

            df = batch.to_pandas()
            return df[df["value"] > 10]

        assert UdfCompiler().analyze(func_with_pandas).has_pandas

    def test_detect_arrow(self):
        def func_with_arrow(batch):
            import pyarrow.compute as pc

            return pc.filter(batch, pc.greater(batch["value"], 10))

        pattern = UdfCompiler().analyze(func_with_arrow)
        assert pattern.has_arrow
        assert not pattern.has_numpy

    def test_names_tell_nothing(self):
        """What a name leads to counts, not how it is spelt."""

        def called_like_libraries(record):
            pd, pc, pandas = record["np"], record["pa."], "import pyarrow"
            return pd, pc, pandas

        assert UdfCompiler().analyze(called_like_libraries) == FunctionPattern(has_dict_access=True)

        def otherwise(batch, kernel=None):
            return compute_under_another_name.add(batch["value"], 1)

        assert UdfCompiler().analyze(otherwise).has_arrow
        assert UdfCompiler().analyze(lambda x: root(x)).numpy_call_count == 1

    def test_lists(self):
        def lists(values):
            made = []
            for value in values:
                made.append(value)
            return made + [value for value in values]

        pattern = UdfCompiler().analyze(lists)
        assert pattern == FunctionPattern(has_loops=True, loop_count=2, has_list_ops=True)


compute_under_another_name = pc
root = np.sqrt


def with_both(batch):
    x = batch.column("value").to_numpy()
    return batch.append_column("y", pa.array(np.where(x > 0, x * 2, 0.0)))


def rows_of_pandas(batch):
    return [row for row in batch.to_pandas().itertuples()]


def while_loop(n):
    while n > 1:
        n //= 2
    return n


# Functions, and what is worth doing with them.
GOLDEN = [
    (lambda b: pc.multiply(b["value"], 2), "SKIP"),
    (lambda b: b.append_column("y", pc.add(b.column("value"), 1)), "SKIP"),
    (lambda b: b.to_pandas().groupby("key").sum(), "SKIP"),
    (lambda b: pd.concat([b.to_pandas(), b.to_pandas()]), "SKIP"),
    (lambda record: sum(record["value"] * i for i in range(100)), "NJIT"),
    (while_loop, "NJIT"),
    (rows_of_pandas, "NJIT"),
    (lambda x: np.sin(x) + np.cos(x) * 2 + np.exp(x / 10), "VECTORIZE"),
    (with_both, "VECTORIZE"),
    (lambda arr: np.sum(arr), "AUTO"),
    (lambda x, y: x * y + 1 if x > 0 else None, "AUTO"),
    (lambda record: record["name"].strip().lower(), "AUTO"),
]


class TestCompilationStrategy:
    def test_golden_functions(self):
        compiler = UdfCompiler()
        for number, (fn, wanted) in enumerate(GOLDEN):
            strategy = compiler.choose_strategy(compiler.analyze(fn))
            assert (number, strategy.name) == (number, wanted)
        assert len(GOLDEN) == 12

    def test_skip_arrow_functions(self):
        def arrow_func(batch):
            import pyarrow.compute as pc

            return pc.multiply(batch["value"], 2)

        compiler = UdfCompiler()
        strategy = compiler.choose_strategy(compiler.analyze(arrow_func))
        assert strategy == CompilationStrategy.SKIP

    def test_njit_for_loops(self):
        def loop_func(record):
            total = 0
            for i in range(100):
                total += record["value"] * i
            return total

        compiler = UdfCompiler()
        assert compiler.choose_strategy(compiler.analyze(loop_func)) == CompilationStrategy.NJIT

    def test_vectorize_for_numpy(self):
        def numpy_func(x):
            return np.sin(x) + np.cos(x) * 2 + np.exp(x / 10)

        compiler = UdfCompiler()
        strategy = compiler.choose_strategy(compiler.analyze(numpy_func))
        assert strategy == CompilationStrategy.VECTORIZE


class TestCompilation:
    def test_njit_compilation_success(self):
        def simple_batch_func(batch):
            values = batch.column("value").to_numpy()
            results = []
            for i in range(len(values)):
                results.append(values[i] * 2 + 10)
            return batch.append_column("computed", pa.array(results))

        compiled = auto_compile(simple_batch_func)
        test_batch = pa.RecordBatch.from_pydict({"value": [5, 10]})
        assert compiled(test_batch).column("computed").to_pylist() == [20, 30]
        assert sb.explain(simple_batch_func, test_batch.schema).mode == "compiled"

    def test_compilation_fallback(self):
        def unsupported_batch_func(batch):
            names = batch.column("name").to_pylist()
            upper_names = [name.upper() for name in names]
            return batch.append_column("upper_name", pa.array(upper_names))

        compiled = auto_compile(unsupported_batch_func)
        test_batch = pa.RecordBatch.from_pydict({"name": ["test", "data"]})
        assert compiled(test_batch).column("upper_name").to_pylist() == ["TEST", "DATA"]
        assert sb.explain(unsupported_batch_func, test_batch.schema).mode == "interpreted"

    def test_skip_compilation_for_arrow(self):
        def arrow_func(batch):
            import pyarrow.compute as pc  # noqa: F401

            return batch

        assert auto_compile(arrow_func) is arrow_func


def seconds(call, times):
    call()
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(times):
            call()
        best = min(best, time.perf_counter() - start)
    return best


class TestPerformance:
    def test_loop_speedup(self):
        def loop_batch_func(batch):
            values = batch.column("value").to_numpy()
            results = []
            for i in range(len(values)):
                total = 0.0
                for j in range(1000):
                    total += values[i] * j * 1.5
                results.append(total)
            return batch.append_column("computed", pa.array(results))

        compiled = auto_compile(loop_batch_func)
        test_batch = pa.RecordBatch.from_pydict({"value": [2.5]})
        assert compiled(test_batch).equals(loop_batch_func(test_batch))
        interpreted_s = seconds(lambda: loop_batch_func(test_batch), 20)
        if HELPER.exists():
            assert interpreted_s / seconds(lambda: compiled(test_batch), 20) >= 5

    def test_numpy_speedup(self):
        """A function of arrays is NumPy's own: it is called as it is, at the cost of a call."""

        def numpy_func(arr):
            return np.sum(arr * 2.5 + 10)

        compiled = auto_compile(numpy_func)
        assert compiled is numpy_func


class TestCache:
    def test_cache_hit(self):
        def test_func(x):
            return x * 2

        compiler = UdfCompiler()
        compiled1 = compiler.compile_udf(test_func)
        start = time.perf_counter()
        compiled2 = compiler.compile_udf(test_func)
        assert time.perf_counter() - start < 0.001 * 5
        assert compiled1 is compiled2
        assert compiler.cache_info()[:4] == (1, 1, 1000, 1)

    def test_cache_eviction(self):
        compiler = UdfCompiler(max_cache_size=5)
        for i in range(10):
            func = eval(f"lambda x: x * {i}")
            func.__name__ = f"func_{i}"
            compiler.compile_udf(func)
        assert compiler.cache_info().currsize == 5

    def test_the_one_not_used_for_longest_goes(self):
        a, b, c = [eval(f"lambda x: x + {k}") for k in range(3)]
        compiler = UdfCompiler(max_cache_size=2)
        for fn in (a, b, a, c):  # c takes the place of b
            compiler.compile_udf(fn)
        assert compiler.cache_info()[:2] == (1, 3)
        compiler.compile_udf(a)
        assert compiler.cache_info().hits == 2
        compiler.compile_udf(b)
        assert compiler.cache_info().misses == 4

    def test_bytes(self):
        fns = [eval(f"lambda x: x + {k}") for k in range(3)]
        one = UdfCompiler()
        one.compile_udf(fns[0])
        size = one.cache_info().bytes
        assert size > 100
        compiler = UdfCompiler(max_cache_bytes=2 * size)
        for fn in fns:
            compiler.compile_udf(fn)
        assert (compiler.cache_info().currsize, compiler.cache_info().bytes) == (2, 2 * size)
        small = UdfCompiler(max_cache_bytes=1)
        assert small.compile_udf(fns[0])(1) == 1
        assert small.cache_info()[3:] == (0, 0)

    def test_limits_are_numbers(self):
        for limit in (0, -1, True, 1.5, "2"):
            with pytest.raises(sb.PlanError, match="max_cache_size"):
                UdfCompiler(max_cache_size=limit)
            with pytest.raises(sb.PlanError, match="max_cache_bytes"):
                UdfCompiler(max_cache_bytes=limit)
        with pytest.raises(sb.PlanError, match="takes a function"):
            UdfCompiler().analyze(3)

    def test_threads(self):
        fns = [eval(f"lambda x: x + {k}") for k in range(20)]
        compiler = UdfCompiler(max_cache_size=7)
        wrong = []

        def work(step):
            for k in range(300):
                number = k * step % 20
                if compiler.compile_udf(fns[number])(1) != 1 + number:
                    wrong.append(number)

        threads = [threading.Thread(target=work, args=(step,)) for step in (1, 3, 7, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        info = compiler.cache_info()
        assert (wrong, info.currsize, info.hits + info.misses) == ([], 7, 1200)


class TestMapOperatorIntegration:
    def test_auto_compilation_in_map(self):
        def my_transform(batch):
            import pyarrow.compute as pc

            return batch.append_column("doubled", pc.multiply(batch.column("value"), 2))

        batch = pa.RecordBatch.from_pydict({"value": [1, 2, 3, 4, 5]})
        results = list(MapOperator(iter([batch]), my_transform))
        assert len(results) == 1
        assert results[0].column("doubled").to_pylist() == [2, 4, 6, 8, 10]

    def test_compilation_logging(self, caplog):
        def loop_func(batch):
            total = 0
            for i in range(100):
                total += i
            return batch

        def of_rows(batch):
            return batch.append_column("y", pa.array([v + 1 for v in batch["value"].to_pylist()]))

        batch = pa.RecordBatch.from_pydict({"value": [1, 2, 3]})
        with caplog.at_level(logging.DEBUG, "sabot.compile"):
            alone, by_rows = MapOperator(iter([batch]), loop_func), MapOperator([batch], of_rows)
            assert {alone.compile_status, by_rows.compile_status} == {"pending"}
            assert list(alone) == [batch]
            list(by_rows)
        assert (alone.is_compiled, by_rows.is_compiled) == (False, True)
        assert alone.compilation_strategy == CompilationStrategy.NJIT
        (refused, why), (told, done) = [(r.levelname, r.getMessage()) for r in caplog.records]
        assert refused == "DEBUG"
        assert why.startswith(f"loop_func ({__file__}:")
        assert ") is not compiled: " in why
        if HELPER.exists():
            assert told == "INFO"
            assert done.startswith(f"of_rows ({__file__}:")
            assert "): native code, compiled " in done


class TestEdgeCases:
    def test_lambda_function(self):
        compiled = auto_compile(lambda x: x * 2)
        assert compiled(4) == 8
        assert compiled(pa.array([1.5, 2.0])).to_pylist() == [3.0, 4.0]

    def test_builtin_function(self):
        assert auto_compile(len) is len
        assert UdfCompiler().compile_udf(len) is len
        assert UdfCompiler().analyze(len) == FunctionPattern()

    def test_class_method(self):
        class MyClass:
            def my_method(self, x):
                return x * 2

        obj = MyClass()
        compiled = auto_compile(obj.my_method)
        assert compiled(3) == 6
        assert compiled(pa.array([1, 2])).to_pylist() == [2, 4]
        assert auto_compile(functools.partial(obj.my_method))(3) == 6
