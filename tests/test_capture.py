"""Capture: every function gets its own syntax tree, exactly, or a reason why not."""

from __future__ import annotations

import ast
import doctest
import functools
import importlib
import importlib.util
import itertools
import linecache
import math
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
import weakref
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sabot import _blob, _source
from sabot._blob import dump
from sabot._capture import capture
from sabot._source import Source, command_text

ROOT = Path(__file__).parent.parent
counter = itertools.count()


def load(folder: Path, text: str | bytes, name: str | None = None):
    """Imports a module from a text; functions in it come with their file."""
    name = name or f"captured_{next(counter)}"
    path = folder / f"{name}.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def body(fn) -> list[str]:
    """The lines of a dumped blob below its header, without positions."""
    captured = capture(fn)
    assert captured.refusals == (), captured.refusals
    return [line.split("  @")[0] for line in dump(captured.blob).split("\n")[2:]]


def codes(fn) -> list[str]:
    return [refusal.code for refusal in capture(fn).refusals]


def refused(fn) -> tuple[str, str, str]:
    """The one UNSUPPORTED node of a function: its code, its detail and the text it is placed at."""
    captured = capture(fn)
    text = dump(captured.blob)
    found = re.findall(r"UNSUPPORTED (\w+) '(.*)'  @(\d+):(\d+)-(\d+)$", text, re.MULTILINE)
    assert len(found) == 1, text
    code, detail, line, start, end = found[0]
    source = captured.source_line(int(line)).encode()
    return code, detail, source[int(start) : int(end)].decode()


def run_python(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, input=text)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Each function on a line its own

SAME_LINE = [lambda x: x*1, lambda x: x*1.0, lambda x: x*True, lambda x: -0.0, lambda x: 0.0]  # fmt: skip


def test_lambdas_on_one_line_are_told_apart():
    constants = [re.findall(r"CONST_\w+ \S+", "\n".join(body(fn)))[-1] for fn in SAME_LINE]
    assert constants == [
        "CONST_INT 1",
        "CONST_FLOAT 1.0",
        "CONST_BOOL True",
        "CONST_FLOAT 0.0",
        "CONST_FLOAT 0.0",
    ]
    assert ["UNARY USub" in "\n".join(body(fn)) for fn in SAME_LINE] == [
        False,
        False,
        False,
        True,
        False,
    ]


def test_equal_lambdas_on_one_line_are_told_by_their_columns():
    first, second = lambda x: x + 1, lambda x: x + 1  # fmt: skip
    assert capture(first).node.col_offset < capture(second).node.col_offset
    assert capture(first).node.lineno == capture(second).node.lineno


def test_lambdas_told_apart_by_signed_zeros_and_folded_constants():
    a, b, c, d = lambda x: x + 2, lambda x: x + (1 + 1), lambda x: x - 0.0, lambda x: x + -0.0  # fmt: skip
    assert body(b)[-3] == "    BINARY Add" and body(a)[-1] == "    CONST_INT 2"
    assert body(c) != body(d)
    assert body(d)[-2:] == ["    UNARY USub", "      CONST_FLOAT 0.0"]


def test_without_column_tables(tmp_path):
    script = tmp_path / "bare.py"
    script.write_text(
        textwrap.dedent("""
            from sabot._capture import capture
            from sabot._blob import dump

            fns = [lambda x: x*1, lambda x: x*1.0, lambda x: x*True, lambda x: -0.0, lambda x: 0.0]
            fns += [lambda x: x + 1, lambda y: y + 1, lambda x: x + 1, lambda x: x - 1]
            assert fns[5].__code__ == fns[7].__code__
            for fn in fns:
                assert not capture(fn).refusals, capture(fn).refusals
                print(dump(capture(fn).blob).split("\\n", 1)[1])
            """)
    )
    out = run_python("-X", "no_debug_ranges", str(script))
    constants = re.findall(r"CONST_(\w+ \S+)", out)
    assert (
        constants == ["INT 1", "FLOAT 1.0", "BOOL True", "FLOAT 0.0", "FLOAT 0.0"] + ["INT 1"] * 4
    )
    assert re.findall(r"0:(\w)", out) == list("xxxxxxyxx")
    assert re.findall(r"BINARY (\w+)", out)[-4:] == ["Add", "Add", "Add", "Sub"]


