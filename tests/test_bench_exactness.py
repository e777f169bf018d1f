"""The scoreboard of exactness: what it counts as what, and a small run of it, in which Sabot has no wrong answer."""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parent.parent / "bench"


def load(name):
    spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def board():
    path, environment = list(sys.path), dict(os.environ)
    yield load("exactness")
    sys.path[:] = path
    for name in ("exactness", "exactness_functions", "harness"):
        sys.modules.pop(name, None)
    os.environ.clear()
    os.environ.update(environment)


def raised(name):
    return ("error", name, "")


@pytest.mark.parametrize(
    ("wanted", "got", "floats", "verdict"),
    [
        (5, 5, False, "right"),
        (5, 6, False, "value"),
        (5, 5 - 2**64, False, "overflow"),
        (5, 5.0, False, "type"),
        (5, 5.0, True, "right"),
        (5, 5, True, "right"),
        (5, 6.0, True, "value"),
        (2**53 + 1, float(2**53), True, "type"),
        (2**53 + 1, raised("IntegerOverflowError"), True, "right"),
        (2**53 + 1, raised("IntegerOverflowError"), False, "error added"),
        (2**63, raised("IntegerOverflowError"), False, "right"),
        (2**63, raised("OverflowError"), False, "right"),
        (2**63, raised("ValueError"), False, "error differs"),
        (2**63, 2**63, False, "right"),
        (2**63, -(2**63), False, "overflow"),
        (2**63, None, False, "null"),
        (2**63, float(2**63), False, "type"),
        (True, 1, False, "type"),
        (None, None, False, "right"),
        (None, 0, False, "null"),
        (0, None, False, "null"),
        (0.0, -0.0, False, "value"),
        (math.nan, -math.nan, False, "right"),
        (math.nan, None, False, "null"),
        (0.1 + 0.2, 0.3, False, "value"),
        (raised("ZeroDivisionError"), raised("ZeroDivisionError"), False, "right"),
        (raised("ZeroDivisionError"), raised("ValueError"), False, "error differs"),
        (raised("ZeroDivisionError"), 0, False, "error missing"),
        (raised("ZeroDivisionError"), None, False, "error missing"),
        (7, raised("ZeroDivisionError"), False, "error added"),
        (7, ("refused", "why", ""), False, "refused"),
        (raised("TypeError"), ("refused", "why", ""), False, "refused"),
        (7, ("crash", "exit status -11", ""), False, "crash"),
    ],
)
def test_verdicts(board, wanted, got, floats, verdict):
    one, other = (
        board.Answer(*given) if isinstance(given, tuple) else board.Answer.of(given)
        for given in (wanted, got)
    )
    assert board.verdict(one, other, floats) == verdict


def test_wrong_answers_of_sabot_alone_are_counted(board):
    def scores(sabot, numba):
        return {"Sabot, x": {"f": Counter(sabot)}, "Numba, y": {"f": Counter(numba)}}

    assert board.wrong_answers(scores({"right": 5, "refused": 2}, {"value": 3})) == 0
    for kind in board.KINDS:
        assert board.wrong_answers(scores({kind: 2}, {})) == 2


def test_a_process_that_dies_loses_one_row_alone(board, tmp_path):
    """Tuplex's rows are given together first, then one by one."""
    program = tmp_path / "exactness.py"
    program.write_text(
        f"""
import os, sys
sys.path.insert(0, {str(BENCH)!r})
import exactness
from exactness import Answer, Case, Peer

def dies(case, first):
    for row in case.rows[first:]:
        if row[0] % 5 == 3:
            os.abort()
        yield Answer.of(row[0])

def together(case, first):
    return list(dies(case, first))

def f(a):
    return a

exactness.__file__ = __file__
exactness.CASES = [Case(f, ("a",), [(n,) for n in range(7)])]
exactness.CASES.append(exactness.CASES[0])
exactness.PEERS = (Peer("rows", dies, "sys", by_row=True), Peer("columns", together, "sys"))
if __name__ == "__main__":
    if sys.argv[1] == "--answers":
        sys.exit(exactness.main())
    from pathlib import Path
    for peer in exactness.PEERS:
        found = exactness.answers_of(peer, exactness.CASES, Path({str(tmp_path)!r}))
        print(peer.name, *(answer.text if answer.what == "value" else answer.what for answer in found["f"]))
"""
    )
    done = subprocess.run(
        [sys.executable, str(program), "all"], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "rows 0 1 2 crash 4 5 6\ncolumns 0 1 2 crash 4 5 6\n", done.stderr


def test_at_least_25_functions_of_every_kind(board):
    assert len(board.CASES) >= 25
    assert len({case.name for case in board.CASES}) == len(board.CASES)
    answers = [answer for case in board.CASES for answer in board.expected_of(case)]
    assert {answer.kind for answer in answers} == {"int", "float", "bool", "NoneType", ""}
    errors = {answer.text for answer in answers if answer.what == "error"}
    assert errors == {"OverflowError", "ValueError", "ZeroDivisionError", "TypeError"}


def test_a_small_run():
    results = BENCH / "RESULTS.md"
    before = results.read_bytes()
    done = subprocess.run(
        [sys.executable, str(BENCH / "exactness.py"), "--quick"],
        capture_output=True,
        text=True,
        timeout=560,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    _, head, _, *lines = done.stdout.splitlines()
    columns = [cell.strip() for cell in head.strip("|").split("|")]
    assert columns[:4] == ["engine", "rows", "right", "refused"]
    board = {}
    for line in lines[: lines.index("")]:
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        counts = dict(zip(columns[1:-1], map(int, cells[:-1]), strict=True))
        assert counts["rows"] == sum(counts.values()) - counts["rows"]
        board[name] = counts
    for name in ("Sabot, native code", "Sabot, its interpreter", 'Sabot, compile="off"'):
        assert board[name]["right"] == board[name]["rows"] > 100
    for module, engine in (("numba", "Numba, row by row"), ("tuplex", "Tuplex")):
        assert (engine in board) != (f"{module} is not installed: left out" in done.stderr)
    if "Numba, row by row" in board:
        assert board["Numba, row by row"]["overflow"] > 0
    assert done.stdout.endswith("wrong answers of Sabot: 0\n")
    assert results.read_bytes() == before  # quick results are not kept
