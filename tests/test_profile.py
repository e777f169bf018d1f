"""Profiles: what each operator of a run did."""

from __future__ import annotations

import asyncio
import json
import re
import time

import pyarrow as pa
import pytest
from support import SLACK

import sabot as sb
from sabot import Stream

pytestmark = pytest.mark.api

BATCHES = [pa.record_batch({"a": list(range(start, start + 100))}) for start in (0, 100, 200)]


def even(a):
    return a % 2 == 0


def double(a):
    return a * 2


def as_text(a) -> str:
    return str(a)


def same(batch):
    return batch


def operators(profile: sb.Profile) -> list[dict]:
    return profile.to_dict()["operators"]


def by_name(profile: sb.Profile) -> dict[str, dict]:
    return {line["operator"].split()[0]: line for line in operators(profile)}


def pipeline() -> Stream:
    return (
        Stream.from_batches(BATCHES)
        .filter(even)
        .with_columns(y=double, t=as_text)
        .select("y", "t")
        .skip(30)
        .map(same)
    )


def test_a_line_an_operator_in_the_order_of_explain():
    stream = pipeline()
    lines = operators(stream.profile())
    names = [line["operator"] for line in lines]
    assert names == [
        "MAP same(batch)",
        "SKIP 30",
        "SELECT y, t",
        "WITH y = double(a), t = as_text(a)",
        "FILTER even(a)",
        "BATCHES list of 3",
    ]
    assert [line["depth"] for line in lines] == list(range(6))
    explained = [text.strip(" └─") for text in stream.explain().splitlines()]
    heads = [text.split()[0] for text in explained if re.match("[A-Z]", text)]
    assert heads == [name.split()[0] for name in names]


def test_rows_and_batches():
    profile = pipeline().profile()
    of = by_name(profile)
    assert {name: (line["rows_in"], line["rows_out"]) for name, line in of.items()} == {
        "BATCHES": (None, 300),
        "FILTER": (300, 150),
        "WITH": (150, 150),
        "SELECT": (150, 150),
        "SKIP": (150, 120),
        "MAP": (120, 120),
    }
    assert of["BATCHES"]["batches_out"] == 3
    assert of["MAP"]["batches_in"] == of["MAP"]["batches_out"] == of["SKIP"]["batches_out"]
    assert profile.rows == 120
    assert profile.batches == of["MAP"]["batches_out"]
    assert profile.elapsed_ms > 0
    assert json.loads(json.dumps(profile.to_dict())) == profile.to_dict()


def test_bytes():
    stream = pipeline()
    of = by_name(stream.profile())
    assert of["BATCHES"]["bytes"] == 300 * 8
    assert of["WITH"]["bytes"] >= 150 * 8
    assert of["SKIP"]["bytes"] >= 120 * 8
    stream.collect()
    of = by_name(stream.last_run.profile)
    assert of["BATCHES"]["bytes"] is None  # it costs something for each column
    assert of["SKIP"]["bytes"] is None
    assert of["WITH"]["bytes"] >= 150 * 8


def test_time_in_python_and_in_the_source():
    def slow(a) -> int:
        time.sleep(0.001)
        return a

    def batches():
        for batch in BATCHES:
            time.sleep(0.02)
            yield batch

    def slow_batch(batch):
        time.sleep(0.03)
        return batch

    stream = Stream.from_batches(batches).filter(even).with_columns(y=slow).map(slow_batch)
    of = by_name(stream.profile())
    assert of["WITH"]["python_ms"] >= 150
    assert of["WITH"]["busy_ms"] >= of["WITH"]["python_ms"]
    assert of["MAP"]["python_ms"] >= 90
    assert of["FILTER"]["busy_ms"] < 50
    source = next(line for name, line in of.items() if name not in ("WITH", "MAP", "FILTER"))
    assert source["busy_ms"] >= 60
    assert all(of[name]["waiting_ms"] >= 0 for name in ("WITH", "MAP", "FILTER"))


def test_time_between_two_runs_of_the_engine_is_without_that_of_its_inputs():
    def slow(a) -> int:
        time.sleep(0.003)
        return a

    calls = []

    def twice(batch):
        if not calls:
            time.sleep(0.06)
        calls.append(batch)
        return [batch, batch]

    stream = Stream.from_batches(BATCHES).with_columns(y=slow).flat_map(twice)
    of = by_name(stream.profile())
    assert of["FLAT_MAP"]["waiting_ms"] >= 900
    assert 60 <= of["FLAT_MAP"]["busy_ms"] < 60 * SLACK
    assert (of["FLAT_MAP"]["rows_in"], of["FLAT_MAP"]["rows_out"]) == (300, 600)


