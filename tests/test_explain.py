"""What `explain` says, word for word; every refusal with the place it points at."""

from __future__ import annotations

import json
import re

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import HELPER, TIERS, cell, printed, run_python

import sabot as sb
from sabot import Stream

pytestmark = pytest.mark.api

COLUMNS = {
    "a": pa.int64(),
    "b": pa.float64(),
    "p": pa.bool_(),
    "t": pa.string(),
    "d": pa.date32(),
}


def golden(text):
    return text.strip("\n")


def test_a_compiled_function():
    report = sb.explain(cell("f = lambda a, b: a * b if a else 0.5")["f"], COLUMNS)
    first, second, third = str(report).split("\n")
    assert first == "<lambda>(a: int64, b: double) -> double" + " " * 20 + "compiled   scalar"
    assert second == "  reads a, b · pure · can raise · exact"
    assert (
        re.fullmatch(r"  \S+, \d+ lanes · native code when first worth it", third)
        or not HELPER.exists()
    )
    assert (report.mode, report.kind, report.reads) == ("compiled", "scalar", ["a", "b"])
    assert (report.pure, report.can_raise, report.reasons) == (True, True, [])
    assert (report.rows, report.rows_left, report.compile_ms, report.ns_per_row) == (
        0,
        {},
        None,
        None,
    )
    assert repr(report) == str(report)
    assert report.ir()


def test_reads_only_what_is_used():
    report = sb.explain(cell("f = lambda a, b, p: b > 0.5")["f"], COLUMNS)
    assert report.reads == ["b"]
    assert report.signature == "<lambda>(a: int64, b: double, p: bool) -> bool"


def test_nothing_is_read_and_nothing_raises():
    report = sb.explain(cell("f = lambda: 5")["f"], COLUMNS)
    assert report.signature == "<lambda>() -> int64"
    assert "reads no column · pure · cannot raise · exact" in str(report)


def test_a_schema_or_a_mapping():
    fn = cell("f = lambda a: -a")["f"]
    assert str(sb.explain(fn, pa.schema(COLUMNS))) == str(sb.explain(fn, COLUMNS))


def test_counters_of_all_runs():
    fn = cell("f = lambda a: a * 4 > 0")["f"]
    table = pa.table({"a": [1, 2, 2**62]})
    for tier in TIERS:
        with sb.config(tier=tier):
            Stream.from_table(table).with_columns(y=fn).collect()
    report = sb.explain(fn, table.schema)
    assert report.rows == 3 * len(TIERS)
    assert report.rows_left == {"overflow": len(TIERS)}
    assert f"  {report.rows} rows so far; left for CPython: {len(TIERS)} overflow" in str(report)
    assert report.ns_per_row > 0
    assert "ns a row" in str(report)
    if HELPER.exists():
        assert report.compile_ms > 0
        assert re.search(r"compiled in \d+\.\d ms", str(report))
        assert report.asm()


def test_to_dict_is_plain_data():
    for text in ("f = lambda a: a + 1", "f = lambda a: a ** 2", "f = lambda x: x"):
        plain = sb.explain(cell(text)["f"], COLUMNS).to_dict()
        assert json.loads(json.dumps(plain)) == plain
        assert {
            "name",
            "mode",
            "kind",
            "signature",
            "reads",
            "reasons",
            "rows_left",
        } <= plain.keys()


# --- limits

DEEP = f"def f(a) -> int:\n    return {'-' * 230}a"


def test_a_function_too_deep():
    report = sb.explain(cell(DEEP)["f"], COLUMNS)
    assert [reason.code for reason in report.reasons] == ["too_complex"]
    assert "  the function is too large or too deeply nested to compile" in str(report)
    s = Stream.from_table(pa.table({"a": [3]})).with_columns(y=cell(DEEP)["f"])
    assert s.collect()["y"].to_pylist() == [3]


