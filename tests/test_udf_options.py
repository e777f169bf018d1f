"""`udf(args=, pure=, gpus=, batch_size=)`: what each of them does, and what it does not go with."""

from __future__ import annotations

import json
import os
import signal
import threading

import pyarrow as pa
import pytest
from support import HELPER

import sabot as sb
from sabot import CompileError, PlanError, Stream, TypeMismatchError, _gpus, _rebound, col, udf
from sabot._errors import ResourceError
from sabot._function import bind

N = 100
TABLE = pa.table({"a": list(range(N)), "x": [row / 4 for row in range(N)]})
INT = pa.int64()

rate = 2


def _stream(batch=16):
    return Stream.from_table(TABLE, batch)


def _scaled(a):
    return a * rate


# --- args


def test_args_compile_where_the_function_is_defined():
    @udf(args={"a": INT}, returns=INT)
    def ahead(a):
        return (a * 37 + 11) % 1009

    @udf
    def later(a):
        return (a * 37 + 11) % 1013

    facts = [
        json.loads(bind(fn, pa.schema({"a": INT}), "with_columns").core.report())
        for fn in (ahead, later)
    ]
    assert [fact["native"] for fact in facts] == ["ready" if HELPER.exists() else "failed", "none"]
    # The stream has other columns as well, and so few rows that nothing would be compiled for them.
    stream = _stream().with_columns(y=ahead, z=later)
    rows = stream.collect().to_pylist()
    assert [row["y"] for row in rows] == [ahead(a) for a in range(N)]
    first, second = stream.last_run.report["functions"]
    assert first["rows_native"] == (N if HELPER.exists() else 0)
    assert second["rows_native"] == 0
    assert ahead(3) == 122  # still an ordinary function


def test_columns_of_other_types_are_an_error():
    @udf(args={"a": INT})
    def doubled(a):
        return a * 2

    doubled_of = (
        Stream.from_table(pa.table({"b": [1, 2]})).with_columns(y=doubled(col("b"))).collect()
    )
    assert doubled_of["y"].to_pylist() == [2, 4]
    other = Stream.from_table(pa.table({"a": pa.array([1], pa.int32()), "b": [0.5]}))
    for build in (
        lambda: other.with_columns(y=doubled),
        lambda: other.filter(doubled),
        lambda: sb.explain(doubled, other.schema),
    ):
        with pytest.raises(
            TypeMismatchError, match="doubled: args= says that a is int64, but the column is int32"
        ):
            build()
    with pytest.raises(
        TypeMismatchError, match="args= says that b is int64, but the column is double"
    ):
        other.with_columns(y=doubled(col("b")))


def test_a_default_that_args_leave_out_is_no_column():
    @udf(args={"a": INT})
    def plus(a, x=5):
        return a + x

    table = pa.table({"a": [1, 2]})
    assert Stream.from_table(table).with_columns(y=plus).collect()["y"].to_pylist() == [6, 7]
    with pytest.raises(
        TypeMismatchError,
        match=r"args= says nothing of x, and there is a column of that name \(double\)",
    ):
        _stream().with_columns(y=plus)


def test_what_args_say_is_looked_at_at_once():
    with pytest.raises(
        PlanError, match="has no parameter 'aa', which args= names; did you mean 'a'"
    ):
        udf(lambda a: a, args={"aa": INT})
    with pytest.raises(PlanError, match="args= says nothing of the parameter 'b'"):
        udf(lambda a, b: a, args={"a": INT})
    with pytest.raises(TypeMismatchError, match="gives int64, but returns= says double"):
        udf(_scaled, args={"a": INT}, returns=pa.float64())
    with pytest.raises(CompileError):
        udf(lambda a: print(a), args={"a": INT}, compile="require", returns=pa.null())
    for wrong in ({}, {"a": int}, {1: INT}, ["a"], "a"):
        with pytest.raises(PlanError, match="args="):
            udf(_scaled, args=wrong)
    for kind in ("record", "batch"):
        with pytest.raises(PlanError, match="args= is for scalar functions"):
            udf(_scaled, args={"a": INT}, kind=kind)


def test_args_hold_in_threads_too():
    @udf(args={"a": INT}, max_concurrency=2)
    def slow(a) -> int:
        return a + 1

    assert _stream().with_columns(y=slow).collect()["y"].to_pylist() == list(range(1, N + 1))
    with pytest.raises(
        TypeMismatchError, match="args= says that a is int64, but the column is double"
    ):
        Stream.from_table(pa.table({"a": [0.5]})).with_columns(y=slow)


