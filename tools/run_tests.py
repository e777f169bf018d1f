"""Runs everything that must pass, counts it, and fails when anything fails or is skipped.

    .venv/bin/python tools/run_tests.py            all of it
    .venv/bin/python tools/run_tests.py --quick    one build, one Python, no sanitizers
    .venv/bin/python tools/run_tests.py --only asan,style

A step is a name and a function that gives cases; a step that breaks gives one failed case, so that nothing is lost. The
last line is `N passed, N failed, N skipped`, and the exit status is 0 only when the last two are 0.

With CI=true each of the tested Pythons must be there; elsewhere those that are missing are named.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import setup
import style

ROOT = setup.ROOT
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
DETAIL_SIZE_MAX = 40000


class Case(NamedTuple):
    """One test as its runner reported it."""

    runner: str
    name: str
    outcome: str
    seconds: float
    detail: str = ""


class Step(NamedTuple):
    """`quick`: part of --quick. `one_core`: uses one core only, so it runs beside others like it. `asked`: by --only alone."""

    name: str
    quick: bool
    run: Callable[[], list[Case]]
    one_core: bool = False
    asked: bool = False


def say(text: str) -> None:
    print(text, flush=True)


# Process groups of what `call` has started and not yet seen end.
RUNNING: set[int] = set()


def call(
    command: Sequence[str], env: dict[str, str], timeout_s: float = 900
) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process group of its own, which is killed as a whole when the time is up."""
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        RUNNING.add(process.pid)
        try:
            status = process.wait(timeout_s)
            ending = ""
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status, ending = 124, f"\nkilled after {timeout_s:.0f} s\n"
        finally:
            RUNNING.discard(process.pid)
        output.seek(0)
        return subprocess.CompletedProcess(command, status, output.read() + ending, "")


# --- C ----------------------------------------------------------------------------------------------------------------


def cmocka_cases(runner: str, program: str, folder: Path) -> list[Case]:
    """The cases of one test program, from the files that cmocka wrote for its groups."""
    cases: list[Case] = []
    for path in sorted(folder.glob(f"{program}-*.xml")):
        for element in ET.parse(path).iter("testcase"):
            outcome, detail = PASSED, ""
            if element.find("skipped") is not None:
                outcome = SKIPPED
            for tag in ("failure", "error"):
                found = element.find(tag)
                if found is not None:
                    outcome, detail = FAILED, (found.text or "").strip()
            name = f"{program}: {element.get('name')}"
            cases.append(Case(runner, name, outcome, float(element.get("time") or 0), detail))
    return cases


def c_tests(config: str, venv: Path, suites: Sequence[str] = (), patience: int = 3) -> list[Case]:
    """The C tests of a build. A program that ends badly without saying which test failed is a failed case itself.

    `patience` multiplies the time that each program has.
    """
    folder = ROOT / setup.CONFIGS[config].folder
    runner = f"C {config}"
    reports = folder / "cmocka"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir()
    env = setup.tool_env(venv)
    env["CMOCKA_MESSAGE_OUTPUT"] = "xml"
    command = [str(venv / "bin" / "meson"), "test", "-C", str(folder), "--no-rebuild"]
    command += ["--num-processes", str(os.cpu_count() or 2), "--timeout-multiplier", str(patience)]
    for suite in suites:
        command += ["--suite", suite]
    if not suites:
        command += ["--no-suite", "canary"]
    log = folder / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    result = call(command, env)
    if not log.exists():
        return [Case(runner, "meson test", FAILED, 0, result.stdout)]
    cases: list[Case] = []
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        program = entry["name"].split(" / ")[-1].split(":")[-1]
        found = cmocka_cases(runner, program, reports)
        output = str(entry.get("stdout") or "") + str(entry.get("stderr") or "")
        if entry["result"] != "OK" and not any(case.outcome == FAILED for case in found):
            detail = f"{entry['result']}, exit status {entry['returncode']}\n{output}"
            found.append(Case(runner, program, FAILED, entry["duration"], detail))
        elif not found:
            found.append(Case(runner, program, FAILED, 0, "it reported no test\n" + output))
        cases += found
    if not cases:
        cases.append(Case(runner, "meson test", FAILED, 0, "no test ran\n" + result.stdout))
    elif result.returncode != 0 and not any(case.outcome == FAILED for case in cases):
        cases.append(Case(runner, "meson test", FAILED, 0, result.stdout))
    return cases


