"""What several test files need: a Python of its own for what would harm this one, and readers of reports."""

from __future__ import annotations

import linecache
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import sabot as sb

HELPER = Path(sb.__file__).parent / "_bin" / "sabot-jit"
TIERS = ("interpreter", "native") if HELPER.exists() else ("interpreter",)
BATCHES = (1, 3, 2048, None)
THREADS = (1, 2)
TIMEOUT_S = 60

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
