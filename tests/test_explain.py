"""What `explain` says, word for word; every refusal with the place it points at."""

from __future__ import annotations

import json
import re
from pathlib import Path

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
UNTOLD = "  the result's type cannot be told\n  Add a return annotation, such as -> int"
HEADER = Path(__file__).resolve().parent.parent / "src" / "ir" / "refusal.h"


def golden(text):
    return text.strip("\n")


def told(text, **names):
    """The report of function `f` of a text, its file written as <cell>."""
    return str(sb.explain(cell(text, "<cell>", **names)["f"], COLUMNS))


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


# --- refusals

REFUSALS = {
    "operator": (
        "def f(a) -> int:\n    return a @ 2",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    return a @ 2
                     ^^^^^
  this operator is not compiled yet: @
""",
    ),
    "syntax": (
        "def f(a) -> int:\n    return {a: 1}[a]",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    return {a: 1}[a]
                     ^^^^^^
  this form is not compiled yet: a dict
""",
    ),
    "unknown_call": (
        "import cmath\ndef f(a) -> int:\n    x = a + 1\n    return cmath.log(x, 2) + 1  # two\n",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:4    return cmath.log(x, 2) + 1  # two
                     ^^^^^^^^^^^^^^^
  Sabot does not know what this call reads or writes: cmath.log
""",
    ),
    "captured": (
        "k = [1, 'b']\nf = lambda a: k + [a]",
        """
<lambda>(a: int64) -> ?                                    interpreted   scalar
  <cell>:2    f = lambda a: k + [a]
                            ^
  a captured object of this type is not compiled: list
  captured numbers, booleans, None and strings are
"""
        + UNTOLD,
    ),
    "unresolved": (
        "def f(a) -> int:\n    return undefined + a",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    return undefined + a
                     ^^^^^^^^^
  this name is not defined when the stream is built: undefined
""",
    ),
    "impure": (
        "def f(a) -> int:\n    global z\n    z = a\n    return a",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    global z
              ^^^^^^^^
  it writes outside the function: global z
  <cell>:3    z = a
              ^
  it writes outside the function: assignment to z, which is not a local
""",
    ),
    "signature": (
        "def f(a) -> int:\n    yield a",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:1    def f(a) -> int:
              ^
  this kind of parameter or function is not compiled: a generator function
""",
    ),
    "big_constant": (
        "def f(a) -> bool:\n    return a < 123456789012345678901234567890",
        """
f(a: int64) -> bool                                        interpreted   scalar
  <cell>:2    return a < 123456789012345678901234567890
                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  an integer constant beyond 64 bits: 123456789012345678901234567890
""",
    ),
    "type": (
        'def f(a) -> bool:\n    return a == "äöü"',
        """
f(a: int64) -> bool                                        interpreted   scalar
  <cell>:2    return a == "äöü"
                          ^^^^^
  a value of this type is not compiled yet: str
""",
    ),
    "column_type": (
        "def f(t, d) -> int:\n    return 1 if t is None else 2",
        """
f(t: string, d: date32[day]) -> int64                      interpreted   scalar
  <cell>:2    return 1 if t is None else 2
                          ^
  a column of this type is not compiled yet: t
""",
    ),
    "result_type": (
        "f = lambda a: a.real",
        """
<lambda>(a: int64) -> ?                                    interpreted   scalar
  <cell>:1    f = lambda a: a.real
                            ^^^^^^
  this form is not compiled yet: attribute access a.real
"""
        + UNTOLD,
    ),
    "batch": (
        "f = lambda x: x",
        """
<lambda>(batch) -> ?                                       interpreted   batch
  <cell>:1    f = lambda x: x
  a batch function runs in CPython, batch by batch
  For speed name its parameters after columns and give a value a row (with_columns)
""",
    ),
    "too_complex": (f"def f(a) -> int:\n    return {'-' * 230}a", None),
}  # fmt: skip


@pytest.mark.parametrize("code", [code for code in REFUSALS if code != "too_complex"])
def test_refusals(code):
    text, wanted = REFUSALS[code]
    assert told(text) == golden(wanted)
    report = sb.explain(cell(text)["f"], COLUMNS)
    assert code in [reason.code for reason in report.reasons]
    assert report.mode == "interpreted"
    for reason in report.reasons:
        if reason.line and reason.end_col:
            assert (reason.col, reason.end_col) > (0, 0)


def test_a_function_too_deep():
    report = sb.explain(cell(REFUSALS["too_complex"][0])["f"], COLUMNS)
    assert [reason.code for reason in report.reasons] == ["too_complex"]
    assert "  the function is too large or too deeply nested to compile" in str(report)
    s = Stream.from_table(pa.table({"a": [3]})).with_columns(
        y=cell(REFUSALS["too_complex"][0])["f"]
    )
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


def test_no_source():
    space = {}
    exec("def f(a) -> int:\n    return a + 1", space)
    assert str(sb.explain(space["f"], COLUMNS)) == golden("""
f(a: int64) -> int64                                       interpreted   scalar
  the function's source text was not found
  define it in a file, a notebook or python -c, not through a string given to exec
""")
    s = Stream.from_table(pa.table({"a": [3]})).with_columns(y=space["f"])
    assert s.collect()["y"].to_pylist() == [4]


def test_source_mismatch():
    fn = cell("def f(a) -> int:\n    return a + 1", "<odd>")["f"]
    cell("def f(a) -> int:\n    return a + 2", "<odd>")
    report = sb.explain(fn, COLUMNS)
    assert [reason.code for reason in report.reasons] == ["source_mismatch"]
    assert "the source text does not give this code object" in str(report)


def test_off():
    fn = cell("f = lambda a: a + 1")["f"]
    with sb.config(compile="off"):
        assert str(sb.explain(fn, COLUMNS)) == golden("""
<lambda>(a: int64) -> int64                                interpreted   scalar
  compilation is switched off (compile="off")
""")
        s = Stream.from_table(pa.table({"a": [1, None, 2]})).filter(lambda a: a is not None)
        s = s.with_columns(y=fn)
        assert s.collect()["y"].to_pylist() == [2, 3]
        assert "interpreted, scalar" in s.explain()
    assert sb.explain(fn, COLUMNS).mode == "compiled"


def test_every_refusal_is_tested():
    codes = set(re.findall(r'^    X\([A-Z_]+, "([a-z_]+)"', HEADER.read_text(), re.MULTILINE))
    # Of a run, not of a function: tests/test_robust.py.
    of_runs = {"tracing", "rebound"}
    assert codes == REFUSALS.keys() | of_runs | {"no_source", "source_mismatch", "off"}


def test_an_overlong_line_and_tabs():
    text = "def f(a) -> int:\n\tif a:\n\t\treturn hash(a)\n\treturn 1"
    assert told(text) == golden("""
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    return hash(a)
                     ^^^^^^^
  this form is not compiled yet: a call of hash
""")


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
└─ MAP    <lambda>                     in CPython, batch by batch
   └─ MAP    <lambda>                  in CPython, batch by batch; its schema is known with the first batch
      └─ FILTER <lambda>               in CPython, batch by batch
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
