"""Progress: when it is shown and where, that it leaves the terminal clean, and that the estimate is right."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import textwrap
import time
import types

import pyarrow as pa
import pytest
from support import SLACK, TIMEOUT_S

import sabot as sb
from sabot import Stream, _display, _progress, _stage
from sabot._piece import Piece

pytestmark = pytest.mark.api

ROUNDS = 3  # a busy machine may spoil a measurement


# --- a terminal of our own


class Screen:
    """What a terminal shows, of what was written to it so far; its lines have no end."""

    def __init__(self) -> None:
        self.lines = [""]
        self.column = 0
        self.seen: list[str] = []

    def feed(self, text: str) -> None:
        for part in re.split(r"(\r|\n|\x1b\[K)", text):
            line = self.lines[-1]
            if part == "\r":
                self.column = 0
            elif part == "\n":
                self.lines.append("")
                self.column = 0
            elif part == "\x1b[K":
                self.lines[-1] = line[: self.column]
                if self.column:
                    self.seen[-1] = self.lines[-1]
            elif part:
                assert "\x1b" not in part
                self.lines[-1] = (
                    line[: self.column].ljust(self.column) + part + line[self.column + len(part) :]
                )
                self.column += len(part)
                self.seen.append(self.lines[-1])


def in_terminal(text: str, width: int = 80, env: dict[str, str] | None = None, interrupt: str = ""):
    """Runs a program in a terminal. Gives its screen and how it ended; Ctrl-C is pressed when the screen has said `interrupt`."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    path = os.pathsep.join(entry for entry in sys.path if entry)
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            + textwrap.dedent(text),
        ],
        env={
            **os.environ,
            "PYTHONPATH": path,
            "TERM": "xterm",
            "PYTHONIOENCODING": "utf-8",
            **(env or {}),
        },
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    screen = Screen()
    data = b""
    pressed = not interrupt
    until = time.monotonic() + TIMEOUT_S
    try:
        while time.monotonic() < until:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                read = os.read(ours, 65536)
            except OSError:
                break
            if not read:
                break
            data += read
            if not pressed and interrupt.encode() in data:
                os.write(ours, b"\x03")
                pressed = True
        screen.feed(data.decode())
        return screen, child.wait(TIMEOUT_S)
    finally:
        os.close(ours)
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
            child.wait()


SLOW = """
    import time, sys
    import pyarrow as pa
    from sabot import Stream
    def slow(a) -> int:
        time.sleep(0.001)
        return a
    s = Stream.from_table(pa.table({"a": list(range(1800))})).with_columns(y=slow)
    """


def program(text: str) -> str:
    return textwrap.dedent(SLOW) + textwrap.dedent(text)


def bars(screen: Screen) -> list[str]:
    return [text for text in screen.seen if "rows" in text and "%" in text]


@pytest.mark.parametrize("width", [80, 40, 12])
def test_a_terminal_shows_a_line_and_keeps_nothing_of_it(width):
    screen, code = in_terminal(program("print('begin'); s.collect(); print('end')"), width)
    assert code == 0
    assert screen.lines == ["begin", "end", ""]
    shown = [text for text in screen.seen if "%" in text]
    assert len(shown) >= 3
    assert max(map(len, shown)) < width
    assert len(set(shown)) > 1  # within one call for all rows
    if width == 80:
        assert re.search(r"%  █+░+  [\d,]+ rows  .* rows/s  0:01  0:0\d left", shown[0])


def test_a_short_run_shows_nothing():
    text = "Stream.from_table(pa.table({'a': [1, 2]})).with_columns(y=slow).collect(); print('end')"
    screen, _ = in_terminal(program(text))
    assert screen.seen == ["end"]


@pytest.mark.parametrize(
    ("first", "env"),
    [
        ("import sabot; sabot.config(progress=False)", {}),
        ("", {"SABOT_PROGRESS": "0"}),
        ("", {"TERM": "dumb"}),
        ("sys.stderr = open('/dev/null', 'w')", {}),
    ],
)
def test_it_can_be_switched_off_and_is_silent_elsewhere(first, env):
    screen, code = in_terminal(program(first + "\ns.collect(); print('end')"), env=env)
    assert (screen.seen, code) == (["end"], 0)


