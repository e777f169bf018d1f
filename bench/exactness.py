"""The same functions over the same columns by Sabot, Numba and Tuplex: answers that are not CPython's, by kind.

    make bench-exactness
    PYTHONPATH=build-release/lib .venv/bin/python bench/exactness.py --quick            # some functions, nothing kept
    PYTHONPATH=build-release/lib .venv/bin/python bench/exactness.py --only bucket      # one function, row by row, nothing kept

CPython calls the function for each row: that is the answer. A row of another engine is

    right         the same value, float bits included (any NaN is NaN), of the same type; or the same exception
    value         another value of the same type
    type          of another type
    null          null where a value was to be, or a value where null was to be
    overflow      an integer that wrapped around 64 bits
    error missing a value where CPython raises
    error differs another exception
    error added   an exception where CPython gives a value
    crash         the process died, or did not come to an end

What an engine refuses to run is told apart: it is no wrong answer. A column has one type: where CPython's answers are ints and floats the
ints may come as the floats that they equal. An int that 64 bits do not hold has to be an OverflowError, or that very int.

Each engine runs in processes of its own. Numba's are called row by row from Python (`njit`), and as a ufunc over NumPy arrays
(`vectorize`), as `to_numpy()` makes them of the columns. Tuplex gets the rows in one `parallelize(...).map(f)`; where some fail, those for
which CPython has a value together and the others alone; where the process dies, each alone. What is not installed is named. The exit
status is 1 when Sabot has a wrong answer.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent))

from exactness_functions import CASES, Case
from harness import RESULTS, machine, write_section

TITLE = "Exactness"
QUICK = ("amount_in_cents", "to_int", "same", "null_plus", "running_half")
KINDS = (
    "value",
    "type",
    "null",
    "overflow",
    "error missing",
    "error differs",
    "error added",
    "crash",
)
SECONDS_MAX = 30  # for one row, or one function
TYPES = {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


class Answer(NamedTuple):
    """What came of one row: what "value", "error" or "refused"; text: the value, the exception's type, why."""

    what: str
    text: str = ""
    kind: str = ""

    @classmethod
    def of(cls, value: object) -> Answer:
        value = value.item() if hasattr(value, "item") else value  # NumPy's
        text = value.hex() if isinstance(value, float) else repr(value)
        return cls("value", text, type(value).__name__)

    @classmethod
    def by(cls, call: Callable[[], object]) -> Answer:
        try:
            return cls.of(call())
        except Exception as error:
            return cls("error", type(error).__name__)


# --- engines: the answers of a function's rows, from one on

Engine = Callable[[Case, int], Iterable[Answer]]


def table_of(case: Case) -> pa.Table:
    columns: dict[str, Any] = {}
    for index, name in enumerate(case.names):
        values = case.column(index)
        kind = next(type(value) for value in values if value is not None)
        columns[name] = pa.array(values, TYPES[kind])
    return pa.table(columns)


def _sabot(**settings: Any) -> Engine:
    def answers(case: Case, first: int) -> Iterable[Answer]:
        import sabot as sb

        fn = sb.udf(case.fn, on_error="null")
        with sb.config(cache_dir="off", **settings):
            try:
                stream = sb.Stream.from_table(table_of(case)).with_columns(y=fn)
            except sb.SabotError as error:
                return [Answer("refused", str(error))] * (len(case.rows) - first)
            values = stream.collect()["y"].to_pylist()
        run = stream.last_run
        assert run is not None
        failed: Any = run.errors
        rows = failed["row"].to_pylist()
        names = [name.rpartition(".")[2] for name in failed["error"].to_pylist()]
        errors = dict(zip(rows, names, strict=True))
        made = [
            Answer("error", errors[row]) if row in errors else Answer.of(value)
            for row, value in enumerate(values)
        ]
        return made[first:]

    return answers


def numba_rows(case: Case, first: int) -> Iterator[Answer]:
    import numba
    from numba.core.errors import NumbaError

    fn = numba.njit(case.fn)
    for row in case.rows[first:]:
        try:
            yield Answer.of(fn(*row))
        except NumbaError as error:
            yield Answer("refused", str(error))
        except Exception as error:
            yield Answer("error", type(error).__name__)