# Where functions stand


def test_nested_function_and_closure():
    def outer(scale):
        def inner(x):
            return x * scale

        return inner

    assert body(outer(3))[-1] == "    CONST_INT 3"
    assert body(outer(2.5))[-1] == "    CONST_FLOAT 2.5"
    assert capture(outer(True)).guards.names["scale"] == ("closure", True)


class Scorer:
    __hidden = 5

    def method(self, x):
        return x + 1

    @staticmethod
    def fixed(x):
        return x + 2

    private = lambda __x, y=3: __x + y  # noqa: E731

    class Inner:
        deep = staticmethod(lambda x: x + 4)


def test_methods_and_class_bodies():
    assert body(Scorer.method)[-1] == "    CONST_INT 1"
    assert body(Scorer.fixed)[-1] == "    CONST_INT 2"
    assert body(Scorer.Inner.deep)[-1] == "    CONST_INT 4"


def test_private_names_are_those_of_the_code_object():
    captured = capture(Scorer.private)
    assert [p.name for p in captured.params] == ["_Scorer__x", "y"]
    assert "LOCAL 0" in body(Scorer.private)[-2]
    assert dump(captured.blob).split("\n")[1] == "locals 0:_Scorer__x 1:y"


def test_bound_method_is_refused_by_name():
    captured = capture(Scorer().method)
    assert [(r.code, r.detail) for r in captured.refusals] == [("signature", "a bound method")]
    assert [p.name for p in captured.params] == ["x"]
    assert captured.blob is None and captured.node is not None


def passes_on(fn):
    @functools.wraps(fn)
    def wrapper(*args, **kwargs):
        return fn(*args, **kwargs)

    return wrapper


def keeps(*_):
    return lambda fn: fn


@keeps(lambda x: x + 10, lambda x: x + 20)
@keeps(
    3,
)
def decorated(x):
    return x + 30


@lambda fn: fn
def decorated_by_lambda(x):
    return x + 40


def test_decorated_functions():
    assert body(decorated)[-1] == "    CONST_INT 30"
    assert body(decorated_by_lambda)[-1] == "    CONST_INT 40"
    assert capture(decorated).first_line < capture(decorated).node.lineno


def test_a_wrapper_is_not_looked_through():
    captured = capture(passes_on(decorated))
    assert [r.detail for r in captured.refusals] == ["*args", "**kwargs"]
    assert captured.node.name == "wrapper"


def test_lambdas_in_decorators_calls_and_comprehensions():
    collected = []
    keeper = lambda fn: collected.append(fn) or (lambda g: g)  # noqa: E731

    @keeper(lambda x: x + 50)
    def unused(x):
        return x

    assert body(collected[0])[-1] == "    CONST_INT 50"
    many = [lambda x: x + k for k in range(3)]
    assert [body(fn)[-1] for fn in many] == ["    CONST_INT 2"] * 3
    many = [(lambda x, k=k: x + k) for k in (1, 2.0)]
    assert [body(fn)[1] for fn in many] == ["  CONST_INT 1", "  CONST_FLOAT 2.0"]
    table = {name: (lambda x: x if name else -x) for name in ("a",)}
    assert "IFEXP" in body(table["a"])[1]
    assert "CONST_STR 'a'" in body(table["a"])[2]


def test_conditional_definitions():
    if math.pi < 3:

        def chosen(x):
            return x + 1
    else:

        def chosen(x):
            return x + 2

    try:
        raise KeyError
    except KeyError:
        either = (lambda x: x + 3) if SAME_LINE else (lambda x: x + 4)
    finally:
        last = lambda x: x + 5  # noqa: E731
    assert body(chosen)[-1] == "    CONST_INT 2"
    assert body(either)[-1] == "    CONST_INT 3"
    assert body(last)[-1] == "    CONST_INT 5"


def test_multi_line_lambdas():
    found = keeps(1)(
        lambda x, y: (
            x
            + 1  # a comment
            if y
            else \
            -x
        )
    )  # fmt: skip
    assert body(found)[:3] == ["RETURN", "  IFEXP", "    LOCAL 1"]


