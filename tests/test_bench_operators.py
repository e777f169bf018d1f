"""The benchmark of the operators on small data: every answer is right (it checks them itself) and no line of its table is missing.

Nothing is asked of the times that it prints.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent.parent / "bench" / "operators.py"
TYPES = "int64, int64 without nulls, float64, bool, string, large_string, string_view, list, struct, dictionary, decimal"
LINES = [
    *(f"one more {name}, batches of" for name in ("select", "rename", "filter", "with_columns")),
    *(f"one more Python stage, map that {does}" for does in ("gives its batch", "makes a batch")),
    "select, 4,096 rows a batch against 4",
    "records() against batches, 500 rows of 3 columns",
    *(f"filter by mask, {name}, 1,000 rows" for name in TYPES.split(", ")),
    "a Parquet file of 40 row groups of 1,024 rows, streamed: peak of Arrow's memory",
    *(
        f"{name}, {rows} rows, batches of {size}"
        for rows in ("2,000", "6,000")
        for name in ("filter", "map", "select", "flat_map", "union")
        for size in ("256", "512", "1 Ki", "2 Ki")
    ),
]


def test_the_program_checks_its_answers_and_prints_every_line():
    results = PROGRAM.parent / "RESULTS.md"
    before = results.read_bytes()
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--quick"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()[1:]
    assert len(printed) == len(LINES)
    for line, wanted in zip(printed, LINES, strict=True):
        what, measured, peers, goal = re.fullmatch(
            r"(.*?): (.*) \| (.*) \| goal (.*)", line
        ).groups()
        assert line.startswith(wanted), (line, wanted)
        assert re.search(r"\d", measured), line
        assert peers, line
        assert goal, line
        assert what, line
    assert results.read_bytes() == before  # quick figures are not kept
