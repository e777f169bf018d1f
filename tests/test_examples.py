"""The examples run, and what they give back is what they say."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def batch_first():
    return load("batch_first_examples")


def large(rows):
    """The ids of the first rows whose amount is above 500."""
    return [k for k in range(rows) if 100 + k % 1000 > 500]


def test_batch_mode(batch_first, capsys):
    result = batch_first.example_1_batch_mode()
    assert result.rows == len(large(100_000)) == 59_900
    assert result.fees == pytest.approx(sum((100 + k % 1000) * 0.03 for k in large(100_000)))
    assert "59,900 of them" in capsys.readouterr().out


def test_streaming_mode(batch_first, capsys):
    result = asyncio.run(batch_first.example_2_streaming_mode(0.1))
    assert result.rows == len(result.ids) > 0
    assert result.ids == list(itertools.islice(large(result.ids[-1] + 1), result.rows))
    assert result.closed == 1
    assert 0.1 < result.seconds < 5
    assert f"{result.rows:,} rows in {result.batches} batches" in capsys.readouterr().out


def test_same_pipeline(batch_first):
    result = batch_first.example_3_same_pipeline()
    ids = large(10_000)
    amounts = [100.0 + k % 1000 for k in ids]
    assert result.bounded.equals(result.unbounded)
    assert result.bounded["id"].to_pylist() == ids
    assert result.bounded["amount"].to_pylist() == amounts
    assert result.bounded["fee"].to_pylist() == [amount * 0.03 for amount in amounts]
    assert result.bounded["tax"].to_pylist() == [amount * 0.10 for amount in amounts]
    assert result.rows_taken > 0


def test_batch_vs_record_api(batch_first, capsys):
    result = batch_first.example_4_batch_vs_record_api()
    assert result.batch_sum == result.record_sum == sum(4 * k for k in range(100_000))
    assert result.record_seconds > result.batch_seconds  # usually a hundred times
    times = int(re.search(r"were (\d+) times", capsys.readouterr().out).group(1))
    assert times == round(result.record_seconds / result.batch_seconds)


def test_zero_copy(batch_first):
    result = batch_first.example_5_zero_copy()
    assert result.select_shares
    assert result.map_shares
    assert result.bytes_in == 8_000_000
    assert result.bytes_shared + result.bytes_copied == 550_000 * 8


def test_addresses_tell_copies_from_views(batch_first):
    column = pa.array(range(100))
    views = [pa.record_batch({"a": column.slice(k, 10)}) for k in (0, 10, 30)]
    start = column.buffers()[1].address
    assert batch_first.spans(views, "a") == [(start, start + 160), (start + 240, start + 320)]
    copy = pa.concat_arrays([column.slice(0, 10), column.slice(10, 1)])
    assert batch_first.span(copy)[0] != start


def test_all_of_them_as_a_program():
    path = EXAMPLES / "batch_first_examples.py"
    result = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, result.stderr) == (0, "")
    titles = [int(number) for number in re.findall(r"^(\d)\. ", result.stdout, re.MULTILINE)]
    assert titles == [1, 2, 3, 4, 5]
