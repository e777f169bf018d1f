"""Worker processes: what runs there, what comes back, what happens when they die, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import SLACK, TIMEOUT_S, Trouble, printed

import sabot as sb
from sabot import Stream, udf

pytestmark = pytest.mark.api

TEN = pa.table({"a": list(range(10)), "s": [None if k == 5 else f"s{k}" for k in range(10)]})
TWO = {"use_process": True, "max_concurrency": 2}


def batches(table, rows):
    return Stream.from_batches(table.to_batches(max_chunksize=rows), schema=table.schema)


def values(stream, name="y"):
    return stream.collect()[name].to_pylist()


def children():
    """The processes whose parent this is, zombies too, but for the compiler's."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().rsplit(")", 1)
        except OSError:
            continue
        if int(rest.split()[1]) == os.getpid() and "sabot-jit" not in name:
            found.append(int(stat.parent.name))
    return found


def descriptors():
    return sorted(
        os.readlink(path)
        for path in Path("/proc/self/fd").iterdir()
        if path.is_symlink()
        and ("memfd:sabot-batch" in os.readlink(path) or "socket" in os.readlink(path))
    )


def shared_names():
    """Named shared memory; semaphores of multiprocessing are other programs' of this machine."""
    return {name for name in os.listdir("/dev/shm") if not name.startswith("sem.mp-")}


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = descriptors(), shared_names()
    yield
    gc.collect()
    assert children() == []
    assert (descriptors(), shared_names()) == before
    assert "memfd:sabot-batch" not in Path("/proc/self/maps").read_text()


# --- results


@pytest.mark.parametrize("rows", [10, 3])
def test_rows_come_back_in_order(rows):
    @udf(**TWO)
    def work(a, s) -> str:
        return f"{a}{s}{os.getppid()}"

    parent = os.getpid()
    expected = [f"{a}{s}{parent}" for a, s in zip(range(10), TEN["s"].to_pylist())]
    assert values(batches(TEN, rows).with_columns(y=work)) == expected


def test_every_operator():
    source = batches(TEN, 3)

    def twice(batch: pa.RecordBatch):
        for _ in range(2):
            yield batch

    assert values(source.filter(udf(lambda a: a % 2, **TWO)), "a") == [1, 3, 5, 7, 9]
    assert values(source.filter(udf(lambda b: pc.greater(b.column("a"), 4), **TWO)), "a") == [
        5,
        6,
        7,
        8,
        9,
    ]
    assert values(source.map(udf(lambda b: b.slice(1), **TWO)), "a") == [1, 2, 4, 5, 7, 8]
    assert values(source.flat_map(udf(twice, **TWO)), "a") == (
        [0, 1, 2] * 2 + [3, 4, 5] * 2 + [6, 7, 8] * 2 + [9] * 2
    )


def test_large_batches_lie_in_shared_memory():
    table = pa.table({"a": list(range(200_000)), "s": ["text"] * 200_000})

    @udf(**TWO)
    def seen(batch: pa.RecordBatch):
        maps = Path("/proc/self/maps").read_text()
        shared = [line for line in maps.splitlines() if "memfd:sabot-batch" in line]
        return {"n": [batch.num_rows], "shared": [len(shared)], "mode": [shared[0].split()[1][:2]]}

    rows = batches(table, 100_000).map(seen).collect().to_pylist()
    assert [row["n"] for row in rows] == [100_000] * 2
    assert all(row["shared"] >= 1 and row["mode"] == "r-" for row in rows)

    whole = batches(table, 100_000).map(udf(lambda b: b, **TWO)).collect()
    assert whole.equals(table.combine_chunks()) or whole.to_pydict() == table.to_pydict()


def test_only_what_is_read_is_sent():

    # A column whose IPC form would be larger than all the time there is.
    table = pa.table({"a": [1, 2], "heavy": ["x" * 50_000_000] * 2})

    @udf(**TWO)
    def resident(a) -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    assert max(values(Stream.from_table(table).with_columns(y=resident))) < 200_000_000 * 2


def test_every_type_goes_there_and_back():
    import datetime
    import decimal

    table = pa.table(
        {
            "d": [datetime.date(2020, 1, 2), None],
            "t": [datetime.datetime(2020, 1, 2, 3), None],
            "m": [decimal.Decimal("1.50"), None],
            "l": [[1, None], None],
            "r": [{"x": 1, "y": "z"}, None],
            "c": pa.array(["u", None]).dictionary_encode(),
            "v": pa.array(["view", None], pa.string_view()),
        }
    )
    assert Stream.from_table(table).map(udf(lambda b: b.slice(0), **TWO)).collect() == table

    @udf(**TWO)
    def shown(d, t, m, l, r, c, v) -> str:
        return repr((d, t, m, l, r, c, v))

    rows = [tuple(row.values()) for row in table.to_pylist()]
    assert values(Stream.from_table(table).with_columns(y=shown)) == [repr(row) for row in rows]