# --- pure


def _opaque(a) -> int:
    return int(str(a))


@pytest.mark.parametrize("kind", ["rows", "batch", "class"])
def test_after_a_function_declared_pure_nothing_is_looked_at(monkeypatch, kind):
    looked = []
    found = _rebound.RunGuard.__call__
    monkeypatch.setattr(
        _rebound.RunGuard, "__call__", lambda *args: looked.append(args[1]) or found(*args)
    )

    class Opaque:
        def __call__(self, a) -> int:
            return a

    def same(batch):
        return batch

    for pure in (None, True):
        looked.clear()
        given = udf({"rows": _opaque, "batch": same, "class": Opaque}[kind], pure=pure)
        opaque = (
            _stream().map(given, schema=TABLE.schema)
            if kind == "batch"
            else _stream().with_columns(o=given)
        )
        stream = opaque.with_columns(y=_scaled)
        assert stream.collect()["y"].to_pylist() == [2 * a for a in range(N)]
        assert bool(looked) == (pure is None), kind


def test_what_is_compiled_goes_on_beside_a_pure_function():
    """An opaque function gets a batch when those before it are done; one declared pure does not wait for that."""

    def endless(a):
        total = 0
        while a >= 0:
            total = total ^ a
        return total + rate

    assert sb.explain(endless, TABLE.schema).mode == "compiled"
    for pure in (None, True):
        seen = []

        def read(batch, seen=seen):
            seen.append(batch.num_rows)
            return batch

        stream = _stream(16).map(udf(read, pure=pure), schema=TABLE.schema).with_columns(y=endless)
        with sb.config(threads=2, tier="interpreter"):
            run = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
            run.start()
            with pytest.raises(KeyboardInterrupt):
                stream.collect()
            run.join()
        assert (len(seen) == 1) == (pure is None), pure


def test_the_report_says_who_said_so():
    declared = sb.explain(udf(_opaque, pure=True), TABLE.schema)
    assert declared.pure
    assert "declared pure" in str(declared)
    assert not sb.explain(_opaque, TABLE.schema).pure
    assert "declared" not in str(sb.explain(udf(_scaled, pure=True), TABLE.schema))
    kept = sb.explain(udf(_scaled, pure=False), TABLE.schema)
    assert (kept.mode, kept.pure) == ("interpreted", False)
    assert [reason.code for reason in kept.reasons] == ["impure"]
    assert "it was declared to have effects (pure=False)" in str(kept)


def test_an_impure_function_stays_in_cpython_in_order():
    calls = []

    def traced(a):
        return a * rate

    stream = _stream().with_columns(y=udf(traced, pure=False), z=traced)
    with sb.config(threads=3):
        assert stream.collect()["y"].to_pylist() == [2 * a for a in range(N)]
    first, second = stream.last_run.report["functions"]
    assert (first["rows_cpython"], second["rows_cpython"]) == (N, 0)

    @udf(pure=False)
    async def later(a) -> int:
        calls.append(a)
        await __import__("asyncio").sleep(0)
        calls.append(a)
        return a

    _stream().with_columns(y=later).collect()
    assert calls == [a for a in range(N) for _ in range(2)]
    assert "async, 1 at a time" in _stream().with_columns(y=later).explain()
    assert sb.auto_compile(kept := udf(traced, pure=False)) is kept


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"pure": 1}, "pure=1: it is True or False"),
        ({"pure": False, "compile": "require"}, "pure=False keeps a function in CPython"),
        ({"pure": False, "max_concurrency": 2}, "pure=False has calls one after the other"),
        ({"gpus": 1}, "gpus= needs use_process=True"),
        ({"gpus": 1, "max_concurrency": 2}, "gpus= needs use_process=True"),
        ({"gpus": 0, "use_process": True}, "gpus=0: it is a number above 0"),
        ({"gpus": True, "use_process": True}, "gpus=True: it is a number above 0"),
        ({"gpus": "1", "use_process": True}, "gpus='1': it is a number above 0"),
        ({"gpus": float("nan"), "use_process": True}, "gpus=nan: it is a number above 0"),
        ({"gpus": 1.5, "use_process": True}, "gpus=1.5: more than one are whole ones"),
        ({"batch_size": 0}, "batch_size=0: it is a whole number from 1 on"),
        ({"batch_size": 2.0}, "batch_size=2.0: it is a whole number from 1 on"),
    ],
)
def test_options_that_contradict(options, match):
    with pytest.raises(PlanError, match=match):
        udf(_scaled, **options)


