"""The blob: every form of Python is written as the format says, or refused where it stands."""

from __future__ import annotations

import linecache
import math
import re
import textwrap
from pathlib import Path

import pytest
from capturing import body, load, refused

from sabot import _blob
from sabot._blob import dump
from sabot._capture import capture

ROOT = Path(__file__).parent.parent
LIST, DICT = [1], {"a": 1}

# The blob


def test_numbers_are_those_of_the_header():
    text = (ROOT / "src" / "front" / "blob.h").read_text()
    nodes = dict(re.findall(r"X\((\w+), (\d+)\)", text))
    assert {name: int(number) for name, number in nodes.items()} == _blob.NODES
    builtins = dict(re.findall(r"X\((\w+), (\d+), \d+, \d+\)", text))
    assert {name: int(number) for name, number in builtins.items()} == _blob.BUILTINS
    names = {
        "NEG": _blob.UNARY["USub"],
        "POS": _blob.UNARY["UAdd"],
        "NOT": _blob.UNARY["Not"],
        "INVERT": _blob.UNARY["Invert"],
        "ADD": _blob.BINARY["Add"],
        "SUB": _blob.BINARY["Sub"],
        "MUL": _blob.BINARY["Mult"],
        "TRUEDIV": _blob.BINARY["Div"],
        "FLOORDIV": _blob.BINARY["FloorDiv"],
        "MOD": _blob.BINARY["Mod"],
        "POW": _blob.BINARY["Pow"],
        "LSHIFT": _blob.BINARY["LShift"],
        "RSHIFT": _blob.BINARY["RShift"],
        "BITAND": _blob.BINARY["BitAnd"],
        "BITOR": _blob.BINARY["BitOr"],
        "BITXOR": _blob.BINARY["BitXor"],
        "MATMUL": _blob.BINARY["MatMult"],
        "EQ": _blob.COMPARE["Eq"],
        "NE": _blob.COMPARE["NotEq"],
        "LT": _blob.COMPARE["Lt"],
        "LE": _blob.COMPARE["LtE"],
        "GT": _blob.COMPARE["Gt"],
        "GE": _blob.COMPARE["GtE"],
        "IS": _blob.COMPARE["Is"],
        "IS_NOT": _blob.COMPARE["IsNot"],
        "IN": _blob.COMPARE["In"],
        "NOT_IN": _blob.COMPARE["NotIn"],
        **{f"TIME_{name}": number for name, number in _blob.TIMES.items()},
        **{f"KIND_{name}": number for name, number in _blob.KINDS.items()},
        "COLUMN_NULLS": _blob.COLUMN_NULLS,
        "COLUMN_NUMPY": _blob.COLUMN_NUMPY,
        **{f"ANN_{name.upper()}": number for name, number in _blob.ANNOTATIONS.items()},
    }
    written = dict(re.findall(r"SB_BLOB_(\w+) = (\d+)", text))
    assert {name: int(number) for name, number in written.items()} == names
    assert int(re.search(r"SB_BLOB_DEPTH_MAX (\d+)", text)[1]) == _blob.DEPTH_MAX
    assert int(re.search(r"SB_BLOB_MAGIC (0x\w+)u", text)[1], 16) == _blob.MAGIC
    assert int(re.search(r"SB_BLOB_VERSION (\d+)u", text)[1]) == _blob.VERSION


def test_refusal_codes_are_those_of_the_header():
    known = set(re.findall(r'X\(\w+, "(\w+)"', (ROOT / "src" / "ir" / "refusal.h").read_text()))
    used = set()
    for name in ("_encode.py", "_encode_calls.py", "_capture.py"):
        text = Path(_blob.__file__).with_name(name).read_text()
        used |= set(re.findall(r'unsupported\(\s*\w+,\s*"(\w+)"', text))
        used |= set(re.findall(r'Refusal\(\s*"(\w+)"', text))
        used |= set(re.findall(r'_whole\(\s*\w+,\s*"(\w+)"', text))
        used |= set(re.findall(r'failure = \(\s*"(\w+)"', text))
    assert {"syntax", "signature", "no_source", "source_mismatch", "impure"} <= used <= known