def numba_vectorised(case: Case, first: int) -> Iterator[Answer]:
    import numba
    from numba.core.errors import NumbaError

    fn = numba.vectorize(case.fn)
    table: Any = table_of(case)
    arrays = [table[name].to_numpy() for name in case.names]
    for row in range(first, len(case.rows)):
        try:
            yield Answer.of(fn(*(values[row : row + 1] for values in arrays))[0])
        except (NumbaError, TypeError) as error:
            # A TypeError is NumPy's: there is no loop for these types.
            yield Answer("refused", str(error))
        except Exception as error:
            yield Answer("error", type(error).__name__)


def _tuplex() -> Engine:
    context: list[Any] = []

    def run(case: Case, rows: list[tuple[Any, ...]]) -> tuple[list[Any], dict[str, int]]:
        if not context:
            folder = tempfile.mkdtemp()
            os.chdir(folder)  # it writes a log where it stands
            import tuplex

            options = {"tuplex.executorCount": 0, "tuplex.webui.enable": False}
            context.append(tuplex.Context({**options, "tuplex.scratchDir": folder}))
        given = rows if len(case.names) > 1 else [row[0] for row in rows]
        made = context[0].parallelize(given).map(case.fn)
        return made.collect(), dict(made.exception_counts or {})

    def answers(case: Case, first: int) -> Iterable[Answer]:
        values, _ = run(case, case.rows)
        if len(values) == len(case.rows):
            return [_of_tuplex(value) for value in values][first:]
        wanted = expected_of(case)
        fine = [row for row, one in zip(case.rows, wanted, strict=True) if one.what == "value"]
        values, _ = run(case, fine) if 0 < len(fine) < len(case.rows) else ([], {})
        left = iter([_of_tuplex(value) for value in values] if len(values) == len(fine) else [])
        made: list[Answer] = []
        for row, one in zip(case.rows, wanted, strict=True):
            of = next(left, None) if one.what == "value" else None
            made.append(of or row_alone(case, row))
        return made[first:]

    def row_alone(case: Case, row: tuple[Any, ...]) -> Answer:
        values, errors = run(case, [row])
        name = next(iter(errors), "")
        return _of_tuplex(values[0]) if values else Answer("error" if name else "refused", name)

    return answers


def _of_tuplex(value: object) -> Answer:
    """What it cannot compile it says in place of the results, none of which are texts here."""
    return Answer("refused", value) if isinstance(value, str) else Answer.of(value)


class Peer(NamedTuple):
    """An engine, the module that it needs, and whether it gives its answers row by row."""

    name: str
    engine: Engine
    module: str
    by_row: bool = False


PEERS = (
    Peer("Sabot, native code", _sabot(tier="native", compile="auto"), "sabot"),
    Peer("Sabot, its interpreter", _sabot(tier="interpreter", compile="auto"), "sabot"),
    Peer('Sabot, compile="off"', _sabot(compile="off"), "sabot"),
    Peer("Numba, row by row", numba_rows, "numba", by_row=True),
    Peer("Numba, vectorised", numba_vectorised, "numba", by_row=True),
    Peer("Tuplex", _tuplex(), "tuplex"),
)


# --- processes


def give_answers(peer: Peer, path: Path, function: int, row: int, names: list[str]) -> None:
    """What a process of its own does: writes a line for each row of these functions, from one row of one on.

    row: -1: all together.
    """
    warnings.simplefilter("ignore")
    cases = [case for case in CASES if case.name in names][function:]
    with path.open("a") as out:
        for index, case in enumerate(cases):
            first = max(row, 0) if index == 0 else 0
            alone = not peer.by_row and index == 0 and row >= 0
            parts = [case._replace(rows=[one]) for one in case.rows[first:]] if alone else [case]
            for part in parts:
                for answer in peer.engine(part, 0 if alone else first):
                    out.write(json.dumps(answer) + "\n")
                    out.flush()


