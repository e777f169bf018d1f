"""How much of the code the tests run: branches of the C core, lines of the package; fails below what is demanded.

    .venv/bin/python tools/cover.py             runs everything and prints both tables
    .venv/bin/python tools/cover.py --report    the tables again, from what the last run left
    .venv/bin/python tools/cover.py --only column,interp    C tests of these rooms alone, to see what a new test reaches

What was never taken is listed in build-cover-3.12/missing.txt.

One instrumented build (setup.py, configuration "cover"; gcc, asserts out, allocations can be made to fail) serves the C tests and
pytest, and what both reach counts. Python is the first of 3.12 or later, whose sys.monitoring watches lines without a trace function:
under one Sabot compiles nothing, as a debugger must see every row. Processes that tests start are counted with them.

Not counted: tests and their kits, and sabot-jit, which is another program, built without instruments.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import run_tests
import setup

ROOT = setup.ROOT

# What must be reached, in percent. May only rise.
PYTHON_LINES_LEAST = 95.0
C_BRANCHES_LEAST = 85.0

NOT_COUNTED = re.compile(r"_test\.|/test_|testkit|_fuzz\.|/jit_helper/")
# Not run here: the fuzzer and the benchmarks, at length and in processes of their own, reach nothing new.
NO_TESTS = (
    "tests/test_differential.py",
    "tests/test_fuzz_selftest.py",
    "tests/test_bench_functions.py",
    "tests/test_bench_operators.py",
)


class Branches(NamedTuple):
    """The branches of one line in one function, with how often each was taken."""

    file: str
    line: int
    taken: tuple[int, ...]


# --- C ----------------------------------------------------------------------------------------------------------------


def gcov(folder: Path) -> Iterator[dict[str, object]]:
    """What gcov says of every object of the core, also of those that never ran."""
    for data in sorted(folder.glob("libsabot_core.a.p/**/*.gcno")):
        result = subprocess.run(
            ["gcov", "--json-format", "--stdout", "--branch-probabilities", str(data)],
            cwd=folder,
            stdout=subprocess.PIPE,
            check=True,
        )
        for text in result.stdout.splitlines():
            yield json.loads(text)


def c_branches(folder: Path) -> list[Branches]:
    """A function of a header is in many objects: a branch that any of them took is taken."""
    counts: dict[tuple[str, int, str], list[int]] = {}
    for report in gcov(folder):
        for file in report["files"]:
            path = os.path.relpath(folder / file["file"], ROOT)
            if not path.startswith("src/") or NOT_COUNTED.search(path):
                continue
            for line in file["lines"]:
                taken = [branch["count"] for branch in line["branches"]]
                key = path, line["line_number"], line.get("function_name", "")
                known = counts.setdefault(key, [0] * len(taken))
                known += [0] * (len(taken) - len(known))
                for i, count in enumerate(taken):
                    known[i] += count
    return [Branches(path, line, tuple(taken)) for (path, line, _), taken in sorted(counts.items())]


def c_table(branches: list[Branches]) -> float:
    """Prints a line a room; gives the percentage of the whole."""
    rooms: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for each in branches:
        for name in ("/".join(each.file.split("/")[:2]), "src"):
            rooms[name][0] += sum(count > 0 for count in each.taken)
            rooms[name][1] += len(each.taken)
    print(f"\n{'branches of C':<24} {'taken':>7} {'of':>7}")
    for name in sorted(rooms, key=lambda name: (name == "src", name)):
        taken, total = rooms[name]
        print(f"{name:<24} {taken:7} {total:7} {100 * taken / max(total, 1):7.1f} %")
    return 100 * rooms["src"][0] / max(rooms["src"][1], 1)


def c_missing(branches: list[Branches]) -> Iterator[str]:
    for each in branches:
        never = sum(count == 0 for count in each.taken)
        if never:
            text = (ROOT / each.file).read_text().splitlines()[each.line - 1].strip()
            yield f"{each.file}:{each.line}: {never} of {len(each.taken)} never: {text}"


# --- the whole --------------------------------------------------------------------------------------------------------


def watched_env(folder: Path, venv: Path) -> dict[str, str]:
    """The environment of every test: lines of Python are watched in all processes."""
    settings = folder / "coverage.cfg"
    settings.write_text(
        "[run]\n"
        f"source = {ROOT / 'python' / 'sabot'}\n"
        f"data_file = {folder / 'python-lines'}\n"
        "core = sysmon\n"
        "parallel = true\n"
        "patch = subprocess\n"
        "disable_warnings = no-data-collected, module-not-measured, module-not-imported, no-sysmon\n"
    )
    env = run_tests.tree_env(folder)
    env["PATH"] = setup.tool_env(venv)["PATH"]
    env["SABOT_JIT_HELPER"] = str(ROOT / "build" / "src" / "jit_helper" / "sabot-jit")
    env["COVERAGE_RCFILE"] = str(settings)
    return env


def run_all(folder: Path, venv: Path, env: dict[str, str], rooms: list[str]) -> int:
    for path in [*folder.rglob("*.gcda"), *folder.glob("python-lines*")]:
        path.unlink()
    (folder / "cmocka").mkdir(exist_ok=True)
    command = [str(venv / "bin" / "meson"), "test", "-C", str(folder), "--no-rebuild", "--quiet"]
    command += ["--timeout-multiplier", "5"]
    command += [part for room in rooms for part in ("--suite", room)] or ["--no-suite", "canary"]
    status = subprocess.run(command, cwd=ROOT, env=env).returncode
    if rooms:
        return status
    pytest = [str(venv / "bin" / "python"), "-m", "coverage", "run", "-m", "pytest", "-q"]
    pytest += ["-p", "no:cacheprovider", *(f"--ignore={path}" for path in NO_TESTS)]
    return max(status, subprocess.run(pytest, cwd=ROOT, env=env).returncode)


def python_lines(folder: Path, venv: Path, env: dict[str, str], missing: Path) -> float:
    """Prints a line a module; gives the percentage of the whole."""
    coverage = [str(venv / "bin" / "python"), "-m", "coverage"]
    subprocess.run([*coverage, "combine", "--quiet", "--append"], cwd=ROOT, env=env)
    print("\nlines of Python", flush=True)
    subprocess.run([*coverage, "report"], cwd=ROOT, env=env, check=True)
    result = subprocess.run(
        [*coverage, "report", "--show-missing", "--skip-covered"],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )
    with missing.open("a") as file:
        file.write(result.stdout)
    output = folder / "python-lines.json"
    subprocess.run([*coverage, "json", "-q", "-o", str(output)], cwd=ROOT, env=env, check=True)
    return json.loads(output.read_text())["totals"]["percent_covered"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures what the tests run.")
    parser.add_argument("--report", action="store_true", help="only the tables of the last run")
    parser.add_argument("--only", help="C tests of these rooms, separated by commas")
    arguments = parser.parse_args()
    rooms = arguments.only.split(",") if arguments.only else []
    machine = run_tests.Machine(setup.find_pythons())
    python = next((python for python in machine.pythons if python.version >= (3, 12)), None)
    if python is None:
        print("cover: it needs Python 3.12 or later, with sys.monitoring", file=sys.stderr)
        return 1
    started = time.monotonic()
    venv, folder = machine.prepared("cover", python)
    env = watched_env(folder, venv)
    status = 0 if arguments.report else run_all(folder, venv, env, rooms)
    missing = folder / "missing.txt"
    branches = c_branches(folder)
    missing.write_text("\n".join(c_missing(branches)) + "\n")
    found = [("branches of C", c_table(branches), C_BRANCHES_LEAST)]
    if not rooms:
        lines = python_lines(folder, venv, env, missing)
        found.append(("lines of Python", lines, PYTHON_LINES_LEAST))
    print(f"\nin {time.monotonic() - started:.0f} s; what was never taken: {missing}")
    for name, percent, least in found:
        verdict = "fine" if percent >= least else "TOO FEW"
        print(f"{name}: {percent:.2f} %, at least {least} % are demanded: {verdict}")
        if percent < least and not rooms:
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