def test_on_error():
    @udf(on_error="skip", **TWO)
    def bad(a) -> int:
        return 12 // (a % 5 - 3)

    stream = batches(TEN, 4).with_columns(y=bad)
    assert values(stream, "a") == [0, 1, 2, 4, 5, 6, 7, 9]
    assert stream.last_run.errors["row"].to_pylist() == [3, 8]


def test_processes_run_at_the_same_time():
    @udf(use_process=True, max_concurrency=4)
    def slow(a) -> str:
        begun = time.monotonic()
        time.sleep(0.5)
        return f"{os.getpid()} {begun} {time.monotonic()}"

    calls = [text.split() for text in values(batches(TEN.slice(0, 8), 1).with_columns(y=slow))]
    assert 2 <= len({pid for pid, _, _ in calls}) <= 4
    assert any(
        one[0] != other[0] and float(one[1]) < float(other[1]) < float(one[2])
        for one in calls
        for other in calls
    )


def test_under_async_for():
    @udf(**TWO)
    def work(a) -> int:
        return a + 1

    async def consume():
        stream = batches(TEN, 3).with_columns(y=work)
        return [value async for batch in stream for value in batch["y"].to_pylist()]

    assert asyncio.run(consume()) == list(range(1, 11))


def test_explain():
    text = Stream.from_table(TEN).map(udf(lambda b: b.slice(1), **TWO)).explain()
    assert "MAP <lambda>(batch)   interpreted, 2 processes" in text


# --- functions


