"""What the process holds: result columns are cut from slabs that are kept and used again (src/base/block.h).

Each case runs in a process of its own, which prints its resident memory in bytes at named points; limits leave 24 MiB for what the
interpreter, pyarrow and the threads' heaps take meanwhile.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

MIB = 1 << 20
SLACK = 24 * MIB
KEPT_MAX = 64 * MIB
COLUMN = 8 * (1 << 20)  # one int64 column of the table that PRELUDE makes

PRELUDE = """
import gc, json, os, sys
import numpy as np
import pyarrow as pa
import sabot
from sabot import Stream

sabot.config(threads=int(sys.argv[1]))

def twice(k):
    return k * 2

part = pa.record_batch({"k": np.arange(1 << 20)})
table = pa.Table.from_batches([part] * 24)
results = Stream.from_table(table).with_columns(y=twice).select("y")
marks = {}

def mark(name):
    gc.collect()
    with open("/proc/self/statm") as file:
        marks[name] = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

for _ in results:
    break
mark("begin")
"""


def marks_of(body: str, threads: int) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + body + "\nprint(json.dumps(marks))", str(threads)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_stream_consumed_batch_by_batch_is_flat(threads: int) -> None:
    marks = marks_of(
        """
for i, batch in enumerate(results):
    assert batch.column("y")[1].as_py() % 2 == 0
    if i in (40, 360):
        mark(str(i))
""",
        threads,
    )
    assert marks["40"] - marks["begin"] <= SLACK
    assert marks["360"] - marks["40"] <= 4 * MIB, "grows with the rows"


def test_one_batch_kept_in_sixteen_holds_no_others() -> None:
    marks = marks_of(
        """
kept = results.collect().column("y").chunks
mark("all")
kept = kept[::16]
mark("kept")
sums = [chunk.to_numpy()[:2].tolist() for chunk in kept]
assert all(chunk.to_numpy().sum() % 2 == 0 for chunk in kept), sums
again = results.collect()
mark("again")
kept = again = None
mark("none")
""",
        1,
    )
    whole = 24 * COLUMN
    assert marks["all"] - marks["begin"] <= whole + SLACK
    assert marks["kept"] - marks["begin"] <= whole // 16 + KEPT_MAX + SLACK
    assert marks["again"] - marks["begin"] <= whole // 16 + whole + SLACK, "free blocks come first"
    assert marks["none"] - marks["begin"] <= KEPT_MAX + SLACK


def test_a_forked_child_drops_what_its_parent_made() -> None:
    marks = marks_of(
        """
rows = results.collect()
pid = os.fork()
if pid == 0:
    total = sum(int(chunk.to_numpy()[-1]) for chunk in rows.column("y").chunks)
    rows = None
    os._exit(0 if total > 0 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert int(rows.column("y").chunks[-1].to_numpy()[-1]) == 2 * ((1 << 20) - 1)
""",
        2,
    )
    assert marks["begin"] > 0