def test_what_is_no_terminal_is_none(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    closed = io.StringIO()
    closed.close()
    says_so = types.SimpleNamespace(isatty=lambda: True)
    for stream in (None, io.StringIO(), closed, says_so):
        monkeypatch.setattr(sys, "stderr", stream)
        assert _progress._place() is None
        assert sleeper(3).count() == 3


def test_what_the_program_prints_stays_whole():
    text = """
        import logging
        log = logging.getLogger()
        log.addHandler(logging.StreamHandler())
        s = Stream.from_table(pa.table({"a": list(range(2400))}), 300).with_columns(y=slow)
        for number, batch in enumerate(s.rebatch(300)):
            print("out", number)
            log.warning("err %d", number)
        print("half", end="", flush=True)
        print(" and half")
        """
    screen, _ = in_terminal(program(text))
    expected = [f"{word} {number}" for number in range(8) for word in ("out", "err")]
    assert screen.lines == [*expected, "half and half", ""]
    assert bars(screen)


def test_the_middle_of_a_line_is_not_drawn_over():
    text = """
        def dots(a) -> int:
            time.sleep(0.001)
            if a == 1200:
                print("working ", end="", flush=True)
            if a == 1700:
                print("done")
            return a
        s.with_columns(z=dots).select("z").collect()
        """
    screen, _ = in_terminal(program(text))
    assert screen.lines == ["working done", ""]
    assert bars(screen)


def test_an_exception_finds_a_clean_line():
    text = """
        def fails(a) -> int:
            time.sleep(0.001)
            return 1 // (1500 - a)
        s.select("a").with_columns(y=fails).collect()
        """
    screen, code = in_terminal(program(text))
    assert code == 1
    assert bars(screen)
    assert screen.lines[0] == "Traceback (most recent call last):"
    assert not any("%" in line and "rows" in line for line in screen.lines)


def test_ctrl_c_finds_a_clean_line():
    screen, code = in_terminal(program("s.collect()"), interrupt="left")
    assert code in (-signal.SIGINT, 1)
    assert screen.lines[0] == "Traceback (most recent call last):"
    assert screen.lines[-2] == "KeyboardInterrupt"


def test_a_source_without_a_known_end_shows_rows_and_rate():
    text = """
        def forever():
            while True:
                time.sleep(0.01)
                yield pa.record_batch({"a": [1] * 100})
        print(Stream.from_batches(forever()).limit(10**9).schema)
        taken = 0
        for batch in Stream.from_batches_unbounded(forever):
            taken += batch.num_rows
            if taken >= 14000:
                break
        """
    screen, _ = in_terminal(program(text))
    shown = [text for text in screen.seen if "rows/s" in text]
    assert shown
    assert [
        text for text in shown if not re.fullmatch(r"[\d,]+ rows  [\d.]+k? rows/s *", text)
    ] == []


def test_a_fork_leaves_the_streams_as_they_were():
    text = """
        import os
        def forks(a) -> int:
            time.sleep(0.001)
            if a == 1400:
                pid = os.fork()
                if pid == 0:
                    assert "write" not in vars(sys.stdout)
                    sys.stdout.write("child\\n")
                    sys.stdout.flush()
                    os._exit(0)
                os.waitpid(pid, 0)
            return a
        s.with_columns(z=forks).select("z").collect()
        assert "write" not in vars(sys.stdout)
        """
    screen, code = in_terminal(program(text))
    assert code == 0
    assert "child" in "".join(screen.lines)


# --- a notebook


def test_a_notebook_has_an_output_for_it(monkeypatch):
    outputs: list[str] = []

    class Handle:
        def update(self, data, raw):
            assert raw
            outputs.append(data["text/plain"])

    def display(data, raw, display_id):
        assert raw
        assert display_id
        outputs.append(data["text/plain"])
        return Handle()

    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    slow(sleeper(1400)).collect()
    assert len(outputs) >= 3
    assert re.fullmatch(r"1,400 rows in \d\.\d s, .* rows/s", outputs[-1])


# --- the line


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (79, " 25%  ██████░░░░░░░░░░░░░░░░░░  1,234,567 rows  123k rows/s  0:10  0:30 left"),
        (60, " 25%  ██░░░░░░  1,234,567 rows  123k rows/s  0:10  0:30 left"),
        (48, " 25%  1.23M rows  123k rows/s  0:10  0:30 left"),
        (40, " 25%  1.23M rows  123k rows/s  0:30 left"),
        (39, " 25%  ██░░░░░░░░  1.23M rows  0:30 left"),
        (16, " 25%  0:30 left"),
        (8, " 25%"),
        (3, ""),
    ],
)
def test_narrow_lines_leave_out_what_matters_less(width, text):
    snapshot = _progress.Snapshot(10.0, 1234567, 0.25, 40.0)
    assert _display.line(snapshot, width) == text
    assert len(_display.line(snapshot, width)) <= width


