"""One way to measure: contenders take turns in one process, answers are checked before a number is printed, ratios come from the
medians of the same rounds. Figures to reach are printed beside what was measured; nothing here fails on a slow machine.
"""

from __future__ import annotations

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

# Compile times are part of what is measured, in this process and in those it starts.
os.environ["SABOT_CACHE_DIR"] = "off"

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"


class Row(NamedTuple):
    """One line of the result table."""

    what: str
    measured: str
    peers: str
    goal: str
    met: str


def machine() -> str:
    """The processor and what matters of it, without names of hosts or paths."""
    model, flags, cores = platform.machine(), "", 0
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        match key.strip():
            case "model name":
                model, cores = value.strip(), cores + 1
            case "flags":
                flags = value
            case _:
                pass
    vectors = next((f for f in ("avx512f", "avx2", "sse4_2") if f" {f} " in f"{flags} "), "")
    return f"{model}, {cores} processors, {vectors}, Python {platform.python_version()}"


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    """One call timed; the result is kept until the clock has stopped."""
    gc.collect()
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result


def race(
    contenders: dict[str, Callable[[], Any]],
    check: Callable[[str, Any], None],
    rounds: int = 7,
    warm: int = 1,
) -> dict[str, float]:
    """Median seconds of each contender. They take turns; every answer of the first round is checked by check(name, answer)."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(-warm, rounds):
        for name, function in contenders.items():
            spent, result = seconds(function)
            if turn == -warm:
                check(name, result)
            if turn >= 0:
                times[name].append(spent)
            del result
    return {name: statistics.median(spent) for name, spent in times.items()}


class Table:
    """Collects rows, prints each when it is there, writes its section of RESULTS.md."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.rows: list[Row] = []

    def add(self, what: str, measured: str, peers: str, goal: str, met: bool | None) -> None:
        """met: None where there is no figure to reach, or it does not apply to this machine."""
        told = "" if met is None else "yes" if met else "no"
        row = Row(what, measured, peers, goal, told)
        self.rows.append(row)
        print(
            f"{what}: {measured} | {peers} | goal {goal or '-'} {told and '-> ' + told}", flush=True
        )

    def write(self) -> None:
        """Replaces this table's section of RESULTS.md, which is named by its title."""
        lines = [
            "| what | measured | peers in the same run | goal | met |",
            "|---|---|---|---|---|",
        ]
        write_section(self.title, lines + ["| " + " | ".join(row) + " |" for row in self.rows])


def write_section(title: str, lines: list[str]) -> None:
    """Replaces a section of RESULTS.md, which begins with what machine it was."""
    text = RESULTS.read_text() if RESULTS.exists() else "# Results\n"
    head, marker, rest = text.partition(f"## {title}\n")
    after = rest.partition("\n## ")[2] if marker else ""
    section = "\n".join([f"## {title}", "", f"Machine: {machine()}.", "", *lines])
    body = head.rstrip() + "\n\n" + section + "\n"
    RESULTS.write_text(body + (f"\n## {after}" if after else ""))
