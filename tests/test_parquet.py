"""What Sabot's Parquet files look like inside."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from sabot import Stream


def test_parquet_has_dictionaries_where_values_repeat(tmp_path):
    rows = 20_000
    table = pa.table(
        {
            "x.y": pa.array([k * 0.37 for k in range(rows)]),
            "few": pa.array([k % 7 for k in range(rows)]),
            "text": pa.array([str(k) for k in range(rows)]),
            "s": pa.array([{"y": k, "list": [k]} for k in range(rows)]),
            "id": pa.array(range(rows)),
            "at": pa.array([None if k % 2 else k for k in range(rows)], pa.timestamp("us")),
        }
    )
    path = tmp_path / "a.parquet"
    Stream.from_table(table).to_parquet(path)
    assert pq.read_table(path).equals(table)
    group = pq.ParquetFile(path).metadata.row_group(0)
    found = [group.column(k) for k in range(group.num_columns)]
    kept = {one.path_in_schema for one in found if "RLE_DICTIONARY" in one.encodings}
    assert kept == {"few", "text", "s.y", "s.list.list.element", "at"}


def test_row_groups_are_written_while_others_are_computed(tmp_path):
    rows = 300_000
    path = tmp_path / "a.parquet"
    Stream.from_table(pa.table({"a": range(rows)})).to_parquet(path)
    held = pq.read_metadata(path)
    assert [held.row_group(k).num_rows for k in range(held.num_row_groups)] == [
        131072,
        131072,
        37856,
    ]
