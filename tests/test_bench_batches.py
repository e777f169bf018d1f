"""The benchmark of batch functions on small data: every answer is right (it checks them itself) and no line of its table is missing."""

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent.parent / "bench" / "batches.py"
NAMES = [
    "my_transform",
    "simple_loop",
    "complex_computation",
    "running",
    "ema",
    "five_operations",
    "batch_processing",
    "large_amounts",
    *(
        f"sines, {rows:,} rows, {threads}"
        for rows in (20_000, 200_000)
        for threads in ("1 thread", "2 threads")
    ),
    "Parquet to Parquet, my_transform",
    "compilation_overhead",
]


def test_quick():
    run = subprocess.run(
        [sys.executable, str(PROGRAM), "--quick"], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    _, *lines = run.stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == NAMES
