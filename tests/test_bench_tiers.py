"""The benchmark of the default policy on small data: every answer is right (it compares them itself) and no line of its table is missing.

Nothing is asked of the times that it prints.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent / "bench"
ROWS = ("1", "100", "3,000")
LINE = re.compile(
    r"(.+) \((.+)\), ([\d,]+) rows: CPU [\d.]+ of off \([\d.]+ to [\d.]+, 1 pairs\), wall [\d.]+, off [\d.,]+ ms, [+-][\d.,]+ ms, "
    r"compiler \d+ ms"
)


def test_the_program_compares_answers_and_prints_every_line():
    before = (BENCH / "RESULTS.md").read_bytes()
    done = subprocess.run(
        [sys.executable, str(BENCH / "tiers.py"), "--quick"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    _, load, *printed = done.stdout.splitlines()
    assert re.fullmatch(r"load [\d.]+ at the start", load)
    names = {}
    while printed[0][0] != "|":
        name, group, rows = LINE.fullmatch(printed.pop(0)).groups()
        names.setdefault((name, group), []).append(rows)
    assert set(map(tuple, names.values())) == {ROWS}
    assert len({group for _, group in names}) == 9
    table, over = printed[2 : 2 + len(ROWS)], printed[2 + len(ROWS) + 1 :]
    for line, rows in zip(table, ROWS, strict=True):
        assert re.match(rf"\| {rows} \| {len(names)} \| ", line)
    found, cells = re.fullmatch(r"(\d+) of (\d+) cells over 1.05:", over[0]).groups()
    assert int(cells) == len(names) * len(ROWS)
    assert len(over) == int(found) + 2
    for line in over[2:]:
        assert LINE.match(line.removeprefix("* ")), line
    assert (BENCH / "RESULTS.md").read_bytes() == before


def test_the_functions_are_fifty_of_every_kind():
    sys.path.insert(0, str(BENCH))
    try:
        from tiers import bounds
        from tiers_functions import TASKS
    finally:
        sys.path.remove(str(BENCH))
    assert len(TASKS) == 50
    assert {task.group for task in TASKS} == {
        "scalar",
        "loop",
        "list",
        "record",
        "row form",
        "array form",
        "whole form",
        "refused",
        "leaves",
    }
    # The ranks of a table of the binomial distribution.
    assert bounds([3.0, 1.0, 2.0]) == (1.0, 3.0)
    assert bounds([float(k) for k in range(12)]) == (2.0, 9.0)
    assert bounds([float(k) for k in range(25)]) == (7.0, 17.0)