def test_rows_that_left_native_code_and_rows_that_failed():
    big = pa.table({"a": [1, 2**62, 3, 2**62, 5]})
    with pytest.raises(sb.IntegerOverflowError):
        Stream.from_table(big).with_columns(y=double).collect()

    @sb.udf(on_error="null")
    def odd_only(a) -> int:
        return 10 // (a % 2)

    stream = Stream.from_table(pa.table({"a": list(range(10))})).with_columns(y=odd_only)
    profile = stream.profile()
    line = by_name(profile)["WITH"]
    assert line["rows_failed"] == 5
    assert sum(line["rows_left"].values()) == 5
    assert stream.last_run.errors_total == 5
    title, first, *_ = str(profile).splitlines()
    assert title.endswith("failed")
    assert first.endswith("  5")


def test_the_same_of_the_last_run_of_any_kind():
    stream = pipeline()
    rows = [
        (line["operator"], line["rows_in"], line["rows_out"])
        for line in operators(stream.profile())
    ]
    stream.collect()

    def seen():
        profile = stream.last_run.profile
        return [
            (line["operator"], line["rows_in"], line["rows_out"]) for line in operators(profile)
        ]

    assert seen() == rows
    for _ in stream:
        pass
    assert seen() == rows

    async def consume():
        async for _ in stream:
            pass

    asyncio.run(consume())
    assert seen() == rows


def test_a_run_that_fails_or_is_left_has_a_profile():
    stream = Stream.from_batches(BATCHES, BATCHES[0].schema).map(same)
    for _ in stream:
        break
    assert stream.last_run.profile.rows == 100
    assert by_name(stream.last_run.profile)["MAP"]["rows_in"] >= 100

    def fails(batch):
        raise KeyError("no")

    stream = Stream.from_batches(BATCHES).map(fails)
    with pytest.raises(KeyError):
        stream.profile()
    assert (stream.last_run.profile.rows, len(operators(stream.last_run.profile))) == (0, 2)


def test_tables_and_streams_without_operators():
    table = pa.table({"a": list(range(1000))})
    for run in (Stream.profile, lambda stream: stream.count() and stream.last_run.profile):
        for stream in (Stream.from_table(table), Stream.from_table(table).filter(even)):
            lines = operators(run(stream))
            assert lines[-1]["operator"] == "TABLE 1000 rows"
            assert lines[-1]["rows_out"] == 1000
            assert lines[-1]["batches_out"] == 1
    nothing = Stream.from_table(table.slice(0, 0)).filter(even).profile()
    assert [line["rows_out"] for line in operators(nothing)] == [0, 0]


def test_operators_that_only_the_first_batch_binds():
    stream = Stream.from_batches(lambda: iter(BATCHES)).filter(even)
    assert [line["rows_out"] for line in operators(stream.profile())] == [150, 300]
    empty = Stream.from_batches(lambda: iter(())).filter(even).profile()
    assert empty.rows == 0


def test_every_input_of_a_union():
    one, other = Stream.from_batches(BATCHES[:1]), Stream.from_batches(BATCHES).filter(even)
    union = one.union(other)
    lines = operators(union.profile())
    assert [(line["depth"], line["rows_out"]) for line in lines] == [
        (0, 250),
        (1, 100),
        (1, 150),
        (2, 300),
    ]
    assert lines[0]["rows_in"] == 250
    union.limit(10).count()
    limited = union.limit(10)
    limited.count()
    lines = operators(limited.last_run.profile)
    assert [line["rows_out"] for line in lines][:2] == [10, 100]
    assert lines[-1]["rows_out"] == 0  # it was never asked


def test_it_prints_as_a_table():
    text = str(pipeline().profile())
    lines = text.splitlines()
    assert len(lines) == 8
    assert lines[0].split() == "rows in rows out batches busy waiting bytes left failed".split()
    assert re.match(r"MAP same\(batch\) +120 +120 ", lines[1])
    assert re.match(r"└─ SKIP 30 +150 +120 ", lines[2])
    assert re.match(r" {12}└─ BATCHES list of 3 +300 +3 ", lines[6])
    assert re.fullmatch(r"120 rows in [\d.]+ (ms|s), [\d,]+ rows/s", lines[7])
    assert repr(pipeline().profile()).startswith(lines[0][:20])


def test_a_source_without_end_is_refused():
    stream = Stream.from_batches_unbounded(lambda: iter(BATCHES))
    with pytest.raises(sb.UnboundedError, match=r"profile needs the end .*limit\(n\) gives one"):
        stream.profile()
    assert stream.limit(150).profile().rows == 150