def answers_of(peer: Peer, cases: list[Case], folder: Path) -> dict[str, list[Answer]]:
    """The answers of one engine, by function. When its process dies it is started anew, at the row, which is then given alone, or behind
    the row that it died of."""
    starts = list(itertools.accumulate((len(case.rows) for case in cases), initial=0))
    found: list[Answer] = []
    alone = False  # the rows of this function one by one
    path = folder / "answers"
    while len(found) < starts[-1]:
        function = max(i for i, start in enumerate(starts) if start <= len(found))
        row = len(found) - starts[function]
        path.write_text("")
        command = [sys.executable, __file__, "--answers", peer.name, str(path)]
        command += [str(function), str(row if alone or row else -1)]
        why = _run([*command, ",".join(case.name for case in cases)], path)
        made = path.read_text().splitlines()
        found += [Answer(*json.loads(line)) for line in made]
        if len(found) == starts[-1]:
            break
        together = not peer.by_row and (not alone or len(found) >= starts[function + 1])
        if not together:
            found.append(Answer("crash", why))
        alone = together or len(found) < starts[function + 1]
    return {
        case.name: found[start : start + len(case.rows)]
        for case, start in zip(cases, starts, strict=False)
    }


def _run(command: list[str], path: Path) -> str:
    """Runs a process that writes lines to `path`, as long as it goes on writing; says how it ended."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip
    size, ended = 0, ""
    while True:
        try:
            _, said = process.communicate(timeout=SECONDS_MAX)
            last = said.strip().splitlines()[-1:] if process.returncode else []
            return ended or f"exit status {process.returncode} {' '.join(last)}".strip()
        except subprocess.TimeoutExpired:
            grown = path.stat().st_size
            if grown == size:
                process.kill()
                ended = f"no answer in {SECONDS_MAX} s"
            size = grown


# --- the comparison


def expected_of(case: Case) -> list[Answer]:
    return [Answer.by(lambda row=row: case.fn(*row)) for row in case.rows]


def value_of(answer: Answer) -> Any:
    kinds: dict[str, Callable[[str], Any]] = {
        "float": float.fromhex,
        "int": int,
        "bool": "True".__eq__,
    }
    return kinds.get(answer.kind, str)(answer.text)


def same_value(a: Answer, b: Answer) -> bool:
    return a.kind == b.kind and (a.text == b.text)


def is_number(answer: Answer) -> bool:
    return answer.what == "value" and answer.kind in ("int", "float")


def as_float(answer: Answer) -> Answer | None:
    """An int as the float that it equals."""
    value = value_of(answer)
    return Answer.of(float(value)) if abs(value) <= 2**53 else None


def verdict(wanted: Answer, got: Answer, floats: bool) -> str:
    """ "right", "refused" or one of KINDS. floats: ints and floats are answers of this function."""
    if got.what in ("refused", "crash"):
        return got.what
    if wanted.what == "error":
        if got.what != "error":
            return "error missing"
        return "right" if got.text == wanted.text else "error differs"
    if same_value(wanted, got):
        return "right"
    if wanted.kind == "int" and not -(2**63) <= value_of(wanted) < 2**63:
        return "right" if _overflows(got) else _not_held(got)
    if wanted.kind == "int" and floats:
        as_it_is = as_float(wanted)
        if as_it_is is None and _overflows(got):
            return "right"
        wanted = as_it_is or wanted
        if same_value(wanted, got):
            return "right"
    if got.what == "error":
        return "error added"
    if "NoneType" in (wanted.kind, got.kind):
        return "null"
    if wanted.kind != got.kind:
        return "type"
    if wanted.kind == "int" and (value_of(wanted) - value_of(got)) % 2**64 == 0:
        return "overflow"
    return "value"


def _overflows(got: Answer) -> bool:
    return got.what == "error" and got.text in ("OverflowError", "IntegerOverflowError")


def _not_held(got: Answer) -> str:
    if got.what == "error":
        return "error differs"
    return "overflow" if got.kind == "int" else "null" if got.kind == "NoneType" else "type"


def verdicts(case: Case, answers: list[Answer]) -> list[str]:
    wanted = expected_of(case)
    kinds = {answer.kind for answer in wanted if answer.what == "value"}
    floats = {"int", "float"} <= kinds
    return [verdict(a, b, floats) for a, b in zip(wanted, answers, strict=True)]


def missing() -> Iterator[str]:
    """Modules that cannot be imported. Another process tries: an import may bring a process down, too."""
    for module in sorted({peer.module for peer in PEERS}):
        command = [sys.executable, "-c", f"import {module}"]
        if subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL).returncode:
            yield module


# --- what is printed


def score_table(scores: dict[str, dict[str, Counter[str]]], rows: int) -> Iterator[str]:
    yield f"| engine | rows | right | refused | {' | '.join(KINDS)} | functions with wrong answers |"
    yield "|---|" + "---|" * (len(KINDS) + 4)
    for name, by_function in scores.items():
        total: Counter[str] = sum(by_function.values(), Counter())
        wrong = sum(any(counts[kind] for kind in KINDS) for counts in by_function.values())
        counts = " | ".join(str(total[kind]) for kind in ("right", "refused", *KINDS))
        yield f"| {name} | {rows} | {counts} | {wrong} |"


def function_table(scores: dict[str, dict[str, Counter[str]]], cases: list[Case]) -> Iterator[str]:
    yield f"| function | rows | {' | '.join(scores)} |"
    yield "|---|---|" + "---|" * len(scores)
    for case in cases:
        told = [_told(scores[name][case.name]) for name in scores]
        if any(told):
            yield f"| {case.name} | {len(case.rows)} | {' | '.join(told)} |"


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[kind]} {kind}" for kind in (*KINDS, "refused") if counts[kind])


def wrong_answers(scores: dict[str, dict[str, Counter[str]]]) -> int:
    """Those of Sabot, in any mode."""
    own = (by_function for name, by_function in scores.items() if name.startswith("Sabot"))
    return sum(counts[kind] for of in own for counts in of.values() for kind in KINDS)


def show_rows(case: Case, found: dict[str, dict[str, list[Answer]]]) -> None:
    wanted = expected_of(case)
    told = {name: verdicts(case, answers[case.name]) for name, answers in found.items()}
    for row, (values, answer) in enumerate(zip(case.rows, wanted, strict=True)):
        print(f"{case.name}{values}: CPython {' '.join(answer[1:])}")
        for name, answers in found.items():
            if told[name][row] != "right":
                got = answers[case.name][row]
                print(f"    {name}: {told[name][row]}, {' '.join(got).strip()[:200]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="some functions, nothing kept")
    parser.add_argument("--only", choices=[case.name for case in CASES], help="one function")
    parser.add_argument("--answers", nargs=5, metavar=("ENGINE", "PATH", "FUNCTION", "ROW", "OF"))
    options = parser.parse_args()
    if options.answers:
        name, path, function, row, names = options.answers
        peer = next(peer for peer in PEERS if peer.name == name)
        give_answers(peer, Path(path), int(function), int(row), names.split(","))
        return 0
    chosen = [options.only] if options.only else QUICK if options.quick else None
    cases = [case for case in CASES if chosen is None or case.name in chosen]
    absent = list(missing())
    for module in absent:
        print(f"{module} is not installed: left out", file=sys.stderr)
    print(machine())
    found: dict[str, dict[str, list[Answer]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for peer in PEERS:
            if peer.module not in absent:
                found[peer.name] = answers_of(peer, cases, Path(folder))
    scores = {
        name: {case.name: Counter(verdicts(case, answers[case.name])) for case in cases}
        for name, answers in found.items()
    }
    if options.only:
        show_rows(cases[0], found)
    rows = sum(len(case.rows) for case in cases)
    lines = [*score_table(scores, rows), "", *function_table(scores, cases)]
    print("\n".join(lines))
    if chosen is None:
        here = (name for name in ("numba", "tuplex") if name not in absent)
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in here)
        left_out = "".join(f" {name} was not installed." for name in absent)
        about = f"{len(cases)} functions, {rows} rows of edge values; {versions}.{left_out}"
        write_section(TITLE, [about, "", *lines])
        print(f"written to {RESULTS.name}")
    wrong = wrong_answers(scores)
    print(f"wrong answers of Sabot: {wrong}")
    return 1 if wrong or "sabot" in absent else 0


if __name__ == "__main__":
    sys.exit(main())