# Texts of every sort

TEXTS = {
    "byte order mark": b"\xef\xbb\xbff = lambda x: x + 7\n",
    "latin-1 cookie": "# -*- coding: latin-1 -*-\nname = 'é'; f = lambda x: x + 7 if 'é' else x\n".encode(
        "latin-1"
    ),
    "crlf": b"a = 1\r\nb = '''\r\n'''\r\ndef f(x):\r\n    return x + 7\r\n",
    "old mac lines": b"a = 1\rdef f(x):\r    return x + 7\r",
    "form feed": b"a = 1\n\x0c\ndef g(x):\n    return x\n\x0c\ndef f(x):\n    return x + 7\n",
    "form feed in a string": b"a = '\x0c'; b = '\x1c\xc2\x85\xe2\x80\xa8'\ndef f(x):\n    return x + 7\n",
    "tabs": b"if True:\n\tif 1:\n\t\tdef f(x):\n\t\t\treturn x + 7\n",
    "continuation": b"f = \\\n  lambda \\\n  x: \\\n  x + 7\n",
    "continued after a semicolon": b"a = 1; \\\nf = lambda x: x + 7\nb = 2\n",
    "several statements on a line": b"a = 1; f = lambda x: x + 7; g = lambda x: x + 8\n",
    "no newline at the end": b"def f(x): return x + 7",
    "wide characters": "a = '日本'; f = lambda x: x + 7  # 😀\n".encode(),
    "future": b"'''doc'''\nfrom __future__ import annotations\ndef f(x: nope) -> int:\n    return x + 7\n",
    "docstring of a module first": b"'''doc\n'''\n\n'more'\nf = lambda x: x + 7\n",
    "warnings": b"a = 1 is 1; b = '\\d'\nf = lambda x: x + 7 if '\\d' else x\n",
    "huge expression beside it": b"a = " + b"+".join([b"1"] * 500) + b"\nf = lambda x: x + 7\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
def test_texts_of_every_sort(tmp_path, text):
    module = load(tmp_path, text)
    assert "    CONST_INT 7" in "\n".join(body(module.f))


@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
def test_threads_capture_together(tmp_path):
    text = "".join(f"def f{i}(x):\n    return x + {i}\n" for i in range(200))
    module = load(tmp_path, text)
    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: body(getattr(module, f"f{i}"))[-1], [*range(200)] * 2))
    assert found == [f"    CONST_INT {i}" for i in range(200)] * 2
    assert warnings.filters == filters


def test_a_fork_while_another_thread_captures():
    held, done = threading.Event(), threading.Event()

    def hold():
        with _source._locks[0]:
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(10)
        os._exit(0 if capture(lambda x: x + 1).refusals == () else 1)
    done.set()
    holder.join()
    assert os.waitpid(child, 0)[1] == 0


def test_capture_gives_no_warnings(tmp_path, recwarn):
    module = load(tmp_path, TEXTS["warnings"])
    recwarn.clear()
    capture(module.f)
    assert not recwarn.list


def test_positions_count_utf8_bytes(tmp_path):
    module = load(tmp_path, "f = lambda x: ('日本' and unknown(x))\n")
    assert refused(module.f)[2] == "unknown"


def test_generic_functions_and_classes(tmp_path):
    text = """
    def f(x): return x + 7
    class Box:
        def get(self, x): return x + 8
    g = lambda x: x + 9
    """
    if sys.version_info >= (3, 12):
        text = """
    def f[T: (int, float)](x: T, k: T = 1) -> T:
        return x + 7

    class Box[T]:
        def get[U](self, x: U) -> T: return x + 8

    type Alias[T] = list[T]
    g = lambda x: x + 9
    """
    module = load(tmp_path, textwrap.dedent(text))
    assert body(module.f)[-1] == "    CONST_INT 7"
    assert body(module.Box.get)[-1] == "    CONST_INT 8"
    assert body(module.g)[-1] == "    CONST_INT 9"


