"""What the package shows: its names, their documentation, what importing it costs."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest
from support import SLACK, printed

import sabot

pytestmark = pytest.mark.api

MODULES = sorted(module.name for module in pkgutil.iter_modules(sabot.__path__))
NAMES = [
    "CastError",
    "CompilationStrategy",
    "CompileError",
    "Config",
    "DataError",
    "FunctionPattern",
    "IntegerOverflowError",
    "LastRun",
    "MissingFileError",
    "MissingLibraryError",
    "PlanError",
    "Profile",
    "Reason",
    "Report",
    "ResourceError",
    "SabotError",
    "SchemaError",
    "StateError",
    "Stream",
    "TargetExistsError",
    "TypeMismatchError",
    "UdfCompiler",
    "UnboundedError",
    "UnknownColumnError",
    "WorkerError",
    "WriteResult",
    "__version__",
    "apply",
    "auto_compile",
    "col",
    "config",
    "explain",
    "metrics",
    "udf",
]


def test_all_is_sorted_and_whole():
    assert sabot.__all__ == NAMES
    assert sorted(sabot.__all__) == sabot.__all__
    public = {
        name
        for name, thing in vars(sabot).items()
        if not name.startswith("_") and not inspect.ismodule(thing)
    }
    assert public | {"__version__"} == set(NAMES)


PUBLIC = ["operators"]


def test_other_modules_are_private():
    assert [name for name in MODULES if not name.startswith("_")] == PUBLIC


def test_the_package_says_that_it_is_typed():
    assert (Path(sabot.__file__).parent / "py.typed").exists()


def test_public_names_are_documented():
    for name in NAMES:
        thing = getattr(sabot, name)
        assert inspect.getdoc(thing), name
        for member, value in vars(thing).items() if inspect.isclass(thing) else ():
            if not member.startswith("_") and callable(value):
                assert inspect.getdoc(value), f"{name}.{member}"


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    module = importlib.import_module(f"sabot.{name}")
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_examples_are_found():
    finder = doctest.DocTestFinder()
    found = [
        test for thing in (sabot.Stream, sabot.config, sabot.explain) for test in finder.find(thing)
    ]
    assert sum(bool(test.examples) for test in found) >= 3


def test_importing_imports_little():
    out = printed("""
        import sys
        import pyarrow
        before = set(sys.modules)
        import sabot
        print(sorted(n for n in set(sys.modules) - before if not n.startswith("sabot")))
        print([n for n in ("ast", "numpy", "pandas", "polars", "numba") if n in set(sys.modules) - before])
        """)
    extra, heavy = map(eval, out.splitlines())
    assert heavy == []
    assert len(extra) < 20, extra


def test_importing_starts_nothing():
    out = printed("""
        import threading, os
        import pyarrow
        before = len(os.listdir("/proc/self/task"))
        import sabot
        print(len(os.listdir("/proc/self/task")) - before, sabot._engine._engine)
        """)
    assert out == "0 None\n"


def test_importing_is_quick():
    """At most 30 ms beyond pyarrow."""
    text = "import time, pyarrow; t = time.perf_counter(); import sabot; print(time.perf_counter() - t)"
    best = min(float(printed(text)) for _ in range(3))
    assert best < 0.030 * SLACK


def test_versions_agree():
    root = Path(__file__).resolve().parent.parent
    assert f'version = "{sabot.__version__}"' in (root / "pyproject.toml").read_text()
    assert f"version: '{sabot.__version__}'" in (root / "meson.build").read_text()


def test_under_options_of_python():
    text = """
        import pyarrow as pa
        from sabot import Stream
        s = Stream.from_table(pa.table({"a": [1, 2]})).with_columns(y=lambda a: a * 2 - 1)
        print(s.collect()["y"].to_pylist(), s.last_run.report["functions"][0]["mode"])
        """
    for options in (["-OO"], ["-X", "no_debug_ranges"], ["-B", "-s"], ["-X", "dev"]):
        assert printed(text, *options) == "[1, 3] compiled\n", options


def test_the_stub_names_what_there_is():
    stub = (Path(sabot.__file__).parent / "_core.pyi").read_text()
    core = importlib.import_module("sabot._core")
    for name in ("Session", "Function", "Plan", "Run"):
        assert f"class {name}:" in stub
        for member in vars(getattr(core, name)):
            if not member.startswith("_"):
                assert f"def {member}(" in stub, f"{name}.{member}"
