"""The benchmark of functions on small data: every answer is right (it checks them itself) and no line of its table is missing.

Nothing is asked of the times that it prints.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent.parent / "bench" / "functions.py"
NAMES = [
    "z_score",
    "order_total",
    "haversine",
    "black_scholes_call",
    "zeller",
    "income_tax",
    "luhn_valid",
    "crc32_of_word",
    "sum_of_steps",
    "collatz_steps",
    "mandelbrot",
]


def lines_of(name: str) -> list[str]:
    lines = [f"{name}, 4,000 rows"]
    lines += [f"{name}, beside C", f"{name}, Sabot's interpreter alone", f"{name}, 100 rows"]
    if name == "z_score":
        lines += [f"{name}, 100 rows, cold", f"{name}, 4,000 rows, cold"]
    return lines


LINES = [
    *(line for name in NAMES for line in lines_of(name)),
    "mod97_check, 1 % of 4,000 rows leaves",
    "lcg_roll, 1 % of 4,000 rows leaves",
]


def test_the_program_checks_its_answers_and_prints_every_line():
    results = PROGRAM.parent / "RESULTS.md"
    before = results.read_bytes()
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--quick"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()[1:]
    table = printed[: len(LINES)]
    for line, wanted in zip(table, LINES, strict=True):
        what, measured, peers, goal = re.fullmatch(
            r"(.*?): (.*) \| (.*) \| goal (.*)", line
        ).groups()
        assert what == wanted
        assert re.search(r"\d", measured), line
        assert peers, line
        assert goal, line
    for peer in ("Numba", "Polars", "DuckDB", "Daft", "pandas"):
        assert (f"{peer} " in done.stdout) != (f"{peer}: left out" in done.stderr), peer
    passed, missed = re.fullmatch(r"PASS (\d+), MISS (\d+)", printed[len(LINES)]).groups()
    assert len(printed) == len(LINES) + 1 + int(missed)
    assert int(passed) + int(missed) == sum("->" in line for line in table)
    assert results.read_bytes() == before  # quick figures are not kept
