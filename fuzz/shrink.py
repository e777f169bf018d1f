"""Makes a finding small: fewer rows, plainer settings, a shorter function that still differs in the same way.

Rows first (halves, then one by one), then settings, then the function by rewriting its tree: a statement is deleted, a
compound statement is replaced by its body, an expression by one of its operands or by a simple constant. A smaller
function counts only if it differs with the same word as the original (see oracle.Mismatch) and if CPython's values still
are of the function's result type, so that shrinking never walks from one difference to another, or out of the grammar.

Cost: each trial is one run of the engine; TRIALS_MAX of them at most.
"""

from __future__ import annotations

import ast
import contextlib
import itertools
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace

from fuzz import script
from fuzz.engine import Engine, Settings
from fuzz.modules import execute
from fuzz.oracle import Expected, Mismatch, compare, expect

TRIALS_MAX = 1500
SECONDS_MAX = 25.0
CANDIDATE_S = 2.0  # what CPython may take for one
SIMPLE = ("0", "1", "2", "1.0", "None", "True")

# A row, and whether the filter before the function keeps it; None when there is no such filter.
Item = tuple[tuple, bool | None]

serial = itertools.count()


class Budget:
    def __init__(self) -> None:
        self.trials = 0
        self.until = time.monotonic() + SECONDS_MAX

    def spend(self) -> bool:
        self.trials += 1
        return self.trials <= TRIALS_MAX and time.monotonic() < self.until


@contextlib.contextmanager
def time_limit(limit_s: float) -> Iterator[None]:
    """Raises TimeoutError in what takes longer: a rewriting may never end. Of the main thread."""

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Trial:
    """Runs candidates of one finding and says whether they still differ in the same way."""

    def __init__(self, engine: Engine, finding) -> None:
        self.engine = engine
        self.function = finding.case.function
        self.what = finding.mismatch.what
        self.budget = Budget()

    def run(
        self, source: str, fn: Callable | None, items: list[Item], settings: Settings
    ) -> Mismatch | None:
        """What still differs, if it differs in the same way."""
        rows = [row for row, _ in items]
        if not self.budget.spend():
            return None
        f = self.function
        try:
            if fn is None:
                warnings.simplefilter(
                    "ignore", SyntaxWarning
                )  # `0 is None` is what shrinking leads to
                fn = execute(source, f"<shrunk-{next(serial)}>", f.name)
            with time_limit(CANDIDATE_S):
                expected = expect(fn, rows, f.result, f.operator)
        except Exception:  # a rewriting that is no program, or one that reads what it deleted
            return None
        if not self.plausible(expected):
            return None
        keep = [kept for _, kept in items] if items and items[0][1] is not None else None
        table = script.make_table(f.params, rows, keep)
        outcome = self.engine.run(fn, table, f.operator, settings)
        found = compare(expected, f.result, f.operator, outcome, table, self.engine.data_error)
        return found if found is not None and found.what == self.what else None

    def plausible(self, expected: Expected) -> bool:
        """The values are of the result type, a name that does not exist is no way to fail, and where the finding is
        about the type itself some value still shows it."""
        for failure in expected.failures.values():
            if failure.why == "kind" or type(failure.exception) in (
                NameError,
                SyntaxError,
                RecursionError,
            ):
                return False
        about_type = self.what == "type" or "PlanError" in self.what
        return not about_type or any(v is not None for v in expected.values)


def shrink_case(engine: Engine, finding) -> tuple[str, list[Item], Settings, Mismatch]:
    """The smallest source, rows and settings found, and what differs there. The original if it does not differ alone."""
    case = finding.case
    trial = Trial(engine, finding)
    source, settings, mismatch = case.function.source, case.settings, finding.mismatch
    rows: list[Item] = list(zip(case.rows, case.keep or [None] * len(case.rows), strict=True))
    fn: Callable | None = None
    again = trial.run(source, None, rows, settings)
    if again is None:
        fn = case.fn  # differs only as the function it was: another road of capture
        if trial.run(source, fn, rows, settings) is None:
            return source, rows, settings, mismatch
    unfiltered = [(row, None) for row, _ in rows]
    found = trial.run(source, fn, unfiltered, settings) if case.keep is not None else None
    if found:
        rows, mismatch = unfiltered, found
    rows, mismatch = shrink_rows(trial, source, fn, rows, settings, mismatch)
    settings, mismatch = shrink_settings(trial, source, fn, rows, settings, mismatch)
    if fn is None:
        source, mismatch = shrink_source(trial, source, rows, settings, mismatch)
        rows, mismatch = shrink_rows(trial, source, fn, rows, settings, mismatch)
        source, mismatch = shrink_source(trial, source, rows, settings, mismatch)
    return source, rows, settings, mismatch


