"""Capture: every function gets its own syntax tree, exactly, or a reason why not."""

from __future__ import annotations

import ast
import doctest
import functools
import importlib
import importlib.util
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

import pyarrow as pa
import pytest
from capturing import body, codes, load, refused
from support import bits

import sabot as sb
from sabot import Stream, _blob, _source
from sabot._blob import dump
from sabot._capture import capture
from sabot._source import Source, command_text


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


def test_bound_method():
    captured = capture(Scorer().method)
    assert captured.refusals == () and captured.name == "method"
    assert [p.name for p in captured.params] == ["x"]
    assert dump(captured.blob).split("\n")[1] == "locals 0:x"


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


NAN = "(1e309 - 1e309)"  # folded by the compiler
FOLDED = {
    "nan": f"x + {NAN}",
    "nan by //": "x + 1e309 // 10",
    "nan among others": f"x + {NAN} * 2.0 - {NAN}",
    "nan in a tuple": f"x in (0.0, {NAN}, (1, {NAN}))",
    "nan in a set": f"x in {{{NAN}, 1, -{NAN}, 'a'}}",
    "nan in a complex number": f"x + complex(1.0, {NAN}) + (2j * 1e309 + {NAN})",
    "nan in a lambda": f"(lambda y: y + {NAN})(x)",
    "nan in a default": f"(lambda y={NAN}: y)()",
    "inf": "x + 1e309 - -1e309",
    "zeros": "x + -0.0 + 0.0 * -1 + 0 + -0.0j",
    "huge": "x + 10**300 - (1 << 2000) + 7**400 // 3",
    "complex": "x + (1 + 2j) * (3 - 0j) + -2j",
}


@pytest.mark.parametrize("name", FOLDED)
def test_constants_that_are_folded(tmp_path, name):
    text = FOLDED[name]
    module = load(
        tmp_path, f"def f(x):\n    return {text}\ng = [lambda x: {text}, lambda x: {text} + 1]\n"
    )
    for fn, wanted in ((module.f, text), (module.g[0], text), (module.g[1], text + " + 1")):
        captured = capture(fn)
        assert captured.refusals == ()
        node = captured.node
        found = node.body if isinstance(node, ast.Lambda) else node.body[0].value
        assert ast.unparse(found) == ast.unparse(ast.parse(wanted, mode="eval").body)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (f"x + (+{NAN})", f"x + (-{NAN})"),  # nan of another sign
        (f"x + {NAN}", "x + (1e309 + 1e309)"),
        (f"x in (0.0, {NAN})", f"x in (1.0, {NAN})"),
        (f"x in (0.0, {NAN})", "x in (0.0, (1e309 + 1e309))"),
        (f"x in (0.0, {NAN})", f"x in (0, 0, {NAN})"),
        (f"x in {{0.0, {NAN}}}", f"x in {{1.0, {NAN}}}"),
        (f"x in {{0.0, +{NAN}}}", f"x in {{0.0, -{NAN}}}"),
        (f"x + 0.0 + {NAN}", f"x + 0e0 - {NAN}"),
        ("x + 1e309", "x - 1e309"),
        ("x + 0.0", "x + 0.j"),
        ("x * +0.0", "x * -0.0"),
    ],
)
def test_another_constant_is_another_text(tmp_path, was, now):
    text = "def f(x):\n    return {}\n"
    module = load(tmp_path, text.format(was))
    assert codes(module.f) == []
    code = module.f.__code__
    place = f"{tmp_path}/{module.__name__}.py"
    assert Source(text.format(was), place).find(code) is not None
    assert Source(text.format(now), place).find(code) is None


def test_functions_with_nans_are_compiled():
    table = pa.table({"x": [1.5, -0.0, math.nan, math.inf]})

    def f(x):
        return (1e309 // 10 if x else 1e309 - 1e309) if x != 1.5 else 1e309 * 0 + x

    assert sb.explain(f, table.schema).mode == "compiled"
    values = Stream.from_table(table).with_columns(y=f).collect()["y"].to_pylist()
    assert bits(values) == bits([f(x) for x in table["x"].to_pylist()])


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
        (functools.partial(generator, 1), ["a generator function"]),
        (functools.partial(len), ["an object of class partial"]),
        (functools.partial(lambda x: x, 1, 2), ["an object of class partial"]),
        (functools.partial(lambda x: x, y=1), ["an object of class partial"]),
        (functools.partial(lambda x, /: x, x=1), ["an object of class partial"]),
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


def test_statements_of_a_file_are_kept_within_bounds():
    text = "".join(f"f{i} = lambda x: x + {i}\n" for i in range(200))
    source = Source(text, "<bounded>")
    space = {}
    exec(compile(text, "<bounded>", "exec"), space)
    for i in range(200):
        match = source.find(space[f"f{i}"].__code__)
        assert match.node.lineno == i + 1
    assert len(source._groups) <= 32