# What qemu-user does not emulate, so that the test cannot hold: no fault of the engine. Everything else must pass.
NO_SECCOMP = "system call filters are not emulated"
NO_EXEC_ERROR = "a program that cannot be started is not told to posix_spawn"
NOT_EMULATED = {
    "jit_code: test_no_compiler": NO_EXEC_ERROR,
    "jit_code: test_no_executable_memory": NO_SECCOMP,
    "jit_helper: test_missing_program": NO_EXEC_ERROR,
    "os_code: tells_a_refused_file": NO_SECCOMP,
    "os_code: tells_a_refused_mapping": NO_SECCOMP,
    "os_code: tells_a_refused_seal": NO_SECCOMP,
    "os_code: tells_a_refused_write": NO_SECCOMP,
    "os_code: works_without_the_executable_flag": NO_SECCOMP,
    "os_posix: refused_random_is_told": NO_SECCOMP,
    "os_posix: refused_thread_is_told": NO_SECCOMP,
}


def emulated(cases: Sequence[Case]) -> list[Case]:
    """The cases of an emulated run without those of NOT_EMULATED, each of which must be there and must have failed."""
    seen = {case.name: case for case in cases}
    found = [case for case in cases if case.name not in NOT_EMULATED]
    for name, why in NOT_EMULATED.items():
        if name in seen and seen[name].outcome == FAILED:
            say(f"      not emulated: {name}: {why}")
        else:
            detail = f"expected to fail ({why}): {seen.get(name, 'it is not there')}"
            found.append(Case("emulated", name, FAILED, 0, detail))
    return found


def arm_tests(venv: Path) -> list[Case]:
    """The C tests of AArch64 under qemu-user, and that a failure is seen there."""
    canary = [case.outcome for case in c_tests("arm", venv, ["canary"])]
    good = sorted(canary) == [FAILED, PASSED]
    cases = [Case("emulated", "canary", PASSED if good else FAILED, 0, "" if good else str(canary))]
    return cases + emulated(c_tests("arm", venv, patience=5))


# --- Python -----------------------------------------------------------------------------------------------------------


def pytest_cases(runner: str, report: Path, result: subprocess.CompletedProcess[str]) -> list[Case]:
    """The cases of one pytest run; one more, failed, when it ended badly in a way that no case shows."""
    cases: list[Case] = []
    if report.exists():
        for element in ET.parse(report).iter("testcase"):
            outcome, detail = PASSED, ""
            for tag, meaning in (("skipped", SKIPPED), ("failure", FAILED), ("error", FAILED)):
                found = element.find(tag)
                if found is not None:
                    outcome = meaning
                    detail = found.text or found.get("message") or ""
            name = f"{element.get('classname')}.{element.get('name')}"
            cases.append(Case(runner, name, outcome, float(element.get("time") or 0), detail))
    if result.returncode != 0 and not any(case.outcome == FAILED for case in cases):
        cases.append(
            Case(runner, f"pytest, exit status {result.returncode}", FAILED, 0, result.stdout)
        )
    if not cases:
        cases.append(Case(runner, "pytest", FAILED, 0, "no test ran\n" + result.stdout))
    return cases


def tree_env(folder: Path) -> dict[str, str]:
    """The environment in which Python imports the package of a build."""
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(folder / "lib"), str(ROOT)]))
    env["SABOT_BUILD_DIR"] = str(folder)
    return env