def shrink_rows(trial, source, fn, rows, settings, mismatch) -> tuple[list[Item], Mismatch]:
    size = max(1, len(rows) // 2)
    while True:
        start, changed = 0, False
        while start < len(rows):
            fewer = rows[:start] + rows[start + size :]
            found = trial.run(source, fn, fewer, settings) if len(fewer) < len(rows) else None
            if found:
                rows, mismatch, changed = fewer, found, True
            else:
                start += size
        if size == 1 and not changed:
            return rows, mismatch
        size = max(1, size // 2)
        if trial.budget.trials > TRIALS_MAX:
            return rows, mismatch


def shrink_settings(trial, source, fn, rows, settings, mismatch) -> tuple[Settings, Mismatch]:
    for change in (
        {"record": 0},
        {"threads": 1},
        {"morsel_rows": 0},
        {"batch_size": 0},
        {"tier": "interpreter"},
    ):
        plainer = replace(settings, **change)
        found = trial.run(source, fn, rows, plainer) if plainer != settings else None
        if found:
            settings, mismatch = plainer, found
    return settings, mismatch


def shrink_source(trial, source, rows, settings, mismatch) -> tuple[str, Mismatch]:
    """Passes over all places, the greatest simplifications first, until a pass changes nothing."""
    progress = True
    while progress:
        progress = False
        for kind in REWRITINGS:
            at = 0
            while at < place_count(source, trial.function.name):
                if trial.budget.trials > TRIALS_MAX:
                    return source, mismatch
                for smaller in rewrites_at(source, trial.function.name, kind, at):
                    found = trial.run(smaller, None, rows, settings) if smaller != source else None
                    if found:
                        source, mismatch, progress = smaller, found, True
                        break
                else:
                    at += 1
    return source, mismatch


def place_count(source: str, name: str) -> int:
    return sum(1 for _ in places(ast.parse(source), name))


def rewrites_at(source: str, name: str, kind: Callable, at: int) -> Iterator[str]:
    """Modules in which place `at` of the function is simpler in one way."""
    for choice in itertools.count():
        tree = ast.parse(source)
        parent, field, index = next(itertools.islice(places(tree, name), at, None))
        if not kind(parent, field, index, choice):
            return
        yield ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def places(tree: ast.Module, name: str) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Every child of the function's body as (parent, field, index); outer ones first."""
    queue: list[ast.AST] = [function_node(tree, name)]
    while queue:
        node = queue.pop(0)
        for field, value in ast.iter_fields(node):
            if field in ("args", "ctx", "op", "ops", "target", "targets") and not isinstance(
                node, ast.Call
            ):
                continue
            if isinstance(value, list):
                for i, child in enumerate(value):
                    if isinstance(child, ast.AST):
                        yield node, field, i
                        queue.append(child)
            elif isinstance(value, ast.AST):
                yield node, field, None
                queue.append(value)


def function_node(tree: ast.Module, name: str) -> ast.AST:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
        if isinstance(node, ast.Lambda):
            return node
    raise ValueError(f"no function {name}")


def get(parent: ast.AST, field: str, index: int | None):
    value = getattr(parent, field)
    return value if index is None else value[index]


def put(parent: ast.AST, field: str, index: int | None, new: ast.AST) -> None:
    if index is None:
        setattr(parent, field, new)
    else:
        getattr(parent, field)[index] = new


def delete_statement(parent, field, index, choice) -> bool:
    if choice or index is None or not isinstance(get(parent, field, index), ast.stmt):
        return False
    body = getattr(parent, field)
    if isinstance(body[index], ast.Pass):
        return False
    del body[index]
    if not body and field == "body":
        body.append(ast.Pass())
    return True


def unwrap_statement(parent, field, index, choice) -> bool:
    node = get(parent, field, index)
    if not isinstance(node, (ast.If, ast.For, ast.While)) or choice > 1:
        return False
    inner = node.body if choice == 0 else node.orelse
    if not inner:
        return False
    getattr(parent, field)[index : index + 1] = inner
    return True


def take_operand(parent, field, index, choice) -> bool:
    node = get(parent, field, index)
    if not isinstance(node, ast.expr):
        return False
    operands = [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)]
    if isinstance(node, ast.Call) or choice >= len(operands):
        return False
    put(parent, field, index, operands[choice])
    return True


def take_constant(parent, field, index, choice) -> bool:
    node = get(parent, field, index)
    if (
        not isinstance(node, ast.expr)
        or isinstance(node, (ast.Constant, ast.Call))
        or choice >= len(SIMPLE)
    ):
        return False
    if isinstance(parent, ast.Call) and field == "func":
        return False
    put(parent, field, index, ast.parse(SIMPLE[choice], mode="eval").body)
    return True


REWRITINGS = (delete_statement, unwrap_statement, take_operand, take_constant)
