"""Why functions are not compiled: every reason of the table, with message, hint, line and the caret under the text, as reports
and CompileError print it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest
from support import cell

import sabot as sb
from sabot import Stream

pytestmark = pytest.mark.api

HEADER = Path(__file__).resolve().parent.parent / "src" / "ir" / "refusal.h"
COLUMNS = {
    "a": pa.int64(),
    "b": pa.float64(),
    "p": pa.bool_(),
    "t": pa.string(),
    "d": pa.date32(),
}


class Case(NamedTuple):
    """A text that defines `f`, the code of its first reason, and its report."""

    code: str
    text: str
    report: str


# fmt: off
REFUSED = {
    'a dict': Case(
        'syntax',
        """
def f(a) -> int:
    return {a: 1}[a]
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    return {a: 1}[a]
                     ^^^^^^
  this form is not compiled yet: a dict
  write it with forms that are, or give this part a function and a column of its own
""",
    ),
    'with': Case(
        'syntax',
        """
import contextlib
def f(a) -> int:
    b = a + 1
    with contextlib.nullcontext():
        return b
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:4    with contextlib.nullcontext():
              ^^^^
  this form is not compiled yet: with
  write it with forms that are, or give this part a function and a column of its own
""",
    ),
    'a class': Case(
        'syntax',
        """
def f(a) -> int:
    class Pair:
        left = 1
    return a + Pair.left
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    class Pair:
              ^^^^^
  this form is not compiled yet: a nested class
  write it with forms that are, or give this part a function and a column of its own
  <cell>:4    return a + Pair.left
                         ^^^^^^^^^
  this form is not compiled yet: attribute access Pair.left
  write it with forms that are, or give this part a function and a column of its own
""",
    ),
    'a builtin without a compiled form': Case(
        'syntax',
        """
def f(a) -> int:
	if a:
		return hash(a)
	return 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    return hash(a)
                     ^^^^^^^
  this form is not compiled yet: a call of hash
  write it with forms that are, or give this part a function and a column of its own
""",
    ),
    'arguments of a builtin': Case(
        'syntax',
        """
def f(a) -> int:
    return int(a, 16)
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    return int(a, 16)
                     ^^^^^^^^^^
  this form is not compiled yet: a call of int with these arguments
  write it with forms that are, or give this part a function and a column of its own
""",
    ),
    'a method of an expression': Case(
        'syntax',
        """
def f(a) -> int:
    return (a + 1).to_bytes(8)
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    return (a + 1).to_bytes(8)
                     ^^^^^^^^^^^^^^^^
  this form is not compiled yet: attribute access .to_bytes
  write it with forms that are, or give this part a function and a column of its own
""",
    ),
    'a slice': Case(
        'syntax',
        """
T = (1, 2, 3)
def f(a) -> int:
    return T[::a][0]
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    return T[::a][0]
                     ^^^^^^
  this form is not compiled yet: a slice with a step
  write it with forms that are, or give this part a function and a column of its own
""",
    ),
    'a part of a long expression': Case(
        'syntax',
        """
def f(a) -> int:
    return (
        a
        + {a}.pop()
    )
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:4    + {a}.pop()
                ^^^
  this form is not compiled yet: a set
  write it with forms that are, or give this part a function and a column of its own
""",
    ),
    'in a called function': Case(
        'syntax',
        """
def g(x):
    return {x: 1}[x]
def f(a) -> int:
    return a + g(a)
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:4    return a + g(a)
                         ^^^^
  this form is not compiled yet: a dict, in g
  write it with forms that are, or give this part a function and a column of its own
""",
    ),
    'matrices': Case(
        'operator',
        """
def f(a) -> int:
    return a @ 2
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    return a @ 2
                     ^^^^^
  this operator is not compiled yet: @
  compiled are arithmetic, comparisons, `is` with None, True or False, and `in` a tuple or list
""",
    ),
    'is': Case(
        'operator',
        """
def f(a, b) -> bool:
    return a is b or a > 2
""",
        """