def test_exec_without_text():
    space = {}
    exec("def f(x): return x + 1", space)
    captured = capture(space["f"])
    assert codes(space["f"]) == ["no_source"]
    assert captured.blob is None and captured.node is None
    assert [p.name for p in captured.params] == ["x"]


def test_exec_with_a_linecache_entry_as_notebooks_make_it():
    def cell(number, text):
        name = f"<cell {number}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        space = {}
        exec(compile(text, name, "exec"), space)
        return space["f"]

    first = cell(1, "k = 1\nf = lambda x: x + 1\n")
    second = cell(2, "f = lambda x: x + 2\n")
    assert body(first)[-1] == "    CONST_INT 1"
    assert body(second)[-1] == "    CONST_INT 2"
    again = cell(1, "f = lambda x: x + 3\n")
    assert body(again)[-1] == "    CONST_INT 3"
    # The cell that is gone is still known by its code; a new capture of the same code finds what it found.
    assert body(first)[-1] == "    CONST_INT 1"
    awaiting = "import asyncio\nf = lambda x: x + 4\nawait asyncio.sleep(0)\n"
    linecache.cache["<cell 3>"] = (
        len(awaiting),
        None,
        awaiting.splitlines(keepends=True),
        "<cell 3>",
    )
    code = compile(awaiting, "<cell 3>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    space = {}
    coroutine = eval(code, space)
    with pytest.raises(RuntimeError):  # no event loop runs here; the function is defined before
        coroutine.send(None)
        raise RuntimeError
    coroutine.close()
    assert body(space["f"])[-1] == "    CONST_INT 4"


COMMAND = (
    "from sabot._capture import capture; from sabot._blob import dump\n"
    "f = lambda x: x*2.0\n"
    "print(dump(capture(f).blob) if not capture(f).refusals else capture(f).refusals)"
)


@pytest.mark.parametrize(
    "options", [["-c"], ["-X", "dev", "-c"], ["-Wignore", "-Bc"], ["-W", "error", "-O", "-c"]]
)
def test_command_line(options):
    assert "CONST_FLOAT 2.0" in run_python(*options, COMMAND, "-c", "other")


def test_command_text():
    assert command_text(["python", "-c", "text"]) == "text"
    assert command_text(["python", "-Ictext", "x"]) == "text"
    assert command_text(["python", "-Xc", "-c", "text"]) == "text"
    assert command_text(["python", "-X", "c", "-m", "module"]) is None
    assert command_text(["python", "--check-hash-based-pycs", "never", "-c", "text"]) == "text"
    assert command_text(["python", "file.py", "-c", "text"]) is None
    assert command_text(["python", "-", "-c", "text"]) is None
    assert command_text(["python"]) is None


def test_stdin_has_no_text():
    assert "no_source" in run_python("-", text=COMMAND)


def test_module_in_a_zip_file(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.writestr("captured_in_a_zip.py", "def f(x):\n    return x + 7\n")
    monkeypatch.syspath_prepend(str(tmp_path / "packed.zip"))
    module = importlib.import_module("captured_in_a_zip")
    assert body(module.f)[-1] == "    CONST_INT 7"


def test_main_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(COMMAND.replace("; ", "\n") + "\n")
    assert "CONST_FLOAT 2.0" in run_python(str(script))
    assert "CONST_FLOAT 2.0" in run_python("-OO", str(script))


def test_lines_filed_by_code_object(monkeypatch):
    space = {}
    text = "f = lambda x: x + 6"
    exec(compile(text, "<python-input-0>", "single"), space)
    code = space["f"].__code__
    filed = lambda asked: [text] if asked is code else []  # noqa: E731
    monkeypatch.setattr(linecache, "_getlines_from_code", filed, raising=False)
    assert body(space["f"])[-1] == "    CONST_INT 6"


def test_file_that_changed_after_import(tmp_path):
    module = load(tmp_path, "def f(x):\n    return x + 1\ndef g(x):\n    return x + 2\n")
    path = Path(module.__file__)
    path.write_text("def f(x):\n    return x + 3\ndef g(x):\n    return x + 2\n")
    os.utime(path, (time.time() + 5, time.time() + 5))
    assert codes(module.f) == ["source_mismatch"]
    assert capture(module.f).blob is None
    assert body(module.g)[-1] == "    CONST_INT 2"  # the same text in the same place


def test_text_that_linecache_still_holds_is_fine(tmp_path):
    module = load(tmp_path, "def f(x):\n    return x + 1\n")
    assert linecache.getline(module.__file__, 2)
    Path(module.__file__).write_text("def f(x):\n    return x + 300\n")
    assert body(module.f)[-1] == "    CONST_INT 1"


def test_file_reloaded_after_a_change(tmp_path):
    module = load(tmp_path, "def f(x):\n    return x + 1\n", "reloaded")
    assert body(module.f)[-1] == "    CONST_INT 1"
    os.utime(module.__file__, (1, 1))
    again = load(tmp_path, "a = 1\n\ndef f(x):\n    return x + 22\n", "reloaded")
    assert body(again.f)[-1] == "    CONST_INT 22"


def test_asserts_that_a_test_runner_rewrote():
    def plain(x):
        return x + 1

    def asserting(x):
        assert x
        return x + 1

    assert body(plain)[-1] == "    CONST_INT 1"
    assert codes(asserting) == ["source_mismatch"]


def test_text_that_does_not_parse(tmp_path):
    module = load(tmp_path, "def f(x):\n    return x + 1\n")
    Path(module.__file__).write_text("def f(x:\n")
    linecache.checkcache(module.__file__)
    assert codes(module.f) == ["source_mismatch"]


def test_what_a_module_imports_reaches_its_functions(tmp_path):
    text = """
    import os.path
    try:
        import math as m
    except ImportError:
        from nowhere import m
    if True:
        from os import path as p

    class K:
        import math as inner

    def f(x): return m.sqrt(x)
    def g(x): return p.join(x)
    def h(x): return os.nothing(x)
    def i(x): return inner.sqrt(x)
    """
    module = load(tmp_path, textwrap.dedent(text))
    assert [codes(fn) for fn in (module.f, module.g, module.h, module.i)] == [[], [], [], []]
    assert len(capture(module.f).node.body) == 1


# What is not captured


async def coroutine_function(x):
    return x


def generator(x):
    yield x


async def async_generator(x):
    yield x


class Callable:
    def __call__(self, x):
        return x


@pytest.mark.parametrize(
    ("fn", "details"),
    [
        (coroutine_function, ["an async function"]),
        (generator, ["a generator function"]),
        (async_generator, ["an async generator function"]),
        (lambda *xs: 1, ["*args"]),
        (lambda **xs: 1, ["**kwargs"]),
        (len, ["builtin_function_or_method len"]),
        (int, ["type int"]),
        (Callable(), ["an object of class Callable"]),
        (functools.partial(generator, 1), ["an object of class partial"]),
        (None, ["an object of class NoneType"]),
    ],
)
def test_signatures_that_are_refused(fn, details):
    captured = capture(fn)
    assert [(r.code, r.detail) for r in captured.refusals] == [("signature", d) for d in details]
    assert captured.blob is None


def test_parameters():
    def f(a, /, b, c=1.5, *, d, e="x"):
        return a

    captured = capture(f)
    assert [tuple(p) for p in captured.params] == [
        ("a", "positional", False, None),
        ("b", "positional", False, None),
        ("c", "positional", True, 1.5),
        ("d", "keyword_only", False, None),
        ("e", "keyword_only", True, "x"),
    ]
    assert body(f)[:4] == ["default 2", "  CONST_FLOAT 1.5", "default 4", "  CONST_STR 'x'"]
    f.__defaults__ = (7, [])
    assert body(f)[:4] == [
        "default 1",
        "  CONST_INT 7",
        "default 2",
        "  UNSUPPORTED captured 'list'",
    ]


# The blob


def test_numbers_are_those_of_the_header():
    text = (ROOT / "src" / "front" / "blob.h").read_text()
    nodes = dict(re.findall(r"X\((\w+), (\d+)\)", text))
    assert {name: int(number) for name, number in nodes.items()} == _blob.NODES
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
        "RANGE": _blob.BUILTIN_RANGE,
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
    for name in ("_blob.py", "_capture.py"):
        text = Path(_blob.__file__).with_name(name).read_text()
        used |= set(re.findall(r'_unsupported\(\s*\w+,\s*"(\w+)"', text))
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
    assert refused(lambda: SUBCLASS) == ("captured", "test_capture.Int", "SUBCLASS")


@pytest.mark.parametrize(
    ("fn", "code", "detail", "at"),
    [
        (lambda x: x + math.sqrt(x), "unknown_call", "math.sqrt", "math.sqrt(x)"),
        (lambda x: x.lower().strip(), "unknown_call", "x.lower", "x.lower()"),
        (lambda x: body(x).real + 1, "unknown_call", "body", "body(x)"),
        (lambda x: missing_name + x, "unresolved", "missing_name", "missing_name"),  # noqa: F821
        (lambda x: missing_name.deep(x), "unresolved", "missing_name", "missing_name"),  # noqa: F821
        (lambda x: SAME_LINE, "captured", "list", "SAME_LINE"),
        (lambda x: TEXTS["a"], "captured", "dict", "TEXTS"),
        (lambda x: math, "captured", "module", "math"),
        (lambda x: range, "captured", "type", "range"),
        (lambda x: print(x), "impure", "print", "print(x)"),
        (lambda x: open(x), "impure", "open", "open(x)"),
        (lambda x: abs(x), "syntax", "a call of abs", "abs(x)"),
        (lambda x: range(x, step=1), "syntax", "range with these arguments", "range(x, step=1)"),
        (lambda x: range(*x), "syntax", "unpacking with *", "*x"),
        (lambda x: math.pi, "syntax", "attribute access math.pi", "math.pi"),
        (lambda x: (x + 1).real, "syntax", "attribute access .real", "(x + 1).real"),
        (lambda x: range(x).start, "syntax", "attribute access .start", "range(x).start"),
        (lambda x: x[0], "syntax", "a subscript", "x[0]"),
        (lambda x: (x, 1), "syntax", "a tuple", "(x, 1)"),
        (lambda x: x in [1], "syntax", "a list", "[1]"),
        (lambda x: f"{x}", "syntax", "an f-string", 'f"{x}"'),
        (lambda x: (y := x), "syntax", "an assignment expression (:=)", "y := x"),
        (lambda x: [x for x in x], "syntax", "a list comprehension", "[x for x in x]"),
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
    "x[0] += 1": ("impure", "assignment to an item", "x[0]"),
    "x, y = 1, 2": ("syntax", "assignment to several names at once", "x, y"),
    "for x, y in range(3): pass": ("syntax", "assignment to several names at once", "x, y"),
    "with x: pass": ("syntax", "with", "with"),
    "try:\n  pass\n finally: pass": ("syntax", "try", "try"),
    "try:\n  pass\n except* KeyError: pass": ("syntax", "try with except*", "try"),
    "raise x": ("syntax", "raise", "raise x"),
    "assert x": ("syntax", "assert", "assert x"),
    "del x": ("syntax", "del", "del x"),
    "import math": ("syntax", "import inside a function", "import math"),
    "def g(): pass": ("syntax", "a nested function", "def"),
    "class g: pass": ("syntax", "a nested class", "class"),
    "match x:\n  case 1: pass": ("syntax", "match", "match"),
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


def test_objects_that_pretend_to_be_functions():
    class Pretender:
        @property
        def __class__(self):
            return type(capture)

    assert [r.detail for r in capture(Pretender()).refusals] == ["an object of class Pretender"]


def test_a_doctest(tmp_path):
    module = load(
        tmp_path,
        """
        def documented():
            '''
            >>> from sabot._capture import capture
            >>> fn = lambda x: x + 1
            >>> capture(fn).refusals
            ()
            >>> capture(fn).node.lineno
            1
            '''
        """.replace("\n        ", "\n"),
    )
    finder = doctest.DocTestFinder().find(module.documented, globs={})
    assert doctest.DocTestRunner().run(finder[0]) == (0, 4)


def test_range_under_another_name(tmp_path):
    module = load(tmp_path, "r = range\ndef f(x):\n    for i in r(x): pass\n    return i\n")
    assert "  CALL range" in body(module.f)
    module = load(tmp_path, "range = lambda n: n\ndef f(x):\n    for i in range(x): pass\n")
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


# Depth, size, time


def test_deep_trees_are_refused_not_raised(tmp_path):
    module = load(
        tmp_path, f"f = lambda x: {'+'.join(['x'] * 250)}\ng = lambda x: {'+'.join(['x'] * 150)}\n"
    )
    assert refused(module.f)[:2] == ("too_complex", "nested more than 200 deep")
    assert "too_complex" not in dump(capture(module.g).blob)
    depth = max(len(line) - len(line.lstrip()) for line in body(module.f)) // 2 + 1
    assert depth == _blob.DEPTH_MAX


def test_what_python_can_hardly_parse(tmp_path):
    # The text is deeper than Python can compile, in a file whose function was made in another way.
    module = load(tmp_path, "def f(x):\n    return x\n")
    Path(module.__file__).write_text(f"def f(x):\n    return {'+'.join(['x'] * 10_000)}\n")
    linecache.checkcache(module.__file__)
    assert codes(module.f) in (["too_complex"], ["source_mismatch"])


def test_a_deep_stack_is_no_obstacle():
    captured = []

    def down(levels):
        if levels:
            down(levels - 1)
        else:
            captured.append(capture(lambda x: x + 1))

    down(800)
    assert captured[0].refusals == ()


def test_large_files(tmp_path):
    lines = [f"def f{i}(x):\n    y = x * {i}\n    return y + 1\n" for i in range(7000)]
    module = load(tmp_path, "\n".join(lines))
    start = time.perf_counter()
    assert "    CONST_INT 3500" in body(module.f3500)
    first = time.perf_counter() - start
    start = time.perf_counter()
    for i in range(100, 200):
        assert capture(getattr(module, f"f{i}")).refusals == ()
    rest = (time.perf_counter() - start) / 100
    assert first < 10
    assert rest < first / 10


def test_captured_again():
    def make(k):
        return lambda x: x + k

    first = make(1)
    captured = capture(first)
    assert capture(first) is captured
    second = capture(make(2))
    assert second is not captured and second.node is captured.node
    assert capture(make(1)).blob is captured.blob
    assert [body(make(k))[-1] for k in (1, 1.0, True, 0.0, -0.0)] == [
        "    CONST_INT 1",
        "    CONST_FLOAT 1.0",
        "    CONST_BOOL True",
        "    CONST_FLOAT 0.0",
        "    CONST_FLOAT -0.0",
    ]


def test_captures_hold_nothing_alive():
    def make():
        return lambda x: x + 1

    fn = make()
    watch = weakref.ref(fn)
    capture(fn)
    del fn
    assert watch() is None


def test_rebinding_captures_anew(tmp_path):
    module = load(tmp_path, "k = 1\nf = lambda x: x + k\n")
    captured = capture(module.f)
    module.k = 2.0
    again = capture(module.f)
    assert again is not captured and body(module.f)[-1] == "    CONST_FLOAT 2.0"
    module.f.__code__ = (lambda x: x - 5).__code__
    assert body(module.f)[-1] == "    CONST_INT 5"


def test_source_lines(tmp_path):
    module = load(tmp_path, "# first\ndef f(x):\n    return x  # é\n")
    captured = capture(module.f)
    assert captured.source_line(1) == "# first"
    assert captured.source_line(3) == "    return x  # é"
    assert captured.source_line(99) is None
    assert capture(len).source_line(1) is None


def test_dump_refuses_what_is_no_blob():
    blob = capture(statements).blob
    for bad in (b"", blob[:-1], blob + b"\0", b"\0" + blob[1:], blob[:40]):
        with pytest.raises(ValueError, match="not a function blob"):
            dump(bad)


def test_statements_of_a_file_are_kept_within_bounds():
    text = "".join(f"f{i} = lambda x: x + {i}\n" for i in range(200))
    source = Source(text, "<bounded>")
    space = {}
    exec(compile(text, "<bounded>", "exec"), space)
    for i in range(200):
        match = source.find(space[f"f{i}"].__code__)
        assert match.node.lineno == i + 1
    assert len(source._groups) <= 32
