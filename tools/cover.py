"""Line coverage: the C core under its C tests and the Python tests together, the package under the Python tests.

    .venv/bin/python tools/cover.py        prints both tables; the C lines as HTML in build-cover/html

The build is instrumented by clang (setup.py, configuration "cover"); each process writes its own raw profile.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

import run_tests
import setup

ROOT = setup.ROOT


def main() -> int:
    folder = ROOT / setup.CONFIGS["cover"].folder
    venv = ROOT / ".venv"
    raw = folder / "raw"
    shutil.rmtree(raw, ignore_errors=True)
    raw.mkdir()
    env = run_tests.tree_env(folder)
    env["PATH"] = setup.tool_env(venv)["PATH"]
    env["LLVM_PROFILE_FILE"] = str(raw / "%p-%m.profraw")
    env["SABOT_JIT_HELPER"] = str(ROOT / "build" / "src" / "jit_helper" / "sabot-jit")
    env["COVERAGE_FILE"] = str(folder / ".coverage")
    python = str(venv / "bin" / "python")
    package = str(folder / "lib" / "sabot")
    tests = [
        [str(venv / "bin" / "meson"), "test", "-C", str(folder), "--no-suite", "canary", "--quiet"],
        [python, "-m", "coverage", "run", f"--source={package}", "-m", "pytest", "-q"],
    ]
    status = 0
    for command in tests:
        status = max(status, subprocess.run(command, cwd=ROOT, env=env).returncode)
    merged = folder / "merged.profdata"
    subprocess.run(
        [
            "llvm-profdata-19",
            "merge",
            "-sparse",
            "-o",
            str(merged),
            *map(str, raw.glob("*.profraw")),
        ],
        check=True,
    )
    objects = [*folder.glob("test_*"), *(folder / "python").glob("_core*.so")]
    programs = [str(path) for path in objects if path.is_file()]
    common = [f"--instr-profile={merged}", programs[0]]
    common += [f"--object={path}" for path in programs[1:]]
    common += ["--ignore-filename-regex=(_test|testkit.*)\\.c$"]
    subprocess.run(
        ["llvm-cov-19", "show", "--format=html", f"--output-dir={folder / 'html'}", *common],
        check=True,
    )
    subprocess.run(["llvm-cov-19", "report", *common], check=True)
    subprocess.run([python, "-m", "coverage", "report"], cwd=ROOT, env=env)
    return status


if __name__ == "__main__":
    sys.exit(main())