def statements(a, b: int = 3):
    """A docstring."""
    c = d = a
    e: int = -b
    f: float  # noqa: F842
    c += 1
    while c < d <= 5 != e:
        if a and not b or c is None:
            break
        elif a:
            continue
        else:
            pass
    else:
        c //= 2
    for i in range(1, b, 2):
        d -= i
    b"dropped"
    1.5
    return


def test_statements_and_expressions():
    assert body(statements) == textwrap.dedent("""\
        default 1
          CONST_INT 3
        PASS
        ASSIGN 2 3
          LOCAL 0
        ASSIGN 4
          UNARY USub
            LOCAL 1
        PASS
        AUGASSIGN 2 Add
          CONST_INT 1
        WHILE
          COMPARE
            LOCAL 2
            Lt
            LOCAL 3
            LtE
            CONST_INT 5
            NotEq
            LOCAL 4
          IF
            BOOLOP Or
              BOOLOP And
                LOCAL 0
                UNARY Not
                  LOCAL 1
              COMPARE
                LOCAL 2
                Is
                CONST_NONE
            BREAK
          else
            IF
              LOCAL 0
              CONTINUE
            else
              PASS
        else
          AUGASSIGN 2 FloorDiv
            CONST_INT 2
        FOR 6
          CALL range
            CONST_INT 1
            LOCAL 1
            CONST_INT 2
          AUGASSIGN 3 Sub
            LOCAL 6
        PASS
        EXPR
          CONST_FLOAT 1.5
        RETURN""").split("\n")
    assert dump(capture(statements).blob).split("\n")[1] == "locals 0:a 1:b 2:c 3:d 4:e 5:f 6:i"


BIG, NAN, TEXT, LONE, NOTHING, FLAG = 2**63, math.nan, "héllo", "\ud800", None, True
HUGE = 1 << 100_000
SUBCLASS = type("Int", (int,), {})(3)


def test_constants():
    assert body(lambda: BIG + -9223372036854775808)[2:] == [
        "    CONST_BIGINT 9223372036854775808",
        "    CONST_INT -9223372036854775808",
    ]
    assert body(lambda: -9223372036854775809)[2:] == ["    CONST_BIGINT 9223372036854775809"]
    assert body(lambda: NAN)[1:] == ["  CONST_FLOAT nan"]
    assert body(lambda: TEXT)[1:] == ["  CONST_STR 'héllo'"]
    assert body(lambda: NOTHING)[1:] == ["  CONST_NONE"]
    assert body(lambda: FLAG)[1:] == ["  CONST_BOOL True"]
    assert refused(lambda: LONE) == ("type", "str with lone surrogates", "LONE")
    assert refused(lambda: HUGE) == ("big_constant", "100001 bits", "HUGE")
    assert refused(lambda: SUBCLASS) == ("captured", "test_blob.Int", "SUBCLASS")