# --- batch_size


def _sizes(seen, fn=lambda batch: batch):
    def sized(batch):
        seen.append(batch.num_rows)
        return fn(batch)

    return sized


@pytest.mark.parametrize("source", [7, 16, N])
@pytest.mark.parametrize("more", [{}, {"max_concurrency": 2}])
def test_a_batch_function_gets_as_many_rows_in_each_call(source, more):
    wanted = [30, 30, 30, 10]
    seen: list[int] = []
    valid = lambda batch: batch.column("a").is_valid()  # noqa: E731
    for build in (
        lambda s: s.map(udf(_sizes(seen), batch_size=30, **more)),
        lambda s: s.map(udf(_sizes(seen), batch_size=30, **more), schema=TABLE.schema),
        lambda s: s.filter(udf(_sizes(seen, valid), kind="batch", batch_size=30, **more)),
        lambda s: s.flat_map(udf(_sizes(seen, lambda batch: [batch]), batch_size=30, **more)),
        lambda s: s.map(lambda batch: batch).filter(
            udf(_sizes(seen, valid), kind="batch", batch_size=30, **more)
        ),
    ):
        seen.clear()
        assert build(_stream(source)).collect()["a"].to_pylist() == list(range(N))
        assert sorted(seen, reverse=True) == wanted


def test_a_class_gets_as_many_rows_too():
    class Model:
        seen: list[int] = []  # noqa: RUF012

        def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
            self.seen.append(batch.num_rows)
            return batch

    for method in ("map", "flat_map"):
        Model.seen.clear()
        fn = (
            Model
            if method == "map"
            else type(
                "M", (Model,), {"__call__": lambda self, batch: [Model.__call__(self, batch)]}
            )
        )
        stream = getattr(_stream(16), method)(udf(fn, kind="batch", batch_size=30))
        assert stream.collect().num_rows == N
        assert Model.seen == [30, 30, 30, 10]
    assert "30 rows at once" in _stream().map(udf(Model, batch_size=30)).explain()


def test_rows_that_a_thread_takes_at_once(monkeypatch):
    from sabot import _crew

    taken = []
    found = _crew.call_rows
    monkeypatch.setattr(
        _crew,
        "call_rows",
        lambda fn, work, batch, stopped: (
            taken.append(batch.num_rows) or found(fn, work, batch, stopped)
        ),
    )
    stream = _stream(50).with_columns(y=udf(_opaque, max_concurrency=2, batch_size=8))
    assert stream.collect()["y"].to_pylist() == list(range(N))
    assert sorted(taken) == sorted([8] * 12 + [2, 2])


def test_batch_size_needs_batches_or_workers():
    one = udf(_scaled, batch_size=8)
    for build in (
        lambda: _stream().with_columns(y=one),
        lambda: _stream().filter(one),
        lambda: _stream().with_columns(y=one(col("a"))),
        lambda: _stream().map(udf(lambda row: {"a": row["a"]}, batch_size=8)),
        lambda: _stream().flat_map(udf(lambda row: [{"a": row["a"]}], batch_size=8)),
        lambda: _stream().with_columns(
            y=udf(type("C", (), {"__call__": lambda self, a: a}), batch_size=8, returns=INT)
        ),
    ):
        with pytest.raises(
            PlanError,
            match="batch_size= is for batch functions, or the rows that a thread or worker process takes",
        ):
            build()


# --- gpus


@pytest.fixture
def gpus(monkeypatch):
    """Makes the machine one with these devices, as far as anybody asks."""

    def devices(text):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)

    yield devices
    assert not any(_gpus._held.values())


def _seen_in_worker(**options):
    """Which devices each worker saw, and how many workers there were."""

    def see(a) -> str:
        import os
        import time

        time.sleep(0.02)
        return f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')}"

    fn = udf(see, use_process=True, batch_size=1, **options)
    seen = Stream.from_table(TABLE.slice(0, 40)).with_columns(y=fn).collect()["y"].to_pylist()
    return sorted({tuple(one.split(" ", 1)) for one in seen}, key=lambda pair: pair[1])