f(a: int64, b: double) -> bool                             interpreted   scalar
  <cell>:2    return a is b or a > 2
                     ^^^^^^
  this operator is not compiled yet: is
  compiled are arithmetic, comparisons, `is` with None, True or False, and `in` a tuple or list
""",
    ),
    'in': Case(
        'operator',
        """
def f(a, b) -> bool:
    return a in b
""",
        """
f(a: int64, b: double) -> bool                             interpreted   scalar
  <cell>:2    return a in b
                     ^^^^^^
  this operator is not compiled yet: in
  compiled are arithmetic, comparisons, `is` with None, True or False, and `in` a tuple or list
""",
    ),
    'a library': Case(
        'unknown_call',
        """
import calendar
T = (1, 5)
def f(a) -> int:
    x = a + 1
    return calendar.weekday(*T, x) + 1  # two
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:5    return calendar.weekday(*T, x) + 1  # two
                     ^^^^^^^^^^^^^^^^^^^^^^^
  Sabot does not know what this call reads or writes: calendar.weekday
  write it with operators, math or functions of your own, or give it a column of its own
""",
    ),
    'a method': Case(
        'unknown_call',
        """
def f(a) -> int:
    return a.to_bytes(8)
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    return a.to_bytes(8)
                     ^^^^^^^^^^^^^
  Sabot does not know what this call reads or writes: a.to_bytes
  write it with operators, math or functions of your own, or give it a column of its own
""",
    ),
    'a parameter that is called': Case(
        'unknown_call',
        """
def f(a) -> int:
    return a(1)
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    return a(1)
                     ^^^^
  Sabot does not know what this call reads or writes: a
  write it with operators, math or functions of your own, or give it a column of its own
""",
    ),
    'arguments of a function': Case(
        'syntax',
        """
def g(x):
    return x
def f(a) -> int:
    return g(a, a)
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:4    return g(a, a)
                     ^^^^^^^
  this form is not compiled yet: a call of g with these arguments
  write it with forms that are, or give this part a function and a column of its own
""",
    ),
    'a list': Case(
        'captured',
        """
k = [[1, 2], [3]]
def f(a) -> int:
    return k[a][0]
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    return k[a][0]
                     ^
  a captured object of this type is not compiled: list
  captured numbers, booleans, None and strings are, and what holds only such and is only read
""",
    ),
    'an object': Case(
        'captured',
        """
class Rate:
    n = object()
rate = Rate()
def f(a) -> int:
    return a * rate.n
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:5    return a * rate.n
                         ^^^^^^
  a captured object of this type is not compiled: object
  captured numbers, booleans, None and strings are, and what holds only such and is only read
""",
    ),
    'a function': Case(
        'type',
        """
def g(x):
    return x
def f(a) -> int:
    h = g
    return a if h else 0
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:5    return a if h else 0
                          ^
  a value of this type is not compiled yet: a function as a value
  numbers, booleans and None are, and inside the function tuples and lists of these
""",
    ),
    'functions in a list': Case(
        'type',
        """
import math
def f(a) -> float:
    forms = [math.sin, math.cos]
    forms.reverse()
    return forms[0](a)
""",
        """
f(a: int64) -> double                                      interpreted   scalar
  <cell>:4    forms.reverse()
              ^^^^^
  a value of this type is not compiled yet: functions as values
  numbers, booleans and None are, and inside the function tuples and lists of these
""",
    ),
    'a partial object under two names': Case(
        'captured',
        """
import functools, operator
def f(a) -> int:
    last = abs
    for k in range(3):
        add = functools.partial(operator.add, k)
        last = add
    return last(a)
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    last = abs
                     ^^^
  a captured object of this type is not compiled: builtin_function_or_method
  captured numbers, booleans, None and strings are, and what holds only such and is only read
""",
    ),
    'recursion with a lambda': Case(
        'syntax',
        """
def down(g, x, n):
    return x if n <= 0 else down(g, g(x), n - 1)
