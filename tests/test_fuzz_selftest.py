"""The fuzzer can fail: engines that are wrong on purpose are caught, one that is right is not."""

from __future__ import annotations

import faulthandler
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

import sabot as sb
from fuzz import script
from fuzz.columns import INT64_MAX, INT64_MIN, Pool
from fuzz.differential import Fuzzer, Totals, parse, report_finding, run_child
from fuzz.engine import Counts, Outcome, Settings
from fuzz.grammar import make_function
from fuzz.mutate import ROOT
from fuzz.mutations import MUTATIONS
from fuzz.oracle import TYPES, column_values, compare, convert, expect, row_of, same_bits
from fuzz.shrink import REWRITINGS, place_count, rewrites_at

KINDS = {pa.int64(): "i", pa.float64(): "f", pa.bool_(): "b"}
SEED = 20


class PlainDataError(ValueError):
    pass


class PlainOverflow(PlainDataError, OverflowError):
    pass


class PlainEngine:
    """CPython in the shape of an engine. Subclasses get one thing wrong.

    It needs to be told the result letter of each function, which Sabot infers. A share of rows is reported as left, so
    that the totals are those of a run that proves something.
    """

    data_error = PlainDataError

    def __init__(self) -> None:
        self.result = "i"

    def wrap(self, value: object) -> object:
        """What the function is called with in place of a column's value."""
        return value

    def unwrap(self, value: object) -> object:
        return value

    def fail(self, error: BaseException, row: int) -> BaseException:
        error.add_note(f"in with_columns, batch 0, row {row}")
        return error

    def run(self, fn: Callable, table: pa.Table, operator: str, settings: Settings) -> Outcome:
        names = list(fn.__code__.co_varnames[: fn.__code__.co_argcount])
        rows = list(zip(*(column_values(table.column(n)) for n in names), strict=True))
        keep = [True] * len(rows)
        if "_keep" in table.column_names:
            keep = self.kept(column_values(table.column("_keep")))
        counts = Counts("compiled", len(rows), len(rows), 0, {"overflow": len(rows) // 10})
        out: list = []
        for at, row in enumerate(rows):
            if not keep[at]:
                continue
            try:
                value = self.unwrap(fn(*(self.wrap(v) for v in row)))
            except Exception as e:
                return Outcome(None, self.fail(e, at), counts)
            if operator == "filter":
                keep[at] = bool(value)
                continue
            got, failure = convert(value, self.result)
            if failure is not None:
                kind = PlainOverflow if failure.why == "overflow" else PlainDataError
                return Outcome(None, self.fail(kind("does not fit"), at), counts)
            out.append(got)
        return Outcome(
            self.finish(table.filter(pa.array(keep, pa.bool_())), out, operator), None, counts
        )

    def kept(self, keep: list[bool]) -> list[bool]:
        return keep

    def finish(self, table: pa.Table, out: list, operator: str) -> pa.Table:
        if operator == "filter":
            return table
        return table.append_column("y", pa.array(out, TYPES[self.result]))

    def refusal(self, fn: Callable, table: pa.Table) -> str:
        return ""


class SubclassEngine(PlainEngine):
    """Calls the function with a subclass of int whose operators are wrong."""

    number: type = int

    def wrap(self, value: object) -> object:
        return self.number(value) if type(value) is int else value

    def unwrap(self, value: object) -> object:
        return int(value) if isinstance(value, int) and type(value) is not bool else value


class WrappingInt(int):
    """Addition that wraps at 64 bits."""

    def __add__(self, other):
        value = int.__add__(self, other)
        if value is NotImplemented:
            return value
        return WrappingInt((value - INT64_MIN) % 2**64 + INT64_MIN)


class Wrapping(SubclassEngine):
    number = WrappingInt


class TruncatingInt(int):
    """Division that rounds towards zero."""

    def __floordiv__(self, other):
        value = int.__floordiv__(self, other)
        if value is NotImplemented:
            return value
        return value + 1 if value < 0 and value * other != self else value


class Truncating(SubclassEngine):
    number = TruncatingInt


class ModuloInt(int):
    """Remainder with the dividend's sign."""

    def __mod__(self, other):
        value = int.__mod__(self, other)
        if value is NotImplemented or not value:
            return value
        return value - other if (self < 0) != (other < 0) else value


class Modulo(SubclassEngine):
    number = ModuloInt


class RoundedInt(int):
    """Comparison with a float through a double."""

    def __eq__(self, other):
        return float(self) == other if isinstance(other, float) else int.__eq__(self, other)

    def __lt__(self, other):
        return float(self) < other if isinstance(other, float) else int.__lt__(self, other)

    __hash__ = int.__hash__


class Rounded(SubclassEngine):
    number = RoundedInt


class LostMinusZero(PlainEngine):
    def unwrap(self, value: object) -> object:
        return 0.0 if type(value) is float and value == 0.0 else value


class NullIsNan(PlainEngine):
    def unwrap(self, value: object) -> object:
        return float("nan") if value is None and self.result in "fm" else value


class RowOffByOne(PlainEngine):
    def fail(self, error: BaseException, row: int) -> BaseException:
        return super().fail(error, row + 1)


class RowOfBatch(PlainEngine):
    """Names the row in its batch and not in the source."""

    def run(self, fn, table, operator, settings):
        self.batch = settings.batch_size or 10**9
        return super().run(fn, table, operator, settings)

    def fail(self, error: BaseException, row: int) -> BaseException:
        return super().fail(error, row % self.batch)


class WrongArguments(PlainEngine):
    def fail(self, error: BaseException, row: int) -> BaseException:
        return super().fail(type(error)(str(error) + "."), row)


class WrongType(PlainEngine):
    def fail(self, error: BaseException, row: int) -> BaseException:
        return super().fail(
            ArithmeticError(*error.args) if isinstance(error, ZeroDivisionError) else error, row
        )


class NoNote(PlainEngine):
    def fail(self, error: BaseException, row: int) -> BaseException:
        return error


class ClampedResult(PlainEngine):
    """Results beyond int64 become the nearest that fits."""

    def unwrap(self, value: object) -> object:
        return max(INT64_MIN, min(INT64_MAX, value)) if type(value) is int else value


class LostTail(PlainEngine):
    """The last row of a long table gives null."""

    def finish(self, table, out, operator):
        if len(out) % 8 == 7 and operator != "filter":
            out[-1] = None
        return super().finish(table, out, operator)


class SwappedRows(PlainEngine):
    """Two workers, and the second batch comes first."""

    def run(self, fn, table, operator, settings):
        outcome = super().run(fn, table, operator, settings)
        n = settings.batch_size
        if outcome.table is not None and settings.threads == 2 and 0 < n < outcome.table.num_rows:
            t = outcome.table
            outcome.table = pa.concat_tables([t.slice(n, n), t.slice(0, n), t.slice(2 * n)])
        return outcome


class RunsFilteredRows(PlainEngine):
    """A row that was filtered out still fails."""

    def kept(self, keep: list[bool]) -> list[bool]:
        return [True] * len(keep)


class KeepsNone(PlainEngine):
    """A filter that keeps a row whose answer is None."""

    def unwrap(self, value: object) -> object:
        return True if value is None else value


WRONG = [
    Wrapping, Truncating, Modulo, Rounded, LostMinusZero, NullIsNan, RowOffByOne, RowOfBatch, WrongArguments, WrongType,
    NoNote, ClampedResult, LostTail, SwappedRows, RunsFilteredRows, KeepsNone,
]  # fmt: skip


class Told(Fuzzer):
    """Tells the plain engine each function's result letter."""

    def run_function(self, function, fn, index):
        self.engine.result = function.result
        return super().run_function(function, fn, index)


def fuzz(engine: PlainEngine, folder: Path, functions: int) -> Fuzzer:
    fuzzer = Told(engine, SEED, 8, "mixed", 50, folder)
    fuzzer.run(range(functions))
    faulthandler.cancel_dump_traceback_later()
    return fuzzer


def test_right_engine_passes(tmp_path: Path) -> None:
    fuzzer = fuzz(PlainEngine(), tmp_path, 400)
    assert [str(f.mismatch) for f in fuzzer.findings] == []
    assert fuzzer.totals.cases == 400 * 8
    assert fuzzer.totals.problems("mixed") == []


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_engine_is_caught(wrong: type[PlainEngine], tmp_path: Path) -> None:
    assert fuzz(wrong(), tmp_path, 400).findings, f"{wrong.__name__} was not noticed"


def test_finding_shrinks_to_a_script_that_replays(tmp_path: Path) -> None:
    engine = Truncating()
    finding = fuzz(engine, tmp_path, 400).findings[0]
    engine.result = finding.case.function.result
    text = report_finding(engine, finding, SEED, tmp_path)
    assert "//" in text
    path = next(tmp_path.glob("found_*.py"))
    module = script.load(path)
    assert len(module["ROWS"]) == 1
    again = script.check(engine, module)
    assert again is not None and again.what == finding.mismatch.what
    right = PlainEngine()
    right.result = engine.result
    assert script.check(right, module) is None


DYING = """
import os, sys
first, stop = map(int, sys.argv[-1].split(":"))
for i in range(first, stop):
    print("at", i, flush=True)
    if i in (2, 3):
        os.kill(os.getpid(), 9)
print('result {"totals": {"functions": 1}, "texts": []}')
"""


def test_crash_of_the_engine_is_a_finding_and_the_rest_runs() -> None:
    args = parse(["--seed", "1"])
    totals, texts = run_child(args, range(6), [sys.executable, "-c", DYING])
    assert totals.functions == 1
    assert [("f2" in t, "f3" in t, "-9" in t) for t in texts] == [
        (True, False, True),
        (False, True, True),
    ]


def test_engine_that_does_not_import_is_a_finding() -> None:
    totals, texts = run_child(parse([]), range(6), [sys.executable, "-c", "raise SystemExit(3)"])
    assert totals.functions == 0
    assert "did not start" in texts[0]


def test_totals_refuse_a_run_that_proves_nothing() -> None:
    tame = Totals(functions=10, rows=1000, failing_rows=5, native=1000, left=5)
    assert any("leave" in p for p in tame.problems("native"))
    wild = Totals(functions=10, rows=1000, failing_rows=400, native=1000, left=400)
    assert any("leave" in p for p in wild.problems("native"))
    idle = Totals(functions=10, rows=1000, failing_rows=100, native=100, left=100)
    assert any("compiled code" in p for p in idle.problems("native"))
    refused = Totals(functions=10, rows=1000, failing_rows=100, native=900, left=100)
    refused.refused["E1: no"] = 3
    assert any("not compiled" in p for p in refused.problems("native"))


def test_same_seed_same_functions_and_columns() -> None:
    assert [make_function(5, i).source for i in range(50)] == [
        make_function(5, i).source for i in range(50)
    ]
    assert make_function(5, 1).source != make_function(6, 1).source
    pools = [Pool(5), Pool(5)]
    assert all(
        repr(c.values) == repr(d.values)
        for key in pools[0].columns
        for c, d in zip(pools[0].columns[key], pools[1].columns[key], strict=True)
    )


def test_functions_are_distinct_and_cover_the_language() -> None:
    sources = [make_function(1, i).source for i in range(2000)]
    assert len({s.split("def ", 1)[-1].split("(", 1)[-1] for s in sources}) > 1980
    text = "\n".join(sources)
    for piece in (" // ", " % ", " / ", "(-", " and ", " or ", "not ", " is None", " is not None", "== None", "elif ",
                  "else:", "while ", "for ", "break", "continue", "lambda", "+= ", "*= ", " != ", "9223372036854775807",
                  "-0.0", ", -1)", "return None"):  # fmt: skip
        assert piece in text, piece
    forms = {make_function(1, i).form for i in range(100)}
    assert forms == {"def", "closure", "lambda", "exec"}


def test_pool_lists_and_arrays_hold_the_same() -> None:
    for columns in Pool(3).columns.values():
        for column in columns:
            array = (
                column.array
                if isinstance(column.array, pa.ChunkedArray)
                else pa.chunked_array([column.array])
            )
            assert same_bits(array.to_pylist(), column.values, column.kind) is None
            assert same_bits(column_values(array), column.values, column.kind) is None


@pytest.mark.parametrize(
    ("value", "result", "want", "why"),
    [
        (2**63 - 1, "i", 2**63 - 1, None),
        (2**63, "i", None, "overflow"),
        (-(2**63) - 1, "i", None, "overflow"),
        (True, "i", None, "kind"),
        (1.0, "i", None, "kind"),
        (2**53, "m", 2.0**53, None),
        (2**53 + 1, "m", None, "inexact"),
        (True, "m", None, "kind"),
        (1, "f", None, "kind"),
        (1, "b", None, "kind"),
        (None, "b", None, None),
        (0, "n", None, "kind"),
    ],
)
def test_conversion(value: object, result: str, want: object, why: str | None) -> None:
    got, failure = convert(value, result)
    assert (got, failure.why if failure else None) == (want, why)
    assert type(got) is type(want)


def test_expectation_marks_each_failing_row() -> None:
    expected = expect(lambda a: 10 // a, [(0,), (5,), (None,), (3,)], "i", "with_columns")
    assert sorted(expected.failures) == [0, 2]
    assert expected.values[1::2] == [2, 3]
    assert type(expected.failures[0].exception) is ZeroDivisionError
    assert expect(lambda a: a, [(0,), (2,), (None,)], "i", "filter").values == [False, True, False]


def test_row_is_read_from_the_notes() -> None:
    error = ValueError("row 3")
    assert row_of(error) is None
    error.add_note("with_columns y, batch 2, row 17, a=row 5")
    assert row_of(error) == 17


def test_bits_are_compared() -> None:
    nan = float("nan")
    assert same_bits([0.0], [-0.0], "f") == 0
    assert same_bits([nan, None], [-nan, None], "f") is None
    assert same_bits([nan], [None], "f") == 0
    assert same_bits([1.0], [nan], "f") == 0
    assert same_bits([1, None], [1, 0], "i") == 1
    assert same_bits([1.0], [1.0, 2.0], "f") == 1


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_every_rewriting_of_shrinking_is_a_program() -> None:
    for index in range(12):
        function = make_function(2, index)
        for kind in REWRITINGS:
            for at in range(0, place_count(function.source, function.name), 3):
                for smaller in rewrites_at(function.source, function.name, kind, at):
                    try:
                        compile(smaller, "<smaller>", "exec")
                    except SyntaxError as e:
                        assert "loop" in str(e), (
                            smaller
                        )  # a loop's body without its loop: no trial runs it


def test_mutations_are_twenty_and_their_texts_are_there() -> None:
    assert len(MUTATIONS) >= 20
    assert len({m.name for m in MUTATIONS}) == len(MUTATIONS)
    for mutation in MUTATIONS:
        assert (ROOT / mutation.file).read_text().count(mutation.old) == 1, mutation.name
        assert mutation.new != mutation.old


def test_a_function_without_values_needs_no_type() -> None:
    def fails(a: int) -> int:
        if a > 1:
            raise ValueError
        return a

    untold = sb.PlanError("f: the result's type cannot be told")
    table = pa.table({"a": [2, 3], "_row": [0, 1]})
    outcome = Outcome(None, untold, None)
    for rows, accepted in (([(2,), (3,)], True), ([(2,), (1,)], False), ([], True)):
        expected = expect(fails, rows, "i", "with_columns")
        found = compare(expected, "i", "with_columns", outcome, table[: len(rows)], ValueError)
        assert (found is None) is accepted, rows
