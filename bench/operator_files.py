"""What streaming a Parquet file holds: the peak of Arrow's memory and of the process, for files of more and more row groups.

Each file is read by a fresh process, which sees nothing of how the file was made.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from harness import Table

GROUPS = (10, 40)
BATCH = 4  # batches to a row group

READER = """
import json, resource, sys
import pyarrow as pa
from sabot import Stream

path, rows = sys.argv[1], int(sys.argv[2])

def twice(k):
    return k * 2

def read(limit):
    stream = Stream.from_parquet(path, batch_size=rows).with_columns(y=twice)
    if limit:
        stream = stream.limit(limit)
    return sum(batch.num_rows for batch in stream)

read(1)  # code is loaded, threads run
pool = pa.default_memory_pool()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read_rows = read(0)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"rows": read_rows, "arrow": pool.max_memory(), "rss": (after - before) * 1024}))
"""


GROUP_READER = """
import sys
import pyarrow as pa, pyarrow.parquet as pq

pq.ParquetFile(sys.argv[1]).read_row_group(0)
print(pa.default_memory_pool().max_memory())
"""


def write(path: Path, groups: int, rows: int) -> int:
    """A file of equal row groups; gives the bytes of one, decoded."""
    rng = np.random.default_rng(3)
    words = pa.array([f"word {i}" for i in range(5000)])
    picks = rng.integers(0, 5000, rows)
    columns = {"k": pa.array(picks * 7), "x": rng.random(rows), "s": words.take(pa.array(picks))}
    table = pa.table(columns)
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(groups):
            writer.write_table(table, row_group_size=rows)
    return table.nbytes


def run(text: str, *arguments: str) -> str:
    """What a program prints, in a process of its own."""
    command = [sys.executable, "-c", text, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def peaks(out: Table, group_rows: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        peak: dict[int, dict[str, int]] = {}
        group, path = 0, Path(name)
        for groups in GROUPS:
            path = Path(name) / f"{groups}.parquet"
            group = write(path, groups, group_rows)
            peak[groups] = json.loads(run(READER, str(path), str(group_rows // BATCH)))
            assert peak[groups]["rows"] == groups * group_rows, peak
        alone = int(run(GROUP_READER, str(path)))
        few, many = (peak[groups] for groups in GROUPS)
        limit = group + 4 * group // BATCH
        out.add(
            f"a Parquet file of {GROUPS[1]} row groups of {group_rows:,} rows, streamed: peak of Arrow's memory",
            f"{many['arrow'] / 1e6:.1f} MB; the process grows by {many['rss'] / 1e6:.1f} MB after its first batch",
            f"of {GROUPS[0]} row groups {few['arrow'] / 1e6:.1f} MB and {few['rss'] / 1e6:.1f} MB; one row group, "
            f"decoded, {group / 1e6:.1f} MB; pyarrow by itself, reading one of them whole, {alone / 1e6:.1f} MB",
            f"at most one row group and 4 batches, {limit / 1e6:.1f} MB, whatever the file's size",
            many["arrow"] <= limit,
        )