@pytest.mark.parametrize(
    ("fn", "code", "detail", "at"),
    [
        (lambda x: x + re.escape(x), "unknown_call", "re.escape", "re.escape(x)"),
        (lambda x: x.lower().strip(), "unknown_call", "x.lower", "x.lower()"),
        (lambda x: body(x).real + 1, "unknown_call", "body", "body(x)"),
        (lambda x: missing_name + x, "unresolved", "missing_name", "missing_name"),  # noqa: F821
        (lambda x: missing_name.deep(x), "unresolved", "missing_name", "missing_name"),  # noqa: F821
        (lambda x: LIST, "captured", "list", "LIST"),
        (lambda x: DICT["a"], "captured", "dict", "DICT"),
        (lambda x: math, "captured", "module", "math"),
        (lambda x: range, "captured", "type", "range"),
        (lambda x: print(x), "impure", "print", "print(x)"),
        (lambda x: open(x), "impure", "open", "open(x)"),
        (lambda x: hash(x), "syntax", "a call of hash", "hash(x)"),
        (lambda x: range(x, step=1), "syntax", "a call of range with these arguments", "range(x, step=1)"),
        (lambda x: range(*x), "syntax", "unpacking with *", "*x"),
        (lambda x: (x + 1).real, "syntax", "attribute access .real", "(x + 1).real"),
        (lambda x: range(x).start, "syntax", "attribute access .start", "range(x).start"),
        (lambda x: f"{x}", "syntax", "an f-string", 'f"{x}"'),
        (lambda x: {x for x in x}, "syntax", "a set comprehension", "{x for x in x}"),
        (lambda x: x.remove(x), "unknown_call", "x.remove", "x.remove(x)"),
        (lambda x: x.sort(key=x), "syntax", "a key of sort that reads locals", "x"),
        (lambda x: LIST.append(x), "impure", "LIST.append changes a captured list", "LIST.append(x)"),
        (lambda x: (x for x in x), "syntax", "a generator expression", "(x for x in x)"),
        (lambda x: x[1:2:3], "syntax", "a slice with a step", "x[1:2:3]"),
        (lambda x: (x, *x), "syntax", "unpacking with *", "*x"),
        (lambda x: DICT[x], "captured", "dict", "DICT"),
        (lambda x: next(x), "syntax", "a call of next", "next(x)"),
        (lambda x: {x: 1}[x], "syntax", "a dict", "{x: 1}"),
        (lambda x: sum(x, start=x), "syntax", "a call of sum with these arguments", "sum(x, start=x)"),
        (lambda x: max(x, key=x), "unknown_call", "x", "x"),
        (lambda x: max(x, by=x), "syntax", "a call of max with these arguments", "max(x, by=x)"),
        (lambda x: max(x, x, default=x), "syntax", "a call of max with these arguments", "max(x, x, default=x)"),
        (lambda x: zip(x, strict=True), "syntax", "a call of zip with these arguments", "zip(x, strict=True)"),
        (lambda x: isinstance(x, type), "syntax", "a call of isinstance with these arguments", "isinstance(x, type)"),
        (lambda x: (lambda: x), "syntax", "a lambda inside a function", "lambda: x"),
        (lambda x: (x if x else x)(1), "syntax", "a call of an expression", "(x if x else x)(1)"),
        (lambda x: b"a", "type", "bytes", 'b"a"'),
        (lambda x: 2j, "type", "complex", "2j"),
    ],
)  # fmt: skip
def test_expressions_that_are_not_compiled(fn, code, detail, at):
    assert refused(fn) == (code, detail, at)


STATEMENTS = {
    "global counter": ("impure", "global counter", "global counter"),
    "x.a = 1": ("impure", "assignment to attribute .a", "x.a"),
    "f[0] = 1": ("impure", "assignment to an item", "f[0]"),
    "f[0] += 1": ("impure", "assignment to an item", "f[0]"),
    "x[1:2] = x": ("impure", "assignment to an item", "x[1:2]"),
    "with x: pass": ("syntax", "with", "with"),
    "try:\n  pass\n finally: pass": ("syntax", "try", "try"),
    "try:\n  pass\n except* KeyError: pass": ("syntax", "try with except*", "try"),
    "from . import sibling": ("syntax", "import inside a function", "from . import sibling"),
    "import this_is_not_there": ("not_loaded", "this_is_not_there", "import this_is_not_there"),
    "from math import nothing": ("not_loaded", "math", "from math import nothing"),
    "x, *y = 1, 2": ("syntax", "unpacking with *", "*y"),
    "x, y.a = 1, 2": ("impure", "assignment to attribute .a", "y.a"),
    "del f[0]": ("impure", "assignment to an item", "f[0]"),
    "del x[0], x[1]": ("impure", "assignment to an item", "x[0]"),
    "async def g(): pass": ("syntax", "a nested function", "async"),
    "class g: pass": ("syntax", "a nested class", "class"),
    "match x:\n  case [1]: pass": (
        "syntax",
        "match with a sequence, over a subject that is no tuple display",
        "match",
    ),
    "match x:\n  case {1: 2}: pass": ("syntax", "match with a pattern of this form", "match"),
    "match x:\n  case str(): pass": (
        "syntax",
        "match with a class that is not bool, int or float",
        "match",
    ),
    "match x, 1:\n  case 1, *_: pass": ("syntax", "match with * in a sequence", "match"),
    "x.a: int = 1": ("impure", "assignment to attribute .a", "x.a"),
}


@pytest.mark.parametrize("text", STATEMENTS)
def test_statements_that_are_not_compiled(tmp_path, text):
    module = load(tmp_path, f"def f(x):\n {text}\n")
    assert refused(module.f) == STATEMENTS[text]