def test_functions_of_a_main_module_without_a_guard(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(
        textwrap.dedent("""
        import pyarrow as pa
        from sabot import Stream, udf

        print("main runs")
        base = 100

        class Error(Exception):
            pass

        def helper(a):
            return a + base

        @udf(use_process=True, max_concurrency=2)
        def work(a) -> int:
            if a == 3:
                raise Error("three")
            return helper(a)

        t = pa.table({"a": [1, 2]})
        print(Stream.from_table(t).with_columns(y=work).collect()["y"].to_pylist())
        try:
            Stream.from_table(pa.table({"a": [3]})).with_columns(y=work).collect()
        except Error as error:
            print("caught", error.args)
        """)
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    result = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert result.stdout == "main runs\n[101, 102]\ncaught ('three',)\n", result.stderr


def test_output_of_workers_is_the_parents():
    out = printed("""
        import os, sys
        import pyarrow as pa
        from sabot import Stream, udf

        @udf(use_process=True, max_concurrency=1)
        def work(a) -> int:
            print("to stdout", a)
            return a

        Stream.from_table(pa.table({"a": [1, 2]})).with_columns(y=work).collect()
    """)
    assert out == "to stdout 1\nto stdout 2\n"


class Counter:
    """One in each process."""

    def __init__(self):
        self.calls = 0
        self.log = os.environ.get("COUNTER_LOG")

    def __call__(self, a) -> int:
        self.calls += 1
        return self.calls

    def close(self):
        with open(self.log, "a") as log:
            log.write(f"closed {os.getpid()} after {self.calls}\n")


def test_a_class_is_built_once_in_each_process_and_closed(tmp_path, monkeypatch):
    log = tmp_path / "log"
    monkeypatch.setenv("COUNTER_LOG", str(log))
    counts = values(batches(TEN, 1).with_columns(y=udf(Counter, **TWO)))
    lines = log.read_text().splitlines()
    assert len({line.split()[1] for line in lines}) == len(lines) <= 2
    assert sum(int(line.split()[3]) for line in lines) == 10
    assert counts.count(1) == len(lines)


def test_what_closing_raises_comes_back():
    class Sticky:
        def __call__(self, a) -> int:
            return a

        def close(self):
            raise Trouble("close", 1)

    with pytest.raises(Trouble):
        values(Stream.from_table(TEN).with_columns(y=udf(Sticky, **TWO)))


def test_what_cannot_be_sent_is_a_plan_error_that_says_so():
    lock = threading.Lock()

    @udf(**TWO)
    def locked(a) -> int:
        with lock:
            return a

    with pytest.raises(sb.PlanError, match="cannot be pickled"):
        values(Stream.from_table(TEN).with_columns(y=locked))


def test_what_cannot_be_loaded_says_so():
    class Unloadable:
        def __reduce__(self):
            return (int, ("no number",))

    thing = Unloadable()

    @udf(**TWO)
    def work(a) -> int:
        return thing

    with pytest.raises(ValueError) as caught:
        values(Stream.from_table(TEN).with_columns(y=work))
    assert any("while a worker process loaded work" in note for note in caught.value.__notes__)


# --- exceptions


class Fussy(Exception):
    """Its __init__ does not take its args."""

    def __init__(self, code, *, text):
        super().__init__(f"{code}: {text}")
        self.code = code


class Locked(Exception):
    def __init__(self):
        super().__init__("locked", threading.Lock())


def raising(kind):
    def inner(a):
        if kind == "trouble":
            error = Trouble("row", a)
            error.add_note("a note of its own")
            raise error
        if kind == "chain":
            try:
                {}["key"]
            except KeyError as error:
                raise Trouble("row", a) from error
        if kind == "fussy":
            raise Fussy(7, text="why")
        if kind == "locked":
            raise Locked
        if kind == "unicode":
            return b"\xff".decode()
        if kind == "os":
            return len(open("/nothing/here").read())
        return sys.exit(3)

    @udf(**TWO)
    def outer(a) -> int:
        return inner(a) if a == 6 else a

    return outer


def caught_from(kind, error=BaseException):
    got = []
    with pytest.raises(error) as caught:
        for batch in batches(TEN, 4).with_columns(y=raising(kind)):
            got += batch["y"].to_pylist()
    assert got == list(range(6))
    return caught.value


def test_exceptions_keep_type_args_notes_attributes_and_frames():
    error = caught_from("trouble", Trouble)
    assert error.args == ("row", 6)
    assert error.extra == "kept"
    assert error.__notes__ == [
        "a note of its own",
        "in WITH y = outer(a): operator 0, batch 1, row 6: a=6",
    ]
    frames = traceback.extract_tb(error.__traceback__)
    assert [frame.name for frame in frames[-2:]] == ["outer", "inner"]
    assert frames[-1].line == "raise error"
    assert frames[-1].filename == __file__
    assert "raise error" in "".join(traceback.format_exception(error))


def test_causes_come_along():
    error = caught_from("chain", Trouble)
    assert type(error.__cause__) is KeyError
    assert error.__cause__.args == ("key",)
    assert traceback.extract_tb(error.__cause__.__traceback__)[-1].line == '{}["key"]'


def test_exceptions_that_pickle_badly():
    error = caught_from("fussy", Fussy)
    assert (str(error), error.code) == ("7: why", 7)
    error = caught_from("locked", Locked)
    assert error.args[0] == "locked"
    assert "lock object" in error.args[1]
    assert caught_from("unicode", UnicodeDecodeError).object == b"\xff"
    assert caught_from("os", FileNotFoundError).filename == "/nothing/here"
    assert caught_from("exit", SystemExit).code == 3


def test_the_lowest_failing_row_is_the_error():
    @udf(**TWO)
    def bad(a) -> int:
        if a in (3, 4, 8):
            time.sleep(0.2 if a == 3 else 0)
            raise Trouble("row", a)
        return a

    for rows in (10, 1):
        got = []
        with pytest.raises(Trouble) as caught:
            for batch in batches(TEN, rows).with_columns(y=bad):
                got += batch["y"].to_pylist()
        assert caught.value.args == ("row", 3)
        assert got == [0, 1, 2]


# --- death


def dies(tmp_path, times, how):
    """A function that kills its process at row 4, so many times."""
    marks = tmp_path / "marks"

    def work(a) -> int:
        if a == 4:
            with open(marks, "a") as file:
                file.write("x")
            if len(marks.read_text()) <= times:
                if how == "exit":
                    os._exit(7)
                os.kill(os.getpid(), how)
        return a

    return udf(work, **TWO)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, "exit"])
def test_a_worker_that_dies_is_replaced(tmp_path, how):
    assert values(batches(TEN, 2).with_columns(y=dies(tmp_path, 1, how))) == list(range(10))


@pytest.mark.parametrize("how", [signal.SIGKILL, "exit"])
def test_one_that_dies_again_is_an_error_that_names_operator_and_rows(tmp_path, how):
    got = []
    with pytest.raises(sb.WorkerError) as caught:
        for batch in batches(TEN, 2).with_columns(y=dies(tmp_path, 9, how)):
            got += batch["y"].to_pylist()
    assert got == [0, 1, 2, 3]
    text = str(caught.value)
    assert "WITH y = work(a)" in text
    assert ("exit status 7" if how == "exit" else "signal SIGKILL") in text
    assert "batch 2, rows 4 to" in text


