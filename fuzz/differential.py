"""The fuzzer's loop: functions from the grammar, columns from the pool, the engine against the interpreter.

    python -m fuzz.differential --functions 2000 --columns 25 --seed 7 [--tier mixed] [--jobs 1] [--only INDEX]

A case is one function on one column set. For each function:
* every case runs as it is, with a batch size and a number of workers of its own: all values, or the first failure and its
  row, must be CPython's;
* the rows of all its cases that succeed run once more as one table, so that no early failure hides what comes after it,
  and once with one failing row put among them;
* for some functions (--combinations) those two tables run under all batch sizes, workers and tiers.

The run fails on any difference; when compiled code did not run; and when the share of rows that leave compiled code is
outside 2 % to 30 %: below, the functions are too tame to prove much, above, they prove CPython against itself.

Functions run in a child process, which says before each what it is about to run: a crash or a hang of the engine is a
finding like any other, with the function named. Everything is determined by the seed.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from fuzz import script
from fuzz.columns import Pool
from fuzz.engine import RECORDS, Engine, Outcome, Settings
from fuzz.grammar import Function, make_function
from fuzz.modules import FUNCTIONS_PER_FILE, load
from fuzz.oracle import Expected, Failure, Mismatch, compare, expect
from fuzz.shrink import shrink_case

BATCH_SIZES = (1, 3, 2048, 0)
DRAWN_BATCH_SIZES = (1, 3, 7, 16, 2048, 0, 0)
TIERS = ("interpreter", "native")
LEAVE_MIN, LEAVE_MAX = 0.02, 0.30
REFUSED_MAX = 0.02
HANG_S = 60
WIDE_EVERY = 16  # one function in so many also runs on more rows than one vector holds
WIDE_ROWS = 4100


@dataclass
class Totals:
    """What a run counted; sums over functions."""

    functions: int = 0
    cases: int = 0
    rows: int = 0
    failing_rows: int = 0
    success_rows: int = 0
    success_left: int = 0
    reported: int = 0
    native: int = 0
    interpreter: int = 0
    left: int = 0
    native_functions: int = 0
    native_reached: int = 0
    runs: int = 0
    oracle_s: float = 0.0
    engine_s: float = 0.0
    reasons: Counter = field(default_factory=Counter)
    refused: Counter = field(default_factory=Counter)

    def add(self, other: Totals) -> None:
        for name, value in vars(other).items():
            if isinstance(value, Counter):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)

    def leave_share(self) -> float:
        """Rows of the cases that must leave (they fail) or did leave, by the reports, of all rows."""
        share = self.success_left / self.success_rows if self.success_rows else 0.0
        return (self.failing_rows + share * (self.rows - self.failing_rows)) / max(1, self.rows)

    def problems(self, tier: str) -> list[str]:
        """What makes the run worthless although nothing differed."""
        out = []
        if not LEAVE_MIN <= self.leave_share() <= LEAVE_MAX:
            out.append(
                f"{self.leave_share():.1%} of the rows leave compiled code, not between 2 % and 30 %"
            )
        if self.native + self.interpreter - self.left <= 0:
            out.append("no row was computed by compiled code")
        if (
            tier in ("native", "mixed")
            and self.native_functions
            and self.native_reached * 2 < self.native_functions
        ):
            out.append(
                f"only {self.native_reached} of {self.native_functions} functions ran any native code"
            )
        if sum(self.refused.values()) > REFUSED_MAX * self.functions:
            out.append(
                f"{sum(self.refused.values())} of {self.functions} functions were not compiled: {dict(self.refused)}"
            )
        return out


@dataclass
class Case:
    """One function on one table, with what CPython gives."""

    function: Function
    fn: object
    rows: list[tuple]
    table: pa.Table
    expected: Expected
    settings: Settings
    keep: list[bool] | None = None  # rows that a filter before the function keeps


@dataclass
class Finding:
    """A difference, with the case that shows it."""

    mismatch: Mismatch
    case: Case


class Fuzzer:
    """Runs functions of one seed on one engine."""

    def __init__(
        self, engine: Engine, seed: object, columns: int, tier: str, combinations: int, folder: Path
    ) -> None:
        self.engine = engine
        self.seed = seed
        self.columns = columns
        self.tier = tier
        self.combinations = combinations
        self.folder = folder
        self.pool = Pool(seed)
        self.totals = Totals()
        self.findings: list[Finding] = []
        self.types: set[str] = set()  # of the present function's result, in all its runs

    def run_function(self, function: Function, fn: object, index: int) -> Finding | None:
        """All cases of one function; the first difference."""
        rng = random.Random(f"cases {self.seed}:{index}")
        tier = self.tier if self.tier != "mixed" else TIERS[index % 2]
        totals = self.totals
        totals.functions += 1
        self.types = set()
        good: list[tuple] = []
        bad: list[tuple[tuple, Failure]] = []
        reached = Counter()
        for _ in range(self.columns):
            case = self.draw_case(rng, function, fn, tier)
            totals.cases += 1
            totals.rows += len(case.rows)
            totals.failing_rows += len(case.expected.failures)
            failures = case.expected.failures
            good += (
                [row for i, row in enumerate(case.rows) if i not in failures]
                if failures
                else case.rows
            )
            bad += [(case.rows[i], why) for i, why in failures.items()]
            found = self.run_case(case, reached)
            if found:
                return found
        every = index % max(1, 2000 // self.combinations) == 0 if self.combinations else False
        found = self.run_joined(rng, function, fn, tier, good, bad, reached, every)
        self.count_reach(function, fn, tier, reached, len(good))
        return found

    def draw_case(self, rng: random.Random, function: Function, fn: object, tier: str) -> Case:
        length, columns = self.pool.draw(rng, "".join(function.params.values()))
        arrays = [c.array for c in columns] + [self.pool.row_ids[length]]
        table = pa.Table.from_arrays(arrays, names=[*function.params, "_row"])
        rows = list(zip(*(c.values for c in columns), strict=True))
        return Case(
            function, fn, rows, table, self.expect(function, fn, rows), draw_settings(rng, tier)
        )

    def expect(self, function: Function, fn: object, rows: list[tuple]) -> Expected:
        start = time.perf_counter()
        expected = expect(fn, rows, function.result, function.operator)
        self.totals.oracle_s += time.perf_counter() - start
        return expected

    def run_case(self, case: Case, reached: Counter, success: bool = False) -> Finding | None:
        start = time.perf_counter()
        outcome = self.engine.run(case.fn, case.table, case.function.operator, case.settings)
        self.totals.engine_s += time.perf_counter() - start
        self.totals.runs += 1
        self.count(case, outcome, reached, success)
        found = compare(
            case.expected,
            case.function.result,
            case.function.operator,
            outcome,
            case.table,
            self.engine.data_error,
        )
        if found is None and outcome.table is not None and "y" in outcome.table.column_names:
            self.types.add(str(outcome.table.schema.field("y").type))
            if len(self.types) > 1:
                found = Mismatch("type", f"the type depends on the values: {sorted(self.types)}")
        return Finding(found, case) if found else None

    def count(self, case: Case, outcome: Outcome, reached: Counter, success: bool) -> None:
        counts = outcome.counts
        if counts is None or case.settings.tier == "off":
            return
        totals = self.totals
        left = sum(counts.left.values())
        totals.reported += counts.rows
        totals.native += counts.native
        totals.interpreter += counts.interpreter
        totals.left += left
        totals.reasons.update(counts.left)
        reached["native"] += counts.native
        reached[counts.mode] += 1
        if success:
            totals.success_rows += len(case.rows)
            totals.success_left += left

    def count_reach(
        self, function: Function, fn: object, tier: str, reached: Counter, good: int
    ) -> None:
        if reached["interpreted"]:
            table = script.make_table(function.params, [])
            self.totals.refused[self.engine.refusal(fn, table)] += 1
        elif tier == "native" and good:
            self.totals.native_functions += 1
            self.totals.native_reached += reached["native"] > 0

    def run_joined(
        self,
        rng: random.Random,
        function: Function,
        fn: object,
        tier: str,
        good: list[tuple],
        bad: list[tuple[tuple, Failure]],
        reached: Counter,
        every: bool,
    ) -> Finding | None:
        """The succeeding rows of all cases as one table; and with one failing row among them. Either may be filtered
        before it gets to the function."""
        if every:
            good = good[:400]  # batches of one row
        elif good and rng.random() * WIDE_EVERY < 1.0:
            good = [rng.choice(good) for _ in range(WIDE_ROWS + rng.randint(0, 40))]
        tables = [(good, False)]
        if bad:
            at = rng.randint(0, len(good))
            tables.append(([*good[:at], rng.choice(bad)[0], *good[at:]], True))
        many = all_settings() if every else [joined_settings(rng, tier)]
        for rows, fails in tables:
            expected = self.expect(function, fn, rows)
            if expected.failures and not fails:
                raise AssertionError(f"{function.name} is not a function of its row")
            keep = [rng.random() < 0.6 for _ in rows] if every or rng.random() < 0.3 else None
            table = script.make_table(function.params, rows, keep)
            for settings in many:
                case = Case(function, fn, rows, table, expected, settings, keep)
                found = self.run_case(case, reached, success=not fails and keep is None)
                if found:
                    return found
        return None

    def run(self, indices: range, log: object = None, stop_after: int = 1) -> None:
        """Functions by number; stops after so many findings. `log` is told each function before it runs."""
        aligned = (
            indices.start - indices.start % FUNCTIONS_PER_FILE
        )  # a function shares its file with the same others always
        for first in range(aligned, indices.stop, FUNCTIONS_PER_FILE):
            numbers = range(first, first + FUNCTIONS_PER_FILE)
            functions = [make_function(self.seed, i) for i in numbers]
            live = load(functions, self.folder / f"fuzz_{self.seed}_{first}.py")
            for index, function in zip(numbers, functions, strict=True):
                if index not in indices:
                    continue
                if log is not None:
                    log(index)
                faulthandler.dump_traceback_later(HANG_S, exit=True)
                found = self.run_function(function, live[function.name], index)
                faulthandler.cancel_dump_traceback_later()
                if found:
                    self.findings.append(found)
                    if len(self.findings) >= stop_after:
                        return


def draw_settings(rng: random.Random, tier: str) -> Settings:
    record = rng.randint(1, len(RECORDS)) if rng.random() < 0.2 else 0
    size = rng.choice(DRAWN_BATCH_SIZES)
    return Settings(size, rng.choice((1, 2)), tier, rng.choice((0, 64)), record)


def joined_settings(rng: random.Random, tier: str) -> Settings:
    record = rng.randint(1, len(RECORDS)) if rng.random() < 0.2 else 0
    size = rng.choice((7, 64, 500, 2048, 0, 0))
    return Settings(size, rng.choice((1, 2)), tier, rng.choice((0, 64)), record)


def all_settings() -> list[Settings]:
    """All batch sizes, workers and tiers; what "auto" does; and what no compiling gives."""
    shapes = [(b, t, m) for t, m in ((1, 0), (2, 64)) for b in BATCH_SIZES]
    every = [Settings(b, t, tier, m) for tier in TIERS for b, t, m in shapes]
    return [*every, Settings(0, 1, "auto"), Settings(3, 2, "auto", 64), Settings(3, 2, "off", 64)]


# --- reporting -------------------------------------------------------------------------------------------------------


def report_finding(
    engine: Engine, finding: Finding, seed: object, out: Path | None, shrink: bool = True
) -> str:
    """Shrinks a finding, keeps it as a file, and gives what a person wants to read."""
    case, mismatch = finding.case, finding.mismatch
    function = case.function
    title = f"{function.name} of seed {seed}"
    source, rows, settings, keep = function.source, case.rows, case.settings, case.keep
    if shrink:
        source, items, settings, mismatch = shrink_case(engine, finding)
        rows = [row for row, _ in items]
        keep = [kept for _, kept in items] if items and items[0][1] is not None else None
    text = script.write(
        source,
        function.name,
        function.params,
        rows,
        function.result,
        function.operator,
        settings,
        f"Found as {title}: {mismatch}",
        keep,
    )
    where = ""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        path = out / f"found_{seed}_{function.name}.py"
        path.write_text(text)
        where = f"kept as {path}\n"
    return f"--- {title}: {mismatch}\n{finding.case.settings}, {len(finding.case.rows)} rows, shrunk to:\n{text}{where}"


def summary(totals: Totals, wall_s: float) -> str:
    computed = totals.native + totals.interpreter - totals.left
    return (
        f"{totals.functions} functions, {totals.cases} cases of {totals.rows} rows, {totals.runs} runs in {wall_s:.1f} s "
        f"(oracle {totals.oracle_s:.1f}, engine {totals.engine_s:.1f})\n"
        f"rows leaving {totals.leave_share():.1%} ({totals.failing_rows / max(1, totals.rows):.1%} fail in CPython too); "
        f"computed by compiled code: {computed} of {totals.reported}, native {totals.native}, interpreter {totals.interpreter}\n"
        f"left by reason: {dict(totals.reasons)}; native reached in {totals.native_reached} of {totals.native_functions} functions; "
        f"not compiled: {dict(totals.refused) or 'none'}"
    )


# --- processes -------------------------------------------------------------------------------------------------------


def worker(args: argparse.Namespace, indices: range) -> int:
    """The child: runs the functions, writes a line for each before it starts and a last line of JSON."""
    from fuzz.engine import SabotEngine

    faulthandler.enable()
    gc.freeze()
    engine = SabotEngine()
    with tempfile.TemporaryDirectory(prefix="sabot-fuzz-") as folder:
        fuzzer = Fuzzer(engine, args.seed, args.columns, args.tier, args.combinations, Path(folder))

        def log(index: int) -> None:
            print(f"at {index}", flush=True)

        fuzzer.run(indices, log, args.findings)
        texts = [
            report_finding(engine, f, args.seed, args.keep, not args.no_shrink)
            for f in fuzzer.findings
        ]
    print("result " + json.dumps({"totals": vars(fuzzer.totals), "texts": texts}), flush=True)
    return 0


def run_child(
    args: argparse.Namespace, indices: range, program: list[str] | None = None
) -> tuple[Totals, list[str]]:
    """Runs a range of functions in children; a child that dies is reported and the next goes on after that function."""
    program = program or [args.python, "-m", "fuzz.differential"]
    totals = Totals()
    texts: list[str] = []
    start = indices.start
    while start < indices.stop and len(texts) < args.findings:
        command = [*program, *child_arguments(args), "--range", f"{start}:{indices.stop}"]
        child = subprocess.run(command, stdout=subprocess.PIPE, stderr=None, text=True, check=False)
        lines = child.stdout.splitlines()
        if child.returncode == 0 and lines and lines[-1].startswith("result "):
            got = json.loads(lines[-1].removeprefix("result "))
            counts = {k: Counter(v) if isinstance(v, dict) else v for k, v in got["totals"].items()}
            totals.add(Totals(**counts))
            texts += got["texts"]
            break
        at = [int(line.removeprefix("at ")) for line in lines if line.startswith("at ")]
        if not at:
            texts.append(f"--- the fuzzer did not start: exit status {child.returncode}")
            break
        source = make_function(args.seed, at[-1]).source
        texts.append(
            f"--- exit status {child.returncode} (negative: signal) in f{at[-1]} of seed {args.seed}\n{source}"
        )
        start = at[-1] + 1
    return totals, texts


def child_arguments(args: argparse.Namespace) -> list[str]:
    out = [
        "--seed",
        args.seed,
        "--columns",
        str(args.columns),
        "--tier",
        args.tier,
        "--findings",
        str(args.findings),
    ]
    out += ["--combinations", str(args.combinations)]
    if args.keep is not None:
        out += ["--keep", str(args.keep)]
    return out + (["--no-shrink"] if args.no_shrink else [])


def parse(argv: list[str] | None) -> argparse.Namespace:
    p = argparse.ArgumentParser(
        prog="fuzz.differential", description="Compare Sabot with CPython on generated functions."
    )
    p.add_argument("--functions", type=int, default=2000)
    p.add_argument("--columns", type=int, default=25, help="column sets a function")
    p.add_argument("--seed", default="1")
    p.add_argument("--tier", choices=(*TIERS, "mixed", "auto"), default="mixed")
    p.add_argument(
        "--combinations", type=int, default=50, help="functions in 2000 that run under all settings"
    )
    p.add_argument("--jobs", type=int, default=1)
    p.add_argument("--findings", type=int, default=3, help="stop after so many")
    p.add_argument(
        "--keep",
        type=Path,
        default=None,
        help="folder for the scripts of findings, say fuzz/corpus",
    )
    p.add_argument("--python", default=sys.executable, help="runs the children; default: this one")
    p.add_argument("--no-shrink", action="store_true")
    p.add_argument("--only", type=int, default=None, help="the number of one function")
    p.add_argument("--show", action="store_true", help="with --only: print the function")
    p.add_argument("--range", default=None, help=argparse.SUPPRESS)
    return p.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    if args.range is not None:
        first, stop = map(int, args.range.split(":"))
        return worker(args, range(first, stop))
    if args.show:
        print(make_function(args.seed, args.only or 0).source)
    indices = range(args.functions) if args.only is None else range(args.only, args.only + 1)
    print(f"seed {args.seed}, Python {sys.version.split()[0]}, tier {args.tier}", flush=True)
    start = time.perf_counter()
    cuts = [indices.start + len(indices) * i // args.jobs for i in range(args.jobs + 1)]
    parts = [range(a, b) for a, b in pairwise(cuts) if a < b]
    with ThreadPoolExecutor(len(parts)) as pool:
        results = list(pool.map(lambda part: run_child(args, part), parts))
    totals = Totals()
    texts: list[str] = []
    for got, found in results:
        totals.add(got)
        texts += found
    print("\n".join(texts))
    print(summary(totals, time.perf_counter() - start))
    problems = totals.problems(args.tier) if args.only is None and not texts else []
    for problem in problems:
        print(f"problem: {problem}")
    print(f"seed {args.seed}: {len(texts)} findings")
    return 1 if texts or problems else 0


if __name__ == "__main__":
    sys.exit(main())