def test_workers_see_their_own_gpus(gpus):
    gpus("3,GPU-b,5")
    assert [devices for _, devices in _seen_in_worker(gpus=1)] == ["3", "5", "GPU-b"]
    assert [devices for _, devices in _seen_in_worker(gpus=2)] == ["3,GPU-b"]
    gpus("7")
    assert [devices for _, devices in _seen_in_worker(gpus=0.5)] == ["7", "7"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "7"


def test_more_than_there_are_is_refused_when_the_stream_is_built(gpus):
    def stream(of, **options):
        return of.with_columns(
            **{f"y{len(of.schema.names)}": udf(_opaque, use_process=True, **options)}
        )

    gpus("0,1")
    with pytest.raises(
        PlanError,
        match=r"3 workers with 1 GPU each, but there are 2 GPUs \(CUDA_VISIBLE_DEVICES='0,1'\)",
    ):
        stream(_stream(), gpus=1, max_concurrency=3)
    with pytest.raises(PlanError, match="1 worker with 4 GPUs each, but there are 2 GPUs"):
        stream(_stream(), gpus=4)
    with pytest.raises(PlanError, match="3 workers with 0.6 GPU each"):
        stream(_stream(), gpus=0.6, max_concurrency=3)
    # All functions of a stream have their workers at the same time.
    both = stream(stream(_stream(), gpus=1, max_concurrency=1), gpus=0.5, max_concurrency=2)
    with pytest.raises(
        PlanError,
        match="1 worker with 1 GPU each and 2 workers with 0.5 GPU each and 1 worker with 0.25",
    ):
        stream(both, gpus=0.25, max_concurrency=1)
    with pytest.raises(PlanError, match="and 1 worker"):
        both.union(both).with_columns(z=udf(_opaque, use_process=True, gpus=1, max_concurrency=1))
    assert "2 processes, 0.5 GPU each" in both.explain()
    for none in ("", "-1", "-1,0"):
        gpus(none)
        with pytest.raises(PlanError, match="but there are no GPUs"):
            stream(_stream(), gpus=1)


def test_a_union_counts_its_inputs(gpus):
    gpus("0")
    fn = udf(_opaque, use_process=True, gpus=1, max_concurrency=1)
    bounded = _stream().with_columns(y=fn)
    assert bounded.union(bounded).count() == 2 * N  # one after the other
    endless = Stream.from_batches(
        lambda: iter(TABLE.to_batches()), schema=TABLE.schema
    ).with_columns(y=fn)
    with pytest.raises(
        PlanError,
        match="union: 1 worker with 1 GPU each and 1 worker with 1 GPU each, but there is 1 GPU",
    ):
        bounded.union(endless)


def test_runs_at_the_same_time_do_not_share(gpus):
    gpus("0")
    fn = udf(_opaque, use_process=True, gpus=1, max_concurrency=1)
    first = iter(_stream(16).with_columns(y=fn))
    next(first)
    other = Stream.from_table(TABLE).with_columns(y=fn)
    with pytest.raises(
        ResourceError, match="other runs of this process have too many of the 1 GPUs"
    ):
        other.collect()
    first.close()
    assert other.collect().num_rows == N


def test_parts_of_a_device_never_come_to_more_than_it(gpus):
    gpus("0,1")
    held = [_gpus.Reservation("f", _gpus.Need(1, 1 / 3)) for _ in range(6)]
    assert sorted(one.take()[0] for one in held) == ["0", "0", "0", "1", "1", "1"]
    with pytest.raises(ResourceError):
        _gpus.Reservation("f", _gpus.Need(1, 0.1))
    for one in held:
        one.release()
        one.release()
    assert _gpus.workers_max(1 / 3) == 6
    assert _gpus.workers_max(2) == 1
    threads = [
        threading.Thread(target=lambda: _gpus.Reservation("f", _gpus.Need(2, 0.5)).release())
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_devices_of_the_driver(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(
        os,
        "listdir",
        lambda path: ["null", "nvidia10", "nvidia0", "nvidiactl", "nvidia-uvm", "nvidia2"],
    )
    assert _gpus.devices() == ("0", "2", "10")


def test_a_worker_that_dies_is_replaced_on_its_gpu(gpus, tmp_path):
    gpus("4")

    def die_once(a, path=str(tmp_path / "died")) -> str:
        import os

        if a == 5 and not os.path.exists(path):
            open(path, "w").close()
            os._exit(3)
        return os.environ["CUDA_VISIBLE_DEVICES"]

    fn = udf(die_once, use_process=True, gpus=1)
    seen = (
        Stream.from_table(TABLE.slice(0, 10).select(["a"]))
        .with_columns(y=fn)
        .collect()["y"]
        .to_pylist()
    )
    assert seen == ["4"] * 10
