"""What each operator of a run did: rows, batches, times, bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sabot._stage import Count, Stage

_MARK = "└─ "
_TITLES = ("rows in", "rows out", "batches", "busy", "waiting", "bytes", "left", "failed")


class _Line(NamedTuple):
    """An operator, or a source; times in ns. None: not known."""

    operator: str
    depth: int
    rows_in: int | None
    rows_out: int | None
    batches_in: int | None
    batches_out: int | None
    busy_ns: int | None
    python_ns: int | None
    waiting_ns: int | None
    size: int | None
    rows_left: dict[str, int]
    rows_failed: int


class Profile:
    """What each operator of a run did, the last first, as in explain(). Prints as a table; `to_dict()` gives everything.

    Attributes:
        rows: rows that came out at the end.
        batches: the batches that they were in.
        elapsed_ms: time from the start of the run to its end, the consumer's included.
    """

    def __init__(self, root: Stage, ns: int) -> None:
        self.rows: int = root.given.rows
        self.batches: int = root.given.batches
        self.elapsed_ms: float = ns / 1e6
        self._lines = list(_lines(root, 0))

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data: `rows`, `batches`, `elapsed_ms` and `operators`, each with these keys; None: not known.

        * `operator`, `depth`: as explain() shows it, and how far to the right.
        * `rows_in`, `rows_out`, `batches_in`, `batches_out`; of a source that reads no stream only the rows and batches out.
        * `busy_ms`: time at work, of all threads together; `python_ms`: how much of it Python functions took; `waiting_ms`:
          time that batches, or the operator, waited.
        * `bytes`: of what came out; of sources and of what stands between two runs of the engine only with profile().
        * `rows_left`: rows that left native code for CPython, by reason; `rows_failed`: rows of which a function with
          on_error="null" or "skip" raised.
        """
        return {
            "rows": self.rows,
            "batches": self.batches,
            "elapsed_ms": self.elapsed_ms,
            "operators": [_plain(line) for line in self._lines],
        }

    def __str__(self) -> str:
        names = [
            " " * 3 * (line.depth - 1) + _MARK * (line.depth > 0) + line.operator
            for line in self._lines
        ]
        table = [("", *_TITLES)]
        table += [(name, *_cells(line)) for name, line in zip(names, self._lines, strict=True)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in table
        ]
        rate = self.rows / max(self.elapsed_ms, 1e-3) * 1e3
        lines.append(f"{self.rows:,} rows in {_time(self.elapsed_ms * 1e6)}, {rate:,.0f} rows/s")
        return "\n".join(lines)

    __repr__ = __str__


def _lines(stage: Stage, depth: int) -> Iterator[_Line]:
    """A stage's operators, the last first, its source, and the stages that this reads."""
    said = stage.report.facts() if stage.report is not None else {}
    report: dict[str, Any] = {"operators": [], "functions": [], **said}
    names = _names(stage)
    operators: list[dict[str, Any]] = report["operators"] or [{}] * len(names)
    for number in range(len(names) - 1, -1, -1):
        functions = [one for one in report["functions"] if one["operator"] == number]
        yield _operator(names[number], depth, operators[number], functions)
        depth += 1
    yield _source(stage, depth, report)
    for below in stage.inputs:
        yield from _lines(below, depth + 1)


def _operator(
    name: str, depth: int, counts: dict[str, Any], functions: list[dict[str, Any]]
) -> _Line:
    left: dict[str, int] = {}
    for function in functions:
        for reason, rows in function["rows_left"].items():
            left[reason] = left.get(reason, 0) + rows
    busy, python = counts.get("busy_ns"), counts.get("host_ns")
    return _Line(
        name,
        depth,
        counts.get("rows_in"),
        counts.get("rows_out"),
        counts.get("batches_in"),
        counts.get("batches_out"),
        None if busy is None else busy + (python or 0),
        python,
        counts.get("wait_ns"),
        counts.get("bytes_out"),
        left,
        sum(function.get("rows_failed", 0) for function in functions),
    )


def _source(stage: Stage, depth: int, report: dict[str, Any]) -> _Line:
    read = stage.read
    size = read.size or None
    if stage.inputs:
        given = [below.given for below in stage.inputs]
        waiting = sum(count.ns for count in given)
        busy = max(0, read.ns - waiting)
        rows, batches = sum(count.rows for count in given), sum(count.batches for count in given)
        out = (read.rows, read.batches)
        return _Line(
            stage.text, depth, rows, out[0], batches, out[1], busy, busy, waiting, size, {}, 0
        )
    rows, batches = _leaf(stage.read, stage.given, report)
    busy = read.ns if read.batches or not rows else None
    return _Line(stage.text, depth, None, rows, None, batches, busy, None, None, size, {}, 0)


def _leaf(read: Count, given: Count, report: dict[str, Any]) -> tuple[int, int]:
    """Rows and batches of a source. The engine alone counts those of a table, and where it has nothing to do nobody but the taker."""
    if read.batches:
        return read.rows, read.batches
    if "rows" in report:
        return report["rows"], report["batches"]
    return given.rows, given.batches


def _names(stage: Stage) -> list[str]:
    """The operators of a stage, the first first, as explain() begins their lines; without the engine's remarks."""
    if stage.chain is None or not stage.chain.ops:
        return []
    names: list[str] = []
    for text in stage.chain.plan.explain().splitlines():
        head, mark, rest = text.partition(_MARK)
        shown = rest if mark and not head.strip() else text
        keyword = "" if shown.startswith(" ") else shown.split(maxsplit=1)[0]
        rest = re.sub(r"\s+= ", " = ", shown.removeprefix(keyword).strip())
        rest = re.split(r"\s{2,}", rest)[0]
        if keyword:
            names.append(f"{keyword} {rest}".strip())
        elif rest:
            names[-1] += f", {rest}"
    return names[:-1][::-1]


# --- as text


def _plain(line: _Line) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in line._asdict().items():
        if key.endswith("_ns"):
            plain[key.replace("_ns", "_ms")] = None if value is None else value / 1e6
        else:
            plain["bytes" if key == "size" else key] = value
    return plain


def _cells(line: _Line) -> list[str]:
    left = ", ".join(f"{rows:,} {reason}" for reason, rows in line.rows_left.items())
    return [
        _count(line.rows_in),
        _count(line.rows_out),
        _count(line.batches_out),
        _time(line.busy_ns),
        _time(line.waiting_ns),
        _size(line.size),
        left,
        f"{line.rows_failed:,}" if line.rows_failed else "",
    ]


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _time(ns: float | None) -> str:
    if ns is None:
        return ""
    if ns < 1e9:
        return f"{ns / 1e6:.3g} ms"
    return f"{ns / 1e9:.3g} s" if ns < 1e12 else f"{ns / 1e9:,.0f} s"


def _size(size: int | None) -> str:
    if size is None:
        return ""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.3g} TB"