def f(a) -> int:
    return down(lambda x: x - a, a, 3)
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:4    return down(lambda x: x - a, a, 3)
                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  this form is not compiled yet: recursion with a function of its own, in down
  write it with forms that are, or give this part a function and a column of its own
""",
    ),
    'a key that may see the list': Case(
        'syntax',
        """
def f(a) -> int:
    found = [a, 2]
    found.sort(key=lambda x: len(found))
    return found[0]
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    found.sort(key=lambda x: len(found))
                             ^^^^^^^^^^^^^^^^^^^^
  this form is not compiled yet: a key of sort that reads locals
  write it with forms that are, or give this part a function and a column of its own
""",
    ),
    'a captured list of lists': Case(
        'captured',
        """
ROWS = [[1, 2], [3, 4]]
def f(a) -> int:
    return ROWS[0][1] + a
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    return ROWS[0][1] + a
                     ^^^^
  a captured object of this type is not compiled: list
  captured numbers, booleans, None and strings are, and what holds only such and is only read
""",
    ),
    'a default': Case(
        'captured',
        """
def f(a, k=[1, 2]) -> int:
    return a + k[0]
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:1    def f(a, k=[1, 2]) -> int:
                         ^^^^^^
  a captured object of this type is not compiled: list
  captured numbers, booleans, None and strings are, and what holds only such and is only read
""",
    ),
    'of a module': Case(
        'captured',
        """
import os
def f(a) -> int:
    return a + len(os.environ)
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    return a + len(os.environ)
                             ^^^^^^^^^^
  a captured object of this type is not compiled: os._Environ
  captured numbers, booleans, None and strings are, and what holds only such and is only read
""",
    ),
    'without a value': Case(
        'unresolved',
        """
def f(a) -> int:
    return undefined + a
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    return undefined + a
                     ^^^^^^^^^
  this name is not defined when the stream is built: undefined
  define it before
""",
    ),
    'called without a value': Case(
        'unresolved',
        """
def f(a) -> int:
    return a + undefined.part(a)
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    return a + undefined.part(a)
                         ^^^^^^^^^
  this name is not defined when the stream is built: undefined
  define it before
""",
    ),
    'a module that is not loaded': Case(
        'not_loaded',
        """
def f(a) -> int:
    import not_there
    return a
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    import not_there
              ^^^^^^^^^^^^^^^^
  a module that is not loaded when the stream is built: not_there
  import it at the top of the file
""",
    ),
    'global': Case(
        'impure',
        """