def pytest_run(runner: str, venv: Path, folder: Path, arguments: Sequence[str]) -> list[Case]:
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "report.xml"
        command = [str(venv / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += [f"--junitxml={report}", *arguments]
        return pytest_cases(runner, report, call(command, tree_env(folder), 1500))


def program_run(
    runner: str,
    name: str,
    venv: Path,
    folder: Path,
    arguments: Sequence[str],
    timeout_s: float = 900,
) -> list[Case]:
    """A program that says by its exit status whether it passed."""
    started = time.monotonic()
    result = call([str(venv / "bin" / "python"), *arguments], tree_env(folder), timeout_s)
    seconds = time.monotonic() - started
    if result.returncode != 0:
        detail = f"exit status {result.returncode}\n{result.stdout}"
        return [Case(runner, name, FAILED, seconds, detail)]
    last = result.stdout.strip().rpartition("\n")[2]
    return [Case(runner, name, PASSED, seconds, last)]


# --- canaries ---------------------------------------------------------------------------------------------------------


def canaries(venv: Path) -> list[Case]:
    """Shows for each runner that a failure is seen, through the same code that counts the real tests."""
    cases: list[Case] = []

    def expect(name: str, seen: Sequence[Case], wanted: dict[str, int]) -> None:
        counts = dict.fromkeys((PASSED, FAILED, SKIPPED), 0)
        for case in seen:
            counts[case.outcome] += 1
        good = counts == wanted and summary_status(seen) == 1
        detail = "" if good else f"expected {wanted}, seen {counts}\n" + "\n".join(map(str, seen))
        cases.append(Case("canary", name, PASSED if good else FAILED, 0, detail))

    expect("cmocka", c_tests("main", venv, ["canary"]), {PASSED: 1, FAILED: 1, SKIPPED: 0})
    expect(
        "pytest",
        pytest_run("canary", venv, ROOT / "build", ["tools/canary/canary_pytest.py"]),
        {PASSED: 1, FAILED: 1, SKIPPED: 1},
    )
    expect(
        "program",
        program_run("canary", "exit", venv, ROOT / "build", ["-c", "raise SystemExit(3)"]),
        {PASSED: 0, FAILED: 1, SKIPPED: 0},
    )
    expect("pythons", python_presence(Machine([]), True), {PASSED: 0, FAILED: 1, SKIPPED: 0})
    for check in style.CHECKS:
        seen = [style_case(check.name, check.canary(venv), 0)]
        expect(check.name, seen, {PASSED: 0, FAILED: 1, SKIPPED: 0})
    return cases


# --- style ------------------------------------------------------------------------------------------------------------


def style_case(name: str, findings: str, seconds: float) -> Case:
    return Case("style", name, FAILED if findings else PASSED, seconds, findings)


def style_checks(venv: Path) -> list[Case]:
    cases: list[Case] = []
    for check in style.CHECKS:
        started = time.monotonic()
        findings = check.run(venv)
        cases.append(style_case(check.name, findings, time.monotonic() - started))
    return cases


# --- the whole --------------------------------------------------------------------------------------------------------


class Machine(NamedTuple):
    """The Pythons of this machine; the first is the oldest, which runs the whole suite."""

    pythons: list[setup.Python]

    @property
    def oldest(self) -> setup.Python:
        return self.pythons[0]

    def prepared(self, config: str, python: setup.Python) -> tuple[Path, Path]:
        """Environment and build folder of a configuration, made when they are missing."""
        with setup.locked():
            venv = setup.ensure_venv(python, setup.venv_dir(python, self.oldest))
            if config == "none":
                return venv, ROOT
            return venv, setup.ensure_build(config, python, self.oldest, venv)


def python_presence(machine: Machine, required: bool) -> list[Case]:
    """With CI=true all tested Pythons must be here; elsewhere the missing ones are named and that is all."""
    have = {python.version for python in machine.pythons}
    missing = [".".join(map(str, version)) for version in setup.TESTED if version not in have]
    if not missing:
        return [Case("pythons", "all tested versions are here", PASSED, 0)]
    text = "not found, so not tested: Python " + ", ".join(missing)
    if required:
        return [Case("pythons", "all tested versions are here", FAILED, 0, text)]
    say("      " + text)
    return []


def steps(machine: Machine) -> list[Step]:
    oldest = machine.oldest

    def c_step(config: str, suites: Sequence[str] = ()) -> list[Case]:
        venv, _ = machine.prepared(config, oldest)
        return c_tests(config, venv, suites)

    def arm_step() -> list[Case]:
        venv, _ = machine.prepared("arm", oldest)
        return arm_tests(venv)

    def pytest_step(config: str, python: setup.Python, arguments: Sequence[str]) -> list[Case]:
        venv, folder = machine.prepared(config, python)
        label = "pytest" if config == "main" else f"pytest {config}"
        return pytest_run(f"{label} {python.name}", venv, folder, arguments)

    def venv_step(run: Callable[[Path], list[Case]]) -> list[Case]:
        venv, _ = machine.prepared("main", oldest)
        return run(venv)

    def program_step(
        name: str, python: setup.Python, arguments: Sequence[str], config: str = "main"
    ) -> list[Case]:
        venv, folder = machine.prepared(config, python)
        return program_run(f"{config} {python.name}", name, venv, folder, arguments)

    found = [
        Step("pythons", False, lambda: python_presence(machine, os.environ.get("CI") == "true")),
        Step("canaries", True, lambda: venv_step(canaries)),
        Step("style", True, lambda: venv_step(style_checks)),
        Step("main", True, lambda: c_step("main")),
        Step("asan", False, lambda: c_step("asan")),
        Step("small", False, lambda: c_step("small")),
        Step("tsan", False, lambda: c_step("tsan", TSAN_SUITES)),
        Step("arm", False, arm_step, asked=True),
        Step(
            "arm fuzz",
            False,
            lambda: program_step("differential", oldest, FUZZ_ARM, "arm"),
            asked=True,
        ),
        Step("wheel", False, lambda: program_step("wheel", oldest, ["tools/wheel.py"])),
        Step("demo", False, lambda: program_step("demo", oldest, ["examples/demo.py"])),
        Step("docs", False, lambda: program_step("docs", oldest, ["tools/docs.py"])),
        Step(f"pytest {oldest.name}", True, lambda: pytest_step("main", oldest, []), True),
        Step("pytest small", False, lambda: pytest_step("small", oldest, SMALL), True),
    ]
    tested = [python for python in machine.pythons if python.version in setup.TESTED]
    for python in tested:
        if python is not oldest:
            found.append(
                Step(
                    f"pytest {python.name}",
                    False,
                    lambda p=python: pytest_step("main", p, NEWER),
                    True,
                )
            )
    found.append(
        Step("fuzz small", False, lambda: program_step("differential", oldest, FUZZ_SMALL, "small"))
    )
    for python in tested:
        found.append(
            Step(
                f"fuzz {python.name}",
                False,
                lambda p=python: program_step(
                    "differential", p, FUZZ if p is oldest else FUZZ_NEWER
                ),
            )
        )
    return found


# The rooms in which threads meet.
TSAN_SUITES = ("base", "os", "jit", "exec", "api")
# What the differential fuzzer runs on each Python: functions from the grammar, each on as many column sets.
FUZZ = ["-m", "fuzz.differential", "--functions", "2000", "--columns", "25", "--tier", "mixed"]
FUZZ += ["--jobs", str(os.cpu_count() or 2)]
FUZZ_NEWER = ["500" if word == "2000" else word for word in FUZZ]
# What the newer Pythons leave to the oldest one: the version has no part in it, or the fuzzer and what is left show the same.
NEWER = [
    f"--ignore=tests/{name}"
    for name in (
        "integration",
        "test_batch_arrays.py",
        "test_batch_compute.py",
        "test_batch_compute_options.py",
        "test_batch_filters.py",
        "test_batch_reductions.py",
        "test_batch_ufuncs.py",
        "test_bench_batches.py",
        "test_bench_functions.py",
        "test_bench_operators.py",
        "test_bench_tiers.py",
        "test_column_kernels.py",
        "test_compile_doc.py",
        "test_compute_forms.py",
        "test_dicts.py",
        "test_examples_c.py",
        "test_files.py",
        "test_filter_masks.py",
        "test_fuzz_selftest.py",
        "test_json_text.py",
        "test_memory.py",
        "test_number_columns.py",
        "test_on_error.py",
        "test_operators_module.py",
        "test_progress.py",
        "test_record_map.py",
        "test_schema_changes.py",
        "test_sinks.py",
        "test_sources.py",
        "test_stream.py",
        "test_stream_operators.py",
        "test_stream_sources.py",
        "test_union.py",
        "test_validate.py",
    )
]
# Of a limit in time, measured in a process that has run thousands of tests, whose garbage the versions collect in other ways.
NEWER += [
    f"--deselect=tests/test_async.py::test_the_loop_is_never_blocked[{name} that do not fit]"
    for name in ("rows", "long lists")
]
NEWER += ["--deselect=tests/test_exports.py::test_importing_is_quick"]
# The engine of AArch64 in an emulated CPython of AArch64.
FUZZ_ARM = ["-m", "fuzz.differential", "--python", str(setup.ARM_ROOT / "python")]
FUZZ_ARM += ["--functions", "200", "--columns", "10", "--jobs", str(os.cpu_count() or 2)]
# The small build has no code generator: the same, interpreted, and fewer.
FUZZ_SMALL = ["-m", "fuzz.differential", "--functions", "200", "--tier", "interpreter"]
FUZZ_SMALL += ["--jobs", str(os.cpu_count() or 2)]
# What meets the borders of morsels and arenas, and runs without a code generator.
SMALL = [
    "tests/integration",
    *(
        f"tests/test_{name}.py"
        for name in (
            "batch_form",
            "batch_identity",
            "batch_whole",
            "column_kernels",
            "columns",
            "concurrent_engine",
            "corpus",
            "dicts",
            "differential",
            "dropped_rows",
            "examples",
            "failures",
            "filter_masks",
            "fuzz_batches",
            "numpy_scalars",
            "on_error",
            "outputs",
            "provenance",
            "record",
            "record_map",
            "recursion",
            "schema_changes",
            "sources",
            "stream",
            "stream_operators",
            "stream_sources",
            "union",
            "validate",
        )
    ),
    # That native code ran, and that batches keep their size, cannot hold there.
    "--deselect=tests/test_differential.py::test_fuzzer_finds_nothing[native]",
    "--deselect=tests/test_differential.py::test_fuzzer_under_all_settings",
    "--deselect=tests/test_stream.py::test_batch_sizes_are_kept",
]


def shortened(text: str) -> str:
    """Begin and end of a long text."""
    if len(text) <= DETAIL_SIZE_MAX:
        return text
    half = DETAIL_SIZE_MAX // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def run_step(step: Step) -> list[Case]:
    started = time.monotonic()
    try:
        cases = step.run()
    except Exception as error:  # a step that breaks is a failure of the run, not the end of it
        text = str(error) if isinstance(error, setup.SetupError) else traceback.format_exc()
        cases = [Case(step.name, "step", FAILED, 0, text)]
    bad = [case for case in cases if case.outcome != PASSED]
    seconds = time.monotonic() - started
    lines = [f"{'FAIL' if bad else 'ok  '}  {step.name:<14} {len(cases):5} tests {seconds:7.1f} s"]
    lines += ["      " + case.detail for case in cases if case.outcome == PASSED and case.detail]
    for case in bad:
        lines.append(f"      {case.outcome}: {case.runner}: {case.name}")
        lines += ["        " + line for line in shortened(case.detail.strip()).splitlines()]
    say("\n".join(lines))
    return cases


def run_steps(chosen: Sequence[Step]) -> list[Case]:
    """One step after the other; neighbours that use one core each run together."""
    cases: list[Case] = []
    for together, group in itertools.groupby(chosen, key=lambda step: step.one_core):
        workers = max(1, os.cpu_count() or 1) if together else 1
        pool = concurrent.futures.ThreadPoolExecutor(workers)
        try:
            for found in pool.map(run_step, group):
                cases += found
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for group_id in list(RUNNING):
                os.killpg(group_id, signal.SIGKILL)
            raise
        pool.shutdown()
    return cases


def summary_status(cases: Sequence[Case]) -> int:
    """0 when there are cases and every one passed."""
    return 0 if cases and all(case.outcome == PASSED for case in cases) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs everything that must pass.")
    parser.add_argument("--quick", action="store_true", help="one build, one Python")
    parser.add_argument("--only", help="these steps, separated by commas")
    arguments = parser.parse_args()
    machine = Machine(setup.find_pythons())
    chosen = steps(machine)
    if arguments.quick:
        chosen = [step for step in chosen if step.quick]
    if arguments.only:
        names = arguments.only.split(",")
        unknown = set(names) - {step.name for step in chosen}
        if unknown:
            parser.error(
                f"no such step: {', '.join(sorted(unknown))}; there are "
                + ", ".join(step.name for step in chosen)
            )
        chosen = [step for step in chosen if step.name in names]
    else:
        chosen = [step for step in chosen if not step.asked]
    started = time.monotonic()
    cases = run_steps(chosen)
    say("\nslowest:")
    for case in sorted(cases, key=lambda case: -case.seconds)[:10]:
        say(f"  {case.seconds:7.2f} s  {case.runner}: {case.name}")
    counts = dict.fromkeys((PASSED, FAILED, SKIPPED), 0)
    for case in cases:
        counts[case.outcome] += 1
    say(f"\nin {time.monotonic() - started:.0f} s")
    say(", ".join(f"{counts[outcome]} {outcome}" for outcome in (PASSED, FAILED, SKIPPED)))
    return summary_status(cases)


if __name__ == "__main__":
    sys.exit(main())