def test_a_line_in_ascii():
    snapshot = _progress.Snapshot(10.0, 1000, 0.5, 20.0)
    assert _display.line(snapshot, 79, plain=True).isascii()


# --- the estimate


class Recorder:
    """A display that keeps what it is shown."""

    def __init__(self) -> None:
        self.seen: list[_progress.Snapshot] = []

    def show(self, snapshot):
        self.seen.append(snapshot)

    def hide(self):
        pass

    def close(self, snapshot):
        self.end = snapshot.elapsed


def watched(monkeypatch, stream: Stream) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(_progress, "_place", lambda: recorder)
    monkeypatch.setattr(_progress, "SHOWN_AFTER_S", 0.0)
    monkeypatch.setattr(_display, "open", lambda place: place)
    stream.count()
    monkeypatch.undo()
    return recorder


def sleeper(rows: int) -> Stream:
    return Stream.from_table(pa.table({"a": list(range(rows))}))


def slow(stream: Stream) -> Stream:
    def wait(a) -> int:
        time.sleep(0.001)
        return a

    return stream.with_columns(y=wait)


def spin(a, n) -> int:
    for k in range(n):
        a = (a * 31 + k) % 1000003
    return a


def parquet_scan(tmp_path, scale):
    import pyarrow.parquet as pq

    table = pa.table(
        {f"c{k}": [f"{(row * 7919 + k) % 100003:>40}" for row in range(100_000)] for k in range(4)}
    )
    path = tmp_path / "one.parquet"
    pq.write_table(table, path, compression="gzip", use_dictionary=False, row_group_size=20_000)
    return lambda: Stream.from_parquet([str(path)] * scale)


def csv_scan(tmp_path, scale):
    path = tmp_path / "one.csv"
    line = ",".join(f"{k * 1.7:.6f}" for k in range(20)) + "\n"
    with path.open("w") as file:
        file.write(",".join(f"c{k}" for k in range(20)) + "\n")
        for _ in range(40_000 * scale):
            file.write(line)
    return lambda: Stream.from_csv(str(path))


def compiled_map(tmp_path, scale):
    rows = 20_000 * scale
    table = pa.table({"a": list(range(rows)), "n": [1000] * rows})
    return lambda: Stream.from_table(table, 2_000).with_columns(y=spin)


def python_map(tmp_path, scale):
    return lambda: slow(sleeper(500 * scale))


def skewed_batches(tmp_path, scale):
    """Batches of 1 and of 100 parts; the time of a row depends on it."""
    sizes = [100 if number % 10 == 5 else 1 for number in range(20 * scale)]
    batches = [pa.record_batch({"a": list(range(size))}) for size in sizes]

    def wait(batch):
        time.sleep(sum(0.0004 + 0.0004 * (a % 7 == 0) for a in batch.column(0).to_pylist()))
        return batch

    return lambda: Stream.from_batches(batches).map(wait)


@pytest.mark.parametrize(
    "job",
    [parquet_scan, csv_scan, compiled_map, python_map, skewed_batches],
    ids=lambda job: job.__name__,
)
def test_the_estimate_is_within_a_quarter(job, tmp_path, monkeypatch):
    scale = 1
    for _ in range(2):
        make = job(tmp_path, scale)
        begun = time.perf_counter()
        make().count()
        scale = max(1, round(scale * min(20.0, 2.5 / (time.perf_counter() - begun))))
    make = job(tmp_path, scale)
    wrong = []
    for _ in range(ROUNDS):
        seen = watched(monkeypatch, make())
        end = seen.end
        late = [one for one in seen.seen if one.elapsed >= 0.2 * end]
        off = [one for one in late if one.end is None or abs(one.end - end) > 0.25 * end]
        if not off and len(late) >= 5 and end > 1:
            return
        wrong.append(
            (round(end, 2), [(round(one.elapsed, 2), one.end and round(one.end, 2)) for one in off])
        )
    pytest.fail(f"{job.__name__}, scale {scale}: (end, [(time, estimate)]) {wrong}")


