"""What several test files need: a Python of its own for what would harm this one, and readers of reports."""

from __future__ import annotations

import itertools
import linecache
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow as pa

import sabot as sb
from sabot import Stream

HELPER = Path(sb.__file__).parent / "_bin" / "sabot-jit"
TIERS = ("interpreter", "native") if HELPER.exists() else ("interpreter",)
BATCHES = (1, 3, 2048, None)
THREADS = (1, 2)
TIMEOUT_S = 60

TABLE = pa.table({"a": [1, -2, 3, 2**62], "b": [4, 5, None, 8]})
WAYS = list(itertools.product(TIERS, THREADS, BATCHES))

# Limits of time are this much wider than promised: other programs run on the machine that tests.
SLACK = 5


def run_python(
    text: str, *options: str, env: dict[str, str] | None = None, timeout_s: float = TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    """Runs a program text in a Python of its own, with this one's `sabot`."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(text)],
        env={**os.environ, "PYTHONPATH": path, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def printed(
    text: str, *options: str, env: dict[str, str] | None = None, timeout_s: float = TIMEOUT_S
) -> str:
    """What a program prints; it must end well and say nothing on stderr."""
    result = run_python(text, *options, env=env, timeout_s=timeout_s)
    assert (result.returncode, result.stderr) == (0, ""), (result.returncode, result.stderr)
    return result.stdout


def function_report(stream: sb.Stream, index: int = 0) -> dict[str, object]:
    """What the latest run says of one function."""
    assert stream.last_run is not None
    return stream.last_run.report["functions"][index]


_cells = 0


def cell(text: str, name: str | None = None, **names: object) -> dict[str, object]:
    """Runs a text as a notebook runs a cell, so that `linecache` holds it; gives its names."""
    global _cells
    if name is None:
        _cells += 1
        name = f"<cell {_cells}>"
    lines = [line + "\n" for line in text.split("\n")]
    linecache.cache[name] = (len(text), None, lines, name)
    space = dict(names)
    exec(compile(text, name, "exec"), space)
    return space


def many(rows=5000):
    """A table of every type that is compiled, with nulls, in uneven chunks, each a slice with an offset."""
    ints = [None if k % 7 == 3 else k * 37 % 101 - 50 for k in range(rows)]
    floats = [None if k % 11 == 5 else (k * 53 % 97 - 40) / 8 for k in range(rows)]
    bools = [None if k % 13 == 1 else k % 3 == 0 for k in range(rows)]
    whole = pa.table({"i": pa.array(ints, pa.int64()), "x": floats, "p": bools})
    cuts = [0, 1, 2, 9, 9, 70, 500, 503, rows]
    pieces = [whole.slice(a, b - a) for a, b in itertools.pairwise(cuts)]
    return pa.concat_tables(pieces)


def rows_of(table):
    return [tuple(row.values()) for row in table.to_pylist()]


def bits(values):
    """Values that are equal only with their types and their signs of zero; every nan is one."""
    return [(type(v).__name__, "nan" if v != v else repr(v)) for v in values]


def column(table, fn, batch_size=None):
    return Stream.from_table(table, batch_size).with_columns(y=fn).collect()["y"]


class Trouble(Exception):
    """A user's own exception, with arguments and an attribute."""

    def __init__(self, first, second):
        super().__init__(first, second)
        self.extra = "kept"


def check_snippets(page: Path, folder: Path, least: int) -> None:
    """Runs the Python blocks of a page of the manual one after the other: each prints the text block that follows it, or nothing."""
    pairs: list[list[str]] = []
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.M | re.S):
        if language == "python":
            pairs.append([text, ""])
        else:
            assert (language, pairs[-1][1]) == ("text", "")
            pairs[-1][1] = text
    assert len(pairs) >= least
    script = folder / "page.py"
    mark = "--- next snippet"
    script.write_text(f"\nprint({mark!r})\n".join(code for code, _ in pairs))
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    for (code, wanted), printed in zip(pairs, result.stdout.split(mark + "\n"), strict=True):
        assert printed == wanted, code