def f(a) -> int:
    global z
    z = a
    return a
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    global z
              ^^^^^^^^
  it reads or writes outside the function: global z
  only compute and return here; what else is done for a row stays in a function that CPython runs
  <cell>:3    z = a
              ^
  it reads or writes outside the function: assignment to z, which is not a local
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
    ),
    'a generator': Case(
        'signature',
        """
def f(a) -> int:
    if a:
        yield a
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    yield a
              ^^^^^^^
  this kind of parameter or function is not compiled: a generator function
  a plain function with named parameters that returns one value is
""",
    ),
    '*args': Case(
        'signature',
        """
def f(a, *rest) -> int:
    return a
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:1    def f(a, *rest) -> int:
                        ^^^^
  this kind of parameter or function is not compiled: *args
  a plain function with named parameters that returns one value is
""",
    ),
    '**kwargs': Case(
        'signature',
        """
def f(a, **more) -> int:
    return a
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:1    def f(a, **more) -> int:
                         ^^^^
  this kind of parameter or function is not compiled: **kwargs
  a plain function with named parameters that returns one value is
""",
    ),
    'async': Case(
        'signature',
        """
async def f(a) -> int:
    return a
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:1    async def f(a) -> int:
              ^^^^^
  this kind of parameter or function is not compiled: an async function
  a plain function with named parameters that returns one value is
""",
    ),
    'a lambda that yields': Case(
        'signature',
        """
f = lambda a: (yield a)
""",
        """
<lambda>(a: int64) -> ?                                    interpreted   scalar
  <cell>:1    f = lambda a: (yield a)
                             ^^^^^^^
  this kind of parameter or function is not compiled: a generator function
  a plain function with named parameters that returns one value is
  the result's type cannot be told
  Add a return annotation, such as -> int
""",
    ),
    'a bound method': Case(
        'signature',
        """
class Rate:
    def times(self, a, **rest) -> int:
        return 2 * a
f = Rate().times
""",
        """
times(a: int64) -> int64                                   interpreted   scalar
  <cell>:2    def times(self, a, **rest) -> int:
                                   ^^^^
  this kind of parameter or function is not compiled: **kwargs
  a plain function with named parameters that returns one value is
""",
    ),
    'a written number': Case(
        'big_constant',
        """
def f(a) -> bool:
    return a < 123456789012345678901234567890
""",
        """
f(a: int64) -> bool                                        interpreted   scalar
  <cell>:2    return a < 123456789012345678901234567890
                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  an integer constant beyond 64 bits: 123456789012345678901234567890
  write it as a float, such as 1e30, where that is exact enough
""",
    ),
    'a captured number': Case(
        'big_constant',
        """
huge = 7**9000
def f(a) -> bool:
    return a < huge
""",
        """
f(a: int64) -> bool                                        interpreted   scalar
  <cell>:3    return a < huge
                         ^^^^
  an integer constant beyond 64 bits: 25267 bits
  write it as a float, such as 1e30, where that is exact enough
""",
    ),
    'a text': Case(
        'type',
        """
def f(a) -> bool:
    return a == "äöü"
""",
        """
f(a: int64) -> bool                                        interpreted   scalar
  <cell>:2    return a == "äöü"
                          ^^^^^
  a value of this type is not compiled yet: str
  numbers, booleans and None are, and inside the function tuples and lists of these
""",
    ),
    'a text without letters': Case(
        'type',
        r"""
def f(a) -> bool:
    return a == "\ud800"
""",
        r"""
f(a: int64) -> bool                                        interpreted   scalar
  <cell>:2    return a == "\ud800"
                          ^^^^^^^^
  a value of this type is not compiled yet: str with lone surrogates
  numbers, booleans and None are, and inside the function tuples and lists of these
""",
    ),
    'a complex number': Case(
        'type',
        """
def f(a) -> bool:
    return a == 2j
""",
        """
f(a: int64) -> bool                                        interpreted   scalar
  <cell>:2    return a == 2j
                          ^^
  a value of this type is not compiled yet: complex
  numbers, booleans and None are, and inside the function tuples and lists of these
""",
    ),
    'bytes': Case(
        'type',
        """
def f(a) -> bool:
    return a == b"x"
""",
        """
f(a: int64) -> bool                                        interpreted   scalar
  <cell>:2    return a == b"x"
                          ^^^^
  a value of this type is not compiled yet: bytes
  numbers, booleans and None are, and inside the function tuples and lists of these
""",
    ),
    'a tuple as the result': Case(
        'type',
        """
def f(a):
    x = (a, a + 1)
    if a:
        return (
            x
        )
    return a
""",
        """
f(a: int64) -> ?                                           interpreted   scalar
  <cell>:5    x
              ^
  a value of this type is not compiled yet: a tuple or list as the result
  numbers, booleans and None are, and inside the function tuples and lists of these
  the result's type cannot be told
  Add a return annotation, such as -> int
""",
    ),
    'a date as the result': Case(
        'type',
        """
def f(d):
    return d if d is not None else 0
""",
        """
f(d: date32[day]) -> ?                                     interpreted   scalar
  <cell>:2    return d if d is not None else 0
                     ^^^^^^^^^^^^^^^^^^^^^^^^^
  a value of this type is not compiled yet: a date or timestamp as the result
  numbers, booleans and None are, and inside the function tuples and lists of these
  the result's type cannot be told
  Add a return annotation, such as -> int
""",
    ),
    'a function as a value': Case(
        'type',
        """
def f(a) -> int:
    def g(x):
        return x
    return g if a else a
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:4    return g if a else a
                     ^
  a value of this type is not compiled yet: a function as a value
  numbers, booleans and None are, and inside the function tuples and lists of these
""",
    ),
    'a column': Case(
        'column_type',
        """
def f(t, d) -> int:
    return 1 if t is None else 2
""",
        """
f(t: string, d: date32[day]) -> int64                      interpreted   scalar
  <cell>:2    return 1 if t is None else 2
                          ^
  a column of this type is not compiled yet: t
  columns of numbers, booleans, dates and timestamps are; convert it in a column of its own
""",
    ),
    'a date in arithmetic': Case(
        'column_type',
        """
def f(d) -> bool:
    return d - d == 0
""",
        """
f(d: date32[day]) -> bool                                  interpreted   scalar
  <cell>:2    return d - d == 0
                     ^^^^^
  a column of this type is not compiled yet: date
  columns of numbers, booleans, dates and timestamps are; convert it in a column of its own
""",
    ),
    'too deep': Case(
        'too_complex',
        "def f(a) -> int:\n    return " + 230 * "-" + "a",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    …---------------------------------------------------------------------------------------------------a
                                                                                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  the function is too large or too deeply nested to compile: nested more than 200 deep
  split it: a part of it can be a column that the rest reads
""",
    ),
    'untold': Case(
        'syntax',
        """
f = lambda a: a.real
""",
        """
<lambda>(a: int64) -> ?                                    interpreted   scalar
  <cell>:1    f = lambda a: a.real
                            ^^^^^^
  this form is not compiled yet: attribute access a.real
  write it with forms that are, or give this part a function and a column of its own
  the result's type cannot be told
  Add a return annotation, such as -> int
""",
    ),
    'batch': Case(
        'batch',
        """
f = lambda x: x
""",
        """
<lambda>(batch) -> ?                                       interpreted   batch
  <cell>:1    f = lambda x: x
                  ^^^^^^^^^^^
  a batch function runs in CPython, batch by batch: it computes nothing row by row
  For speed name its parameters after columns and give a value a row (with_columns)
""",
    ),
}
# fmt: on
CALLS = "\n".join(
    ["def f0(a) -> int:", "    return a"]
    + [f"def f{k}(a) -> int:\n    return f{k - 1}(a)" for k in range(1, 18)]
    + ["f = f17"]
)


def defined(text, name="<cell>"):
    return cell(text.strip("\n"), name)["f"]


def told(fn):
    return str(sb.explain(fn, COLUMNS))


def golden(text):
    return text.strip("\n")


@pytest.mark.parametrize("name", REFUSED)
def test_report(name):
    code, text, wanted = REFUSED[name]
    report = sb.explain(defined(text), COLUMNS)
    assert str(report) == golden(wanted)
    assert (report.reasons[0].code, report.mode) == (code, "interpreted")
    for reason in report.reasons:
        if reason.line and reason.end_col:
            assert (reason.col, reason.end_col) > (0, 0)


TOLD = [
    name
    for name, case in REFUSED.items()
    if "cannot be told" not in case.report and case.code != "batch" and name != "async"
]


@pytest.mark.parametrize("name", TOLD)
def test_compile_error(name):
    empty = pa.schema(list(COLUMNS.items())).empty_table()
    fn = sb.udf(defined(REFUSED[name].text), compile="require")
    with pytest.raises(sb.CompileError) as raised:
        Stream.from_table(empty).with_columns(y=fn)
    head, report = str(raised.value).split("\n", 1)
    assert re.fullmatch(r'compile="require", but \w+ cannot be compiled:', head)
    assert report == golden(REFUSED[name].report)


def test_no_source():
    space = {}
    exec("def g(a):\n    return a + 1\ndef f(a) -> int:\n    return g(a)", space)
    assert told(space["f"]) == golden("""
f(a: int64) -> int64                                       interpreted   scalar
  the function's source text was not found
  define it in a file, a notebook or python -c, not through a string given to exec
""")
    outer = cell("def f(a) -> int:\n    return 2 * g(a)", "<cell>", g=space["g"])["f"]
    assert told(outer) == golden("""
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    return 2 * g(a)
                         ^^^^
  the function's source text was not found: in g
  define it in a file, a notebook or python -c, not through a string given to exec
""")
    for fn in (space["f"], outer):
        s = Stream.from_table(pa.table({"a": [3]})).with_columns(y=fn)
        assert s.collect()["y"].to_pylist() == [fn(3)]


def test_source_mismatch():
    fn = defined("def f(a) -> int:\n    return a + 1", "<odd>")
    defined("def f(a) -> int:\n    return a + 2", "<odd>")
    assert told(fn) == golden("""
f(a: int64) -> int64                                       interpreted   scalar
  the source text does not give this code object
  load it again if its file changed; a tool that rewrites code has to be off for it
""")


def test_off():
    fn = defined("f = lambda a: a + 1")
    wanted = golden("""
<lambda>(a: int64) -> int64                                interpreted   scalar
  compilation is switched off (compile="off")
  sabot.config or sabot.udf said so
""")
    assert told(sb.udf(fn, compile="off")) == wanted
    with sb.config(compile="off"):
        assert told(fn) == wanted
        s = Stream.from_table(pa.table({"a": [1, None, 2]})).filter(lambda a: a is not None)
        s = s.with_columns(y=fn)
        assert s.collect()["y"].to_pylist() == [2, 3]
        assert "interpreted, scalar" in s.explain()
    assert sb.explain(fn, COLUMNS).mode == "compiled"


RECORDS = {
    "the row": (
        "def f(row) -> int:\n    return row['a'] + len(row)",
        """
f(row) -> int64                                            interpreted   record
  <cell>:2    return row['a'] + len(row)
                                    ^^^
  a value of this type is not compiled yet: the row itself as a value
  numbers, booleans and None are, and inside the function tuples and lists of these
""",
    ),
    "a key of the row": (
        "def f(row) -> int:\n    key = 'a'\n    return row[key] + row['a']",
        """
f(row) -> int64                                            interpreted   record
  <cell>:3    return row[key] + row['a']
                     ^^^
  a value of this type is not compiled yet: the row itself as a value
  numbers, booleans and None are, and inside the function tuples and lists of these
""",
    ),
    "other parameters": (
        "def f(row, k=1) -> int:\n    return row['a'] + k",
        """
f(row) -> int64                                            interpreted   record
  <cell>:1    def f(row, k=1) -> int:
              ^^^^^^^^^^^^^^^^^^^^^^^
  this kind of parameter or function is not compiled: a record function with other parameters
  a plain function with named parameters that returns one value is
""",
    ),
    "a write": (
        "def f(row) -> int:\n    row['b'] = 1.0\n    return row['a']",
        """
f(row) -> int64                                            interpreted   record
  <cell>:2    row['b'] = 1.0
              ^^^
  a value of this type is not compiled yet: the row itself as a value
  numbers, booleans and None are, and inside the function tuples and lists of these
""",
    ),
}


@pytest.mark.parametrize("name", RECORDS)
def test_record_functions(name):
    text, wanted = RECORDS[name]
    assert told(defined(text)) == golden(wanted)


def test_every_reason_is_tested():
    codes = set(re.findall(r'^    X\([A-Z_]+, "([a-z_]+)"', HEADER.read_text(), re.MULTILINE))
    assert len(codes) > 10
    of_reports = {"batch", "result_type"}
    told = {
        reason.code
        for case in REFUSED.values()
        for reason in sb.explain(defined(case.text), COLUMNS).reasons
    }
    assert codes | of_reports == told | {"no_source", "source_mismatch", "off"}


def test_a_tuple_that_changes_its_length_in_a_loop_is_refused_behind_it():
    """What the turns gave was not carried out of the loop: results were 0."""

    def second(a) -> int:
        pair = (1, 2)
        for _ in range(3):
            pair = (a, 5, 7)
        return pair[1] + a

    stream = Stream.from_table(pa.table({"a": [1, 2, 3]})).with_columns(r=second)
    assert stream.collect()["r"].to_pylist() == [6, 7, 8]