def test_a_function_too_large():
    lines = "".join(f"    x = x + a // {k + 1} * (x % {k + 7})\n" for k in range(5000))
    text = f"def f(a):\n    x = a\n{lines}    return x % 1000\n"
    fn = cell(text)["f"]
    fn.__annotations__["return"] = int
    assert [r.code for r in sb.explain(fn, COLUMNS).reasons] in ([], ["too_complex"])
    s = Stream.from_table(pa.table({"a": [3]})).with_columns(y=fn)
    with sb.config(tier="interpreter"):
        assert s.collect()["y"].to_pylist() == [fn(3)]


def test_asking_for_code_that_is_not_there():
    for text in ("f = lambda a: a @ 2", "f = lambda x: x"):
        report = sb.explain(cell(text)["f"], COLUMNS)
        for ask in (report.ir, report.asm):
            with pytest.raises(sb.PlanError, match="<lambda>|not compiled"):
                ask()


# --- streams


def test_a_stream():
    def text(a) -> str:
        return str(a)

    s = (
        Stream.from_table(pa.table({"a": [1], "b": [0.5]}))
        .filter(lambda a: a > 1)
        .with_columns(y=lambda b: b + 1, long=text)
        .filter(lambda batch: pc.is_valid(batch["y"]))
        .map(lambda batch: batch)
        .map(lambda batch: batch, schema=pa.schema([("n", pa.int64())]))
        .select("n")
    )
    line = str(text.__code__.co_firstlineno + 1)
    assert s.explain().replace(f"line {line}", "line LINE") == golden("""
SELECT n
└─ MAP    <lambda>(batch)              in CPython, batch by batch
   └─ MAP    <lambda>(batch)           in CPython, batch by batch; its schema is known with the first batch
      └─ FILTER <lambda>(batch)        compiled, batch, array form  reads y
         └─ WITH   y    = <lambda>(b)  compiled, scalar  reads b
                   long = text(a)      interpreted, scalar  reads a  because: this form is not compiled yet: a call of str (line LINE)
            └─ FILTER <lambda>(a)      compiled, scalar  reads a
               └─ TABLE 1 rows         2 columns
""") + "\n"  # fmt: skip
    assert repr(s) == f"<sabot.Stream\n{s.explain()}\n>"


# --- SABOT_DUMP

DUMP = """
import pyarrow as pa
from sabot import Stream
def slow(a) -> int:
    return len(hex(a))
s = Stream.from_table(pa.table({"a": [1, 2]})).with_columns(y=lambda a: a + 1, z=slow)
print(s.collect()["y"].to_pylist())
"""


def dump(parts):
    result = run_python(DUMP, env={"SABOT_DUMP": parts})
    assert (result.returncode, result.stdout) == (0, "[2, 3]\n")
    return result.stderr


def test_dumps():
    parts = "plan,ir,llvm,asm"
    text = dump(parts)
    assert "WITH   y = <lambda>(a)  compiled, scalar" in text
    heads = re.findall(r"^--- (\w+) of (\S+)", text, re.MULTILINE)
    assert heads == [(part, "<lambda>") for part in parts.split(",")[1:]]
    assert "define" in text
    assert "py_add_i64" in text.lower() or "add" in text
    assert dump("") == ""
    assert dump("ir").startswith("--- ir of <lambda>\n")


def test_a_dump_that_is_not_known_is_said():
    result = run_python(DUMP, env={"SABOT_DUMP": "ir,nonsense"})
    assert result.returncode == 1
    assert "PlanError: SABOT_DUMP='ir,nonsense': there is no 'nonsense'; there is " in result.stderr


def test_the_command_line_has_its_text():
    out = printed(
        "import pyarrow as pa, sabot as sb\n"
        "print(sb.explain(lambda a: a.to_bytes(12), {'a': pa.int64()}))\n"
        "print(sb.explain(lambda a: a + 1, {'a': pa.int64()}).mode)"
    )
    assert "^^^^^^^^^^^^^^" in out
    assert out.endswith("compiled\n")