def test_assignment_to_outer_names(tmp_path):
    text = "def f(x):\n    global total\n    total = x\n"
    module = load(tmp_path, text)
    found = re.findall(r"UNSUPPORTED (\w+ '.*')", dump(capture(module.f).blob))
    assert found == ["impure 'global total'", "impure 'assignment to total, which is not a local'"]


def test_shadowed_names():
    def builtin_by_parameter(range):
        return range(3)

    def local_before_global(x):
        if x:
            TEXT = 1
        return TEXT

    assert refused(builtin_by_parameter)[:2] == ("unknown_call", "range")
    assert body(local_before_global)[-1] == "  LOCAL 1"


def test_locals_that_only_dropped_code_binds(tmp_path):
    module = load(tmp_path, "def f(x):\n    if 0:\n        dropped = x\n    return x\n")
    assert "ASSIGN 1" in body(module.f)[2]


def test_targets_of_comprehensions_are_no_locals(tmp_path):
    module = load(
        tmp_path, "def f(x):\n    if x:\n        return [k for k in x]\n    return k\nk = 5\n"
    )
    assert capture(module.f).guards.names["k"] == ("global", 5)
    module = load(tmp_path, "def f(x):\n    [(k := i) for i in x]\n    return k\nk = 5\n")
    assert "k" not in capture(module.f).guards.names


def test_annotations_without_values(tmp_path):
    module = load(tmp_path, "def f(x):\n    a: int\n    (b): int\n    return a or b\nb = 5\n")
    assert list(capture(module.f).guards.names) == ["b"]
    assert body(module.f)[-2:] == ["    LOCAL 1", "    CONST_INT 5"]


def test_range_under_another_name(tmp_path):
    module = load(tmp_path, "r = range\ndef f(x):\n    for i in r(x): pass\n    return i\n")
    assert "  CALL range" in body(module.f)
    module = load(tmp_path, "range = lambda n: n\ndef f(x):\n    for i in range(x): pass\n")
    assert "  INLINE 0" in body(module.f)
    module = load(tmp_path, "range = object()\ndef f(x):\n    for i in range(x): pass\n")
    assert refused(module.f)[:2] == ("unknown_call", "range")


def test_odd_namespaces():
    class Space(dict):
        def __missing__(self, name):
            raise AssertionError("user code runs")

    space = Space()
    text = "f = lambda x: x + unknown\n"
    linecache.cache["<odd>"] = (len(text), None, [text], "<odd>")
    exec(compile(text, "<odd>", "exec"), space)
    assert [(r.code, r.detail) for r in capture(space["f"]).refusals] == [
        ("captured", "globals of class Space")
    ]


ANNOTATED = {
    "int": "int",
    "'int'": "int",
    "Optional[int]": "int",
    "'Optional[int]'": "int",
    "typing.Optional['int']": "int",
    "'typing.Optional[int]'": "int",
    "int | None": "int",
    "'None | int'": "int",
    "Union[None, float]": "float",
    "'typing.Union[float, None]'": "float",
    "float": "float",
    "bool": "bool",
    "'str | None'": "str",
    "None": "None",
    "'None'": "None",
    "int | str": "unknown",
    "'nowhere'": "unknown",
    "'int('": "unknown",
    "'f()'": "unknown",
    "list[int]": "unknown",
    "'list[int]'": "unknown",
    "typing": "unknown",
    "5": "unknown",
    "Number": "int",
    "'Number'": "int",
}


@pytest.mark.parametrize("written", ANNOTATED)
@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_return_annotations(tmp_path, written, future):
    text = f"{future}import typing\nfrom typing import Optional, Union\nNumber = int\ndef f(x) -> {written}: return x\n"
    module = load(tmp_path, text)
    assert dump(capture(module.f).blob).split("\n")[0].endswith(f"-> {ANNOTATED[written]}")


def test_no_annotation():
    assert dump(capture(lambda x: x).blob).split("\n")[0].endswith("-> missing")


def test_dump_refuses_what_is_no_blob():
    blob = capture(statements).blob
    for bad in (b"", blob[:-1], blob + b"\0", b"\0" + blob[1:], blob[:40]):
        with pytest.raises(ValueError, match="not a function blob"):
            dump(bad)