def test_batch_functions_that_die(tmp_path):
    marks = tmp_path / "marks"

    def once(batch: pa.RecordBatch):
        if not marks.exists():
            marks.write_text("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return batch

    def flat_once(batch: pa.RecordBatch):
        if not marks.exists():
            marks.write_text("x")
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch

    def always(batch: pa.RecordBatch):
        os.kill(os.getpid(), signal.SIGKILL)

    def flat_later(batch: pa.RecordBatch):
        yield batch
        os.kill(os.getpid(), signal.SIGKILL)

    assert values(batches(TEN, 5).map(udf(once, **TWO)), "a") == list(range(10))
    marks.unlink()
    assert values(batches(TEN, 5).flat_map(udf(flat_once, **TWO)), "a") == list(range(10))
    for stream in (
        batches(TEN, 5).map(udf(always, **TWO)),
        batches(TEN, 5).flat_map(udf(flat_later, **TWO)),
    ):
        with pytest.raises(sb.WorkerError, match=r"rows 0 to 4"):
            stream.collect()


@pytest.mark.parametrize("seed", range(2))
def test_workers_killed_at_random(seed):
    chance = random.Random(seed)
    stop = threading.Event()
    killed = []

    def kill():
        while not stop.wait(0.15 + chance.random() * 0.2):
            found = children()
            if found:
                killed.append(chance.choice(found))
                try:
                    os.kill(killed[-1], signal.SIGKILL)
                except ProcessLookupError:
                    killed.pop()

    @udf(**TWO)
    def work(a) -> int:
        time.sleep(0.002)
        return a * 3

    table = pa.table({"a": list(range(400))})
    killer = threading.Thread(target=kill)
    killer.start()
    got = []
    try:
        for batch in batches(table, 50).with_columns(y=work):
            got += batch["y"].to_pylist()
        assert len(got) == 400
    except sb.WorkerError:
        assert len(killed) >= 2
    finally:
        stop.set()
        killer.join()
    assert got == [3 * k for k in range(len(got))]


# --- endings


@pytest.mark.parametrize("after", [0, 1])
def test_break_ends_workers(after):
    @udf(**TWO)
    def slow(a) -> int:
        time.sleep(0.01 if a < 2 else 30)
        return a

    run = iter(batches(TEN, 1).with_columns(y=slow))
    for _ in range(after + 1):
        next(run)
    started = time.perf_counter()
    run.close()
    assert time.perf_counter() - started < 0.25 * SLACK
    assert children() == []


def test_a_generator_of_flat_map_is_closed_where_it_runs(tmp_path):
    log = tmp_path / "log"

    @udf(**TWO)
    def endless(batch: pa.RecordBatch):
        try:
            while True:
                yield batch
        finally:
            with open(log, "a") as file:
                file.write("closed\n")

    assert batches(TEN, 10).flat_map(endless).limit(30).count() == 30
    assert log.read_text() == "closed\n"


def test_cancelled_consumer_ends_workers():
    @udf(**TWO)
    def slow(a) -> int:
        time.sleep(30)
        return a

    async def consume():
        async for _ in batches(TEN, 1).with_columns(y=slow):
            pass

    async def main():
        task = asyncio.create_task(consume())
        await asyncio.sleep(0.5)
        started = time.perf_counter()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.perf_counter() - started

    assert asyncio.run(main()) < 0.25 * SLACK
    until = time.monotonic() + 0.2 * SLACK
    while children() and time.monotonic() < until:
        time.sleep(0.01)


RUNNING = """
import os, signal, sys, threading, time
import pyarrow as pa
from sabot import Stream, udf

@udf(use_process=True, max_concurrency=2)
def slow(a) -> int:
    os.write(1, f"worker {os.getpid()}\\n".encode())  # one write: two workers share the pipe
    time.sleep(60)
    return a

try:
    Stream.from_table(pa.table({"a": [1, 2]})).with_columns(y=slow).collect()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def running_job():
    path = os.pathsep.join(entry for entry in sys.path if entry)
    job = subprocess.Popen(
        [sys.executable, "-c", RUNNING],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = [job.stdout.readline() for _ in range(2)]
    assert all(line.startswith("worker ") for line in lines), (lines, job.poll())
    return job, [int(line.split()[1]) for line in lines]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def all_end(pids, seconds):
    until = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.01)
    return not any(map(alive, pids))


def test_ctrl_c_ends_everything():
    job, workers = running_job()
    started = time.perf_counter()
    job.send_signal(signal.SIGINT)
    out, _ = job.communicate(timeout=TIMEOUT_S)
    assert out == "interrupted\n"
    assert job.returncode == 0
    assert time.perf_counter() - started < SLACK
    assert all_end(workers, 0.1)


def test_workers_end_when_the_run_is_killed():
    job, workers = running_job()
    job.kill()
    job.communicate(timeout=TIMEOUT_S)
    assert all_end(workers, 0.5 * SLACK)


def test_a_worker_that_dies_and_leaves_a_child_of_its_own_is_noticed(tmp_path):
    marks = tmp_path / "marks"

    @udf(**TWO)
    def forks(a) -> int:
        if not marks.exists():
            marks.write_text("x")
            if os.fork() == 0:
                time.sleep(3)
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)
        return a

    started = time.perf_counter()
    assert values(Stream.from_table(TEN.slice(0, 1)).with_columns(y=forks)) == [0]
    assert time.perf_counter() - started < 3 or os.getloadavg()[0] > 4