def test_the_share_moves_within_one_call_of_the_engine(monkeypatch):
    seen = watched(monkeypatch, slow(sleeper(500))).seen
    shares = sorted({one.share for one in seen})
    assert len(shares) >= 4
    assert 0 < shares[1] < shares[-2] < 1


@pytest.mark.parametrize("options", [{"max_concurrency": 3}, {}])
def test_the_share_moves_while_calls_run_at_the_same_time(monkeypatch, options):
    if options:

        @sb.udf(**options)
        def wait(a) -> int:
            time.sleep(0.003)
            return a
    else:

        async def wait(a) -> int:
            await asyncio.sleep(0.06)
            return a

    recorder = watched(monkeypatch, sleeper(600).with_columns(y=wait))
    middle = [one for one in recorder.seen if 0.3 < one.elapsed / recorder.end < 0.8]
    assert middle
    assert all(abs(one.share - one.elapsed / recorder.end) < 0.3 for one in middle)


def test_a_run_that_was_left_gives_way(monkeypatch):
    left = iter(slow(sleeper(200)).rebatch(10))
    recorder = Recorder()
    monkeypatch.setattr(_progress, "_place", lambda: recorder)
    monkeypatch.setattr(_display, "open", lambda place: place)
    monkeypatch.setattr(_progress, "SHOWN_AFTER_S", 0.0)
    next(left)
    assert len(_progress._watches) == 1
    recorder.seen.clear()
    slow(sleeper(300)).count()
    assert recorder.seen[-1].rows > 200
    assert len(_progress._watches) == 1
    left.close()
    assert _progress._watches == []


def test_a_run_within_another_is_not_shown(monkeypatch):
    def counts(a) -> int:
        return sleeper(2).count() + len(_progress._watches)

    recorder = Recorder()
    monkeypatch.setattr(_progress, "_place", lambda: recorder)
    monkeypatch.setattr(_display, "open", lambda place: place)
    assert sleeper(2).with_columns(y=counts).collect()["y"].to_pylist() == [3, 3]


def test_the_share_of_a_limit_is_its_own(monkeypatch):
    def forever():
        while True:
            yield pa.record_batch({"a": [1] * 10})

    stream = slow(Stream.from_batches(forever)).limit(400)
    shares = [one.share for one in watched(monkeypatch, stream).seen]
    assert shares
    assert None not in shares
    assert shares == sorted(shares)
    assert 0.1 < shares[len(shares) // 2] < 0.9


def test_the_share_of_a_union_is_by_rows(monkeypatch):
    few, many = sleeper(100), sleeper(300)
    seen = watched(monkeypatch, slow(few).union(slow(many))).seen
    assert all(one.share == pytest.approx(one.rows / 400, abs=0.02) for one in seen)


def test_nothing_tells_the_end_of_a_generator(monkeypatch):
    def some():
        for _ in range(30):
            time.sleep(0.01)
            yield pa.record_batch({"a": [1]})

    seen = watched(monkeypatch, Stream.from_batches(some)).seen
    assert seen
    assert {(one.share, one.end) for one in seen} == {(None, None)}
    assert seen[-1].rows > seen[0].rows


def test_what_is_shown_does_not_change_results(monkeypatch):
    def odd(a) -> int:
        return a if a % 2 else 1 // 0

    recorder = Recorder()
    monkeypatch.setattr(_progress, "_place", lambda: recorder)
    monkeypatch.setattr(_display, "open", lambda place: place)
    with pytest.raises(ZeroDivisionError) as caught:
        sleeper(10).with_columns(y=odd).collect()
    assert [entry.name for entry in caught.traceback][-1] == "odd"
    assert "row 0" in caught.value.__notes__[0]
    assert sleeper(10).with_columns(y=lambda a: a + 1).collect()["y"].to_pylist() == list(
        range(1, 11)
    )
    assert _progress._watches == []


def test_a_batch_costs_little():
    """Below 0.5 us a batch and stage, which counts what it reads and what it gives."""
    pieces = [Piece(pa.record_batch({"a": [1]}), 0)] * 2_000

    def best(make):
        times = []
        for _ in range(100):
            begun = time.perf_counter()
            for _ in make():
                pass
            times.append(time.perf_counter() - begun)
        return min(times)

    def counted():
        read = _stage.metered(iter(pieces), _stage.Count(), False)
        return _stage.metered(read, _stage.Count(), False)

    assert (best(counted) - best(lambda: iter(pieces))) / len(pieces) < 0.5e-6 * SLACK
